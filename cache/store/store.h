/*
 * The contract of the record store: a bounded map from key to value, in one directory, shared by
 * the processes that open it.  store.c keeps it in LMDB; tests/doubles/store_memory.c in memory,
 * behind the same symbols: a program links one of them, and test_store.c holds for both.
 *
 * Reading: store_get() gives a view that is valid until store_turn_end(), the next store_begin() or
 * store_close(), whichever is first.  It never writes to disk, never takes a lock and, once warm,
 * allocates nothing.
 *
 * Writing: store_begin() ... store_commit() is one transaction.  So that other processes wait
 * little and the file need not have room for all of it at once, a long one is made in parts: the
 * caller asks store_part_is_done() where it holds nothing that it has read, and calls
 * store_renew(), which commits what there is and lets others write.  No other call lets go of the
 * writers' lock. Each entry is always whole, but store_abort() and a failure undo the last part
 * only.  Read what a put depends on in the part of that put.  Nothing is ever synced to disk here
 * but by store_close(), which no loop calls, and, in a process of its own, by store_copy().
 *
 * Full: the file never outgrows its size.  Above a high-water mark each put evicts a few entries
 * (SIEVE, evict.h); a put that still does not fit is to be tried in the next part, and at last
 * dropped: STORE_FULL, and nothing else is lost.  A store may always forget.
 *
 * Damage (a foreign, truncated or garbled file, or an unclean boot since the last write without
 * sync) is found by store_open(): the files are set aside or dropped, and a fresh store is begun,
 * or one from the copy that was made last; `notice` says so in one line.
 */
#ifndef CACHE_STORE_STORE_H
#define CACHE_STORE_STORE_H

#include <stdatomic.h>

#include "cache/store/invalidation.h"
#include "cache/store/result.h"

struct store;

struct store_options {
	const char *directory; /* made when missing, mode 0700 */
	uint64_t size;    /* bound on the data file, bytes; its room on disk is reserved at open */
	uint32_t readers; /* processes that may have it open at once */
	uint32_t format;  /* of the values; another format in the file means a fresh store */
	bool exclusive;   /* take the lock of the one service that may use the directory */
	int lock;         /* else the one that the service holds, store_lock(); 0 for none */
	bool copied;      /* copies are made of it; without, one that is left is removed */
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
 * A matter of milliseconds, also after a process was killed; but when the file is not as it was
 * left, the first to open reads every page in use (0.6 s for a GiB) before it trusts the file. With
 * `exclusive` a second service on the same directory fails at once.  A process that forks must open
 * after the fork: the parent holds the exclusive lock with store_lock(), workers open without.
 */
struct store *store_open(const struct store_options *options, char *notice, size_t notice_size);

/*
 * The lock of `exclusive` alone, for a parent that opens no store itself.  The directory is made
 * when missing.  Returns a descriptor; the lock is held until it, and every copy of it in forked
 * processes, is closed.  -1 with a notice when another service has it, or on failure.
 */
int store_lock(const char *directory, char *notice, size_t notice_size);

/*
 * Whether the directory's path still names what is open here: the file of `lock`, or all files of
 * the store.  If not, the directory or a file in it was removed or exchanged; a process that opens
 * the store then would open another one, so nobody may before all have closed this one.  Some
 * stat(2) each.
 */
bool store_lock_in_place(const char *directory, int lock);
bool store_in_place(const struct store *store);

/* Marks the store clean, when this is its last user, and releases it. */
void store_close(struct store *store);

/*
 * Make a copy of the store, on disk and whole, in the place of the one before.  For a process that
 * has nothing of the store open, and may take as long as the disk: the others go on reading and
 * writing, but pages that they free meanwhile are not used again before the store has been read: so
 * one that is full takes no puts and no drops until then (STORE_FULL), or until a writer says
 * store_give_up_copy().  STORE_NOT_FOUND when there is nothing to do: nothing was stored since the
 * last copy, or nobody has the store open.  STORE_FAILED with a notice.  `wall_s` is told to who
 * takes the copy one day.
 */
enum store_result store_copy(const struct store_options *options, int64_t wall_s, char *notice,
			     size_t notice_size);

/* Remove what is left of a copy whose process was killed, in the directory and in memory. */
void store_copy_clean(const char *directory);

/*
 * A value's view, 8-aligned, and its visited bit set.  NOT_FOUND, OK or FAILED.  Not within a
 * transaction: there it is store_read().
 */
enum store_result store_get(struct store *store, const struct cache_key *key,
			    struct slice *ret_value);

/* Ends the turn's read view, if any; views are invalid from here.  Cheap when nothing was read. */
void store_turn_end(struct store *store);

/* Counts the views that have ended: the generation of what store_get() gives (view.h). */
const uint64_t *store_generation(const struct store *store);
/*
 * Whether the read view shows all that invalidations have removed by now (invalidation.h): to be
 * asked after the marks were heeded.  True without a view.
 */
bool store_view_is_current(const struct store *store);

enum store_result store_begin(struct store *store);

/* Time to end this part of the transaction? */
bool store_part_is_done(const struct store *store);

/*
 * Commit what there is, let others write, and go on: what was read before does not hold any more.
 */
enum store_result store_renew(struct store *store);

/* Within a transaction: the value as it stands, valid until the next put or drop. */
enum store_result store_read(struct store *store, const struct cache_key *key,
			     struct slice *ret_value);

/*
 * Put or replace.  `groups` are the cache groups that the value is a member of, for
 * store_group_next(). `value` is not a view of this store.  STORE_PART_FULL changes nothing but
 * what was evicted; it comes a few times for a key at most, then STORE_FULL, which leaves the old
 * value, and is final for a value of more than a sixty-fourth of the store (of 4 MiB, from 256 MiB
 * on; a sixteenth below 4 MiB).
 */
enum store_result store_put(struct store *store, const struct cache_key *key, struct slice value,
			    const struct cache_key *groups, size_t group_count);

/* STORE_PART_FULL once at most before it is done; STORE_FULL while a copy needs the pages. */
enum store_result store_drop(struct store *store, const struct cache_key *key);

/*
 * Within a transaction: the first member of a group from the key *cursor on; *cursor moves past it.
 * Rows of what is no member, which only damage leaves, are removed on the way, up to `limit`:
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

void store_usage(struct store *store, struct store_usage *ret_usage);

/* A copy that is being made stands in the way for too long: it is to end. */
void store_give_up_copy(struct store *store);

/*
 * Clear the slots of readers that died: of a worker, when it is replaced.  A put that finds no room
 * does so by itself.
 */
void store_check_readers(struct store *store);

/* Text of the last failure of this process, never NULL. */
const char *store_error(const struct store *store);

/*
 * This process dies of a fault, which may be the file's: the next opening reads all of it.  For
 * signal handlers: async-signal-safe.
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
	_Atomic int64_t
		purged_ms; /* what was asked for at or before it counts as absent; 0 for nothing */
	_Atomic int64_t removed_ms;  /* the purge of which no record is left in the store */
	_Atomic int64_t restored_ms; /* as in cache/base/clock.h; 0 for never */
};
struct store_clock *store_clock(struct store *store);

/* When its keys were invalidated, shared by its processes, and kept with the store. */
struct invalidations *store_invalidations(struct store *store);

/* For cache_key_set_seed(): random, of the data file, and the same for all that have it open. */
uint64_t store_key_seed(const struct store *store);

/*
 * Time in it goes forward, whoever else sets it at the same moment.  Sequentially consistent when
 * it does: a purge and a reading of the clock meet in two such words (cache/store/purge_mark.c).
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
