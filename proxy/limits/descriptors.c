/* Sharing descriptors out. */
#include "proxy/limits/descriptors.h"

#include <sys/resource.h>

enum {
	OWN = 20, /* loop, store, logs, hosts file, and what a callee opens for a moment */
	LEAST = 32,
	MOST = 1 << 24,
	OPERATORS_MOST = 32,
	REFUSALS_MOST = 256,
	PIPES_MOST = 512,
};

static uint32_t within(uint32_t value, uint32_t least, uint32_t most)
{
	return value < least ? least : value > most ? most : value;
}

struct descriptors descriptors_share(uint64_t limit, unsigned listeners)
{
	uint32_t own = OWN + listeners;
	uint32_t rest = limit > MOST ? MOST : limit < own + LEAST ? LEAST : (uint32_t)limit - own;
	struct descriptors share = {
		.operators = within(rest / 16, 4, OPERATORS_MOST),
		.refusals = within(rest / 10, 2, REFUSALS_MOST),
		.origins_idle = rest / 10,
		.extras = within(rest / 16, 4, rest),
		.pipes = within(rest / 32, 1, PIPES_MOST),
		.sockets = within(rest / 16, 4, rest),
	};

	share.clients = (rest - share.operators - share.refusals - share.origins_idle -
			 share.extras - 2 * share.pipes - share.sockets) /
			2;
	return share;
}

struct descriptors descriptors_here(unsigned listeners)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return descriptors_share(1024, listeners);
	return descriptors_share(limit.rlim_cur, listeners);
}
