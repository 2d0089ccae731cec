/* LINKS: cache/policy */
/*
 * Plays the cases of tests/vectors/: each block of text is a test of the rules, named by its place.
 *
 *	# RFC 9111 5.2.2.1 MUST: max-age is the lifetime	title: section, level, what holds
 *	option: max_ttl = 30s			options over the defaults
 *	> GET http://example.com/		the request that fetched; "GET http://example.com/"
 *	> Accept: a				is the default
 *	< 204					its response
 *	< Date: {now-10}			dates relative to its receipt
 *	delay: 2				seconds from request to receipt, default 0; 1.999 too
 *	after: 30				the same from receipt to the second request
 *	wall: -3600				step of the wall clock in between, default 0
 *	restored: 10				seconds from receipt to what the store is restored to
 *	rule: "a" { match = "example.com" ttl = 1m }	rules, one a line
 *	reload: "a" { match = "example.com" store = off }	those in effect at the second
 *							request, when they are others
 *	background: yes				the second request is our own, for nobody
 *	>> GET http://example.com/		the second request; default the target of the first
 *	<< 304					the origin's answer to it
 *	stored: yes				what is expected, one line each, see `expectations`
 *	reuse: validate expired
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "cache/http/fields.h"
#include "cache/policy/lint.h"
#include "cache/policy/policy.h"
#include "cache/policy/rule.h"
#include "tests/support/guarded.h"
#include "tests/support/heads.h"
#include "tests/support/test_conf.h"
#include "tests/support/vectors.h"

#define RECEIPT_S ((int64_t)1939639200)

enum { MS_PER_S = 1000, TEXT_MAX = 8192, VALUE_MAX = 512 };
enum part { FETCHED, ANSWER, ASKED, SECOND, PART_COUNT };

/* A case being played. */
struct play {
	const struct vector *vector;
	unsigned line;
	struct conf *conf, *reloaded; /* `reloaded` is NULL when nothing was */
	char text[PART_COUNT][TEXT_MAX];
	char rules[TEXT_MAX], reloaded_rules[TEXT_MAX];
	long long delay_ms, after_ms, wall_s, restored_ms;
	bool restored, background;
	struct request_head fetched, asked;
	struct response_head answer, second;
	struct http_clock now;
	struct record_meta meta;
	struct slice etag;
	enum reason why;
	bool stored;
	struct lint lint;
	unsigned expectations;
};

#define refuse(play, ...)                                       \
	do {                                                    \
		print_error(__VA_ARGS__);                       \
		print_error("\n");                              \
		_fail((play)->vector->file, (int)(play)->line); \
	} while (0)

static const char *const kinds[] = {"get", "head", "preflight"};
static const char *const sources[] = {"none",      "targeted", "s-maxage",  "max-age", "expires",
				      "heuristic", "default",  "preflight", "rule",    "forced"};
static const char *const reuses[] = {"fresh", "stale",  "revalidate", "validate",
				     "miss",  "bypass", "refused"};
static const char *const validations[] = {"freshen", "pass-304", "retry", "replace",
					  "update",  "remove",   "keep",  "stale"};
static const char *const flag_names[] = {"no-cache",  "no-stale", "must-revalidate",
					 "shareable", "etag",     "last-modified",
					 "immutable", "http-1.0"};

static const char *const lint_names[] = {
#define LINT(id, group, level, name, text, section) #id,
#include "cache/policy/lint.def"
#undef LINT
};

static const char *yes_no(bool value)
{
	return value ? "yes" : "no";
}

static const struct record_meta *record_of(const struct play *play)
{
	if (!play->stored)
		refuse(play, "there is no record: %s", reason_token(play->why));
	return &play->meta;
}

static void tell_stored(struct play *play, char *to)
{
	if (!play->stored && play->why != REASON_STATUS &&
	    !reason_is_at(play->why, REASON_NOT_STORED))
		refuse(play, "%s is no reason not to store", reason_token(play->why));
	strcpy(to, play->stored ? "yes" : reason_token(play->why));
}

static void tell_kind(struct play *play, char *to)
{
	strcpy(to, kinds[record_of(play)->kind]);
}

static void tell_lifetime(struct play *play, char *to)
{
	snprintf(to, VALUE_MAX, "%lld %s",
		 (long long)policy_lifetime_s(record_of(play),
					      policy_options(&play->fetched.req, play->conf)),
		 sources[play->meta.lifetime_source]);
}

static void tell_age(struct play *play, char *to)
{
	snprintf(to, VALUE_MAX, "%lld", (long long)policy_age_s(record_of(play), &play->now));
}

