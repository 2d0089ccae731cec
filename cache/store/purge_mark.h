/*
 * The mark of a purge: a time on the steady clock, kept beside the store, at or before which
 * everything counts as absent.
 *
 * It is in force at once for all processes and all keys, however much is stored: a record received
 * at or before it is not found (entry_select()), and a response requested at or before it is not
 * stored (purge_mark_overtakes()).  The two leave no gap: the mark is later than every reading of
 * the clock (struct store_clock) that was made before it was set, and every later reading is later
 * than the mark.
 *
 * Here, "now" must have been read just now, not at the beginning of a turn.
 */
#ifndef CACHE_STORE_PURGE_MARK_H
#define CACHE_STORE_PURGE_MARK_H

#include "cache/store/store.h"

/* The mark; 0 for none. */
int64_t purge_mark(struct store *store);

/* Set the mark. */
void purge_mark_set(struct store *store, int64_t now_ms);

/* Was the mark set after this request was sent? */
bool purge_mark_overtakes(struct store *store, int64_t request_steady_ms);

/* Do records from before the mark remain to be removed? */
bool purge_mark_is_due(struct store *store);

/* Record that all records from before that mark have been removed. */
void purge_mark_removed(struct store *store, int64_t mark_ms);

#endif
