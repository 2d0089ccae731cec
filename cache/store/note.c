/* What the data file looked like after the last commit, and whether it is doubted. */
#include "cache/store/note.h"

#include <time.h>

/* In `unread`: how many, and above that the second on the boot clock of the last that was counted. */
enum { UNREAD_BITS = 8, UNREAD_COUNT = (1 << UNREAD_BITS) - 1 };

bool store_note_holds(const struct store_note *note, int fd, uint64_t transaction)
{
	struct store_look now;

	return atomic_load_explicit(&note->taken, memory_order_relaxed) == 1 &&
	       !store_note_is_doubted(note) && note->transaction == transaction &&
	       store_files_look(fd, &now) && store_look_eq(&note->look, &now);
}

/*
 * The fences are for the compiler: a process killed between two stores must have made the first.
 * Later readers get the writer lock from the kernel, which orders memory between processes.
 */
void store_note_take(struct store_note *note, int fd, uint64_t transaction)
{
	struct store_look now;
	bool looked = store_files_look(fd, &now);

	atomic_store_explicit(&note->taken, 0, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	if (!looked)
		return;
	note->look = now;
	note->transaction = transaction;
	atomic_signal_fence(memory_order_seq_cst);
	atomic_store_explicit(&note->taken, 1, memory_order_relaxed);
}

void store_note_doubt(struct store_note *note)
{
	atomic_store_explicit(&note->doubted, 1, memory_order_relaxed);
}

void store_note_crash(struct store_note *note)
{
	atomic_fetch_add_explicit(&note->crashes, 1, memory_order_relaxed);
	store_note_doubt(note);
}

bool store_note_acquit(const struct store_note *note, uint64_t transaction, struct store_note *ret)
{
	uint32_t crashes = atomic_load_explicit(&note->crashes, memory_order_relaxed);
	/* If the number went back, it is another file. */
	bool is_long_ago = note->acquitted > transaction ||
			   transaction - note->acquitted > STORE_CRASH_COMMITS;

	*ret = (struct store_note){0};
	/* Without a crash since then nothing is looked at, and commits go on being counted from there. */
	if (crashes == 0 || (is_long_ago && !store_note_is_doubted(note)))
		return true;
	ret->crashes = is_long_ago ? 1 : crashes;
	ret->acquitted = store_note_is_doubted(note) ? transaction : note->acquitted;
	return ret->crashes < STORE_CRASHES_MAX;
}

bool store_note_is_doubted(const struct store_note *note)
{
	return atomic_load_explicit(&note->doubted, memory_order_relaxed) != 0;
}

static uint32_t boot_second(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint32_t)now.tv_sec << UNREAD_BITS;
}

bool store_note_unread(struct store_note *note)
{
	uint32_t before = atomic_load_explicit(&note->unread, memory_order_relaxed);
	uint32_t count = before & UNREAD_COUNT, now = boot_second();

	if (count > 0 && (before & ~(uint32_t)UNREAD_COUNT) == now)
		return true;
	if (count >= STORE_UNREAD_MAX)
		return false;
	atomic_store_explicit(&note->unread, now | (count + 1), memory_order_relaxed);
	return true;
}
