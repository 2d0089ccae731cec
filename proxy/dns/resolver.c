/* Names to addresses: look-ups, whom they are for, and when they end. */
#include "proxy/dns/resolver.h"

#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An allocation that fails costs the look-up, not the process. */
#define HASH_NONFATAL_OOM 1
#include "cache/base/table.h"
#include <utlist.h>

#include "conf/units.h"
#include "proxy/loop/deadline.h"
#include "proxy/dns/dns_answer.h"
#include "proxy/dns/dns_channel.h"
#include "proxy/base/hostname.h"
#include "proxy/dns/known_names.h"
#include "proxy/base/wall_clock.h"
#include "proxy/stats/stats.h"

/*
 * A name that name servers are being asked for.
 *
 * Each has a channel of its own.  That costs some 20 microseconds, and buys what one channel for
 * all cannot do: to stop one look-up at its deadline, and a source port of its own for each, which
 * makes answers hard to forge (RFC 5452 9.2).
 *
 * A channel only writes down what came; lookup_advance() acts on it when the channel has returned.
 * So `done` is never called from inside c-ares, and a channel never closed from there.
 */
struct lookup {
	UT_hash_handle hh;
	struct resolver *resolver;
	struct dns_channel channel;
	struct dns_part v6; /* AAAA */
	struct dns_part v4; /* A */
	int64_t deadline_ms;
	int64_t answer_by_ms; /* do not wait for AAAA longer; INT64_MAX before the A answer */
	bool is_answered;     /* with what is there; AAAA is still waited for */
	bool had_socket;
	struct resolver_query *queries;
	unsigned query_count;
	struct lookup *prev, *next; /* in the list of those without waiters */
	bool is_unwanted;           /* in that list */
	bool is_told;               /* `done` is being called for those who wait */
	struct holding place, zone_place, host_place;
	struct holding socket_place; /* of each socket, the count they have in common */
	unsigned sockets;
	struct deadline ring;                   /* for what is next */
	struct ev_io watchers[DNS_SOCKETS_MAX]; /* unused ones have fd -1 */
	size_t name_length;
	char name[HOSTNAME_MAX + 1];
};

struct resolver_query {
	struct resolver_query *prev;
	struct resolver_query *next;
	struct lookup *lookup;
	resolver_done done;
	void *context;
};

struct resolver {
	struct ev_loop *loop;
	const struct conf *conf;
	const struct budgets *budgets;
	struct known_names *known;
	struct lookup *lookups;     /* by name */
	struct lookup *unwanted;    /* without waiters, the oldest first */
	struct dns_servers servers; /* none: those of the system */
	unsigned calls;             /* of `done` that have not returned */
};

/* The only place that calls `done`; `found` is not the cache's, for the callee may change that. */
static void answer(struct resolver *resolver, resolver_done done, void *context,
		   enum failure failure, const struct addresses *found)
{
	assert((failure == FAILURE_NONE) == (found->count > 0));
	resolver->calls++;
	done(context, failure, found);
	resolver->calls--;
}

/* Add it to the list of those without waiters, or remove it, as needed. */
static void lookup_list(struct lookup *lookup, bool is_unwanted)
{
	if (is_unwanted && !lookup->is_unwanted)
		DL_APPEND(lookup->resolver->unwanted, lookup);
	else if (!is_unwanted && lookup->is_unwanted)
		DL_DELETE(lookup->resolver->unwanted, lookup);
	lookup->is_unwanted = is_unwanted;
}

static void query_unlink(struct resolver_query *query)
{
	struct lookup *lookup = query->lookup;

	DL_DELETE(lookup->queries, query);
	lookup->query_count--;
	free(query);
	lookup_list(lookup, lookup->query_count == 0 && !lookup->is_told);
}

/* From now on who asks for the name starts another. */
static void lookup_remove(struct lookup *lookup)
{
	HASH_DEL(lookup->resolver->lookups, lookup);
}

