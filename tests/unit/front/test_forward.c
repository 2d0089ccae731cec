/* LINKS: proxy/front tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/store_memory.c tests/doubles/counted_memory.c */
/* What becomes of a request to the proxy: which answer, whom it asks and with what, and what is told of it. */
#include "tests/doubles/counted_memory.h"
#include "tests/support/captured.h"
#include "tests/support/worker_fixture.h"

#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/access/credentials.h"
#include "proxy/base/log.h"
#include "proxy/front/forward.h"
#include "proxy/front/gateway.h"
#include "proxy/front/logins.h"
#include "proxy/stats/accesslog.h"
#include "proxy/stats/notices.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define A "http://10.0.0.1/a"
#define NO_CONTENT "HTTP/1.1 204 No Content\r\n"

static struct worker_fixture f;

static void open_with(const char *options)
{
	worker_fixture_open(&f, &forward_frontend, options);
}

static int setup(void **state)
{
	(void)state;
	open_with("store_interval=0;keepalive_timeout=1h");
	return 0;
}

static void say(struct fake_peer *peer, const char *text)
{
	worker_fixture_say(&f, peer, text);
}

/* What it got since it was last asked has this; "" for nothing at all. */
static void expect(struct fake_peer *peer, const char *part)
{
	const char *text = worker_fixture_got(&f, peer);

	if (part[0] == '\0' ? text[0] != '\0' : strstr(text, part) == NULL)
		fail_msg("no '%s' in: %s", part, text);
}

static void ask(const char *method, const char *target, const char *lines)
{
	char head[512];

	snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n", method, target, lines);
	say(f.client, head);
}

static struct fake_peer *origin(void)
{
	struct fake_peer *peer = fake_peer_connected(0);

	assert_non_null(peer);
	return peer;
}

static void store(const char *lines)
{
	char head[512];

	ask("GET", A, "");
	snprintf(head, sizeof(head), NO_CONTENT "%s\r\n", lines);
	say(origin(), head);
	expect(origin(), "GET /a HTTP/1.1\r\n");
	expect(f.client, "; stored\r\n");
}

/* ---- from the store, or from the origin ----------------------------------------------------- */

