/* `cache204 purge`: ask for it, here or at several nodes, and wait for what comes of it. */
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/monotonic.h"
#include "proxy/cli/json.h"
#include "proxy/cli/nodes.h"
#include "proxy/cli/shown.h"
#include "proxy/cli/target.h"

enum {
	WAIT_MS = 600000,   /* for the end of a purge: a large store is walked through */
	SILENCE_MS = 10000, /* without an answer while waiting for it */
	STEP_MIN_MS = 10,   /* between two questions; doubled up to: */
	STEP_MAX_MS = 500,
};

/* What is done at each node. */
struct job {
	const struct arguments *arguments;
	const char *target;
	struct asked asked; /* the place of the node, or of the configuration */
	bool is_node;       /* lines begin with its name */
};

/* ---- lines, each whole ---------------------------------------------------------------------- */

static void begin_line(const struct job *job, FILE *to)
{
	char name[PLACE_NAME];

	if (to == stderr)
		fputs("cache204: purge: ", to);
	if (!job->is_node)
		return;
	place_name(&job->asked.place, name);
	fprintf(to, "%s: ", name);
}

static int complain(const struct job *job, const char *text, int status)
{
	begin_line(job, stderr);
	shown_write(stderr, text);
	putc('\n', stderr);
	return status;
}

static const char *done_as(const struct job *job)
{
	return arguments_have(job->arguments, FLAG_SOFT) ? "made stale" : "purged";
}

static int say_count(const struct job *job, uint64_t uris)
{
	begin_line(job, stdout);
	printf("%s: %" PRIu64 " %s\n", done_as(job), uris, uris == 1 ? "URL" : "URLs");
	return EXIT_SUCCESS;
}

/* ---- asking --------------------------------------------------------------------------------- */

static int refused(const struct job *job, const struct answer *answer)
{
	struct slice line = ask_reason(answer);
	struct diagnostic text;

	if (answer->status == 404)
		diagnostic_set(&text, "the proxy that runs there knows no such purge: it is older");
	else if (answer->status == 400)
		diagnostic_set(&text, "not understood by the proxy: a URL is an absolute http or "
				      "https one, without user and fragment");
	else
		diagnostic_set(&text, "refused: %.*s", SLICE_ARG(line));
	return complain(job, text.text, EXIT_REFUSED);
}

/* True when the purge has ended, with the exit status. */
static bool look(const struct job *job, const char *target, int *ret_status,
		 struct diagnostic *error)
{
	struct answer answer;
	struct json *json = NULL;
	uint64_t uris;
	const char *state;
	bool done = false;

	*ret_status = EXIT_USAGE;
	if (ask(&job->asked, "GET", target, &answer, error)) {
		json = answer.status == 200 ? json_read(answer.content) : NULL;
		state = json_text(json, "state");
		diagnostic_set(error, "the answer %u says nothing of the purge", answer.status);
		if (state != NULL && strcmp(state, "pending") == 0) {
			*ret_status = EXIT_SUCCESS; /* so far */
		} else if (state != NULL && json_number(json, "uris", &uris)) {
			*ret_status = say_count(job, uris);
			done = true;
		} else if (state != NULL) {
			begin_line(job, stdout);
			printf("%s; it ended before its count was asked for\n", done_as(job));
			*ret_status = EXIT_SUCCESS;
			done = true;
		}
	}
	json_free(json);
	ask_free(&answer);
	return done;
}

static int wait_for_end(const struct job *job, uint64_t id)
{
	int64_t begun_us = monotonic_us(), heard_us = begun_us, now_us = begun_us;
	struct diagnostic error = {.text = "no answer"};
	int step_ms = STEP_MIN_MS, status;
	char target[64];

	snprintf(target, sizeof(target), "/purge?id=%" PRIu64, id);
	while (now_us - begun_us < INT64_C(1000) * WAIT_MS &&
	       now_us - heard_us < INT64_C(1000) * SILENCE_MS) {
		if (look(job, target, &status, &error))
			return status;
		if (status == EXIT_SUCCESS) {
			heard_us = monotonic_us();
			diagnostic_set(&error, "not ended after %d s", WAIT_MS / 1000);
		}
		poll(NULL, 0, step_ms);
		step_ms = step_ms < STEP_MAX_MS / 2 ? 2 * step_ms : STEP_MAX_MS;
		now_us = monotonic_us();
	}
	complain(job, error.text, EXIT_USAGE);
	return complain(job, "it is in force, but how many there were is not known", EXIT_REFUSED);
}

static int begun(const struct job *job, const struct json *json)
{
	bool soft = arguments_have(job->arguments, FLAG_SOFT);
	uint64_t id;

	if (!json_number(json, "id", &id))
		return complain(job, "the answer of the proxy is not one to this question",
				EXIT_USAGE);
	if (arguments_have(job->arguments, FLAG_WAIT) && id > 0)
		return wait_for_end(job, id);
	begin_line(job, stdout);
	printf("in force; %s in the background (--wait says how many)\n",
	       soft ? "what it concerns is written down as stale" : "what it concerns is removed");
	return EXIT_SUCCESS;
}

