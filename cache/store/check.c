/* Checks an LMDB file's structure, page by page, without LMDB. */
#include "cache/store/check.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	LMDB_VERSION = 1,
	LMDB_INTEGER_KEY = 0x08,
	LMDB_KEY_SIZE_MAX = 511,
	PAGE_BRANCH = 0x01,
	PAGE_LEAF = 0x02,
	PAGE_OVERFLOW = 0x04,
	PAGE_META = 0x08,
	NODE_BIG = 0x01,   /* the data is the number of an overflow page */
	NODE_TABLE = 0x02, /* the data is a struct lmdb_tree */
	PAGE_SIZE_MAX = 1 << 16,
	FIRST_PAGE = 2, /* behind the meta pages */
	DEPTH_MAX = 16, /* 2^32 entries of two to a page would be 32; of the sizes here, 10 */
};

#define LMDB_MAGIC UINT32_C(0xBEEFC0DE)
#define LMDB_NO_ROOT UINT64_MAX

struct lmdb_page {
	uint64_t number;
	uint16_t pad, flags;
	union {
		struct {
			uint16_t lower, upper; /* of the free space between pointers and nodes */
		};
		uint32_t count; /* of an overflow run */
	};
	uint16_t nodes[]; /* offsets */
};

struct lmdb_node {
	uint16_t low, high, flags, key_size; /* data size or page number in three parts */
	unsigned char key[];
};

struct lmdb_tree {
	uint32_t pad; /* of the free list's: the page size */
	uint16_t flags, depth;
	uint64_t branches, leaves, overflows, entries, root;
};

struct lmdb_meta {
	uint32_t magic, version;
	uint64_t address, map_size;
	struct lmdb_tree free, main;
	uint64_t last_page, transaction;
};

_Static_assert(sizeof(struct lmdb_page) == 16, "page header of LMDB 0.9, 64 bits");
_Static_assert(sizeof(struct lmdb_node) == 8, "node header of LMDB 0.9");
_Static_assert(sizeof(struct lmdb_tree) == 48, "MDB_db of LMDB 0.9, 64 bits");
_Static_assert(sizeof(struct lmdb_meta) == 136, "MDB_meta of LMDB 0.9, 64 bits");

const struct store_table_spec store_table_specs[STORE_TABLES] = {
	[STORE_DATA] = {"data", 16, false},
	[STORE_ORDER] = {"order", 8, true},
	[STORE_GROUPS] = {"groups", 32, false},
};

/* What the nodes of a tree may be. */
struct tree_kind {
	size_t key_size; /* 0 for any */
	bool integer;    /* keys are 64-bit numbers, else compared as bytes */
	bool tables;     /* nodes may be tables: the main tree */
	bool free_list;  /* data is a list of free pages */
};

struct checker {
	int fd;
	size_t page_size;
	uint64_t pages;       /* valid numbers are below */
	uint64_t transaction; /* the last */
	uint64_t budget;      /* pages still to be read */
	uint64_t *seen;       /* a bit per page: in use or free */
	char *levels;         /* a page per level of the tree being walked */
	char *run;            /* pages of an overflow run, grown as needed */
	size_t run_size;
	uint8_t starts[PAGE_SIZE_MAX / 2];    /* where a page has nodes: 1, or 2 for any key */
	unsigned char key[LMDB_KEY_SIZE_MAX]; /* the last seen of the tree, in order */
	size_t key_size;
	bool key_is_bound; /* it came from a branch page: the next key may be equal */
	struct lmdb_tree tables[STORE_TABLES];
	bool has_table[STORE_TABLES];
	const char *why;
	int error; /* as in struct store_check */
};

static const char no_memory[] = "there is no memory to check it";
static const char unreadable[] = "it cannot be read";
static const char not_lmdb[] = "it is not an LMDB file";

static bool wrong(struct checker *check, const char *why)
{
	if (check->why == NULL)
		check->why = why;
	return false;
}

