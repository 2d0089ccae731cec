/* LINKS: proxy/front tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/store_memory.c tests/doubles/failing_memory.c -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
/*
 * One exchange and a sink that only notes what it was asked: what is passed on, what is counted, and
 * what happens when there is no memory, no client, or no record any more.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/exchange/exchange.h"
#include "tests/doubles/failing_memory.h"
#include "tests/support/messages.h"
#include "tests/support/test_conf.h"

static struct world {
	struct answer_sink sink;
	struct buf out;
	unsigned ended, pushed, aborted, unfinished, cancelled;
	bool kept_alive, is_full, goes_on;
	size_t sent;
	struct conf *conf;
	struct turn turn;
	struct exchanges exchanges;
	struct exchange *x;
	struct message request, response;
} world;

static struct buf *sink_out(struct answer_sink *sink)
{
	(void)sink;
	return &world.out;
}

static void sink_ended(struct answer_sink *sink, bool keep_alive)
{
	(void)sink;
	world.ended++;
	world.kept_alive = keep_alive;
}

static void sink_push(struct answer_sink *sink)
{
	(void)sink;
	world.pushed++;
}

static bool sink_send(struct answer_sink *sink, const struct iovec *parts, int count)
{
	(void)sink;
	for (int i = 0; i < count; i++)
		world.sent += parts[i].iov_len;
	return !world.is_full;
}

static void sink_unfinished(struct answer_sink *sink)
{
	(void)sink;
	world.unfinished++;
}

static void sink_abort(struct answer_sink *sink)
{
	(void)sink;
	world.aborted++;
	exchange_abandon(world.x);
}

static const struct answer_sink_kind sink_kind = {
	.out = sink_out,
	.ended = sink_ended,
	.push = sink_push,
	.send = sink_send,
	.unfinished = sink_unfinished,
	.abort = sink_abort,
};

static bool cancel(struct exchange *x)
{
	(void)x;
	world.cancelled++;
	return world.goes_on;
}

static void drained(struct exchange *x)
{
	(void)x;
}

static const struct frontend frontend = {.name = "test", .cancel = cancel, .drained = drained};

static void begin(const char *request)
{
	world.x = exchange_new(&world.exchanges, &world.sink, &frontend);
	assert_non_null(world.x);
	world.x->req = *request_of(&world.request, request);
}

static const struct http_response *response(const char *text)
{
	return response_of(&world.response, text);
}

static int setup(void **state)
{
	(void)state;
	world = (struct world){.sink.kind = &sink_kind, .conf = test_conf_new()};
	turn_init(&world.turn);
	world.exchanges = (struct exchanges){.conf = world.conf, .turn = &world.turn};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fail_memory_never();
	buf_free(&world.out);
	exchanges_free(&world.exchanges);
	test_conf_free(world.conf);
	return 0;
}

/* Nothing is answered from bytes that were taken back: the exchange goes on as if there were none. */
static void a_view_that_has_ended_is_no_answer(void **state)
{
	uint64_t generation = 1, before = stats->views_ended;
	struct record_view record = {.generation = view_generation_now(&generation)};

	(void)state;
	begin("GET http://a.example/\n");
	generation++;
	assert_false(exchange_answer_record(world.x, &record));
	assert_int_equal(stats->views_ended - before, 1);
	assert_int_equal(buf_length(&world.out), 0);
	assert_int_equal(world.ended, 0);
	assert_int_equal(world.x->magic, EXCHANGE_MAGIC);
	assert_int_equal(world.x->status, 0);
	exchange_end(world.x);
	assert_int_equal(world.ended, 1);
}

