/*
 * What clients may hold: each thing that takes a descriptor or memory until it is closed belongs to
 * a budget, and is counted for the address that it is held for, over all workers together (HAZARDS
 * L1, L5).
 *
 * A budget has a limit for the service, one for this process (its share of the descriptors), and
 * for either a part that one address may have.  That is option clients_per_address for connections,
 * and three quarters for all else: what is left is for others.  The addresses of an IPv6 /64 are
 * one, a peer with one of them has all; loopback is an address like others.  Where the operator
 * lets one address have all connections (clients_per_address as large as clients_max: all clients
 * are behind one address), it may have all of everything.
 *
 * Look-ups, logins and extras take as long as somebody wants.  Of these, one holder, and one zone,
 * has no more than a few times what is left, and an eighth is for those that have none: several who
 * want all leave some to others.
 *
 * What a worker held is given back when it ends, however it ends (holdings.h).
 */
#ifndef PROXY_LIMITS_BUDGETS_H
#define PROXY_LIMITS_BUDGETS_H

#include "conf/conf.h"
#include "proxy/base/address.h"
#include "proxy/limits/descriptors.h"
#include "proxy/limits/holdings.h"

enum budget {
	/* Client connections, tunnels' ones too, but for those of the next two. */
	BUDGET_CLIENTS,
	BUDGET_OPERATORS, /* connections to the admin pages */
	BUDGET_REFUSALS,  /* connections kept open only to send a refusal */
	BUDGET_TUNNELS,   /* tunnels that stand or are being made, each in a client's place */
	BUDGET_PIPES,     /* of tunnels: two descriptors each */
	/*
	 * Requests at work at one origin: `thing` is the origin.  Their descriptors are in the
	 * client's place, but for those of the next two.
	 */
	BUDGET_ORIGIN,
	BUDGET_EXTRAS,  /* origin connections of no client's request: validations in the background,
			   and connects that race another one of the same request */
	BUDGET_IDLE,    /* origin connections kept */
	BUDGET_LOOKUPS, /* look-ups of names under way */
	BUDGET_ZONE,    /* of these, below one domain: `thing` is the domain, or a host with ... */
	BUDGET_HOST,    /* ... all below it; see resolver.c */
	BUDGET_SOCKETS, /* to name servers */
	BUDGET_LOGINS,  /* requests that wait for their password to be verified */
	BUDGET_COUNT
};

enum budget_verdict {
	BUDGET_OK,
	BUDGET_FULL,     /* used up by all together */
	BUDGET_ONE_FULL, /* this holder has used up its part */
};

struct budget_limit {
	uint32_t all, here;         /* of all workers, of this one */
	uint32_t one_all, one_here; /* for one holder */
	/*
	 * One holder, or one thing of a budget that has things, has at most `times` what is left of
	 * `rest` beyond an eighth; 0: whatever is left.
	 */
	uint32_t times;
	enum budget rest;
};

struct budgets {
	struct holdings *holdings;
	unsigned block;
	struct budget_limit limit[BUDGET_COUNT];
};

/* The holder of a thing; 0 for no particular holder, to which no bound per holder applies. */
typedef uint64_t budget_id;

/* What is held, to be given back by budget_give(); all zero: nothing. */
struct holding {
	struct holdings_row *all; /* the count of the budget, or of the thing */
	struct holdings_row *one; /* of these, the holder's; NULL when that is not bounded */
};

/* Memory for all workers, mapped before the fork.  NULL on failure. */
struct holdings *budgets_map(const struct conf *conf);

/* Limits for worker number `block`. */
void budgets_init(struct budgets *budgets, struct holdings *holdings, unsigned block,
		  const struct conf *conf, const struct descriptors *descriptors);

/* The holder that an address is. */
budget_id budget_holder(const union address *address);

/* What has a name: an origin, a zone. */
budget_id budget_thing(struct slice name);

/*
 * Take one for `holder`; BUDGET_OK with *ret_holding filled, else that is made empty.  `thing` is 0
 * but where the budget says what it is: then the limits hold for each thing.
 */
enum budget_verdict budget_take(const struct budgets *budgets, enum budget budget, budget_id thing,
				budget_id holder, struct holding *ret_holding);

/*
 * A holding without a holder, of a budget without things, becomes one of `holder`; BUDGET_ONE_FULL:
 * it stays as it is.
 */
enum budget_verdict budget_assign(const struct budgets *budgets, enum budget budget,
				  budget_id holder, struct holding *holding);

/* Give back, and make empty; an empty one is left alone. */
void budget_give(struct holding *holding);

/* How many all workers hold, by all holders. */
uint32_t budget_used(const struct budgets *budgets, enum budget budget, budget_id thing);

#endif
