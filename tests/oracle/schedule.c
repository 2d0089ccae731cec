/* Plays schedules; see schedule.h. */
#include "tests/oracle/schedule_impl.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/front/forward.h"
#include "tests/doubles/failing_memory.h"
#include "tests/doubles/fake_worker.h"
#include "tests/oracle/lanes.h"
#include "tests/doubles/store_memory.h"
#include "tests/support/test_conf.h"
#include "tests/oracle/witness.h"

/* rows of the tables below name what they need; the rest is 0 */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

enum {
	LONG_MS = 1000, /* no turn takes so long */
	EVENTS_MAX = 300,
	WORKERS_CHOSEN = 3, /* by a schedule that says itself how many there are */
	RAW_MAX = 64,
	STOP_CALLS_MAX = 64,
	PIECES_MAX = 1000, /* small reads and writes of a connection */
	TOLD_MAX = 500,
	LIFE_MS = 3000 * 1000, /* longer than every deadline */
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct run run;

/* ---- telling -------------------------------------------------------------------------------- */

static void tell_bytes(const char *what, struct slice bytes)
{
	fprintf(stderr, "  %s %zu: ", what, bytes.n);
	for (size_t i = 0; i < bytes.n; i++) {
		unsigned char c = (unsigned char)bytes.p[i];

		if (bytes.n > 2 * TOLD_MAX && i == TOLD_MAX) {
			i = bytes.n - TOLD_MAX;
			fprintf(stderr, "\n\n      ...\n\n      ");
		}
		if (c == '\n')
			fprintf(stderr, "\\n\n      ");
		else if (c == '\r')
			fprintf(stderr, "\\r");
		else if (isprint(c))
			fputc(c, stderr);
		else
			fprintf(stderr, "\\x%02x", c);
	}
	fputc('\n', stderr);
}

static void tell_peers(void)
{
	const struct fake_peer *peer;

	for (unsigned i = 0; (peer = fake_peer_at(i)) != NULL; i++) {
		fprintf(stderr, "%s %u:%s%s%s%s%s%s\n",
			peer->address.any.sa_family == AF_UNSPEC ? "client" : "origin", i,
			peer->ended ? " ended" : "", peer->gone ? " gone" : "",
			peer->error != 0 ? " reset" : "", peer->got_end ? ", got end" : "",
			peer->got_reset ? ", got reset" : "", peer->conn != NULL ? ", open" : "");
		tell_bytes("said", slice_of(peer->said.p, peer->said.n));
		tell_bytes("got", fake_peer_got(peer));
	}
}

void schedule_require(const char *fault)
{
	if (fault == NULL)
		return;
	tell_peers();
	if (run.trouble != NULL)
		fprintf(stderr, "with %s %u in ", run.trouble->name, run.trouble->n);
	fprintf(stderr, "%.*s\n%s\n", (int)run.all.n, run.all.p, fault);
	abort();
}

static void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void tell(const char *format, ...)
{
	va_list args;

	if (!run.verbose)
		return;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
}

struct run *schedule_run(void)
{
	return &run;
}

/* ---- operands ------------------------------------------------------------------------------- */

static bool is_more(void)
{
	while (run.at < run.end && isspace((unsigned char)*run.at))
		run.at++;
	return run.at < run.end;
}

static unsigned char next_byte(void)
{
	return is_more() ? (unsigned char)*run.at++ : '0';
}

/* One of `count`. */
unsigned schedule_choose(size_t count)
{
	unsigned char choice = (unsigned char)(next_byte() - '0');

	return (unsigned)(choice % count);
}

struct fake_worker *schedule_worker(void)
{
	unsigned which = schedule_choose(run.nameable);

	return which < run.worker_count && run.workers[which]->alive ? run.workers[which] : NULL;
}

static size_t choose_size(void)
{
	static const size_t sizes[] = {SIZE_MAX, 0, 1, 2, 3, 10, 100, 1000, 5000, 70000, 140000};

	return sizes[schedule_choose(COUNT(sizes))];
}

static struct line *choose_client(void)
{
	return &run.clients[schedule_choose(SCHEDULE_CLIENTS)];
}

/* The origin connection made last is '0', the one before it '1', and so on. */
static struct line *choose_origin(void)
{
	unsigned back = schedule_choose(4), count = 0;
	struct fake_peer *peer;