/* Tell those who wait.  The lookup lives on, whatever they do: only its own end frees it. */
static void lookup_answer(struct lookup *lookup)
{
	struct resolver *resolver = lookup->resolver;
	struct addresses found;
	enum failure failure = dns_answer(&lookup->v6, &lookup->v4, &found);

	lookup->is_told = true;
	while (lookup->queries != NULL) {
		struct resolver_query query = *lookup->queries;

		query_unlink(lookup->queries);
		answer(resolver, query.done, query.context, failure, &found);
	}
	lookup->is_told = false;
}

static void lookup_give_places(struct lookup *lookup)
{
	budget_give(&lookup->place);
	budget_give(&lookup->zone_place);
	budget_give(&lookup->host_place);
}

/* Ends what is still asked; nothing is called but watch_socket() below. */
static void lookup_free(struct lookup *lookup)
{
	deadline_stop(&lookup->ring);
	dns_channel_close(&lookup->channel);
	while (lookup->queries != NULL)
		query_unlink(lookup->queries);
	lookup_list(lookup, false);
	assert(lookup->sockets == 0);
	lookup_give_places(lookup);
	free(lookup);
}

static void lookup_finish(struct lookup *lookup)
{
	struct resolver *resolver = lookup->resolver;
	struct addresses found;
	enum failure failure = dns_answer(&lookup->v6, &lookup->v4, &found);
	int64_t keep_ms =
		dns_answer_keep_ms(&lookup->v6, &lookup->v4, resolver->conf->dns_negative_ttl_ms);

	lookup_remove(lookup);
	if (keep_ms > 0)
		known_names_keep(resolver->known, slice_of(lookup->name, lookup->name_length),
				 boot_clock_ms() + keep_ms, failure, &found);
	lookup_answer(lookup);
	lookup_free(lookup);
}

/* Ring for what is next: it is to be asked again, AAAA is late, or time is up. */
static void lookup_set_ring(struct lookup *lookup)
{
	int64_t next_ms = lookup->deadline_ms;
	int64_t retry_ms = dns_channel_retry_ms(&lookup->channel);
	int64_t wait_ms;

	if (!lookup->is_answered && lookup->answer_by_ms < next_ms)
		next_ms = lookup->answer_by_ms;
	wait_ms = next_ms - deadlines_now_ms();
	if (retry_ms >= 0 && retry_ms < wait_ms)
		wait_ms = retry_ms;
	/* What is due is not put off, however often something comes. */
	deadline_set(&lookup->ring, wait_ms > 0 ? wait_ms : 0);
}

static bool is_complete(const struct lookup *lookup)
{
	return lookup->v4.status != DNS_PENDING && lookup->v6.status != DNS_PENDING;
}

/* What has come was written down.  May free the lookup. */
static void lookup_advance(struct lookup *lookup)
{
	if (lookup->answer_by_ms == INT64_MAX &&
	    (lookup->v4.status == DNS_FOUND || lookup->v4.status == DNS_NO_NAME))
		lookup->answer_by_ms = deadlines_now_ms() + RESOLVER_AAAA_WAIT_MS;
	if (is_complete(lookup))
		lookup_finish(lookup);
	else
		lookup_set_ring(lookup);
}

/* All that has come was looked at, and time has passed.  May free the lookup. */
static void lookup_give_up(struct lookup *lookup)
{
	int64_t now = deadlines_now_ms();
	bool aaaa_is_late = now >= lookup->answer_by_ms;

	/* NXDOMAIN is about the name (RFC 8020); to AAAA some say it wrongly (RFC 4074 4.2). */
	if (now >= lookup->deadline_ms || (aaaa_is_late && lookup->v4.status == DNS_NO_NAME)) {
		lookup_finish(lookup);
		return;
	}
	if (aaaa_is_late && !lookup->is_answered) {
		lookup->is_answered = true;
		lookup_set_ring(lookup);
		lookup_answer(lookup);
		lookup_list(lookup, lookup->query_count == 0);
		return;
	}
	lookup_advance(lookup);
}

