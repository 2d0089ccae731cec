/* Sharing descriptors out. */
#include "proxy/descriptors.h"

#include <sys/resource.h>

enum {
	OWN = 32, /* loop, store, logs, listeners, name servers */
	LEAST = 16,
	MOST = 1 << 24,
	REFUSALS_MOST = 256,
};

struct descriptors descriptors_share(uint64_t limit)
{
	uint32_t rest = limit > MOST ? MOST : limit < OWN + LEAST ? LEAST : (uint32_t)limit - OWN;
	struct descriptors share = {.refusals = rest / 8, .origins_idle = rest / 8};

	if (share.refusals > REFUSALS_MOST)
		share.refusals = REFUSALS_MOST;
	share.clients = (rest - share.refusals - share.origins_idle) / 2;
	return share;
}

struct descriptors descriptors_here(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return descriptors_share(1024);
	return descriptors_share(limit.rlim_cur);
}
