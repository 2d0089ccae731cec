/*
 * Purges in shared memory: slots that one process at a time changes and all read.
 *
 * All atomic accesses here are sequentially consistent: a slot is several words, read one by one,
 * and its bits are set last and cleared first.
 */
#include "cache/store/purge_table.h"

#include <string.h>

static uint64_t bit_of(unsigned slot)
{
	return UINT64_C(1) << slot;
}

static void raise(_Atomic uint64_t *word, uint64_t to)
{
	if (atomic_load(word) < to)
		atomic_store(word, to);
}

/* ---- reading -------------------------------------------------------------------------------- */

bool purge_table_head(const struct purge_table *table, unsigned slot, struct purge *ret_purge)
{
	const struct purge_slot *at = &table->slots[slot];

	ret_purge->id = atomic_load(&at->id);
	ret_purge->epoch = atomic_load(&at->epoch);
	ret_purge->found = atomic_load(&at->found);
	ret_purge->steady_ms = atomic_load(&at->steady_ms);
	ret_purge->began_s = atomic_load(&at->began_s);
	ret_purge->ended_s = atomic_load(&at->ended_s);
	for (unsigned i = 0; i < 4; i++)
		ret_purge->keys[i / 2].word[i % 2] = atomic_load(&at->keys[i]);
	ret_purge->kind = (enum purge_kind)atomic_load(&at->kind);
	ret_purge->soft = atomic_load(&at->soft) != 0;
	ret_purge->port = (uint16_t)atomic_load(&at->port);
	ret_purge->text_n = atomic_load(&at->text_n);
	ret_purge->pending = atomic_load(&table->pending) >> slot & 1;
	/* The words belong to one purge if its id is the same before and after. */
	return ret_purge->id != 0 && atomic_load(&at->id) == ret_purge->id &&
	       ret_purge->kind <= PURGE_GROUP && ret_purge->text_n <= PURGE_TEXT_MAX;
}

bool purge_table_at(const struct purge_table *table, unsigned slot, struct purge *ret_purge)
{
	const struct purge_slot *at = &table->slots[slot];

	if (!purge_table_head(table, slot, ret_purge))
		return false;
	for (size_t done = 0; done < ret_purge->text_n; done += sizeof(uint64_t)) {
		uint64_t word = atomic_load(&at->text[done / sizeof(word)]);

		memcpy(ret_purge->text + done, &word, sizeof(word));
	}
	return atomic_load(&at->id) == ret_purge->id;
}

/* ---- changing, under the writers' lock ------------------------------------------------------ */

/* A word of a damaged file is not later than what it counts. */
static void bound(_Atomic uint64_t *word, uint64_t most)
{
	if (atomic_load(word) > most)
		atomic_store(word, most);
}

void purge_table_recover(struct purge_table *table, uint64_t epoch)
{
	uint64_t known = atomic_load(&table->known), sound = 0;
	struct purge purge;

	for (uint64_t bits = known & (bit_of(PURGE_SLOTS) - 1); bits != 0;) {
		unsigned slot = purge_slot_next(&bits);

		if (purge_table_at(table, slot, &purge))
			sound |= bit_of(slot);
	}
	atomic_store(&table->known, sound);
	atomic_fetch_and(&table->pending, sound);
	bound(&table->latest, epoch);
	bound(&table->forgotten, epoch);
	bound(&table->last_id, UINT64_MAX / 2);
}

static bool is_same(const struct purge *a, const struct purge *b)
{
	return a->kind == b->kind && a->soft == b->soft && a->port == b->port &&
	       cache_key_eq(&a->keys[0], &b->keys[0]) && cache_key_eq(&a->keys[1], &b->keys[1]) &&
	       a->text_n == b->text_n && memcmp(a->text, b->text, a->text_n) == 0;
}

/* The pending one that is like it; PURGE_SLOTS when there is none. */
static unsigned find_same(const struct purge_table *table, const struct purge *purge)
{
	struct purge found;

	for (uint64_t bits = atomic_load(&table->pending); bits != 0;) {
		unsigned slot = purge_slot_next(&bits);

		if (purge_table_at(table, slot, &found) && is_same(&found, purge))
			return slot;
	}
	return PURGE_SLOTS;
}

