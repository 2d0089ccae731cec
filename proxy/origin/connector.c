/* From a host and port to a connected socket: look-up, access check, raced connects. */
#include "proxy/origin/connector.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/cause.h"
#include "proxy/base/log.h"
#include "proxy/base/monotonic.h"
#include "proxy/loop/deadline.h"
#include "proxy/stats/stats.h"

enum {
	CONNECTOR_MAGIC = 0x436e6374,
	SOCKET_STEP_MS = 10, /* between tries at a Unix socket whose queue is full */
};

struct attempt {
	struct connector *connector;
	struct conn *conn;    /* NULL: not begun, or failed */
	struct holding extra; /* when it began while another was under way */
};

struct connector {
	uint32_t magic;
	bool over; /* done was called, or it was cancelled */
	bool chosen;
	enum failure failure;
	struct connectors *use;
	connector_done done;
	void *context;
	budget_id holder;
	struct origin_times *times;
	int64_t since_us;   /* the step under way: look-up or connecting */
	const char *socket; /* of a Unix socket: its one address is AF_UNIX; else NULL */
	struct deadline socket_again;
	struct resolver_query *query;
	struct task
		report; /* of a failure that came at once; or to connect, or to go on, without one */
	struct attempt *connected; /* at once */
	int64_t expires_ms;
	unsigned next; /* address to try */
	unsigned last; /* address that the failure is of */
	int error;     /* errno of it, or 0 */
	uint16_t port;
	struct addresses addresses;
	struct attempt attempts[ADDRESSES_MAX];
	size_t host_length;
	char host[];
};

static void attempt_writable(void *owner);
static void attempt_expired(void *owner);

static void attempt_readable(void *owner)
{
	(void)owner; /* not watched for */
}

static const struct conn_events attempt_events = {
	.readable = attempt_readable,
	.writable = attempt_writable,
	.expired = attempt_expired,
};

static bool any_under_way(const struct connector *c)
{
	for (unsigned i = 0; i < c->addresses.count; i++)
		if (c->attempts[i].conn != NULL)
			return true;
	return false;
}

/* Close what is still under way, but for the winner, which is the only one then. */
static void release(struct connector *c, const struct conn *winner)
{
	c->over = true;
	deadline_stop(&c->socket_again);
	for (unsigned i = 0; i < c->addresses.count; i++) {
		if (c->attempts[i].conn != NULL && c->attempts[i].conn != winner)
			conn_close(c->attempts[i].conn);
		budget_give(&c->attempts[i].extra);
	}
	if (!task_is_queued(&c->report))
		turn_free(c);
}

/* What the system said, and of which address. */
static void set_cause(const struct connector *c)
{
	char address[ADDRESS_TEXT_SIZE] = "";

	if (c->addresses.count > 0)
		address_format_port(&c->addresses.at[c->last], address);
	if (c->socket != NULL)
		cause_set("connect to unix:%s: %s", c->socket, strerror(c->error));
	else if (c->addresses.count == 0 && c->addresses.why_none != NULL)
		cause_set("%s", c->addresses.why_none);
	else if (c->error != 0)
		cause_set("connect to %s: %s", address, strerror(c->error));
	else if (c->addresses.count > 0)
		cause_set("address %s", address);
}

static void note_connect(const struct connector *c, bool connected)
{
	int64_t now_us;

	if (c->addresses.count == 0)
		return;
	now_us = monotonic_us();
	c->times->connect_us = origin_time_us(c->since_us, now_us);
	if (connected)
		histogram_add_since(&stats->origin_connect, c->since_us, now_us);
}

static void note_lookup(const struct connector *c, bool found)
{
	int64_t now_us = monotonic_us();

	c->times->dns_us = origin_time_us(c->since_us, now_us);
	if (found)
		histogram_add_since(&stats->origin_dns, c->since_us, now_us);
}

static void finish(struct connector *c, enum failure failure, struct conn *conn,
		   const union address *address)
{
	connector_done done = c->done;
	void *context = c->context;
	struct destination to = {.source = c->addresses.source};

	if (address != NULL)
		to.address = *address;
	note_connect(c, failure == FAILURE_NONE);
	if (failure != FAILURE_NONE)
		set_cause(c);
	release(c, conn);
	done(context, failure, conn, address != NULL ? &to : NULL);
	if (failure != FAILURE_NONE)
		cause_clear();
}

