/*
 * Is a file an LMDB file of ours that LMDB can be trusted with?  Read by our own code, with
 * pread(), so that whatever is in the file can neither crash nor fool: LMDB itself believes all it
 * reads, and a page beyond the end of a truncated file is a SIGBUS.
 *
 * The head check is two small reads and is made at every opening.  The tree check reads every page
 * in use (about 1 us each): page numbers, bounds of nodes, key sizes, depth, no page used twice or
 * both used and free.  It is for files that are not as their last user is known to have left them.
 *
 * The layout known here is that of LMDB 0.9 on 64-bit machines, in this machine's byte order; a
 * file in another one is not whole.  Keys out of order and damaged values do no harm to LMDB and
 * are not looked for: values have a checksum of their own.
 */
#ifndef CACHE_STORE_CHECK_H
#define CACHE_STORE_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/store/room.h"

struct store_table_spec {
	const char *name;
	uint16_t key_size;
	bool integer; /* MDB_INTEGERKEY */
};
extern const struct store_table_spec store_table_specs[STORE_TABLES];

enum {
	/*
	 * A check reads this many pages at most, 8 GiB; what is beyond is not known to be damaged.
	 */
	STORE_CHECK_PAGES_MAX = 1 << 21,
};

struct store_check {
	const char *why;      /* static text when the check failed */
	uint64_t pages;       /* the file's pages up to the last that was ever used */
	uint64_t transaction; /* number of the last */
};

/* The two meta pages, and the file's length against them.  An empty file is not good. */
bool store_check_head(int fd, struct store_check *ret_check);

/* Everything.  Takes memory for a bit per page. */
bool store_check_tree(int fd, struct store_check *ret_check);

#endif