/* Let the channel have what its sockets have; true when there was something. */
static bool lookup_look(void *owner)
{
	struct lookup *lookup = owner;
	struct pollfd fds[DNS_SOCKETS_MAX];

	for (unsigned i = 0; i < DNS_SOCKETS_MAX; i++) {
		const struct ev_io *watcher = &lookup->watchers[i];

		fds[i] = (struct pollfd){.fd = watcher->fd}; /* poll() leaves out those below 0 */
		if (watcher->events & EV_READ)
			fds[i].events |= POLLIN;
		if (watcher->events & EV_WRITE)
			fds[i].events |= POLLOUT;
	}
	if (poll(fds, DNS_SOCKETS_MAX, 0) <= 0)
		return false;
	dns_channel_io(&lookup->channel, fds, DNS_SOCKETS_MAX);
	return true;
}

static void lookup_io_cb(struct ev_loop *loop, struct ev_io *watcher, int events)
{
	struct lookup *lookup = watcher->data;

	(void)loop;
	(void)events;
	lookup_look(lookup);
	lookup_advance(lookup);
}

/* It may be asked again, or something is late. */
static void lookup_rung(void *owner)
{
	struct lookup *lookup = owner;

	dns_channel_retry(&lookup->channel);
	if (is_complete(lookup))
		lookup_finish(lookup);
	else
		lookup_give_up(lookup);
}

static const struct deadline_kind rings = {.look = lookup_look, .passed = lookup_rung};

/* As dns_channel_admit says: there is a share of descriptors for them. */
static bool admit_socket(void *context)
{
	struct lookup *lookup = context;
	struct holding place;

	if (budget_take(lookup->resolver->budgets, BUDGET_SOCKETS, 0, 0, &place) != BUDGET_OK)
		return false;
	lookup->socket_place = place;
	lookup->sockets++;
	return true;
}

static void socket_closed(struct lookup *lookup)
{
	struct holding place = lookup->socket_place;

	assert(lookup->sockets > 0);
	lookup->sockets--;
	budget_give(&place);
}

/* As dns_channel_watch says. */
static void watch_socket(void *context, int fd, bool readable, bool writable)
{
	struct lookup *lookup = context;
	struct ev_loop *loop = lookup->resolver->loop;
	struct ev_io *watcher = NULL;
	unsigned i;

	for (i = 0; i < DNS_SOCKETS_MAX; i++) {
		struct ev_io *candidate = &lookup->watchers[i];

		if (candidate->fd == fd)
			watcher = candidate;
		else if (candidate->fd < 0 && watcher == NULL)
			watcher = candidate;
	}
	if (!readable && !writable)
		socket_closed(lookup);
	if (watcher == NULL)
		return; /* more than DNS_SERVERS_MAX servers in resolv.conf: ignore this one */
	lookup->had_socket = true;
	ev_io_stop(loop, watcher);
	ev_io_set(watcher, fd, (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));
	if (readable || writable)
		ev_io_start(loop, watcher);
	else
		watcher->fd = -1;
}

/* The last so many labels of a name. */
static struct slice last_labels(struct slice name, unsigned labels)
{
	size_t at = name.n;

	while (at > 0 && (name.p[at - 1] != '.' || --labels > 0))
		at--;
	return slice_of(name.p + at, name.n - at);
}

/*
 * A place for one more, of those for all and of those for its zone.  Where zones begin only name
 * servers know: they are taken to be the last two labels, and, as those may be such as co.uk, the
 * last three.  Of each, one client has a part: two silent zones below co.uk would keep all of it
 * from others.  False when there is none.
 */
static bool take_places(struct lookup *lookup, budget_id holder)
{
	const struct budgets *budgets = lookup->resolver->budgets;
	struct slice name = slice_of(lookup->name, lookup->name_length);
	budget_id zone = budget_thing(last_labels(name, 2));
	budget_id host = budget_thing(last_labels(name, 3));

	if (budget_take(budgets, BUDGET_LOOKUPS, 0, holder, &lookup->place) == BUDGET_OK &&
	    budget_take(budgets, BUDGET_ZONE, zone, holder, &lookup->zone_place) == BUDGET_OK &&
	    budget_take(budgets, BUDGET_HOST, host, holder, &lookup->host_place) == BUDGET_OK)
		return true;
	lookup_give_places(lookup);
	return false;
}