/* An address failed; the last failure is reported. */
static void note_failure(struct connector *c, enum failure failure, const union address *of,
			 int error)
{
	char address[ADDRESS_TEXT_SIZE];

	c->failure = failure;
	c->last = (unsigned)(of - c->addresses.at);
	c->error = error;
	if (c->next < c->addresses.count && log_has(LOG_LEVEL_DEBUG)) {
		address_format_port(of, address);
		log_debug("connect to %s: %s; another address is tried", address,
			  error != 0 ? strerror(error) : failure_sentence(failure));
	}
}

static void try_next(struct connector *c);

static void connect_first(struct connector *c)
{
	c->failure = FAILURE_DNS_ERROR;
	c->since_us = monotonic_us();
	c->expires_ms = c->use->turn->now_ms + c->use->conf->connect_timeout_ms;
	try_next(c);
}

/* A task, so that what is known at once is not reported before connector_start() returns. */
static void go_on(void *owner)
{
	struct connector *c = owner;
	struct attempt *connected = c->connected;

	c->connected = NULL;
	if (c->over)
		turn_free(c); /* cancelled meanwhile */
	else if (connected != NULL && connected->conn != NULL)
		attempt_writable(connected);
	else if (c->failure == FAILURE_NONE)
		connect_first(c);
	else if (!any_under_way(c))
		finish(c, c->failure, NULL, NULL);
}

static enum failure failure_of_errno(int error)
{
	switch (error) {
	case ECONNREFUSED:
	case ECONNRESET:
	case ENOENT: /* of a Unix socket's path */
		return FAILURE_ORIGIN_REFUSED;
	case ETIMEDOUT:
		return FAILURE_CONNECT_TIMEOUT;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
	case EADDRNOTAVAIL:
		return FAILURE_TOO_MANY_ORIGIN;
	default:
		return FAILURE_ORIGIN_UNREACHABLE;
	}
}

/* May another begin?  The first has the client's place; those that race it are extras. */
static bool make_room(struct connector *c, struct holding *ret_extra)
{
	if (!any_under_way(c) ||
	    budget_take(c->use->budgets, BUDGET_EXTRAS, 0, c->holder, ret_extra) == BUDGET_OK)
		return true;
	STATS_ADD(extras_refused, 1);
	return false;
}

static enum failure judge(const struct connector *c, const union address *to)
{
	if (c->socket != NULL)
		return FAILURE_NONE;
	return c->chosen ? access_chosen(c->use->access, to)
			 : access_address(c->use->access, slice_of(c->host, c->host_length),
					  c->addresses.source, to);
}

static struct conn *begin(struct attempt *attempt, const union address *to)
{
	const struct connector *c = attempt->connector;

	return c->socket != NULL ? conn_connect_path(c->socket, &attempt_events, attempt)
				 : conn_connect(to, &attempt_events, attempt);
}

/* The queue of a Unix socket is full, which the kernel does not wait for. */
static bool waits_for_queue(struct connector *c, int error, int64_t left)
{
	if (c->socket == NULL || error != EAGAIN || left <= SOCKET_STEP_MS)
		return false;
	c->next = 0;
	deadline_set(&c->socket_again, SOCKET_STEP_MS);
	return true;
}

/* Begin with the next address that may be tried; when none is left and none under way, fail. */
static void try_next(struct connector *c)
{
	int64_t left = c->expires_ms - c->use->turn->now_ms;
	struct holding extra = {.all = NULL};

	if (c->next < c->addresses.count && !make_room(c, &extra))
		return; /* the one under way will end, in time */
	while (c->next < c->addresses.count && left > 0) {
		struct attempt *attempt = &c->attempts[c->next];
		const union address *to = &c->addresses.at[c->next++];
		enum failure denied = judge(c, to);

		if (denied != FAILURE_NONE) {
			note_failure(c, denied, to, 0);
			continue;
		}
		attempt->connector = c;
		attempt->extra = extra;
		attempt->conn = begin(attempt, to);
		if (attempt->conn == NULL && waits_for_queue(c, errno, left))
			return;
		if (attempt->conn == NULL) {
			attempt->extra = (struct holding){.all = NULL};
			note_failure(c, failure_of_errno(errno), to, errno);
			continue;
		}
		STATS_ADD(origin_connections, 1);
		if (c->next < c->addresses.count && left > CONNECTOR_STAGGER_MS)
			left = CONNECTOR_STAGGER_MS;
		conn_deadline(attempt->conn, left);
		if (conn_is_connected(attempt->conn)) {
			c->connected = attempt;
			turn_soon(c->use->turn, &c->report);
		}
		return;
	}
	budget_give(&extra);
	if (!any_under_way(c))
		turn_soon(c->use->turn, &c->report);
}

