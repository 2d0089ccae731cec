/*
 * Names to addresses, without ever blocking the loop: c-ares on libev, with a bounded cache.
 *
 * Numeric hosts (address_parse(): IPv4 in dotted-quad form only, IPv6 with or without brackets) are
 * answered without a look-up; odd spellings of IPv4 (octal, hex, short, one number) and what is no
 * host name (hostname_normal()) are refused as names that do not exist (HAZARDS T6).  Then the
 * hosts file (read at start, and again when it changed, looked at once a second at most),
 * "localhost" and names below it as loopback, "invalid" and "onion" as not existing
 * (known_names.h), then the cache, then name servers: A and AAAA together.  Names are absolute: no
 * search list.  Without the option `resolvers` the servers are those of resolv.conf as it is at
 * that moment; nsswitch.conf is not read.
 *
 * Positive answers are kept for the shortest TTL in them (1 s at least, a day at most), negative
 * ones for conf->dns_negative_ttl, and so are time-outs and failures of name servers, for 5 minutes
 * at most (RFC 9520).  What went wrong on this machine, memory or descriptors, is not kept.
 *
 * Bounds: conf->dns_lookups names under way in all workers, of these three quarters for one holder
 * (budgets.h), half for names that have their last two labels in common and a quarter for three, so
 * that a zone that is silent does not take all; conf->clients_max queries for each name (look-ups
 * of one name are shared); conf->dns_timeout for each in all; conf->dns_cache answers.  A look-up
 * without waiters is dropped for one that a request needs.
 */
#ifndef PROXY_DNS_RESOLVER_H
#define PROXY_DNS_RESOLVER_H

#include "cache/base/diagnostic.h"
#include "cache/base/slice.h"
#include "conf/conf.h"
#include "proxy/base/address.h"
#include "proxy/limits/budgets.h"
#include "proxy/base/failure.h"

enum {
	/*
	 * The A answer is passed on when AAAA is this late (RFC 8305 3).  The other way round A is
	 * waited for: where IPv6 does not work, AAAA alone is nothing to connect to.
	 */
	RESOLVER_AAAA_WAIT_MS = 50,
};

struct resolver;
struct resolver_query;

/*
 * `failure` is FAILURE_NONE with at least one address, or DNS_ERROR, DNS_TIMEOUT, TOO_MANY_LOOKUPS
 * with none.  The addresses are in the order to try (RFC 8305 4: families interleaved, IPv6 first),
 * without ports.  The list is the resolver's, valid during the call.  The query is over: do not
 * cancel it. The call may start and cancel other queries, but not free the resolver.
 */
typedef void (*resolver_done)(void *context, enum failure failure, const struct addresses *found);

/*
 * `loop` is the worker's struct ev_loop; it, `conf` and `budgets` outlive the resolver.  NULL with
 * a message in `error` on failure.
 */
struct resolver *resolver_new(void *loop, const struct conf *conf, const struct budgets *budgets,
			      struct diagnostic *error);

/* Queries under way end without a call; their pointers are dead. */
void resolver_free(struct resolver *resolver);

/*
 * Look `host` up for `holder`.  When the answer is at hand, `done` is called before this returns
 * and NULL is returned; else the query, which ends by calling `done` once, or by resolver_cancel().
 */
struct resolver_query *resolver_start(struct resolver *resolver, struct slice host,
				      budget_id holder, resolver_done done, void *context);

/* `done` will not be called.  The look-up itself continues, for later requests. */
void resolver_cancel(struct resolver_query *query);

#endif