/* To whom it is for: RFC 9110 15.2. */
static void interim_responses_are_for_those_who_may_get_them(void **state)
{
	static const struct {
		unsigned minor;
		const char *status;
		bool expects, has_client, passed;
	} cases[] = {
		{1, "103\n", false, true, true},   {0, "103\n", false, true, false},
		{1, "103\n", false, false, false}, {1, "100\n", false, true, false},
		{1, "100\n", true, true, true},    {0, "100\n", true, true, false},
		{1, "100\n", true, false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		unsigned before = world.pushed;

		begin("GET http://a.example/\n");
		world.x->req.version_minor = (uint8_t)cases[i].minor;
		world.x->req.expect_continue = cases[i].expects;
		if (!cases[i].has_client)
			world.x->sink = NULL;
		exchange_pass_interim(world.x, response(cases[i].status));
		assert_int_equal(world.pushed - before, cases[i].passed);
		assert_int_equal(buf_length(&world.out) > 0, cases[i].passed);
		assert_int_equal(world.x->status, 0);
		buf_free(&world.out);
		exchange_end(world.x);
	}
}

/* What is in the buffer before is another's; what has no client is read by nobody, and counted for none. */
static void bytes_are_those_of_the_answer(void **state)
{
	size_t head;

	(void)state;
	begin("GET http://a.example/\n");
	assert_true(buf_append(&world.out, SLICE("before")));
	exchange_pass_head(world.x, response("200\nTransfer-Encoding: chunked\n"));
	head = buf_length(&world.out) - 6;
	assert_int_equal(world.x->bytes_out, head);
	assert_int_equal(world.pushed, 1);
	assert_true(exchange_pass_content(world.x, SLICE("hello")));
	assert_int_equal(world.sent, sizeof("5\r\nhello\r\n") - 1);
	assert_int_equal(world.x->bytes_out, head + world.sent);
	world.is_full = true;
	assert_false(exchange_pass_content(world.x, SLICE("0123456789abcdef")));
	assert_int_equal(world.sent, sizeof("5\r\nhello\r\n10\r\n0123456789abcdef\r\n") - 1);
	assert_int_equal(world.x->bytes_out, head + world.sent);
	assert_true(world.x->held);
	exchange_drained(world.x);
	assert_false(world.x->held);
	world.x->sink = NULL; /* it has left, others wait */
	assert_true(exchange_pass_content(world.x, SLICE("more")));
	assert_int_equal(world.x->bytes_out, head + world.sent);
	exchange_pass_end(world.x);
	assert_int_equal(buf_length(&world.out), 6 + head);
	assert_int_equal(world.ended, 0);
}

/* Content without a length, to a client that knows no chunks, ends with the connection: not before. */
static void only_closing_tells_the_end(void **state)
{
	static const struct {
		unsigned minor;
		enum http_body body;
		bool by_closing;
	} cases[] = {
		{1, BODY_CHUNKED, false},    {0, BODY_CHUNKED, true}, {1, BODY_UNTIL_CLOSE, false},
		{0, BODY_UNTIL_CLOSE, true}, {1, BODY_LENGTH, false}, {0, BODY_LENGTH, false},
		{1, BODY_NONE, false},       {0, BODY_NONE, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		unsigned before = world.unfinished, pushed = world.pushed;
		struct http_response res = *response("200\n");

		res.body = cases[i].body;
		begin("GET http://a.example/\n");
		world.x->req.version_minor = (uint8_t)cases[i].minor;
		exchange_pass_head(world.x, &res);
		assert_int_equal(world.unfinished - before, cases[i].by_closing);
		assert_true(world.x->keep_alive != cases[i].by_closing);
		/* a head that content follows does not wait for the end */
		assert_int_equal(world.pushed - pushed, res.body != BODY_NONE);
		exchange_pass_end(world.x);
		buf_free(&world.out);
	}
}

/* The end of chunks has to be there, or the connection is cut. */
static void without_memory_the_end_is_none(void **state)
{
	uint64_t failed = stats->failure[FAILURE_INTERNAL];

	(void)state;
	begin("GET http://a.example/\n");
	exchange_pass_head(world.x, response("200\nTransfer-Encoding: chunked\n"));
	assert_true(world.x->keep_alive);
	buf_free(&world.out);
	fail_memory(0, false);
	exchange_pass_end(world.x);
	assert_true(fail_memory_never());
	assert_int_equal(world.aborted, 1);
	assert_int_equal(world.cancelled, 1);
	assert_int_equal(world.ended, 1);
	assert_false(world.kept_alive);
	assert_int_equal(buf_length(&world.out), 0);
	assert_int_equal(stats->failure[FAILURE_INTERNAL] - failed, 1);
}

/* Who is refused is not told that others have been there. */
static void a_refusal_tells_nothing_of_others(void **state)
{
	static const struct {
		enum reason why;
		bool told;
	} cases[] = {{REASON_ADMISSION, false}, {REASON_EXPIRED, true}, {REASON_PURGED, true}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char detail[100];
		struct slice out;

		begin("GET http://a.example/\n");
		world.x->status_field =
			(struct cache_status){.fwd = FWD_STALE, .why = cases[i].why};
		exchange_fail(world.x, FAILURE_DENIED_PRIVATE);
		snprintf(detail, sizeof(detail), "detail=%s", reason_token(cases[i].why));
		out = buf_waiting(&world.out);
		assert_int_equal(memmem(out.p, out.n, detail, strlen(detail)) != NULL,
				 cases[i].told);
		buf_free(&world.out);
	}
}

/* Those who wait get its answer: it goes on without a client, unless nobody does. */
static void a_client_that_leaves_may_be_missed(void **state)
{
	uint64_t gone = stats->failure[FAILURE_CLIENT_GONE];

	(void)state;
	begin("GET http://a.example/\n");
	world.goes_on = true;
	exchange_abandon(world.x);
	assert_null(world.x->sink);
	assert_int_equal(world.x->magic, EXCHANGE_MAGIC);
	assert_int_equal(stats->failure[FAILURE_CLIENT_GONE], gone);
	exchange_end(world.x);
	assert_int_equal(stats->failure[FAILURE_CLIENT_GONE] - gone, 1);
	assert_int_equal(world.ended, 0);
	begin("GET http://a.example/\n");
	world.goes_on = false;
	world.x->failure = FAILURE_REQUEST_BODY_TIMEOUT; /* which is why */
	exchange_abandon(world.x);
	assert_int_equal(world.ended, 1);
	assert_int_equal(stats->failure[FAILURE_CLIENT_GONE] - gone, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_view_that_has_ended_is_no_answer),
		TEST(interim_responses_are_for_those_who_may_get_them),
		TEST(bytes_are_those_of_the_answer),
		TEST(only_closing_tells_the_end),
		TEST(without_memory_the_end_is_none),
		TEST(a_refusal_tells_nothing_of_others),
		TEST(a_client_that_leaves_may_be_missed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
