/* Keys of what is asked for. */
#include "proxy/exchange/fetch_plan.h"

/*
 * GET and HEAD have keys of their own, for the one is no answer to the other; and so has OPTIONS.
 */
struct cache_key fetch_key(const struct cache_key *uri_key, enum http_method method, bool chosen)
{
	struct cache_key key = *uri_key;

	key.word[1] += (uint64_t)method;
	key.word[0] += chosen;
	return key;
}
