/* LINKS: cache/store tests/doubles/failing_memory.c -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
/*
 * The check of an LMDB file, field by field: a file made here page by page, of all kinds of pages, is good; with one
 * field of one page changed it is not, and the check says why (HAZARDS S3).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#include "cache/store/check.h"
#include "tests/doubles/failing_memory.h"

enum {
	PAGE = 4096,
	PAGES = 700,
	BRANCH = 1,
	LEAF = 2,
	OVERFLOW = 4,
	META = 8,
	BIG = 1,   /* a node's data is the number of a run of pages */
	TABLE = 2, /* a node's data is a tree */
	INTEGER_KEY = 8,
};

#define MAGIC UINT64_C(0xBEEFC0DE)
#define NO_ROOT UINT64_MAX

/* The pages of the file; those not named are in the list of free pages, or behind the last. */
enum page {
	OLDER,
	NEWER,
	FREE_ROOT,
	FREE_RUN, /* a list longer than a page */
	MAIN_ROOT = 6,
	DATA_ROOT, /* of three levels: */
	DATA_LEFT,
	DATA_RIGHT,
	LEAVES, /* four of them */
	RUN_OF_ONE = LEAVES + 4,
	RUN_OF_TWO,
	ORDER_ROOT = RUN_OF_TWO + 2,
	GROUPS_ROOT,
	FREED, /* alone, in a short list */
	LONG_LIST = 100,
	LONG_LIST_END = 660,
};

/* Transactions: the last, and those of the lists. */
enum {
	SHORT_KEY = 3,
	LONG_KEY = 256, /* after it as a number, before it as bytes */
	LAST = 257,
};

/* The main tree's nodes. */
enum { DATA = 1, FORMAT, FORMATS, GROUPS, ORDER, LONGEST };

static int fd;
static unsigned char *file;   /* mapped */
static unsigned nodes[PAGES]; /* of each page */

/* This stands before the C library's: what grows is elsewhere then, always. */
void *realloc(void *old, size_t size)
{
	size_t had = old != NULL ? malloc_usable_size(old) : 0;
	void *new = malloc(size);

	if (new != NULL && had > 0)
		memcpy(new, old, had < size ? had : size);
	if (new != NULL)
		free(old);
	return new;
}

/* ---- making a file -------------------------------------------------------------------------- */

static void put(uint64_t page, size_t at, size_t size, uint64_t value)
{
	memcpy(file + page * PAGE + at, &value, size);
}

static uint64_t get(uint64_t page, size_t at, size_t size)
{
	uint64_t value = 0;

	memcpy(&value, file + page * PAGE + at, size);
	return value;
}

static void page_begin(uint64_t page, unsigned flags)
{
	memset(file + page * PAGE, 0, PAGE);
	put(page, 0, 8, page);
	put(page, 10, 2, flags);
	put(page, 12, 2, 16);
	put(page, 14, 2, PAGE);
	nodes[page] = 0;
}

/* A node with `low` bytes of data there (or 8, the number of a run of pages with so many). */
static void node_add(uint64_t page, unsigned flags, const void *key, size_t key_size,
		     const void *data, uint64_t size)
{
	size_t here = flags & BIG ? 8 : size, upper = get(page, 14, 2);

	upper -= (8 + key_size + here + 1) / 2 * 2;
	put(page, upper, 2, size);
	put(page, upper + 2, 2, size >> 16);
	put(page, upper + 4, 2, flags);
	put(page, upper + 6, 2, key_size);
	memcpy(file + page * PAGE + upper + 8, key, key_size);
	memcpy(file + page * PAGE + upper + 8 + key_size, data, here);
	put(page, 16 + 2 * nodes[page], 2, upper);
	put(page, 14, 2, upper);
	put(page, 12, 2, 16 + 2 * ++nodes[page]);
}

/* Of a branch page: the child's number stands where a leaf has the size of the data, and the flags. */
static void child_add(uint64_t page, const void *key, size_t key_size, uint64_t child)
{
	size_t at;

	node_add(page, 0, key, key_size, "", 0);
	at = get(page, 14, 2);
	put(page, at, 4, child);
	put(page, at + 4, 2, child >> 32);
}

static void run_add(uint64_t page, const void *key, size_t key_size, uint64_t run, uint64_t size)
{
	node_add(page, BIG, key, key_size, &run, size);
	page_begin(run, OVERFLOW);
	put(run, 12, 4, (16 + size - 1) / PAGE + 1);
}