static void tell_flags(struct play *play, char *to)
{
	unsigned flags = record_of(play)->flags;

	*to = '\0';
	for (unsigned i = 0; i < sizeof(flag_names) / sizeof(*flag_names); i++) {
		if (flags & (1u << i))
			snprintf(to + strlen(to), VALUE_MAX - strlen(to), "%s%s", *to ? " " : "",
				 flag_names[i]);
	}
	if (*to == '\0')
		strcpy(to, "none");
}

static void tell_while_revalidate(struct play *play, char *to)
{
	snprintf(to, VALUE_MAX, "%u", record_of(play)->while_revalidate_s);
}

static void tell_graces(struct play *play, char *to)
{
	const struct record_meta *meta = record_of(play);

	snprintf(to, VALUE_MAX, "%u %u", policy_while_revalidate_s(&play->asked.req, meta),
		 policy_if_error_s(&play->asked.req, meta, play->conf));
}

static void tell_about_request(struct play *play, char *to)
{
	strcpy(to, yes_no(policy_is_about_request(play->why)));
}

static void tell_drops(struct play *play, char *to)
{
	struct policy_drops drops;

	*to = '\0';
	policy_drops_read(&play->answer.res, &drops);
	for (uint32_t i = 0; i < play->answer.res.fields.count; i++) {
		const struct http_field *field = &play->answer.res.fields.at[i];

		if (policy_drops_field(&drops, field))
			snprintf(to + strlen(to), VALUE_MAX - strlen(to), "%s%.*s", *to ? " " : "",
				 SLICE_ARG(field->name));
	}
	if (*to == '\0')
		strcpy(to, "none");
}

static void tell_lookup(struct play *play, char *to)
{
	enum reason why;
	bool yes = policy_is_lookup(&play->asked.req, play->conf, &why);

	if (yes ? why != REASON_NONE : !reason_is_at(why, REASON_AT_REQUEST))
		refuse(play, "%s is no reason not to reuse", reason_token(why));
	strcpy(to, yes ? "yes" : reason_token(why));
}

/* Where the statistics count it. */
static enum reason_where list_of(enum reuse reuse)
{
	switch (reuse) {
	case REUSE_STALE:
	case REUSE_REVALIDATE:
		return REASON_AT_STALE;
	case REUSE_VALIDATE:
	case REUSE_MISS:
		return REASON_AT_ASKED;
	case REUSE_BYPASS:
		return REASON_AT_REQUEST;
	case REUSE_FRESH:
	case REUSE_REFUSED:
		break;
	}
	return REASON_AT_OTHER;
}

static void tell_reuse(struct play *play, char *to)
{
	enum reason why = REASON_COUNT;
	bool found = play->stored && policy_is_lookup(&play->asked.req, play->conf, &why);
	enum reuse reuse = policy_reuse(&play->asked.req, found ? &play->meta : NULL, &play->now,
					play->conf, &why);

	if (reuse != REUSE_FRESH && !reason_is_at(why, list_of(reuse)))
		refuse(play, "%s is no reason not to reuse", reason_token(why));
	if (reuse == REUSE_FRESH && why == REASON_NONE)
		strcpy(to, "fresh");
	else
		snprintf(to, VALUE_MAX, "%s %s", reuses[reuse], reason_token(why));
}

static void tell_serves(struct play *play, char *to)
{
	enum record_kind kind = (enum record_kind)record_of(play)->kind;

	strcpy(to, yes_no(policy_kind_serves(kind, &play->asked.req)));
}

static void tell_not_modified(struct play *play, char *to)
{
	strcpy(to, yes_no(policy_not_modified(&play->asked.req, record_of(play), play->etag,
					      &play->now)));
}

static void tell_validation(struct play *play, char *to)
{
	const struct validated record = {record_of(play), play->etag, play->background};

	strcpy(to, validations[policy_validation(&play->asked.req, &record, &play->second.res,
						 &play->now, play->conf)]);
}

static void tell_stale_if_error(struct play *play, char *to)
{
	strcpy(to, yes_no(policy_stale_if_error(&play->asked.req, record_of(play), &play->now,
						play->conf)));
}

static void tell_invalidates(struct play *play, char *to)
{
	strcpy(to, yes_no(policy_invalidates(&play->fetched.req, &play->answer.res)));
}

static void tell_supersedes(struct play *play, char *to)
{
	strcpy(to, yes_no(policy_supersedes(play->answer.res.status)));
}

static void tell_unshareable(struct play *play, char *to)
{
	strcpy(to, yes_no(policy_is_unshareable(&play->fetched.req, &play->answer.res)));
}

