/*
 * What the data file looked like after the last commit: a note in memory that the store's processes
 * share (shared_map.h), kept by the kernel when they are killed.
 *
 * With it a file whose last user died without closing it can be trusted like one that was closed:
 * when it is exactly as the last commit left it, nobody has touched it since.  That the dead were
 * killed at any moment does no harm in itself: what a commit has not finished is in pages that the
 * tree does not have yet, and the kernel keeps what was written.  What the note must find is the
 * touch of somebody else.  So each writer compares before it changes anything, under a lock that
 * the writer before it gave back only after it had taken its note: a file that is not as noted then
 * was touched, or written by one that died between its write and its note, and is *doubted* from
 * there on, whatever is noted later.  It also is after a process that died of a fault of its own,
 * which may be the file's.  Doubt ends when every page has been read, or the file was replaced.
 *
 * A file is compared by inode, length, the time of its last change, which no program can set, and
 * the number of the last transaction in its head.  Of what this cannot see, the touch of somebody
 * else in the very tick of the kernel's clock (10 ms at most) in which the last commit was noted,
 * there is as much after a clean end; records have checksums of their own.
 *
 * Beside it stands what writers and the process that makes a copy of the store (copy.h) have to
 * tell each other: its reader keeps pages from being used again.
 *
 * All zero is no note.  Rubbish is at worst a note that does not match: the slow way.
 */
#ifndef CACHE_STORE_NOTE_H
#define CACHE_STORE_NOTE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cache/store/files.h"

/*
 * `taken`, `look` and `transaction` are written and read under the store's writer lock, which
 * orders them between processes.  The flags stand for themselves: nothing else is read because of
 * them, so their accesses are relaxed, but where copy.c says that pages are kept from now on.
 */
struct store_note {
	_Atomic uint32_t taken; /* 1 when what follows holds */
	_Atomic uint32_t doubted;
	struct store_look look;
	uint64_t transaction;
	_Atomic uint32_t
		copying; /* 1 while a copy is read: some room is left alone (cache/store/room.h) */
	_Atomic uint32_t give_way; /* 1 when writers cannot wait any more: the copy is given up */
};

/* Is that how the file of `fd` looks, and was it never doubted? */
bool store_note_holds(const struct store_note *note, int fd, uint64_t transaction);

/* Note it.  A process killed in the middle leaves no note. */
void store_note_take(struct store_note *note, int fd, uint64_t transaction);

/* At any time, from any process, also in a signal handler. */
void store_note_doubt(struct store_note *note);
bool store_note_is_doubted(const struct store_note *note);

#endif
