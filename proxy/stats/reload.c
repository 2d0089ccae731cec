/* What became of the last reload, in shared memory. */
#include "proxy/stats/reload.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	WORDS = (sizeof(struct reload_result) + 7) / 8,
	TRIES_MAX = 10000,
	LAYOUT = 1, /* of both structures: another number whenever a member changes */
};

/*
 * The words are written between two steps of `sequence`, which is odd meanwhile: who reads them
 * while it is, or steps on, reads again.
 */
struct reload {
	_Atomic uint64_t layout;
	_Atomic uint64_t asked;
	_Atomic uint64_t sequence;
	_Atomic uint64_t word[WORDS];
};

static struct reload *map(int file)
{
	int flags = file < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED;
	void *map = mmap(NULL, sizeof(struct reload), PROT_READ | PROT_WRITE, flags, file, 0);

	return map == MAP_FAILED ? NULL : map;
}

struct reload *reload_map(int *ret_file)
{
	int file = memfd_create("cache204-reload", MFD_CLOEXEC);
	struct reload_result first = {.generation = 1, .ok = true};
	struct reload *reload;

	if (file >= 0 && ftruncate(file, sizeof(*reload)) != 0) {
		close(file);
		file = -1;
	}
	*ret_file = file;
	reload = map(file);
	if (reload == NULL)
		return NULL;
	atomic_store_explicit(&reload->layout, LAYOUT, memory_order_relaxed);
	reload_answer(reload, &first);
	return reload;
}

struct reload *reload_map_again(int *file, uint64_t asked)
{
	struct reload *reload = NULL;
	struct stat status;

	if (*file >= 0 && fstat(*file, &status) == 0 && status.st_size == sizeof(*reload))
		reload = map(*file);
	if (reload != NULL && atomic_load_explicit(&reload->layout, memory_order_relaxed) == LAYOUT)
		return reload;
	if (*file >= 0)
		close(*file);
	reload = reload_map(file);
	if (reload != NULL)
		atomic_store_explicit(&reload->asked, asked, memory_order_relaxed);
	return reload;
}

uint64_t reload_ask(struct reload *reload)
{
	return atomic_fetch_add_explicit(&reload->asked, 1, memory_order_relaxed) + 1;
}

uint64_t reload_asked(const struct reload *reload)
{
	return atomic_load_explicit(&reload->asked, memory_order_relaxed);
}

void reload_answer(struct reload *reload, const struct reload_result *result)
{
	uint64_t sequence = atomic_load_explicit(&reload->sequence, memory_order_relaxed);
	uint64_t words[WORDS] = {0};

	memcpy(words, result, sizeof(*result));
	atomic_store_explicit(&reload->sequence, sequence + 1, memory_order_relaxed);
	/* No word is seen before the odd number. */
	atomic_thread_fence(memory_order_release);
	for (size_t i = 0; i < WORDS; i++)
		atomic_store_explicit(&reload->word[i], words[i], memory_order_relaxed);
	atomic_store_explicit(&reload->sequence, sequence + 2, memory_order_release);
}

bool reload_read(const struct reload *reload, struct reload_result *ret_result)
{
	uint64_t words[WORDS], before, after;
	unsigned tries = TRIES_MAX;

	do {
		if (tries-- == 0)
			return false; /* its writer was stopped */
		before = atomic_load_explicit(&reload->sequence, memory_order_acquire);
		for (size_t i = 0; i < WORDS; i++)
			words[i] = atomic_load_explicit(&reload->word[i], memory_order_relaxed);
		/* No word is read after the number. */
		atomic_thread_fence(memory_order_acquire);
		after = atomic_load_explicit(&reload->sequence, memory_order_relaxed);
	} while (before != after || before % 2 != 0);
	memcpy(ret_result, words, sizeof(*ret_result));
	return true;
}