/* One that nothing is known of, else that which ended first; PURGE_SLOTS when there is none. */
static unsigned find_free(const struct purge_table *table)
{
	uint64_t pending = atomic_load(&table->pending), known = atomic_load(&table->known);
	unsigned oldest = PURGE_SLOTS;

	if (__builtin_popcountll(pending & ~bit_of(PURGE_SLOT_ALL)) >= PURGE_PENDING_MAX)
		return PURGE_SLOTS;
	for (unsigned slot = PURGE_SLOT_ALL + 1; slot < PURGE_SLOTS; slot++) {
		if (!(known & bit_of(slot)))
			return slot;
		if (!(pending & bit_of(slot)) &&
		    (oldest == PURGE_SLOTS ||
		     atomic_load(&table->slots[slot].id) < atomic_load(&table->slots[oldest].id)))
			oldest = slot;
	}
	return oldest;
}

static void write_text(struct purge_slot *at, const struct purge *purge)
{
	uint64_t word;

	for (size_t done = 0; done < purge->text_n; done += sizeof(word)) {
		size_t n = purge->text_n - done;

		word = 0;
		memcpy(&word, purge->text + done, n < sizeof(word) ? n : sizeof(word));
		atomic_store(&at->text[done / sizeof(word)], word);
	}
	atomic_store(&at->text_n, purge->text_n);
}

/* Not yet in force. */
static void fill(struct purge_table *table, unsigned slot, const struct purge *purge)
{
	struct purge_slot *at = &table->slots[slot];

	if (atomic_load(&table->known) & bit_of(slot) && slot != PURGE_SLOT_ALL)
		raise(&table->forgotten, atomic_load(&at->epoch));
	atomic_fetch_and(&table->known, ~bit_of(slot));
	atomic_store(&at->id, 0);
	atomic_store(&at->epoch, 0);
	atomic_store(&at->found, 0);
	for (unsigned i = 0; i < 4; i++)
		atomic_store(&at->keys[i], purge->keys[i / 2].word[i % 2]);
	atomic_store(&at->began_s, purge->began_s);
	atomic_store(&at->ended_s, PURGE_NOT_ENDED);
	atomic_store(&at->kind, (uint32_t)purge->kind);
	atomic_store(&at->soft, purge->soft);
	atomic_store(&at->port, purge->port);
	write_text(at, purge);
	atomic_store(&at->id, atomic_fetch_add(&table->last_id, 1) + 1);
}

static uint64_t set_epoch(struct purge_table *table, unsigned slot, _Atomic uint64_t *epochs)
{
	uint64_t epoch = atomic_fetch_add(epochs, 1) + 1;

	atomic_store(&table->slots[slot].epoch, epoch);
	if (slot != PURGE_SLOT_ALL)
		raise(&table->latest, epoch);
	return epoch;
}

bool purge_table_add(struct purge_table *table, _Atomic uint64_t *epochs, struct purge *purge)
{
	unsigned slot = find_same(table, purge);

	if (slot == PURGE_SLOTS) {
		slot = purge->kind == PURGE_ALL && !purge->soft ? PURGE_SLOT_ALL : find_free(table);
		if (slot == PURGE_SLOTS)
			return false;
		fill(table, slot, purge);
	}
	atomic_store(&table->slots[slot].steady_ms, purge->steady_ms);
	purge->id = atomic_load(&table->slots[slot].id);
	purge->epoch = set_epoch(table, slot, epochs);
	atomic_fetch_or(&table->known, bit_of(slot));
	atomic_fetch_or(&table->pending, bit_of(slot));
	/*
	 * A process that took a later epoch before it could see the purge may have counted an older
	 * answer as asked for at that epoch: then take a later one.
	 */
	if (atomic_load(epochs) != purge->epoch)
		purge->epoch = set_epoch(table, slot, epochs);
	return true;
}

bool purge_table_end(struct purge_table *table, _Atomic uint64_t *retired, unsigned slot,
		     const struct purge *purge, int64_t ended_s)
{
	struct purge_slot *at = &table->slots[slot];

	if (!(atomic_load(&table->pending) & bit_of(slot)) || atomic_load(&at->id) != purge->id ||
	    atomic_load(&at->epoch) != purge->epoch)
		return false;
	atomic_store(&at->ended_s, ended_s);
	/* Count before: a lookup that misses the purge sees that the count has changed. */
	atomic_fetch_add(retired, 1);
	atomic_fetch_and(&table->pending, ~bit_of(slot));
	return true;
}

void purge_table_count(struct purge_table *table, unsigned slot, int64_t entries)
{
	atomic_fetch_add(&table->slots[slot].found, (uint64_t)entries);
}
