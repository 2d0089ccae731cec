/*
 * A table of fixed size that counts violations by name.  A new name replaces the least frequent
 * one, of equals the oldest, so that a single offence does not displace a frequent offender.
 *
 * Owned by one process, which alone adds; others in whose memory it stands may merge from it at any
 * time, and pass over a row that is being written: the version, odd while it is, frames the other
 * fields, which a reader throws away when it was not the same and even before and after.
 */
#ifndef PROXY_STATS_OFFENDERS_H
#define PROXY_STATS_OFFENDERS_H

#include <stdatomic.h>
#include <stdint.h>

#include "cache/base/slice.h"

enum { OFFENDERS_MAX = 64, OFFENDER_NAME_MAX = 263 };

struct offender {
	_Atomic uint64_t version; /* odd while it is written */
	uint64_t count;           /* 0: no row */
	uint64_t turn;            /* of the last addition */
	char name[OFFENDER_NAME_MAX + 1];
};

/* All zero: empty. */
struct offenders {
	uint64_t turn;
	struct offender at[OFFENDERS_MAX];
};

/* A name that is too long is cut. */
void offenders_add(struct offenders *offenders, struct slice name, uint64_t count);

/* Add all rows of another table. */
void offenders_merge(struct offenders *to, const struct offenders *from);

#endif
