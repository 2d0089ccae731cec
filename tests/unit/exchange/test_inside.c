/* LINKS: proxy/exchange */
/* Requests in a tunnel: which of them it is read for, and what becomes of their targets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "proxy/exchange/inside.h"
#include "proxy/http1/parse.h"
#include "tests/support/test_conf.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

static struct conf *conf;
static struct http_field lines[PARSE_REQUEST_FIELDS_MAX];

/* A whole head, "~" for CRLF. */
static struct http_request request_of(const char *text)
{
	static char bytes[1024];
	struct http_request req = {.fields = {.at = lines, .capacity = PARSE_REQUEST_FIELDS_MAX}};
	struct parse_progress progress = {0};
	struct parsed parsed;
	size_t n = 0;

	for (; *text != '\0'; text++) {
		if (*text == '~')
			bytes[n++] = '\r';
		bytes[n++] = *text == '~' ? '\n' : *text;
	}
	if (parse_request(slice_of(bytes, n), conf, NULL, &progress, &req, &parsed) != PARSE_DONE)
		fail_msg("not a request: %.*s", (int)n, bytes);
	return req;
}

static struct inside *inside_of(const char *authority)
{
	char text[300];
	struct http_request connect;

	snprintf(text, sizeof(text), "CONNECT %s HTTP/1.1~Host: x~~", authority);
	connect = request_of(text);
	return inside_new(&connect, SLICE("ann"), NULL);
}

