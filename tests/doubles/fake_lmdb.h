/*
 * LMDB in memory, for several workers in one program: the mdb_ functions that the store uses, so that
 * all of cache/store runs as it is, but for its check of LMDB's own pages (this file has those
 * functions, too).
 *
 * Data files are known by the inodes of real ones, which stay empty: the directory, its locks and its
 * maps are real.  A transaction sees what was committed when it began; one that writes keeps others
 * waiting.  Bytes that a call returns are a loan that is overwritten when it ends: a view kept for
 * longer is seen.  Pages are counted, not kept: a transaction uses new ones, and those that it frees
 * are free when no reader needs them any more; none left is MDB_MAP_FULL.
 *
 * store_memory_watch(), _fail(), _fail_never() and _forget() of store_memory.h are here as well: a
 * call that fails says EIO, that the map is full, or, when it was to commit, that all is over until
 * the file is opened again.
 */
#ifndef TESTS_DOUBLES_FAKE_LMDB_H
#define TESTS_DOUBLES_FAKE_LMDB_H

#include <stdbool.h>
#include <stdint.h>

/* Whose calls follow. */
void fake_lmdb_be(unsigned worker);

/*
 * The worker was killed: its transaction is gone, and its readers' slots stay taken until somebody
 * checks readers.
 */
void fake_lmdb_die(unsigned worker);

/* The machine went down: nothing is open. */
void fake_lmdb_lose(void);

/* Calls so far, and what they were about: the same for the same run. */
uint64_t fake_lmdb_trace(void);

/* A worker may stop here, or be killed, as at each call; `what` makes the trace, from 16 on. */
void fake_lmdb_stop(unsigned what);

/* Another transaction is under way: wait for it to end, as store_memory_watch() has it. */
void fake_lmdb_wait(void);

#endif
