/* The front door of the cache: joins policy, records and store. */
#include "cache/cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/impl.h"
#include "cache/overtaken.h"
#include "cache/policy/rule.h"
#include "cache/record/entry.h"
#include "cache/store/purge_mark.h"

enum {
	RECORD_SIZE = 256 << 10, /* a record while it is made: two heads and a selecting block */
	VIEW_TRIES = 8,          /* of a lookup, while removals are committed beside it */
	READERS_SPARE = 16,      /* beside workers: commands, helpers */
};

static struct store_options options_of(const struct conf *conf)
{
	return (struct store_options){
		.directory = conf->store,
		.size = conf->store_size,
		.readers = conf_worker_slots(conf) + READERS_SPARE,
		.format = RECORD_VERSION,
		.copied = conf->sync_ms > 0,
	};
}

static struct store *open_store(const struct conf *conf, int lock, struct diagnostic *notice)
{
	struct store_options options = options_of(conf);

	options.exclusive = lock == CACHE_LOCK_TAKE;
	options.lock = lock;
	return store_open(&options, notice);
}

enum store_result cache_copy(const struct conf *conf, int64_t wall_s, struct diagnostic *notice)
{
	struct store_options options = options_of(conf);

	return store_copy(&options, wall_s, notice);
}

static bool open_parts(struct cache *cache, int lock, struct diagnostic *notice)
{
	cache->store = open_store(cache->conf, lock, notice);
	if (cache->store == NULL)
		return false;
	cache_key_set_seed(store_key_seed(cache->store));
	if (writes_init(&cache->writes, cache->store, cache->conf))
		return true;
	diagnostic_set(notice, "out of memory");
	store_close(cache->store);
	return false;
}

struct cache *cache_open(const struct conf *conf, int lock, struct diagnostic *notice)
{
	struct cache *cache = calloc(1, sizeof(*cache));
	char *memory = malloc(RECORD_SIZE + 2 * CACHE_URI_SIZE);

	if (cache == NULL || memory == NULL) {
		diagnostic_set(notice, "out of memory");
		goto failed;
	}
	cache->conf = conf;
	cache->record = memory;
	cache->uris = memory + RECORD_SIZE;
	cache->keys = cache->uris + CACHE_URI_SIZE;
	if (open_parts(cache, lock, notice))
		return cache;
failed:
	free(memory);
	free(cache);
	return NULL;
}

void cache_close(struct cache *cache)
{
	writes_fini(&cache->writes);
	store_close(cache->store);
	free(cache->record);
	free(cache);
}

bool cache_find_key(struct cache *cache, const struct http_request *req, struct slice *ret_uri,
		    struct cache_key *ret_key)
{
	*ret_uri = req->uri.normal;
	if (http_uri_normal_max(&req->uri) > CACHE_URI_SIZE)
		return false;
	if (ret_uri->n == 0)
		*ret_uri = slice_of(cache->uris, http_uri_normal(&req->uri, cache->uris));
	if (rule_joins_keys(req->rule))
		*ret_uri = slice_of(cache->keys, rule_key_uri(req->rule, *ret_uri, cache->keys));
	*ret_key = cache_key_of_uri(*ret_uri);
	return true;
}

/* A soft purge whose walk has not come to the record: show it as it will be then. */
static enum entry_select make_found_stale(struct cache *cache, const struct record_cutoff *cutoff,
					  struct cache_lookup *lookup)
{
	struct slice bytes = lookup->record.bytes;
	int64_t purged_ms;

	if (!record_is_made_stale(&lookup->record, cutoff, &purged_ms))
		return ENTRY_SELECTED;
	if (bytes.n > RECORD_SIZE)
		return ENTRY_NONE;
	cache->record_generation++;
	memcpy(cache->record, bytes.p, bytes.n);
	record_make_stale(cache->record, purged_ms, record_seed(lookup->normal_uri));
	if (!record_parse(slice_of(cache->record, bytes.n), &lookup->record))
		return ENTRY_NONE;
	lookup->record.generation = view_generation_now(&cache->record_generation);
	return ENTRY_SELECTED;
}

static enum entry_select read_record(struct cache *cache, const struct http_request *req,
				     struct cache_lookup *lookup)
{
	struct record_cutoff cutoff;
	enum entry_select selected;
	struct slice entry;
	enum store_result result = store_get(cache->store, &lookup->key, &entry);

	if (result != STORE_OK) {
		cache->writes.counts.failures += result != STORE_NOT_FOUND;
		return ENTRY_NONE;
	}
	/* After the entry was read, see cache/store/invalidation.h. */
	overtaken_cutoff(cache->store, &lookup->key, lookup->normal_uri, &cutoff);
	cache->writes.counts.compared += entry.n;
	selected = entry_select(entry, lookup->normal_uri, req, cache->conf->language_select,
				&cutoff, &lookup->record);
	lookup->record.generation = view_generation_now(store_generation(cache->store));
	if (cutoff.epoch_of != NULL && selected == ENTRY_SELECTED)
		selected = make_found_stale(cache, &cutoff, lookup);
	return selected;
}