	while (fake_peer_connected(count) != NULL)
		count++;
	if (back >= count)
		return NULL;
	peer = fake_peer_connected(count - 1 - back);
	run.origins[count - 1 - back].peer = peer;
	return &run.origins[count - 1 - back];
}

/* ---- lines ---------------------------------------------------------------------------------- */

static void stage(struct line *line, struct slice bytes)
{
	fake_bytes_add(&line->staged, bytes);
}

static void say_staged(struct line *line, size_t size)
{
	size_t n = line->staged.n - line->staged.done;

	n = n < size ? n : size;
	if (line->peer != NULL && n > 0) {
		tell("  peer %u says %zu bytes\n", fake_peer_index(line->peer), n);
		fake_peer_say(line->peer, slice_of(line->staged.p + line->staged.done, n));
	}
	line->staged.done += n;
	if (line->staged.done == line->staged.n && line->peer != NULL)
		witness_said(run.witness, line->peer);
}

static void stage_raw(struct line *line)
{
	size_t n = schedule_choose(RAW_MAX) + 1;

	if (n > (size_t)(run.end - run.at))
		n = (size_t)(run.end - run.at);
	stage(line, slice_of(run.at, n));
	run.at += n;
}

/* ---- clients -------------------------------------------------------------------------------- */

static struct fake_worker *worker_of(const struct line *client)
{
	size_t which = (size_t)(client - run.clients);

