/*
 * When keys were invalidated: marks in shared memory, without locks.
 *
 * All atomic accesses here are sequentially consistent: a mark is several words that others read
 * one by one, and only their common order distinguishes a retired mark from one in force.
 */
#include "cache/store/invalidation.h"

#include <string.h>

/* Epochs of one life; 2^48 invalidations. */
#define LIFE_SHIFT 48

static uint64_t tag_of(const struct cache_key *key)
{
	return key->word[0] != 0 ? key->word[0] : 1;
}

static struct invalidation_place *place_at(struct invalidations *all, uint32_t place)
{
	return &all->sets[place / INVALIDATION_WAYS].places[place % INVALIDATION_WAYS];
}

static _Atomic uint64_t *tag_at(struct invalidations *all, uint32_t place)
{
	return &all->sets[place / INVALIDATION_WAYS].tags[place % INVALIDATION_WAYS];
}

static size_t slot_of(const struct cache_key *key)
{
	return (size_t)(key->word[0] % INVALIDATION_SLOTS);
}

static size_t overflow_of(const struct cache_key *key)
{
	return (size_t)(key->word[0] % INVALIDATION_OVERFLOW);
}

/* Raise a slot: another process may have set a later epoch meanwhile.  Returns the old value. */
static uint64_t raise(_Atomic uint64_t *slot, uint64_t epoch)
{
	uint64_t old = atomic_load(slot);

	while (old < epoch && !atomic_compare_exchange_weak(slot, &old, epoch))
		;
	return old;
}

void invalidation_begin_life(struct invalidations *all)
{
	uint64_t last = atomic_load(&all->last);

	memset(all, 0, sizeof(*all));
	atomic_store(&all->last, ((last >> LIFE_SHIFT) + 1) << LIFE_SHIFT);
}

void invalidation_recover(struct invalidations *all)
{
	uint64_t live = 0;

	for (uint32_t place = 0; place < INVALIDATION_MARKS; place++) {
		if (atomic_load(&place_at(all, place)->epoch) == 0)
			atomic_store(tag_at(all, place), 0);
		else
			live++;
	}
	for (size_t i = 0; i < INVALIDATION_OVERFLOW; i++)
		live += atomic_load(&all->overflow[i]) != 0;
	atomic_store(&all->live, live);
	purge_table_recover(&all->purges, atomic_load(&all->last));
}

uint64_t invalidation_now(const struct invalidations *all)
{
	return atomic_load(&all->last);
}

/* The latest epoch at which the slots were marked before, by others. */
static uint64_t raise_all(struct invalidations *all, const struct cache_key *keys, unsigned count,
			  uint64_t epoch)
{
	uint64_t before = 0;

	for (unsigned i = 0; i < count; i++) {
		uint64_t old = raise(&all->slots[slot_of(&keys[i])], epoch);

		if (old > before && old != epoch)
			before = old;
	}
	return before;
}

uint64_t invalidation_overtake(struct invalidations *all, const struct cache_key *keys,
			       unsigned count, uint64_t *ret_before)
{
	uint64_t epoch = atomic_fetch_add(&all->last, count) + count;
	uint64_t before = raise_all(all, keys, count, epoch);

	/*
	 * A process that took a later epoch before our slots were set may have seen its request as
	 * not overtaken: then take a later epoch.
	 */
	if (atomic_load(&all->last) != epoch) {
		epoch = atomic_fetch_add(&all->last, count) + count;
		raise_all(all, keys, count, epoch);
		before = UINT64_MAX;
	}
	if (ret_before != NULL)
		*ret_before = before;
	return epoch;
}

static bool is_key(struct invalidations *all, uint32_t place, const struct cache_key *key)
{
	return atomic_load(tag_at(all, place)) == tag_of(key) &&
	       atomic_load(&place_at(all, place)->rest) == key->word[1];
}

/*
 * Raise the key's mark, unless it is later already.  Each epoch is given out once, so as long as
 * the epoch is the same, so is the key: read it again after comparing the key.
 */
static bool renew(struct invalidations *all, uint32_t place, const struct cache_key *key,
		  uint64_t epoch)
{
	_Atomic uint64_t *at = &place_at(all, place)->epoch;
	uint64_t old = atomic_load(at);

	while (old != 0 && is_key(all, place, key)) {
		uint64_t later = old > epoch ? old : epoch;

		if (atomic_compare_exchange_weak(at, &old, later))
			return true;
	}
	return false;
}

/* Setting the tag takes the place; setting the epoch, last of all, puts the mark into force. */
static bool take(struct invalidations *all, uint32_t place, const struct invalidation_mark *mark)
{
	struct invalidation_place *at = place_at(all, place);
	uint64_t none = 0;

	if (!atomic_compare_exchange_strong(tag_at(all, place), &none, tag_of(&mark->key)))
		return false;
	atomic_store(&at->rest, mark->key.word[1]);
	atomic_store(&at->entry[0], mark->entry.word[0]);
	atomic_store(&at->entry[1], mark->entry.word[1]);
	atomic_store(&at->kind, (uint32_t)mark->kind);
	atomic_store(&at->epoch, mark->epoch);
	return true;
}

