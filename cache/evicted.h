/* What the store evicts, looked at with the eyes of the rules: was it fresh still, and how old? */
#ifndef CACHE_EVICTED_H
#define CACHE_EVICTED_H

#include <stdint.h>

#include "cache/base/slice.h"
#include "cache/counts.h"
#include "conf/conf.h"

/* A store_evicted, of an entry: `context` is a struct evicted. */
struct store_clock;

struct evicted {
	const struct conf *conf;
	const struct store_clock *clock;
	struct cache_counts *counts;
};

void evicted_note(void *context, struct slice entry);

#endif
