/* LINKS: proxy/front tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/store_memory.c tests/doubles/failing_memory.c -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
/* Each page of operators without memory, one allocation after the other: it says so, and the next request is well. */
#include "tests/doubles/failing_memory.h"
#include "tests/support/admin_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#define A "http://10.0.0.1/a"

static struct admin_fixture f;

static int setup(void **state)
{
	(void)state;
	admin_fixture_open(&f, "store_interval=0");
	return 0;
}

static const char *head_of(const char *method, const char *target)
{
	static char head[512];

	snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: %s\r\n", method,
		 target, strcmp(target, "/") == 0 ? "text/html" : "*/*");
	return head;
}

static unsigned status_of(const char *answer)
{
	return answer[0] == '\0' ? 0
				 : (unsigned)strtoul(answer + sizeof("HTTP/1.1 ") - 1, NULL, 10);
}

/*
 * What an operator gets when the n-th allocation fails, and all after it with `on`: the answer, one
 * that says that there is no memory, or nothing, when there is none for the connection.
 */
static unsigned ask(const char *method, const char *target, size_t n, bool on, bool *ret_failed)
{
	struct fake_peer *peer = admin_fixture_connect(&f, "127.0.0.1");

	fake_peer_say(peer, slice_str(head_of(method, target)));
	fake_peer_say(peer, SLICE("\r\n"));
	fail_memory(n, on);
	worker_fixture_settle(&f.world);
	*ret_failed = fail_memory_never();
	worker_fixture_settle(&f.world);
	if (peer->got.n == 0)
		assert_null(peer->conn); /* it is not left waiting */
	if (peer->conn != NULL)
		fake_peer_end(peer);
	worker_fixture_settle(&f.world);
	while (cache_purge_is_due(f.world.worker->cache)) /* as many can be pending at a time */
		cache_purge_some(f.world.worker->cache);
	return status_of(worker_fixture_got(&f.world, peer));
}

static const struct {
	const char *method, *target;
	unsigned status;
} pages[] = {
	{"GET", "/", 200},
	{"GET", "/index", 404},
	{"GET", "/stats", 200},
	{"GET", "/stats?last=60s", 200},
	{"GET", "/metrics", 200},
	{"GET", "/dash.json?window=0", 200},
	{"GET", "/marks", 200},
	{"POST", "/marks/a", 201},
	{"POST", "/marks/a?note=n", 201},
	{"GET", "/stats?since=a", 200},
	{"GET", "/dash.json?since=a", 200},
	{"GET", "/purge", 200},
	{"GET", "/purge?id=1", 404},
	{"POST", "/purge?uri=" A "/none", 200},
	{"POST", "/purge?soft=1&uri=" A "/none", 200},
	{"POST", "/purge?group=g&host=10.0.0.1", 202},
	{"POST", "/purge?group=g&uri=" A, 202},
	{"POST", "/purge?prefix=" A "/none", 202},
	{"GET", "/entries", 200},
	{"GET", "/explain?uri=" A, 200},
	{"GET", "/explain?header=X:+1&uri=" A, 200},
	{"GET", "/reload", 200},
};

static void try_page(const char *method, const char *target, unsigned status, bool on)
{
	unsigned failures = 0, told = 0, got;
	bool failed;

	for (size_t n = 0;; n++) {
		got = ask(method, target, n, on, &failed);
		if (!failed)
			break;
		if (got != status && got != 0 && got != 500 && got != 503)
			fail_msg("%s %s, allocation %zu: %u", method, target, n, got);
		failures++;
		told += got >= 500;
		assert_true(failures < 1000);
	}
	if (got != status)
		fail_msg("%s %s: %u", method, target, got);
	/* what the page itself needs is told of */
	if (!on && strchr(target, '?') != NULL && told == 0)
		fail_msg("%s %s: no failure is told", method, target);
	assert_int_equal(stats->exchanges, 0);
}

static void a_page_without_memory(void **state)
{
	(void)state;
	admin_fixture_fetch(
		&f, A, "",
		"HTTP/1.1 204 No Content\r\nCache-Control: max-age=60\r\nETag: \"x\"\r\n");
	worker_fixture_pass(&f.world, 1000);
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		try_page(pages[i].method, pages[i].target, pages[i].status, false);
		try_page(pages[i].method, pages[i].target, pages[i].status, true);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, admin_fixture_close)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(a_page_without_memory)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
