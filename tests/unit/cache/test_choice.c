/* LINKS: cache */
/*
 * Plays the cases of tests/vectors/choice/: which of several stored responses answers.
 *
 *	# RFC 9111 4.1 SHOULD vary: ...		title: section, level, what holds
 *	option: language_select = on		options over the defaults
 *	> GET http://example.com/		the request that fetched the first response
 *	> X-A: 1
 *	< 204					the response, and so on; each is received a second
 *	< Vary: X-A				after the one before it, the first at {now}
 *	>> GET http://example.com/		the request that asks
 *	>> X-A: 1
 *	chosen: 1				what answers it: the how many-th response; no-match,
 *none
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "cache/record/entry.h"
#include "tests/support/heads.h"
#include "tests/support/test_conf.h"
#include "tests/support/vectors.h"

#define RECEIPT_S ((int64_t)1939639200)

enum { TEXT_MAX = 4096, RECORDS_MAX = 8, RECORD_ROOM = 8192 };

static const struct slice uri = {"http://example.com/", 19};
static const struct record_cutoff none_absent;

struct play {
	const struct vector *vector;
	struct conf *conf;
	char fetched[TEXT_MAX], answer[TEXT_MAX], asked[TEXT_MAX];
	_Alignas(8) char records[RECORDS_MAX][RECORD_ROOM];
	struct slice record[RECORDS_MAX];
	unsigned count;
	_Alignas(8) char halves[2][ENTRY_SIZE_MAX];
	struct slice entry;
	bool expected;
};

#define refuse(play, ...)                                               \
	do {                                                            \
		print_error(__VA_ARGS__);                               \
		print_error("\n");                                      \
		_fail((play)->vector->file, (int)(play)->vector->line); \
	} while (0)

static void put(struct play *play)
{
	unsigned i = play->count++;
	char *to = play->records[i], *half = play->halves[i % 2];
	int64_t now_s = RECEIPT_S + i;
	struct exchange_times times = {
		.request_steady_ms = now_s * 1000,
		.response = {.wall_s = now_s, .steady_ms = now_s * 1000},
	};
	static struct request_head request;
	static struct response_head response;
	struct record_meta meta;
	enum reason why;
	size_t n;

	if (!request_head_parse(slice_str(play->fetched), &request) ||
	    !response_head_parse(slice_str(play->answer), &response))
		refuse(play, "no heads:\n%s%s", play->fetched, play->answer);
	if (!policy_may_store(&request.req, &response.res, &times, play->conf, &meta, &why))
		refuse(play, "not stored: %s", reason_token(why));
	n = record_write(&request.req, &response.res, &meta, uri, to, RECORD_ROOM);
	play->record[i] = slice_of(to, n);
	n = entry_put(play->entry, uri, play->record[i], (uint32_t)play->conf->variants, half,
		      ENTRY_SIZE_MAX);
	if (n == 0)
		refuse(play, "no room for the record");
	play->entry = slice_of(half, n);
	play->fetched[0] = play->answer[0] = '\0';
}

static void choose(struct play *play, char *to, size_t size)
{
	static struct request_head request;
	struct record_view view;

	if (!request_head_parse(slice_str(play->asked), &request))
		refuse(play, "no head: %s", play->asked);
	switch (entry_select(play->entry, uri, &request.req, play->conf->language_select,
			     &none_absent, &view)) {
	case ENTRY_NONE:
		snprintf(to, size, "none");
		return;
	case ENTRY_NO_MATCH:
		snprintf(to, size, "no-match");
		return;
	case ENTRY_DAMAGED:
		snprintf(to, size, "damaged");
		return;
	case ENTRY_SELECTED:
		break;
	}
	for (unsigned i = 0; i < play->count; i++)
		if (slice_eq(record_bytes(&view), play->record[i]))
			snprintf(to, size, "%u", i + 1);
}

/* The text behind a mark and a space; NULL when the line begins otherwise. */
static const char *after(const char *line, const char *mark)
{
	size_t n = strlen(mark);

	return strncmp(line, mark, n) == 0 && line[n] == ' ' ? line + n + 1 : NULL;
}

static void add(struct play *play, char text[TEXT_MAX], const char *line)
{
	if (strlen(text) + strlen(line) + 2 > TEXT_MAX)
		refuse(play, "too long");
	strcat(strcat(text, line), "\n");
}

static void set_option(struct play *play, const char *setting)
{
	char name[256], value[256];

	if (sscanf(setting, "%255[a-z_] = %255[^\n]", name, value) != 2 ||
	    !test_conf_set(play->conf, name, value))
		refuse(play, "no option: %s", setting);
}

static void expect(struct play *play, const char *expected)
{
	char actual[32] = "";

	play->expected = true;
	choose(play, actual, sizeof(actual));
	if (strcmp(actual, expected) != 0)
		refuse(play, "chosen: expected \"%s\", is \"%s\"", expected, actual);
	play->asked[0] = '\0';
}

static void play_line(struct play *play, const char *line)
{
	const char *rest;

	if (play->answer[0] != '\0' && after(line, "<") == NULL)
		put(play);
	if (play->count == RECORDS_MAX && after(line, "<") != NULL)
		refuse(play, "too many responses");
	if ((rest = after(line, ">>")) != NULL)
		add(play, play->asked, rest);
	else if ((rest = after(line, ">")) != NULL)
		add(play, play->fetched, rest);
	else if ((rest = after(line, "<")) != NULL)
		add(play, play->answer, rest);
	else if ((rest = after(line, "option:")) != NULL)
		set_option(play, rest);
	else if ((rest = after(line, "chosen:")) != NULL)
		expect(play, rest);
	else
		refuse(play, "not understood: %s", line);
}

static void play_vector(void **state)
{
	const struct vector *vector = *state;
	struct play *play = calloc(1, sizeof(*play));
	struct slice rest = vector->text, line;
	char text[TEXT_MAX];

	play->vector = vector;
	play->conf = test_conf_new();
	if (!vectors_title_is_good(vector->title))
		refuse(play, "a file without case, or a title unlike \"RFC 9111 3 MUST: ...\"");
	while (heads_take_line(&rest, &line)) {
		if (line.n == 0 || line.p[0] == '#')
			continue;
		if (!vectors_expand(line, RECEIPT_S, text, sizeof(text)))
			refuse(play, "bad date or too long: %.*s", SLICE_ARG(line));
		play_line(play, text);
	}
	if (!play->expected)
		refuse(play, "nothing is expected");
	test_conf_free(play->conf);
	free(play);
}

int main(int argc, char **argv)
{
	static struct vector *vectors;
	size_t count = vectors_read(argc > 1 ? argv[1] : "tests/vectors/choice/*.txt", &vectors);
	struct CMUnitTest *tests = calloc(count + 1, sizeof(*tests));
	int failed;

	if (count == 0) {
		fprintf(stderr, "no vectors; run this from the root of the tree\n");
		return 1;
	}
	for (size_t i = 0; i < count; i++)
		tests[i] =
			(struct CMUnitTest){vectors[i].place, play_vector, NULL, NULL, &vectors[i]};
	failed = _cmocka_run_group_tests("choice", tests, count, NULL, NULL);
	free(tests);
	return failed;
}
