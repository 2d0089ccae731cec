/* A reserve for the event loop's arrays: handed out from its start, and taken back at its end. */
#include "proxy/loop/loop_memory.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum {
	/*
	 * Arrays have 16 bytes of a descriptor for its watchers, 16 when one of them is due, 12 for its
	 * event, 4 when it changes; they grow to twice their size, and the old one is not given back.
	 */
	PER_DESCRIPTOR = 2 * (16 + 16 + 12 + 4) * 2,
	STACK = 512 << 10,
	LEAST = 64 << 10,
	MOST = 16 << 20,
	ALIGN = 16,
};

struct block {
	_Alignas(ALIGN) size_t size;
};

static char *reserve;
static size_t reserve_size, reserve_used;

bool loop_memory_reserve(uint64_t descriptors)
{
	void *at;

	reserve_used = 0;
	reserve_size = descriptors < MOST / PER_DESCRIPTOR ? descriptors * PER_DESCRIPTOR : MOST;
	if (reserve_size < LEAST)
		reserve_size = LEAST;
	at = mmap(NULL, reserve_size, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	reserve = at == MAP_FAILED ? NULL : at;
	return reserve != NULL;
}

/* The kernel adds pages to the stack as they are used, and where it cannot, ends the process. */
static __attribute__((noinline)) void stack_reserve(void)
{
	volatile char used[STACK];

	for (size_t at = 0; at < sizeof(used); at += 1024)
		used[at] = 0;
	(void)used[0];
}

bool loop_memory_setup(void)
{
	struct rlimit limit;

	stack_reserve();
	return getrlimit(RLIMIT_NOFILE, &limit) == 0 && loop_memory_reserve(limit.rlim_cur);
}

static bool is_reserve(const void *memory)
{
	return memory != NULL && (uintptr_t)memory - (uintptr_t)reserve < reserve_size;
}

static struct block *block_of(void *memory)
{
	return (struct block *)memory - 1;
}

static void *reserve_take(size_t size)
{
	size_t whole = sizeof(struct block) + (size + ALIGN - 1) / ALIGN * ALIGN;
	struct block *block;

	if (reserve == NULL || whole > reserve_size - reserve_used)
		return NULL;
	block = (void *)(reserve + reserve_used);
	reserve_used += whole;
	block->size = whole - sizeof(*block);
	return block + 1;
}

static void give_back(void *memory)
{
	struct block *block;

	if (!is_reserve(memory)) {
		free(memory);
		return;
	}
	block = block_of(memory);
	/* One with others behind it stays: arrays seldom shrink, and there are a few. */
	if ((char *)memory + block->size == reserve + reserve_used)
		reserve_used = (size_t)((char *)block - reserve);
}

static size_t size_of(void *memory)
{
	return is_reserve(memory) ? block_of(memory)->size : malloc_usable_size(memory);
}

void *loop_memory_resize(void *memory, long size)
{
	void *to = NULL;
	size_t keep;

	if (size <= 0) {
		give_back(memory);
		return NULL;
	}
	if (!is_reserve(memory))
		to = realloc(memory, (size_t)size);
	else if (block_of(memory)->size >= (size_t)size)
		return memory;
	else
		to = malloc((size_t)size);
	if (to != NULL && !is_reserve(memory))
		return to;
	if (to == NULL)
		to = reserve_take((size_t)size);
	if (to == NULL)
		return NULL;
	if (memory != NULL) {
		keep = size_of(memory);
		memcpy(to, memory, keep < (size_t)size ? keep : (size_t)size);
		give_back(memory);
	}
	return to;
}
