/* What answers invalidate and operators purge, and what counts as absent by it. */
#include "cache/cache.h"

#include "cache/http/fields.h"
#include "cache/impl.h"
#include "cache/overtaken.h"
#include "cache/policy/rule.h"
#include "cache/record/entry.h"
#include "cache/store/purge_mark.h"

/* What the key of a URI in normal form is made of, by the rule for it. */
static struct slice key_uri(struct cache *cache, struct slice normal)
{
	const struct conf_rule *rule = policy_uri_options(cache->conf, normal)->rule;

	if (!rule_joins_keys(rule))
		return normal;
	return slice_of(cache->keys, rule_key_uri(rule, normal, cache->keys));
}

/* The key of a reference in a response, when it is to the origin of the request. */
static bool reference_key(struct cache *cache, const struct http_request *req,
			  const struct http_response *res, enum http_field_id id,
			  struct cache_key *ret_key)
{
	const struct http_field *field = http_fields_first(&res->fields, id);
	size_t n;

	if (field == NULL ||
	    !http_uri_resolve_same_origin(&req->uri, field->value, cache->uris, CACHE_URI_SIZE, &n))
		return false;
	*ret_key = cache_key_of_uri(key_uri(cache, slice_of(cache->uris, n)));
	return true;
}

/* Whether an entry has a record that is not absent, as far as this process knows. */
static bool has_present(struct cache *cache, const struct cache_key *key)
{
	struct record_cutoff cutoff;
	struct slice entry;

	store_turn_end(cache->store);
	if (store_get(cache->store, key, &entry) != STORE_OK)
		return false;
	overtaken_cutoff(cache->store, key, entry_uri(entry), &cutoff);
	return entry_has_present(entry, &cutoff);
}

/* What an unsafe request's answer invalidates. */
struct invalidated {
	struct cache_key keys[3 + GROUPS_MAX]; /* of URIs, then of groups */
	unsigned uris, count;
};

/* Add a URI once only: it would be counted twice. */
static void add_reference(struct cache *cache, const struct http_request *req,
			  const struct http_response *res, enum http_field_id id,
			  struct invalidated *invalidated)
{
	struct cache_key *key = &invalidated->keys[invalidated->uris];

	if (!reference_key(cache, req, res, id, key))
		return;
	for (unsigned i = 0; i < invalidated->uris; i++) {
		if (cache_key_eq(&invalidated->keys[i], key))
			return;
	}
	invalidated->uris++;
}

/* `uri` is not valid after it. */
static void find_invalidated(struct cache *cache, const struct http_request *req,
			     const struct http_response *res, struct slice uri,
			     struct invalidated *ret_invalidated)
{
	struct cache_key groups[GROUPS_MAX];
	size_t group_count = groups_invalidated(res, uri, groups);

	ret_invalidated->keys[0] = cache_key_of_uri(uri);
	ret_invalidated->uris = 1;
	add_reference(cache, req, res, FIELD_LOCATION, ret_invalidated);
	add_reference(cache, req, res, FIELD_CONTENT_LOCATION, ret_invalidated);
	if (group_count > 0)
		memcpy(&ret_invalidated->keys[ret_invalidated->uris], groups,
		       group_count * sizeof(*groups));
	ret_invalidated->count = ret_invalidated->uris + (unsigned)group_count;
}

/*
 * Like is_overtaken(), for an answer that is not a record: were its URI or groups marked after it
 * was requested, other than by itself, at that epoch?
 */
static bool is_answer_overtaken(struct cache *cache, const struct http_request *req,
				const struct cache_key *groups, size_t count,
				const struct exchange_times *times, uint64_t own)
{
	const struct invalidations *all = store_invalidations(cache->store);
	struct cache_key key;
	struct slice uri;
	bool overtaken =
		purge_mark_overtakes(cache->store, times->request_steady_ms) ||
		!cache_find_key(cache, req, &uri, &key) ||
		overtaken_by_purge(cache->store, &key, uri, groups, count) > times->asked_at;

	for (size_t i = 0; i < count && !overtaken; i++) {
		uint64_t latest = invalidation_latest(all, &groups[i]);

		overtaken = latest > times->asked_at && latest != own;
	}
	return overtaken;
}

/*
 * Set the marks; returns whether the answer itself, which may be stored, counts as requested at
 * that moment: otherwise it would invalidate itself.  Its own epoch is taken before the marks of
 * others are checked: those that they set later have a later epoch.
 */
static void mark_invalidated(struct cache *cache, const struct http_request *req,
			     const struct invalidated *invalidated, const struct cache_key *groups,
			     size_t group_count, struct exchange_times *times)
{
	uint64_t before;
	uint64_t epoch = invalidation_overtake(store_invalidations(cache->store), invalidated->keys,
					       invalidated->count, &before);

	if (before <= times->asked_at &&
	    !is_answer_overtaken(cache, req, groups, group_count, times, epoch))
		times->asked_at = epoch;
	for (unsigned i = 0; i < invalidated->count; i++)
		writes_mark(&cache->writes,
			    i < invalidated->uris ? INVALIDATION_URI : INVALIDATION_GROUP,
			    &invalidated->keys[i], &invalidated->keys[i], epoch - i);
}

