/* LINKS: proxy/front tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/store_memory.c */
/* Who may ask the operators' front end for what: Host, method, token, the page that sends it. */
#include "tests/support/admin_fixture.h"

#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TOKEN "0123456789abcdef"
#define OURS "Host: 127.0.0.1:3129\r\n"

static struct admin_fixture f;

static int setup(void **state)
{
	(void)state;
	admin_fixture_open(&f, "admin_hosts=first.test,ops.test");
	return 0;
}

/* The option has a token from here on. */
static void set_token(void)
{
	f.token.length = sizeof(TOKEN) - 1;
	memcpy(f.token.text, TOKEN, sizeof(TOKEN));
}

/* A request by someone at this address, on a connection of its own, and what its answer has. */
struct row {
	const char *from, *line, *fields;
	unsigned status;
	const char *part;
};

static void expect(const struct row *row)
{
	char text[512];
	const char *got;

	snprintf(text, sizeof(text), "%s\r\n%s", row->line, row->fields);
	got = admin_fixture_send(&f, row->from, text);
	snprintf(text, sizeof(text), "HTTP/1.1 %u ", row->status);
	if (strncmp(got, text, strlen(text)) != 0 || strstr(got, row->part) == NULL)
		fail_msg("%s, %s, %s: not %u with \"%s\": %s", row->from, row->line, row->fields,
			 row->status, row->part, got);
}

static void expect_all(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		expect(&rows[i]);
}

#define HERE "127.0.0.1"
#define AWAY "203.0.113.9"

/* Numeric, localhost or a name of the option, with or without a port: nothing a rebound name can be. */
static void hosts(void **state)
{
	static const char *const ours[] = {
		"127.0.0.1",   "127.0.0.1:3129", "[::1]",        "[::1]:3129", "localhost",
		"LOCALHOST:1", "localhost.",     "localhost.:1", "ops.test",   "Ops.Test:9",
		"first.test",  "ops.test.",      "10.0.0.1"};
	static const char *const foreign[] = {"evil.test",           "evil.test:80",
					      "127.0.0.1.evil.test", "ops.test.evil.test",
					      "xops.test",           "localhos"};
	char field[64];

	(void)state;
	for (size_t i = 0; i < COUNT(ours); i++) {
		snprintf(field, sizeof(field), "Host: %s\r\n", ours[i]);
		expect(&(struct row){HERE, "GET /marks HTTP/1.1", field, 200, "\"marks\""});
	}
	for (size_t i = 0; i < COUNT(foreign); i++) {
		snprintf(field, sizeof(field), "Host: %s\r\n", foreign[i]);
		expect(&(struct row){HERE, "GET /marks HTTP/1.1", field, 403, "admin_hosts"});
		expect(&(struct row){HERE, "GET /none HTTP/1.1", field, 403, "admin_hosts"});
		expect(&(struct row){HERE, "GET /healthz HTTP/1.1", field, 204, "no-store"});
	}
	expect(&(struct row){HERE, "GET /marks HTTP/1.0", "", 200, "\"marks\""});
	expect(&(struct row){HERE, "GET /none HTTP/1.1", OURS, 404, "no such page"});
	expect(&(struct row){HERE, "GET http://127.0.0.1/ HTTP/1.1", OURS, 421, "no proxy itself"});
}

static void methods(void **state)
{
	static const struct row rows[] = {
		{HERE, "GET /stats HTTP/1.1", OURS, 200, "\"requests\""},
		{HERE, "HEAD /stats HTTP/1.1", OURS, 200, "application/json"},
		{HERE, "POST /stats HTTP/1.1", OURS, 405, "\r\nAllow: GET, HEAD\r\n"},
		{HERE, "DELETE /stats?x HTTP/1.1", OURS, 405, "This page is read"},
		{HERE, "GET /marks/m HTTP/1.1", OURS, 405, "\r\nAllow: POST\r\n"},
		{HERE, "HEAD /marks/m HTTP/1.1", OURS, 405, "\r\nAllow: POST\r\n"},
		{HERE, "POST /marks/m HTTP/1.1", OURS, 201, "\"name\": \"m\""},
		{HERE, "GET /marks/ HTTP/1.1", OURS, 404, ""}, /* nothing stands for the * */
		{HERE, "GET /mark HTTP/1.1", OURS, 404, ""},
		{HERE, "GET /statsx HTTP/1.1", OURS, 404, ""},
		{HERE, "DELETE /purge HTTP/1.1", OURS, 405, "\r\nAllow: GET, HEAD, POST\r\n"},
		{HERE, "GET /purge HTTP/1.1", OURS, 200, "\"pending_max\""},
		{HERE, "HEAD /purge HTTP/1.1", OURS, 200, "application/json"},
		{HERE, "POST /purge HTTP/1.1", OURS, 202, "in the background"},
	};

	(void)state;
	expect_all(rows, COUNT(rows));
}