/* An address of this machine that it did not have when it listened on all of them. */
static bool is_ourselves(const struct attempt *attempt, const union address *to)
{
	const struct access *access = attempt->connector->use->access;
	union address local;
	socklen_t length = sizeof(local);

	return access_has_wildcard_port(access, address_port(to)) &&
	       getsockname(conn_fd(attempt->conn), &local.any, &length) == 0 &&
	       access_is_wildcard_own(access, &local, to);
}

static void attempt_writable(void *owner)
{
	struct attempt *attempt = owner;
	struct connector *c = attempt->connector;
	const union address *to;
	bool loop;
	int error;

	assert(c->magic == CONNECTOR_MAGIC);
	to = &c->addresses.at[attempt - c->attempts];
	error = conn_connected(attempt->conn);
	loop = error == 0 && is_ourselves(attempt, to);
	if (error == 0 && !loop) {
		int64_t left = c->expires_ms - c->use->turn->now_ms;

		conn_deadline(attempt->conn, left > 0 ? left : 1);
		finish(c, FAILURE_NONE, attempt->conn, to);
		return;
	}
	conn_close(attempt->conn);
	attempt->conn = NULL;
	budget_give(&attempt->extra);
	note_failure(c, loop ? FAILURE_OWN_ADDRESS : failure_of_errno(error), to, error);
	try_next(c);
}

/* The stagger is over, or all the time there was. */
static void attempt_expired(void *owner)
{
	struct attempt *attempt = owner;
	struct connector *c = attempt->connector;
	int64_t left = c->expires_ms - c->use->turn->now_ms;

	if (left > 0) {
		conn_deadline(attempt->conn, left);
		try_next(c);
		return;
	}
	/* Each has a deadline of its own, for another may be connected by now. */
	conn_close(attempt->conn);
	attempt->conn = NULL;
	note_failure(c, FAILURE_CONNECT_TIMEOUT, &c->addresses.at[attempt - c->attempts], 0);
	if (!any_under_way(c))
		finish(c, FAILURE_CONNECT_TIMEOUT, NULL, NULL);
}

/* Thousands may have waited for the same name: so many go on in each turn. */
static void resolved(void *context, enum failure failure, const struct addresses *found)
{
	struct connector *c = context;
	struct connectors *use = c->use;
	bool waited = c->query != NULL;

	c->query = NULL;
	if (waited)
		note_lookup(c, failure == FAILURE_NONE);
	c->failure = failure;
	c->addresses = *found;
	for (unsigned i = 0; i < c->addresses.count; i++)
		address_set_port(&c->addresses.at[i], c->port);
	if (waited && !share_take(&use->resolved, use->turn, SHARE_REQUESTS))
		turn_later(use->turn, &c->report);
	else if (failure != FAILURE_NONE)
		turn_soon(use->turn, &c->report);
	else
		connect_first(c);
}

static void try_again(void *owner)
{
	try_next(owner);
}

static const struct deadline_kind socket_again = {.passed = try_again};

struct connector *connector_start(struct connectors *use, const struct connector_target *target,
				  budget_id holder, struct origin_times *times, connector_done done,
				  void *context)
{
	struct slice host = target->host;
	struct connector *c = calloc(1, sizeof(*c) + host.n);

	if (c == NULL)
		return NULL;
	c->magic = CONNECTOR_MAGIC;
	c->chosen = target->chosen;
	c->holder = holder;
	c->times = times;
	c->since_us = monotonic_us();
	c->use = use;
	c->done = done;
	c->context = context;
	c->port = target->port;
	c->report = (struct task){.run = go_on, .owner = c};
	deadline_init(&c->socket_again, &socket_again, c);
	c->host_length = host.n;
	memcpy(c->host, host.p, host.n);
	if (target->socket != NULL) {
		c->socket = target->socket;
		c->addresses = (struct addresses){.source = FROM_HERE, .count = 1};
		c->addresses.at[0] = address_unix();
		turn_soon(use->turn, &c->report);
		return c;
	}
	c->query = resolver_start(use->resolver, slice_of(c->host, host.n), holder, resolved, c);
	return c;
}

void connector_cancel(struct connector *c)
{
	assert(c->magic == CONNECTOR_MAGIC && !c->over);
	if (c->query != NULL)
		resolver_cancel(c->query);
	release(c, NULL);
}