	/* one of them at least is alive */
	while (!run.serving[which % run.serving_count]->alive)
		which++;
	return run.serving[which % run.serving_count];
}

static struct line *begin_client(struct line *client)
{
	if (client->peer != NULL && client->peer->conn != NULL && !client->peer->ended)
		return client;
	client->staged.done = client->staged.n;
	client->peer =
		fake_worker_accept(worker_of(client), &forward_frontend, "127.0.0.1", FAILURE_NONE);
	tell("  client is peer %u\n", fake_peer_index(client->peer));
	return client;
}

/* By way of a load balancer, or refused. */
static void client_comes(void)
{
	static const enum failure refusals[] = {FAILURE_NONE, FAILURE_TOO_MANY_CLIENTS};
	static const char *const headers[] = {
		"PROXY TCP4 127.0.0.2 127.0.0.1 40001 3128\r\n",
		NULL,
		"PROXY TCP4 192.0.2.1 127.0.0.1 40001 3128\r\n", /* it may not use the proxy */
		"PROXY UNKNOWN\r\n",
	};
	struct line *client = choose_client();
	const char *header = headers[schedule_choose(COUNT(headers))];
	enum failure refusal = refusals[schedule_choose(COUNT(refusals))];

	client->staged.done = client->staged.n;
	if (header == NULL)
		client->peer = fake_worker_accept(worker_of(client), &forward_frontend, "127.0.0.1",
						  refusal);
	else
		client->peer = fake_worker_accept_behind(worker_of(client), &forward_frontend,
							 "127.0.0.1", refusal);
	client->peer->refused = refusal != FAILURE_NONE;
	tell("  client is peer %u\n", fake_peer_index(client->peer));
	if (header == NULL)
		return;
	stage(client, slice_str(header));
	client->peer->preface = strlen(header);
	client->peer->refused |= strstr(header, "192.0.2.1") != NULL;
}

static const char *const request_fields[] = {
	"",
	"Cache-Control: no-cache\r\n",
	"Cache-Control: no-store\r\n",
	"Cache-Control: max-age=0\r\n",
	"Cache-Control: only-if-cached\r\n",
	"Cache-Control: max-stale\r\n",
	"If-None-Match: \"e1\"\r\n",
	"If-None-Match: *\r\n",
	"If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
	"Authorization: Basic YTpi\r\n",
	"Connection: close\r\n",
	"Range: bytes=0-1\r\n",
	"X-Vary: 1\r\n",
	"X-Vary: 2\r\n",
	"Max-Forwards: 0\r\n",
	"Max-Forwards: 3\r\n",
	"Connection: upgrade\r\nUpgrade: websocket\r\n",
	"Via: 1.1 cache204\r\n",
	"If-Match: \"e1\"\r\n",
	"Expect: 100-continue\r\n",
};

static const struct {
	size_t length, chunk;
	int version;
} request_bodies[] = {
	{0, 0, 1},   {1, 0, 1},        {100, 0, 1}, {5000, 0, 1}, {70000, 0, 1},
	{100, 7, 1}, {80000, 5000, 1}, {0, 1, 1},   {0, 0, 0},    {100, 0, 0},
};

static void ask(struct line *client)
{
	static const char *const methods[] = {"GET",     "HEAD",    "POST",  "PUT", "DELETE",
					      "OPTIONS", "CONNECT", "PATCH", "FOO", "TRACE"};
	static const char *const hosts[] = {"a.test", "b.test", "c.test", "none.test"};
	static const char *const paths[] = {"/1", "/2?q=1"};
	unsigned method = schedule_choose(COUNT(methods)),
		 host = schedule_choose(COUNT(hosts) * COUNT(paths) * 2);
	unsigned fields = schedule_choose(COUNT(request_fields)),
		 body = schedule_choose(COUNT(request_bodies));
	struct asked asked = {
		.method = methods[method],
		.host = hosts[host / 2 % COUNT(hosts)],
		.path = paths[host % 2],
		.tls = host / 2 / COUNT(hosts) > 0,
		.fields = request_fields[fields],
		.length = request_bodies[body].length,
		.chunk = request_bodies[body].chunk,
		.version = request_bodies[body].version,
	};

	asked.by = begin_client(client)->peer;
	stage(client, witness_ask(run.witness, &asked));
}

static void client_asks(void)
{
	struct line *client = choose_client();

	ask(client);
	say_staged(client, SIZE_MAX);
}

static void client_stages(void)
{
	ask(choose_client());
}

static void client_sends(void)
{
	struct line *client = choose_client();

	say_staged(client, choose_size());
}

static void client_raw(void)
{
	struct line *client = begin_client(choose_client());

	stage_raw(client);
	witness_raw_client(run.witness, client->peer);
	say_staged(client, SIZE_MAX);
}

/* ---- origins -------------------------------------------------------------------------------- */

static const struct answered answers[] = {
	{.status = 204,
	 .fields = "Cache-Control: max-age=60\r\n",
	 .shareable = true,
	 .fresh_s = 60},
	{.status = 204, .fields = "Cache-Control: no-store, max-age=60\r\n"},
	{.status = 204, .fields = "Cache-Control: private, max-age=60\r\n"},
	{.status = 204,
	 .fields =
		 "Cache-Control: max-age=1, stale-while-revalidate=60, stale-if-error=60\r\nETag: "
		 "\"e1\"\r\n",
	 .shareable = true,
	 .fresh_s = 1,
	 .stale_s = 60},
	{.status = 304,
	 .fields = "ETag: \"e1\"\r\nCache-Control: max-age=60\r\n",
	 .shareable = true,
	 .fresh_s = 60},
	{.status = 200, .fields = "", .length = 10},
	{.status = 200, .fields = "", .length = 70000},
	{.status = 200, .fields = "", .length = 140000, .chunk = 5000},
	{.status = 200, .fields = "", .length = 3000, .until_close = true},
	{.status = 404, .fields = "Cache-Control: max-age=60\r\n", .length = 100},
	{.status = 503, .fields = "Retry-After: 1\r\n", .length = 5},
	{.status = 100, .fields = ""},
	{.status = 103, .fields = "Link: </a>\r\n"},
	{.status = 204,
	 .fields = "Vary: X-Vary\r\nCache-Control: max-age=60\r\n",
	 .shareable = true,
	 .fresh_s = 60},
	{.status = 204, .fields = "Cache-Control: no-cache\r\nETag: \"e1\"\r\n"},
	{.status = 200, .fields = "", .length = 100, .chunk = 3},
	{.status = 200, .fields = "", .chunk = 1},
	{.status = 302, .fields = "Location: http://a.test/2\r\n"},
	{.status = 206, .fields = "Content-Range: bytes 0-1/10\r\n", .length = 2},
	{.status = 407, .fields = "Proxy-Authenticate: Basic\r\n"},
	{.status = 101, .fields = "Connection: upgrade\r\nUpgrade: websocket\r\n"},
	{.status = 204, .fields = "Cache-Control: max-age=60\r\nContent-Length: 5\r\n"},
	{.status = 204, .fields = "Cache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n"},
	{.status = 200, .fields = "", .length = 5000, .until_close = true},
	{.status = 200, .fields = "Connection: close\r\n", .length = 100},
	{.status = 204,
	 .fields = "Connection: close\r\nCache-Control: max-age=60\r\n",
	 .shareable = true,
	 .fresh_s = 60},
	{.status = 204, .fields = "Vary: *\r\nCache-Control: max-age=60\r\n"},
	{.status = 204,
	 .fields = "Set-Cookie: a=b\r\nCache-Control: max-age=60\r\n",
	 .shareable = true,
	 .fresh_s = 60},
	{.status = 204,
	 .fields = "Cache-Control: s-maxage=60\r\nAge: 59\r\n",
	 .shareable = true,
	 .fresh_s = 1,
	 .strict = true},
	{.status = 204,
	 .fields = "ETag: \"e1\"\r\nCache-Control: must-revalidate, max-age=1\r\n",
	 .shareable = true,
	 .fresh_s = 1,
	 .strict = true},
	{.status = 304, .fields = "ETag: \"e2\"\r\n"},
	{.status = 205, .fields = ""},
	{.status = 200, .fields = "Connection: X-Answer\r\n", .length = 100},
};

/* In HTTP/1.1 only. */
static const struct answered late_answers[] = {
	{.status = 204,
	 .fields = "Cache-Groups: \"g\"\r\nCache-Control: max-age=60\r\n",
	 .shareable = true,
	 .fresh_s = 60},
	{.status = 204, .fields = "Cache-Control: no-store\r\nCache-Group-Invalidation: \"g\"\r\n"},
	{.status = 303, .fields = "Location: /2?q=1\r\n"},
	{.status = 204,
	 .fields = "Content-Location: /1\r\nCache-Control: max-age=60\r\n",
	 .shareable = true,
	 .fresh_s = 60},
	{.status = 204,
	 .fields = "Set-Cookie: a=b\r\nCache-Control: private=\"Set-Cookie\", max-age=60\r\n",
	 .shareable = true,
	 .fresh_s = 60,
	 .secret = "Set-Cookie"},
};

/* With HTTP/1.0 in every other one. */
static struct answered choose_answer(void)
{
	unsigned choice = schedule_choose(2 * COUNT(answers) + COUNT(late_answers));
	bool late = choice >= 2 * COUNT(answers);
	struct answered answered =
		late ? late_answers[choice - 2 * COUNT(answers)] : answers[choice % COUNT(answers)];

