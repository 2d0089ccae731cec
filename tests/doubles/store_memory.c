/* The record store in memory; see store_memory.h. */
#include "tests/doubles/store_memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "cache/base/diagnostic.h"
#include "tests/doubles/sure_memory.h"

enum {
	ENTRY_OVERHEAD = 64,
	VALUE_SHARE = 4, /* of the size: the largest value */
};

/* Never changed once made, but for the visited bit. */
struct entry {
	struct cache_key key;
	uint64_t sequence;
	bool visited;
	size_t group_count;
	struct cache_key *groups;
	struct slice value;
};

struct entries {
	struct entry **at; /* by key; the lists of a transaction in any order */
	size_t count, room;
	uint64_t bytes;
};

/* What stores on one directory share. */
struct memory {
	struct memory *next;
	char directory[256];
	uint32_t format;
	bool locked;
	unsigned users;
	uint64_t sequence;
	struct entries entries, graves; /* gone, but somebody may have a view */
	unsigned views;
	const struct store *writer; /* whose transaction is open */
	struct store_clock clock;
	struct invalidations invalidations;
};

struct store {
	struct memory *memory;
	uint64_t size, evictions, failures;
	store_evicted evicted;
	void *evicted_context;
	uint64_t hand; /* of eviction */
	bool exclusive, viewing, writing;
	uint64_t generation;                 /* views that have ended */
	struct entries seen;                 /* in the view */
	uint64_t seen_retired;               /* when it began */
	struct entries work, added, removed; /* of the transaction */
};

static struct memory *memories;
static unsigned fail_after;
static enum store_result fail_with;
static bool fail_armed;
static void (*at_call)(void);
static void (*at_wait)(void);

void store_memory_watch(void (*call)(void), void (*wait)(void))
{
	at_call = call;
	at_wait = wait;
}

static void point(void)
{
	if (at_call)
		at_call();
}

void store_memory_fail(unsigned n, enum store_result result)
{
	fail_after = n;
	fail_with = result;
	fail_armed = true;
}

bool store_memory_fail_never(void)
{
	bool happened = !fail_armed;

	fail_armed = false;
	return happened;
}

/* Whether it is the call that is to fail; the others may come first. */
static bool fails(struct store *store, enum store_result *ret_result)
{
	point();
	if (!fail_armed || fail_after-- > 0)
		return false;
	fail_armed = false;
	*ret_result = fail_with;
	if (fail_with == STORE_FAILED && store->writing)
		store_abort(store);
	if (fail_with == STORE_FAILED)
		store->failures++;
	return true;
}

/* ---- lists of entries ----------------------------------------------------------------------- */

static uint64_t entry_bytes(const struct entry *entry)
{
	return ENTRY_OVERHEAD + entry->value.n + entry->group_count * sizeof(struct cache_key);
}

static void entry_free(struct entry *entry)
{
	free(entry->groups);
	free((void *)(uintptr_t)entry->value.p);
	free(entry);
}

static struct entry *entry_new(const struct cache_key *key, struct slice value,
			       const struct cache_key *groups, size_t group_count)
{
	struct entry *entry = sure_memory(NULL, 1, sizeof(*entry));
	char *bytes = sure_memory(NULL, value.n + 1, 1);

	entry->key = *key;
	entry->group_count = group_count;
	entry->groups = sure_memory(NULL, group_count + 1, sizeof(*groups));
	if (group_count > 0)
		memcpy(entry->groups, groups, group_count * sizeof(*groups));
	if (value.n > 0)
		memcpy(bytes, value.p, value.n);
	entry->value = slice_of(bytes, value.n);
	return entry;
}

static void entries_insert(struct entries *entries, size_t i, struct entry *entry)
{
	if (entries->count == entries->room) {
		entries->room = entries->room * 2 + 16;
		entries->at = sure_memory(entries->at, entries->room, sizeof(struct entry *));
	}
	memmove(entries->at + i + 1, entries->at + i,
		(entries->count - i) * sizeof(struct entry *));
	entries->at[i] = entry;
	entries->count++;
	entries->bytes += entry_bytes(entry);
}

static void entries_append(struct entries *entries, struct entry *entry)
{
	entries_insert(entries, entries->count, entry);
}

static struct entry *entries_take(struct entries *entries, size_t i)
{
	struct entry *entry = entries->at[i];