/* False as well when the system failed to: see `ret_error`. */
static bool read_at(int fd, void *to, size_t size, uint64_t offset, int *ret_error)
{
	ssize_t n = pread(fd, to, size, (off_t)offset);

	if (n < 0)
		*ret_error = errno;
	return n == (ssize_t)size;
}

static const char *head_read(int fd, uint64_t offset, struct lmdb_meta *meta, int *ret_error)
{
	char bytes[sizeof(struct lmdb_page) + sizeof(*meta)];
	struct lmdb_page page;

	if (!read_at(fd, bytes, sizeof(bytes), offset, ret_error))
		return *ret_error != 0 ? unreadable : not_lmdb;
	memcpy(&page, bytes, sizeof(page));
	memcpy(meta, bytes + sizeof(page), sizeof(*meta));
	return page.flags == PAGE_META && meta->magic == LMDB_MAGIC && meta->version == LMDB_VERSION
		       ? NULL
		       : not_lmdb;
}

static bool tree_root_is(const struct lmdb_tree *tree, uint64_t pages)
{
	if (tree->root == LMDB_NO_ROOT)
		return true;
	return tree->root >= FIRST_PAGE && tree->root < pages && tree->depth > 0 &&
	       tree->depth <= DEPTH_MAX;
}

static const char *meta_fault(const struct lmdb_meta *meta, unsigned at, uint64_t length)
{
	uint64_t page_size = meta->free.pad;

	if (page_size != (uint64_t)sysconf(_SC_PAGESIZE) || page_size > PAGE_SIZE_MAX)
		return "it has pages of another size";
	if (meta->last_page >= UINT64_MAX / page_size - 1 ||
	    length < (meta->last_page + 1) * page_size)
		return "it is truncated";
	if (meta->last_page < FIRST_PAGE - 1 || meta->free.flags != LMDB_INTEGER_KEY ||
	    meta->main.flags != 0 || (meta->transaction > 0 && (meta->transaction & 1) != at) ||
	    !tree_root_is(&meta->free, meta->last_page + 1) ||
	    !tree_root_is(&meta->main, meta->last_page + 1))
		return "its head is damaged";
	return NULL;
}

/* The newer of the two metas, both of which must be good. */
static const char *head_fault(int fd, struct lmdb_meta *ret_newer, int *ret_error)
{
	struct lmdb_meta meta;
	struct stat st;

	*ret_newer = (struct lmdb_meta){0};
	*ret_error = 0;
	if (fstat(fd, &st) != 0) {
		*ret_error = errno;
		return unreadable;
	}
	if (!S_ISREG(st.st_mode))
		return "it is not a regular file";
	if (st.st_size == 0)
		return "it is empty";
	for (unsigned at = 0; at < 2; at++) {
		const char *why =
			head_read(fd, at * (uint64_t)sysconf(_SC_PAGESIZE), &meta, ret_error);

		if (why == NULL)
			why = meta_fault(&meta, at, (uint64_t)st.st_size);
		if (why != NULL)
			return why;
		if (at == 0 || meta.transaction > ret_newer->transaction)
			*ret_newer = meta;
	}
	return NULL;
}

bool store_check_head(int fd, struct store_check *ret_check)
{
	struct lmdb_meta meta;

	*ret_check = (struct store_check){0};
	ret_check->why = head_fault(fd, &meta, &ret_check->error);
	if (ret_check->why == NULL) {
		ret_check->pages = meta.last_page + 1;
		ret_check->transaction = meta.transaction;
	}
	return ret_check->why == NULL;
}

/* Every page may be used once only. */
static bool mark(struct checker *check, uint64_t number, uint64_t count)
{
	if (number < FIRST_PAGE || number >= check->pages || count > check->pages - number)
		return wrong(check, "it refers to pages that it does not have");
	for (; count > 0; count--, number++) {
		uint64_t bit = UINT64_C(1) << (number % 64);

		if (check->seen[number / 64] & bit)
			return wrong(check, "it uses a page twice");
		check->seen[number / 64] |= bit;
	}
	return true;
}