static void tell_repeatable(struct play *play, char *to)
{
	strcpy(to, yes_no(policy_is_repeatable(&play->fetched.req)));
}

static void tell_personal(struct play *play, char *to)
{
	*to = '\0';
	for (uint32_t i = 0; i < play->fetched.req.fields.count; i++) {
		const struct http_field *field = &play->fetched.req.fields.at[i];

		if (policy_is_personal(field))
			snprintf(to + strlen(to), VALUE_MAX - strlen(to), "%s%.*s", *to ? " " : "",
				 SLICE_ARG(field->name));
	}
	if (*to == '\0')
		strcpy(to, "none");
}

static void tell_waits(struct play *play, char *to)
{
	strcpy(to, yes_no(policy_may_wait(&play->asked.req)));
}

static void tell_rule(struct play *play, char *to)
{
	const struct conf_rule *rule = play->asked.req.rule;

	strcpy(to, rule != NULL ? rule->name : "none");
}

static void tell_key(struct play *play, char *to)
{
	static const char room[4 * TEXT_MAX];
	size_t most = policy_key_uri_max(&play->asked.req.uri);
	struct slice memory, key;

	if (most > 2 * http_uri_normal_max(&play->asked.req.uri))
		refuse(play, "%zu bytes for the key are too many", most);
	memory = guarded(slice_of(room, most));
	key = policy_key_uri(play->conf, &play->asked.req.uri, (char *)(uintptr_t)memory.p);
	snprintf(to, VALUE_MAX, "%.*s", SLICE_ARG(key));
}

/* Names of lint.def in the table's order, those that bar with "x", each with its detail. */
static void tell_lint(struct play *play, char *to)
{
	*to = '\0';
	for (enum lint_id id = 0; id < LINT_COUNT; id++) {
		const struct lint_row *row = lint_row(id);
		struct slice detail = play->lint.details[id];

		if (!lint_has(&play->lint, id))
			continue;
		snprintf(to + strlen(to), VALUE_MAX - strlen(to), "%s%s%s%s%.*s%s", *to ? ", " : "",
			 row->level == LINT_BARS ? "x " : "", lint_names[id],
			 detail.n > 0 ? " (" : "", SLICE_ARG(detail), detail.n > 0 ? ")" : "");
	}
	if (*to == '\0')
		strcpy(to, "none");
}

static const struct {
	const char *name;
	void (*tell)(struct play *play, char *to);
} expectations[] = {
	/* of the first request and its response */
	{"stored", tell_stored},                     /* yes, or the reason why not */
	{"kind", tell_kind},                         /* get, head, preflight */
	{"lifetime", tell_lifetime},                 /* seconds and source */
	{"flags", tell_flags},                       /* names, or none */
	{"while-revalidate", tell_while_revalidate}, /* seconds */
	{"about-request", tell_about_request},       /* yes, no; why it was not stored */
	{"lint", tell_lint},                         /* what is found, or none */
	{"drops", tell_drops},                       /* names of fields left out, or none */
	{"invalidates", tell_invalidates},           /* yes, no */
	{"supersedes", tell_supersedes},             /* yes, no */
	{"unshareable", tell_unshareable},           /* yes, no; when it was not stored */
	{"repeatable", tell_repeatable},             /* yes, no */
	{"personal", tell_personal},                 /* names of request fields, or none */
	/* of the second request and the record */
	{"age", tell_age},                       /* seconds */
	{"lookup", tell_lookup},                 /* yes, or the reason why not */
	{"reuse", tell_reuse},                   /* verdict and reason; fresh has none */
	{"serves", tell_serves},                 /* yes, no */
	{"not-modified", tell_not_modified},     /* yes, no */
	{"stale-if-error", tell_stale_if_error}, /* yes, no */
	{"graces", tell_graces},                 /* seconds of revalidation, of an error */
	{"waits", tell_waits},                   /* yes, no */
	{"by", tell_rule},                       /* name of a rule, or none */
	{"key", tell_key},                       /* what its key is made of, without a reload */
	/* of all */
	{"validation", tell_validation},
};

/* The text behind "name:" or a mark and a space; NULL when the line begins otherwise. */
static const char *after(const char *line, const char *start)
{
	size_t n = strlen(start);

	if (strncmp(line, start, n) != 0)
		return NULL;
	return line[n] == ' ' ? line + n + 1 : line[n] ? NULL : line + n;
}

static bool play_option(struct play *play, const char *setting)
{
	char name[VALUE_MAX], value[VALUE_MAX];

	return sscanf(setting, "%255[a-z_] = %511[^\n]", name, value) == 2 &&
	       test_conf_set(play->conf, name, value);
}

