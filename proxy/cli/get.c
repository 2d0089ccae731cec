/* `cache204 get`: the stored head that a request selects. */
#include <inttypes.h>
#include <stdlib.h>

#include "proxy/cli/ask.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/json.h"
#include "proxy/cli/shown.h"
#include "proxy/cli/target.h"

static int complain(const char *text)
{
	return shown_complain("get", text);
}

/* ---- telling -------------------------------------------------------------------------------- */

static void write_record(const struct json *json, const struct json *record)
{
	const char *head = json_text(json, "head"), *variant = json_text(record, "variant");
	uint64_t age_s = 0, lifetime_s = 0;

	shown_write_lines(stdout, "", head != NULL ? head : "");
	putchar('\n');
	json_number(record, "age_s", &age_s);
	json_number(record, "lifetime_s", &lifetime_s);
	printf("age %" PRIu64 " s, fresh for %" PRIu64 " s more\n", age_s,
	       lifetime_s > age_s ? lifetime_s - age_s : 0);
	if (variant == NULL)
		return;
	fputs("variant ", stdout);
	shown_write(stdout, variant);
	putchar('\n');
}

static int tell(const struct arguments *arguments, const struct answer *answer)
{
	struct json *json = json_read(answer->content);
	const struct json *record = json_get(json, "record");
	bool found = json_text(record, "answers") != NULL;
	size_t others = json_count(json_get(json, "others"));

	if (json_text(json, "verdict") == NULL) {
		json_free(json);
		return complain("the answer of the proxy is not one to this question");
	}
	if (arguments_have(arguments, FLAG_JSON))
		fwrite(answer->content.p, 1, answer->content.n, stdout);
	else if (found)
		write_record(json, record);
	if (!found)
		complain(others > 0 ? "no stored variant is for that request: explain shows those "
				      "that there are"
				    : "nothing is stored for that request");
	json_free(json);
	if (fflush(stdout) != 0)
		return EXIT_USAGE;
	return found ? EXIT_SUCCESS : EXIT_REFUSED;
}

/* ---- asking --------------------------------------------------------------------------------- */

static const char *write_target(const struct arguments *arguments, struct buf *target)
{
	bool ok = target_put(
		target, "/explain?method=", arguments->method != NULL ? arguments->method : "GET");

	for (size_t i = 0; i < arguments->header_count; i++)
		ok = ok && target_put(target, "&header=", arguments->headers[i]);
	ok = ok && target_put_uri(target, "&uri=", arguments->operands[0]);
	return ok ? target_text(target) : NULL;
}

static bool ask_it(const struct arguments *arguments, struct answer *ret_answer,
		   struct diagnostic *error)
{
	struct buf target = {0};
	const char *text = write_target(arguments, &target);
	struct asked asked;
	bool ok = text != NULL;

	if (!ok)
		diagnostic_set(error, "out of memory");
	ok = ok && ask_begin(arguments, &asked, error) &&
	     ask(&asked, "GET", text, ret_answer, error);
	ask_end(&asked);
	buf_free(&target);
	return ok;
}

static int refused(const struct answer *answer)
{
	struct slice line = ask_reason(answer);
	struct diagnostic text;

	diagnostic_set(&text, "the proxy answers %u: %.*s", answer->status, SLICE_ARG(line));
	return complain(text.text);
}

int run_get(const struct arguments *arguments)
{
	struct answer answer = {0};
	struct diagnostic error;
	int status;

	if (arguments->operand_count != 1)
		return complain("give one URL");
	target_note_scheme("get", arguments->operands[0]);
	if (!ask_it(arguments, &answer, &error))
		status = complain(error.text);
	else if (answer.status == 200)
		status = tell(arguments, &answer);
	else
		status = refused(&answer);
	ask_free(&answer);
	return status;
}
