/*
 * A note of what the data file looked like after the last commit, in memory shared by the store's
 * processes (shared_map.h), which the kernel keeps when they are killed.
 *
 * With it a file whose last user died without closing it can be trusted like one that was closed:
 * if it is exactly as the last commit left it, nothing else has changed it.  Being killed at any
 * moment does no harm in itself: an unfinished commit is in pages that are not yet part of the
 * tree, and the kernel keeps what was written.  The note has to detect changes by other programs.
 * So each writer compares the file with the note before it changes anything, under a lock that the
 * previous writer released only after taking its note.  If they differ, the file was changed by
 * another program, or a writer died between its write and its note: it is *doubted* from then on,
 * whatever is noted later.  It is also doubted after a process crashed, since the file may have
 * been the cause.  Doubt ends when every page has been checked, or the file was replaced.
 *
 * What the check finds no fault with may still be what processes die of.  So crashes are counted: when
 * there were STORE_CRASHES_MAX with few commits between them, the file is not used any more.
 *
 * A file is compared by inode, length, ctime, which no program can set, and the number of the last
 * transaction in its head.  A change within the same tick of the kernel's clock (at most 10 ms) as
 * the last commit is not detected; the same holds after a clean end, and records have checksums.
 *
 * The map also has flags between writers and the process that makes a copy of the store (copy.h),
 * whose reader keeps pages from being reused.
 *
 * All zero means no note.  Garbage is a note that does not match, which costs a full check, or at worst one of
 * crashes that never were, which costs the file.
 */
#ifndef CACHE_STORE_NOTE_H
#define CACHE_STORE_NOTE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cache/store/files.h"

enum {
	STORE_CRASHES_MAX = 3,
	STORE_CRASH_COMMITS = 1000, /* a file that had more of them since then is not the cause */
	/*
	 * Seconds with openings that end so: from then on the disk's failure will not pass.  systemd starts a
	 * service five times within ten seconds, and not again: the last of them is to begin anew.
	 */
	STORE_UNREAD_MAX = 4,
};

/*
 * `taken`, `look` and `transaction` are written and read under the store's writer lock, which
 * orders them between processes.  The flags order nothing else, so their accesses are relaxed,
 * except where copy.c announces that pages are kept.
 */
struct store_note {
	_Atomic uint32_t taken; /* 1 when what follows holds */
	_Atomic uint32_t doubted;
	_Atomic uint32_t crashes; /* that may be the file's fault */
	_Atomic uint32_t
		unread; /* openings in a row that a failure of the disk has ended: note.c */
	struct store_look look;
	uint64_t transaction;
	uint64_t acquitted; /* the last transaction when the file was checked after a crash */
	_Atomic uint32_t
		copying; /* 1 while a copy is read: writers keep a margin (cache/store/room.h) */
	_Atomic uint32_t give_way; /* 1 when writers need the pages: the copy is given up */
};

/* Whether the file of `fd` matches the note, and was never doubted. */
bool store_note_holds(const struct store_note *note, int fd, uint64_t transaction);

/* Note it.  A process killed in the middle leaves no note. */
void store_note_take(struct store_note *note, int fd, uint64_t transaction);

/* At any time, from any process, also in a signal handler: the second is for a process that crashes. */
void store_note_doubt(struct store_note *note);
void store_note_crash(struct store_note *note);

/*
 * For the first process, once it has found no fault with the file: the note to begin with, with the crashes
 * that are to be kept in mind.  False: there were so many that the file is to be blamed nevertheless.
 */
bool store_note_acquit(const struct store_note *note, uint64_t transaction, struct store_note *ret);
bool store_note_is_doubted(const struct store_note *note);

/*
 * The disk failed when the first process read the file.  False when it did so in each of the last
 * STORE_UNREAD_MAX seconds that had openings: then this will not pass.  Workers that are replaced open the file
 * many times within a moment, which count once.  A file that is opened has a note without any.
 */
bool store_note_unread(struct store_note *note);

#endif
