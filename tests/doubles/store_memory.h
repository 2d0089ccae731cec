/*
 * The record store in memory: the symbols of store.h, for tests of what is built upon it,
 * with hooks to make it fail.  What is put stays, by directory, as long as the program runs.
 */
#ifndef TESTS_DOUBLES_STORE_MEMORY_H
#define TESTS_DOUBLES_STORE_MEMORY_H

#include "cache/store/store.h"

/*
 * Let the n-th call from now on, 0 for the next, of those that return an enum store_result, return
 * `result` and do nothing.  STORE_FAILED within a transaction ends it, as on disk.  Once only.
 */
void store_memory_fail(unsigned n, enum store_result result);

/* No failure any more; true when the one that was ordered has happened. */
bool store_memory_fail_never(void);

/*
 * `call` is called at the beginning of each call of the store, and may have another store on the
 * same directory go on before it returns; `wait` when a transaction has to wait for another's,
 * until that has ended.  NULL for neither.
 */
void store_memory_watch(void (*call)(void), void (*wait)(void));

/* Forget all directories; no store may be open. */
void store_memory_forget(void);

#endif
