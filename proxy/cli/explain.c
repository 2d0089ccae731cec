/* `cache204 explain`: what would become of a request, in words. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/cli/ask.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/json.h"
#include "proxy/cli/shown.h"
#include "proxy/cli/target.h"

enum {
	MS_PER_S = 1000,
	LABEL = 16,            /* columns before what a label says */
	FINDING = 23,          /* and before what a finding says */
	FETCH_SPARE_MS = 5000, /* beyond the deadlines of a fetch */
};

static int complain(const char *text)
{
	return shown_complain("explain", text);
}

/* ---- asking --------------------------------------------------------------------------------- */

/* The target of the question, NUL-terminated; NULL without memory. */
static const char *write_path(const struct arguments *arguments, struct buf *path)
{
	bool ok = buf_append(path, SLICE("/explain?fetch="));

	ok = ok &&
	     buf_append(path, arguments_have(arguments, FLAG_FETCH) ? SLICE("1") : SLICE("0"));
	if (arguments->method != NULL)
		ok = ok && target_put(path, "&method=", arguments->method);
	for (size_t i = 0; i < arguments->header_count; i++)
		ok = ok && target_put(path, "&header=", arguments->headers[i]);
	ok = ok && target_put_uri(path, "&uri=", arguments->operands[0]);
	return ok ? target_text(path) : NULL;
}

/* The longest that a fetch may take. */
static int64_t fetch_ms(const struct conf *conf)
{
	return conf->dns_timeout_ms + 2 * conf->connect_timeout_ms +
	       2 * conf->first_byte_timeout_ms + FETCH_SPARE_MS;
}

static bool ask_it(const struct arguments *arguments, struct answer *ret_answer,
		   struct diagnostic *error)
{
	bool fetch = arguments_have(arguments, FLAG_FETCH);
	struct conf *conf = ask_conf(arguments, error);
	struct buf path = {0};
	struct asked asked;
	const char *target;
	bool ok;

	*ret_answer = (struct answer){0};
	if (conf == NULL)
		return false;
	ok = ask_find(conf, &asked, error);
	if (ok && fetch)
		asked.timeout_ms = fetch_ms(conf);
	conf_free(conf);
	target = write_path(arguments, &path);
	if (ok && target == NULL)
		diagnostic_set(error, "out of memory");
	ok = ok && target != NULL && ask(&asked, fetch ? "POST" : "GET", target, ret_answer, error);
	ask_end(&asked);
	buf_free(&path);
	return ok;
}

/* ---- telling -------------------------------------------------------------------------------- */

static void write_label(const char *label)
{
	printf("  %-*s", LABEL - 2, label);
}

static void write_row(const char *label, const char *text)
{
	write_label(label);
	shown_write_filled(stdout, text, LABEL, LABEL);
}

/* "14:12:29", or with its date when that is not the one of `now_s`. */
static const char *write_time(int64_t time_s, int64_t now_s, char *to, size_t size)
{
	time_t time = (time_t)time_s, now = (time_t)now_s;
	struct tm at, today;

	/* years of all milliseconds in 64 bits are known to it */
	localtime_r(&time, &at);
	localtime_r(&now, &today);
	strftime(to, size,
		 at.tm_yday == today.tm_yday && at.tm_year == today.tm_year ? "%H:%M:%S"
									    : "%Y-%m-%d %H:%M:%S",
		 &at);
	return to;
}

/* A member that is a time, in milliseconds; false when there is none. */
static bool get_time(const struct json *json, const char *name, uint64_t now_ms, char *to,
		     size_t size)
{
	uint64_t ms;

	if (!json_number(json, name, &ms))
		return false;
	write_time((int64_t)ms / MS_PER_S, (int64_t)now_ms / MS_PER_S, to, size);
	return true;
}

/* "60 s", "5 min", "2 h", "7 d": the largest unit that it is whole of. */
static const char *write_span(uint64_t seconds, char *to, size_t size)
{
	static const struct {
		unsigned s;
		const char *name;
	} units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
	size_t i = 0;

	while (seconds % units[i].s != 0 || seconds < 2 * (uint64_t)units[i].s) {
		if (units[i].s == 1)
			break;
		i++;
	}
	snprintf(to, size, "%" PRIu64 " %s", seconds / units[i].s, units[i].name);
	return to;
}

