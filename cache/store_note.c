/* What the data file looked like after the last commit, and whether it is doubted. */
#include "cache/store_note.h"

bool store_note_holds(const struct store_note *note, int fd, uint64_t transaction)
{
	struct store_look now;

	return note->taken == 1 && !store_note_is_doubted(note) &&
	       note->transaction == transaction && store_files_look(fd, &now) &&
	       store_look_eq(&note->look, &now);
}

/* The fences are for the compiler: who is killed between two stores has made the first. */
void store_note_take(struct store_note *note, int fd, uint64_t transaction)
{
	struct store_look now;
	bool looked = store_files_look(fd, &now);

	__atomic_store_n(&note->taken, 0, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (!looked)
		return;
	note->look = now;
	note->transaction = transaction;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(&note->taken, 1, __ATOMIC_RELAXED);
}

void store_note_doubt(struct store_note *note)
{
	__atomic_store_n(&note->doubted, 1, __ATOMIC_RELAXED);
}

bool store_note_is_doubted(const struct store_note *note)
{
	return __atomic_load_n(&note->doubted, __ATOMIC_RELAXED) != 0;
}