struct tree {
	uint32_t pad;
	uint16_t flags, depth;
	uint64_t branches, leaves, overflows, entries, root;
};

static void meta_put(unsigned at, uint64_t transaction)
{
	struct tree list = {.pad = PAGE, .flags = INTEGER_KEY, .depth = 1, .root = FREE_ROOT};
	struct tree all = {.depth = 1, .root = MAIN_ROOT};

	page_begin(at, META);
	put(at, 16, 4, MAGIC);
	put(at, 20, 4, 1);
	memcpy(file + at * PAGE + 40, &list, sizeof(list));
	memcpy(file + at * PAGE + 88, &all, sizeof(all));
	put(at, 136, 8, PAGES - 1);
	put(at, 144, 8, transaction);
}

static void free_tree_make(void)
{
	uint64_t shorter[3] = {1, FREED, 0 /* room for one more */}, key = SHORT_KEY;

	page_begin(FREE_ROOT, LEAF);
	node_add(FREE_ROOT, 0, &key, 8, shorter, sizeof(shorter));
	key = LONG_KEY;
	run_add(FREE_ROOT, &key, 8, FREE_RUN, 8 * (1 + LONG_LIST_END - LONG_LIST));
	put(FREE_RUN, 16, 8, LONG_LIST_END - LONG_LIST);
	for (uint64_t page = LONG_LIST; page < LONG_LIST_END; page++)
		put(FREE_RUN, 24 + 8 * (LONG_LIST_END - 1 - page), 8, page);
}

static void main_tree_make(void)
{
	struct tree data = {.depth = 3, .root = DATA_ROOT};
	struct tree order = {.flags = INTEGER_KEY, .depth = 1, .root = ORDER_ROOT};
	struct tree groups = {.depth = 1, .root = GROUPS_ROOT};
	char longest[511];

	memset(longest, 'z', sizeof(longest));
	page_begin(MAIN_ROOT, LEAF);
	node_add(MAIN_ROOT, TABLE, "data", 4, &data, sizeof(data));
	node_add(MAIN_ROOT, 0, "format", 6, "0123456789abcdef", 16);
	node_add(MAIN_ROOT, 0, "formats", 7, "", 0);
	node_add(MAIN_ROOT, TABLE, "groups", 6, &groups, sizeof(groups));
	node_add(MAIN_ROOT, TABLE, "order", 5, &order, sizeof(order));
	node_add(MAIN_ROOT, 0, longest, sizeof(longest), "", 0);
}

static void leaf_make(unsigned at, const char *first, const char *second)
{
	page_begin(LEAVES + at, LEAF);
	node_add(LEAVES + at, 0, first, 16, "value", 5);
	node_add(LEAVES + at, 0, second, 16, "", 0);
}

static void branch_make(uint64_t page, uint64_t left, const char *key, uint64_t right)
{
	page_begin(page, BRANCH);
	child_add(page, "", 0, left);
	child_add(page, key, 16, right);
}

static void data_tree_make(void)
{
	branch_make(DATA_ROOT, DATA_LEFT, "e---------------", DATA_RIGHT);
	branch_make(DATA_LEFT, LEAVES, "c---------------", LEAVES + 1);
	branch_make(DATA_RIGHT, LEAVES + 2, "g---------------", LEAVES + 3);
	leaf_make(0, "a---------------", "b---------------");
	leaf_make(1, "c---------------", "d---------------");
	leaf_make(2, "e---------------", "f---------------");
	page_begin(LEAVES + 3, LEAF);
	run_add(LEAVES + 3, "g---------------", 16, RUN_OF_ONE, PAGE - 16);
	run_add(LEAVES + 3, "h---------------", 16, RUN_OF_TWO, PAGE - 15);
}

static void file_make(void)
{
	uint64_t numbers[2] = {2, 256}; /* in that order as numbers, not as bytes */

	memset(file, 0, (size_t)PAGES * PAGE);
	meta_put(OLDER, LAST - 1);
	meta_put(NEWER, LAST);
	free_tree_make();
	main_tree_make();
	data_tree_make();
	page_begin(ORDER_ROOT, LEAF);
	node_add(ORDER_ROOT, 0, &numbers[0], 8, "01234567890123456789", 20);
	node_add(ORDER_ROOT, 0, &numbers[1], 8, "01234567890123456789", 20);
	page_begin(GROUPS_ROOT, LEAF);
	node_add(GROUPS_ROOT, 0, "group 1.........key 1...........", 32, "", 0);
	node_add(GROUPS_ROOT, 0, "group 1.........key 2...........", 32, "", 0);
}

