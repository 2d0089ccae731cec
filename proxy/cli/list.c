/* `cache204 list`: what is stored, page by page. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/cli/ask.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/json.h"
#include "proxy/cli/shown.h"
#include "proxy/cli/target.h"

enum {
	LIMIT_PRESET = 1000,
	PAGE_MAX = 500, /* rows that the proxy shows at once */
	CURSOR_SIZE = 64,
};

struct list {
	const struct arguments *arguments;
	struct asked asked;
	uint64_t left; /* rows still to show */
	char after[CURSOR_SIZE];
	bool begun; /* the heading is printed */
};

static int complain(const char *text)
{
	return shown_complain("list", text);
}

/* ---- telling -------------------------------------------------------------------------------- */

static void write_variant(const char *uri, const struct json *variant)
{
	const struct json *vary = json_get(variant, "vary");
	const char *answers = json_text(variant, "answers");
	uint64_t age_s = 0, left_s = 0, bytes = 0;
	bool purged = false;

	json_number(variant, "age_s", &age_s);
	json_number(variant, "fresh_for_s", &left_s);
	json_number(variant, "bytes", &bytes);
	json_switch(variant, "purged", &purged);
	printf("%8" PRIu64 " %8" PRIu64 " %6" PRIu64 "  ", age_s, left_s, bytes);
	shown_write(stdout, uri);
	for (size_t i = 0; i < json_count(vary); i++) {
		const struct json *item = json_element(vary, i);
		const char *name = json_text(item, "name"), *value = json_text(item, "value");

		fputs(i == 0 ? "  " : ", ", stdout);
		shown_write(stdout, name != NULL ? name : "");
		fputs(value != NULL ? ": " : " absent", stdout);
		shown_write(stdout, value != NULL ? value : "");
	}
	if (answers != NULL && strcmp(answers, "GET and HEAD") != 0)
		printf("  for %s", answers);
	puts(purged ? "  purged softly" : "");
}

static void write_entry(const struct json *entry)
{
	const struct json *variants = json_get(entry, "variants");
	const char *uri = json_text(entry, "uri");
	uint64_t more = 0;

	for (size_t i = 0; i < json_count(variants); i++)
		write_variant(uri != NULL ? uri : "", json_element(variants, i));
	json_number(entry, "variants_left_out", &more);
	if (more > 0)
		printf("%26sand %" PRIu64 " more variants\n", "", more);
}

static void write_page(struct list *list, const struct answer *answer, const struct json *entries)
{
	if (arguments_have(list->arguments, FLAG_JSON)) {
		fwrite(answer->content.p, 1, answer->content.n, stdout);
		return;
	}
	if (!list->begun && json_count(entries) > 0)
		printf("%8s %8s %6s  %s\n", "age s", "left s", "bytes", "URL");
	list->begun |= json_count(entries) > 0;
	for (size_t i = 0; i < json_count(entries); i++)
		write_entry(json_element(entries, i));
}

/* ---- asking --------------------------------------------------------------------------------- */

static const char *write_target(const struct list *list, struct buf *target)
{
	const struct arguments *arguments = list->arguments;
	char limit[24];
	bool ok;

	snprintf(limit, sizeof(limit), "%" PRIu64, list->left < PAGE_MAX ? list->left : PAGE_MAX);
	ok = target_put(target, "/entries?limit=", limit);
	if (list->after[0] != '\0')
		ok = ok && target_put(target, "&after=", list->after);
	if (arguments->host != NULL)
		ok = ok && target_put(target, "&host=", arguments->host);
	if (arguments->prefix != NULL)
		ok = ok && target_put_uri(target, "&prefix=", arguments->prefix);
	return ok ? target_text(target) : NULL;
}

static bool read_page(struct list *list, const struct answer *answer, struct diagnostic *error)
{
	struct json *json = answer->status == 200 ? json_read(answer->content) : NULL;
	const struct json *entries = json_get(json, "entries");
	const char *after = json_text(json, "after");

	if (json == NULL) {
		struct slice line = ask_reason(answer);

		diagnostic_set(error, "the proxy answers %u: %.*s", answer->status,
			       SLICE_ARG(line));
		return false;
	}
	write_page(list, answer, entries);
	list->left -= json_count(entries) < list->left ? json_count(entries) : list->left;
	snprintf(list->after, sizeof(list->after), "%s", after != NULL ? after : "");
	json_free(json);
	return true;
}

static bool show_page(struct list *list, struct diagnostic *error)
{
	struct buf target = {0};
	const char *text = write_target(list, &target);
	struct answer answer = {0};
	bool ok = text != NULL;

	if (!ok)
		diagnostic_set(error, "out of memory");
	ok = ok && ask(&list->asked, "GET", text, &answer, error) &&
	     read_page(list, &answer, error);
	ask_free(&answer);
	buf_free(&target);
	return ok;
}

static bool read_limit(const struct arguments *arguments, uint64_t *ret_limit)
{
	char *end;

	*ret_limit = LIMIT_PRESET;
	if (arguments->limit == NULL)
		return true;
	*ret_limit = strtoull(arguments->limit, &end, 10);
	if (end == arguments->limit || *end != '\0' || arguments->limit[0] == '-')
		return false;
	if (*ret_limit == 0)
		*ret_limit = UINT64_MAX;
	return true;
}

static int show_all(struct list *list)
{
	struct diagnostic error;

	do {
		if (!show_page(list, &error))
			return complain(error.text);
		if (ferror(stdout))
			return EXIT_USAGE;
	} while (list->left > 0 && list->after[0] != '\0');
	if (list->after[0] != '\0' && !arguments_have(list->arguments, FLAG_JSON))
		fputs("cache204: list: there may be more: see --limit\n", stderr);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_USAGE;
}

int run_list(const struct arguments *arguments)
{
	struct list list = {.arguments = arguments};
	struct diagnostic error;
	int status;

	if (!read_limit(arguments, &list.left))
		return complain("--limit: not a number");
	if (arguments->host != NULL && arguments->prefix != NULL)
		return complain("give --host or --prefix, not both");
	if (arguments->prefix != NULL)
		target_note_scheme("list", arguments->prefix);
	if (!ask_begin(arguments, &list.asked, &error))
		return complain(error.text);
	status = show_all(&list);
	ask_end(&list.asked);
	return status;
}
