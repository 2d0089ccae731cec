/*
 * The contract of the record store: a bounded map from key to value, in one directory, shared by
 * the processes that open it.  store.c keeps it in LMDB; tests/doubles/store_memory.c in memory,
 * behind the same symbols: a program links one of them, and test_store.c holds for both.
 *
 * Reading: store_get() gives a view that is valid until store_turn_end(), the next store_begin() or
 * store_close(), whichever is first.  It never writes to disk, never takes a lock and, once warm,
 * allocates nothing.
 *
 * Writing: store_begin() ... store_commit() is one transaction.  To keep waits of other processes
 * short, and because the file may not have room for all of it at once, a long transaction is made
 * in parts: at a point where it no longer needs what it has read, the caller asks
 * store_part_is_done() and calls store_renew(), which commits the part and lets others write.  No
 * other call releases the writers' lock. Each entry is always whole, but store_abort() and a
 * failure undo the last part only.  What a put depends on must be read in the same part.  Only
 * store_close(), which no loop calls, and store_copy(), which runs in its own process, sync to
 * disk.
 *
 * Full: the file never outgrows its size.  Above a high-water mark each put evicts a few entries
 * (SIEVE, evict.h); a put that still does not fit is retried in the next part, and finally dropped:
 * STORE_FULL, and nothing else is lost.  Puts may be dropped, removals may not.
 *
 * Damage (a foreign, truncated or garbled file, or an unclean boot since the last write without
 * sync) is detected by store_open(): the files are set aside or dropped, and the store starts empty
 * or from the last copy; `notice` says so in one line.  What cannot be read as the disk, memory or
 * descriptors fail is not damage: store_open() fails and keeps the files, but from the fifth second
 * in a row on in which the disk fails openings they are set aside.
 */
#ifndef CACHE_STORE_STORE_H
#define CACHE_STORE_STORE_H

#include <stdatomic.h>

#include "cache/base/diagnostic.h"
#include "cache/store/invalidation.h"
#include "cache/store/result.h"

struct store;

struct store_options {
	const char *directory; /* made when missing, mode 0700 */
	uint64_t size;    /* bound on the data file, bytes; its room on disk is reserved at open */
	uint32_t readers; /* processes that may have it open at once */
	uint32_t format;  /* of the values; another format in the file means a fresh store */
	bool exclusive;   /* take the lock of the service: one may use the directory */
	int lock;         /* otherwise the service's, from store_lock(); 0 for none */
	bool copied;      /* copies are made of it; otherwise an old copy is removed */
};

/* What the store holds, for the statistics.  Cheap: kept, not counted. */
struct store_usage {
	uint64_t entries;
	uint64_t bytes_used; /* pages in use */
	uint64_t bytes_size; /* the bound */
	uint64_t evictions;  /* by this process */
	uint64_t failures;   /* failed transactions of this process */
};

/*
 * NULL on failure, with one line in `notice`; on success `notice` is "" or what was found and done.
 * Takes milliseconds, also after a process was killed; but when the file may have been changed, the
 * first process reads every page in use (0.6 s for a GiB) before it trusts the file. With
 * `exclusive` a second service on the same directory fails at once.  A process that forks must open
 * after the fork: the parent holds the exclusive lock with store_lock(), workers open without.
 */
struct store *store_open(const struct store_options *options, struct diagnostic *notice);

/*
 * The lock of `exclusive` alone, for a parent that opens no store itself.  The directory is made
 * when missing.  Returns a descriptor; the lock is held until it, and every copy of it in forked
 * processes, is closed.  -1 with a notice when another service has it, or on failure.
 */
int store_lock(const char *directory, struct diagnostic *notice);

/*
 * Whether the directory's path still names the open files: that of `lock`, or all files of the
 * store.  If not, the directory or a file in it was removed or replaced, and a process that opened
 * the store now would open another one: so all must close this one first.  Costs a few stat(2)
 * calls.
 */
bool store_lock_in_place(const char *directory, int lock);
bool store_in_place(const struct store *store);

/* Marks the store clean, when this is its last user, and releases it. */
void store_close(struct store *store);

/*
 * Make a whole copy of the store, synced to disk, that replaces the last one.  For a process that
 * does not have the store open, as it waits for the disk.  Other processes continue to read and
 * write, but pages that they free are not reused until the store has been read: so a full store
 * takes no puts and no drops until then (STORE_FULL), or until a writer calls store_give_up_copy().
 * STORE_NOT_FOUND when there is nothing to do: nothing was stored since the last copy, or no
 * process has the store open.  STORE_FAILED with a notice.  `wall_s` is saved as the time of the
 * copy.
 */
enum store_result store_copy(const struct store_options *options, int64_t wall_s,
			     struct diagnostic *notice);

/* Remove what is left of a copy whose process was killed, in the directory and in memory. */
void store_copy_clean(const char *directory);

/*
 * A view of a value, 8-aligned; sets its visited bit.  NOT_FOUND, OK or FAILED.  Not within a
 * transaction: use store_read() there.
 */
enum store_result store_get(struct store *store, const struct cache_key *key,
			    struct slice *ret_value);

