/* What the calls of the store return, and the bound on what they take: for all its files. */
#ifndef CACHE_STORE_RESULT_H
#define CACHE_STORE_RESULT_H

enum store_result {
	STORE_OK,
	STORE_NOT_FOUND,
	STORE_PART_FULL, /* not in this part: store_renew(), read anew, and try again */
	STORE_FULL,
	STORE_FAILED, /* disk or system; store_error() has the text */
};

enum {
	STORE_GROUPS_MAX = 1024, /* of one value */
};

#endif
