/* LINKS: proxy/front tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/store_memory.c tests/doubles/counted_memory.c */
/* Answers out, wherever the client stops to take them, in whose share of a turn, and how a connection ends. */
#include "tests/doubles/counted_memory.h"
#include "tests/support/worker_fixture.h"

#include <errno.h>
#include <stdio.h>

#include "proxy/client/client_state.h"
#include "proxy/front/forward.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ASK "GET http://10.0.0.1/ HTTP/1.1\r\nHost: x\r\n\r\n"
#define SELF "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n" /* the proxy answers that itself */
#define LAST "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
#define NO_CONTENT "HTTP/1.1 204 No Content\r\n\r\n"

static struct worker_fixture f;

static int setup(void **state)
{
	(void)state;
	worker_fixture_open(&f, &forward_frontend,
			    "head_timeout=20s;keepalive_timeout=30s;body_timeout=7s;"
			    "store_interval=0");
	return 0;
}

static void say(struct fake_peer *peer, const char *text)
{
	worker_fixture_say(&f, peer, text);
}

static const char *got(struct fake_peer *peer)
{
	return worker_fixture_got(&f, peer);
}

static unsigned times(const char *text, const char *part)
{
	unsigned n = 0;

	for (; (text = strstr(text, part)) != NULL; text++)
		n++;
	return n;
}

/* ---- as much as there is room for ----------------------------------------------------------- */

/* The origin's answer in pieces, of which the client takes so many bytes at first. */
static void pass_answer(const char *const *pieces, size_t room)
{
	struct fake_peer *origin;

	say(f.client, ASK);
	f.client->room = room;
	origin = fake_peer_connected(0);
	assert_non_null(origin);
	for (; *pieces != NULL; pieces++)
		say(origin, *pieces);
	worker_fixture_take_all(&f);
}

/* Wherever it stops, in the head or in a chunk, the rest comes in its order, and is counted once. */
static void it_takes_a_part_first(void **state)
{
	static const char *const lengths[] = {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab",
					      "cdefg", "hi", NULL};
	static const char *const chunks[] = {
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
		"5\r\ncdefg\r\n", "2\r\nhi\r\n0\r\n\r\n", NULL};
	static const char *const *const answers[] = {lengths, chunks};
	char whole[1024];

	(void)state;
	for (size_t i = 0; i < 2 * COUNT(answers); i++) {
		f.client->secured = i >= COUNT(answers); /* one part at a time */
		pass_answer(answers[i % 2], SIZE_MAX);
		snprintf(whole, sizeof(whole), "%s", got(f.client));
		assert_non_null(strstr(whole, i % 2 == 0 ? "\r\n\r\nabcdefghi" : "5\r\ncdefg\r\n"));
		for (size_t room = 0; room <= strlen(whole); room++) {
			pass_answer(answers[i % 2], room);
			assert_string_equal(got(f.client), whole);
		}
	}
	assert_int_equal(stats->client_bytes_out, f.client->got.n);
	assert_false(f.client->got_end);
}

