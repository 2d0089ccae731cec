/* Notices already given: flags and a table of hashes in shared memory. */
#include "proxy/stats/notices.h"

#include <stdatomic.h>

#include "proxy/stats/shared_row.h"

struct notices {
	_Atomic bool request;
	_Atomic uint64_t uris, bytes;
	_Atomic uint64_t hosts[NOTICES_HOSTS]; /* 0 for a free place */
};

static struct notices own;
static struct notices *notices = &own;

bool notices_share(void)
{
	struct notices *shared = shared_map(sizeof(*shared));

	if (shared == NULL)
		return false;
	notices = shared;
	return true;
}

bool notices_first_request(void)
{
	return !atomic_exchange_explicit(&notices->request, true, memory_order_relaxed);
}

/* FNV-1a, never 0.  Who finds two names of one hash keeps one line from the log. */
static uint64_t hash(struct slice host, uint16_t port)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325) ^ port;

	for (size_t i = 0; i < host.n; i++)
		sum = (sum ^ (uint8_t)host.p[i]) * UINT64_C(0x100000001b3);
	return sum | 1;
}

bool notices_first_tunnel(struct slice host, uint16_t port)
{
	uint64_t wanted = hash(host, port);

	for (unsigned i = 0; i < NOTICES_TRIES; i++) {
		_Atomic uint64_t *place = &notices->hosts[(wanted + i) % NOTICES_HOSTS];
		uint64_t found = 0;

		if (atomic_compare_exchange_strong_explicit(
			    place, &found, wanted, memory_order_relaxed, memory_order_relaxed))
			return true;
		if (found == wanted)
			return false;
	}
	return false;
}

void notices_set_store(uint64_t uris, uint64_t bytes)
{
	atomic_store_explicit(&notices->uris, uris, memory_order_relaxed);
	atomic_store_explicit(&notices->bytes, bytes, memory_order_relaxed);
}

void notices_get_store(uint64_t *ret_uris, uint64_t *ret_bytes)
{
	*ret_uris = atomic_load_explicit(&notices->uris, memory_order_relaxed);
	*ret_bytes = atomic_load_explicit(&notices->bytes, memory_order_relaxed);
}