#define NO_MEMORY "there is no memory to check it"

/* ---- looking at it -------------------------------------------------------------------------- */

/* Why the file, cut to that length, is not good; "" when it is.  What was cut off is zero after it. */
static const char *checked(size_t size)
{
	struct store_check check;
	bool good;

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	good = store_check_tree(fd, &check);
	assert_int_equal(ftruncate(fd, (off_t)PAGES * PAGE), 0);
	assert_int_equal(good, check.why == NULL);
	/* what is in the file is never a failure of the system */
	assert_int_equal(check.error, !good && strcmp(check.why, NO_MEMORY) == 0 ? ENOMEM : 0);
	return good ? "" : check.why;
}

static void expect(const char *why, const char *what)
{
	const char *found = checked((size_t)PAGES * PAGE);

	if (strcmp(found, why) != 0)
		fail_msg("%s: \"%s\" for \"%s\"", what, found, why);
}

struct change {
	const char *why;
	unsigned page;
	unsigned node; /* whose field it is: 1 for the first, 0 for the page's own */
	unsigned at, size;
	uint64_t value;
};

/* With one change each, and without it again. */
static void expect_all(const struct change *changes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct change *change = &changes[i];
		size_t at = change->at;
		uint64_t before;
		char what[100];

		if (change->node > 0)
			at += get(change->page, 16 + 2 * (change->node - 1), 2);
		before = get(change->page, at, change->size);
		put(change->page, at, change->size, change->value);
		snprintf(what, sizeof(what), "page %u, node %u, %u bytes at %u become %#llx",
			 change->page, change->node, change->size, change->at,
			 (unsigned long long)change->value);
		expect(change->why, what);
		put(change->page, at, change->size, before);
	}
	expect("", "the file as it was");
}

#define EXPECT_ALL(changes) expect_all(changes, sizeof(changes) / sizeof(*(changes)))

#define FOREIGN "it is not an LMDB file"
#define OTHER_SIZE "it has pages of another size"
#define CUT "it is truncated"
#define HEAD "its head is damaged"
#define PAGE_FAULT "it has a damaged page"
#define EMPTY "it has an empty page"
#define BEYOND "it refers to pages that it does not have"
#define TWICE "it uses a page twice"
#define DISORDER "its keys are out of order"
#define LIST "its free list is damaged"
#define RUN "it has a damaged overflow page"
#define STRANGE "it has a table that is not ours, or damaged"

/* ---- tests ---------------------------------------------------------------------------------- */

static void test_good(void **state)
{
	struct store_check check;

	(void)state;
	assert_true(store_check_head(fd, &check));
	assert_int_equal(check.pages, PAGES);
	assert_int_equal(check.transaction, LAST);
	assert_true(store_check_tree(fd, &check));
	assert_null(check.why);
	assert_int_equal(check.pages, PAGES);
	assert_int_equal(check.transaction, LAST);
}

static void test_lengths(void **state)
{
	struct store_check check;
	int other;

	(void)state;
	assert_string_equal(checked((size_t)PAGES * PAGE - 1), CUT);
	assert_string_equal(checked(152), CUT);
	assert_string_equal(checked(151), FOREIGN);
	assert_string_equal(checked(1), FOREIGN);
	assert_string_equal(checked(0), "it is empty");
	other = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_false(store_check_tree(other, &check));
	assert_string_equal(check.why, "it is not a regular file");
	assert_false(store_check_head(other, &check));
	assert_string_equal(check.why, "it is not a regular file");
	close(other);
}

