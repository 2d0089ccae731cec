/* LINKS: proxy/front tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/store_memory.c tests/doubles/failing_memory.c -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
/* Clients without memory, one allocation after the other: each gets its answer whole, an error, or an end. */
#include "tests/doubles/failing_memory.h"
#include "tests/support/worker_fixture.h"

#include "proxy/client/client_state.h"
#include "proxy/front/forward.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SELF "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"

enum { WHOLE_SIZE = 16384 };

/* More content than there is room for where its head waits. */
#define MUCH_HEAD "HTTP/1.1 200 OK\r\nContent-Length: 3587\r\n\r\n"
#define B64 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define B512 B64 B64 B64 B64 B64 B64 B64 B64
#define B3584 B512 B512 B512 B512 B512 B512 B512

static struct worker_fixture f;

static const struct {
	const char *name;
	const char *says[4]; /* one after the other */
	const char *origin;  /* what an origin answers, when one is asked */
	const char *got;     /* is in what it gets when nothing fails */
	size_t room;         /* that it has before it takes all */
	bool is_tls, is_behind;
} cases[] = {
	{"a request", {SELF}, "", "cache204\r\n\r\n", SIZE_MAX, false, false},
	{"one in pieces",
	 {"OPTIONS * HTTP/1.1\r\n", "Host: x\r\n\r\n"},
	 "",
	 "cache204\r\n\r\n",
	 SIZE_MAX,
	 false,
	 false},
	{"a slow reader", {SELF SELF}, "", "cache204\r\n\r\n", 10, false, false},
	{"a head that does not end", {"GET "}, "", "HTTP/1.1 408 ", SIZE_MAX, false, false},
	{"TLS", {"\x16", SELF}, "", "cache204\r\n\r\n", SIZE_MAX, true, false},
	{"behind", {"PROXY UNK", "NOWN\r\n" SELF}, "", "cache204\r\n\r\n", SIZE_MAX, false, true},
	{"content",
	 {"POST http://10.0.0.1/ HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab", "cd"},
	 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
	 "3\r\nabc\r\n0\r\n\r\n",
	 7,
	 false,
	 false},
	{"much content",
	 {"GET http://10.0.0.1/ HTTP/1.1\r\nHost: x\r\n\r\n"},
	 MUCH_HEAD B3584 "end",
	 "\r\n\r\n" B3584 "end",
	 7,
	 false,
	 false},
	{"a tunnel",
	 {"CONNECT 10.0.0.1:443 HTTP/1.1\r\nHost: 10.0.0.1:443\r\n\r\nahead", "more"},
	 "from there",
	 "\r\n\r\nfrom there",
	 7,
	 false,
	 false},
};

static struct fake_peer *connect_one(size_t i)
{
	struct fake_peer *peer = fake_peer_new();
	struct accepted accepted = {
		.fd = peer->fd, .is_tls = cases[i].is_tls, .frontend = &forward_frontend};

	peer->room = cases[i].room;
	assert_true(address_parse(SLICE("127.0.0.1"), &accepted.peer));
	(cases[i].is_behind ? client_new_behind : client_new)(&f.worker->clients, &accepted,
							      FAILURE_NONE);
	return peer;
}

/* Its texts, and what follows from them; TLS takes the first. */
static void say_all(size_t i, struct fake_peer *peer)
{
	for (size_t n = 0; n < COUNT(cases[i].says) && cases[i].says[n] != NULL; n++) {
		fake_peer_say(peer, slice_str(cases[i].says[n]));
		for (unsigned turn = 0; cases[i].is_tls && n == 0 && !peer->secured && turn < 9;
		     turn++)
			fake_worker_turn(f.worker, false);
		if (cases[i].is_tls && n == 0)
			peer->said.n = peer->said.done;
		assert_true(fake_worker_settle(f.worker));
		if (cases[i].is_tls && !peer->secured)
			break;
	}
	for (unsigned n = 0; fake_peer_connected(n) != NULL; n++) {
		/* the head of much content comes first, by itself */
		fake_peer_connected(n)->pieces = 1;
		fake_peer_connected(n)->read_max = sizeof(MUCH_HEAD) - 1;
		fake_peer_say(fake_peer_connected(n), slice_str(cases[i].origin));
	}
	assert_true(fake_worker_settle(f.worker));
}

/* What it got is what it gets otherwise, as far as it goes, then maybe an error; whole unless it was reset. */
static void check(size_t i, const struct fake_peer *peer, const char *whole)
{
	struct slice text = fake_peer_got(peer);
	const char *error = text.n > 0 ? memmem(text.p, text.n, "HTTP/1.1 5", 10) : NULL;
	size_t n = error != NULL ? (size_t)(error - text.p) : text.n;

	if (n > strlen(whole) || (n > 0 && memcmp(text.p, whole, n) != 0))
		fail_msg("%s: %.*s", cases[i].name, SLICE_ARG(text));
	if (error == NULL && n < strlen(whole) && !peer->got_end)
		fail_msg("%s: cut, and open: %.*s", cases[i].name, SLICE_ARG(text));
}

/* The n-th allocation fails, and with `on` all after it; whether one has. */
static bool play(size_t i, size_t n, bool on, char whole[static WHOLE_SIZE])
{
	struct fake_peer *peer;
	bool failed;

	worker_fixture_open(&f, &forward_frontend, "head_timeout=20s");
	fail_memory(n, on);
	peer = connect_one(i);
	say_all(i, peer);
	peer->room = SIZE_MAX;
	assert_true(fake_worker_settle(f.worker));
	assert_true(fake_worker_pass(f.worker, 20000));
	failed = fail_memory_never();
	worker_fixture_settle(&f);
	if (!failed) {
		assert_true(peer->got.n < WHOLE_SIZE);
		memcpy(whole, peer->got.p, peer->got.n);
		whole[peer->got.n] = '\0';
		if (strstr(whole, cases[i].got) == NULL)
			fail_msg("%s: %s", cases[i].name, whole);
	} else {
		check(i, peer, whole);
	}
	fake_peer_reset(peer);
	worker_fixture_settle(&f);
	/* the next one is well */
	worker_fixture_say(
		&f, fake_worker_accept(f.worker, &forward_frontend, FAKE_LISTEN, FAILURE_NONE),
		SELF);
	worker_fixture_close(NULL);
	return failed;
}

static void clients_without_memory(void **state)
{
	static char whole[WHOLE_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_false(play(i, SIZE_MAX / 2, false, whole));
		for (int on = 0; on < 2; on++) {
			size_t n = 0;

			while (play(i, n, on == 1, whole))
				assert_true(++n < 1000);
			assert_true(n > 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(clients_without_memory, worker_fixture_close)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
