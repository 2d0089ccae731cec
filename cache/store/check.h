/*
 * Checks whether a file is an LMDB file of ours that is safe to open with LMDB.  It is read by our
 * own code, with pread(), so that no content can crash us: LMDB trusts all that it reads, and a
 * page beyond the end of a truncated file is a SIGBUS.
 *
 * The head check is two small reads and is made at every opening.  The tree check reads every page
 * in use (about 1 us each): page numbers, bounds of nodes, key sizes, depth, no page used twice or
 * both used and free.  It is for files that may have changed since their last user left them.
 *
 * The layout is that of LMDB 0.9 on 64-bit machines, in this machine's byte order; any other layout
 * fails the check.  Damaged values do not harm LMDB and are not looked for: they have a checksum of
 * their own.
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
	/* A check reads at most so many pages, 8 GiB; pages beyond are not checked. */
	STORE_CHECK_PAGES_MAX = 1 << 21,
};

struct store_check {
	const char *why; /* static text when the check failed */
	int error;      /* errno, when it failed because of that and nothing is known of the file */
	uint64_t pages; /* the file's pages up to the last that was ever used */
	uint64_t transaction; /* number of the last */
};

/* The two meta pages, and the file's length against them.  An empty file is not good. */
bool store_check_head(int fd, struct store_check *ret_check);

/* Everything.  Takes memory for a bit per page. */
bool store_check_tree(int fd, struct store_check *ret_check);

#endif
