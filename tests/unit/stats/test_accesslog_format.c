/* LINKS: proxy/stats */
/* Formats of the access log: what is read, where it is wrong, and what lines come of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "proxy/stats/accesslog_ids.h"
#include "proxy/stats/accesslog_line.h"

static struct accesslog_format format;

static const char *const names[] = {
#define LOG_TEXT(name, when, slice, length, help) #name,
#define LOG_WORD(name, when, word, help) #name,
#define LOG_NUMBER(name, when, number, help) #name,
#define LOG_FLAG(name, when, flag, help) #name,
#define LOG_STAMP(name, when, stamp, help) #name,
#include "conf/log_fields.def"
};

enum { NAMES = sizeof(names) / sizeof(names[0]) };

/* Each field has a value. */
static struct accesslog_entry full(void)
{
	return (struct accesslog_entry){
		.wall_ms = INT64_C(1700000000042),
		.elapsed_us = 12345,
		.held_us = 7,
		.id = SLICE("5f3a-1"),
		.traceparent = SLICE("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
		.client = SLICE("127.0.0.1"),
		.client_port = 40000,
		.method = SLICE("GET"),
		.in_tunnel = true,
		.target = SLICE("http://example.org/a?b=c"),
		.target_read = true,
		.protocol = "HTTP/1.1",
		.status = 204,
		.bytes_in = 100,
		.bytes_out = 200,
		.outcome = OUTCOME_VALIDATED,
		.failure = FAILURE_DRAIN,
		.fwd = "stale",
		.why = REASON_EXPIRED,
		.stored = true,
		.from_record = true,
		.age_s = 12,
		.ttl_s = -3,
		.origin = SLICE("192.0.2.1:80"),
		.times = {.dns_us = 1, .connect_us = 2, .tls_us = 3, .first_byte_us = 4},
		.user = SLICE("ali"),
		.referer = SLICE("http://ali:s3cret@a/"),
		.user_agent = SLICE("curl/8"),
		.sample = 100,
	};
}

static const char *line_of(const char *text, const struct accesslog_entry *entry)
{
	static char line[LOG_LINE_LENGTH + 1];
	struct accesslog_entry copy = *entry;
	struct diagnostic error;
	char *end;

	if (!log_format_parse(text, &format.form, &error))
		fail_msg("%s: %s", text, error.text);
	end = accesslog_line(&format, line, &copy);
	assert_int_equal(end[-1], '\n');
	end[-1] = '\0';
	assert_int_equal(strlen(line), end - line - 1);
	return line;
}

static void json_has_each_value(void **state)
{
	struct accesslog_entry entry = full();

	(void)state;
	assert_string_equal(
		line_of("json", &entry),
		"{\"time\":\"2023-11-14T22:13:20.042Z\",\"id\":\"5f3a-1\",\"traceparent\":"
		"\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\",\"client\":"
		"\"127.0.0.1\",\"client_port\":40000,\"method\":\"GET\",\"target\":"
		"\"http://example.org/"
		"a?b=c\",\"in_tunnel\":true,\"status\":204,\"elapsed_us\":12345,\"held_us\":7,"
		"\"bytes_in\":100,\"bytes_out\":200,\"outcome\":\"validated\",\"failure\":"
		"\"drain\","
		"\"fwd\":\"stale\",\"reason\":\"expired\",\"stored\":true,\"age\":12,\"ttl\":-3,"
		"\"origin\":\"192.0.2.1:80\",\"origin_us\":4,\"dns_us\":1,\"connect_us\":2,\"tls_"
		"us\":3,\"user\":\"ali\",\"user_agent\":\"curl/8\","
		"\"sample\":100}");
}

static void combined_is_that_of_apache(void **state)
{
	struct accesslog_entry entry = full(), nothing = {.outcome = OUTCOME_FAILED};

	(void)state;
	assert_string_equal(line_of("combined", &entry),
			    "127.0.0.1 - ali [14/Nov/2023:22:13:20 +0000] \"GET "
			    "http://example.org/a?b=c HTTP/1.1\" 204 200 \"http://***@a/\" "
			    "\"curl/8\"");
	assert_string_equal(line_of("combined", &nothing),
			    "- - - [01/Jan/1970:00:00:00 +0000] \"- - -\" 0 0 \"-\" \"-\"");
}

static void texts_have_fields(void **state)
{
	static const char *const cases[][2] = {
		{"$status", "204"},
		{"a $status b", "a 204 b"},
		{"${status}s $$5 $$$status", "204s $5 $204"},
		{"$status$status", "204204"},
		{"$ttl $age $stored $fwd", "-3 12 true stale"},
		{"$time $time_unix", "2023-11-14T22:13:20.042Z 1700000000.042"},
		{"${client}:$client_port", "127.0.0.1:40000"},
		{"\xc3\xa9 $status", "\xc3\xa9 204"},
	};
	struct accesslog_entry entry = full();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(line_of(cases[i][0], &entry), cases[i][1]);
}

/* A stamp that was never made is no stamp of the second 0. */
static void the_first_second_has_stamps(void **state)
{
	struct accesslog_entry entry = full();

	(void)state;
	entry.wall_ms = 7;
	for (unsigned n = 0; n < 3; n++) {
		static const char *const rows[][2] = {
			{"$time", "1970-01-01T00:00:00.007Z"},
			{"$time_clf", "01/Jan/1970:00:00:00 +0000"},
			{"$time_unix", "0.007"},
		};

		format = (struct accesslog_format){.stamps = {{0}}};
		assert_string_equal(line_of(rows[n][0], &entry), rows[n][1]);
	}
}

/* With a value, and "-" without. */
static void each_field_can_be_shown(void **state)
{
	struct accesslog_entry entry = full(), nothing = {.outcome = OUTCOME_FAILED};

	(void)state;
	for (size_t i = 0; i < NAMES; i++) {
		char text[64];
		bool always;

		snprintf(text, sizeof(text), "[${%s}]", names[i]);
		assert_null(strstr(line_of(text, &entry), "[]"));
		assert_null(strstr(line_of(text, &entry), "[-]"));
		snprintf(text, sizeof(text), " %s ", names[i]);
		always = strstr(" time time_clf time_unix client_port status elapsed_us bytes_in "
				"bytes_out outcome stored ",
				text) != NULL;
		snprintf(text, sizeof(text), "[$%s]", names[i]);
		assert_int_equal(strstr(line_of(text, &nothing), "[-]") == NULL, always);
	}
}

static void faults_are_placed(void **state)
{
	static const char *const cases[][2] = {
		{"$", "character 1: no name follows"},
		{"ab $", "character 4: no name follows"},
		{"$status $nonsense x", "character 9: $nonsense is not a field"},
		{"$$ $Status", "character 4: $Status is not a field"},
		{"$status_ ", "character 1: $status_ is not a field"},
		{"${status", "character 1: ${status has no }"},
		{"${} $status", "character 1: no name follows"},
		{"${status x}", "character 1: ${status has no }"},
		{"$NO_FIELD", "character 1: $NO_FIELD is not a field"},
		{"xml", "not json, squid, combined"},
		{"", "not json, squid, combined"},
		{"JSON", "not json, squid, combined"},
		{"$target $target $target", "a line could have "},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct diagnostic error;

		assert_false(log_format_parse(cases[i][0], &format.form, &error));
		if (strstr(error.text, cases[i][1]) == NULL)
			fail_msg("%s: %s", cases[i][0], error.text);
	}
}

static void there_are_limits(void **state)
{
	char text[LOG_FORMAT_LENGTH + 8] = "";
	struct diagnostic error;
	unsigned fields = 0;

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	memcpy(text, "$status", 7);
	text[LOG_FORMAT_LENGTH] = '\0';
	text[7] = ' ';
	assert_true(log_format_parse(text, &format.form, &error));
	text[LOG_FORMAT_LENGTH] = 'a';
	text[LOG_FORMAT_LENGTH + 1] = '\0';
	assert_false(log_format_parse(text, &format.form, &error));
	assert_non_null(strstr(error.text, "longer than 1024"));
	for (text[0] = '\0'; fields < LOG_FORMAT_PARTS - 1; fields++)
		strcat(text, "$status ");
	assert_true(log_format_parse(text, &format.form, &error));
	strcat(text, "$status ");
	assert_false(log_format_parse(text, &format.form, &error));
	assert_non_null(strstr(error.text, "more than 63 fields"));
}

/* Every byte of every text needs an escape, and every number is the largest. */
static void the_longest_lines_fit(void **state)
{
	static char ones[8192];
	struct slice all = slice_of(ones, sizeof(ones));
	struct accesslog_entry entry = full();
	const char *line;

	(void)state;
	memset(ones, 1, sizeof(ones));
	entry.id = entry.traceparent = entry.client = entry.method = entry.target = all;
	entry.origin = entry.user = entry.referer = entry.user_agent = all;
	entry.wall_ms = entry.elapsed_us = entry.held_us = entry.age_s = INT64_MAX;
	entry.ttl_s = INT64_MIN;
	entry.bytes_in = entry.bytes_out = UINT64_MAX;
	entry.status = entry.client_port = UINT16_MAX;
	entry.sample = UINT32_MAX;
	entry.failure = FAILURE_RESPONSE_HEAD_TOO_LARGE;
	entry.why = REASON_REQUEST_BAD_CACHE_CONTROL;
	assert_in_range(strlen(line_of("json", &entry)), 16000, LOG_LINE_LENGTH - 1);
	assert_in_range(strlen(line_of("combined", &entry)), 12000, LOG_LINE_LENGTH - 1);
	line = line_of("$target $target $status", &entry);
	assert_in_range(strlen(line), 16384, LOG_LINE_LENGTH - 1);
	assert_memory_equal(line, "\\x01\\x01", 8);
}

static void bytes_of_peers_are_escaped(void **state)
{
	struct accesslog_entry entry = full();
	char bytes[256];
	const char *line;

	(void)state;
	for (unsigned i = 0; i < 256; i++)
		bytes[i] = (char)i;
	entry.user_agent = slice_of(bytes, sizeof(bytes));
	line = line_of("\"$user_agent\"", &entry);
	for (const char *p = line; *p != '\0'; p++)
		assert_in_range((unsigned char)*p, ' ', '~');
	assert_non_null(strstr(line, "\\x1f !\\x22#"));
	assert_non_null(strstr(line, "[\\x5c]"));
	assert_non_null(strstr(line, "~\\x7f\\x80"));
	assert_null(strchr(line + 1, '"') == line + strlen(line) - 1 ? NULL : line);
}

/* A certificate's subject has blanks, and Basic names may have some. */
static void a_user_is_one_column(void **state)
{
	struct accesslog_entry entry = full();
	const char *line;

	(void)state;
	entry.user = SLICE("CN=Ali Ba, O=Forty [x] \"y\"");
	line = line_of("$client - $user [$time_clf]", &entry);
	assert_non_null(strstr(line, " - CN=Ali\\x20Ba,\\x20O=Forty\\x20[x]\\x20\\x22y\\x22 ["));
	entry.user_agent = SLICE("a b");
	line = line_of("\"$user_agent\"", &entry);
	assert_string_equal(line, "\"a b\"");
}

static void traces_are_taken_when_they_are_valid(void **state)
{
	static const char good[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
	static const char *const bad[] = {
		"",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-011",
		"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"00-00000000000000000000000000000000-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
		"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
		"00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319cab7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c8031\"c-b7ad6b7169203331-01",
		"0g-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331x01",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-g1",
	};
	struct slice later =
		SLICE("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more\"");

	(void)state;
	assert_true(slice_eq(accesslog_traceparent(slice_str(good)), slice_str(good)));
	assert_int_equal(accesslog_traceparent(later).n, 55);
	/* ff alone is no version. */
	later = SLICE("f0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
	assert_int_equal(accesslog_traceparent(later).n, 55);
	later = SLICE("0f-00000000000000000000000000000001-1000000000000000-00");
	assert_int_equal(accesslog_traceparent(later).n, 55);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (accesslog_traceparent(slice_str(bad[i])).n != 0)
			fail_msg("%s", bad[i]);
}

static void ids_are_taken_when_they_are_plain(void **state)
{
	static char longest[ACCESSLOG_ID_MAX + 1];

	(void)state;
	memset(longest, 'a', sizeof(longest));
	assert_true(accesslog_id_is_usable(slice_of(longest, ACCESSLOG_ID_MAX)));
	assert_false(accesslog_id_is_usable(slice_of(longest, ACCESSLOG_ID_MAX + 1)));
	assert_true(accesslog_id_is_usable(SLICE("3f2504e0-4f89-11d3-9a0c-0305e82c3301")));
	assert_true(accesslog_id_is_usable(SLICE("Root=1-67891233:a_b~c+d/e@f")));
	assert_false(accesslog_id_is_usable(SLICE("")));
	for (unsigned c = 0; c < 256; c++) {
		char text[] = {'a', (char)c, 'b'};
		bool plain = c < 128 && c != 0 &&
			     strchr("-._~+/=:@0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz",
				    (int)c) != NULL;

		assert_int_equal(accesslog_id_is_usable(slice_of(text, 3)), plain);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_has_each_value),
		cmocka_unit_test(combined_is_that_of_apache),
		cmocka_unit_test(texts_have_fields),
		cmocka_unit_test(the_first_second_has_stamps),
		cmocka_unit_test(each_field_can_be_shown),
		cmocka_unit_test(faults_are_placed),
		cmocka_unit_test(there_are_limits),
		cmocka_unit_test(the_longest_lines_fit),
		cmocka_unit_test(bytes_of_peers_are_escaped),
		cmocka_unit_test(a_user_is_one_column),
		cmocka_unit_test(traces_are_taken_when_they_are_valid),
		cmocka_unit_test(ids_are_taken_when_they_are_plain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
