/*
 * How full the store may get, and what a write transaction may use: plain arithmetic on pages.
 *
 * LMDB never writes over a page that a reader, or a restart, may still want: every page that a
 * transaction changes is a new one, and the old one is free two transactions later.  A transaction
 * that finds no free page fails as a whole (MDB_MAP_FULL), deletes included.  So a part of the map
 * is kept free, the reserve:
 *
 *	0 ........................ high .......... full .......... pages
 *	    used by the trees       | eviction      | no puts       |
 *	                            |<---------- reserve ---------->|
 *
 * Up to `high` nothing is evicted.  From there a put pays for its bytes with those of victims, up
 * to twice at `full`, so that use settles in between; bytes and not pages are counted, because
 * pages are given back only when they are three quarters empty.
 *
 * A transaction is committed in parts, each within `part` pages and within what is available now.
 * What a change can touch is counted as an upper bound, and each page of a tree once; what is true
 * after a part is counted anew.
 */
#ifndef CACHE_STORE_ROOM_H
#define CACHE_STORE_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The tables of the store; anything else in the file is foreign. */
enum store_table {
	STORE_DATA,   /* key -> head, groups, value (cache/store/value.h) */
	STORE_ORDER,  /* sequence (native integer) -> key, slot */
	STORE_GROUPS, /* group, key -> nothing */
	STORE_TABLES,
};

enum {
	STORE_SIZE_MIN = 1 << 20,
	STORE_EVICT_MAX = 10, /* victims that one put pays with */
};

/* The trees as they are. */
struct store_tree {
	unsigned depth;
	uint64_t branches, leaves; /* pages */
};
struct store_trees {
	struct store_tree tree[STORE_TABLES];
	uint64_t used; /* pages of all trees, those of LMDB itself included */
};

struct store_room {
	uint64_t pages, reserve, high, full, part;
	uint32_t page_size;
	uint64_t available; /* pages that this part could count on when it began */
	uint64_t margin;    /* of these, kept free while a copy is made */
	uint64_t spent;
	struct store_tree untouched[STORE_TABLES]; /* by this part, at least */
	uint64_t credit;                           /* bytes evicted and not yet used by a put */
};

/* What a put, drop or eviction changes: one row of data and order, so many of groups. */
struct store_change {
	size_t group_rows;
	uint64_t overflow; /* pages of the value outside the tree's own */
};

void store_room_init(struct store_room *room, uint64_t size, uint32_t page_size);

/* Begin a new part, with so many pages available. */
void store_room_begin(struct store_room *room, const struct store_trees *trees, uint64_t available);

/* Keep a margin, since pages freed now cannot be reused until a copy has been read. */
void store_room_keep_margin(struct store_room *room);

/* Whether too little is left for any change until the copy has been read. */
bool store_room_is_scarce(const struct store_room *room);

/* The number of available pages above which counting may stop. */
uint64_t store_room_wanted(const struct store_room *room);

/* Pages that a value takes outside the tree's own, 0 when it stands in a leaf. */
uint64_t store_room_overflow(const struct store_room *room, size_t stored_size);

/* Most pages that a change can touch. */
uint64_t store_room_cost(const struct store_room *room, struct store_change change);

/* Are so many pages left?  Drops may use more of the rest than puts. */
bool store_room_fits_put(const struct store_room *room, uint64_t cost);
bool store_room_fits_drop(const struct store_room *room, uint64_t cost);
void store_room_spend(struct store_room *room, struct store_change change);

/* Time to commit this part? */
bool store_room_part_done(const struct store_room *room);

/* The largest stored value that is taken at all. */
size_t store_room_value_max(const struct store_room *room);

/* Are the trees, with `more` pages, within what puts may fill? */
bool store_room_below_full(const struct store_room *room, uint64_t used, uint64_t more);

/* The bytes of victims that a put of `bytes` has to evict, after using up the credit. */
uint64_t store_room_price(struct store_room *room, uint64_t used, size_t bytes);

/* Pay `due` with a victim of `bytes`: returns the rest; any excess becomes credit. */
uint64_t store_room_pay(struct store_room *room, uint64_t due, size_t bytes);

#endif