static int purge_at(const struct job *job)
{
	struct diagnostic error;
	struct json *json = NULL;
	struct answer answer;
	uint64_t uris = 0;
	int status;

	if (!ask(&job->asked, "POST", job->target, &answer, &error)) {
		/* its text names the address */
		status = complain(&(struct job){.arguments = job->arguments}, error.text,
				  EXIT_USAGE);
	} else if (answer.status != 200 && answer.status != 202) {
		status = refused(job, &answer);
	} else {
		json = json_read(answer.content);
		json_number(json, "purged", &uris);
		status = answer.status == 200 ? say_count(job, uris) : begun(job, json);
	}
	json_free(json);
	ask_free(&answer);
	return status;
}

/* ---- where ---------------------------------------------------------------------------------- */

static int purge_node(void *context, const struct place *place)
{
	struct job *job = context;

	job->asked.place = *place;
	return purge_at(job);
}

static int purge_nodes(struct job *job, const struct conf *conf)
{
	struct nodes *nodes = calloc(1, sizeof(*nodes));
	struct diagnostic error;
	size_t failed;
	int status = EXIT_SUCCESS;

	diagnostic_set(&error, "out of memory");
	job->is_node = false;
	job->asked.timeout_ms = ASK_TIMEOUT_MS;
	if (nodes == NULL || !nodes_find(job->arguments, conf, nodes, &error) ||
	    !admin_token_read(conf->admin_token_file, &job->asked.token, &error)) {
		free(nodes);
		return complain(job, error.text, EXIT_USAGE);
	}
	job->is_node = true;
	failed = nodes_do(nodes, purge_node, job);
	job->is_node = false;
	if (failed > 0) {
		diagnostic_set(&error, "failed at %zu of %zu nodes", failed, nodes->count);
		status = complain(job, error.text, EXIT_REFUSED);
	}
	ask_end(&job->asked);
	free(nodes);
	return status;
}

static int purge_here(struct job *job, const struct conf *conf)
{
	struct diagnostic error;
	int status;

	if (!ask_find(conf, &job->asked, &error))
		return complain(job, error.text, EXIT_USAGE);
	status = purge_at(job);
	ask_end(&job->asked);
	return status;
}

/* ---- what ----------------------------------------------------------------------------------- */

/* Exactly one thing, but that a group is one of a URL or host. */
static bool is_one_thing(const struct arguments *arguments)
{
	unsigned things = (unsigned)arguments->operand_count + (arguments->host != NULL) +
			  (arguments->prefix != NULL) + arguments_have(arguments, FLAG_ALL);

	return things == 1 && (arguments->group == NULL || arguments->operand_count == 1 ||
			       arguments->host != NULL);
}

static const char *write_target(const struct arguments *arguments, struct buf *target)
{
	bool ok = target_put(target,
			     "/purge?soft=", arguments_have(arguments, FLAG_SOFT) ? "1" : "0");

	if (arguments->group != NULL)
		ok = ok && target_put(target, "&group=", arguments->group);
	if (arguments->host != NULL)
		ok = ok && target_put(target, "&host=", arguments->host);
	if (arguments->prefix != NULL)
		ok = ok && target_put_uri(target, "&prefix=", arguments->prefix);
	if (arguments->operand_count == 1)
		ok = ok && target_put_uri(target, "&uri=", arguments->operands[0]);
	if (arguments_have(arguments, FLAG_ALL))
		ok = ok && target_put(target, "&all=", "1");
	return ok ? target_text(target) : NULL;
}

int run_purge(const struct arguments *arguments)
{
	struct job job = {.arguments = arguments};
	struct buf target = {0};
	struct diagnostic error;
	struct conf *conf;
	int status;

	if (!is_one_thing(arguments))
		return complain(&job,
				"give one of: a URL, --prefix, --host, --all; and with --group a "
				"URL or --host",
				EXIT_USAGE);
	if (arguments->prefix != NULL)
		target_note_scheme("purge", arguments->prefix);
	if (arguments->operand_count == 1)
		target_note_scheme("purge", arguments->operands[0]);
	conf = ask_conf(arguments, &error);
	if (conf == NULL)
		return complain(&job, error.text, EXIT_USAGE);
	job.target = write_target(arguments, &target);
	if (job.target == NULL)
		status = complain(&job, "out of memory", EXIT_USAGE);
	else if (arguments->node_count > 0)
		status = purge_nodes(&job, conf);
	else
		status = purge_here(&job, conf);
	conf_free(conf);
	buf_free(&target);
	return fflush(stdout) == 0 ? status : EXIT_USAGE;
}