/* The record the request selects, if there is one. */
static enum entry_select select_record(struct cache *cache, const struct http_request *req,
				       struct cache_lookup *lookup)
{
	enum entry_select selected = ENTRY_NONE;

	if (pending_has(&cache->writes.pending, &lookup->key))
		writes_flush_key(&cache->writes, &lookup->key);
	for (unsigned tries = 0; tries < VIEW_TRIES; tries++) {
		if (!store_view_is_current(cache->store))
			store_turn_end(cache->store);
		selected = read_record(cache, req, lookup);
		if (store_view_is_current(cache->store))
			break;
		selected = ENTRY_NONE;
	}
	if (selected == ENTRY_DAMAGED) {
		cache->writes.counts.damaged++;
		writes_add(&cache->writes, PENDING_CLEAN, &lookup->key, lookup->normal_uri,
			   slice_of(NULL, 0));
	}
	return selected;
}

static void judge(struct cache *cache, const struct http_request *req, const struct http_clock *now,
		  enum entry_select selected, struct cache_lookup *lookup)
{
	lookup->has_record = selected == ENTRY_SELECTED;
	lookup->uri_known = selected == ENTRY_SELECTED || selected == ENTRY_NO_MATCH;
	lookup->verdict = policy_reuse(req, lookup->has_record ? lookup->record.meta : NULL, now,
				       cache->conf, &lookup->why);
	if (selected == ENTRY_NO_MATCH && lookup->why == REASON_NO_RECORD)
		lookup->why = REASON_VARY;
}

void cache_lookup(struct cache *cache, const struct http_request *req, const struct http_clock *now,
		  struct cache_lookup *ret_lookup)
{
	enum entry_select selected = ENTRY_NONE;
	bool keyed = cache_find_key(cache, req, &ret_lookup->normal_uri, &ret_lookup->key);

	if (policy_is_lookup(req, cache->conf, &ret_lookup->why) && keyed)
		selected = select_record(cache, req, ret_lookup);
	judge(cache, req, now, selected, ret_lookup);
}

static void peek_record(struct cache *cache, const struct http_request *req,
			struct cache_found *found)
{
	struct cache_lookup *lookup = &found->lookup;

	if (pending_has(&cache->writes.pending, &lookup->key))
		writes_flush_key(&cache->writes, &lookup->key);
	for (unsigned tries = 0; tries < VIEW_TRIES; tries++) {
		found->selected = ENTRY_NONE;
		store_turn_end(cache->store);
		if (store_peek(cache->store, &lookup->key, &found->entry) != STORE_OK) {
			found->entry = slice_of(NULL, 0);
			return;
		}
		overtaken_cutoff(cache->store, &lookup->key, lookup->normal_uri, &found->cutoff);
		found->selected =
			entry_select(found->entry, lookup->normal_uri, req,
				     cache->conf->language_select, &found->cutoff, &lookup->record);
		lookup->record.generation = view_generation_now(store_generation(cache->store));
		if (found->selected == ENTRY_SELECTED && found->cutoff.epoch_of != NULL)
			found->selected = make_found_stale(cache, &found->cutoff, lookup);
		if (store_view_is_current(cache->store))
			return;
	}
	found->selected = ENTRY_NONE;
}

void cache_peek(struct cache *cache, const struct http_request *req, const struct http_clock *now,
		struct cache_found *ret_found)
{
	struct cache_lookup *lookup = &ret_found->lookup;
	bool keyed = cache_find_key(cache, req, &lookup->normal_uri, &lookup->key);

	ret_found->selected = ENTRY_NONE;
	ret_found->entry = slice_of(NULL, 0);
	if (policy_is_lookup(req, cache->conf, &lookup->why) && keyed)
		peek_record(cache, req, ret_found);
	judge(cache, req, now, ret_found->selected, lookup);
}

struct walked {
	struct cache *cache;
	const struct cache_visitor *visitor;
};

static bool visit_entry(void *context, const struct cache_key *key, struct slice entry)
{
	const struct walked *walked = context;
	struct record_cutoff cutoff;

	overtaken_cutoff(walked->cache->store, key, entry_uri(entry), &cutoff);
	return walked->visitor->visit(walked->visitor->context, key, entry, &cutoff);
}

enum store_result cache_walk(struct cache *cache, struct cache_key *cursor, size_t most,
			     const struct cache_visitor *visitor, bool *ret_more)
{
	struct walked walked = {cache, visitor};

	/* A view from before a removal may have what is no longer marked. */
	store_turn_end(cache->store);
	return store_walk(cache->store, cursor, most, visit_entry, &walked, ret_more);
}

uint64_t cache_epoch(const struct cache *cache)
{
	return invalidation_now(store_invalidations(cache->store));
}

/* Was a record's URI, or one of its groups, invalidated or purged after it was asked for? */
static bool is_overtaken(struct cache *cache, const struct cache_key *key, struct slice uri,
			 const struct record_view *record, const struct exchange_times *times)
{
	int64_t purged_ms;

	return purge_mark_overtakes(cache->store, times->request_steady_ms) ||
	       overtaken_record(cache->store, key, uri, record) ||
	       overtaken_softly(cache->store, key, uri, record, &purged_ms);
}

