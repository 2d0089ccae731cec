/* The limits of each budget, and counting against them. */
#include "proxy/limits/budgets.h"

#include <assert.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
	LOGINS_MAX = 1024,
	/*
	 * Of the places that may be left to some: a part for those who have none, and so many times
	 * what is left of the others for one; who has all to itself gets three quarters.
	 */
	REST_PARTS = 8,
	REST_TIMES = 6,
	/*
	 * Keys that are held at once: for each client itself, its origin and both together; and
	 * what is not bound to clients' connections.
	 */
	KEYS_PER_CLIENT = 3,
	KEYS_MORE = 4096,
};

/* Random, so that a peer cannot choose addresses or names whose hashes collide. */
static uint64_t seed;

/* ---- limits --------------------------------------------------------------------------------- */

/* A part of `whole`, but never nothing of something. */
static uint32_t part_of(uint32_t whole, uint32_t parts, uint32_t of)
{
	uint32_t part = (uint32_t)((uint64_t)whole * parts / of);

	return part == 0 && whole > 0 ? 1 : part;
}

/* What one holder may have, rounded up: of two or three, all. */
static uint32_t three_quarters(uint32_t whole)
{
	return whole - whole / 4;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t clients_per_address(const struct conf *conf)
{
	return conf->clients_per_address == 0 ? part_of(conf->clients_max, 3, 4)
					      : conf->clients_per_address;
}

/* `all` of the service, `here` of this process, and three quarters of either for one holder. */
static struct budget_limit limit_of(uint32_t all, uint32_t here)
{
	return (struct budget_limit){
		.all = all,
		.here = here,
		.one_all = three_quarters(all),
		.one_here = three_quarters(here),
	};
}

/* For whomever it is held. */
static struct budget_limit limit_of_all(uint32_t all, uint32_t here)
{
	return (struct budget_limit){.all = all, .here = here, .one_all = all, .one_here = here};
}

static void leave_some(struct budget_limit *limit, enum budget budget, enum budget rest)
{
	limit[budget].times = REST_TIMES;
	limit[budget].rest = rest;
}

void budgets_init(struct budgets *budgets, struct holdings *holdings, unsigned block,
		  const struct conf *conf, const struct descriptors *descriptors)
{
	struct budget_limit *limit = budgets->limit;
	uint32_t lookups = part_of(descriptors->sockets, 1, 2); /* one may need several */

	*budgets = (struct budgets){.holdings = holdings, .block = block};
	limit[BUDGET_CLIENTS] = limit_of(conf->clients_max, descriptors->clients);
	limit[BUDGET_CLIENTS].one_all = clients_per_address(conf);
	limit[BUDGET_OPERATORS] = limit_of(UINT32_MAX, descriptors->operators);
	limit[BUDGET_REFUSALS] = limit_of(UINT32_MAX, descriptors->refusals);
	limit[BUDGET_TUNNELS] = limit_of(conf->tunnels_max, three_quarters(descriptors->clients));
	limit[BUDGET_PIPES] = limit_of(UINT32_MAX, descriptors->pipes);
	limit[BUDGET_ORIGIN] = limit_of(conf->origin_connections, conf->origin_connections);
	limit[BUDGET_EXTRAS] = limit_of(UINT32_MAX, descriptors->extras);
	limit[BUDGET_IDLE] = limit_of(UINT32_MAX, descriptors->origins_idle);
	limit[BUDGET_LOOKUPS] = limit_of(conf->dns_lookups, lookups);
	limit[BUDGET_ZONE] = limit_of(part_of(conf->dns_lookups, 1, 2), part_of(lookups, 1, 2));
	limit[BUDGET_HOST] = limit_of(part_of(conf->dns_lookups, 1, 4), part_of(lookups, 1, 4));
	limit[BUDGET_LOGINS] = limit_of(UINT32_MAX, LOGINS_MAX);
	leave_some(limit, BUDGET_EXTRAS, BUDGET_EXTRAS);
	leave_some(limit, BUDGET_LOOKUPS, BUDGET_LOOKUPS);
	leave_some(limit, BUDGET_LOGINS, BUDGET_LOGINS);
	if (clients_per_address(conf) >= conf->clients_max)
		for (unsigned i = 0; i < BUDGET_COUNT; i++)
			limit[i] = limit_of_all(limit[i].all, limit[i].here);
	limit[BUDGET_SOCKETS] = limit_of_all(UINT32_MAX, descriptors->sockets);
	leave_some(limit, BUDGET_ZONE, BUDGET_LOOKUPS);
}

/* ---- counting ------------------------------------------------------------------------------- */

struct holdings *budgets_map(const struct conf *conf)
{
	struct descriptors descriptors = descriptors_here(0);
	size_t clients = smaller(conf->clients_max, descriptors.clients);

	if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		return NULL;
	return holdings_map(conf_worker_slots(conf), clients * KEYS_PER_CLIENT + KEYS_MORE);
}

/* The last bit is set, since 0 means no holder. */
static budget_id id_of(const void *bytes, size_t length, uint64_t family)
{
	return XXH3_64bits_withSeed(bytes, length, seed + family) | 1;
}

budget_id budget_holder(const union address *address)
{
	union address plain = address_unmapped(address);
	size_t length = plain.any.sa_family == AF_INET    ? 4
			: plain.any.sa_family == AF_INET6 ? 8
							  : 0;

	return id_of(address_bytes(&plain), length, plain.any.sa_family);
}

budget_id budget_thing(struct slice name)
{
	return id_of(name.p, name.n, 0);
}

static uint64_t key_of(enum budget budget, budget_id thing, budget_id holder)
{
	uint64_t key = (thing ^ (holder << 32 | holder >> 32)) + budget * 0x9e3779b97f4a7c15U;

	key = (key ^ key >> 32) * 0xd6e8feb86659fd93U;
	key ^= key >> 32;
	return key == 0 ? 1 : key;
}

/* What one may have with the place in question, which is counted among those used. */
static uint32_t most_by_rest(uint32_t times, uint32_t limit, uint32_t used)
{
	uint64_t taken = (uint64_t)used + limit / REST_PARTS;
	uint64_t most = taken <= limit ? times * (limit + 1 - taken) : 1;

	return most < UINT32_MAX ? (uint32_t)most : UINT32_MAX;
}

/* holdings_take() of one more for one, whose limits may depend on what is left. */
static struct holdings_row *take(const struct budgets *budgets, const struct budget_limit *limit,
				 uint64_t key, uint32_t most_here, uint32_t most_all)
{
	const struct budget_limit *rest = &budgets->limit[limit->rest];
	uint64_t rest_key = key_of(limit->rest, 0, 0);

	if (limit->times > 0) {
		uint32_t here = holdings_here(budgets->holdings, budgets->block, rest_key);
		uint32_t all = holdings_all(budgets->holdings, rest_key);

		most_here = smaller(most_here, most_by_rest(limit->times, rest->here, here));
		most_all = smaller(most_all, most_by_rest(limit->times, rest->all, all));
	}
	return holdings_take(budgets->holdings, budgets->block, key, most_here, most_all);
}

/* Whether a holder may have less than all. */
static bool bounds_one(const struct budget_limit *limit)
{
	return limit->one_all < limit->all || limit->one_here < limit->here;
}

static bool take_one(const struct budgets *budgets, enum budget budget, budget_id thing,
		     budget_id holder, struct holding *ret_holding)
{
	const struct budget_limit *limit = &budgets->limit[budget];

	if (holder == 0 || !bounds_one(limit))
		return true;
	ret_holding->one = take(budgets, limit, key_of(budget, thing, holder), limit->one_here,
				limit->one_all);
	return ret_holding->one != NULL;
}

enum budget_verdict budget_take(const struct budgets *budgets, enum budget budget, budget_id thing,
				budget_id holder, struct holding *ret_holding)
{
	const struct budget_limit *limit = &budgets->limit[budget];

	assert(budget < BUDGET_COUNT);
	*ret_holding = (struct holding){.all = NULL};
	if (thing != 0)
		ret_holding->all =
			take(budgets, limit, key_of(budget, thing, 0), limit->here, limit->all);
	else
		ret_holding->all = holdings_take(budgets->holdings, budgets->block,
						 key_of(budget, 0, 0), limit->here, limit->all);
	if (ret_holding->all == NULL)
		return BUDGET_FULL;
	if (take_one(budgets, budget, thing, holder, ret_holding))
		return BUDGET_OK;
	budget_give(ret_holding);
	return BUDGET_ONE_FULL;
}

enum budget_verdict budget_assign(const struct budgets *budgets, enum budget budget,
				  budget_id holder, struct holding *holding)
{
	assert(holding->all != NULL && holding->one == NULL);
	return take_one(budgets, budget, 0, holder, holding) ? BUDGET_OK : BUDGET_ONE_FULL;
}

void budget_give(struct holding *holding)
{
	if (holding->all != NULL)
		holdings_give(holding->all);
	if (holding->one != NULL)
		holdings_give(holding->one);
	*holding = (struct holding){.all = NULL};
}

uint32_t budget_used(const struct budgets *budgets, enum budget budget, budget_id thing)
{
	return holdings_all(budgets->holdings, key_of(budget, thing, 0));
}