/* Both heads are looked at, whichever is newer. */
static void test_fields_of_the_heads(void **state)
{
	(void)state;
	for (unsigned head = OLDER; head <= NEWER; head++) {
		const struct change changes[] = {
			{FOREIGN, head, 0, 10, 2, META | LEAF},
			{FOREIGN, head, 0, 16, 4, MAGIC - 1},
			{FOREIGN, head, 0, 20, 4, 2},
			{OTHER_SIZE, head, 0, 40, 4, 0},
			{OTHER_SIZE, head, 0, 40, 4, 2 * PAGE},
			{HEAD, head, 0, 44, 2, 0},           /* flags of the free list */
			{HEAD, head, 0, 46, 2, 0},           /* its depth */
			{HEAD, head, 0, 46, 2, 17},          /* one more than we follow */
			{HEAD, head, 0, 80, 8, 1},           /* its root */
			{HEAD, head, 0, 80, 8, PAGES},       /* the first page behind */
			{HEAD, head, 0, 92, 2, INTEGER_KEY}, /* flags of the main tree */
			{HEAD, head, 0, 94, 2, 0},           /* its depth */
			{HEAD, head, 0, 128, 8, 0},          /* its root */
			{HEAD, head, 0, 128, 8, NO_ROOT - 1},
			{HEAD, head, 0, 136, 8, 0}, /* the last page */
			{CUT, head, 0, 136, 8, PAGES},
			{CUT, head, 0, 136, 8, UINT64_MAX},
			{CUT, head, 0, 136, 8, UINT64_MAX / PAGE - 1},
			{CUT, head, 0, 136, 8, UINT64_MAX / PAGE}, /* so many bytes are 0 */
			{HEAD, head, 0, 144, 8, 7 - head}, /* a number of the other's parity */
		};

		EXPECT_ALL(changes);
	}
}

/* What may stand in a head without harm. */
static void test_heads_that_are_good(void **state)
{
	const struct change changes[] = {
		{"", OLDER, 0, 0, 8, 77},         /* its own number: LMDB does not look */
		{"", OLDER, 0, 24, 8, 4096},      /* a fixed address */
		{"", OLDER, 0, 80, 8, PAGES - 1}, /* roots of the older are followed by no one */
		{"", OLDER, 0, 80, 8, 2},
		{"", OLDER, 0, 46, 2, 16},
		{"", OLDER, 0, 128, 8, NO_ROOT},
		{"", NEWER, 0, 128, 8, NO_ROOT},
		{"", OLDER, 0, 144, 8, 0},
		{PAGE_FAULT, NEWER, 0, 46, 2, 16}, /* as deep as can be: that is not a leaf */
		{PAGE_FAULT, NEWER, 0, 80, 8, PAGES - 1},
	};

	(void)state;
	EXPECT_ALL(changes);
}

static void test_the_newer_head_counts(void **state)
{
	const struct change older = {PAGE_FAULT, OLDER, 0, 128, 8, PAGES - 1};

	(void)state;
	put(OLDER, 144, 8, LAST + 1);
	expect_all(&older, 1);
	put(OLDER, 80, 8, NO_ROOT);
	put(NEWER, 144, 8, 0);
	put(OLDER, 144, 8, 0); /* a file just begun: the first */
	expect_all(&older, 1);
}

/* A file just begun has heads, and nothing else. */
static void test_a_file_without_trees(void **state)
{
	(void)state;
	for (unsigned head = OLDER; head <= NEWER; head++) {
		put(head, 80, 8, NO_ROOT);
		put(head, 128, 8, NO_ROOT);
		put(head, 136, 8, 1);
		put(head, 144, 8, 0);
	}
	assert_string_equal(checked(2 * (size_t)PAGE), "");
	assert_string_equal(checked(2 * (size_t)PAGE - 1), CUT);
}

/* The head of each page that is a tree's. */
static void test_fields_of_pages(void **state)
{
	static const unsigned pages[] = {FREE_ROOT, MAIN_ROOT,  DATA_ROOT,  DATA_LEFT,  DATA_RIGHT,
					 LEAVES,    LEAVES + 3, ORDER_ROOT, GROUPS_ROOT};

	(void)state;
	for (size_t i = 0; i < sizeof(pages) / sizeof(*pages); i++) {
		unsigned page = pages[i], flags = (unsigned)get(page, 10, 2);
		uint64_t lower = get(page, 12, 2), upper = get(page, 14, 2);
		const struct change changes[] = {
			{PAGE_FAULT, page, 0, 0, 8, page + 1},
			{PAGE_FAULT, page, 0, 10, 2, flags ^ (BRANCH | LEAF)},
			{PAGE_FAULT, page, 0, 10, 2, flags | 0x10},
			{PAGE_FAULT, page, 0, 10, 2, 0},
			{PAGE_FAULT, page, 0, 12, 2, 14},
			{PAGE_FAULT, page, 0, 12, 2, 15},
			{PAGE_FAULT, page, 0, 12, 2, lower + 1},
			{PAGE_FAULT, page, 0, 12, 2, lower + 2}, /* a pointer to nothing */
			{EMPTY, page, 0, 12, 2, flags == LEAF ? 16 : 18},
			{PAGE_FAULT, page, 0, 12, 2, upper + 2},
			{PAGE_FAULT, page, 0, 14, 2, upper + 1},
			{PAGE_FAULT, page, 0, 14, 2, upper - 1},
			{PAGE_FAULT, page, 0, 14, 2, upper - 2}, /* a gap */
			{PAGE_FAULT, page, 0, 14, 2, upper + 2}, /* a node in the free space */
			{PAGE_FAULT, page, 0, 14, 2, PAGE + 2},
			{PAGE_FAULT, page, 0, 16, 2, get(page, 18, 2)}, /* two pointers to one */
			{PAGE_FAULT, page, 0, 16, 2, get(page, 16, 2) + 1},
			{PAGE_FAULT, page, 0, 16, 2, get(page, 16, 2) + 2},
			{PAGE_FAULT, page, 0, 16, 2, upper - 2},
			{PAGE_FAULT, page, 0, 16, 2, PAGE},
			{PAGE_FAULT, page, 0, 18, 2, PAGE - 2},
			{PAGE_FAULT, page, 0, 18, 2, PAGE - 8},
		};

		EXPECT_ALL(changes);
	}
}