/* The same; drops look-ups without waiters to make room. */
static bool make_room(struct lookup *lookup, budget_id holder)
{
	struct resolver *resolver = lookup->resolver;

	while (!take_places(lookup, holder)) {
		struct lookup *oldest = resolver->unwanted;

		if (oldest == NULL)
			return false;
		STATS_ADD(lookups_dropped, 1);
		lookup_remove(oldest);
		lookup_free(oldest);
	}
	return true;
}

/* NULL with the reason when there is no room for another, or no memory. */
static struct lookup *lookup_new(struct resolver *resolver, struct slice name, budget_id holder,
				 enum failure *ret_failure)
{
	struct lookup *lookup = calloc(1, sizeof(*lookup));
	unsigned i;

	*ret_failure = FAILURE_DNS_ERROR;
	if (lookup == NULL)
		return NULL;
	lookup->resolver = resolver;
	lookup->deadline_ms = deadlines_now_ms() + resolver->conf->dns_timeout_ms;
	lookup->answer_by_ms = INT64_MAX;
	memcpy(lookup->name, name.p, name.n);
	lookup->name_length = name.n;
	deadline_init(&lookup->ring, &rings, lookup);
	for (i = 0; i < DNS_SOCKETS_MAX; i++) {
		ev_io_init(&lookup->watchers[i], lookup_io_cb, -1, 0);
		lookup->watchers[i].data = lookup;
	}
	if (!make_room(lookup, holder)) {
		free(lookup);
		*ret_failure = FAILURE_TOO_MANY_LOOKUPS;
		return NULL;
	}
	/* Doubled at each try: three take longer than dns_timeout, which ends it. */
	if (!dns_channel_open(&lookup->channel, &resolver->servers,
			      (int)(resolver->conf->dns_timeout_ms / 5) + 1, admit_socket,
			      watch_socket, lookup)) {
		lookup_give_places(lookup);
		free(lookup);
		return NULL;
	}
	HASH_ADD_KEYPTR(hh, resolver->lookups, lookup->name, lookup->name_length, lookup);
	if (lookup->hh.tbl == NULL) {
		lookup_free(lookup);
		return NULL;
	}
	return lookup;
}

/*
 * Ask for both families.  Either callback may have been called when this returns.  c-ares reports
 * ARES_ECONNREFUSED for SERVFAIL, for a refused connection, and when it got no socket to ask with;
 * only the last is to be tried anew at the next question.
 */
static void lookup_ask(struct lookup *lookup)
{
	char name[HOSTNAME_MAX + 1];

	memcpy(name, lookup->name, lookup->name_length);
	name[lookup->name_length] = '\0';
	STATS_ADD(dns_lookups, 1);
	dns_channel_ask(&lookup->channel, name, &lookup->v6, &lookup->v4);
	if (!lookup->had_socket) {
		lookup->v6.status = DNS_NOBODY_ASKED;
		lookup->v4.status = DNS_NOBODY_ASKED;
	}
}

static struct resolver_query *lookup_join(struct lookup *lookup, resolver_done done, void *context)
{
	struct resolver_query *query = malloc(sizeof(*query));

	if (query == NULL)
		return NULL;
	query->lookup = lookup;
	query->done = done;
	query->context = context;
	DL_APPEND(lookup->queries, query);
	lookup->query_count++;
	lookup_list(lookup, false);
	return query;
}

/*
 * The lookup of a name that is not at hand, with a place in its queue.  NULL with the reason when
 * there is no room for another.
 */
static struct lookup *find_lookup(struct resolver *resolver, struct slice name, budget_id holder,
				  enum failure *ret_failure)
{
	struct lookup *lookup;

	HASH_FIND(hh, resolver->lookups, name.p, name.n, lookup);
	*ret_failure = FAILURE_TOO_MANY_LOOKUPS;
	if (lookup != NULL)
		return lookup->query_count < resolver->conf->clients_max ? lookup : NULL;
	lookup = lookup_new(resolver, name, holder, ret_failure);
	if (lookup != NULL)
		lookup_ask(lookup);
	return lookup;
}

