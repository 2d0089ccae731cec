/* LINKS: proxy/cli */
/*
 * What `cache204 top` shows: answers of tests/vectors/dash, laid out for a size, are the texts beside
 * them; and whatever an answer has, only printable ASCII is shown, in no more rows than there are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/cli/top_view.h"

static struct canvas canvas;

static char *read_file(const char *name, size_t *ret_length)
{
	char path[128], *text;
	FILE *file;
	long length;

	snprintf(path, sizeof(path), "tests/vectors/dash/%s", name);
	file = fopen(path, "rb");
	if (file == NULL)
		fail_msg("%s is not there", path);
	fseek(file, 0, SEEK_END);
	length = ftell(file);
	rewind(file);
	text = calloc(1, (size_t)length + 1);
	assert_int_equal(fread(text, 1, (size_t)length, file), length);
	fclose(file);
	*ret_length = (size_t)length;
	return text;
}

static struct json *read_json(const char *name)
{
	size_t length;
	char *text = read_file(name, &length);
	struct json *json = json_read(slice_of(text, length));

	free(text);
	assert_non_null(json);
	return json;
}

/* The caller frees it. */
static char *view(const struct json *dash, const struct top_state *state, unsigned width,
		  unsigned height)
{
	struct buf out = {0};
	char *text;

	canvas_begin(&canvas, width);
	top_view(dash, state, height, &canvas);
	for (unsigned row = 0; row < canvas.rows; row++) {
		assert_true(canvas_write_row(&canvas, row, false, &out));
		assert_true(buf_append(&out, SLICE("\n")));
	}
	text = calloc(1, buf_length(&out) + 1);
	memcpy(text, buf_waiting(&out).p, buf_length(&out));
	buf_free(&out);
	return text;
}

/* Set to leave the texts as they are now in place of those that are there. */
static void compare(const char *name, const char *text)
{
	size_t length;
	char *expected;

	if (getenv("TOP_VIEW_WRITE") != NULL) {
		char path[128];
		FILE *file;

		snprintf(path, sizeof(path), "tests/vectors/dash/%s", name);
		file = fopen(path, "wb");
		assert_non_null(file);
		fputs(text, file);
		fclose(file);
	}
	expected = read_file(name, &length);
	if (strcmp(expected, text) != 0)
		fail_msg("%s is other than:\n%s", name, text);
	free(expected);
}

static void test_texts(void **state)
{
	static const struct {
		const char *json, *text;
		unsigned width, height, window_s;
		enum top_list list;
	} rows[] = {
		{"normal.json", "top-80x24.txt", 80, 24, 60, TOP_HOSTS},
		{"failing.json", "top-120x40.txt", 120, 40, 60, TOP_HOSTS},
		{"failing.json", "top-failing-80x24.txt", 80, 24, 3600, TOP_HOSTS},
		{"normal.json", "top-urls-100x30.txt", 100, 30, 60, TOP_URLS},
		{"normal.json", "top-why-80x30.txt", 80, 30, 60, TOP_WHY},
		{"failing.json", "top-errors-80x24.txt", 80, 24, 0, TOP_ERRORS},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct json *dash = read_json(rows[i].json);
		struct top_state top = {.window_s = rows[i].window_s,
					.list = rows[i].list,
					.order = "requests",
					.has_keys = true};
		char *text = view(dash, &top, rows[i].width, rows[i].height);

		compare(rows[i].text, text);
		free(text);
		json_free(dash);
	}
}

static unsigned count_rows(const char *text)
{
	unsigned rows = 0;

	for (; *text != '\0'; text++)
		rows += *text == '\n';
	return rows;
}

