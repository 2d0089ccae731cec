/* `cache204 reload` and `cache204 upgrade`: ask for it, and wait for what comes of it. */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/base/diagnostic.h"
#include "proxy/base/monotonic.h"
#include "proxy/cli/ask.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/json.h"

enum {
	WAIT_MS = 90000,    /* for the result: new workers may have to start several times */
	SILENCE_MS = 10000, /* without an answer while waiting for it */
	STEP_MIN_MS = 10,   /* between two questions; doubled up to: */
	STEP_MAX_MS = 200,
};

/* What is asked for, and the words for it. */
struct change {
	const char *name, *path;
	const char *unchanged; /* what stays when it was refused */
};

static const struct change reload = {"reload", "/reload", "the configuration in effect stays"};
static const struct change upgrade = {"upgrade", "/upgrade", "the program that runs goes on"};

/* The answer of GET. */
struct result {
	uint64_t answered, generation, older;
	bool ok;
};

static void complain(const struct change *change, const char *text)
{
	fprintf(stderr, "cache204: %s: %s\n", change->name, text);
}

/* Of the proxy, for a terminal: controls other than the ends of lines are not for it. */
static void write_lines(FILE *to, const char *text)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		if ((c < ' ' && c != '\n') || c == 0x7f)
			fprintf(to, "\\x%02x", c);
		else
			putc(c, to);
	}
	if (n > 0 && text[n - 1] != '\n')
		putc('\n', to);
}

/* ---- asking --------------------------------------------------------------------------------- */

static void say_status(const struct change *change, const struct answer *answer,
		       struct diagnostic *error)
{
	struct slice line = ask_reason(answer);

	if (answer->status == 404 || answer->status == 405)
		diagnostic_set(error, "the proxy that runs there knows no %s: it is older",
			       change->name);
	else if (answer->status == 401)
		diagnostic_set(
			error,
			"the proxy does not take the token of admin_token_file: if the file is "
			"newer than its last reload, reload by SIGHUP, which needs no token");
	else
		diagnostic_set(error, "the proxy answers %u: %.*s", answer->status,
			       (int)(line.n < 200 ? line.n : 200), line.p);
}

/* The ticket by which the result is known. */
static bool ask_for_it(const struct change *change, const struct asked *asked, uint64_t *ret_ticket,
		       struct diagnostic *error)
{
	struct answer answer;
	struct json *json = NULL;
	bool ok = ask(asked, "POST", change->path, &answer, error);

	if (ok && answer.status != 202) {
		say_status(change, &answer, error);
		ok = false;
	} else if (ok) {
		json = json_read(answer.content);
		ok = json != NULL && json_number(json, "asked", ret_ticket);
		if (!ok)
			diagnostic_set(error, "the answer has no ticket");
	}
	json_free(json);
	ask_free(&answer);
	return ok;
}

/*
 * The result as it is now: `ret_answer` and `ret_json` have it whole, and are the caller's on
 * success.  False with a line in `error`: it may come yet, as workers are exchanged meanwhile.
 */
static bool look(const struct change *change, const struct asked *asked, struct answer *ret_answer,
		 struct json **ret_json, struct result *ret_result, struct diagnostic *error)
{
	*ret_json = NULL;
	if (ask(asked, "GET", change->path, ret_answer, error)) {
		if (ret_answer->status == 200)
			*ret_json = json_read(ret_answer->content);
		if (*ret_json != NULL &&
		    json_number(*ret_json, "answered", &ret_result->answered) &&
		    json_number(*ret_json, "generation", &ret_result->generation) &&
		    json_number(*ret_json, "older_generations", &ret_result->older) &&
		    json_switch(*ret_json, "ok", &ret_result->ok))
			return true;
		diagnostic_set(error, "the answer %u has no result", ret_answer->status);
	}
	json_free(*ret_json);
	ask_free(ret_answer);
	return false;
}

/* ---- telling -------------------------------------------------------------------------------- */

static void show_success(const struct change *change, const struct json *json,
			 const struct result *result)
{
	const char *version = json_text(json, "version");

	if (change == &upgrade)
		printf("cache204: upgraded: version %s serves", version != NULL ? version : "?");
	else
		printf("cache204: reloaded: generation %" PRIu64 " is in effect",
		       result->generation);
	if (result->older > 0)
		printf(", connections of %" PRIu64 " before it go on", result->older);
	putchar('\n');
}

static int show(const struct change *change, const struct arguments *arguments,
		const struct answer *answer, const struct json *json, const struct result *result)
{
	const char *errors = json_text(json, "errors");

	if (arguments_have(arguments, FLAG_JSON)) {
		fwrite(answer->content.p, 1, answer->content.n, stdout);
		if (answer->content.n > 0 && answer->content.p[answer->content.n - 1] != '\n')
			putchar('\n');
	} else if (result->ok) {
		show_success(change, json, result);
	} else {
		write_lines(stderr, errors != NULL ? errors : "");
		fprintf(stderr, "cache204: %s: refused: %s\n", change->name, change->unchanged);
	}
	if (fflush(stdout) != 0)
		return EXIT_USAGE;
	return result->ok ? EXIT_SUCCESS : EXIT_REFUSED;
}

/* Until the ticket is answered. */
static int wait_for_it(const struct change *change, const struct arguments *arguments,
		       const struct asked *asked, uint64_t ticket)
{
	int64_t begun_us = monotonic_us(), heard_us = begun_us, now_us = begun_us;
	struct diagnostic error = {"no answer"};
	int step_ms = STEP_MIN_MS;

	while (now_us - begun_us < INT64_C(1000) * WAIT_MS &&
	       now_us - heard_us < INT64_C(1000) * SILENCE_MS) {
		struct result result;
		struct answer answer;
		struct json *json;

		if (look(change, asked, &answer, &json, &result, &error)) {
			bool done = result.answered >= ticket;
			int status = done ? show(change, arguments, &answer, json, &result) : 0;

			json_free(json);
			ask_free(&answer);
			if (done)
				return status;
			heard_us = monotonic_us();
			diagnostic_set(&error, "not done after %d s", WAIT_MS / 1000);
		}
		poll(NULL, 0, step_ms);
		step_ms = step_ms < STEP_MAX_MS / 2 ? 2 * step_ms : STEP_MAX_MS;
		now_us = monotonic_us();
	}
	complain(change, error.text);
	complain(
		change,
		"it was asked for, and what came of it is not known: the log of the proxy says it");
	return EXIT_USAGE;
}

static int run(const struct change *change, const struct arguments *arguments)
{
	struct conf *conf =
		conf_load(arguments->file, arguments->settings, arguments->setting_count, stderr);
	struct diagnostic error;
	struct asked asked;
	uint64_t ticket;
	bool found;
	int status;

	/* the proxy would refuse it as well, and where it is to be asked is not known */
	if (conf == NULL) {
		fprintf(stderr, "cache204: %s: refused, without asking the proxy: %s\n",
			change->name, change->unchanged);
		return EXIT_REFUSED;
	}
	found = ask_find(conf, &asked, &error);
	conf_free(conf);
	if (!found || !ask_for_it(change, &asked, &ticket, &error)) {
		complain(change, error.text);
		status = EXIT_USAGE;
	} else {
		status = wait_for_it(change, arguments, &asked, ticket);
	}
	ask_end(&asked);
	return status;
}

int run_reload(const struct arguments *arguments)
{
	return run(&reload, arguments);
}

int run_upgrade(const struct arguments *arguments)
{
	return run(&upgrade, arguments);
}