/* As resolver_start(), for a name that is not at hand. */
static struct resolver_query *ask(struct resolver *resolver, struct slice name, budget_id holder,
				  resolver_done done, void *context)
{
	struct addresses found = {.count = 0};
	enum failure failure;
	struct lookup *lookup = find_lookup(resolver, name, holder, &failure);
	struct resolver_query *query = NULL;

	if (lookup != NULL && lookup->is_answered) {
		failure = dns_answer(&lookup->v6, &lookup->v4, &found);
	} else if (lookup != NULL && lookup->queries == NULL && is_complete(lookup)) {
		failure = dns_answer(&lookup->v6, &lookup->v4, &found);
		lookup_finish(lookup); /* it ended at once */
	} else if (lookup != NULL) {
		query = lookup_join(lookup, done, context);
		lookup_set_ring(lookup);
	}
	if (query == NULL)
		answer(resolver, done, context, failure, &found);
	return query;
}

struct resolver_query *resolver_start(struct resolver *resolver, struct slice host,
				      budget_id holder, resolver_done done, void *context)
{
	struct addresses found = {.count = 0};
	enum failure failure = FAILURE_DNS_ERROR;
	char name[HOSTNAME_MAX];
	size_t n;

	if (address_parse(host, &found.at[0])) {
		found.source = FROM_HERE;
		found.count = 1;
		answer(resolver, done, context, FAILURE_NONE, &found);
		return NULL;
	}
	n = hostname_normal(host, name);
	if (n > 0) {
		if (!known_names_find(resolver->known, slice_of(name, n), boot_clock_ms(), &failure,
				      &found))
			return ask(resolver, slice_of(name, n), holder, done, context);
		STATS_ADD(dns_cache_hits, 1);
	} else {
		found.why_none = "not a host name";
	}
	answer(resolver, done, context, failure, &found);
	return NULL;
}

void resolver_cancel(struct resolver_query *query)
{
	query_unlink(query);
}

/* One "ADDRESS:PORT" of the option. */
static bool add_server(struct resolver *resolver, const char *text)
{
	char host[UNITS_HOST];
	union address address;
	uint16_t port;

	if (!units_parse_address(text, host, &port) || port == 0 ||
	    !address_parse(slice_str(host), &address))
		return false;
	return dns_servers_add(&resolver->servers, &address, port);
}

static bool add_servers(struct resolver *resolver, struct diagnostic *error)
{
	const struct conf_list *list = &resolver->conf->resolvers;
	size_t i;

	if (list->count > DNS_SERVERS_MAX) {
		diagnostic_set(error, "resolvers: more than %d", DNS_SERVERS_MAX);
		return false;
	}
	for (i = 0; i < list->count; i++) {
		if (!add_server(resolver, list->at[i])) {
			diagnostic_set(error, "resolvers: %s: not ADDRESS:PORT", list->at[i]);
			return false;
		}
	}
	return true;
}

struct resolver *resolver_new(void *loop, const struct conf *conf, const struct budgets *budgets,
			      struct diagnostic *error)
{
	struct resolver *resolver;
	const char *wrong = dns_channel_library_init();

	resolver = wrong != NULL ? NULL : calloc(1, sizeof(*resolver));
	if (resolver == NULL) {
		diagnostic_set(error, "resolvers: c-ares cannot start: %s",
			       wrong != NULL ? wrong : strerror(ENOMEM));
		if (wrong == NULL)
			dns_channel_library_cleanup();
		return NULL;
	}
	resolver->loop = loop;
	resolver->conf = conf;
	resolver->budgets = budgets;
	if (add_servers(resolver, error))
		resolver->known = known_names_new(conf, error);
	if (resolver->known == NULL) {
		resolver_free(resolver);
		return NULL;
	}
	return resolver;
}

void resolver_free(struct resolver *resolver)
{
	if (resolver == NULL)
		return;
	assert(resolver->calls == 0);
	while (resolver->lookups != NULL) {
		struct lookup *lookup = resolver->lookups;

		lookup_remove(lookup);
		lookup_free(lookup);
	}
	known_names_free(resolver->known);
	free(resolver);
	dns_channel_library_cleanup();
}
