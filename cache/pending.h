/*
 * Writes that wait for the store: a bounded queue, grouped by key; operations of one key stay in
 * order.
 *
 * The queue owns its operations and the bytes they need; pending_take() hands them over.
 */
#ifndef CACHE_PENDING_H
#define CACHE_PENDING_H

#include "cache/record/record.h"

enum pending_kind {
	PENDING_PUT,   /* add a record to the entry */
	PENDING_CLEAN, /* remove what is damaged */
};

/* An operation, and the next one of the same key. */
struct pending_op {
	struct pending_op *next;
	struct cache_key key;
	enum pending_kind kind;
	struct slice uri;    /* normal form */
	struct slice record; /* 8-aligned; empty for PENDING_CLEAN */
};

struct pending {
	struct pending_item *keys; /* the first operation of each key, in the order they came */
	size_t count;              /* operations */
	size_t limit;
	size_t bytes;
	bool urgent; /* many bytes, or many operations of one key: flush now */
};

void pending_init(struct pending *pending, size_t limit);

/* Forget all. */
void pending_fini(struct pending *pending);

/*
 * Copies its arguments.  Returns false, and changes nothing, when the queue is full or memory has
 * run out.  Removals are accepted beyond the limit, and make the queue urgent.
 */
bool pending_add(struct pending *pending, enum pending_kind kind, const struct cache_key *key,
		 struct slice uri, struct slice record);

/* Whether an operation of this key waits.  Allocates nothing. */
bool pending_has(const struct pending *pending, const struct cache_key *key);

/* All operations of the key that waits longest, oldest first; NULL when there are none. */
struct pending_op *pending_take(struct pending *pending);

/* Those of this key; NULL when there are none. */
struct pending_op *pending_take_key(struct pending *pending, const struct cache_key *key);

/* Release what pending_take() and pending_take_key() returned. */
void pending_release(struct pending_op *ops);

#endif
