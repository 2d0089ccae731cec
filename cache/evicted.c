/* Counts evicted entries by whether they could still have answered. */
#include "cache/evicted.h"

#include "cache/policy/rule.h"
#include "cache/record/entry.h"
#include "cache/store/steady_clock.h"

enum { RECORDS_MAX = 4 }; /* that are looked at, of an entry */

static unsigned age_bucket(int64_t age_s)
{
	uint64_t seconds = age_s < 1 ? 1 : (uint64_t)age_s;
	unsigned exponent = 63 - (unsigned)__builtin_clzll(seconds);
	unsigned half = exponent > 0 ? seconds >> (exponent - 1) & 1 : 0;
	unsigned bucket = exponent * 2 + half;

	return bucket < CACHE_AGE_BUCKETS ? bucket : CACHE_AGE_BUCKETS - 1;
}

void evicted_note(void *context, struct slice entry)
{
	const struct evicted *evicted = context;
	struct http_clock now = clock_latest(evicted->clock);
	struct record_view record;
	struct slice uri;
	int64_t youngest_s = INT64_MAX;
	bool fresh = false;

	for (unsigned i = 0; i < RECORDS_MAX && entry_at(entry, i, &uri, &record); i++) {
		const struct record_meta *meta = record_meta(&record);
		int64_t age_s = policy_age_s(meta, &now);
		int64_t held_s = (now.steady_ms - meta->response_steady_ms) / 1000;

		fresh |= age_s < policy_lifetime_s(meta, policy_uri_options(evicted->conf, uri));
		if (held_s < youngest_s)
			youngest_s = held_s;
	}
	if (youngest_s == INT64_MAX)
		return; /* damaged */
	evicted->counts->evicted_fresh += fresh;
	evicted->counts->evicted_age[age_bucket(youngest_s)]++;
}