static bool page_read(struct checker *check, uint64_t number, char *to, uint64_t count)
{
	size_t size = check->page_size * count;

	check->budget -= count < check->budget ? count : check->budget;
	return read_at(check->fd, to, size, number * check->page_size, &check->error) ||
	       wrong(check, unreadable);
}

static size_t node_count(const struct lmdb_page *page)
{
	return (page->lower - sizeof(*page)) / 2;
}

/* Nodes are two bytes aligned at least, like their struct. */
static const struct lmdb_node *node_at(const struct lmdb_page *page, size_t i)
{
	return (const struct lmdb_node *)((const char *)page + page->nodes[i]);
}

static uint64_t node_data_size(const struct lmdb_node *node)
{
	return node->low | (uint64_t)node->high << 16;
}

static bool tree_page_read(struct checker *check, uint64_t number, bool leaf,
			   struct lmdb_page *page)
{
	if (!mark(check, number, 1) || !page_read(check, number, (char *)page, 1))
		return false;
	if (page->number != number || page->flags != (leaf ? PAGE_LEAF : PAGE_BRANCH) ||
	    page->lower < sizeof(*page) || page->lower > page->upper ||
	    page->upper > check->page_size || page->lower % 2 != 0 || page->upper % 2 != 0)
		return wrong(check, "it has a damaged page");
	if (node_count(page) < (leaf ? 1u : 2u))
		return wrong(check, "it has an empty page");
	return true;
}

/* The node's size; 0 when it is incomplete or of the wrong kind for the page. */
static size_t node_size(const struct checker *check, const struct lmdb_page *page, size_t at,
			bool leaf, size_t key_size)
{
	const struct lmdb_node *node = (const void *)((const char *)page + at);
	size_t size = sizeof(*node);

	if (at + size > check->page_size)
		return 0;
	size += node->key_size;
	if (leaf)
		size += node->flags & NODE_BIG ? sizeof(uint64_t) : node_data_size(node);
	if (at + size > check->page_size || node->key_size > LMDB_KEY_SIZE_MAX ||
	    (leaf && node->key_size == 0) || (key_size > 0 && node->key_size != key_size))
		return 0;
	return (size + 1) & ~(size_t)1;
}

/*
 * LMDB moves nodes within a page by their sizes, so they must fill it from the end of the free
 * space to the end of the page, without gaps or overlaps, with one pointer to each.
 */
static bool nodes_check(struct checker *check, const struct lmdb_page *page, bool leaf,
			const struct tree_kind *kind)
{
	size_t count = node_count(page), at;

	memset(check->starts, 0, check->page_size / 2);
	for (size_t i = 0; i < count; i++) {
		at = page->nodes[i];
		if (at % 2 != 0 || at < page->upper || at >= check->page_size ||
		    check->starts[at / 2])
			return wrong(check, "it has a damaged page");
		/* The first key of a branch page is never compared, and may be empty. */
		check->starts[at / 2] = !leaf && i == 0 ? 2 : 1;
	}
	for (at = page->upper; at < check->page_size; count--) {
		size_t key_size = check->starts[at / 2] == 1 ? kind->key_size : 0;
		size_t size = node_size(check, page, at, leaf, key_size);

		if (count == 0 || !check->starts[at / 2] || size == 0)
			return wrong(check, "it has a damaged page");
		at += size;
	}
	return count == 0 || wrong(check, "it has a damaged page");
}

static int key_compare(const struct checker *check, const struct lmdb_node *node,
		       const struct tree_kind *kind)
{
	size_t size = node->key_size < check->key_size ? node->key_size : check->key_size;
	uint64_t left, right;
	int order;

	if (kind->integer) {
		assert(size == sizeof(left)); /* nodes_check() saw to it */
		memcpy(&left, node->key, sizeof(left));
		memcpy(&right, check->key, sizeof(right));
		return (left > right) - (left < right);
	}
	order = memcmp(node->key, check->key, size);
	return order != 0 ? order : (node->key_size > size) - (check->key_size > size);
}

/*
 * Keys grow from left to right; one of a branch page is not above the first of the page to its
 * right.
 */
