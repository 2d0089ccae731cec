/*
 * How full the store may get, and what a write transaction may use: plain arithmetic on pages.
 *
 * LMDB never writes over a page that a reader, or a restart, may still want: every page that a
 *transaction changes is a new one, and the old one is free two transactions later.  A transaction
 *that finds no free page fails as a whole (MDB_MAP_FULL), deletes included.  So a part of the map
 *is kept free, the reserve:
 *
 *	0 ........................ high .......... full .......... pages
 *	    used by the trees       | eviction      | no puts       |
 *	                            |<---------- reserve ---------->|
 *
 * Up to `high` nothing is evicted.  From there a put pays for its bytes with those of victims, the
 *more dearly the nearer to `full`, so that use settles in between; counting bytes and not pages,
 *because pages are given back only when they are three quarters empty.
 *
 * A transaction is committed in parts, each within `part` pages and within what is available now.
 * Numbers of pages are upper bounds, by depth of the trees; what is true after a part is counted
 *anew.
 */
#ifndef CACHE_STORE_ROOM_H
#define CACHE_STORE_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	STORE_SIZE_MIN = 1 << 20,
	STORE_EVICT_BATCH = 10, /* deletes at a time; more may not find room to be made */
};

struct store_room {
	uint64_t pages, reserve, high, full, part;
	uint32_t page_size;
	uint64_t available; /* pages that this part can still count on, with `spent` */
	uint64_t spent;
	uint64_t debt; /* bytes that puts still have to pay for */
};

/* Depth and size of the trees, as they are. */
struct store_trees {
	unsigned data_depth, order_depth, groups_depth;
	uint64_t groups_pages;
	uint64_t used; /* pages of all trees */
};

void store_room_init(struct store_room *room, uint64_t size, uint32_t page_size);

/* A new part; `available` pages are free for it. */
void store_room_begin(struct store_room *room, uint64_t available);

/* As many pages are enough: more need not be counted. */
uint64_t store_room_wanted(const struct store_room *room);

/* Pages that a value takes outside the tree's own, 0 when it stands in a leaf. */
uint64_t store_room_overflow(const struct store_room *room, size_t stored_size);

/* Most pages that one put or drop can change. */
uint64_t store_room_cost(const struct store_room *room, const struct store_trees *trees,
			 size_t stored_size, size_t group_count);

/* May a put, a drop, change so many pages?  Drops may go deeper into what is left. */
bool store_room_fits_put(const struct store_room *room, uint64_t cost);
bool store_room_fits_drop(const struct store_room *room, uint64_t cost);
void store_room_spend(struct store_room *room, uint64_t cost);

/* Time to commit this part? */
bool store_room_part_done(const struct store_room *room);

/* The largest stored value that is taken at all. */
size_t store_room_value_max(const struct store_room *room);

/* Are the trees, with `more` pages, within what puts may fill? */
bool store_room_below_full(const struct store_room *room, uint64_t used, uint64_t more);

/* A put brings `bytes`: raise the debt.  A victim pays it off. */
void store_room_owe(struct store_room *room, uint64_t used, size_t bytes);
void store_room_pay(struct store_room *room, size_t bytes);

#endif
