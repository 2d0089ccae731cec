/* LINKS: proxy/exchange */
/* What operators are shown of an exchange: its URL without credentials, and why it failed, with the address once. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "proxy/base/cause.h"
#include "proxy/exchange/shown.h"
#include "proxy/stats/recent_errors.h"
#include "proxy/stats/sketch.h"
#include "tests/support/messages.h"

static struct message message;
static struct recent_errors *blocks;
static struct recent_error errors[RECENT_ERRORS_MAX];

static int setup(void **state)
{
	(void)state;
	blocks = recent_errors_map(1);
	recent_errors_attach(blocks, 0);
	return blocks == NULL;
}

static void test_urls(void **state)
{
	static const struct {
		const char *uri, *shown;
	} cases[] = {
		{"http://A.example", "http://a.example/"},
		{"http://a.example:80/x?y", "http://a.example/x?y"},
		{"https://a.example:8443/", "https://a.example:8443/"},
		{"http://[2001:DB8::1]/", "http://[2001:db8::1]/"},
		{"http://a.example/?to=http://u:p@b.example/",
		 "http://a.example/?to=http://***@b.example/"},
	};
	struct http_uri uri, none = {.host = {"", 0}};
	char room[SHOWN_URI_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct slice shown;

		assert_int_equal(http_uri_parse_absolute(slice_str(cases[i].uri), &uri), URI_OK);
		shown = shown_uri(&uri, room);
		if (!slice_eq(shown, slice_str(cases[i].shown)))
			fail_msg("%.*s", SLICE_ARG(shown));
	}
	assert_int_equal(shown_uri(&none, room).n, 0);
}

/* A URL that is longer than there is room for, at every length around it. */
static void test_long_urls(void **state)
{
	static char text[3 * SHOWN_URI_MAX];
	char room[SHOWN_URI_MAX];
	struct http_uri uri;

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "http://a.example/", 17);
	for (size_t n = SHOWN_URI_MAX - 2; n <= SHOWN_URI_MAX + 2; n++) {
		struct slice shown;

		assert_int_equal(http_uri_parse_absolute(slice_of(text, n), &uri), URI_OK);
		shown = shown_uri(&uri, room);
		assert_true(shown.n <= SHOWN_URI_MAX && shown.n <= n);
		assert_memory_equal(shown.p, text, shown.n);
		assert_true(shown.n >= SHOWN_URI_MAX - 2);
	}
}

static const char *detail_of(enum failure failure, const char *origin)
{
	union address at = {.any.sa_family = AF_UNSPEC}, client = at;
	struct failure_subject of = {request_of(&message, "GET http://a.example/x\n"), &client, &at,
				     0};

	if (origin != NULL) {
		assert_true(address_parse(slice_str(origin), &at));
		address_set_port(&at, 80);
	}
	recent_errors_attach(blocks, 0);
	shown_error(&of, failure, 502);
	cause_clear();
	if (recent_errors_list(blocks, 1, errors) == 0)
		return NULL;
	assert_int_equal(errors[0].failure, failure);
	assert_int_equal(errors[0].status, 502);
	assert_string_equal(errors[0].host, "a.example");
	assert_string_equal(errors[0].uri, "http://a.example/x");
	return errors[0].detail;
}

static void test_details(void **state)
{
	char text[RECENT_DETAIL_MAX + 40];

	(void)state;
	assert_null(detail_of(FAILURE_BAD_REQUEST, NULL)); /* the client's own */
	assert_string_equal(detail_of(FAILURE_ORIGIN_REFUSED, NULL),
			    failure_sentence(FAILURE_ORIGIN_REFUSED));
	snprintf(text, sizeof(text), "%s (from 192.0.2.1:80)",
		 failure_sentence(FAILURE_ORIGIN_REFUSED));
	assert_string_equal(detail_of(FAILURE_ORIGIN_REFUSED, "192.0.2.1"), text);
	cause_set("%s", "Connection reset by peer");
	assert_string_equal(detail_of(FAILURE_ORIGIN_REFUSED, "192.0.2.1"),
			    "Connection reset by peer (from 192.0.2.1:80)");
	cause_set("%s", "TLS with 192.0.2.1:80: no");
	assert_string_equal(detail_of(FAILURE_ORIGIN_REFUSED, "192.0.2.1"),
			    "TLS with 192.0.2.1:80: no");
	cause_set("%s", "Connection reset by peer");
	assert_string_equal(detail_of(FAILURE_ORIGIN_REFUSED, NULL), "Connection reset by peer");
}

/* As much as there is room for. */
static void test_long_details(void **state)
{
	char text[RECENT_DETAIL_MAX + 40];

	(void)state;
	memset(text, 'c', sizeof(text));
	text[RECENT_DETAIL_MAX] = '\0';
	cause_set("%s", text);
	snprintf(text, sizeof(text), "%s", cause_text());
	assert_string_equal(detail_of(FAILURE_ORIGIN_REFUSED, NULL), text);
}

static struct sketch *sketch;
static struct sketch_view view;

static void count(const char *request, struct cache_key key)
{
	const struct sketch_event event = {.is_request = true, .bytes = 10};

	shown_count(&event, &key, request_of(&message, request));
}

static unsigned rows_of(enum sketch_table table)
{
	const struct sketch_query query = {.rows = SKETCH_ROWS_MAX, .now_ms = 1000};

	sketch_tick(1000);
	assert_true(sketch_read(sketch, 1, table, &query, &view));
	return view.count;
}

/* URLs by the key that they are stored by, or by what is shown of those without one; a tunnel has a host alone. */
static void test_counts(void **state)
{
	const struct cache_key none = {{0, 0}}, one = {{1, 0}}, two = {{0, 2}};
	struct http_request connect = {.method = METHOD_CONNECT};

	(void)state;
	sketch = sketch_map(1);
	assert_non_null(sketch);
	sketch_attach(sketch, 0);
	sketch_tick(1000);
	count("GET http://a.example/x\n", one);
	count("GET http://a.example/x\n", one);
	assert_int_equal(rows_of(SKETCH_OF_URLS), 1);
	assert_string_equal(view.row[0].name, "http://a.example/x");
	count("GET http://a.example/x\n", two);
	assert_int_equal(rows_of(SKETCH_OF_URLS), 2);
	count("GET http://a.example/y\n", none);
	count("GET http://a.example/z\n", none);
	count("GET http://a.example/z\n", none);
	assert_int_equal(rows_of(SKETCH_OF_URLS), 4);
	assert_int_equal(http_uri_parse_authority(SLICE("b.example:443"), &connect.uri), URI_OK);
	shown_count(&(struct sketch_event){.is_request = true}, &none, &connect);
	assert_int_equal(rows_of(SKETCH_OF_URLS), 4);
	assert_int_equal(rows_of(SKETCH_OF_HOSTS), 2);
	assert_string_equal(view.row[0].name, "a.example");
	assert_string_equal(view.row[1].name, "b.example");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_long_urls),
		cmocka_unit_test(test_counts),
		cmocka_unit_test_setup(test_details, setup),
		cmocka_unit_test_setup(test_long_details, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
