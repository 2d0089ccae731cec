/* Counts by key in shared memory, a block for each process. */
#include "proxy/limits/holdings.h"

#include <assert.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	WINDOW = 64,    /* rows from a key's first one on that may have it */
	ROWS_MIN = 256, /* of a block: a power of two, at least twice as many as are held */
};

/*
 * Written by the owner of the block alone.  A row whose count is 0 is free, and keeps its key until
 * another takes it: so a search may end at a row that never had one.
 */
struct holdings_row {
	_Atomic uint64_t key; /* 0: never used */
	_Atomic uint32_t count;
};

/* The first page of the mapping, the rows follow; the same address in all processes. */
struct holdings {
	_Atomic unsigned
		used; /* blocks from the first on that anybody has used: all others are empty */
	size_t size;  /* of the mapping, in bytes */
	size_t rows;  /* of a block */
	unsigned blocks;
	struct holdings_row *row;
};

struct holdings *holdings_map(unsigned blocks, size_t most)
{
	struct holdings *holdings;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t rows = ROWS_MIN, size;

	while (rows < 2 * most || rows * sizeof(struct holdings_row) < page)
		rows *= 2;
	size = page + blocks * rows * sizeof(struct holdings_row);
	holdings = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (holdings == MAP_FAILED)
		return NULL;
	holdings->size = size;
	holdings->rows = rows;
	holdings->blocks = blocks;
	holdings->row = (struct holdings_row *)((char *)holdings + page);
	return holdings;
}

void holdings_unmap(struct holdings *holdings)
{
	munmap(holdings, holdings->size);
}

/* Register before counting in a block, so that other processes read it. */
static void use_block(struct holdings *holdings, unsigned block)
{
	unsigned used = atomic_load_explicit(&holdings->used, memory_order_seq_cst);

	assert(block < holdings->blocks);
	while (used <= block &&
	       !atomic_compare_exchange_weak_explicit(&holdings->used, &used, block + 1,
						      memory_order_seq_cst, memory_order_seq_cst))
		;
}

static struct holdings_row *row_at(const struct holdings *holdings, unsigned block, uint64_t key,
				   unsigned i)
{
	assert(block < holdings->blocks && key != 0);
	return &holdings->row[block * holdings->rows + ((key + i) & (holdings->rows - 1))];
}

/*
 * The count of a key in any block.  The key is read again after the count: a row that its owner
 * gave to another key in between counts for that one.
 */
static uint32_t count_of(const struct holdings *holdings, unsigned block, uint64_t key)
{
	for (unsigned i = 0; i < WINDOW; i++) {
		const struct holdings_row *row = row_at(holdings, block, key, i);
		uint64_t found = atomic_load_explicit(&row->key, memory_order_seq_cst);
		uint32_t count;

		if (found == 0)
			return 0;
		if (found != key)
			continue;
		count = atomic_load_explicit(&row->count, memory_order_seq_cst);
		return atomic_load_explicit(&row->key, memory_order_seq_cst) == key ? count : 0;
	}
	return 0;
}

/*
 * Its row in the caller's own block, or a free one that becomes its; NULL when its window is full.
 * No other process writes here, so relaxed loads are enough.
 */
static struct holdings_row *own_row(struct holdings *holdings, unsigned block, uint64_t key)
{
	struct holdings_row *free_row = NULL;

	for (unsigned i = 0; i < WINDOW; i++) {
		struct holdings_row *row = row_at(holdings, block, key, i);
		uint64_t found = atomic_load_explicit(&row->key, memory_order_relaxed);

		if (found == key)
			return row;
		if (free_row == NULL &&
		    atomic_load_explicit(&row->count, memory_order_relaxed) == 0)
			free_row = row;
		if (found == 0)
			break;
	}
	if (free_row != NULL)
		atomic_store_explicit(&free_row->key, key, memory_order_seq_cst);
	return free_row;
}

struct holdings_row *holdings_take(struct holdings *holdings, unsigned block, uint64_t key,
				   uint32_t most_here, uint32_t most_all)
{
	struct holdings_row *row;
	uint32_t count;

	use_block(holdings, block);
	row = own_row(holdings, block, key);
	if (row == NULL)
		return NULL;
	count = atomic_load_explicit(&row->count, memory_order_relaxed);
	if (count >= most_here || count >= most_all)
		return NULL;
	/*
	 * Counted first, looked at then: of two processes that do so at once, each with its store
	 * before its loads in the one order of all sequentially consistent operations, at least one
	 * sees the other.
	 */
	atomic_store_explicit(&row->count, count + 1, memory_order_seq_cst);
	if (holdings_all(holdings, key) <= most_all)
		return row;
	atomic_store_explicit(&row->count, count, memory_order_release);
	return NULL;
}

void holdings_give(struct holdings_row *row)
{
	uint32_t count = atomic_load_explicit(&row->count, memory_order_relaxed);

	assert(count > 0);
	/*
	 * Release: a process that sees it given back also sees what was done before, such as
	 * close().
	 */
	atomic_store_explicit(&row->count, count - 1, memory_order_release);
}

uint32_t holdings_here(const struct holdings *holdings, unsigned block, uint64_t key)
{
	return count_of(holdings, block, key);
}

uint32_t holdings_all(const struct holdings *holdings, uint64_t key)
{
	/* In the one order of sequentially consistent operations: use_block(), count, look. */
	unsigned used = atomic_load_explicit(&holdings->used, memory_order_seq_cst);
	uint32_t sum = 0;

	for (unsigned block = 0; block < used; block++)
		sum += count_of(holdings, block, key);
	return sum;
}

void holdings_clear(struct holdings *holdings, unsigned block)
{
	struct holdings_row *row = &holdings->row[block * holdings->rows];

	/* The memory itself goes, and is all zero when it is used again. */
	if (madvise(row, holdings->rows * sizeof(*row), MADV_REMOVE) == 0)
		return;
	for (size_t i = 0; i < holdings->rows; i++)
		if (atomic_load_explicit(&row[i].count, memory_order_relaxed) > 0)
			atomic_store_explicit(&row[i].count, 0, memory_order_release);
}

size_t holdings_count(const struct holdings *holdings, unsigned block)
{
	const struct holdings_row *row = &holdings->row[block * holdings->rows];
	size_t count = 0;

	for (size_t i = 0; i < holdings->rows; i++)
		count += atomic_load_explicit(&row[i].count, memory_order_relaxed) > 0;
	return count;
}