/* Which answer, in one word of Cache-Status, and what its origin was asked. */
static void answers(void **state)
{
	static const struct {
		const char *stored;
		int64_t wait_s;
		const char *method, *lines, *told, *asked;
		const char *answer; /* of the origin; then what is told */
		const char *told_then;
	} cases[] = {
		{"Cache-Control: max-age=60\r\n", 1, "GET", "", "; hit; ttl=59\r\n", "", NULL,
		 NULL},
		{"Cache-Control: max-age=60\r\n", 1, "HEAD", "", "; hit; ttl=59\r\n", "", NULL,
		 NULL},
		{"Cache-Control: max-age=60\r\nETag: \"x\"\r\n", 61, "GET", "", "",
		 "\r\nIf-None-Match: \"x\"\r\n", "HTTP/1.1 304 Not Modified\r\n\r\n",
		 "; fwd=stale; fwd-status=304\r\n"},
		{"Cache-Control: max-age=60\r\nETag: \"x\"\r\n", 61, "GET", "", "",
		 "\r\nIf-None-Match: \"x\"\r\n", NO_CONTENT "\r\n",
		 "; fwd=stale; fwd-status=204; detail=no-freshness"},
		{"Cache-Control: max-age=60\r\n", 1, "GET", "Cache-Control: no-cache\r\n", "",
		 "GET /a ", NO_CONTENT "\r\n", "; fwd=request; fwd-status=204"},
		{"Cache-Control: max-age=60\r\n", 1, "GET", "Cache-Control: no-store\r\n", "",
		 "GET /a ", NO_CONTENT "\r\n", "; fwd=request; fwd-status=204"},
		{"Cache-Control: max-age=60\r\n", 61, "GET", "Cache-Control: only-if-cached\r\n",
		 "HTTP/1.1 504 ", "", NULL, NULL},
		{"Cache-Control: max-age=60\r\n", 1, "POST",
		 "Cache-Control: only-if-cached\r\nContent-Length: 0\r\n", "HTTP/1.1 504 ", "",
		 NULL, NULL},
		{"Cache-Control: max-age=60\r\n", 1, "POST", "Content-Length: 0\r\n", "",
		 "POST /a ", NO_CONTENT "\r\n", "; fwd=method; fwd-status=204"},
		{"Cache-Control: max-age=60\r\n", 1, "GET", "Range: bytes=0-1\r\n",
		 "; hit; ttl=59\r\n", "", NULL, NULL},
		{"Cache-Control: max-age=60\r\nVary: Y\r\n", 1, "GET", "Y: 1\r\n", "", "GET /a ",
		 NO_CONTENT "\r\n", "; fwd=vary-miss; fwd-status=204"},
		{"Cache-Control: max-age=1, stale-if-error=60\r\nETag: \"x\"\r\n", 9, "GET", "", "",
		 "If-None-Match", "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",
		 "; fwd=stale; fwd-status=503; detail=stale-if-error"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		worker_fixture_close(state);
		setup(state);
		store(cases[i].stored);
		worker_fixture_pass(&f, cases[i].wait_s * 1000);
		ask(cases[i].method, A, cases[i].lines);
		expect(f.client, cases[i].told);
		if (cases[i].answer == NULL) {
			expect(origin(), "");
			continue;
		}
		/* one that was idle for so long may have been closed */
		expect(fake_peer_connected(1) != NULL ? fake_peer_connected(1) : origin(),
		       cases[i].asked);
		say(fake_peer_connected(1) != NULL ? fake_peer_connected(1) : origin(),
		    cases[i].answer);
		expect(f.client, cases[i].told_then);
	}
}

/* Why it was asked is told when it does not answer, of what is stored. */
static void why_one_was_asked_that_fails(void **state)
{
	static const struct {
		const char *stored, *lines, *told;
	} cases[] = {
		{NULL, "", "; fwd=uri-miss\r\n"},
		{"Cache-Control: max-age=1, must-revalidate\r\nETag: \"x\"\r\n", "",
		 "; fwd=stale; detail=expired\r\n"},
		{"Cache-Control: max-age=60\r\nVary: Y\r\n", "Y: 1\r\n", "; fwd=vary-miss\r\n"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		worker_fixture_close(state);
		setup(state);
		if (cases[i].stored != NULL)
			store(cases[i].stored);
		worker_fixture_pass(&f, 2000);
		ask("GET", A, cases[i].lines);
		say(origin(), "nonsense\r\n\r\n");
		expect(f.client, cases[i].told);
		assert_memory_equal(f.text, "HTTP/1.1 50", 11);
	}
}

/* What the proxy answers by itself, and what it does not answer. */
static void by_itself(void **state)
{
	static const struct {
		const char *method, *target, *lines, *part;
	} cases[] = {
		{"OPTIONS", "*", "", "\r\nCache-Status: cache204\r\n"},
		{"OPTIONS", "*", "", "\r\nAllow: "},
		{"OPTIONS", A, "Max-Forwards: 0\r\n", "\r\nAllow: "},
		{"TRACE", A, "", "denied_method"},
		{"GET", "/a", "", "not_a_proxy_request"},
		{"GET", A, "Via: 1.1 cache204\r\n", "HTTP/1.1 508 "},
		{"GET", "http://169.254.169.254/", "", "denied_reserved"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		f.client =
			fake_worker_accept(f.worker, &forward_frontend, FAKE_LISTEN, FAILURE_NONE);
		ask(cases[i].method, cases[i].target, cases[i].lines);
		expect(f.client, cases[i].part);
	}
	assert_null(fake_peer_connected(0));
	f.client = fake_worker_accept(f.worker, &forward_frontend, FAKE_LISTEN, FAILURE_NONE);
	ask("OPTIONS", A, "Max-Forwards: 1\r\n");
	expect(origin(), "\r\nMax-Forwards: 0\r\n");
}

/* ---- in the background ---------------------------------------------------------------------- */

/* The client has its answer first; then one question is asked, of the record and not of that client. */
static void a_stale_one_is_validated_behind(void **state)
{
	const char *text;

	(void)state;
	store("Cache-Control: max-age=1, stale-while-revalidate=60\r\nETag: \"x\"\r\n");
	worker_fixture_pass(&f, 3000);
	ask("HEAD", A, "X-Forwarded-For: 192.0.2.9\r\nX: 1\r\nAuthorization: Basic eA==\r\n");
	expect(f.client, "; hit; ttl=-2");
	text = worker_fixture_got(&f, origin());
	assert_memory_equal(text, "GET /a HTTP/1.1\r\n", 17);
	assert_non_null(strstr(text, "\r\nIf-None-Match: \"x\"\r\n"));
	assert_non_null(strstr(text, "\r\nX: 1\r\n"));
	assert_null(strstr(text, "X-Forwarded-For"));
	assert_null(strstr(text, "Authorization"));
	assert_int_equal(stats->validations_background, 1);
	ask("GET", A, "");
	expect(f.client, "; hit; ttl=-2");
	expect(origin(), ""); /* one at a time */
	assert_int_equal(stats->validations_background, 1);
	say(origin(), "HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=60\r\n\r\n");
	ask("GET", A, "");
	expect(f.client, "; hit; ttl=60\r\n");
	expect(origin(), "");
	assert_int_equal(stats->requests, 4);
}

/* Whatever becomes of it. */
static void it_keeps_no_memory(void **state)
{
	static const char *const answers[] = {"HTTP/1.1 304 Not Modified\r\n\r\n",
					      NO_CONTENT "Cache-Control: max-age=60\r\n\r\n",
					      NO_CONTENT "Cache-Control: no-store\r\n\r\n", ""};
	size_t before = 0;

	for (unsigned round = 0; round < 4; round++) {
		for (size_t i = 0; i < COUNT(answers); i++) {
			store("Cache-Control: max-age=1, stale-while-revalidate=60\r\n"
			      "ETag: \"x\"\r\n");
			worker_fixture_pass(&f, 3000);
			ask("GET", A, "");
			expect(f.client, "; hit; ttl=-2");
			assert_int_equal(stats->validations_background, 1);
			say(origin(), answers[i]);
			worker_fixture_close(state);
			setup(state);
		}
		if (round > 1)
			assert_int_equal(allocations_alive(), before);
		before = allocations_alive();
	}
}

/* What selected it is no secret of the client's: others sent the same. */
static void what_selected_it_is_sent(void **state)
{
	const char *text;

	(void)state;
	ask("GET", A, "Cookie: c=1\r\n");
	say(origin(), NO_CONTENT "Cache-Control: max-age=1, stale-while-revalidate=60\r\n"
				 "ETag: \"x\"\r\nVary: Cookie\r\n\r\n");
	worker_fixture_got(&f, origin());
	expect(f.client, "; stored\r\n");
	worker_fixture_pass(&f, 3000);
	ask("GET", A, "Cookie: c=1\r\nAuthorization: Basic eA==\r\n");
	text = worker_fixture_got(&f, origin());
	assert_non_null(strstr(text, "Cookie: c=1\r\n"));
	if (stats->validations_background == 1)
		assert_null(strstr(text, "Authorization"));
	say(origin(), "HTTP/1.1 304 Not Modified\r\n\r\n");
}

/* ---- with others ---------------------------------------------------------------------------- */

/* Another one asks for the same meanwhile. */
static struct fake_peer *ask_too(void)
{
	struct fake_peer *peer =
		fake_worker_accept(f.worker, &forward_frontend, FAKE_LISTEN, FAILURE_NONE);

	ask("GET", A, "");
	say(peer, "GET " A " HTTP/1.1\r\nHost: x\r\n\r\n");
	expect(peer, "");
	assert_int_equal(stats->waiting, 1);
	return peer;
}

/* It was not asked for by who waited: no status of that is told (RFC 9211 2.6). */
static void who_waited_is_told_so(void **state)
{
	struct fake_peer *peer = ask_too();

	(void)state;
	say(origin(), NO_CONTENT "Cache-Control: max-age=60\r\n\r\n");
	expect(f.client, "; fwd=uri-miss; fwd-status=204; stored\r\n");
	expect(peer, "; fwd=uri-miss; collapsed\r\n");
	assert_int_equal(stats->collapsed, 1);
	assert_int_equal(stats->reason[REASON_NO_RECORD], 1);
}

/* Who waited for what may not answer it asks by itself, and others do not wait for the same. */
static void what_cannot_be_shared_is_not_waited_for(void **state)
{
	static const char *const answers[] = {
		NO_CONTENT "Cache-Control: max-age=0\r\nETag: \"x\"\r\n\r\n",
		NO_CONTENT "Cache-Control: max-age=60, no-cache\r\nETag: \"x\"\r\n\r\n"};

	for (size_t i = 0; i < COUNT(answers); i++) {
		worker_fixture_close(state);
		setup(state);
		ask_too();
		say(origin(), answers[i]);
		expect(f.client, "; stored\r\n");
		assert_int_equal(stats->waiting, 0);
		ask("GET", A, "");
		assert_int_equal(stats->waiting, 0);
	}
}

/* A record with a lifetime shows that others may have the answer; without, they wait a second. */
static void how_long_others_wait(void **state)
{
	static const struct {
		const char *stored;
		unsigned timeouts;
	} cases[] = {
		{"Cache-Control: max-age=1\r\nETag: \"x\"\r\n", 0},
		{"Cache-Control: max-age=0\r\nETag: \"x\"\r\n", 1},
		{"Cache-Control: max-age=60, no-cache\r\nETag: \"x\"\r\n", 1},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		worker_fixture_close(state);
		setup(state);
		store(cases[i].stored);
		worker_fixture_pass(&f, 2000);
		ask_too();
		worker_fixture_pass(&f, 3000);
		assert_int_equal(stats->collapse_timeouts, cases[i].timeouts);
	}
}

/* ---- a door of their own -------------------------------------------------------------------- */

/* What came by a gateway from where clients of the proxy may not go is not shown to them. */
static void what_a_gateway_stored(void **state)
{
	struct listener listener = {.count = 0};
	struct diagnostic error = {""};
	struct fake_peer *peer;

	(void)state;
	open_with("gateway=127.0.0.1:0=http://a.test;deny=10.0.0.9;store_interval=0");
	fake_resolver_tell(f.worker->resolver, "a.test", "10.0.0.9", 0);
	assert_true(gateways_bind(f.conf, &listener, &error));
	peer = fake_worker_accept(f.worker, listener.at[0].frontend, FAKE_LISTEN, FAILURE_NONE);
	say(peer, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
	say(origin(), NO_CONTENT "Cache-Control: max-age=60\r\n\r\n");
	expect(peer, "; stored\r\n");
	say(peer, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
	expect(peer, "; hit; ttl=60\r\n");
	ask("GET", "http://a.test/a", "");
	expect(f.client, "HTTP/1.1 403 ");
	assert_int_equal(stats->failure[FAILURE_DENIED_DESTINATION], 1);
	ask("GET", "http://a.test/a", "Cache-Control: only-if-cached\r\n");
	expect(f.client, "HTTP/1.1 504 ");
	say(peer, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
	expect(peer, "; hit; ttl=60\r\n");
	worker_fixture_close(state);
	gateways_free(&listener);
	listener_close(&listener);
}

/* ---- bodies --------------------------------------------------------------------------------- */

/* No more is taken of the client than the origin takes, and all of it comes there; and the other way. */
static void bodies_wait_for_who_takes_them(void **state)
{
	enum { MANY = 400000 };
	static char body[MANY + 1], head[256];

	(void)state;
	memset(body, 'b', MANY);
	snprintf(head, sizeof(head), "Content-Length: %d\r\n", MANY);
	ask("POST", A, head);
	origin()->room = 10;
	say(f.client, body);
	assert_in_range(f.client->said.n - f.client->said.done, 1, MANY);
	origin()->room = SIZE_MAX;
	worker_fixture_settle(&f);
	assert_int_equal(f.client->said.n, f.client->said.done);
	assert_true(origin()->got.n > MANY);
	assert_memory_equal(origin()->got.p + origin()->got.n - MANY, body, MANY);
	f.client->room = 10;
	snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", MANY);
	say(origin(), head);
	say(origin(), body);
	assert_in_range(origin()->said.n - origin()->said.done, 1, MANY);
	worker_fixture_take_all(&f);
	assert_int_equal(origin()->said.n, origin()->said.done);
	assert_memory_equal(f.client->got.p + f.client->got.n - MANY, body, MANY);
}

/* ---- logins --------------------------------------------------------------------------------- */

static int64_t processor_used_us;

/* Each verification takes a second of it. */
static int64_t processor_us(void)
{
	return processor_used_us += 500000;
}

static struct credentials *users(void)
{
	struct credentials_use use = {.secret = {1}, .processor_us = processor_us};
	struct crypt_data data = {.initialized = 0};
	struct diagnostic error = {""};
	struct credentials *credentials;
	char text[256];

	snprintf(text, sizeof(text), "ann:%s\n", crypt_r("pw", "$5$rounds=1000$salt$", &data));
	credentials = credentials_new("users", slice_str(text), &use, &error);
	assert_non_null(credentials);
	return credentials;
}

#define ANN "Proxy-Authorization: Basic YW5uOnB3\r\n"   /* ann:pw */
#define WRONG "Proxy-Authorization: Basic YW5uOng=\r\n" /* ann:x */

/* Nothing of its body is taken while it waits, and it goes on as any other once it is known. */
static void who_waits_to_be_known(void **state)
{
	struct credentials *credentials = users();
	struct fake_peer *second, *third;
	struct logins *logins;

	(void)state;
	open_with("");
	second = fake_worker_accept(f.worker, &forward_frontend, FAKE_LISTEN, FAILURE_NONE);
	third = fake_worker_accept(f.worker, &forward_frontend, FAKE_LISTEN, FAILURE_NONE);
	logins = logins_new(&f.worker->turn, &f.worker->budgets, credentials, forward_known);
	f.worker->env.logins = logins;
	ask("GET", A, "");
	expect(f.client, "HTTP/1.1 407 ");
	assert_false(logins_wait(logins));
	ask("GET", A, WRONG);
	expect(f.client, "HTTP/1.1 407 ");
	say(second, "POST " A " HTTP/1.1\r\nHost: x\r\n" ANN "Content-Length: 3\r\n\r\nabc");
	assert_true(logins_wait(logins));
	expect(second, "");
	assert_null(fake_peer_connected(0));
	assert_true(logins_turn(logins) > 0);
	/* one leaves while it waits */
	say(third, "GET " A " HTTP/1.1\r\nHost: x\r\n" ANN "\r\n");
	fake_peer_reset(third);
	worker_fixture_settle(&f);
	worker_fixture_pass(&f, 11000);
	assert_true(logins_turn(logins) < 0);
	worker_fixture_settle(&f);
	assert_false(logins_wait(logins));
	expect(origin(), "\r\n\r\nabc");
	say(origin(), NO_CONTENT "\r\n");
	expect(second, "HTTP/1.1 204 ");
	assert_false(second->got_end);
	/* it is remembered */
	say(second, "GET " A " HTTP/1.1\r\nHost: x\r\n" ANN "\r\n");
	assert_false(logins_wait(logins));
	expect(origin(), "GET /a ");
	say(origin(), NO_CONTENT "\r\n");
	worker_fixture_close(state);
	logins_free(logins);
	credentials_free(credentials);
}

/* ---- tunnels -------------------------------------------------------------------------------- */

/* Requests in a tunnel are for whom the CONNECT was of; another ends it, and is told so. */
static void who_is_meant_in_a_tunnel(void **state)
{
	(void)state;
	open_with("connect_ports=80;tunnel_http=80");
	ask("CONNECT", "10.0.0.1:80", "");
	expect(f.client, "HTTP/1.1 200 ");
	say(f.client, "GET /a HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n");
	expect(origin(), "GET /a ");
	say(origin(), NO_CONTENT "Cache-Control: max-age=60\r\n\r\n");
	expect(f.client, "; stored\r\n");
	say(f.client, "GET /a HTTP/1.1\r\nHost: 10.0.0.1:80\r\n\r\n");
	expect(f.client, "; hit; ttl=60\r\n");
	say(f.client,
	    "GET /a HTTP/1.1\r\nHost: 10.0.0.2\r\n\r\nGET /a HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n");
	expect(f.client, "not for the authority of the CONNECT");
	assert_true(f.client->got_end);
	assert_int_equal(stats->tunnel_requests, 3);
	assert_int_equal(stats->failure[FAILURE_MISDIRECTED], 1);
	f.client = fake_worker_accept(f.worker, &forward_frontend, FAKE_LISTEN, FAILURE_NONE);
	ask("CONNECT", "10.0.0.1:25", "");
	expect(f.client, "HTTP/1.1 403 ");
}

/* The log has who made the tunnel with each request in it. */
static void who_asks_in_a_tunnel(void **state)
{
	char path[] = "/tmp/cache204-test-XXXXXX", text[4096] = "";
	struct credentials *credentials = users();
	struct accesslog *log;
	struct logins *logins;
	int file = mkstemp(path);

	assert_true(file >= 0);
	open_with("connect_ports=80;tunnel_http=80");
	log = accesslog_open(path, "json", 1);
	assert_non_null(log);
	f.worker->exchanges.accesslog = log;
	logins = logins_new(&f.worker->turn, &f.worker->budgets, credentials, forward_known);
	f.worker->env.logins = logins;
	ask("CONNECT", "10.0.0.1:80", ANN);
	while (logins_wait(logins)) {
		worker_fixture_pass(&f, 1000);
		logins_turn(logins);
		worker_fixture_settle(&f);
	}
	expect(f.client, "HTTP/1.1 200 ");
	say(f.client, "GET /a HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n");
	say(origin(), NO_CONTENT "\r\n");
	expect(f.client, "HTTP/1.1 204 ");
	accesslog_flush(log);
	assert_true(read(file, text, sizeof(text) - 1) > 0);
	assert_non_null(strstr(text, "\"in_tunnel\":true"));
	assert_non_null(strstr(strstr(text, "\"in_tunnel\":true"), "\"user\":\"ann\""));
	worker_fixture_close(state);
	accesslog_close(log);
	logins_free(logins);
	credentials_free(credentials);
	close(file);
	unlink(path);
}

/* A client that leaves while its tunnel is made leaves nothing of it. */
static void a_tunnel_nobody_waits_for(void **state)
{
	(void)state;
	open_with("");
	fake_conn_connects(FAKE_CONNECT_UNDECIDED);
	ask("CONNECT", "10.0.0.1:443", "");
	assert_non_null(fake_peer_connected(0));
	fake_peer_reset(f.client);
	worker_fixture_settle(&f);
	assert_null(fake_peer_connected(0)->conn);
	assert_int_equal(stats->exchanges, 0);
	fake_conn_connects(0);
}

/* ---- what is told of the first -------------------------------------------------------------- */

/* By whom, and whom it asks: never the path, which may have secrets.  Once. */
static void the_first_request_is_told(void **state)
{
	static const struct {
		const char *gateway, *says, *line;
	} cases[] = {
		{"", "GET http://10.0.0.1:81/secret HTTP/1.1\r\nHost: x\r\n\r\n",
		 "first request through the proxy: GET http://10.0.0.1:81 from 127.0.0.1\n"},
		{"gateway=127.0.0.1:0=http://10.0.0.1", "GET /secret HTTP/1.1\r\nHost: x\r\n\r\n",
		 "first request through the proxy: GET http://10.0.0.1 from 127.0.0.1\n"},
		{"gateway=127.0.0.1:0=https://10.0.0.1:8443",
		 "GET /secret HTTP/1.1\r\nHost: x\r\n\r\n",
		 "first request through the proxy: GET https://10.0.0.1:8443 from 127.0.0.1\n"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct listener listener = {.count = 0};
		struct diagnostic error = {""};
		struct captured captured;
		struct fake_peer *peer;

		open_with(cases[i].gateway);
		assert_true(notices_share());
		assert_true(gateways_bind(f.conf, &listener, &error));
		peer = listener.count == 0 ? f.client
					   : fake_worker_accept(f.worker, listener.at[0].frontend,
								FAKE_LISTEN, FAILURE_NONE);
		log_set_level(LOG_LEVEL_INFO);
		captured_begin(&captured, false);
		say(fake_worker_accept(f.worker, &forward_frontend, FAKE_LISTEN, FAILURE_NONE),
		    "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"); /* no request for a proxy */
		say(peer, cases[i].says);
		say(peer, cases[i].says);
		captured_end(&captured);
		if (strstr(captured.err, cases[i].line) == NULL)
			fail_msg("not '%s': %s", cases[i].line, captured.err);
		assert_null(strstr(strstr(captured.err, "first") + 1, "first"));
		captured_free(&captured);
		worker_fixture_close(state);
		gateways_free(&listener);
		listener_close(&listener);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, worker_fixture_close)
#define PLAIN(name) cmocka_unit_test_teardown(name, worker_fixture_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLAIN(the_first_request_is_told), /* before any other request */
		PLAIN(answers),
		TEST(why_one_was_asked_that_fails),
		TEST(by_itself),
		TEST(a_stale_one_is_validated_behind),
		TEST(it_keeps_no_memory),
		TEST(what_selected_it_is_sent),
		TEST(who_waited_is_told_so),
		TEST(what_cannot_be_shared_is_not_waited_for),
		TEST(how_long_others_wait),
		PLAIN(what_a_gateway_stored),
		TEST(bodies_wait_for_who_takes_them),
		PLAIN(who_waits_to_be_known),
		PLAIN(who_is_meant_in_a_tunnel),
		PLAIN(who_asks_in_a_tunnel),
		PLAIN(a_tunnel_nobody_waits_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
