/* The store's arithmetic on pages: marks, parts of a transaction, what a put must evict. */
#include "cache/store_room.h"

enum {
	RESERVE_SHARE = 16, /* of the pages, within: */
	RESERVE_MIN = 64,   /* three transactions of one put each */
	RESERVE_MAX = 4096, /* several parts, and a few more held by readers */
	PART_SHARE = 2,
	PART_MAX = 960,    /* what a transaction frees fits one page of the free list */
	COMMIT_PAGES = 12, /* the main tree, and the free list at both ends */
	COMMIT_PAGES_LEAST = 8,
	DEBT_FACTOR = 5, /* price of a byte at `full` */
	VALUE_SHARE = 4, /* of the reserve: the largest value */
	NODE_BYTES = 64, /* of a put beside its value: nodes in the trees */
	GROUP_NODE_BYTES = 42,
	PAGE_HEAD = 16,
};

void store_room_init(struct store_room *room, uint64_t size, uint32_t page_size)
{
	uint64_t pages = size / page_size, reserve = pages / RESERVE_SHARE;

	if (reserve < RESERVE_MIN)
		reserve = RESERVE_MIN;
	if (reserve > RESERVE_MAX)
		reserve = RESERVE_MAX;
	*room = (struct store_room){
		.pages = pages,
		.reserve = reserve,
		.high = pages - reserve,
		.full = pages - reserve / 2,
		.part = reserve / PART_SHARE < PART_MAX ? reserve / PART_SHARE : PART_MAX,
		.page_size = page_size,
	};
}

void store_room_begin(struct store_room *room, uint64_t available)
{
	room->available = available;
	room->spent = 0;
}

uint64_t store_room_wanted(const struct store_room *room)
{
	return room->part + room->reserve / VALUE_SHARE + COMMIT_PAGES;
}

/* LMDB keeps a node in a leaf when two of its size fit there. */
uint64_t store_room_overflow(const struct store_room *room, size_t stored_size)
{
	size_t node_max = (room->page_size - PAGE_HEAD) / 2 - 2, node = 8 + 16 + stored_size;

	return node <= node_max ? 0 : (stored_size + PAGE_HEAD - 1) / room->page_size + 1;
}

/* A path in each tree, and a page beside it that is split off or merged with. */
uint64_t store_room_cost(const struct store_room *room, const struct store_trees *trees,
			 size_t stored_size, size_t group_count)
{
	uint64_t groups = group_count * (trees->groups_depth + 1);
	uint64_t groups_all =
		trees->groups_pages + 2 + 2 * group_count * GROUP_NODE_BYTES / room->page_size;

	return trees->data_depth + 1 + trees->order_depth + 1 +
	       (groups < groups_all ? groups : groups_all) + store_room_overflow(room, stored_size);
}

bool store_room_fits_put(const struct store_room *room, uint64_t cost)
{
	return room->spent + cost + COMMIT_PAGES <= room->available;
}

bool store_room_fits_drop(const struct store_room *room, uint64_t cost)
{
	return room->spent + cost + COMMIT_PAGES_LEAST <= room->available;
}

void store_room_spend(struct store_room *room, uint64_t cost)
{
	room->spent += cost;
}

bool store_room_part_done(const struct store_room *room)
{
	return room->spent >= room->part;
}

size_t store_room_value_max(const struct store_room *room)
{
	return room->reserve / VALUE_SHARE * room->page_size;
}

bool store_room_below_full(const struct store_room *room, uint64_t used, uint64_t more)
{
	return used + more < room->full;
}

void store_room_owe(struct store_room *room, uint64_t used, size_t bytes)
{
	uint64_t over, band = room->full - room->high;

	if (used <= room->high) {
		room->debt = 0;
		return;
	}
	over = used - room->high < band ? used - room->high : band;
	room->debt += (bytes + NODE_BYTES) * (band + (DEBT_FACTOR - 1) * over) / band;
}

void store_room_pay(struct store_room *room, size_t bytes)
{
	room->debt -= bytes + NODE_BYTES < room->debt ? bytes + NODE_BYTES : room->debt;
}
