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
		{"edges.json", "top-edges-80.txt", 80, 0, 60, TOP_HOSTS},
		{"edges.json", "top-edges-90.txt", 90, 0, 0, TOP_URLS},
		{"edges.json", "top-edges-119.txt", 119, 0, 3600, TOP_ERRORS},
		{"edges.json", "top-edges-120.txt", 120, 0, 0, TOP_HOSTS},
		{"edges.json", "top-edges-140.txt", 140, 30, 60, TOP_WHY},
		{"failing.json", "top-hosts-150.txt", 150, 30, 60, TOP_HOSTS},
		{"edges.json", "top-edges-urls-130.txt", 130, 20, 60, TOP_URLS},
		{"edges.json", "top-edges-120x40.txt", 120, 40, 60, TOP_ERRORS},
		{"edges.json", "top-edges-40.txt", 40, 0, 60, TOP_HOSTS},
		{"quiet.json", "top-quiet-80.txt", 80, 0, 3600, TOP_HOSTS},
		{"quiet.json", "top-quiet-120.txt", 120, 0, 3600, TOP_WHY},
		{"empty.json", "top-empty-80.txt", 80, 24, 60, TOP_HOSTS},
		{"empty.json", "top-empty-120.txt", 120, 0, 60, TOP_HOSTS},
		{"stale.json", "top-stale-80.txt", 80, 16, 60, TOP_ERRORS},
		{"stale.json", "top-stale-120.txt", 120, 0, 60, TOP_ERRORS},
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

/* What is said of a key stands in the place of the keys, and of a pause in that of the clock. */
static void test_states(void **state)
{
	static const struct {
		const char *text;
		unsigned width;
		struct top_state state;
	} rows[] = {
		{"top-paused-80.txt",
		 80,
		 {.window_s = 60,
		  .is_paused = true,
		  .has_keys = true,
		  .message = "mark \001 is set"}},
		{"top-paused-120.txt",
		 120,
		 {.window_s = 1, .is_paused = true, .message = "not shown"}},
		{"top-trouble-80.txt",
		 80,
		 {.window_s = 60, .trouble = "no\nanswer", .has_keys = true}},
		{"top-trouble-120.txt", 120, {.window_s = 60, .trouble = "no answer"}},
	};
	struct json *dash = read_json("normal.json");

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = view(dash, &rows[i].state, rows[i].width, 22);

		compare(rows[i].text, text);
		free(text);
	}
	json_free(dash);
}

/* Of a name its middle goes, of a short one its end, and all of it where there is no room. */
static void test_names_in_little_room(void **state)
{
	static const struct {
		const char *cause, *expected;
		unsigned width;
	} rows[] = {
		{"x", "x  a.example/b", 45},
		{"x", "x  a.example/b", 44},
		{"x", "x  a.ex..le/b", 43},
		{"x", "x  a.e..le/b", 42},
		{"x", "x  a.e..e/b", 41},
		{"x", "x  a...e/b", 40},
		{"x", "x  a.exam", 39},
		{"x", "x  a", 34},
		{"x", "x", 33},
		{"x", "x", 32},
		{"abcdefghi", "abcdefghi", 40},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct top_state top = {.window_s = 60, .list = TOP_ERRORS};
		char answer[256], *text, *row;
		struct json *dash;
		size_t n;

		snprintf(answer, sizeof(answer),
			 "{\"now_ms\": 1000, \"errors_recent\": [{\"failure\": \"%s\", \"uri\": "
			 "\"http://a.example/b\", \"n\": 3, \"last_ms\": 0}]}",
			 rows[i].cause);
		dash = json_read(slice_str(answer));
		assert_non_null(dash);
		text = view(dash, &top, rows[i].width, 0);
		row = strstr(text, "\n now ");
		assert_non_null(row);
		row += 11;
		row[strcspn(row, "\n")] = '\0';
		n = strlen(row);
		assert_string_equal(row + n - 6, " 3   -");
		for (n -= 6; n > 0 && row[n - 1] == ' ';)
			n--;
		row[n] = '\0';
		assert_string_equal(row, rows[i].expected);
		free(text);
		json_free(dash);
	}
}