/* What it is to the store: when it came, for how long it may answer, and what then. */
static void write_times(const struct json *record, uint64_t now_ms)
{
	char text[256], stored[32], stale[32], behind[32], error[32], lifetime[32], age[32];
	uint64_t size = 0, lifetime_s = 0, age_s = 0;
	const char *from = json_text(record, "lifetime_from");
	bool has_behind, has_error, capped = false;

	json_number(record, "size", &size);
	json_number(record, "lifetime_s", &lifetime_s);
	json_number(record, "age_s", &age_s);
	json_switch(record, "capped", &capped);
	if (!get_time(record, "stored_ms", now_ms, stored, sizeof(stored)) ||
	    !get_time(record, "stale_at_ms", now_ms, stale, sizeof(stale)))
		return;
	snprintf(text, sizeof(text), "%s, %" PRIu64 " bytes", stored, size);
	write_row("stored", text);
	snprintf(text, sizeof(text), "%s%s%s%s; %s old",
		 write_span(lifetime_s, lifetime, sizeof(lifetime)), from != NULL ? ", from " : "",
		 from != NULL ? from : "", capped ? ", capped by the option max_ttl" : "",
		 write_span(age_s, age, sizeof(age)));
	write_row("lifetime", text);
	has_behind = get_time(record, "renewed_behind_until_ms", now_ms, behind, sizeof(behind));
	has_error = get_time(record, "if_error_until_ms", now_ms, error, sizeof(error));
	snprintf(text, sizeof(text), "stale at %s;%s%s%s%s%s%s then validated", stale,
		 has_behind ? " renewed behind to " : "", has_behind ? behind : "",
		 has_behind ? ";" : "", has_error ? " if the origin fails to " : "",
		 has_error ? error : "", has_error ? ";" : "");
	write_row("then", text);
}

/* Texts that come one by one, as one row. */
struct row {
	struct buf text;
	bool ok;
};

static void add_text(struct row *row, const char *text, const char *more)
{
	row->ok = row->ok && text != NULL &&
		  (buf_length(&row->text) == 0 || buf_append(&row->text, SLICE(", "))) &&
		  buf_append(&row->text, slice_str(text)) &&
		  buf_append(&row->text, slice_str(more));
}

static void end_row(struct row *row, const char *label)
{
	if (row->ok && buf_length(&row->text) > 0 && buf_append(&row->text, slice_of("", 1)))
		write_row(label, buf_waiting(&row->text).p);
	buf_free(&row->text);
}

/* The variants that the request does not select. */
static void write_others(const struct json *others)
{
	struct row row = {.ok = true};

	for (size_t i = 0; i < json_count(others); i++) {
		const struct json *other = json_element(others, i);
		const char *variant = json_text(other, "variant");
		const char *answers = json_text(other, "answers");
		bool for_all = answers == NULL || strcmp(answers, "GET and HEAD") == 0;

		add_text(&row, variant != NULL ? variant : "no Vary",
			 for_all                        ? ""
			 : strcmp(answers, "HEAD") == 0 ? " (HEAD)"
							: " (preflight)");
	}
	end_row(&row, "others");
}

static void write_validators(const struct json *record)
{
	const char *etag = json_text(record, "etag");
	const char *modified = json_text(record, "last_modified");

	write_label("validators");
	if (etag != NULL)
		fputs("ETag ", stdout);
	shown_write(stdout, etag != NULL ? etag : "");
	if (modified != NULL)
		fputs(etag != NULL ? ", Last-Modified " : "Last-Modified ", stdout);
	shown_write(stdout, modified != NULL ? modified : "");
	puts(etag != NULL || modified != NULL ? "" : "none");
}

static void write_groups(const struct json *groups)
{
	struct row row = {.ok = true};

	for (size_t i = 0; i < json_count(groups); i++)
		add_text(&row, json_as_text(json_element(groups, i)), "");
	end_row(&row, "groups");
}

static void write_record(const struct json *json, const struct json *record)
{
	const char *variant = json_text(record, "variant");
	uint64_t now_ms = 0;

	json_number(json, "now_ms", &now_ms);
	write_times(record, now_ms);
	if (variant != NULL)
		write_row("variant", variant);
	write_others(json_get(record, "others"));
	write_validators(record);
	write_groups(json_get(record, "groups"));
}

/* A word that a shell takes as it is. */
static bool is_plain_word(const char *text)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)text[i]) && strchr("-._~/:%=,@+", text[i]) == NULL)
			return false;
	return n > 0;
}

/* How to see all of what is stored; the fields that were given go along. */
static void write_hint(const struct arguments *arguments, const struct json *json)
{
	const char *uri = json_text(json, "uri");

	if (uri == NULL || strchr(uri, '\'') != NULL)
		return;
	fputs("See the stored head: cache204 get ", stdout);
	fputs(is_plain_word(uri) ? "" : "'", stdout);
	shown_write(stdout, uri);
	fputs(is_plain_word(uri) ? "" : "'", stdout);
	puts(arguments->header_count > 0 ? " and the same -H" : "");
}

/* The rule of the configuration for it, and what it is stored under by that. */
static void write_rule(const struct json *json)
{
	const char *rule = json_text(json, "rule"), *key = json_text(json, "key");

	if (rule != NULL)
		write_row("rule", rule);
	if (key != NULL)
		write_row("key", key);
}