/* A node that is not of the size that its place has, or not of its kind. */
/* Nodes fill the page, and one more begins within another. */
static void test_a_node_within_another(void **state)
{
	uint64_t lower = get(LEAVES, 12, 2);

	(void)state;
	put(LEAVES, lower, 2, get(LEAVES, 16, 2) + 2);
	put(LEAVES, 12, 2, lower + 2);
	expect(PAGE_FAULT, "a pointer too many");
}

static void test_fields_of_nodes(void **state)
{
	const struct change changes[] = {
		{PAGE_FAULT, LEAVES, 1, 0, 2, 3}, /* one byte less is padding, two are a gap */
		{"", LEAVES, 1, 0, 2, 6},
		{PAGE_FAULT, LEAVES, 1, 0, 2, 7},
		{PAGE_FAULT, LEAVES, 1, 2, 2, 1}, /* 64 KiB */
		{PAGE_FAULT, LEAVES, 2, 0, 2, 1},
		{PAGE_FAULT, LEAVES, 2, 0, 4, 0xffffffff},
		{PAGE_FAULT, LEAVES, 1, 4, 2, TABLE},
		{PAGE_FAULT, LEAVES, 1, 4, 2, BIG},
		{PAGE_FAULT, LEAVES, 2, 4, 2, 4},
		{PAGE_FAULT, LEAVES, 2, 4, 2, BIG | TABLE},
		{PAGE_FAULT, LEAVES, 1, 6, 2, 0},
		{PAGE_FAULT, LEAVES, 1, 6, 2, 15},
		{PAGE_FAULT, LEAVES, 1, 6, 2, 17},
		{PAGE_FAULT, LEAVES, 2, 6, 2, 0xffff},
		{PAGE_FAULT, GROUPS_ROOT, 1, 6, 2, 31},
		{PAGE_FAULT, ORDER_ROOT, 1, 6, 2, 7},
		{PAGE_FAULT, FREE_ROOT, 1, 6, 2, 7},
		{PAGE_FAULT, DATA_ROOT, 1, 6, 2, 2},
		{PAGE_FAULT, DATA_ROOT, 2, 6, 2, 15},
		{PAGE_FAULT, DATA_ROOT, 2, 6, 2, 0},
		{PAGE_FAULT, MAIN_ROOT, FORMAT, 6, 2, 0},
		{PAGE_FAULT, MAIN_ROOT, LONGEST, 6, 2, 513},
		{PAGE_FAULT, MAIN_ROOT, LONGEST, 6, 2, 509},
		{PAGE_FAULT, LEAVES + 3, 1, 4, 2, 0},
	};

	(void)state;
	EXPECT_ALL(changes);
}

/* A key may have 511 bytes; its node is no larger with one more. */
static void test_the_longest_key(void **state)
{
	const struct change change = {PAGE_FAULT, MAIN_ROOT, LONGEST, 6, 2, 512};

	(void)state;
	expect_all(&change, 1);
}