/* Errors stand below the list of a wide page only when there are some. */
static void test_errors_below(void **state)
{
	static const struct {
		const char *errors;
		enum top_list list;
		bool shown;
	} rows[] = {
		{"", TOP_HOSTS, false},
		{", \"errors_recent\": []", TOP_HOSTS, false},
		{", \"errors_recent\": [{\"failure\": \"x\", \"n\": 3}]", TOP_HOSTS, true},
		{", \"errors_recent\": [{\"failure\": \"x\", \"n\": 3}]", TOP_WHY, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (unsigned height = 0; height <= 40; height += 40) {
			struct top_state top = {.window_s = 60, .list = rows[i].list};
			char answer[256], *text;
			struct json *dash;

			snprintf(answer, sizeof(answer),
				 "{\"now_ms\": 1000, \"share\": {\"w0\": 0.5}%s}", rows[i].errors);
			dash = json_read(slice_str(answer));
			assert_non_null(dash);
			text = view(dash, &top, 120, height);
			assert_int_equal(strstr(text, "CLIENT GOT") != NULL, rows[i].shown);
			free(text);
			json_free(dash);
		}
}

static void compare_row(unsigned row, bool colours, const char *expected)
{
	struct buf out = {0};

	assert_true(canvas_write_row(&canvas, row, colours, &out));
	assert_int_equal(buf_length(&out), strlen(expected));
	assert_memory_equal(buf_waiting(&out).p, expected, strlen(expected));
	buf_free(&out);
}

/* Signs have the tone that they were put with; blanks have none, and none is left behind a row. */
static void test_canvas(void **state)
{
	(void)state;
	canvas_begin(&canvas, 10);
	assert_int_equal(canvas.rows, 0);
	assert_int_equal(canvas_put(&canvas, 1, 0, TONE_STRONG, "a b"), 3);
	assert_int_equal(canvas_put(&canvas, 1, 4, TONE_STRONG, "c"), 5);
	canvas_put(&canvas, 1, 5, TONE_BAD, "d");
	canvas_put(&canvas, 1, 6, TONE_PLAIN, "e");
	canvas_put(&canvas, 1, 8, TONE_PLAIN, "long");
	assert_int_equal(canvas.rows, 2);
	compare_row(0, true, "");
	compare_row(1, false, "a b cde lo");
	compare_row(1, true, "\033[0;1ma b c\033[0;1;31md\033[0me lo");
	canvas_put(&canvas, 2, 0, TONE_FAINT, "\037 ~\177\200");
	canvas_put(&canvas, 2, 5, TONE_HERE, "h");
	canvas_put(&canvas, 2, 6, TONE_ORIGIN, "o");
	compare_row(2, true, "\033[0;2m? ~??\033[0;34mh\033[0;33mo\033[0m");
	canvas_put_right(&canvas, 3, 10, TONE_PLAIN, "right");
	canvas_put_right(&canvas, 4, 5, TONE_PLAIN, "right");
	canvas_put_right(&canvas, 5, 4, TONE_PLAIN, "right");
	assert_int_equal(canvas.rows, 5);
	compare_row(3, true, "     right");
	compare_row(4, true, "right");
	assert_int_equal(canvas_fill(&canvas, 5, 2, 3, TONE_PLAIN, '='), 5);
	assert_int_equal(canvas_fill(&canvas, 5, 6, 0, TONE_PLAIN, '='), 6);
	compare_row(5, true, "  ===");
	canvas_put(&canvas, CANVAS_ROWS - 1, 0, TONE_PLAIN, "x");
	canvas_put(&canvas, CANVAS_ROWS, 0, TONE_PLAIN, "y");
	assert_int_equal(canvas.rows, CANVAS_ROWS);
	compare_row(CANVAS_ROWS - 1, true, "x");
	compare_row(CANVAS_ROWS, true, "");
	canvas_begin(&canvas, CANVAS_COLUMNS + 1);
	assert_int_equal(canvas.width, CANVAS_COLUMNS);
	canvas_put_right(&canvas, 0, CANVAS_COLUMNS, TONE_PLAIN, "x");
	compare_row(1, true, "");
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
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_names_in_little_room),
		cmocka_unit_test(test_errors_below),
		cmocka_unit_test(test_canvas),
		cmocka_unit_test(test_only_printable_ascii),
		cmocka_unit_test(test_what_is_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
