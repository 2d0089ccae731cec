/* Results and bounds common to all files of the store. */
#ifndef CACHE_STORE_RESULT_H
#define CACHE_STORE_RESULT_H

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

#endif