static bool key_follows(struct checker *check, const struct lmdb_node *node, bool is_bound,
			const struct tree_kind *kind)
{
	int order = check->key_size == 0 ? 1 : key_compare(check, node, kind);

	if (order < 0 || (order == 0 && !check->key_is_bound))
		return wrong(check, "its keys are out of order");
	memcpy(check->key, node->key, node->key_size);
	check->key_size = node->key_size;
	check->key_is_bound = is_bound;
	return true;
}

/*
 * Lists of free pages have the transaction that freed them as key.  LMDB starts at 0 to look for one,
 * and would give out the pages of a list with that key again and again.
 */
static bool free_key_check(struct checker *check, const struct lmdb_node *node)
{
	uint64_t transaction;

	memcpy(&transaction, node->key, sizeof(transaction));
	return (transaction > 0 && transaction <= check->transaction) ||
	       wrong(check, "its free list is damaged");
}

/* A list of free pages: its length, then their numbers, the highest first, as LMDB merges them. */
static bool free_list_check(struct checker *check, const unsigned char *data, uint64_t size)
{
	uint64_t count, number, before = UINT64_MAX;

	if (size < sizeof(count))
		return wrong(check, "its free list is damaged");
	memcpy(&count, data, sizeof(count));
	if (count > size / sizeof(number) - 1)
		return wrong(check, "its free list is damaged");
	for (uint64_t i = 1; i <= count; i++) {
		memcpy(&number, data + i * sizeof(number), sizeof(number));
		if (!mark(check, number, 1))
			return false;
		if (number > before)
			return wrong(check, "its free list is damaged");
		before = number;
	}
	return true;
}

static bool overflow_check(struct checker *check, const struct lmdb_node *node,
			   const struct tree_kind *kind)
{
	uint64_t size = node_data_size(node), number;
	uint64_t count = (sizeof(struct lmdb_page) - 1 + size) / check->page_size + 1;
	struct lmdb_page page;

	memcpy(&number, node->key + node->key_size, sizeof(number));
	if (!mark(check, number, count))
		return false;
	/* It has no more numbers than there are pages, and those of a page or two that LMDB keeps room for. */
	if (kind->free_list && size > check->pages * sizeof(number) + 2 * check->page_size)
		return wrong(check, "its free list is damaged");
	if (kind->free_list && count * check->page_size > check->run_size) {
		char *run = realloc(check->run, count * check->page_size);

		if (run == NULL) {
			check->error = ENOMEM;
			return wrong(check, no_memory);
		}
		check->run = run;
		check->run_size = count * check->page_size;
	}
	/* Of a value only the head of its first page matters. */
	if (!page_read(check, number, check->run, kind->free_list ? count : 1))
		return false;
	memcpy(&page, check->run, sizeof(page));
	/* What was written again and shorter in the same transaction keeps its pages. */
	if (page.number != number || page.flags != PAGE_OVERFLOW || page.count < count)
		return wrong(check, "it has a damaged overflow page");
	if (page.count > count && !mark(check, number + count, page.count - count))
		return false;
	return !kind->free_list ||
	       free_list_check(check, (unsigned char *)check->run + sizeof(page), size);
}

/* Keys of a tree only grow, so each name comes once. */
static bool table_found(struct checker *check, const struct lmdb_node *node)
{
	for (size_t i = 0; i < STORE_TABLES; i++) {
		const struct store_table_spec *spec = &store_table_specs[i];
		struct lmdb_tree tree;

		if (strlen(spec->name) != node->key_size ||
		    memcmp(spec->name, node->key, node->key_size) != 0)
			continue;
		if (node_data_size(node) != sizeof(tree))
			break;
		memcpy(&tree, node->key + node->key_size, sizeof(tree));
		if (!tree_root_is(&tree, check->pages) ||
		    tree.flags != (spec->integer ? LMDB_INTEGER_KEY : 0))
			break;
		check->tables[i] = tree;
		check->has_table[i] = true;
		return true;
	}
	return wrong(check, "it has a table that is not ours, or damaged");
}