static uint32_t put(struct invalidations *all, const struct invalidation_mark *mark)
{
	uint32_t first = invalidation_first_place(&mark->key);

	for (uint32_t place = first; place < first + INVALIDATION_WAYS; place++) {
		if (renew(all, place, &mark->key, mark->epoch))
			return place;
	}
	/* Count before taking the place: a reader that sees 0 has not missed a mark. */
	atomic_fetch_add(&all->live, 1);
	for (uint32_t place = first; place < first + INVALIDATION_WAYS; place++) {
		if (take(all, place, mark))
			return place;
	}
	raise(&all->overflow[overflow_of(&mark->key)], mark->epoch);
	return INVALIDATION_NO_PLACE;
}

uint32_t invalidation_add(struct invalidations *all, enum invalidation_kind kind,
			  const struct cache_key *key, const struct cache_key *entry,
			  uint64_t epoch)
{
	struct invalidation_mark mark = {*key, *entry, kind, epoch, 0};

	return put(all, &mark);
}

uint64_t invalidation_latest(const struct invalidations *all, const struct cache_key *key)
{
	return atomic_load(&all->slots[slot_of(key)]);
}

bool invalidation_overtakes(const struct invalidations *all, const struct cache_key *key,
			    uint64_t asked_at)
{
	return asked_at < invalidation_latest(all, key);
}

bool invalidation_are_many(const struct invalidations *all)
{
	return atomic_load(&all->live) > INVALIDATION_MARKS / 4;
}

uint64_t invalidation_of(const struct invalidations *all, const struct cache_key *key)
{
	const struct invalidation_set *set = &all->sets[key->word[1] % INVALIDATION_SETS];
	uint64_t latest = atomic_load(&all->overflow[overflow_of(key)]), tag = tag_of(key);

	/*
	 * A record may be in many groups, and most lookups of them find nothing: make that cheap.
	 */
#pragma GCC unroll 16
	for (size_t i = 0; i < INVALIDATION_WAYS; i++) {
		uint64_t epoch;

		if (atomic_load(&set->tags[i]) != tag ||
		    atomic_load(&set->places[i].rest) != key->word[1])
			continue;
		epoch = atomic_load(&set->places[i].epoch);
		/* If the place belongs to another key now, the mark of this one was retired. */
		if (epoch > latest && atomic_load(&set->tags[i]) == tag)
			latest = epoch;
	}
	return latest;
}

bool invalidation_has_place(const struct invalidations *all, const struct cache_key *key)
{
	const struct invalidation_set *set = &all->sets[key->word[1] % INVALIDATION_SETS];

	for (size_t i = 0; i < INVALIDATION_WAYS; i++) {
		uint64_t tag = atomic_load(&set->tags[i]);

		if (tag == 0 || tag == tag_of(key))
			return true;
	}
	return false;
}

bool invalidation_at(const struct invalidations *all, uint32_t place,
		     struct invalidation_mark *ret_mark)
{
	const struct invalidation_set *set = &all->sets[place / INVALIDATION_WAYS];
	const struct invalidation_place *at = &set->places[place % INVALIDATION_WAYS];

	/* The words belong to one mark if its epoch is the same before and after. */
	ret_mark->place = place;
	ret_mark->epoch = atomic_load(&at->epoch);
	ret_mark->key.word[0] = atomic_load(&set->tags[place % INVALIDATION_WAYS]);
	ret_mark->key.word[1] = atomic_load(&at->rest);
	ret_mark->entry.word[0] = atomic_load(&at->entry[0]);
	ret_mark->entry.word[1] = atomic_load(&at->entry[1]);
	ret_mark->kind = (enum invalidation_kind)atomic_load(&at->kind);
	return ret_mark->epoch != 0 && atomic_load(&at->epoch) == ret_mark->epoch;
}

void invalidation_retire(struct invalidations *all, const struct invalidation_mark *mark)
{
	uint64_t epoch = mark->epoch;

	/*
	 * Count before removing the mark: a lookup that misses it sees that the count has changed.
	 */
	atomic_fetch_add(&all->retired, 1);
	if (!atomic_compare_exchange_strong(&place_at(all, mark->place)->epoch, &epoch, 0))
		return;
	atomic_store(tag_at(all, mark->place), 0);
	atomic_fetch_sub(&all->live, 1);
}

bool invalidation_purge(struct invalidations *all, struct purge *purge)
{
	return purge_table_add(&all->purges, &all->last, purge);
}

bool invalidation_purge_end(struct invalidations *all, unsigned slot, const struct purge *purge,
			    int64_t ended_s)
{
	return purge_table_end(&all->purges, &all->retired, slot, purge, ended_s);
}