	answered.version = choice < COUNT(answers) || late;
	if (answered.version == 0 && answered.chunk > 0) {
		answered.chunk = 0;
		answered.until_close = true;
	}
	return answered;
}

static void answer(struct line *origin, bool early)
{
	struct answered answered = choose_answer();
	const struct asked *asked;

	if (origin == NULL || !witness_outstanding(run.witness, origin->peer, early, &asked))
		return;
	/* others may not get what is for those who know a password */
	if (asked != NULL && witness_is_authorized(run.witness, origin->peer) &&
	    strstr(answered.fields, "s-maxage") == NULL &&
	    strstr(answered.fields, "must-revalidate") == NULL)
		answered.shareable = false;
	if (asked != NULL && strstr(asked->fields, "no-store") != NULL)
		answered.shareable = false;
	if (witness_is_connect(run.witness, origin->peer) && answered.status == 200)
		answered.length = answered.chunk = 0; /* what follows would be the tunnel's */
	stage(origin, witness_answer(run.witness, origin->peer, &answered));
	tell("  origin peer %u answers %u\n", fake_peer_index(origin->peer), answered.status);
}

static void origin_answers(void)
{
	struct line *origin = choose_origin();

	answer(origin, false);
	if (origin != NULL)
		say_staged(origin, SIZE_MAX);
}

static void origin_answers_early(void)
{
	struct line *origin = choose_origin();

	answer(origin, true);
	if (origin != NULL)
		say_staged(origin, SIZE_MAX);
}

static void origin_stages(void)
{
	answer(choose_origin(), false);
}

static void origin_sends(void)
{
	struct line *origin = choose_origin();
	size_t size = choose_size();

	if (origin != NULL)
		say_staged(origin, size);
}

/* While nothing is asked of it. */
static void origin_says_unasked(void)
{
	struct line *origin = choose_origin();
	struct answered answered = choose_answer();

	if (origin == NULL || origin->staged.done < origin->staged.n ||
	    !witness_is_idle(run.witness, origin->peer))
		return;
	answered.unasked = true;
	stage(origin, witness_answer(run.witness, origin->peer, &answered));
	say_staged(origin, SIZE_MAX);
}

static void origin_raw(void)
{
	struct line *origin = choose_origin();

	if (origin == NULL)
		return;
	stage_raw(origin);
	witness_raw_origin(run.witness, origin->peer);
	say_staged(origin, SIZE_MAX);
}

/* ---- both ----------------------------------------------------------------------------------- */

static void end_line(struct line *line)
{
	static void (*const ends[])(struct fake_peer *) = {fake_peer_end, fake_peer_leave,
							   fake_peer_reset};
	unsigned how = schedule_choose(COUNT(ends));

	if (line == NULL || line->peer == NULL)
		return;
	tell("  peer %u ends %u\n", fake_peer_index(line->peer), how);
	ends[how](line->peer);
}

static void client_ends(void)
{
	end_line(choose_client());
}

static void origin_ends(void)
{
	end_line(choose_origin());
}

/* It takes no more than so much, or in pieces. */
static void limit_line(struct line *line)
{
	unsigned what = schedule_choose(4);
	size_t size = choose_size();

	if (line == NULL || line->peer == NULL)
		return;
	line->peer->pieces = PIECES_MAX;
	if (what == 0)
		line->peer->room = size == SIZE_MAX ? SIZE_MAX / 2 : size;
	else if (what == 1)
		line->peer->read_max = size > 0 ? size : 1;
	else if (what == 2)
		line->peer->send_max = size > 0 ? size : 1;
	else
		fake_conn_wake(line->peer);
}

static void client_limits(void)
{
	limit_line(choose_client());
}

static void origin_limits(void)
{
	limit_line(choose_origin());
}

static int choose_connect(void)
{
	static const int results[] = {0, FAKE_CONNECT_UNDECIDED, ECONNREFUSED, EHOSTUNREACH,
				      ETIMEDOUT};

	return results[schedule_choose(COUNT(results))];
}

static void connects_end_so(void)
{
	fake_conn_connects(choose_connect());
}

static void connect_is_decided(void)
{
	struct line *origin = choose_origin();
	int connect = choose_connect();

	if (origin != NULL && origin->peer->connect == FAKE_CONNECT_UNDECIDED)
		fake_peer_decide(origin->peer, connect);
}

static void tls_ends_so(void)
{
	static const enum failure failures[] = {FAILURE_NONE, FAILURE_TLS_CERTIFICATE,
						FAILURE_TLS_PROTOCOL};

	fake_conn_secures(failures[schedule_choose(COUNT(failures))]);
}

static void name_is_found_so(void)
{
	static const char *const addresses[] = {"10.0.0.1", "10.0.0.2 10.0.0.3 2001:db8::1",
						"169.254.0.1 10.0.0.4", "127.0.0.1"};
	static const int64_t delays[] = {0, 100, 3000, 4999};
	unsigned choice = schedule_choose(COUNT(addresses) + 1),
		 delay = schedule_choose(COUNT(delays));

	for (unsigned i = 0; i < run.worker_count; i++) {
		struct resolver *resolver = run.workers[i]->resolver;

		if (!run.workers[i]->alive)
			continue;
		if (choice == COUNT(addresses))
			fake_resolver_fail(resolver, "c.test", FAILURE_DNS_TIMEOUT, delays[delay]);
		else
			fake_resolver_tell(resolver, "c.test", addresses[choice], delays[delay]);
	}
}

/* ---- time and troubles ---------------------------------------------------------------------- */

static void settle(void)
{
	if (!fake_worker_settle(run.workers[0]))
		schedule_require("the loop goes on and on");
}

static void turn(void)
{
	for (unsigned i = 0; i < run.worker_count; i++)
		fake_worker_turn(run.workers[i], false);
}

static void turn_backwards(void)
{
	for (unsigned i = run.worker_count; i-- > 0;)
		fake_worker_turn(run.workers[i], true);
}

static void time_passes(void)
{
	static const int64_t times_ms[] = {1,    10,    250,   1000,  2000,
					   5000, 11000, 31000, 61000, 601000};

	int64_t ms = times_ms[schedule_choose(COUNT(times_ms))];

	/* the clock of a turn is read when it begins */
	for (unsigned i = 0; i < run.worker_count && ms >= LONG_MS; i++)
		lane_finish(i);
	if (!fake_worker_pass(run.workers[0], ms))
		schedule_require("the loop goes on and on");
}

static void call_fails(void)
{
	static const int errors[] = {ECONNRESET, ETIMEDOUT, EMFILE, ENOBUFS};
	unsigned n = schedule_choose(32);

	if (run.trouble != NULL)
		return; /* it has its own */
	fake_conn_fail(n, errors[n % COUNT(errors)]);
	witness_excuse(run.witness);
}

static void store_fails(void)
{
	unsigned n = schedule_choose(16);

	if (run.trouble != NULL)
		return;
	witness_store_fails(run.witness);
	store_memory_fail(n / 2, n % 2 ? STORE_FAILED : STORE_FULL);
}

static void memory_fails(void)
{
	unsigned n = schedule_choose(64);

	if (run.trouble != NULL)
		return;
	fail_memory(n, false);
	witness_excuse(run.witness);
}

static void goes_down(void)
{
	witness_excuse(run.witness);
	for (unsigned i = 0; i < run.worker_count; i++) {
		if (!run.workers[i]->alive)
			continue;
		if (!run.workers[i]->turn.draining)
			fake_worker_terminate(run.workers[i]);
		else
			fake_worker_drained(run.workers[i]);
	}
}

/* Of several workers: the turn of one stops at a call of the store, and goes on to another. */
static void worker_stops(void)
{
	const struct fake_worker *worker = schedule_worker();
	unsigned calls = schedule_choose(STOP_CALLS_MAX) + 1;

	if (worker == NULL || lane_is_stopped(worker->index))
		return;
	tell("  worker %u at call %u\n", worker->index, calls);
	lane_stop_at(worker->index, calls);
}

static void worker_goes_on(void)
{
	const struct fake_worker *worker = schedule_worker();
	unsigned calls = schedule_choose(STOP_CALLS_MAX);

	if (worker == NULL || !lane_is_stopped(worker->index))
		return;
	tell("  worker %u for %u calls\n", worker->index, calls);
	lane_stop_at(worker->index, calls);
	lane_go_on(worker->index);
}

/* What an operator has a worker do, which may stop in the midst of it. */
static struct operation {
	struct fake_worker *worker;
	struct purge purge;
	struct purged purged;
	unsigned batches;
} operations[FAKE_WORKERS];

static void purge(void *context)
{
	struct operation *operation = context;
	struct fake_worker *worker = operation->worker;
	int number = WITNESS_NONE;
	enum cache_purging result = CACHE_PURGE_GOES_ON;

	turn_read_clocks(&worker->turn);
	if (!operation->purge.soft)
		number = witness_purge_begins(run.witness, &operation->purged);
	if (operation->purge.kind == PURGE_ALL && !operation->purge.soft)
		cache_purge_all(worker->cache, &worker->turn.now);
	else
		result = cache_purge_begin(worker->cache, &worker->turn.now, &operation->purge);
	turn_read_clocks(&worker->turn);
	cache_turn_end(worker->cache);
	if (number != WITNESS_NONE &&
	    (result == CACHE_PURGE_GOES_ON || result == CACHE_PURGED_ALL ||
	     result == CACHE_PURGED_NOTHING))
		witness_purge_ends(run.witness, number);
}

/* False without memory. */
static bool purge_of(unsigned kind, const char *host, struct purge *ret_purge,
		     struct purged *ret_purged)
{
	char text[64];
	struct http_uri uri;
	bool ok = true;