static void test_which_are_for_it(void **state)
{
	static const struct {
		const char *authority, *head;
		bool begins;
		enum failure failure;
		const char *target; /* its URI then */
	} cases[] = {
		{"a.test:80", "GET /x?y HTTP/1.1~Host: a.test~~", true, FAILURE_NONE,
		 "http://a.test/x?y"},
		{"A.test:80", "GET /x HTTP/1.1~Host: a.TEST:80~~", true, FAILURE_NONE,
		 "http://a.test/x"},
		{"a.test:8080", "POST /x HTTP/1.1~Host: a.test:8080~Content-Length: 1~~", true,
		 FAILURE_NONE, "http://a.test:8080/x"},
		{"a.test:8080", "GET /x HTTP/1.1~Host: a.test~~", false, FAILURE_MISDIRECTED, NULL},
		{"a.test:8080", "GET /x HTTP/1.1~Host: b.test:8080~~", false, FAILURE_MISDIRECTED,
		 NULL},
		{"a.test:8080", "GET /x HTTP/1.1~Host: a.test:8081~~", false, FAILURE_MISDIRECTED,
		 NULL},
		{"a.test:443", "GET /x HTTP/1.1~Host: a.test~~", false, FAILURE_MISDIRECTED, NULL},
		{"a.test:443", "GET /x HTTP/1.1~Host: a.test:443~~", true, FAILURE_NONE,
		 "http://a.test:443/x"},
		{"a.test:80", "GET /x HTTP/1.1~Host: a.test.~~", false, FAILURE_MISDIRECTED, NULL},
		{"a.test:80", "GET /x HTTP/1.1~Host: a.test:080~~", false, FAILURE_MISDIRECTED,
		 NULL},
		{"a.test:80", "GET /x HTTP/1.1~Host: b.test~~", false, FAILURE_MISDIRECTED, NULL},
		{"a.test:80", "GET /x HTTP/1.0~~", false, FAILURE_MISDIRECTED, NULL},
		{"a.test:80", "GET /x HTTP/1.0~Host: a.test~~", true, FAILURE_NONE,
		 "http://a.test/x"},
		{"192.0.2.1:80", "GET / HTTP/1.1~Host: 192.0.2.1~~", true, FAILURE_NONE,
		 "http://192.0.2.1/"},
		{"[2001:db8::1]:80", "GET / HTTP/1.1~Host: [2001:DB8::1]~~", true, FAILURE_NONE,
		 "http://[2001:db8::1]/"},
		{"[2001:db8::1]:8080", "GET / HTTP/1.1~Host: [2001:db8::1]:8080~~", true,
		 FAILURE_NONE, "http://[2001:db8::1]:8080/"},
		{"[2001:db8::1]:80", "GET / HTTP/1.1~Host: [2001:db8:0::1]~~", true, FAILURE_NONE,
		 "http://[2001:db8::1]/"},
		{"[0::1]:80", "GET / HTTP/1.1~Host: [::1]:80~~", true, FAILURE_NONE,
		 "http://[::1]/"},
		{"[::1]:8080", "GET / HTTP/1.1~Host: [0:0::1]:8080~~", true, FAILURE_NONE,
		 "http://[::1]:8080/"},
		{"[::1]:8080", "GET / HTTP/1.1~Host: [0::1]~~", false, FAILURE_MISDIRECTED, NULL},
		{"[::1]:8080", "GET / HTTP/1.1~Host: [0::1]:80~~", false, FAILURE_MISDIRECTED,
		 NULL},
		{"[::1]:80", "GET / HTTP/1.1~Host: [::2]~~", false, FAILURE_MISDIRECTED, NULL},
		{"[::1]:80", "GET / HTTP/1.1~Host: a.test~~", false, FAILURE_MISDIRECTED, NULL},
		{"a.test:80", "GET / HTTP/1.1~Host: [::1]~~", false, FAILURE_MISDIRECTED, NULL},
		{"a.test:80", "GET http://a.test/x HTTP/1.1~Host: a.test~~", true, FAILURE_NONE,
		 "http://a.test/x"},
		{"a.test:80", "GET http://a.test HTTP/1.1~Host:~~", false, FAILURE_MISDIRECTED,
		 NULL},
		{"a.test:80", "GET http://b.test/x HTTP/1.1~Host: a.test~~", false,
		 FAILURE_MISDIRECTED, NULL},
		{"a.test:80", "GET https://a.test:80/x HTTP/1.1~Host: a.test~~", false,
		 FAILURE_MISDIRECTED, NULL},
		{"a.test:80", "GET http://a.test/x HTTP/1.1~Host: b.test~~", false,
		 FAILURE_MISDIRECTED, NULL},
		{"a.test:80", "OPTIONS * HTTP/1.1~Host: a.test~~", true, FAILURE_NONE,
		 "http://a.test/"},
		{"a.test:80", "CONNECT a.test:80 HTTP/1.1~Host: a.test:80~~", false,
		 FAILURE_DENIED_METHOD, NULL},
		{"a.test:80", "GET /x HTTP/1.1~Host: a.test~Connection: upgrade~Upgrade: x~~",
		 false, FAILURE_NONE, "http://a.test/x"},
		{"a.test:80", "GET /x HTTP/1.1~Host: a.test~Upgrade: x~~", false, FAILURE_NONE,
		 "http://a.test/x"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct inside *inside = inside_of(cases[i].authority);
		struct http_request req = request_of(cases[i].head);
		bool begins = inside_begins(inside, &req);
		enum failure failure = inside_complete(inside, &req);
		char normal[300];

		if (begins != cases[i].begins || failure != cases[i].failure)
			fail_msg("%s: %s: %d, %d", cases[i].authority, cases[i].head, begins,
				 failure);
		if (failure == FAILURE_NONE) {
			size_t n = http_uri_normal(&req.uri, normal);

			assert_int_equal(req.form, TARGET_ABSOLUTE);
			assert_true(slice_eq(slice_of(normal, n), slice_str(cases[i].target)));
		}
		free(inside);
	}
}

static void test_it_keeps_who_and_where(void **state)
{
	struct inside *inside = inside_of("[2001:DB8::1]:8080");

	(void)state;
	request_of("GET / HTTP/1.1~Host: overwrites~~");
	assert_true(slice_eq(inside->authority, SLICE("[2001:db8::1]:8080")));
	assert_true(slice_eq(inside->origin.host, SLICE("[2001:db8::1]")));
	assert_int_equal(inside->origin.port, 8080);
	assert_true(slice_eq(inside->user, SLICE("ann")));
	free(inside);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_which_are_for_it),
		cmocka_unit_test(test_it_keeps_who_and_where),
	};
	int failed;

	conf = test_conf_new();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	test_conf_free(conf);
	return failed;
}