static void tokens(void **state)
{
	static const struct row without[] = {
		{AWAY, "POST /purge HTTP/1.1", OURS, 403, "admin_token_file"},
		{AWAY, "GET /marks HTTP/1.1", OURS, 200, "\"marks\""},
		{"127.9.9.9", "POST /purge HTTP/1.1", OURS, 202, "\"purged\""},
		{"::1", "POST /purge HTTP/1.1", OURS, 202, "\"purged\""},
	};
	static const struct row with[] = {
		{HERE, "GET / HTTP/1.1", OURS, 200, "GET   /stats "},
		{HERE, "GET /healthz HTTP/1.1", OURS, 204, ""},
		{HERE, "GET /marks HTTP/1.1", OURS, 401, "Bearer realm=\"cache204\"\r\n"},
		{HERE, "GET /none HTTP/1.1", OURS, 401, "needs the token"},
		{HERE, "POST /purge HTTP/1.1", OURS, 401, "needs the token"},
		{HERE, "GET /marks HTTP/1.1", OURS "Authorization: Bearer 0123456789abcdeX\r\n",
		 401, "realm=\"cache204\", error=\"invalid_token\"\r\n"},
		{HERE, "GET /marks HTTP/1.1", OURS "Authorization: Bearer x\r\n", 401,
		 "is not Bearer with the token"},
		{HERE, "GET /marks HTTP/1.1",
		 OURS "Authorization: Bearer " TOKEN "\r\nAuthorization: Bearer " TOKEN "\r\n", 401,
		 "invalid_token"},
		{HERE, "GET /marks HTTP/1.1", OURS "Authorization: Bearer " TOKEN "\r\n", 200,
		 "\"marks\""},
		{AWAY, "POST /purge HTTP/1.1", OURS "Authorization: Bearer " TOKEN "\r\n", 202,
		 "\"purged\""},
	};

	(void)state;
	expect_all(without, COUNT(without));
	set_token();
	expect_all(with, COUNT(with));
}

/* A browser says which page sends a POST; a program says nothing. */
static void pages_of_others(void **state)
{
	static const struct {
		const char *fields;
		bool own;
	} cases[] = {
		{"", true},
		{"Origin: http://127.0.0.1:3129\r\n", true},
		{"Origin: http://evil.test\r\n", false},
		{"Origin: https://127.0.0.1:3129\r\n", false},
		{"Origin: http://127.0.0.1:3128\r\n", false},
		{"Origin: http://127.0.0.1:31299\r\n", false},
		{"Origin: HTTP://127.0.0.1:3129\r\n", false},
		{"Origin: null\r\n", false},
		{"Sec-Fetch-Site: same-origin\r\n", true},
		{"Sec-Fetch-Site: none\r\n", true},
		{"sec-fetch-site: cross-site\r\n", false},
		{"Sec-Fetch-Site: same-site\r\n", false},
		{"Origin: http://127.0.0.1:3129\r\nSec-Fetch-Site: cross-site\r\n", false},
	};
	char fields[256];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		snprintf(fields, sizeof(fields), OURS "%s", cases[i].fields);
		expect(&(struct row){HERE, "POST /purge HTTP/1.1", fields, cases[i].own ? 202 : 403,
				     cases[i].own ? "\"purged\"" : "another origin"});
		/* it reads nothing: that is for the browser to see to */
		expect(&(struct row){HERE, "GET /marks HTTP/1.1", fields, 200, "\"marks\""});
	}
	expect(&(struct row){HERE, "POST /purge HTTP/1.0", "Origin: http://127.0.0.1\r\n", 403,
			     "another origin"});
}

/* Load balancers send no more to one that leaves. */
static void health(void **state)
{
	(void)state;
	expect(&(struct row){AWAY, "GET /healthz HTTP/1.1", "Host: lb.test\r\n", 204, ""});
	f.world.worker->turn.leaving = true;
	expect(&(struct row){AWAY, "GET /healthz HTTP/1.1", "Host: lb.test\r\n", 503, ""});
}

/* Which of the two the index is. */
static void the_page_or_the_list(void **state)
{
	static const struct row rows[] = {
		{HERE, "GET / HTTP/1.1", OURS, 200, "\r\nVary: Accept\r\n"},
		{HERE, "GET / HTTP/1.1", OURS "Accept: */*\r\n", 200, "POST  /reload "},
		{HERE, "GET / HTTP/1.1", OURS "Accept: application/xhtml, TEXT/html ;q=0.9\r\n",
		 200, "\r\nContent-Type: text/html; charset=utf-8\r\n"},
		{HERE, "GET / HTTP/1.1", OURS "Accept: text/html,*/*\r\n", 200,
		 "\r\nContent-Security-Policy: "},
		{HERE, "GET / HTTP/1.1", OURS "Accept: text/htmlx,\r\n", 200, "POST  /reload "},
	};

	(void)state;
	expect_all(rows, COUNT(rows));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(hosts, setup, admin_fixture_close),
		cmocka_unit_test_setup_teardown(methods, setup, admin_fixture_close),
		cmocka_unit_test_setup_teardown(tokens, setup, admin_fixture_close),
		cmocka_unit_test_setup_teardown(pages_of_others, setup, admin_fixture_close),
		cmocka_unit_test_setup_teardown(health, setup, admin_fixture_close),
		cmocka_unit_test_setup_teardown(the_page_or_the_list, setup, admin_fixture_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