/* One that takes all but the last byte is waited for as any other is, and then cut off. */
static void it_never_takes_the_last_byte(void **state)
{
	struct fake_peer *origin;
	size_t length;

	(void)state;
	say(f.client, SELF);
	length = strlen(got(f.client));
	f.client->room = length - 1;
	say(f.client, SELF);
	worker_fixture_pass(&f, 60000);
	assert_null(f.client->conn);
	assert_true(f.client->got_reset);
	assert_int_equal(stats->failure[FAILURE_CLIENT_TIMEOUT], 0); /* that request was answered */
	f.client = fake_worker_accept(f.worker, &forward_frontend, FAKE_LISTEN, FAILURE_NONE);
	say(f.client, ASK);
	origin = fake_peer_connected(0);
	f.client->room = 10;
	say(origin, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab");
	worker_fixture_pass(&f, 60000);
	assert_null(f.client->conn);
	assert_true(f.client->got_reset);
	assert_int_equal(stats->failure[FAILURE_CLIENT_TIMEOUT], 1);
	assert_int_equal(stats->exchanges, 0);
}

/* One that takes or sends its bytes steadily is not late, however long that is. */
static void steady_ones(void **state)
{
	enum { MANY = 400000, PIECE = 40000 };
	static char body[MANY + 1];
	struct fake_peer *sender =
		fake_worker_accept(f.worker, &forward_frontend, FAKE_LISTEN, FAILURE_NONE);

	(void)state;
	memset(body, 'b', MANY);
	say(f.client, ASK);
	f.client->room = 10;
	say(fake_peer_connected(0), "HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n");
	say(fake_peer_connected(0), body);
	/* no more is taken of the origin than waits */
	assert_true(fake_peer_connected(0)->said.done < fake_peer_connected(0)->said.n);
	say(sender, "POST http://10.0.0.2/ HTTP/1.1\r\nHost: x\r\n"
		    "Content-Length: 400000\r\n\r\n");
	for (unsigned i = 0; i < MANY / PIECE; i++) {
		worker_fixture_pass(&f, 5000);
		f.client->room = PIECE;
		fake_peer_say(sender, slice_of(body, PIECE));
		worker_fixture_settle(&f);
		assert_non_null(f.client->conn);
		assert_non_null(sender->conn);
		assert_false(sender->got_end);
	}
	worker_fixture_take_all(&f);
	assert_memory_equal(f.client->got.p + f.client->got.n - MANY, body, MANY);
	assert_true(fake_peer_connected(1)->got.n > MANY);
}

/* It goes while content comes for it: the origin is not asked to go on. */
static void it_leaves_in_the_midst(void **state)
{
	struct fake_peer *origin;

	(void)state;
	say(f.client, ASK);
	origin = fake_peer_connected(0);
	say(origin, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab");
	fake_peer_say(origin, SLICE("cd"));
	fake_peer_reset(f.client);
	worker_fixture_settle(&f);
	assert_null(f.client->conn);
	assert_null(origin->conn);
	assert_int_equal(stats->failure[FAILURE_CLIENT_GONE], 1);
	assert_int_equal(stats->exchanges, 0);
}

/* The origin's answer in pieces to a client of its own, of which the n-th call fails; whether there is one. */
static bool fail_one(unsigned n, int error, size_t room, char whole[static 1024])
{
	static const char *const pieces[] = {
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
		"5\r\ncdefg\r\n", "2\r\nhi\r\n0\r\n\r\n"};
	struct fake_peer *client =
		fake_worker_accept(f.worker, &forward_frontend, FAKE_LISTEN, FAILURE_NONE);
	struct fake_peer *origin = NULL, *next;
	const char *text;
	bool failed;

	client->room = room;
	say(client, ASK);
	for (unsigned i = 0; (next = fake_peer_connected(i)) != NULL; i++)
		origin = next;
	assert_non_null(origin);
	fake_conn_fail(n, error);
	for (size_t i = 0; i < COUNT(pieces); i++)
		say(origin, pieces[i]);
	client->room = SIZE_MAX;
	worker_fixture_settle(&f);
	failed = fake_conn_fail_never();
	text = got(client);
	if (!failed)
		snprintf(whole, 1024, "%s", text);
	else if (strncmp(text, "HTTP/1.1 502 ", 13) != 0 && strncmp(text, whole, strlen(text)) != 0)
		fail_msg("%u: %s", n, text);
	else if (strlen(text) < strlen(whole))
		assert_true(client->got_end);
	assert_int_equal(stats->exchanges, 0);
	fake_peer_reset(client);
	fake_peer_reset(origin);
	worker_fixture_settle(&f);
	return failed;
}

/* It fails, or its origin does: what it got is a part of the answer, or an error, and then its end. */
static void any_call_fails(void **state)
{
	static const int errors[] = {ECONNRESET, EPIPE};
	static const size_t rooms[] = {SIZE_MAX, 0, 20};
	char whole[1024];
	unsigned n;

	(void)state;
	for (size_t i = 0; i < COUNT(errors) * COUNT(rooms); i++) {
		assert_false(fail_one(1000, ECONNRESET, SIZE_MAX, whole));
		for (n = 0; fail_one(n, errors[i % 2], rooms[i / 2], whole); n++)
			assert_true(n < 100);
		assert_true(n > 5);
	}
	assert_int_equal(stats->clients, 1);
}

/* ---- in its share of the turn --------------------------------------------------------------- */

static void store_one(const char *field)
{
	char head[8192];

	say(f.client, ASK);
	snprintf(head, sizeof(head),
		 "HTTP/1.1 204 No Content\r\nCache-Control: max-age=600\r\n%s\r\n", field);
	say(fake_peer_connected(0), head);
	assert_non_null(strstr(got(f.client), "stored"));
}

/* Of those that are answered at once, each is measured from the turn that read it. */
static void hits_are_measured(void **state)
{
	(void)state;
	store_one("");
	assert_int_equal(stats->hit_latency.count, 0);
	say(f.client, ASK);
	assert_int_equal(stats->hit_latency.count, 1);
	say(f.client, ASK ASK);
	assert_int_equal(stats->hit_latency.count, 3);
	assert_int_equal(stats->hit_latency.sum_us, 0);
	/* three in a turn, the others in those to come */
	for (unsigned i = 0; i < 8; i++)
		fake_peer_say(f.client, SLICE(ASK));
	for (unsigned i = 1; i <= 3; i++) {
		fake_worker_turn(f.worker, false);
		assert_int_equal(stats->hit_latency.count, 3 + (i < 3 ? 3 * i : 8));
		assert_int_equal(times(got(f.client), "; hit"), i == 1 ? 6 : i == 2 ? 3 : 2);
		fake_conn_pass(100);
	}
	assert_int_equal(stats->hit_latency.sum_us, (3 * 100 + 2 * 200) * 1000);
	worker_fixture_settle(&f);
	/* and the next begins anew */
	say(f.client, ASK);
	assert_int_equal(stats->hit_latency.sum_us, (3 * 100 + 2 * 200) * 1000);
}

/* What waits for the next turn waits for no client: no deadline, and nothing more is read. */
static void what_is_put_off_is_not_late(void **state)
{
	(void)state;
	store_one("");
	for (unsigned i = 0; i < 8; i++)
		fake_peer_say(f.client, SLICE(ASK));
	fake_worker_turn(f.worker, false);
	fake_peer_say(f.client, SLICE(ASK));
	assert_int_equal(f.client->said.n - f.client->said.done, sizeof(ASK) - 1);
	fake_conn_pass(40000);
	fake_peer_end(f.client); /* all of them are answered before the end of what it said is */
	worker_fixture_settle(&f);
	assert_int_equal(times(got(f.client), "; hit"), 9);
	assert_null(f.client->conn);
	assert_false(f.client->got_reset);
}

/* Bytes in, out and compared count as well as steps: 64 such requests are more than one turn's. */
static void large_ones_take_more_of_it(void **state)
{
	static char field[3100], ask[2100];
	unsigned first;

	(void)state;
	memset(field, 'f', sizeof(field) - 1);
	memcpy(field, "X: ", 3);
	memcpy(field + sizeof(field) - 3, "\r\n", 2);
	store_one(field);
	snprintf(ask, sizeof(ask), "GET http://10.0.0.1/ HTTP/1.1\r\nHost: x\r\nX: %01900d\r\n\r\n",
		 0);
	f.worker->turn.steps_max = SHARE_REQUESTS;
	for (unsigned i = 0; i < 60; i++)
		fake_peer_say(f.client, slice_str(ask));
	fake_worker_turn(f.worker, false);
	first = times(got(f.client), "; hit");
	/* in and out are more than 5000 bytes of each, and what is compared is no more than that */
	assert_in_range(first, SHARE_BYTES / 10000, SHARE_BYTES / 5000 + 1);
	worker_fixture_settle(&f);
	assert_int_equal(first + times(got(f.client), "; hit"), 60);
}

/* Each kind of bytes counts whole, and by itself: what is in, out, or compared. */
static void each_kind_of_bytes_takes_of_it(void **state)
{
	static const struct {
		size_t field, ask;
	} cases[] = {{3100, 10}, {2000, 1500}, {1000, 1900}};
	const struct cache_counts *counts;
	char field[4096], ask[4096];
	unsigned first;
	uint64_t cost;

	for (size_t i = 0; i < COUNT(cases); i++) {
		worker_fixture_close(state);
		setup(state);
		snprintf(field, sizeof(field), "X: %0*d\r\n", (int)cases[i].field, 0);
		store_one(field);
		counts = f.worker->clients.counts;
		cost = counts->compared;
		snprintf(ask, sizeof(ask),
			 "GET http://10.0.0.1/ HTTP/1.1\r\nHost: x\r\nX: %0*d\r\n\r\n",
			 (int)cases[i].ask, 0);
		say(f.client, ask);
		cost = counts->compared - cost + strlen(ask) + strlen(got(f.client));
		f.worker->turn.steps_max = SHARE_REQUESTS;
		for (unsigned n = 0; n < 500; n++)
			fake_peer_say(f.client, slice_str(ask));
		fake_worker_turn(f.worker, false);
		first = times(got(f.client), "; hit");
		if (first != (SHARE_BYTES + cost - 1) / cost)
			fail_msg("%zu: cost %llu first %u", i, (unsigned long long)cost, first);
		worker_fixture_settle(&f);
	}
}

/* ---- reading ahead -------------------------------------------------------------------------- */

/* Behind a request that waits for its origin, up to a bound; an RST is seen meanwhile. */
static void it_says_more_than_is_read(void **state)
{
	struct fake_peer *origin;

	(void)state;
	say(f.client, ASK);
	origin = fake_peer_connected(0);
	for (unsigned i = 0; i < 20000; i++)
		fake_peer_say(f.client, SLICE(SELF));
	worker_fixture_settle(&f);
	assert_in_range(f.client->said.done, 80 * 1024, 80 * 1024 + SCRATCH_SIZE);
	worker_fixture_pass(&f, 40000); /* it is not the client that is waited for */
	assert_non_null(f.client->conn);
	fake_peer_say(origin, SLICE(NO_CONTENT));
	for (unsigned i = 0; i < 30000 && fake_worker_turn(f.worker, false); i++)
		;
	assert_int_equal(stats->requests, 20001);
	assert_int_equal(f.client->said.done, f.client->said.n);
}

static void it_is_gone_before_its_last_answer(void **state)
{
	struct fake_peer *origin;

	(void)state;
	say(f.client, "GET http://10.0.0.1/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	origin = fake_peer_connected(0);
	fake_peer_reset(f.client);
	worker_fixture_settle(&f);
	assert_null(f.client->conn);
	assert_null(origin->conn);
	assert_int_equal(stats->failure[FAILURE_CLIENT_GONE], 1);
}

/* A head that began in one read, and went on in others of any size. */
static void heads_in_pieces(void **state)
{
	static const size_t pieces[] = {1, 3, 41, 1000};

	(void)state;
	for (size_t i = 0; i < COUNT(pieces); i++) {
		for (unsigned n = 0; n < 50; n++)
			fake_peer_say(f.client, SLICE(SELF));
		f.client->read_max = pieces[i];
		f.client->pieces = UINT32_MAX;
		for (unsigned n = 0; n < 9999 && fake_worker_turn(f.worker, false); n++)
			;
		assert_int_equal(times(got(f.client), "HTTP/1.1 204 "), 50);
	}
	assert_int_equal(stats->client_bytes_in, f.client->said.n);
}

/* What waits in a buffer of its own, and much behind it in one read. */
static void much_behind_a_head_that_has_begun(void **state)
{
	(void)state;
	say(f.client, "OPTIONS * HTTP/1.1\r\n");
	fake_peer_say(f.client, SLICE("Host: x\r\n\r\n"));
	for (unsigned n = 0; n < 2500; n++)
		fake_peer_say(f.client, SLICE(SELF));
	for (unsigned n = 0; n < 9999 && fake_worker_turn(f.worker, false); n++)
		;
	assert_int_equal(times(got(f.client), "HTTP/1.1 204 "), 2501);
}

/* ---- ends ----------------------------------------------------------------------------------- */

/* Who said that it sends no more, and did not, is not waited for; any other is, for what may come. */
static void how_a_connection_ends(void **state)
{
	static const struct {
		const char *options, *says;
		bool secured, fin, at_once;
	} cases[] = {
		{"", LAST, .at_once = true},
		{"", LAST, .at_once = true, .fin = true},
		{"", LAST, .secured = true},
		{"", LAST "x", .at_once = false},
		{"client_requests=1", SELF, .at_once = false},
		{"client_requests=1", SELF, .fin = true, .at_once = true},
		{"client_requests=1", SELF SELF, .at_once = false},
		{"", "OPTIONS * HTTP/1.0\r\nHost: x\r\n\r\n", .at_once = true},
		{"", SELF LAST, .at_once = true},
		{"", "nonsense\r\n\r\n", .at_once = false},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		worker_fixture_close(state);
		worker_fixture_open(&f, &forward_frontend, cases[i].options);
		f.client->secured = cases[i].secured;
		fake_peer_say(f.client, slice_str(cases[i].says));
		if (cases[i].fin)
			fake_peer_end(f.client);
		worker_fixture_settle(&f);
		assert_true(f.client->got_end && f.client->got.n > 0);
		assert_false(f.client->got_reset && cases[i].at_once);
		if ((f.client->conn == NULL) != cases[i].at_once)
			fail_msg("case %zu: %s", i, cases[i].at_once ? "it lingers" : "at once");
		worker_fixture_pass(&f, CLIENT_LINGER_MS);
		assert_null(f.client->conn);
	}
}

/* A body was promised as the last: what of it comes is read for a while. */
static void it_promised_a_body_at_last(void **state)
{
	struct fake_peer *origin;

	(void)state;
	say(f.client, "POST http://10.0.0.1/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
		      "Content-Length: 3\r\n\r\nab");
	origin = fake_peer_connected(0);
	say(f.client, "c");
	assert_non_null(strstr(got(origin), "\r\n\r\nabc"));
	say(origin, NO_CONTENT);
	assert_true(f.client->got_end);
	assert_non_null(f.client->conn);
	worker_fixture_pass(&f, CLIENT_LINGER_MS - 1);
	assert_non_null(f.client->conn);
	worker_fixture_pass(&f, 1);
	assert_null(f.client->conn);
}

/* Read on up to a limit of bytes, which those before the end do not count for; or to the client's end. */
static void what_lingers(void **state)
{
	static char more[CLIENT_LINGER_BYTES];

	(void)state;
	memset(more, 'x', sizeof(more));
	for (unsigned way = 0; way < 3; way++) {
		f.client =
			fake_worker_accept(f.worker, &forward_frontend, FAKE_LISTEN, FAILURE_NONE);
		say(f.client, SELF SELF SELF "nonsense\r\n\r\n");
		assert_true(f.client->got_end);
		fake_peer_say(f.client, slice_of(more, sizeof(more)));
		worker_fixture_settle(&f);
		assert_int_equal(f.client->said.done, f.client->said.n);
		assert_non_null(f.client->conn);
		if (way == 0)
			say(f.client, "x");
		else if (way == 1)
			fake_peer_end(f.client);
		else
			fake_peer_reset(f.client);
		worker_fixture_settle(&f);
		assert_null(f.client->conn);
	}
}

/* An answer that only the end tells the length of ends by FIN when it is whole. */
static void one_that_ends_by_closing(void **state)
{
	(void)state;
	say(f.client, "GET http://10.0.0.1/ HTTP/1.0\r\n\r\n");
	say(fake_peer_connected(0),
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
	assert_false(f.client->got_end);
	say(fake_peer_connected(0), "0\r\n\r\n");
	assert_true(f.client->got_end && !f.client->got_reset);
	worker_fixture_pass(&f, CLIENT_LINGER_MS);
	assert_null(f.client->conn);
	assert_false(f.client->got_reset);
}

/* A refused one that says no request, and takes no answer, has its time for each, and no more. */
static void one_that_is_refused_and_reads_nothing(void **state)
{
	struct fake_peer *peer =
		fake_worker_accept(f.worker, &forward_frontend, "192.0.2.7", FAILURE_DENIED_CLIENT);

	(void)state;
	peer->room = 3;
	say(peer, "GET");
	worker_fixture_pass(&f, CLIENT_REFUSAL_MS);
	assert_int_equal(peer->got.n, 3);
	worker_fixture_pass(&f, CLIENT_REFUSAL_MS - 1);
	assert_non_null(peer->conn);
	worker_fixture_pass(&f, 1);
	assert_null(peer->conn);
	assert_true(peer->got_reset);
}

/* How long an idle one is kept: from its first answer on, and after each. */
static void idle_ones(void **state)
{
	struct fake_peer *fresh =
		fake_worker_accept(f.worker, &forward_frontend, FAKE_LISTEN, FAILURE_NONE);

	(void)state;
	say(f.client, SELF);
	worker_fixture_pass(&f, 19999);
	assert_non_null(fresh->conn);
	worker_fixture_pass(&f, 1);
	assert_null(fresh->conn);
	worker_fixture_pass(&f, 9999);
	assert_non_null(f.client->conn);
	worker_fixture_pass(&f, 1);
	assert_null(f.client->conn);
	assert_int_equal(stats->requests, 1);
}

/* An origin that takes longer than any head or idle client may. */
static void one_that_waits_for_its_answer(void **state)
{
	(void)state;
	say(f.client, ASK);
	worker_fixture_pass(&f, 45000);
	say(fake_peer_connected(0), NO_CONTENT);
	assert_non_null(strstr(got(f.client), "HTTP/1.1 204 "));
	worker_fixture_pass(&f, 29999);
	assert_non_null(f.client->conn);
	worker_fixture_pass(&f, 1);
	assert_null(f.client->conn);
}

/* One that said all it has to say gets all that it asked for, then the end; the rest of a head is told. */
static void its_end_comes_first(void **state)
{
	(void)state;
	fake_peer_say(f.client, SLICE(SELF ASK SELF "GET "));
	fake_peer_end(f.client);
	worker_fixture_settle(&f);
	assert_int_equal(times(got(f.client), "HTTP/1.1 204 "), 1);
	assert_non_null(f.client->conn);
	say(fake_peer_connected(0), NO_CONTENT);
	assert_int_equal(times(got(f.client), "HTTP/1.1 204 "), 2);
	assert_null(f.client->conn);
	assert_true(f.client->got_end && !f.client->got_reset);
	assert_int_equal(fake_worker_told.left, 1);
	assert_int_equal(fake_worker_told.left_bytes, 4);
}

/* It reads nothing meanwhile: all waits until it does. */
static void its_end_comes_before_it_reads(void **state)
{
	(void)state;
	f.client->room = 10;
	for (unsigned i = 0; i < 1500; i++)
		fake_peer_say(f.client, SLICE(SELF));
	fake_peer_end(f.client);
	for (unsigned i = 0; i < 9999 && fake_worker_turn(f.worker, false); i++)
		;
	assert_in_range(stats->requests, 10, 1400);
	assert_false(f.client->got_end);
	worker_fixture_take_all(&f);
	assert_int_equal(times(got(f.client), "HTTP/1.1 204 "), 1500);
	assert_null(f.client->conn);
	assert_int_equal(fake_worker_told.left, 0);
}

/* A worker that ends waits for an answer to be taken, and no longer. */
static void it_takes_its_answer_at_the_end_of_the_worker(void **state)
{
	(void)state;
	f.client->room = 10;
	say(f.client, SELF);
	fake_worker_terminate(f.worker);
	worker_fixture_settle(&f);
	assert_false(f.client->got_end);
	worker_fixture_take_all(&f);
	assert_true(f.client->got_end && !f.client->got_reset);
	assert_int_equal(times(got(f.client), "HTTP/1.1 204 "), 1);
	worker_fixture_pass(&f, CLIENT_LINGER_MS);
	assert_null(f.client->conn);
}

/* Whose answer had begun, or was not taken, sees that it was cut off; who had none yet, or all, does not. */
static void those_that_are_cut_off(void **state)
{
	struct fake_peer *begun = f.client, *waits, *behind, *idle;
	size_t length;

	(void)state;
	idle = fake_worker_accept(f.worker, &forward_frontend, FAKE_LISTEN, FAILURE_NONE);
	waits = fake_worker_accept(f.worker, &forward_frontend, FAKE_LISTEN, FAILURE_NONE);
	behind = fake_worker_accept(f.worker, &forward_frontend, FAKE_LISTEN, FAILURE_NONE);
	say(begun, ASK);
	say(fake_peer_connected(0), "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab");
	say(waits, "GET http://10.0.0.2/ HTTP/1.1\r\nHost: x\r\n\r\n");
	say(idle, SELF);
	length = strlen(got(idle));
	behind->room = length - 1; /* all but a byte */
	say(behind, SELF);
	fake_worker_drained(f.worker);
	assert_true(begun->got_reset && behind->got_reset);
	assert_true(waits->got_end && !waits->got_reset);
	assert_true(idle->got_end && !idle->got_reset);
	assert_int_equal(stats->clients, 0);
	assert_int_equal(stats->exchanges, 0);
}

/* Read as HTTP, and left. */
static void open_tunnel_and_leave(void)
{
	struct fake_peer *peer =
		fake_worker_accept(f.worker, &forward_frontend, FAKE_LISTEN, FAILURE_NONE);

	say(peer, "CONNECT 10.0.0.1:80 HTTP/1.1\r\nHost: 10.0.0.1:80\r\n\r\n"
		  "OPTIONS * HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n");
	fake_peer_reset(peer);
	worker_fixture_settle(&f);
}

/* Each way to go, with what waits to be done for it. */
static void use_all(void)
{
	open_tunnel_and_leave();
	say(f.client, "GET http://10.0.0.1/ HT");
	say(f.client, "TP/1.1\r\nHost: x\r\n\r\n");
	fake_peer_say(fake_peer_connected(0),
		      SLICE("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"));
	fake_peer_reset(f.client); /* in the turn in which its answer is to be pushed */
	worker_fixture_settle(&f);
	f.client = fake_worker_accept(f.worker, &forward_frontend, FAKE_LISTEN, FAILURE_NONE);
	for (unsigned i = 0; i < 9; i++)
		fake_peer_say(f.client, SLICE(SELF));
	fake_worker_turn(f.worker, false);
	fake_peer_reset(f.client); /* while it is put off */
	worker_fixture_settle(&f);
}

static void all_memory_is_given_back(void **state)
{
	size_t before = 0;

	for (unsigned round = 0; round < 4; round++) {
		worker_fixture_close(state);
		if (round > 1)
			assert_int_equal(allocations_alive(), before);
		before = allocations_alive();
		worker_fixture_open(&f, &forward_frontend, "connect_ports=80;tunnel_http=80");
		use_all();
	}
}

/* Of several, any may go first. */
static void they_leave_in_any_order(void **state)
{
	static const unsigned orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
					     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	struct fake_peer *peers[3];

	(void)state;
	for (size_t i = 0; i < COUNT(orders); i++) {
		for (unsigned n = 0; n < 3; n++)
			peers[n] = fake_worker_accept(f.worker, &forward_frontend, FAKE_LISTEN,
						      FAILURE_NONE);
		for (unsigned n = 0; n < 3; n++) {
			fake_peer_end(peers[orders[i][n]]);
			worker_fixture_settle(&f);
			assert_null(peers[orders[i][n]]->conn);
			assert_int_equal(stats->clients, 3 - n);
		}
	}
	for (unsigned n = 0; n < 3; n++)
		peers[n] =
			fake_worker_accept(f.worker, &forward_frontend, FAKE_LISTEN, FAILURE_NONE);
	fake_peer_end(peers[1]);
	worker_fixture_settle(&f);
	fake_worker_terminate(f.worker);
	worker_fixture_settle(&f);
	assert_int_equal(stats->clients, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, worker_fixture_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_takes_a_part_first),
		TEST(it_never_takes_the_last_byte),
		TEST(steady_ones),
		TEST(it_leaves_in_the_midst),
		TEST(any_call_fails),
		TEST(hits_are_measured),
		TEST(what_is_put_off_is_not_late),
		TEST(large_ones_take_more_of_it),
		TEST(each_kind_of_bytes_takes_of_it),
		TEST(it_says_more_than_is_read),
		TEST(it_is_gone_before_its_last_answer),
		TEST(heads_in_pieces),
		TEST(much_behind_a_head_that_has_begun),
		TEST(how_a_connection_ends),
		TEST(it_promised_a_body_at_last),
		TEST(what_lingers),
		TEST(one_that_ends_by_closing),
		TEST(one_that_is_refused_and_reads_nothing),
		TEST(idle_ones),
		TEST(one_that_waits_for_its_answer),
		TEST(its_end_comes_first),
		TEST(its_end_comes_before_it_reads),
		TEST(it_takes_its_answer_at_the_end_of_the_worker),
		TEST(those_that_are_cut_off),
		TEST(all_memory_is_given_back),
		TEST(they_leave_in_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