	*ret_purge = (struct purge){.kind = PURGE_ALL};
	*ret_purged = (struct purged){.host = kind == 0 ? NULL : host};
	snprintf(text, sizeof(text), "http://%s/2", host);
	ok = http_uri_parse_absolute(slice_str(text), &uri) == URI_OK;
	if (kind == 1) {
		ok = ok && purge_of_prefix(&uri, ret_purge);
		ret_purged->path = "/2";
	} else if (kind == 2) {
		ok = ok && purge_of_host(slice_str(host), ret_purge);
	} else if (kind == 3) {
		ok = ok && purge_of_group_at(slice_str(host), SLICE("g"), ret_purge);
		ret_purged->group = "\"g\"";
	}
	return ok;
}

/* Everything, what begins so, a host, a group of it; each hard or soft. */
static void operator_purges(void)
{
	static const char *const hosts[] = {"a.test", "b.test"};
	struct fake_worker *worker = schedule_worker();
	unsigned kind = schedule_choose(8), host = schedule_choose(COUNT(hosts));
	struct operation *operation;

	if (worker == NULL || lane_is_stopped(worker->index))
		return;
	operation = &operations[worker->index];
	operation->worker = worker;
	if (!purge_of(kind % 4, hosts[host], &operation->purge, &operation->purged))
		return; /* the operator is told so */
	operation->purge.soft = kind >= 4;
	lane_run(worker->index, purge, operation);
}

static void walk(void *context)
{
	struct operation *operation = context;

	while (operation->batches-- > 0 &&
	       cache_purge_some(operation->worker->cache) == CACHE_PURGE_GOES_ON)
		;
	cache_turn_end(operation->worker->cache);
}

static void worker_walks(void)
{
	struct fake_worker *worker = schedule_worker();
	unsigned batches = schedule_choose(4) + 1;

	if (worker == NULL || lane_is_stopped(worker->index))
		return;
	operations[worker->index].worker = worker;
	operations[worker->index].batches = batches;
	lane_run(worker->index, walk, &operations[worker->index]);
}

static const struct schedule_event event_table[] = {
	{'p', client_comes, "client comes"}, /* CLIENT HOW REFUSED */
	{'a', client_asks, "client asks"},   /* CLIENT METHOD TARGET FIELDS BODY */
	{'A', client_stages, "client stages"},
	{'s', client_sends, "client sends"},     /* CLIENT SIZE, of what was staged */
	{'x', client_raw, "client raw"},         /* CLIENT LENGTH BYTES */
	{'e', client_ends, "client ends"},       /* CLIENT HOW */
	{'l', client_limits, "client limits"},   /* CLIENT WHAT SIZE */
	{'r', origin_answers, "origin answers"}, /* ORIGIN ANSWER */
	{'E', origin_answers_early, "origin answers early"},
	{'R', origin_stages, "origin stages"},
	{'w', origin_sends, "origin sends"}, /* ORIGIN SIZE */
	{'u', origin_says_unasked, "origin says unasked"},
	{'y', origin_raw, "origin raw"},              /* ORIGIN LENGTH BYTES */
	{'f', origin_ends, "origin ends"},            /* ORIGIN HOW */
	{'q', origin_limits, "origin limits"},        /* ORIGIN WHAT SIZE */
	{'c', connects_end_so, "connects"},           /* HOW */
	{'d', connect_is_decided, "connect decided"}, /* ORIGIN HOW */
	{'z', tls_ends_so, "TLS"},
	{'n', name_is_found_so, "name"}, /* HOW DELAY */
	{'S', settle, "settle"},
	{'T', turn, "turn"},
	{'B', turn_backwards, "turn backwards"},
	{'t', time_passes, "time"},      /* HOW LONG */
	{'F', call_fails, "call fails"}, /* WHEN */
	{'G', store_fails, "store fails"},
	{'H', memory_fails, "memory fails"},
	{'D', goes_down, "goes down"},
	{'i', worker_stops, "worker stops"},       /* WORKER CALLS */
	{'g', worker_goes_on, "worker goes on"},   /* WORKER CALLS, 0 for all */
	{'P', operator_purges, "operator purges"}, /* WORKER KIND HOST */
	{'V', worker_walks, "worker walks"},       /* WORKER BATCHES */
};

static const struct schedule_event *choose_event(void)
{
	unsigned char byte = next_byte();

	if (run.world != NULL)
		for (const struct schedule_event *event = run.world->events; event->letter; event++)
			if (event->letter == (char)byte)
				return event;
	for (size_t i = 0; i < COUNT(event_table); i++)
		if (event_table[i].letter == (char)byte)
			return &event_table[i];
	return &event_table[byte % COUNT(event_table)];
}

/* ---- a run ---------------------------------------------------------------------------------- */

struct conf *schedule_conf(unsigned choice)
{
	struct conf *conf = test_conf_new();

