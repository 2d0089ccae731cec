/* Results and bounds common to all files of the store. */
#ifndef CACHE_STORE_RESULT_H
#define CACHE_STORE_RESULT_H

#include "cache/base/slice.h"

enum store_result {
	STORE_OK,
	STORE_NOT_FOUND,
	STORE_PART_FULL, /* no room in this part: store_renew(), read again, and retry */
	STORE_FULL,
	STORE_FAILED, /* disk or system; store_error() has the text */
};

enum {
	STORE_GROUPS_MAX = 1024, /* of one value */
};

/* What is evicted, before it goes: valid during the call, in which the store may not be used. */
typedef void (*store_evicted)(void *context, struct slice value);

#endif
