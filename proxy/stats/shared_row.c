/* Rows in shared memory that are whole or passed over. */
#include "proxy/stats/shared_row.h"

#include <string.h>
#include <sys/mman.h>

static uint64_t mix(uint64_t check, uint64_t word)
{
	check = (check ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return check ^ check >> 29;
}

/* The bytes as a word; those behind the end are 0. */
static uint64_t word_at(const unsigned char *bytes, size_t size, size_t at)
{
	uint64_t word = 0;

	memcpy(&word, bytes + at, size - at < sizeof(word) ? size - at : sizeof(word));
	return word;
}

void shared_row_write(_Atomic uint64_t *row, uint64_t ticket, const void *content, size_t size)
{
	uint64_t check = mix(0, ticket);

	atomic_store_explicit(&row[0], 0, memory_order_relaxed);
	/* No word is seen before the ticket is gone. */
	atomic_thread_fence(memory_order_release);
	for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
		uint64_t word = word_at(content, size, at);

		check = mix(check, word);
		atomic_store_explicit(&row[2 + at / sizeof(word)], word, memory_order_relaxed);
	}
	atomic_store_explicit(&row[1], check, memory_order_relaxed);
	/* The ticket is not seen before all words are. */
	atomic_store_explicit(&row[0], ticket, memory_order_release);
}

uint64_t shared_row_read(const _Atomic uint64_t *row, void *ret_content, size_t size)
{
	uint64_t ticket = atomic_load_explicit(&row[0], memory_order_acquire);
	uint64_t check = mix(0, ticket);
	unsigned char *to = ret_content;

	if (ticket == 0)
		return 0;
	for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
		uint64_t word =
			atomic_load_explicit(&row[2 + at / sizeof(word)], memory_order_relaxed);

		check = mix(check, word);
		memcpy(to + at, &word, size - at < sizeof(word) ? size - at : sizeof(word));
	}
	if (atomic_load_explicit(&row[1], memory_order_relaxed) != check)
		return 0;
	/* No word is read after the ticket is looked at again. */
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&row[0], memory_order_relaxed) == ticket ? ticket : 0;
}

void *shared_map(size_t size)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return map == MAP_FAILED ? NULL : map;
}
