/* A block of the sketch as its writer, sketch.c, and its reader, sketch_read.c, see it. */
#ifndef PROXY_STATS_SKETCH_BLOCK_H
#define PROXY_STATS_SKETCH_BLOCK_H

#include "cache/base/key.h"
#include "proxy/stats/number.h"
#include "proxy/stats/sketch_fields.h"

enum {
	SKETCH_COUNTS = SKETCH_BYTES, /* fields that fit 32 bits in a slice; bytes need more */
	MINUTE_SLICES = 13,           /* of 5 s: a minute, and the one under way */
	HOUR_SLICES = 13,             /* of 5 min: an hour, likewise */
	SLICES_PER_HOUR_SLICE = 60,
	TIME_BUCKETS = 40,      /* two to each power of two from 64 us on */
	TIME_MINUTE_SLICES = 3, /* of 30 s */
	TIME_HOUR_SLICES = 4,   /* of 20 min */
	SLICES_PER_TIME_MINUTE = 6,
	SLICES_PER_TIME_HOUR = 240,
};

/* Counts of a slice of time; of another time once `number` is not the one that is looked for. */
struct sketch_slice {
	_Atomic uint32_t number;
	_Atomic uint32_t count[SKETCH_COUNTS];
	_Atomic uint64_t bytes;
};

/*
 * A place in a table.  Its numbers may be read at any time.  While it is given to another name, or
 * brought into the next slice, its version is odd, and a reader throws away what it has read when
 * the version was not the same and even before and after.
 */
struct sketch_place {
	_Atomic uint64_t version;
	_Atomic uint64_t now[SKETCH_FIELDS];   /* of slice `slice` */
	_Atomic uint64_t total[SKETCH_FIELDS]; /* since it has the place, before that */
	_Atomic uint32_t slice;
	_Atomic uint64_t base; /* of its rank, which has its requests added */
	uint16_t length;       /* of the name */
	struct cache_key key;  /* all zero for none */
	struct sketch_slice minute[MINUTE_SLICES];
	struct sketch_slice hour[HOUR_SLICES];
	char name[SKETCH_NAME_MAX];
};

/* First bytes of a host's answers. */
struct sketch_times_slice {
	_Atomic uint32_t number;
	_Atomic uint32_t bucket[TIME_BUCKETS];
};

struct sketch_times {
	struct sketch_times_slice minute[TIME_MINUTE_SLICES];
	struct sketch_times_slice hour[TIME_HOUR_SLICES];
	_Atomic uint32_t total[TIME_BUCKETS];
};

/* How high the lowest rank of a full table was when slices began: what a name may have missed. */
struct sketch_floor {
	_Atomic uint64_t now;
	_Atomic uint64_t minute[MINUTE_SLICES]; /* when the slice of that number began */
	_Atomic uint64_t hour[HOUR_SLICES];
};

struct sketch {
	_Atomic uint32_t slice;   /* that is counted in: numbered from the boot of the machine on */
	_Atomic uint32_t used[2]; /* places taken, of either table */
	struct sketch_floor floor[2];
	struct sketch_floor passed_over; /* hits that others stand for, in the same way */
	struct sketch_place all;         /* what has been counted, of any name */
	struct sketch_place host[SKETCH_HOSTS], url[SKETCH_URLS];
	struct sketch_times times[SKETCH_HOSTS];
};

/* The bucket of a time, and the middle of one. */
static inline unsigned sketch_time_bucket(uint32_t us)
{
	unsigned exponent;

	if (us < 64)
		return 0;
	exponent = 31 - (unsigned)__builtin_clz(us);
	exponent = (exponent - 6) * 2 + (us >> (exponent - 1) & 1);
	return exponent < TIME_BUCKETS ? exponent : TIME_BUCKETS - 1;
}

static inline uint32_t sketch_time_middle(unsigned bucket)
{
	return (UINT32_C(16) << bucket / 2) * (bucket % 2 == 0 ? 5 : 7);
}

#endif