/* Seconds, with up to three digits behind a point. */
static bool read_seconds(const char *text, long long *ret_ms)
{
	char *end;
	double seconds = strtod(text, &end);

	*ret_ms = (long long)(seconds * MS_PER_S + (seconds < 0 ? -0.5 : 0.5));
	return end > text && *end == '\0';
}

static bool add_rule(char to[TEXT_MAX], const char *rule)
{
	size_t n = strlen(to);

	return snprintf(to + n, TEXT_MAX - n, "rule %s\n", rule) < (int)(TEXT_MAX - n);
}

/* A line of the situation, not of what is expected. */
static bool set_line(struct play *play, const char *line)
{
	static const char *const marks[PART_COUNT] = {">", "<", ">>", "<<"};
	const char *rest;

	for (unsigned i = 0; i < PART_COUNT; i++) {
		char *text = play->text[i];

		if (!(rest = after(line, marks[i])))
			continue;
		if (strlen(text) + strlen(rest) + 2 > TEXT_MAX)
			refuse(play, "too long");
		strcat(strcat(text, rest), "\n");
		return true;
	}
	if ((rest = after(line, "option:")))
		return play_option(play, rest);
	if ((rest = after(line, "rule:")))
		return add_rule(play->rules, rest);
	if ((rest = after(line, "reload:")))
		return add_rule(play->reloaded_rules, rest);
	if ((rest = after(line, "delay:")))
		return read_seconds(rest, &play->delay_ms);
	if ((rest = after(line, "after:")))
		return read_seconds(rest, &play->after_ms);
	if ((rest = after(line, "wall:")))
		return sscanf(rest, "%lld", &play->wall_s) == 1;
	if ((rest = after(line, "background:")))
		return play->background = strcmp(rest, "yes") == 0;
	if ((rest = after(line, "restored:")))
		return play->restored = read_seconds(rest, &play->restored_ms);
	return false;
}

static bool is_expectation(const char *line, unsigned *ret_i, const char **ret_value)
{
	for (unsigned i = 0; i < sizeof(expectations) / sizeof(*expectations); i++) {
		size_t n = strlen(expectations[i].name);

		if (strncmp(line, expectations[i].name, n) == 0 && line[n] == ':') {
			*ret_i = i;
			*ret_value = line + n + 1 + strspn(line + n + 1, " ");
			return true;
		}
	}
	return false;
}

static void expect_line(struct play *play, unsigned i, const char *expected)
{
	char actual[VALUE_MAX];

	play->expectations++;
	expectations[i].tell(play, actual);
	if (strcmp(actual, expected) != 0)
		refuse(play, "%s: expected \"%s\", is \"%s\"", expectations[i].name, expected,
		       actual);
}

/* Braces are dates, but in rules. */
static bool read_line(struct slice line, char to[TEXT_MAX])
{
	bool is_rule = line.n > 7 &&
		       (memcmp(line.p, "rule:", 5) == 0 || memcmp(line.p, "reload:", 7) == 0);

	if (!is_rule)
		return vectors_expand(line, RECEIPT_S, to, TEXT_MAX);
	return snprintf(to, TEXT_MAX, "%.*s", SLICE_ARG(line)) < TEXT_MAX;
}

/* Each line of the block, dates put in; those of the situation first, then what is expected. */
static void play_lines(struct play *play, bool expecting)
{
	struct slice rest = play->vector->text;
	struct slice line;

	for (play->line = play->vector->line + 1; heads_take_line(&rest, &line); play->line++) {
		char text[TEXT_MAX];
		const char *value;
		unsigned i;

		if (line.n == 0 || line.p[0] == '#')
			continue;
		if (!read_line(line, text))
			refuse(play, "bad date or too long: %.*s", SLICE_ARG(line));
		if (is_expectation(text, &i, &value)) {
			if (expecting)
				expect_line(play, i, value);
		} else if (!expecting && !set_line(play, text)) {
			refuse(play, "not understood: %s", text);
		}
	}
}

/* The second request asks for the same, unless it says something else. */
static void default_heads(struct play *play)
{
	if (!*play->text[FETCHED])
		strcpy(play->text[FETCHED], "GET http://example.com/\n");
	if (!*play->text[ASKED]) {
		const char *end = strchr(play->text[FETCHED], '\n');

		memcpy(play->text[ASKED], play->text[FETCHED],
		       (size_t)(end + 1 - play->text[FETCHED]));
	}
	if (!*play->text[ANSWER])
		strcpy(play->text[ANSWER], "204\n");
	if (!*play->text[SECOND])
		strcpy(play->text[SECOND], "204\n");
}

