/* LINKS: proxy/stats */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/stats/accesslog.h"

static char directory[] = "/tmp/test_accesslog.XXXXXX";
static char path[64], moved[64];

static int make_directory(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/log", directory);
	snprintf(moved, sizeof(moved), "%s/log.1", directory);
	return 0;
}

static int remove_files(void **state)
{
	(void)state;
	unlink(path);
	unlink(moved);
	stats->log_dropped = 0;
	return 0;
}

static int remove_directory(void **state)
{
	(void)state;
	return rmdir(directory);
}

static struct accesslog_entry sample(void)
{
	return (struct accesslog_entry){
		.wall_ms = INT64_C(1700000000042),
		.elapsed_us = 12345,
		.client = SLICE("127.0.0.1"),
		.client_port = 40000,
		.method = SLICE("GET"),
		.target = SLICE("http://example.org/a?b=c"),
		.target_read = true,
		.status = 204,
		.bytes_in = 100,
		.bytes_out = 200,
		.outcome = OUTCOME_MISS,
		.why = REASON_NO_RECORD,
		.stored = true,
		.origin = SLICE("192.0.2.1:80"),
		.user_agent = SLICE("curl/8"),
	};
}

/* The line of an entry, without its end. */
static const char *line_of(const char *format, const struct accesslog_entry *entry)
{
	static char line[LOG_LINE_LENGTH + 1];
	static struct accesslog_format parsed;
	struct accesslog_entry copy = *entry;
	struct diagnostic error;
	char *end;

	if (!log_format_parse(format, &parsed.form, &error))
		fail_msg("%s", error.text);
	end = accesslog_line(&parsed, line, &copy);
	assert_int_equal(end[-1], '\n');
	end[-1] = '\0';
	assert_int_equal(strlen(line), end - line - 1);
	return line;
}

/* Whole contents of a file, to be freed. */
static char *contents(const char *name)
{
	FILE *file = fopen(name, "r");
	assert_non_null(file);
	char *text = NULL;
	size_t size = 0;
	if (getdelim(&text, &size, '\0', file) < 0)
		text[0] = '\0';
	fclose(file);
	return text;
}

static unsigned lines_in(const char *name)
{
	unsigned lines = 0;
	char *text = contents(name);
	for (const char *p = text; (p = strchr(p, '\n')); p++)
		lines++;
	free(text);
	return lines;
}

/* ---- Form ----------------------------------------------------------------------------------- */

static void test_a_json_line(void **state)
{
	(void)state;
	struct accesslog_entry entry = sample();
	assert_string_equal(
		line_of("json", &entry),
		"{\"time\":\"2023-11-14T22:13:20.042Z\",\"client\":\"127.0.0.1\","
		"\"client_port\":40000,\"method\":\"GET\",\"target\":\"http://example.org/a?b=c\","
		"\"status\":204,\"elapsed_us\":12345,\"bytes_in\":100,\"bytes_out\":200,"
		"\"outcome\":\"miss\",\"reason\":\"no-record\",\"stored\":true,"
		"\"origin\":\"192.0.2.1:80\",\"user_agent\":\"curl/8\"}");
}

/* A slow reader's time has a field of its own, when there is any. */
static void test_held(void **state)
{
	struct accesslog_entry entry = sample();

	(void)state;
	assert_null(strstr(line_of("json", &entry), "held_us"));
	entry.held_us = 7000000;
	assert_non_null(strstr(line_of("json", &entry),
			       "\"elapsed_us\":12345,\"held_us\":7000000,\"bytes_in\":"));
	entry.held_us = -1;
	assert_null(strstr(line_of("json", &entry), "held_us"));
}

/* What the log shows of a target, as "target|shown"; of one that was understood, or was not. */
static void assert_shown(const char *target, bool read, const char *shown)
{
	struct accesslog_entry entry = sample();
	char expected[4096];

	entry.target = slice_str(target);
	entry.target_read = read;
	snprintf(expected, sizeof(expected), "\"target\":\"%s\",", shown);
	assert_non_null(strstr(line_of("json", &entry), expected));
}