static void write_door(const struct json *json)
{
	const char *gateway = json_text(json, "gateway"),
		   *refusal = json_text(json, "proxy_refuses");
	bool login = false;

	if (gateway != NULL)
		write_row("gateway", gateway);
	if (refusal != NULL)
		write_row("proxy", refusal);
	json_switch(json, "login", &login);
	if (login)
		write_row("login", "clients have to log in first (option password_file)");
}

/* ---- what the origin said ------------------------------------------------------------------- */

/* ["no", "Date", "..."]: false when it is one of those that are all right. */
static bool write_finding(const struct json *row)
{
	const char *kind = json_as_text(json_element(row, 0)),
		   *name = json_as_text(json_element(row, 1));
	const char *text = json_as_text(json_element(row, 2));

	if (kind == NULL || name == NULL || text == NULL || strcmp(kind, "ok") == 0)
		return false;
	printf("  %-2s ", strcmp(kind, "no") == 0 ? "x" : "!");
	shown_write(stdout, name);
	if (strlen(name) + 5 >= FINDING)
		printf("\n%*s", FINDING, "");
	else
		printf("%*s", (int)(FINDING - strlen(name) - 5), "");
	shown_write_filled(stdout, text, FINDING, FINDING);
	return true;
}

static void write_findings(const struct json *rows)
{
	struct row good = {.ok = true};

	for (size_t i = 0; i < json_count(rows); i++)
		if (!write_finding(json_element(rows, i)))
			add_text(&good, json_as_text(json_element(json_element(rows, i), 1)), "");
	if (good.ok && buf_length(&good.text) > 0 && buf_append(&good.text, slice_of("", 1))) {
		fputs("  ok ", stdout);
		shown_write_filled(stdout, buf_waiting(&good.text).p, 5, 5);
	}
	buf_free(&good.text);
}

static void write_fetch(const struct json *fetch)
{
	const char *summary = json_text(fetch, "summary"), *head = json_text(fetch, "head");

	if (summary != NULL)
		shown_write_filled(stdout, summary, 0, 0);
	if (json_text(fetch, "failure") == NULL)
		write_findings(json_get(fetch, "lint"));
	shown_write_lines(stdout, "  | ", head != NULL ? head : "");
}

/* ---- the whole ------------------------------------------------------------------------------ */

static void write_text(const struct arguments *arguments, const struct json *json)
{
	const char *line = json_text(json, "line"), *advice = json_text(json, "do");
	const char *verdict = json_text(json, "verdict"), *status = json_text(json, "cache_status");
	const struct json *record = json_get(json, "record");
	unsigned column = 0;

	for (; verdict != NULL && *verdict >= 'a' && *verdict <= 'z'; verdict++, column++)
		putchar(*verdict - 'a' + 'A');
	fputs(". ", stdout);
	shown_write_filled(stdout, line != NULL ? line : "", column + 2, 0);
	if (advice != NULL) {
		fputs("Do this: ", stdout);
		shown_write_filled(stdout, advice, 9, 0);
	}
	if (status != NULL)
		write_row("Cache-Status", status);
	write_rule(json);
	write_door(json);
	if (json_text(record, "answers") != NULL)
		write_record(json, record);
	else
		write_others(json_get(json, "others"));
	write_fetch(json_get(json, "fetch"));
	if (json_text(record, "answers") != NULL)
		write_hint(arguments, json);
}

/* The status that the process ends with. */
static int tell(const struct arguments *arguments, const struct answer *answer)
{
	struct json *json = json_read(answer->content);
	bool from_store = false, ok = json != NULL && json_switch(json, "from_store", &from_store);

	if (ok && arguments_have(arguments, FLAG_JSON))
		fwrite(answer->content.p, 1, answer->content.n, stdout);
	else if (ok)
		write_text(arguments, json);
	json_free(json);
	if (!ok)
		return complain("the answer of the proxy is not one to this question");
	if (fflush(stdout) != 0)
		return EXIT_USAGE;
	return from_store ? EXIT_SUCCESS : EXIT_REFUSED;
}

/* What the proxy says against the question, a line. */
static int refused(const struct answer *answer)
{
	struct slice line = ask_reason(answer);
	struct diagnostic text;

	if (answer->status == 404)
		return complain(
			"the proxy that runs there does not know this question: it is older");
	if (answer->status == 414)
		return complain(
			"the URL and the fields are longer than the proxy takes: see the option "
			"uri_length");
	diagnostic_set(&text, "%.*s", SLICE_ARG(line));
	return complain(text.text);
}

int run_explain(const struct arguments *arguments)
{
	struct diagnostic error;
	struct answer answer;
	int status;

	if (arguments->operand_count != 1)
		return complain("give one URL");
	target_note_scheme("explain", arguments->operands[0]);
	if (!ask_it(arguments, &answer, &error))
		status = complain(error.text);
	else if (answer.status == 200)
		status = tell(arguments, &answer);
	else
		status = refused(&answer);
	ask_free(&answer);
	return status;
}