unsigned cache_invalidate(struct cache *cache, const struct http_request *req,
			  const struct http_response *res, struct exchange_times *times)
{
	struct writes *writes = &cache->writes;
	uint64_t *count = &writes->counts.invalidated, before = *count;
	struct cache_key groups[GROUPS_MAX]; /* of the answer */
	struct invalidated invalidated;
	struct cache_key key;
	size_t group_count;
	struct slice uri;

	if (!policy_invalidates(req, res) || !cache_find_key(cache, req, &uri, &key))
		return 0;
	group_count = groups_of_response(res, uri, groups);
	if (group_count > GROUPS_MAX)
		group_count = 0; /* then it is not stored */
	find_invalidated(cache, req, res, uri, &invalidated);
	/*
	 * A write that waits under a key is put in first, so that it is removed and counted; one
	 * that waits in a group is refused when it is flushed, since flushing all of them now would
	 * take too long.
	 */
	for (unsigned i = 0; i < invalidated.uris; i++)
		writes_flush_key(writes, &invalidated.keys[i]);
	for (unsigned i = 0; i < invalidated.uris; i++)
		*count += has_present(cache, &invalidated.keys[i]);
	mark_invalidated(cache, req, &invalidated, groups, group_count, times);
	if (*count > before || invalidated.count > invalidated.uris)
		writes_tidy_some(writes);
	return (unsigned)(*count - before);
}

enum cache_purging cache_purge(struct cache *cache, struct slice normal_uri)
{
	struct cache_key key = cache_key_of_uri(normal_uri);
	bool existed;

	writes_flush_key(&cache->writes, &key);
	existed = has_present(cache, &key);
	writes_mark(&cache->writes, INVALIDATION_URI, &key, &key,
		    invalidation_overtake(store_invalidations(cache->store), &key, 1, NULL));
	writes_tidy_some(&cache->writes);
	cache->writes.counts.purged += existed;
	return existed ? CACHE_PURGED_ALL : CACHE_PURGED_NOTHING;
}

uint64_t cache_purge_all(struct cache *cache, const struct http_clock *now)
{
	struct purge purge = {.kind = PURGE_ALL};

	/* In force; what follows only lists it. */
	purge_mark_set(cache->store, now->steady_ms);
	return purge_begin(&cache->writes, now, &purge) == CACHE_PURGE_GOES_ON ? purge.id : 0;
}

enum cache_purging cache_purge_begin(struct cache *cache, const struct http_clock *now,
				     struct purge *purge)
{
	enum cache_purging result;
	bool existed;

	if (purge->kind != PURGE_URI)
		return purge_begin(&cache->writes, now, purge);
	writes_flush_key(&cache->writes, &purge->keys[0]);
	existed = has_present(cache, &purge->keys[0]);
	result = purge_begin(&cache->writes, now, purge);
	/* If this fails the walk does it. */
	if (result == CACHE_PURGE_GOES_ON && writes_purge(&cache->writes, &purge->keys[0], 1)) {
		purge_end(&cache->writes, purge);
		return existed ? CACHE_PURGED_ALL : CACHE_PURGED_NOTHING;
	}
	return result;
}

/* Pending before ended, and the latest first. */
static bool is_listed_before(const struct purge *a, const struct purge *b)
{
	if (a->pending != b->pending)
		return a->pending;
	return a->id > b->id;
}

unsigned cache_purges(struct cache *cache, struct purge *to, unsigned most)
{
	const struct purge_table *purges = &store_invalidations(cache->store)->purges;
	unsigned count = 0;
	struct purge purge;

	for (uint64_t bits = purge_table_known(purges); bits != 0;) {
		unsigned slot = purge_slot_next(&bits), at = count;

		if (!purge_table_at(purges, slot, &purge) ||
		    (!purge.pending && purge.ended_s == PURGE_NOT_ENDED))
			continue;
		while (at > 0 && is_listed_before(&purge, &to[at - 1]))
			at--;
		if (at == most)
			continue;
		count += count < most;
		memmove(&to[at + 1], &to[at], (count - 1 - at) * sizeof(*to));
		to[at] = purge;
	}
	return count;
}

uint64_t cache_purge_last_id(struct cache *cache)
{
	return atomic_load_explicit(&store_invalidations(cache->store)->purges.last_id,
				    memory_order_acquire);
}

bool cache_is_absent(struct cache *cache, const struct cache_kept *kept)
{
	const struct record_view *record = &kept->record;
	const struct cache_key *key = &kept->key;
	struct record_cutoff cutoff;
	struct slice entry;

	overtaken_cutoff(cache->store, key, kept->normal_uri, &cutoff);
	if (record_is_absent(record, &cutoff))
		return true;
	if (!overtaken_record(cache->store, key, kept->normal_uri, record))
		return false;
	/*
	 * It may have been removed, or the mark may be that of another key that shares the slot:
	 * then the record is still there.
	 */
	writes_flush_key(&cache->writes, key);
	store_turn_end(cache->store);
	return store_get(cache->store, key, &entry) != STORE_OK ||
	       !entry_has_variant(entry, kept->normal_uri, record, &cutoff);
}

bool cache_purge_is_due(const struct cache *cache)
{
	return purge_is_due(cache->store);
}

enum cache_purging cache_purge_some(struct cache *cache)
{
	return purge_batch(&cache->purge, &cache->writes);
}