	entries->count--;
	memmove(entries->at + i, entries->at + i + 1,
		(entries->count - i) * sizeof(struct entry *));
	entries->bytes -= entry_bytes(entry);
	return entry;
}

static void entries_copy(struct entries *to, const struct entries *from)
{
	to->count = 0;
	to->bytes = 0;
	for (size_t i = 0; i < from->count; i++)
		entries_append(to, from->at[i]);
}

static void entries_free(struct entries *entries, bool with_entries)
{
	for (size_t i = 0; with_entries && i < entries->count; i++)
		entry_free(entries->at[i]);
	free(entries->at);
	*entries = (struct entries){0};
}

/* The first with a key of at least `key`, in the order of bytes. */
static size_t entries_find(const struct entries *entries, const struct cache_key *key, bool *ret_is)
{
	size_t low = 0, high = entries->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (memcmp(&entries->at[middle]->key, key, sizeof(*key)) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_is = low < entries->count && cache_key_eq(&entries->at[low]->key, key);
	return low;
}

/* ---- opening -------------------------------------------------------------------------------- */

static struct memory *memory_of(const char *directory)
{
	struct memory *memory = memories;

	while (memory != NULL && strcmp(memory->directory, directory) != 0)
		memory = memory->next;
	if (memory != NULL)
		return memory;
	memory = sure_memory(NULL, 1, sizeof(*memory));
	snprintf(memory->directory, sizeof(memory->directory), "%s", directory);
	memory->next = memories;
	memories = memory;
	return memory;
}

void store_memory_forget(void)
{
	while (memories) {
		struct memory *memory = memories;

		memories = memory->next;
		entries_free(&memory->entries, true);
		entries_free(&memory->graves, true);
		free(memory);
	}
}

struct store *store_open(const struct store_options *options, struct diagnostic *notice)
{
	struct memory *memory = memory_of(options->directory);
	struct store *store;

	diagnostic_clear(notice);
	if (options->size < 1 << 20) {
		diagnostic_set(notice, "%s: a store needs 1 MiB", options->directory);
		return NULL;
	}
	if (options->exclusive && memory->locked) {
		diagnostic_set(notice, "%s: another service uses this store", options->directory);
		return NULL;
	}
	if (memory->format != options->format && memory->users > 0) {
		diagnostic_set(notice, "%s: in use with another version", options->directory);
		return NULL;
	}
	if (memory->format != options->format && memory->entries.count > 0) {
		diagnostic_set(notice, "%s: it is of another version; begun anew",
			       options->directory);
		entries_free(&memory->entries, true);
	}
	memory->format = options->format;
	memory->users++;
	memory->locked |= options->exclusive;
	store = sure_memory(NULL, 1, sizeof(*store));
	store->memory = memory;
	store->size = options->size;
	store->exclusive = options->exclusive;
	return store;
}

/* A lock of this program only: a descriptor of anything will do, and there is nothing to hold. */
int store_lock(const char *directory, struct diagnostic *notice)
{
	struct memory *memory = memory_of(directory);

	diagnostic_clear(notice);
	if (memory->locked) {
		diagnostic_set(notice, "%s: another service uses this store", directory);
		return -1;
	}
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

bool store_lock_in_place(const char *directory, int lock)
{
	(void)directory;
	(void)lock;
	return true;
}

bool store_in_place(const struct store *store)
{
	(void)store;
	return true;
}

void store_close(struct store *store)
{
	if (store == NULL)
		return;
	store_abort(store);
	store->memory->users--;
	if (store->exclusive)
		store->memory->locked = false;
	entries_free(&store->seen, false);
	entries_free(&store->work, false);
	entries_free(&store->added, false);
	entries_free(&store->removed, false);
	free(store);
}

/* ---- reading -------------------------------------------------------------------------------- */

static void view_begin(struct store *store)
{
	if (store->viewing)
		return;
	store->viewing = true;
	store->seen_retired = invalidation_retired(&store->memory->invalidations);
	point();
	entries_copy(&store->seen, &store->memory->entries);
	store->memory->views++;
}

static enum store_result look(struct store *store, const struct cache_key *key, bool visit,
			      struct slice *ret_value)
{
	enum store_result result;
	bool is;
	size_t i;

	if (fails(store, &result))
		return result;
	view_begin(store);
	i = entries_find(&store->seen, key, &is);
	if (!is)
		return STORE_NOT_FOUND;
	if (visit)
		store->seen.at[i]->visited = true;
	*ret_value = store->seen.at[i]->value;
	return STORE_OK;
}

enum store_result store_get(struct store *store, const struct cache_key *key,
			    struct slice *ret_value)
{
	return look(store, key, true, ret_value);
}

enum store_result store_peek(struct store *store, const struct cache_key *key,
			     struct slice *ret_value)
{
	return look(store, key, false, ret_value);
}

bool store_view_is_current(const struct store *store)
{
	point();
	return !store->viewing ||
	       store->seen_retired == invalidation_retired(&store->memory->invalidations);
}

/* What was replaced goes with the last view, so that a sanitizer finds who still has one of it. */
void store_turn_end(struct store *store)
{
	if (store->viewing) {
		point();
		store->generation++;
		store->memory->views--;
	}
	store->viewing = false;
	if (store->memory->views == 0)
		entries_free(&store->memory->graves, true);
}

const uint64_t *store_generation(const struct store *store)
{
	return &store->generation;
}

enum store_result store_walk(struct store *store, struct cache_key *cursor, size_t limit,
			     store_visit visit, void *context, bool *ret_more)
{
	const struct entries *entries = &store->seen;
	bool was_viewing = store->viewing;
	enum store_result result;
	bool is, go_on = true;
	size_t i;

	*ret_more = false;
	if (fails(store, &result))
		return result;
	view_begin(store);
	for (i = entries_find(entries, cursor, &is); i < entries->count && limit > 0 && go_on;
	     i++, limit--)
		go_on = visit(context, &entries->at[i]->key, entries->at[i]->value);
	*ret_more = i < entries->count;
	if (*ret_more)
		*cursor = entries->at[i]->key;
	if (!was_viewing)
		store_turn_end(store);
	return STORE_OK;
}

void store_watch_evicted(struct store *store, store_evicted evicted, void *context)
{
	store->evicted = evicted;
	store->evicted_context = context;
}

void store_usage(struct store *store, struct store_usage *ret_usage)
{
	*ret_usage = (struct store_usage){.entries = store->memory->entries.count,
					  .bytes_used = store->memory->entries.bytes,
					  .bytes_size = store->size,
					  .evictions = store->evictions,
					  .failures = store->failures};
}

/* ---- writing -------------------------------------------------------------------------------- */

enum store_result store_begin(struct store *store)
{
	enum store_result result;

	store_abort(store);
	if (fails(store, &result))
		return result;
	while (store->memory->writer != NULL) {
		if (!at_wait)
			abort();
		at_wait();
	}
	store->memory->writer = store;
	entries_copy(&store->work, &store->memory->entries);
	store->added.count = store->removed.count = 0;
	store->writing = true;
	return STORE_OK;
}

enum store_result store_commit(struct store *store)
{
	enum store_result result;
	struct entries old;

	if (fails(store, &result)) {
		store_abort(store);
		return result;
	}
	if (!store->writing)
		return STORE_FAILED;
	old = store->memory->entries;
	store->memory->entries = store->work;
	store->work = old;
	for (size_t i = 0; i < store->removed.count; i++)
		entries_append(&store->memory->graves, store->removed.at[i]);
	store->writing = false;
	store->memory->writer = NULL;
	return STORE_OK;
}

void store_abort(struct store *store)
{
	store_turn_end(store);
	if (!store->writing)
		return;
	for (size_t i = 0; i < store->added.count; i++)
		entry_free(store->added.at[i]);
	store->writing = false;
	store->memory->writer = NULL;
}

enum store_result store_read(struct store *store, const struct cache_key *key,
			     struct slice *ret_value)
{
	enum store_result result;
	bool is;
	size_t i;

	if (fails(store, &result))
		return result;
	if (!store->writing)
		return STORE_FAILED;
	i = entries_find(&store->work, key, &is);
	if (!is)
		return STORE_NOT_FOUND;
	*ret_value = store->work.at[i]->value;
	return STORE_OK;
}

static void work_remove(struct store *store, size_t i)
{
	entries_append(&store->removed, entries_take(&store->work, i));
}

/* SIEVE, as in evict.h: the hand goes by sequence, clears bits, and takes the first without.
 */
static void evict(struct store *store)
{
	struct entries *work = &store->work;

	for (;;) {
		size_t under = SIZE_MAX;

		for (size_t i = 0; i < work->count; i++)
			if (work->at[i]->sequence >= store->hand &&
			    (under == SIZE_MAX ||
			     work->at[i]->sequence < work->at[under]->sequence))
				under = i;
		if (under == SIZE_MAX) {
			store->hand = 0;
			continue;
		}
		store->hand = work->at[under]->sequence + 1;
		if (!work->at[under]->visited) {
			if (store->evicted != NULL)
				store->evicted(store->evicted_context, work->at[under]->value);
			work_remove(store, under);
			break;
		}
		work->at[under]->visited = false;
	}
	store->evictions++;
}

enum store_result store_put(struct store *store, const struct cache_key *key, struct slice value,
			    const struct cache_key *groups, size_t group_count)
{
	enum store_result result;
	struct entry *entry;
	bool is;
	size_t i;

	if (fails(store, &result))
		return result;
	if (!store->writing)
		return STORE_FAILED;
	if (group_count > STORE_GROUPS_MAX || value.n > store->size / VALUE_SHARE)
		return STORE_FULL;
	entry = entry_new(key, value, groups, group_count);
	entries_append(&store->added, entry);
	i = entries_find(&store->work, key, &is);
	entry->sequence = is ? store->work.at[i]->sequence : ++store->memory->sequence;
	entry->visited = is && store->work.at[i]->visited;
	if (is)
		work_remove(store, i);
	while (store->work.count > 0 && store->work.bytes + entry_bytes(entry) > store->size)
		evict(store);
	entries_insert(&store->work, entries_find(&store->work, key, &is), entry);
	return STORE_OK;
}

enum store_result store_drop(struct store *store, const struct cache_key *key)
{
	enum store_result result;
	bool is;
	size_t i;

	if (fails(store, &result))
		return result;
	if (!store->writing)
		return STORE_FAILED;
	i = entries_find(&store->work, key, &is);
	if (!is)
		return STORE_NOT_FOUND;
	work_remove(store, i);
	return STORE_OK;
}

static bool is_member(const struct entry *entry, const struct cache_key *group)
{
	for (size_t i = 0; i < entry->group_count; i++)
		if (cache_key_eq(&entry->groups[i], group))
			return true;
	return false;
}

bool store_part_is_done(const struct store *store)
{
	(void)store;
	return false;
}

enum store_result store_renew(struct store *store)
{
	enum store_result result = store_commit(store);

	return result == STORE_OK ? store_begin(store) : result;
}

enum store_result store_group_next(struct store *store, const struct cache_key *group,
				   struct cache_key *cursor, struct cache_key *ret_key)
{
	enum store_result result;
	bool is;

	if (fails(store, &result))
		return result;
	if (!store->writing)
		return STORE_FAILED;
	for (size_t i = entries_find(&store->work, cursor, &is); i < store->work.count; i++) {
		if (!is_member(store->work.at[i], group))
			continue;
		*ret_key = *cursor = store->work.at[i]->key;
		for (size_t at = sizeof(*cursor); at-- > 0;)
			if (++((unsigned char *)cursor)[at] != 0)
				break;
		return STORE_OK;
	}
	return STORE_NOT_FOUND;
}

/* ---- the rest ------------------------------------------------------------------------------- */

enum store_result store_copy(const struct store_options *options, int64_t wall_s,
			     struct diagnostic *notice)
{
	(void)options;
	(void)wall_s;
	diagnostic_set(notice, "there is nothing on disk");
	return STORE_FAILED;
}

void store_doubt(struct store *store)
{
	(void)store;
}

void store_give_up_copy(struct store *store)
{
	(void)store;
}

void store_check_readers(struct store *store)
{
	(void)store;
}

const char *store_error(const struct store *store)
{
	return store->failures > 0 ? "a failure that was ordered" : "";
}

uint64_t store_key_seed(const struct store *store)
{
	(void)store;
	return 204;
}

struct invalidations *store_invalidations(struct store *store)
{
	point();
	return &store->memory->invalidations;
}

struct store_clock *store_clock(struct store *store)
{
	point();
	return &store->memory->clock;
}
