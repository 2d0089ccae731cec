/* Private to the store: shared by store.c, rows.c and open.c only. */
#ifndef CACHE_STORE_IMPL_H
#define CACHE_STORE_IMPL_H

#include "cache/store/evict.h"
#include "cache/store/files.h"
#include "cache/store/note.h"
#include "cache/store/result.h"
#include "cache/store/shared_map.h"
#include "cache/store/tables.h"
#include "cache/store/value.h"

/* Shared by all processes, beside the tables; the visited bits follow. */
struct store_shared {
	uint64_t bound;           /* of the data file, set by the first process to open it */
	struct store_place place; /* the files it opened, which all others must open */
	struct evict_state evict;
};

/*
 * Values read in this view, by key, direct-mapped.  A popular key is read many times in a turn of
 * the loop while the view does not change: so the tree is walked once.
 */
enum { STORE_RECENT = 64 };

struct store_recent {
	struct cache_key key;
	struct slice value;
	uint64_t generation; /* of the view it was read in */
	uint32_t slot;
};

/* What a failed put has still to pay when it is retried in the next part. */
struct store_debt {
	struct cache_key key;
	uint64_t due; /* as in struct put_job */
	unsigned victims;
	unsigned tries; /* 0 when there is none */
};

struct store {
	struct tables tables;
	uint64_t view_retired; /* invalidation_retired() when the view was begun */
	struct store_recent recent[STORE_RECENT];
	struct store_room room;
	uint64_t virgin;     /* pages in one run at the end of the file when the part began */
	uint64_t sequence;   /* the last given out in this part, 0 when not yet known */
	unsigned hand_steps; /* left for this part */
	struct store_shared *shared;
	struct evict_bits bits;
	struct store_note *note;
	bool note_was_cached; /* before it was read: store_files_is_cached() */
	bool noting;          /* the lock of writers is held, to note what comes of this part */
	struct shared_map visited_map, clock_map, note_map, invalidations_map;
	struct store_files files;
	struct store_place place;
	bool copied;
	bool invalidations_lost; /* the map was created anew */
	bool clock_lost;         /* the same */
	bool renewed;            /* the data was replaced: empty, or an older copy */
	uint64_t evictions, failures;
	store_evicted evicted; /* NULL for none */
	void *evicted_context;
	struct cache_key old_groups[STORE_GROUPS_MAX];
	struct store_debt debt;
	char directory[4096];
};

/* Of the map that holds a struct store_clock. */
extern const struct shared_map_spec store_clock_spec;

/* Of the map that holds a struct store_note. */
extern const struct shared_map_spec store_note_spec;

/* A row of the groups table; it has no value. */
struct group_row {
	struct cache_key group, key;
};

/* A put under way. */
struct put_job {
	const struct cache_key *key;
	struct slice value;
	const struct cache_key *groups;
	size_t group_count, stored_size;
	uint64_t due;     /* bytes of victims still to be paid */
	unsigned victims; /* still to be asked for */
	bool at_mark;     /* it failed because the store is full, not the part */
};

/* A damaged value counts as absent; the next put replaces it. */
enum store_result rows_get(struct store *store, enum tables_side side, const struct cache_key *key,
			   struct store_value *ret_value);

/*
 * Put an entry into all tables, or remove it from them, within a transaction.  One that replaces
 * another keeps its place in the order and its visited bit.  `value` is the result of rows_get().
 */
enum store_result rows_write(struct store *store, const struct put_job *put);
enum store_result rows_delete(struct store *store, const struct cache_key *key,
			      const struct store_value *value);

/* The pages that putting or dropping a value of that size and so many group rows may change. */
struct store_change rows_change(const struct store *store, size_t stored_size, size_t group_rows);

/*
 * Evict until *due bytes are paid or *victims is 0; both decrease with each victim.  Stops early,
 * with STORE_OK, when there is nothing to evict (then nothing is due) or no room in this part to do
 * it.
 */
enum store_result rows_evict(struct store *store, uint64_t *due, unsigned *victims);

#endif
