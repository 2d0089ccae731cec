/* The queue of writes that wait for the store. */
#include "cache/pending.h"

#include <stdlib.h>

/* Out of memory, the table stays as it was and the element shows it (uthash 2.3). */
#define HASH_NONFATAL_OOM 1
#include "cache/base/table.h"

enum {
	PENDING_BYTES_MAX = 8 << 20,
	PENDING_KEY_OPS_MAX = 64,
};

struct pending_item {
	struct pending_op op;      /* first: the queue's user sees only this */
	struct pending_item *last; /* of the key; these two in its first item only */
	size_t ops;
	size_t size;
	UT_hash_handle hh;
	_Alignas(RECORD_ALIGN) char bytes[]; /* record, URI */
};

static struct pending_item *item_new(enum pending_kind kind, const struct cache_key *key,
				     struct slice uri, struct slice record)
{
	size_t size = sizeof(struct pending_item) + record.n + uri.n;
	struct pending_item *item = malloc(size);

	if (item == NULL)
		return NULL;
	*item = (struct pending_item){.op = {.key = *key, .kind = kind}, .size = size, .ops = 1};
	item->last = item;
	if (record.n > 0)
		memcpy(item->bytes, record.p, record.n);
	item->op.record = slice_of(item->bytes, record.n);
	memcpy(item->bytes + record.n, uri.p, uri.n);
	item->op.uri = slice_of(item->bytes + record.n, uri.n);
	return item;
}

static struct pending_item *find(const struct pending *pending, const struct cache_key *key)
{
	struct pending_item *found;

	HASH_FIND(hh, pending->keys, key, sizeof(*key), found);
	return found;
}

void pending_init(struct pending *pending, size_t limit)
{
	*pending = (struct pending){.limit = limit};
}

void pending_fini(struct pending *pending)
{
	struct pending_op *ops;

	while ((ops = pending_take(pending)) != NULL)
		pending_release(ops);
}

bool pending_add(struct pending *pending, enum pending_kind kind, const struct cache_key *key,
		 struct slice uri, struct slice record)
{
	struct pending_item *first, *item;

	bool full = pending->count >= pending->limit;

	if ((full && kind == PENDING_PUT) || (item = item_new(kind, key, uri, record)) == NULL)
		return false;
	first = find(pending, key);
	if (first != NULL) {
		first->last->op.next = &item->op;
		first->last = item;
		first->ops++;
	} else {
		first = item;
		HASH_ADD(hh, pending->keys, op.key, sizeof(item->op.key), item);
		if (item->hh.tbl == NULL) {
			free(item);
			return false;
		}
	}
	pending->count++;
	pending->bytes += item->size;
	pending->urgent |=
		full || pending->bytes > PENDING_BYTES_MAX || first->ops >= PENDING_KEY_OPS_MAX;
	return true;
}

bool pending_has(const struct pending *pending, const struct cache_key *key)
{
	return pending->keys != NULL && find(pending, key) != NULL;
}

static struct pending_op *take(struct pending *pending, struct pending_item *first)
{
	struct pending_item *item;

	if (first == NULL)
		return NULL;
	HASH_DELETE(hh, pending->keys, first);
	for (item = first; item != NULL; item = (struct pending_item *)(void *)item->op.next) {
		pending->count--;
		pending->bytes -= item->size;
	}
	if (pending->keys == NULL)
		pending->urgent = false;
	return &first->op;
}

struct pending_op *pending_take(struct pending *pending)
{
	return take(pending, pending->keys);
}

struct pending_op *pending_take_key(struct pending *pending, const struct cache_key *key)
{
	return take(pending, pending->keys != NULL ? find(pending, key) : NULL);
}

void pending_release(struct pending_op *ops)
{
	while (ops != NULL) {
		struct pending_op *next = ops->next;

		free(ops);
		ops = next;
	}
}