static bool leaf_check(struct checker *check, const struct lmdb_page *page,
		       const struct tree_kind *kind)
{
	for (size_t i = 0; i < node_count(page); i++) {
		const struct lmdb_node *node = node_at(page, i);
		bool sound;

		if (!key_follows(check, node, false, kind) ||
		    (kind->free_list && !free_key_check(check, node)))
			return false;
		if (node->flags == NODE_BIG)
			sound = overflow_check(check, node, kind);
		else if (node->flags == NODE_TABLE && kind->tables)
			sound = table_found(check, node);
		else if (node->flags != 0)
			sound = wrong(check, "it has a damaged page");
		else if (kind->free_list)
			sound = free_list_check(check, node->key + node->key_size,
						node_data_size(node));
		else
			sound = true;
		if (!sound)
			return false;
	}
	return true;
}

static uint64_t branch_child(const struct lmdb_page *page, size_t i)
{
	const struct lmdb_node *node = node_at(page, i);

	return node_data_size(node) | (uint64_t)node->flags << 32;
}

/* Depth first; one page of memory per level, so a loop in the file cannot make it go deeper. */
static bool tree_check(struct checker *check, const struct lmdb_tree *tree, struct tree_kind kind)
{
	size_t next[DEPTH_MAX] = {0}, level = 0, depth = tree->depth;
	uint64_t number = tree->root;

	if (number == LMDB_NO_ROOT)
		return true;
	check->key_size = 0;
	for (;;) {
		struct lmdb_page *page = (void *)(check->levels + level * check->page_size);
		bool leaf = level == depth - 1;

		if (next[level] == 0 && (!tree_page_read(check, number, leaf, page) ||
					 !nodes_check(check, page, leaf, &kind)))
			return false;
		if (leaf && !leaf_check(check, page, &kind))
			return false;
		if (check->budget == 0)
			return true;
		if (!leaf && next[level] < node_count(page)) {
			if (next[level] > 0 &&
			    !key_follows(check, node_at(page, next[level]), true, &kind))
				return false;
			number = branch_child(page, next[level]++);
			next[++level] = 0;
		} else if (level-- == 0) {
			return true;
		}
	}
}

static bool trees_check(struct checker *check, const struct lmdb_meta *meta)
{
	if (!tree_check(check, &meta->free,
			(struct tree_kind){.key_size = 8, .integer = true, .free_list = true}) ||
	    !tree_check(check, &meta->main, (struct tree_kind){.tables = true}))
		return false;
	for (size_t i = 0; i < STORE_TABLES; i++) {
		struct tree_kind kind = {.key_size = store_table_specs[i].key_size,
					 .integer = store_table_specs[i].integer};

		if (check->has_table[i] && !tree_check(check, &check->tables[i], kind))
			return false;
	}
	return true;
}

bool store_check_tree(int fd, struct store_check *ret_check)
{
	struct checker check = {.fd = fd, .budget = STORE_CHECK_PAGES_MAX};
	struct lmdb_meta meta;

	*ret_check = (struct store_check){0};
	ret_check->why = head_fault(fd, &meta, &ret_check->error);
	if (ret_check->why != NULL)
		return false;
	check.page_size = (size_t)sysconf(_SC_PAGESIZE); /* as the head was found to say */
	check.pages = ret_check->pages = meta.last_page + 1;
	ret_check->transaction = check.transaction = meta.transaction;
	check.seen = calloc(check.pages / 64 + 1, sizeof(*check.seen));
	check.levels = malloc(DEPTH_MAX * check.page_size);
	check.run = malloc(check.page_size);
	check.run_size = check.page_size;
	if (check.seen == NULL || check.levels == NULL || check.run == NULL) {
		ret_check->why = no_memory;
		ret_check->error = ENOMEM;
	} else if (!trees_check(&check, &meta)) {
		ret_check->why = check.why;
		ret_check->error = check.error;
	}
	free(check.seen);
	free(check.levels);
	free(check.run);
	return ret_check->why == NULL;
}
