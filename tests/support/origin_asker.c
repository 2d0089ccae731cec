/* Who asks origins in unit tests; see origin_asker.h. */
#include "tests/support/origin_asker.h"

#include <stdio.h>
#include <string.h>

#include "proxy/base/cause.h"
#include "proxy/stats/stats.h"

struct origins *asker_origins;

/* ---- an asker ------------------------------------------------------------------------------- */

/* It has seen enough. */
static void cancel_in(struct asked *asked, enum asked_call call)
{
	if (asked->cancels == call)
		origin_cancel(asked->origin);
}

static void interim(void *context, const struct http_response *res)
{
	struct asked *asked = context;

	asked->interims++;
	asked->status = res->status;
	cancel_in(asked, IN_INTERIM);
}

static void head(void *context, const struct http_response *res)
{
	struct asked *asked = context;

	asked->heads++;
	asked->status = res->status;
	asked->mended = res->mended;
	asked->framing_trouble = res->framing_trouble;
	cancel_in(asked, IN_HEAD);
}

static bool content(void *context, struct slice content)
{
	struct asked *asked = context;
	size_t used = strlen(asked->content);

	assert_true(content.n > 0 && content.n < sizeof(asked->content) - used);
	assert_true(asked->takes > 0);
	memcpy(asked->content + used, content.p, content.n);
	cancel_in(asked, IN_CONTENT);
	return --asked->takes > 0;
}

static void end(void *context)
{
	struct asked *asked = context;

	asked->ends++;
	asked->idle = stats->origins_idle;
	asked->origin = NULL;
}

static void failure(void *context, enum failure failure)
{
	struct asked *asked = context;

	asked->failures++;
	asked->failure = failure;
	asked->origin = NULL;
	snprintf(asked->cause, sizeof(asked->cause), "%s", cause_text());
}

static void drained(void *context)
{
	struct asked *asked = context;

	asked->drained++;
	cancel_in(asked, IN_DRAINED);
}

static void nothing(void *owner)
{
	(void)owner;
}

static const struct conn_events owned = {
	.readable = nothing,
	.writable = nothing,
	.expired = nothing,
};

static void switched(void *context, const struct http_response *res, struct conn *conn,
		     struct slice early)
{
	struct asked *asked = context;

	asked->switches++;
	asked->status = res->status;
	asked->conn = conn;
	asked->origin = NULL;
	snprintf(asked->early, sizeof(asked->early), "%.*s", SLICE_ARG(early));
	conn_own(conn, &owned, NULL);
	conn_watch(conn, false, false);
}

const struct origin_events asker_events = {
	.interim = interim,
	.switched = switched,
	.head = head,
	.content = content,
	.end = end,
	.failure = failure,
	.drained = drained,
};

/* ---- a world -------------------------------------------------------------------------------- */

const struct http_request asker_get = {.method = METHOD_GET};
const struct http_request asker_post = {.method = METHOD_POST, .body = BODY_LENGTH};
const struct http_request asker_post_chunks = {.method = METHOD_POST, .body = BODY_CHUNKED};
const struct http_request asker_upgrade = {.method = METHOD_GET, .upgrade = true};
const struct route asker_route = {.host = {"10.0.0.1", 8}, .port = 80};

int asker_open(void **state)
{
	world_open(state);
	world_set("first_byte_timeout=3s;body_timeout=2s;body_rate=0;origin_idle_timeout=5s;"
		  "interim_responses=2");
	asker_origins = origins_new(&world.dialers, &world.admission);
	assert_non_null(asker_origins);
	return 0;
}

/* What is kept is closed, and nobody is told of it. */
int asker_close(void **state)
{
	origins_free(asker_origins);
	assert_int_equal(stats->origins, 0);
	assert_int_equal(stats->origins_idle, 0);
	return world_close(state);
}

enum failure asker_begin_as(struct asked *asked, const struct http_request *req,
			    const struct origin_asker *asker)
{
	enum failure failure = FAILURE_NONE;
	struct buf head = {0};

	*asked = (struct asked){.takes = UINT32_MAX};
	assert_true(buf_append(&head, SLICE(HEAD)));
	world.turn.now_ms = fake_conn_now_ms();
	asked->origin = origin_start(asker_origins, req, &asker_route, &head, asker, &failure);
	assert_int_equal(asked->failures + asked->heads + asked->ends, 0);
	assert_null(head.block);
	return failure;
}

enum failure asker_begin(struct asked *asked, const struct http_request *req)
{
	const struct origin_asker asker = {
		.holder = WORLD_HOLDER, .events = &asker_events, .context = asked};

	return asker_begin_as(asked, req, &asker);
}

unsigned asker_connects(void)
{
	unsigned count = 0;

	while (fake_peer_connected(count) != NULL)
		count++;
	return count;
}

/* The far end of the connection that was made last. */
struct fake_peer *asker_peer(void)
{
	assert_true(asker_connects() > 0);
	return fake_peer_connected(asker_connects() - 1);
}

/* Ask; the request is sent whole to whom is returned. */
struct fake_peer *asker_ask_for(struct asked *asked, const struct http_request *req)
{
	asker_begin(asked, req);
	assert_non_null(asked->origin);
	world_settle();
	return asker_peer();
}

struct fake_peer *asker_ask(struct asked *asked)
{
	return asker_ask_for(asked, &asker_get);
}

void asker_say(struct fake_peer *peer, const char *text)
{
	fake_peer_say(peer, slice_str(text));
	world_settle();
}

void asker_expect_end(const struct asked *asked, unsigned status, const char *content)
{
	assert_int_equal(asked->failures, 0);
	assert_int_equal(asked->heads, 1);
	assert_int_equal(asked->ends, 1);
	assert_int_equal(asked->status, status);
	assert_string_equal(asked->content, content);
}

void asker_expect_failure(const struct asked *asked, enum failure failure, const char *cause)
{
	assert_int_equal(asked->ends, 0);
	assert_int_equal(asked->failures, 1);
	assert_string_equal(failure_name(asked->failure), failure_name(failure));
	assert_string_equal(asked->cause, cause);
	assert_string_equal(cause_text(), "");
	assert_int_equal(
		budget_used(&world.budgets, BUDGET_ORIGIN, budget_thing(SLICE("h10.0.0.1:80"))), 0);
	assert_int_equal(fake_conn_open(), 0);
}

/* The connection is kept, and in a place for idle ones; or gone. */
void asker_expect_kept(unsigned kept)
{
	assert_int_equal(fake_conn_open(), kept);
	assert_int_equal(stats->origins, kept);
	assert_int_equal(stats->origins_idle, kept);
	assert_int_equal(budget_used(&world.budgets, BUDGET_IDLE, 0), kept);
	assert_int_equal(
		budget_used(&world.budgets, BUDGET_ORIGIN, budget_thing(SLICE("h10.0.0.1:80"))), 0);
}

/* ms from now until something of it is over. */
int64_t asker_left_ms(void)
{
	return fake_conn_next_ms() == INT64_MAX ? -1 : fake_conn_next_ms() - fake_conn_now_ms();
}
