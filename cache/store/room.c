/* The store's arithmetic on pages: marks, parts of a transaction, what a put must evict. */
#include "cache/store/room.h"

enum {
	RESERVE_SHARE = 16, /* of the pages, within: */
	RESERVE_MIN = 64,   /* several transactions of a few puts each */
	RESERVE_MAX = 4096, /* several parts, and a few more held by readers */
	PART_SHARE = 2, /* of the reserve: a part touches half of its bound, and so did the last */
	MARGIN_SHARE = 2,  /* of a part */
	PART_MAX = 960,    /* what a part frees mostly fits one page of the free list */
	COMMIT_PAGES = 12, /* the main tree, the free list at both ends, the order's new leaf */
	COMMIT_PAGES_LEAST = 8,
	VALUE_SHARE = 4, /* of the reserve: the largest value */
	PRICE_LEAST = 3, /* of two bytes, at `high` */
	PRICE_RISE = 9,  /* up to `full` */
	NODE_BYTES = 64, /* of an entry beside its value: nodes in the trees */
	GROUP_NODE_BYTES = 42,
	PAGE_HEAD = 16,
};

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void store_room_init(struct store_room *room, uint64_t size, uint32_t page_size)
{
	uint64_t pages = size / page_size, reserve = pages / RESERVE_SHARE;

	if (reserve < RESERVE_MIN)
		reserve = RESERVE_MIN;
	reserve = least(reserve, RESERVE_MAX);
	*room = (struct store_room){
		.pages = pages,
		.reserve = reserve,
		.high = pages - reserve,
		.full = pages - reserve / 2,
		.part = least(reserve / PART_SHARE, PART_MAX),
		.page_size = page_size,
	};
}

void store_room_begin(struct store_room *room, const struct store_trees *trees, uint64_t available)
{
	room->available = available;
	room->spent = room->margin = 0;
	for (size_t i = 0; i < STORE_TABLES; i++)
		room->untouched[i] = trees->tree[i];
}

void store_room_keep_margin(struct store_room *room)
{
	room->margin = room->part / MARGIN_SHARE;
}

bool store_room_is_scarce(const struct store_room *room)
{
	return room->margin > 0 && room->spent + COMMIT_PAGES + room->margin > room->available;
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

/* Pages of the tree itself that so many rows can touch: the paths to their leaves. */
static uint64_t touch_branches(const struct store_tree *tree, size_t rows)
{
	return least(rows * (tree->depth > 0 ? tree->depth - 1 : 0), tree->branches);
}

static uint64_t touch_leaves(const struct store_tree *tree, size_t rows)
{
	return least(rows, tree->leaves);
}

/* Beside the paths: a leaf that is split off, or merged with. */
uint64_t store_room_cost(const struct store_room *room, struct store_change change)
{
	const struct store_tree *tree = room->untouched;
	uint64_t cost = change.overflow + 2;

	for (size_t i = 0; i < STORE_TABLES; i++) {
		size_t rows = i == STORE_GROUPS ? change.group_rows : 1;

		cost += touch_branches(&tree[i], rows) + touch_leaves(&tree[i], rows);
	}
	if (change.group_rows > 0)
		cost += 2 + 2 * change.group_rows * GROUP_NODE_BYTES / room->page_size;
	return cost;
}

bool store_room_fits_put(const struct store_room *room, uint64_t cost)
{
	return room->spent + cost + COMMIT_PAGES + room->margin <= room->available;
}

bool store_room_fits_drop(const struct store_room *room, uint64_t cost)
{
	return room->spent + cost + COMMIT_PAGES_LEAST <= room->available;
}

void store_room_spend(struct store_room *room, struct store_change change)
{
	room->spent += store_room_cost(room, change);
	for (size_t i = 0; i < STORE_TABLES; i++) {
		struct store_tree *tree = &room->untouched[i];
		size_t rows = i == STORE_GROUPS ? change.group_rows : 1;

		tree->branches -= touch_branches(tree, rows);
		tree->leaves -= touch_leaves(tree, rows);
	}
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

uint64_t store_room_price(struct store_room *room, uint64_t used, size_t bytes)
{
	uint64_t over, band = room->full - room->high, price, credit;

	if (used <= room->high) {
		room->credit = 0;
		return 0;
	}
	over = least(used - room->high, band);
	price = (bytes + NODE_BYTES) * (PRICE_LEAST * band + PRICE_RISE * over) / (2 * band);
	credit = least(room->credit, price);
	room->credit -= credit;
	return price - credit;
}

uint64_t store_room_pay(struct store_room *room, uint64_t due, size_t bytes)
{
	uint64_t paid = least(due, bytes + NODE_BYTES);

	room->credit += bytes + NODE_BYTES - paid;
	return due - paid;
}