/* Rows go from below, and the keys stay; no line is longer than the terminal. */
static void test_any_size(void **state)
{
	struct json *dash = read_json("failing.json");
	struct top_state top = {.window_s = 60, .order = "requests", .has_keys = true};

	(void)state;
	for (unsigned width = 40; width <= 200; width += 20)
		for (unsigned height = TOP_MIN_HEIGHT; height <= 60; height++)
			for (enum top_list list = TOP_HOSTS; list <= TOP_ERRORS; list++) {
				char *text, *line;

				top.list = list;
				text = view(dash, &top, width, height);
				line = text;
				assert_int_equal(count_rows(text), height);
				assert_memory_equal(text, "cache204", 8);
				assert_non_null(strstr(text, "h hosts"));
				while (*line != '\0') {
					size_t n = strcspn(line, "\n");

					assert_true(n <= width);
					line += n + 1;
				}
				free(text);
			}
	json_free(dash);
}

static void test_no_answer(void **state)
{
	struct top_state top = {.window_s = 60, .trouble = "127.0.0.1:1: Connection refused"};
	struct json *dash = read_json("normal.json");
	char *text = view(NULL, &top, 80, 24);

	(void)state;
	assert_non_null(
		strstr(text, "??  Nothing is known yet.\n    127.0.0.1:1: Connection refused"));
	free(text);
	text = view(dash, &top, 80, 24);
	assert_non_null(strstr(text, "??  Not known since 14:12:11.\n"));
	assert_non_null(strstr(text, "402 310"));
	assert_null(strstr(text, "Nothing needs you"));
	free(text);
	json_free(dash);
}

static void test_only_printable_ascii(void **state)
{
	static const char hostile[] =
		"{\"now_ms\": 1, \"name\": \"\\u001b[31m\\u0000\", \"version\": "
		"\"\\u00e9\\u202e\\n\", "
		"\"notes\": [{\"level\": \"bad\", \"text\": "
		"\"\\u001b]0;x\\u0007\\r\\n\\u009b2J\"}], "
		"\"answers204\": {\"fresh\": 1, \"shared\": 1, \"stale\": 1, \"confirmed\": 1, "
		"\"fetched\": 1}, \"hosts\": [{\"host\": \"\\u001b[2J\", \"here\": 1, \"asked\": "
		"1, "
		"\"requests\": 1, \"state\": \"\\u001bc\"}], \"errors_recent\": [{\"failure\": "
		"\"\\u001b\", \"uri\": \"http://\\u007f/\\t\"}], \"asked\": [{\"reason\": \"\\b\", "
		"\"n\": 2}]}";
	struct json *dash = json_read(SLICE(hostile));
	struct top_state top = {.window_s = 60};

	(void)state;
	assert_non_null(dash);
	for (enum top_list list = TOP_HOSTS; list <= TOP_ERRORS; list++)
		for (unsigned width = 80; width <= 120; width += 40) {
			char *text;

			top.list = list;
			text = view(dash, &top, width, 0);
			for (const char *c = text; *c != '\0'; c++)
				assert_true(*c == '\n' || (*c >= ' ' && *c <= '~'));
			free(text);
		}
	json_free(dash);
}

/* Nothing of an answer has to be there, or of the kind that it is today. */
static void test_what_is_not_there(void **state)
{
	static const char *const answers[] = {
		"{}",
		"{\"hosts\": 7, \"asked\": {}, \"notes\": \"x\", \"history\": [], "
		"\"errors_recent\": [7]}",
		"{\"hosts\": [null, {}], \"asked\": [{}], \"notes\": [{}, 7], \"history\": "
		"{\"step_s\": 0.001, \"columns\": {\"fresh\": [null, 1e300, -1]}}, \"now_ms\": "
		"1e300}",
		"{\"answers204\": {\"fresh\": 1e308, \"shared\": 1e308, \"stale\": 1e308, "
		"\"confirmed\": 1e308, \"fetched\": 1e308}, \"window_s\": 1e-300, \"requests\": "
		"1e308}",
	};
	struct top_state top = {.window_s = 60, .has_keys = true};

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		for (unsigned width = 80; width <= 120; width += 40) {
			struct json *dash = json_read(slice_str(answers[i]));
			char *text;

			assert_non_null(dash);
			text = view(dash, &top, width, 40);
			assert_null(strstr(text, "nan"));
			assert_null(strstr(text, "inf"));
			free(text);
			json_free(dash);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_any_size),
		cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_only_printable_ascii),
		cmocka_unit_test(test_what_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