static void test_children(void **state)
{
	const struct change changes[] = {
		{BEYOND, DATA_ROOT, 1, 0, 4, NEWER},
		{BEYOND, DATA_ROOT, 2, 0, 4, PAGES},
		{BEYOND, DATA_LEFT, 2, 4, 2, 1}, /* the upper bits of the number */
		{PAGE_FAULT, DATA_LEFT, 2, 0, 4, PAGES - 1},
		{PAGE_FAULT, DATA_ROOT, 1, 0, 4, LEAVES}, /* a leaf, one level too early */
		{TWICE, DATA_LEFT, 2, 0, 4, LEAVES},
		{TWICE, DATA_LEFT, 1, 0, 4, DATA_ROOT}, /* a loop */
		{TWICE, DATA_LEFT, 1, 0, 4, FREED},
		{TWICE, DATA_LEFT, 1, 0, 4, LONG_LIST},
		{TWICE, DATA_LEFT, 1, 0, 4, LONG_LIST_END - 1},
		{TWICE, DATA_RIGHT, 1, 0, 4, FREE_RUN + 1},
		{TWICE, DATA_RIGHT, 1, 0, 4, MAIN_ROOT},
	};

	(void)state;
	EXPECT_ALL(changes);
}

static void test_orders(void **state)
{
	const struct change changes[] = {
		{DISORDER, LEAVES, 1, 8, 1, 'c'},
		{DISORDER, LEAVES, 2, 8, 1, 'a'}, /* twice the same */
		{DISORDER, LEAVES, 2, 8, 1, 'c'}, /* the key of the page to the right */
		{DISORDER, LEAVES, 2, 8, 1, 'd'},
		{"", LEAVES + 1, 1, 23, 1, '.'},       /* above what its branch says */
		{DISORDER, LEAVES + 1, 1, 23, 1, ','}, /* below */
		{DISORDER, LEAVES + 1, 2, 8, 1, 'e'},
		{DISORDER, DATA_LEFT, 2, 8, 1, 'b'},
		{DISORDER, DATA_LEFT, 2, 8, 1, 'd'},
		{DISORDER, DATA_ROOT, 2, 8, 1, 'd'},
		{DISORDER, DATA_ROOT, 2, 8, 1, 'f'},
		{DISORDER, LEAVES + 3, 2, 8, 1, 'g'},
		{DISORDER, ORDER_ROOT, 1, 8, 8, 256},
		{DISORDER, ORDER_ROOT, 1, 8, 8, 257},
		{"", ORDER_ROOT, 1, 8, 8, 255},
		{"", ORDER_ROOT, 2, 8, 8, UINT64_MAX},
		{DISORDER, GROUPS_ROOT, 1, 8 + 20, 1, '2'},
		{DISORDER, GROUPS_ROOT, 1, 8 + 20, 1, '3'},
		{DISORDER, FREE_ROOT, 1, 8, 8, 257},
		{DISORDER, MAIN_ROOT, FORMAT, 8, 1, 'h'},
	};

	(void)state;
	EXPECT_ALL(changes);
}

/* Two keys of which one goes on where the other ends. */
static void test_order_of_lengths(void **state)
{
	size_t at = 16 + 2 * (FORMAT - 1);
	uint64_t shorter = get(MAIN_ROOT, at, 2);

	(void)state;
	put(MAIN_ROOT, at, 2, get(MAIN_ROOT, at + 2, 2));
	put(MAIN_ROOT, at + 2, 2, shorter);
	expect(DISORDER, "\"formats\" before \"format\"");
}

static void test_free_lists(void **state)
{
	const unsigned last = 24 + 8 * (LONG_LIST_END - 1 - LONG_LIST);
	const struct change changes[] = {
		{LIST, FREE_ROOT, 1, 16, 8, 3},
		{LIST, FREE_ROOT, 1, 16, 8, UINT64_MAX},
		{BEYOND, FREE_ROOT, 1, 16, 8, 2}, /* and its second page is 0 */
		{"", FREE_ROOT, 1, 16, 8, 0},
		{BEYOND, FREE_ROOT, 1, 24, 8, 1},
		{TWICE, FREE_ROOT, 1, 24, 8, FREE_ROOT},
		{BEYOND, FREE_ROOT, 1, 24, 8, PAGES},
		{"", FREE_ROOT, 1, 24, 8, PAGES - 1},
		{TWICE, FREE_ROOT, 1, 24, 8, LONG_LIST},
		{TWICE, FREE_ROOT, 1, 24, 8, ORDER_ROOT},
		{LIST, FREE_RUN, 0, 16, 8, LONG_LIST_END - LONG_LIST + 1},
		{"", FREE_RUN, 0, 16, 8, LONG_LIST_END - LONG_LIST - 1},
		{TWICE, FREE_RUN, 0, last, 8, LONG_LIST + 1}, /* in the second page */
		{BEYOND, FREE_RUN, 0, last, 8, UINT64_MAX},
		{TWICE, FREE_RUN, 0, last, 8, GROUPS_ROOT},
		{TWICE, FREE_RUN, 0, last, 8, FREE_RUN},
		{LIST, FREE_ROOT, 2, 0, 2, PAGE - 15}, /* a length of two pages, and too short */
		{"", FREE_RUN, 0, 24, 8, PAGES - 1},
		{LIST, FREE_RUN, 0, 32, 8, PAGES - 1}, /* higher than the one before */
		{LIST, FREE_ROOT, 1, 8, 8, 0},         /* its key */
		{"", FREE_ROOT, 1, 8, 8, 1},
		{"", FREE_ROOT, 2, 8, 8, LAST},
		{LIST, FREE_ROOT, 2, 8, 8, LAST + 1},
		{LIST, FREE_ROOT, 2, 8, 8, UINT64_MAX},
	};

	(void)state;
	EXPECT_ALL(changes);
}