/* HAZARDS M3: nothing of the authority, wherever the name and password may be in it. */
static void test_a_target_that_was_not_understood(void **state)
{
	static const char *const cases[][2] = {
		{"ftp://alice:s3cret@h/x?y", "ftp://***/x?y"},
		{"ws://alice:s3cret@h", "ws://***"},
		{"http://alice:s3c/ret@h:8/x", "http://***/x"},
		{"http://alice:s3c?r#et@h/x", "http://***/x"},
		{"http://alice:s3cret@h@h/x", "http://***/x"},
		{"http://alice:s3cret", "http://***"},
		{"http://alice:s3cret%40h/x", "http://***/x"},
		{"http://h/s3cret:x@y/z", "http://***/z"},
		{"http:/alice:s3cret@h/x", "http:/***/x"},
		{"http:///alice:s3cret/x", "http:///***/x"},
		{"http:\\\\alice:s3cret\\x", "http:\\\\\\\\***\\\\x"},
		{"//alice:s3cret@h/x", "//***/x"},
		{"http:alice:s3cret@h/x", "***"},
		{"alice:s3cret@h:443", "***"},
		{"alice:s3cret", "***"},
		{" http://alice:s3cret@h/ x", "***"},
		{"ht!tp://alice:s3cret@h/", "***"},
		{"http://", "http://***"},
		{"/a#b", "/a#b"},
		{"/a#b//alice:s3cret@h/c", "/***/c"},
		{"http://h/?u=ftp://alice:s3cret@h/x", "http://***/x"},
		{"*", "***"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_shown(cases[i][0], false, cases[i][1]);
}

static void test_a_target_that_was_understood(void **state)
{
	static const char *const cases[][2] = {
		{"http://h/a@b", "http://h/a@b"},
		{"http://h/?q=a@b/c", "http://h/?q=a@b/c"},
		{"/http://alice:s3cret@h/x", "/http://***@h/x"},
		{"http://h/ftp://a:s3cret@b//c:s3cret@d?e", "http://h/ftp://***@b//***@d?e"},
		{"http://h//a/b@c", "http://h//a/b@c"},
		{"http://h/?u=http://a:s3@cret@h", "http://h/?u=http://***@h"},
		{"*", "*"},
		{"h:443", "h:443"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_shown(cases[i][0], true, cases[i][1]);
}

/* Requests of a gateway name no host that counts: their origin stands before the path. */
static void test_a_target_of_a_gateway(void **state)
{
	static const char *const cases[][2] = {
		{"/a?b", "https://api.example.com:8443/a?b"},
		{"/", "https://api.example.com:8443/"},
		{"*", "https://api.example.com:8443"},
		{"http://other.example/x", "http://other.example/x"},
		{"/to//alice:s3cret@h/x", "https://api.example.com:8443/to//***@h/x"},
		{"", ""},
		{"a", "a"},
	};
	static char target[5000];
	struct accesslog_entry entry = sample();

	(void)state;
	entry.origin_uri = SLICE("https://api.example.com:8443");
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char expected[4096];

		entry.target = slice_str(cases[i][0]);
		snprintf(expected, sizeof(expected), "\"target\":\"%s\",", cases[i][1]);
		assert_non_null(strstr(line_of("json", &entry), expected));
		snprintf(expected, sizeof(expected), " GET %s ", *cases[i][1] ? cases[i][1] : "-");
		assert_non_null(strstr(line_of("squid", &entry), expected));
	}
	memset(target, 'a', sizeof(target));
	target[0] = '/';
	for (size_t n = 2000; n < sizeof(target); n += 7) {
		entry.target = slice_of(target, n);
		assert_int_equal(strstr(line_of("squid", &entry), "a... ") != NULL,
				 n + entry.origin_uri.n > 2048);
	}
}

/* The password is not what is left when the log cuts a target. */
static void test_a_long_target_is_masked_before_it_is_cut(void **state)
{
	static char target[10000];
	struct accesslog_entry entry = sample();
	const char *line;

	(void)state;
	memset(target, 's', sizeof(target));
	memcpy(target, "http://h/ftp://", 15);
	target[9000] = '@';
	entry.target = slice_of(target, sizeof(target));
	line = line_of("json", &entry);
	assert_non_null(strstr(line, "\"http://h/ftp://***@sss"));
	entry.target.n = sizeof(target);
	target[9000] = '/';
	line = line_of("squid", &entry);
	assert_non_null(strstr(line, "sss... "));
}

static void test_a_json_line_of_a_failure(void **state)
{
	(void)state;
	struct accesslog_entry entry = {
		.client = SLICE("::1"), .outcome = OUTCOME_FAILED, .failure = FAILURE_BAD_REQUEST};
	assert_string_equal(
		line_of("json", &entry),
		"{\"time\":\"1970-01-01T00:00:00.000Z\",\"client\":\"::1\","
		"\"client_port\":0,\"method\":\"\",\"target\":\"\",\"status\":0,"
		"\"elapsed_us\":0,\"bytes_in\":0,\"bytes_out\":0,\"outcome\":\"failed\","
		"\"failure\":\"bad_request\",\"stored\":false}");
}

static void test_a_squid_line(void **state)
{
	(void)state;
	struct accesslog_entry entry = sample();
	assert_string_equal(line_of("squid", &entry),
			    "1700000000.042 12 127.0.0.1 TCP_MISS/204 200 GET "
			    "http://example.org/a?b=c - HIER_DIRECT/192.0.2.1 -");
	entry.origin = SLICE("[2001:db8::1]:8080");
	assert_non_null(strstr(line_of("squid", &entry), " - HIER_DIRECT/2001:db8::1 -"));
	struct accesslog_entry nothing = {.outcome = OUTCOME_FAILED,
					  .failure = FAILURE_HEAD_TIMEOUT};
	assert_string_equal(line_of("squid", &nothing),
			    "0.000 0 - NONE_NONE/000 0 - - - HIER_NONE/- -");
}

static void test_squid_codes(void **state)
{
	(void)state;
	static const struct {
		enum outcome outcome;
		enum failure failure;
		enum reason why;
		const char *code;
	} cases[] = {
		{OUTCOME_HIT, FAILURE_NONE, REASON_NONE, "TCP_HIT"},
		{OUTCOME_HIT_304, FAILURE_NONE, REASON_NONE, "TCP_IMS_HIT"},
		{OUTCOME_STALE, FAILURE_NONE, REASON_STALE_ALLOWED, "TCP_STALE_HIT"},
		{OUTCOME_STALE, FAILURE_NONE, REASON_STALE_ERROR, "TCP_REFRESH_FAIL_OLD"},
		{OUTCOME_VALIDATED, FAILURE_NONE, REASON_EXPIRED, "TCP_REFRESH_UNMODIFIED"},
		{OUTCOME_BYPASS, FAILURE_NONE, REASON_METHOD, "TCP_MISS"},
		{OUTCOME_TUNNEL, FAILURE_NONE, REASON_NONE, "TCP_TUNNEL"},
		{OUTCOME_FAILED, FAILURE_DENIED_PORT, REASON_NONE, "TCP_DENIED"},
		{OUTCOME_FAILED, FAILURE_DENIED_METHOD, REASON_NONE, "TCP_DENIED"},
		{OUTCOME_FAILED, FAILURE_URI_TOO_LONG, REASON_NONE, "NONE_NONE"},
		{OUTCOME_FAILED, FAILURE_ORIGIN_REFUSED, REASON_NONE, "TCP_MISS"},
		{OUTCOME_FAILED, FAILURE_CLIENT_GONE, REASON_NONE, "TCP_MISS_ABORTED"},
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct accesslog_entry entry = sample();
		char code[32];
		entry.outcome = cases[i].outcome;
		entry.failure = cases[i].failure;
		entry.why = cases[i].why;
		assert_int_equal(sscanf(line_of("squid", &entry), "%*s %*s %*s %31[^/]/204", code),
				 1);
		assert_string_equal(code, cases[i].code);
	}
}

static void test_every_outcome_has_a_squid_code(void **state)
{
	(void)state;
	for (enum outcome o = 0; o < OUTCOME_COUNT; o++) {
		struct accesslog_entry entry = sample();
		entry.outcome = o;
		assert_null(strstr(line_of("squid", &entry), "null"));
		assert_non_null(strstr(line_of("squid", &entry), "/204 "));
	}
}

static void test_times_follow_the_clock(void **state)
{
	(void)state;
	static const struct {
		int64_t wall_ms;
		const char *text;
	} cases[] = {
		{INT64_C(1700000000999), "2023-11-14T22:13:20.999Z"},
		{INT64_C(1700000001000), "2023-11-14T22:13:21.000Z"},
		{INT64_C(1700000000500), "2023-11-14T22:13:20.500Z"},
		{INT64_C(951782400001), "2000-02-29T00:00:00.001Z"},
		{INT64_C(-5), "1970-01-01T00:00:00.000Z"},
	};
	static struct accesslog_format format = {.form.kind = LOG_JSON};
	char line[LOG_LINE_LENGTH];
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct accesslog_entry entry = sample();
		entry.wall_ms = cases[i].wall_ms;
		accesslog_line(&format, line, &entry);
		assert_memory_equal(line + strlen("{\"time\":\""), cases[i].text,
				    strlen(cases[i].text));
	}
}

/* ---- Hostile bytes -------------------------------------------------------------------------- */

/* The fields that peers fill, in turn. */
static struct slice *field(struct accesslog_entry *entry, unsigned which)
{
	struct slice *const fields[] = {&entry->client, &entry->method, &entry->target,
					&entry->origin, &entry->user_agent};
	return which < sizeof(fields) / sizeof(fields[0]) ? fields[which] : NULL;
}

static const char *const field_keys[] = {"client", "method", "target", "origin", "user_agent"};

/* A line is printable ASCII. */
static void assert_one_line(const char *line)
{
	for (const char *p = line; *p; p++)
		assert_in_range((unsigned char)*p, ' ', '~');
}

/* Every byte is found again in the JSON value, as the code point of the same number. */
static void assert_json_value(const char *line, const char *key, struct slice bytes)
{
	json_t *root = json_loads(line, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	assert_non_null(root);
	const json_t *value = json_object_get(root, key);
	assert_true(json_is_string(value));
	const char *p = json_string_value(value), *end = p + json_string_length(value);
	for (size_t i = 0; i < bytes.n; i++) {
		unsigned char c = (unsigned char)bytes.p[i];
		assert_true(p < end);
		if (c < 0x80) {
			assert_int_equal((unsigned char)*p++, c);
		} else { /* the two bytes of U+0080 to U+00FF in UTF-8 */
			assert_int_equal((unsigned char)*p++, 0xc0 | c >> 6);
			assert_int_equal((unsigned char)*p++, 0x80 | (c & 0x3f));
		}
	}
	assert_true(p == end);
	json_decref(root);
}

static unsigned fields_in(const char *line)
{
	unsigned fields = 1;
	for (const char *p = line; *p; p++)
		fields += *p == ' ';
	assert_null(strstr(line, "  "));
	return fields;
}

static void assert_field_shown(unsigned which, struct slice text)
{
	struct accesslog_entry entry = sample();

	*field(&entry, which) = text;
	const char *line = line_of("json", &entry);
	assert_one_line(line);
	assert_json_value(line, field_keys[which], text);
	line = line_of("squid", &entry);
	assert_one_line(line);
	assert_int_equal(fields_in(line), 10);
}

/* At each place in texts of which 8 or 16 bytes are looked at together, with or without a rest. */
static void test_every_byte_in_every_field(void **state)
{
	static const size_t lengths[] = {7, 12, 16, 21};

	(void)state;
	for (unsigned which = 0; which < 5; which++) {
		for (unsigned byte = 0; byte < 256; byte++) {
			for (unsigned i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
				for (size_t place = 0; place < lengths[i]; place++) {
					char text[] = "0123456789abcdefghijklmn";

					text[place] = (char)byte;
					assert_field_shown(which, slice_of(text, lengths[i]));
				}
			}
		}
	}
}

static void test_all_bytes_at_once_in_all_fields(void **state)
{
	(void)state;
	char bytes[256];
	for (unsigned i = 0; i < 256; i++)
		bytes[i] = (char)i;
	struct accesslog_entry entry = sample();
	for (unsigned which = 0; which < 5; which++)
		*field(&entry, which) = slice_of(bytes, sizeof(bytes));
	const char *line = line_of("json", &entry);
	assert_one_line(line);
	assert_json_value(line, "target", entry.target);
	assert_json_value(line, "user_agent", entry.user_agent);
	line = line_of("squid", &entry);
	assert_one_line(line);
	assert_int_equal(fields_in(line), 10);
	assert_non_null(strstr(line, "%00%01"));
	assert_non_null(strstr(line, "~%7f%80"));
}

/* Every byte needs the longest escape, every number is the largest. */
static void test_the_longest_line_fits(void **state)
{
	(void)state;
	static char ones[70000];
	memset(ones, 1, sizeof(ones));
	struct accesslog_entry entry = {
		.target_read = true,
		.wall_ms = INT64_MAX,
		.elapsed_us = INT64_MAX,
		.client_port = UINT16_MAX,
		.status = UINT16_MAX,
		.bytes_in = INT64_MAX, /* the reader's limit */
		.bytes_out = INT64_MAX,
		.outcome = OUTCOME_FAILED,
		.failure = FAILURE_RESPONSE_HEAD_TOO_LARGE,
		.why = REASON_REQUEST_MIN_FRESH,
	};
	for (unsigned which = 0; which < 5; which++)
		*field(&entry, which) = slice_of(ones, sizeof(ones));
	const char *line = line_of("json", &entry);
	assert_in_range(strlen(line), 12000, LOG_LINE_LENGTH - 1);
	json_t *root = json_loads(line, 0, NULL);
	assert_non_null(root);
	json_decref(root);
	assert_int_equal(fields_in(line_of("squid", &entry)), 10);
}

static void test_a_long_target_is_cut_with_a_mark(void **state)
{
	(void)state;
	static char target[2049];
	memset(target, 'a', sizeof(target));
	struct accesslog_entry entry = sample();
	entry.target = slice_of(target, 2048);
	assert_json_value(line_of("json", &entry), "target", entry.target);
	assert_null(strstr(line_of("squid", &entry), "a... "));

	entry.target = slice_of(target, 2049);
	json_t *root = json_loads(line_of("json", &entry), 0, NULL);
	const json_t *value = json_object_get(root, "target");
	assert_int_equal(json_string_length(value), 2048 + strlen("\u2026"));
	assert_string_equal(json_string_value(value) + 2048, "\u2026");
	json_decref(root);
	assert_non_null(strstr(line_of("squid", &entry), "a... "));
}

/* ---- The file ------------------------------------------------------------------------------- */

static void test_lines_are_in_the_file_after_a_flush(void **state)
{
	(void)state;
	struct accesslog *log = accesslog_open(path, "json", 1);
	assert_non_null(log);
	struct accesslog_entry entry = sample();
	accesslog_write(log, &entry);
	accesslog_write(log, &entry);
	assert_int_equal(lines_in(path), 0);
	accesslog_flush(log);
	assert_int_equal(lines_in(path), 2);
	accesslog_write(log, &entry);
	accesslog_close(log);
	assert_int_equal(lines_in(path), 3);

	struct stat status;
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07007, 0);
}

static void test_a_full_buffer_is_written_without_a_flush(void **state)
{
	(void)state;
	struct accesslog *log = accesslog_open(path, "squid", 1);
	struct accesslog_entry entry = sample();
	for (unsigned i = 0; i < 20000; i++)
		accesslog_write(log, &entry);
	assert_true(lines_in(path) > 10000);
	accesslog_close(log);
	assert_int_equal(lines_in(path), 20000);
	assert_int_equal(stats->log_dropped, 0);
}

static void test_a_log_is_appended_to(void **state)
{
	(void)state;
	struct accesslog *one = accesslog_open(path, "json", 1),
			 *two = accesslog_open(path, "json", 1);
	struct accesslog_entry entry = sample();
	accesslog_write(one, &entry);
	accesslog_write(two, &entry);
	accesslog_flush(two);
	accesslog_flush(one);
	accesslog_write(two, &entry);
	accesslog_close(one);
	accesslog_close(two);
	assert_int_equal(lines_in(path), 3);
}

static void test_reopen_after_rename(void **state)
{
	(void)state;
	struct accesslog *log = accesslog_open(path, "json", 1);
	struct accesslog_entry entry = sample();
	accesslog_write(log, &entry);
	assert_int_equal(rename(path, moved), 0);
	accesslog_write(log, &entry);
	assert_true(accesslog_reopen(log));
	accesslog_write(log, &entry);
	accesslog_close(log);
	assert_int_equal(lines_in(moved), 2);
	assert_int_equal(lines_in(path), 1);
}

/* The old file stays in use. */
static void test_a_reopen_that_fails(void **state)
{
	(void)state;
	struct accesslog *log = accesslog_open(path, "json", 1);
	struct accesslog_entry entry = sample();
	assert_int_equal(rename(path, moved), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_false(accesslog_reopen(log));
	accesslog_write(log, &entry);
	accesslog_close(log);
	assert_int_equal(lines_in(moved), 1);
	assert_int_equal(rmdir(path), 0);
}

static void test_what_cannot_be_opened(void **state)
{
	(void)state;
	assert_null(accesslog_open("/dev/null/log", "json", 1));
	assert_int_equal(errno, ENOTDIR);
	assert_null(accesslog_open(directory, "json", 1));
	assert_int_equal(errno, EISDIR);
	assert_null(accesslog_open(path, "xml", 1));
	assert_int_equal(errno, EINVAL);
	accesslog_close(NULL);
}

/* ---- Trouble -------------------------------------------------------------------------------- */

static void test_a_full_disk_drops_and_counts(void **state)
{
	(void)state;
	struct accesslog *log = accesslog_open("/dev/full", "json", 1);
	struct accesslog_entry entry = sample();
	for (unsigned i = 0; i < 5; i++)
		accesslog_write(log, &entry);
	assert_int_equal(stats->log_dropped, 0);
	accesslog_flush(log);
	assert_int_equal(stats->log_dropped, 5);
	for (unsigned i = 0; i < 10000; i++)
		accesslog_write(log, &entry);
	accesslog_close(log);
	assert_int_equal(stats->log_dropped, 10005);
}

static void limit_file_size(rlim_t bytes)
{
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* The disk is full in the middle of a line; when there is room again the next line is on its own.
 */
static void test_a_torn_line_is_ended(void **state)
{
	(void)state;
	struct accesslog *log = accesslog_open(path, "squid", 1);
	struct accesslog_entry entry = sample();
	size_t length = strlen(line_of("squid", &entry)) + 1;
	for (unsigned i = 0; i < 5; i++)
		accesslog_write(log, &entry);
	limit_file_size(2 * length + length / 2);
	accesslog_flush(log);
	accesslog_write(log, &entry);
	accesslog_flush(log);
	limit_file_size(RLIM_INFINITY);
	assert_int_equal(stats->log_dropped, 4);

	accesslog_write(log, &entry);
	accesslog_close(log);
	assert_int_equal(stats->log_dropped, 4);
	char *text = contents(path);
	assert_int_equal(strlen(text), 3 * length + length / 2 + 1);
	assert_int_equal(text[2 * length + length / 2], '\n');
	assert_memory_equal(text + 2 * length + length / 2 + 1, line_of("squid", &entry),
			    length - 1);
	free(text);
}

/* A pipe of one page with a reader that does not read: nothing waits, the rest is kept, then
 * dropped. */
static void test_a_pipe_without_a_reader(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	int reader = open(path, O_RDONLY | O_NONBLOCK);
	struct accesslog *log = accesslog_open(path, "json", 1);
	assert_non_null(log);
	int size = fcntl(reader, F_SETPIPE_SZ, 4096);
	assert_int_equal(size, 4096);
	struct accesslog_entry entry = sample();
	unsigned written = 0, length = (unsigned)strlen(line_of("json", &entry)) + 1;
	for (; stats->log_dropped == 0 && written < 100000; written++)
		accesslog_write(log, &entry);
	assert_in_range(written * length, 4096, 8 * LOG_LINE_LENGTH + 4096 + length);
	written--;

	/* The reader comes back: what was kept arrives whole, and the log goes on. */
	static char got[8 * LOG_LINE_LENGTH + 8192];
	size_t used = 0;
	ssize_t n;
	for (unsigned turns = 0; used < written * length && turns < 1000; turns++) {
		while ((n = read(reader, got + used, sizeof(got) - used)) > 0)
			used += (size_t)n;
		accesslog_flush(log);
	}
	assert_int_equal(used, written * length);
	for (unsigned i = 0; i < written; i++)
		assert_memory_equal(got + i * length, line_of("json", &entry), length - 1);
	assert_int_equal(stats->log_dropped, 1);
	accesslog_close(log);
	close(reader);
}

static void test_a_pipe_whose_reader_went(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	int reader = open(path, O_RDONLY | O_NONBLOCK);
	struct accesslog *log = accesslog_open(path, "json", 1);
	struct accesslog_entry entry = sample();
	close(reader);
	accesslog_write(log, &entry);
	accesslog_flush(log);
	assert_int_equal(stats->log_dropped, 1);
	accesslog_close(log);
	assert_int_equal(stats->log_dropped, 1);
}

/* Lines kept for an absent reader are counted when the log is closed. */
static void test_what_is_kept_at_the_end_is_counted(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	int reader = open(path, O_RDONLY | O_NONBLOCK);
	struct accesslog *log = accesslog_open(path, "json", 1);
	assert_int_equal(fcntl(reader, F_SETPIPE_SZ, 4096), 4096);
	struct accesslog_entry entry = sample();
	unsigned length = (unsigned)strlen(line_of("json", &entry)) + 1;
	for (unsigned i = 0; i < 100; i++)
		accesslog_write(log, &entry);
	accesslog_close(log);
	assert_int_equal(stats->log_dropped, 100 - 4096 / length);
	close(reader);
}

/* ---- Stdout --------------------------------------------------------------------------------- */

/* Makes `fd` stdout until restored; gives the old one. */
static int replace_stdout(int fd)
{
	fflush(stdout);
	int old = dup(STDOUT_FILENO);
	assert_int_equal(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
	return old;
}

static void restore_stdout(int old)
{
	assert_int_equal(dup2(old, STDOUT_FILENO), STDOUT_FILENO);
	close(old);
}

/* More than fits is written to one end; it must not wait, and must not make the shared end
 * non-blocking. */
static void check_stdout(int writer, int reader)
{
	char byte;
	struct accesslog_entry entry = sample();
	int old = replace_stdout(writer);
	struct accesslog *log = accesslog_open("-", "json", 1);
	if (log != NULL) {
		for (unsigned i = 0; i < 20000; i++)
			accesslog_write(log, &entry);
		accesslog_reopen(log);
		accesslog_close(log);
	}
	restore_stdout(old);
	assert_non_null(log);
	assert_true(stats->log_dropped > 0);
	assert_int_equal(fcntl(writer, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(read(reader, &byte, 1), 1);
	assert_int_equal(byte, '{');
	close(writer);
	close(reader);
}

static void test_stdout_is_a_pipe(void **state)
{
	(void)state;
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	check_stdout(ends[1], ends[0]);
}

static void test_stdout_is_a_socket(void **state)
{
	(void)state;
	int ends[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	check_stdout(ends[1], ends[0]);
}

static void test_stdout_is_a_file(void **state)
{
	(void)state;
	int file = open(path, O_WRONLY | O_CREAT, 0600);
	int old = replace_stdout(file);
	struct accesslog *log = accesslog_open("-", "json", 1);
	struct accesslog_entry entry = sample();
	accesslog_write(log, &entry);
	bool reopened = accesslog_reopen(log);
	accesslog_write(log, &entry);
	accesslog_close(log);
	restore_stdout(old);
	close(file);
	assert_true(reopened);
	assert_int_equal(lines_in(path), 2);
}

#define TEST(name) cmocka_unit_test_teardown(name, remove_files)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_json_line),
		TEST(test_a_json_line_of_a_failure),
		TEST(test_a_target_that_was_not_understood),
		TEST(test_a_target_that_was_understood),
		TEST(test_held),
		TEST(test_a_target_of_a_gateway),
		TEST(test_a_long_target_is_masked_before_it_is_cut),
		TEST(test_a_squid_line),
		TEST(test_squid_codes),
		TEST(test_every_outcome_has_a_squid_code),
		TEST(test_times_follow_the_clock),
		TEST(test_every_byte_in_every_field),
		TEST(test_all_bytes_at_once_in_all_fields),
		TEST(test_the_longest_line_fits),
		TEST(test_a_long_target_is_cut_with_a_mark),
		TEST(test_lines_are_in_the_file_after_a_flush),
		TEST(test_a_full_buffer_is_written_without_a_flush),
		TEST(test_a_log_is_appended_to),
		TEST(test_reopen_after_rename),
		TEST(test_a_reopen_that_fails),
		TEST(test_what_cannot_be_opened),
		TEST(test_a_full_disk_drops_and_counts),
		TEST(test_a_torn_line_is_ended),
		TEST(test_a_pipe_without_a_reader),
		TEST(test_a_pipe_whose_reader_went),
		TEST(test_what_is_kept_at_the_end_is_counted),
		TEST(test_stdout_is_a_pipe),
		TEST(test_stdout_is_a_socket),
		TEST(test_stdout_is_a_file),
	};
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