/* The same for an operator who looks: no bit is set, so that what is evicted does not depend on it. */
enum store_result store_peek(struct store *store, const struct cache_key *key,
			     struct slice *ret_value);

/* Ends the turn's read view, if any; views are invalid from here.  Cheap when nothing was read. */
void store_turn_end(struct store *store);

/* Counts the views that have ended: the generation of store_get()'s views (view.h). */
const uint64_t *store_generation(const struct store *store);
/*
 * Whether the read view includes all removals by invalidations so far (invalidation.h): call it
 * after checking the marks.  True without a view.
 */
bool store_view_is_current(const struct store *store);

enum store_result store_begin(struct store *store);

/* Should this part of the transaction end? */
bool store_part_is_done(const struct store *store);

/* Commit this part, let others write, and continue: values read before are no longer valid. */
enum store_result store_renew(struct store *store);

/* Within a transaction: the value as it stands, valid until the next put or drop. */
enum store_result store_read(struct store *store, const struct cache_key *key,
			     struct slice *ret_value);

/*
 * Put or replace.  `groups` are the cache groups that the value is a member of, for
 * store_group_next(). `value` is not a view of this store.  STORE_PART_FULL changes nothing apart
 * from evictions; it is returned a few times for a key at most, then STORE_FULL, which keeps the
 * old value.  STORE_FULL is final for a value larger than a sixty-fourth of the store (than 4 MiB,
 * from 256 MiB on; than a sixteenth, below 4 MiB).
 */
enum store_result store_put(struct store *store, const struct cache_key *key, struct slice value,
			    const struct cache_key *groups, size_t group_count);

/* Remove a value.  STORE_PART_FULL at most once; STORE_FULL while a copy needs the pages. */
enum store_result store_drop(struct store *store, const struct cache_key *key);

/*
 * Within a transaction: the first member of a group from the key *cursor on; *cursor moves past it.
 * Rows without a member, which only damage can leave, are removed on the way, up to a limit:
 * STORE_PART_FULL when there may be more.  STORE_NOT_FOUND at the end.
 */
enum store_result store_group_next(struct store *store, const struct cache_key *group,
				   struct cache_key *cursor, struct cache_key *ret_key);

enum store_result store_commit(struct store *store);
void store_abort(struct store *store);

/*
 * Up to `limit` values in key order from *cursor on (all zero to begin), outside a write
 * transaction; *cursor moves past them.  `visit` may stop by returning false.  *ret_more is false
 * at the end.
 */
typedef bool (*store_visit)(void *context, const struct cache_key *key, struct slice value);
enum store_result store_walk(struct store *store, struct cache_key *cursor, size_t limit,
			     store_visit visit, void *context, bool *ret_more);

/* Who looks at what this process evicts. */
void store_watch_evicted(struct store *store, store_evicted evicted, void *context);

void store_usage(struct store *store, struct store_usage *ret_usage);

/* Ask for a copy that is being made to end, because its pages are needed. */
void store_give_up_copy(struct store *store);

/*
 * Clear the slots of readers that died, such as a replaced worker.  A put that finds no room does
 * this by itself.
 */
void store_check_readers(struct store *store);

/* Text of the last failure of this process, never NULL. */
const char *store_error(const struct store *store);

/*
 * Call when this process crashes, perhaps because of the file: the next opening checks all of it, and
 * when the like goes on happening, begins it anew (cache/store/note.h).
 * Async-signal-safe.
 */
void store_doubt(struct store *store);

/*
 * Kept beside the store and shared by its processes: the steady clock's lead over the wall clock
 * (cache/base/clock.h) and the latest steady time seen; what was purged, see
 * cache/store/purge_mark.h; and restored_ms, which store_open() sets when it takes a copy of the
 * store in its place: before any steady time that is read from then on, and not before that of any
 * record in the copy.  On disk before the store is marked clean.  Never NULL.
 */
struct store_clock {
	_Atomic int64_t lead_ms;
	_Atomic int64_t latest_ms;
	_Atomic int64_t purged_ms;   /* requests at or before it count as purged; 0 for none */
	_Atomic int64_t removed_ms;  /* the last purge whose records are all removed */
	_Atomic int64_t restored_ms; /* as in cache/base/clock.h; 0 for never */
};
struct store_clock *store_clock(struct store *store);

/* Invalidation times of its keys, shared by its processes, and kept with the store. */
struct invalidations *store_invalidations(struct store *store);

/* For cache_key_set_seed(): random, of the data file, and the same for all that have it open. */
uint64_t store_key_seed(const struct store *store);

/*
 * Raise a time; it never goes back, even when other processes set it at the same moment.
 * Sequentially consistent, because a purge and a clock reading are ordered by two such words
 * (cache/store/purge_mark.c).
 */
static inline void store_clock_raise(_Atomic int64_t *ms, int64_t to_ms)
{
	int64_t was_ms = atomic_load_explicit(ms, memory_order_relaxed);

	while (was_ms < to_ms &&
	       !atomic_compare_exchange_strong_explicit(ms, &was_ms, to_ms, memory_order_seq_cst,
							memory_order_relaxed))
		;
}

#endif