/* A list so short that it has no number of pages. */
static void test_a_free_list_of_nothing(void **state)
{
	uint64_t key = 3, one = 0;

	(void)state;
	for (size_t size = 0; size <= 8; size++) {
		page_begin(FREE_ROOT, LEAF);
		node_add(FREE_ROOT, 0, &key, 8, &one, size);
		expect(size < 8 ? LIST : "", "a list of some bytes");
	}
}

static void test_nothing_is_left(void **state)
{
	size_t before;

	(void)state;
	expect("", "the first time");
	before = mallinfo2().uordblks;
	for (unsigned i = 0; i < 3; i++)
		expect("", "and again");
	put(GROUPS_ROOT, 10, 2, 0);
	expect(PAGE_FAULT, "damaged");
	assert_int_equal(mallinfo2().uordblks, before);
}

static void test_no_memory(void **state)
{
	(void)state;
	for (size_t n = 0; n < 5; n++) {
		fail_memory(n, false);
		expect(NO_MEMORY, "without memory");
		assert_true(fail_memory_never());
	}
	fail_memory(5, false);
	expect("", "with memory");
	assert_false(fail_memory_never());
}

/* No memory is asked for a list of more pages than there are: what is wrong with it would not be found. */
static void test_a_list_longer_than_the_file(void **state)
{
	enum { RUN_PAGES = LONG_LIST_END - LONG_LIST, AFTER_THREE = 3 };

	(void)state;
	put(FREE_ROOT, get(FREE_ROOT, 18, 2) + 0, 2, (RUN_PAGES * PAGE - 16) & 0xffff);
	put(FREE_ROOT, get(FREE_ROOT, 18, 2) + 2, 2, (RUN_PAGES * PAGE - 16) >> 16);
	put(FREE_ROOT, get(FREE_ROOT, 18, 2) + 16, 8, LONG_LIST);
	fail_memory(AFTER_THREE, true);
	expect(LIST, "a list of most of the file");
	assert_false(fail_memory_never());
}

static void test_runs(void **state)
{
	const struct change changes[] = {
		{RUN, RUN_OF_ONE, 0, 0, 8, RUN_OF_TWO},
		{RUN, RUN_OF_ONE, 0, 10, 2, LEAF},
		{TWICE, RUN_OF_ONE, 0, 12, 4, 2}, /* a page more than is needed */
		{RUN, RUN_OF_TWO, 0, 12, 4, 1},
		{TWICE, RUN_OF_TWO, 0, 12, 4, 3},
		{BEYOND, RUN_OF_TWO, 0, 12, 4, PAGES},
		{BEYOND, RUN_OF_TWO, 0, 12, 4, 0xffffffff},
		{RUN, FREE_RUN, 0, 0, 8, 0},
		{RUN, FREE_RUN, 0, 10, 2, OVERFLOW | BRANCH},
		{RUN, FREE_RUN, 0, 12, 4, 1},
		{"", FREE_RUN, 0, 12, 4, 3}, /* as when it was longer at first */
		{TWICE, FREE_RUN, 0, 12, 4, 4},
		{RUN, LEAVES + 3, 1, 0, 2, PAGE - 15}, /* a byte more than fits the page */
		{"", LEAVES + 3, 2, 0, 2, PAGE - 16},  /* and a byte less than fills two */
		{BEYOND, LEAVES + 3, 1, 24, 8, 1},
		{BEYOND, LEAVES + 3, 2, 24, 8, PAGES - 1}, /* its second page is not there */
		{BEYOND, LEAVES + 3, 2, 24, 8, PAGES},
		{RUN, LEAVES + 3, 2, 24, 8, PAGES - 2},
		{BEYOND, LEAVES + 3, 2, 0, 4, 0xffffffff},
		{TWICE, LEAVES + 3, 1, 24, 8, RUN_OF_TWO},
		{TWICE, LEAVES + 3, 1, 24, 8, LEAVES},
		{RUN, LEAVES + 3, 1, 24, 8, PAGES - 1},
		{BEYOND, FREE_ROOT, 2, 16, 8, PAGES - 1},
	};

	(void)state;
	EXPECT_ALL(changes);
}