bool cache_store(struct cache *cache, const struct http_request *req,
		 const struct http_response *res, const struct exchange_times *times,
		 enum reason *ret_why)
{
	struct record_view record;
	struct record_meta meta;
	struct cache_key key;
	struct slice uri;
	size_t n = 0;

	if (!policy_may_store(req, res, times, cache->conf, &meta, ret_why))
		return false;
	cache->record_generation++;
	if (cache_find_key(cache, req, &uri, &key))
		n = record_write(req, res, &meta, uri, cache->record, cache->conf->record_size);
	if (!record_parse(slice_of(cache->record, n), &record)) {
		*ret_why = REASON_TOO_LARGE;
		return false;
	}
	if (is_overtaken(cache, &key, uri, &record, times)) {
		*ret_why = REASON_OVERTAKEN;
		return false;
	}
	if (!writes_add(&cache->writes, PENDING_PUT, &key, uri, record.bytes)) {
		*ret_why = REASON_STORE_BUSY;
		return false;
	}
	return true;
}

/*
 * Queue what a freshening leaves in the store; the old record goes when the new is not its
 * successor.
 */
static void queue_freshened(struct cache *cache, const struct cache_kept *old,
			    const struct record_view *fresh, bool stays)
{
	if (!stays || !slice_eq(old->record.vary, fresh->vary))
		writes_mark_variant(&cache->writes, &old->record, &old->key);
	if (stays)
		writes_add(&cache->writes, PENDING_PUT, &old->key, old->normal_uri, fresh->bytes);
}

struct cache_kept *cache_keep(struct slice record, struct slice normal_uri)
{
	struct cache_kept *kept = malloc(sizeof(*kept) + record.n + normal_uri.n);
	char *bytes;

	if (kept == NULL)
		return NULL;
	bytes = (char *)(kept + 1);
	memcpy(bytes, record.p, record.n);
	memcpy(bytes + record.n, normal_uri.p, normal_uri.n);
	kept->normal_uri = slice_of(bytes + record.n, normal_uri.n);
	kept->key = cache_key_of_uri(kept->normal_uri);
	if (record_view(slice_of(bytes, record.n), kept->normal_uri, &kept->record))
		return kept;
	free(kept);
	return NULL;
}

bool cache_freshen(struct cache *cache, const struct http_request *req,
		   const struct cache_kept *old, const struct http_response *res_304,
		   const struct exchange_times *times, struct cache_freshened *ret_freshened)
{
	const struct record_confirmation by = {req, res_304, times, cache->conf, old->normal_uri};
	struct record_view *fresh = &ret_freshened->record;
	enum reason *why = &ret_freshened->why;
	size_t n;

	cache->record_generation++;
	n = record_freshen(&old->record, &by, cache->record, RECORD_SIZE, why);
	if (!record_parse(slice_of(cache->record, n), fresh)) {
		writes_mark_variant(&cache->writes, &old->record, &old->key);
		return false;
	}
	fresh->generation = view_generation_now(&cache->record_generation);
	/* Absent records are removed anyway, and a successor may have to stay. */
	if (cache_is_absent(cache, old)) {
		*why = REASON_OVERTAKEN;
		return true;
	}
	/*
	 * Do not remove it for a mark of another key that shares the slot, or of groups that it was
	 * not in.
	 */
	if (*why == REASON_NONE && is_overtaken(cache, &old->key, old->normal_uri, fresh, times)) {
		*why = REASON_OVERTAKEN;
		return true;
	}
	/* The reason not to keep it may be this request alone: then the record stays as it was. */
	if (!policy_is_about_request(*why))
		queue_freshened(cache, old, fresh, *why == REASON_NONE);
	return true;
}

void cache_remove(struct cache *cache, const struct cache_key *key,
		  const struct record_view *record)
{
	writes_mark_variant(&cache->writes, record, key);
}

void cache_flush(struct cache *cache)
{
	writes_flush(&cache->writes);
}

void cache_flush_key(struct cache *cache, const struct cache_key *key)
{
	writes_flush_key(&cache->writes, key);
}

bool cache_flush_some(struct cache *cache)
{
	return writes_flush_some(&cache->writes) || writes_tidy_some(&cache->writes);
}

bool cache_flush_is_due(const struct cache *cache)
{
	return cache->writes.pending.count > 0 || writes_tidy_is_due(&cache->writes);
}

void cache_tick(struct cache *cache)
{
	writes_tick(&cache->writes);
}

size_t cache_pending(const struct cache *cache)
{
	return cache->writes.pending.count;
}

void cache_turn_end(struct cache *cache)
{
	store_turn_end(cache->store);
}

const struct cache_counts *cache_counts(const struct cache *cache)
{
	return &cache->writes.counts;
}

struct store *cache_store_of(struct cache *cache)
{
	return cache->store;
}
