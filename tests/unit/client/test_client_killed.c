/* LINKS: proxy/front tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/store_memory.c */
/* What clients get when their worker is killed. */
#include "tests/support/worker_fixture.h"

#include "proxy/front/forward.h"

/* One that is killed leaves its memory to the kernel. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

static struct worker_fixture f;

static int setup(void **state)
{
	(void)state;
	worker_fixture_open(&f, &forward_frontend, "store_interval=0");
	return 0;
}

static void say(struct fake_peer *peer, const char *text)
{
	worker_fixture_say(&f, peer, text);
}

/* A worker that is killed cuts off what only the end would tell the length of, until that has come. */
static void it_cuts_off_what_has_no_length(void **state)
{
	static const char head[] =
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";

	(void)state;
	for (unsigned whole = 0; whole < 2; whole++) {
		f.client =
			fake_worker_accept(f.worker, &forward_frontend, FAKE_LISTEN, FAILURE_NONE);
		say(f.client, "POST http://10.0.0.1/ HTTP/1.0\r\nContent-Length: 0\r\n\r\n");
		say(fake_peer_connected(whole), head);
		if (whole)
			say(fake_peer_connected(whole), "0\r\n\r\n");
		fake_worker_kill(f.worker);
		fake_worker_again(f.worker, f.conf);
		assert_int_equal(f.client->got_reset, !whole);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_cuts_off_what_has_no_length, setup,
						worker_fixture_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