static void test_tables(void **state)
{
	enum { FLAGS = 4, DEPTH = 6, ROOT = 40 };
	const struct change changes[] = {
		{STRANGE, MAIN_ROOT, DATA, 8, 1, 'c'},
		{STRANGE, MAIN_ROOT, GROUPS, 8 + 5, 1, 't'},
		{STRANGE, MAIN_ROOT, FORMAT, 4, 2, TABLE},
		{PAGE_FAULT, MAIN_ROOT, FORMAT, 4, 2, 4},
		{STRANGE, MAIN_ROOT, DATA, 0, 2, 47},
		{STRANGE, MAIN_ROOT, DATA, 12 + FLAGS, 2, INTEGER_KEY},
		{STRANGE, MAIN_ROOT, DATA, 12 + DEPTH, 2, 0},
		{STRANGE, MAIN_ROOT, DATA, 12 + DEPTH, 2, 17},
		{PAGE_FAULT, MAIN_ROOT, DATA, 12 + DEPTH, 2, 2},
		{PAGE_FAULT, MAIN_ROOT, DATA, 12 + DEPTH, 2, 4},
		{STRANGE, MAIN_ROOT, DATA, 12 + ROOT, 8, 1},
		{STRANGE, MAIN_ROOT, DATA, 12 + ROOT, 8, PAGES},
		{PAGE_FAULT, MAIN_ROOT, DATA, 12 + ROOT, 8, PAGES - 1},
		{"", MAIN_ROOT, DATA, 12 + ROOT, 8, NO_ROOT},
		{TWICE, MAIN_ROOT, ORDER, 13 + ROOT, 8, LEAVES},
		{STRANGE, MAIN_ROOT, ORDER, 13 + FLAGS, 2, 0},
		{PAGE_FAULT, MAIN_ROOT, ORDER, 13 + ROOT, 8, PAGES - 1},
		{"", MAIN_ROOT, ORDER, 13 + ROOT, 8, NO_ROOT},
		{"", MAIN_ROOT, ORDER, 4, 2, 0}, /* a plain row, without the table */
	};

	(void)state;
	EXPECT_ALL(changes);
}

static int setup(void **state)
{
	(void)state;
	file_make();
	return 0;
}

static int file_new(void **state)
{
	(void)state;
	fd = memfd_create("data", MFD_CLOEXEC);
	if (sysconf(_SC_PAGESIZE) != PAGE || ftruncate(fd, (off_t)PAGES * PAGE) != 0)
		return 1;
	file = mmap(NULL, (size_t)PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return file == MAP_FAILED;
}

static int file_end(void **state)
{
	(void)state;
	munmap(file, (size_t)PAGES * PAGE);
	close(fd);
	return 0;
}

#define CHECK_TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHECK_TEST(test_good),
		CHECK_TEST(test_lengths),
		CHECK_TEST(test_fields_of_the_heads),
		CHECK_TEST(test_heads_that_are_good),
		CHECK_TEST(test_the_newer_head_counts),
		CHECK_TEST(test_a_file_without_trees),
		CHECK_TEST(test_fields_of_pages),
		CHECK_TEST(test_a_node_within_another),
		CHECK_TEST(test_fields_of_nodes),
		CHECK_TEST(test_the_longest_key),
		CHECK_TEST(test_children),
		CHECK_TEST(test_orders),
		CHECK_TEST(test_order_of_lengths),
		CHECK_TEST(test_free_lists),
		CHECK_TEST(test_a_free_list_of_nothing),
		CHECK_TEST(test_nothing_is_left),
		CHECK_TEST(test_no_memory),
		CHECK_TEST(test_a_list_longer_than_the_file),
		CHECK_TEST(test_runs),
		CHECK_TEST(test_tables),
	};

	return cmocka_run_group_tests(tests, file_new, file_end);
}