static void parse_heads(struct play *play)
{
	default_heads(play);
	if (!request_head_parse(slice_str(play->text[FETCHED]), &play->fetched))
		refuse(play, "no request head: %s", play->text[FETCHED]);
	if (!response_head_parse(slice_str(play->text[ANSWER]), &play->answer))
		refuse(play, "no response head: %s", play->text[ANSWER]);
	if (!request_head_parse(slice_str(play->text[ASKED]), &play->asked))
		refuse(play, "no request head: %s", play->text[ASKED]);
	if (!response_head_parse(slice_str(play->text[SECOND]), &play->second))
		refuse(play, "no response head: %s", play->text[SECOND]);
	guarded_fields(&play->fetched.req.fields);
	guarded_fields(&play->answer.res.fields);
	guarded_fields(&play->asked.req.fields);
	guarded_fields(&play->second.res.fields);
}

static void choose_rules(struct play *play)
{
	if (*play->rules && !test_conf_rules(play->conf, play->rules))
		refuse(play, "rules that are wrong");
	if (*play->reloaded_rules) {
		play->reloaded = test_conf_new();
		if (!test_conf_rules(play->reloaded, play->reloaded_rules))
			refuse(play, "rules that are wrong");
	}
	policy_choose_rule(&play->fetched.req, play->conf);
	policy_choose_rule(&play->asked.req, play->reloaded != NULL ? play->reloaded : play->conf);
}

/* Of every vector: it bars exactly what is not stored. */
static void look_at(struct play *play, const struct exchange_times *times)
{
	bool bars = false;

	lint_response(&play->fetched.req, &play->answer.res, times, play->conf, &play->lint);
	for (enum lint_id id = 0; id < LINT_COUNT; id++)
		bars |= lint_has(&play->lint, id) && lint_row(id)->level == LINT_BARS;
	if (bars == play->stored || play->lint.stored != play->stored ||
	    play->lint.why != play->why)
		refuse(play, "the linter %s what the policy %s (%s)", bars ? "bars" : "allows",
		       play->stored ? "stores" : "does not store", reason_token(play->why));
}

static void store(struct play *play)
{
	const struct http_field *etag;
	struct exchange_times times = {
		.request_steady_ms = RECEIPT_S * MS_PER_S - play->delay_ms,
		.delay_ms = play->delay_ms,
		.response = {.wall_s = RECEIPT_S, .steady_ms = RECEIPT_S * MS_PER_S},
	};

	play->now.wall_s = RECEIPT_S + play->after_ms / MS_PER_S + play->wall_s;
	play->now.steady_ms = times.response.steady_ms + play->after_ms;
	if (play->restored)
		play->now.restored_ms = times.response.steady_ms + play->restored_ms;
	play->stored = policy_may_store(&play->fetched.req, &play->answer.res, &times, play->conf,
					&play->meta, &play->why);
	look_at(play, &times);
	etag = http_fields_first(&play->answer.res.fields, FIELD_ETAG);
	play->etag = etag ? etag->value : slice_of(NULL, 0);
}

static int begin_play(void **state)
{
	struct play *play = calloc(1, sizeof(*play));

	play->vector = *state;
	play->conf = test_conf_new();
	*state = play;
	return 0;
}

static int end_play(void **state)
{
	struct play *play = *state;

	test_conf_free(play->conf);
	if (play->reloaded != NULL)
		test_conf_free(play->reloaded);
	free(play);
	guarded_end();
	return 0;
}

static void play_vector(void **state)
{
	struct play *play = *state;

	play->line = play->vector->line;
	if (!vectors_title_is_good(play->vector->title))
		refuse(play, "a file without case, or a title unlike \"RFC 9111 3 MUST: ...\"");
	play_lines(play, false);
	parse_heads(play);
	choose_rules(play);
	store(play);
	play_lines(play, true);
	if (play->expectations == 0)
		refuse(play, "nothing is expected");
}

int main(int argc, char **argv)
{
	static struct vector *vectors;
	size_t count = vectors_read(argc > 1 ? argv[1] : "tests/vectors/*.txt", &vectors);
	struct CMUnitTest *tests = calloc(count + 1, sizeof(*tests));
	int failed;

	if (count == 0) {
		fprintf(stderr, "no vectors; run this from the root of the tree\n");
		return 1;
	}
	for (size_t i = 0; i < count; i++)
		tests[i] = (struct CMUnitTest){vectors[i].place, play_vector, begin_play, end_play,
					       &vectors[i]};
	failed = _cmocka_run_group_tests("vectors", tests, count, NULL, NULL);
	printf("vectors: %zu cases\n", count);
	free(tests);
	return failed ? 1 : 0;
}