	test_conf_set(conf, "store", "exchange");
	test_conf_set(conf, "store_size", "1MiB");
	if (choice & 1) {
		/* limits that short inputs meet */
		conf->origin_connections = 2;
		conf->origin_idle = 1;
		conf->client_requests = 3;
		conf->collapse_waiters = 1;
		conf->interim_responses = 1;
		conf->store_interval_ms = 0;
		conf->head_size = 1024;
		conf->clients_per_address = 2;
	}
	if (choice & 2) {
		test_conf_set(conf, "conditional_hit", "204");
		conf->unshareable_time_ms = 0;
		conf->body_rate = 0;
		conf->cache_status_key = true;
	}
	if (choice & 4)
		conf->upgrade = true;
	if (choice & 8)
		test_conf_set(conf, "parent", "http://user:secret@10.9.9.9:8080");
	return conf;
}

/* Of all that is in the input, so that no part of it can know a name. */
static uint32_t salt_of(struct slice schedule)
{
	uint32_t salt = 2166136261U;

	for (size_t i = 0; i < schedule.n; i++)
		salt = (salt ^ (unsigned char)schedule.p[i]) * 16777619U;
	return salt;
}

void schedule_tell_names(struct fake_worker *worker)
{
	fake_resolver_tell(worker->resolver, "a.test", "10.1.0.1", 0);
	fake_resolver_tell(worker->resolver, "b.test", "10.2.0.1 10.2.0.2", 0);
	fake_resolver_tell(worker->resolver, "c.test", "10.3.0.1", 100);
}

static void begin_worker(unsigned i, struct conf *conf, bool few)
{
	struct fake_worker *worker =
		i == 0 ? fake_worker_new(conf) : fake_worker_join(run.workers[0]);

	run.workers[i] = run.serving[i] = worker;
	run.serving_count = i + 1;
	if (few)
		fake_worker_share_out(worker, 0);
	schedule_tell_names(worker);
}

static void begin(struct conf *conf, bool few)
{
	for (unsigned i = 0; i < run.worker_count; i++)
		begin_worker(i, conf, few);
	run.witness = witness_new(salt_of(run.all));
	if (few)
		witness_may_be_wordless(run.witness);
	witness_home(run.witness, "a.test", "10.1.0.");
	witness_home(run.witness, "b.test", "10.2.0.");
	if (conf->upgrade)
		witness_upgrade(run.witness);
	if (conf->parent[0] != '\0')
		witness_parent(run.witness);
	if (run.trouble != NULL) {
		witness_excuse(run.witness);
		if (run.trouble->of_store)
			witness_store_fails(run.witness);
		run.trouble->arm(run.trouble->n);
	}
}

static void live_on(void)
{
	settle();
	if (!fake_worker_pass(run.workers[0], LIFE_MS))
		schedule_require("the loop goes on and on");
}

static void judge(void)
{
	for (unsigned i = 0; i < run.worker_count; i++)
		schedule_require(fake_worker_leftover(run.workers[i]));
	schedule_require(witness_judge(run.witness));
	if (run.verbose)
		tell_peers();
}

/* What is on its way stays there, and time passes. */
static bool end(void)
{
	bool happened = run.trouble != NULL && run.trouble->disarm();

	fake_conn_fail_never();
	store_memory_fail_never();
	fail_memory_never();
	tell("the end\n");
	for (unsigned i = 0; i < run.worker_count; i++)
		lane_finish(i);
	if (run.world != NULL)
		run.world->quiet();
	live_on();
	if (run.world != NULL) {
		run.world->end();
		live_on();
	}
	judge();
	return happened;
}

static void forget(struct conf *conf)
{
	for (unsigned i = 0; i < FAKE_PEERS; i++)
		free(run.origins[i].staged.p);
	for (unsigned i = 0; i < SCHEDULE_CLIENTS; i++)
		free(run.clients[i].staged.p);
	while (run.worker_count > 0)
		fake_worker_free(run.workers[--run.worker_count]);
	witness_free(run.witness);
	test_conf_free(conf);
}

static bool play(unsigned options)
{
	struct conf *conf = schedule_conf(options);
	bool happened;

	if (run.world != NULL)
		run.world->set(conf);
	begin(conf, options & 1 && run.world == NULL);
	if (run.world != NULL)
		run.world->begin();
	for (unsigned i = 0; i < EVENTS_MAX && is_more(); i++) {
		const struct schedule_event *event = choose_event();

		tell("%s\n", event->name);
		event->happen();
		if (run.world != NULL)
			run.world->after();
		for (unsigned at = 0; at < run.worker_count; at++)
			schedule_require(fake_worker_fault(run.workers[at]));
	}
	happened = end();
	if (run.world != NULL)
		run.world->judged();
	forget(conf);
	return happened;
}

static void read_from(struct slice schedule, bool verbose)
{
	memset(&run, 0, sizeof(run));
	run.all = schedule;
	run.at = schedule.p;
	run.end = schedule.p + schedule.n;
	run.verbose = verbose;
}

bool schedule_play(struct slice schedule, const struct schedule_trouble *trouble, bool verbose)
{
	unsigned options;

	read_from(schedule, verbose);
	run.trouble = trouble;
	run.nameable = WORKERS_CHOSEN;
	options = schedule_choose(16 * WORKERS_CHOSEN);
	run.worker_count = 1 + options / 16;
	return play(options);
}

void schedule_play_world(struct slice schedule, const struct schedule_world *world, bool verbose)
{
	read_from(schedule, verbose);
	run.world = world;
	run.nameable = FAKE_WORKERS;
	run.worker_count = world->workers;
	play(world->options);
}
