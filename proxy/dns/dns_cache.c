/* Answers of name servers: a hash table whose order of insertion is the order of use. */
#include "proxy/dns/dns_cache.h"

#include <stdlib.h>

/* An allocation that fails costs the entry, not the process. */
#define HASH_NONFATAL_OOM 1
#include "cache/base/table.h"

struct dns_entry {
	UT_hash_handle hh;
	int64_t until_ms;
	enum failure failure;
	const char *why_none;
	unsigned count;
	union address *at; /* `count` of them, then the name: all in the entry's allocation */
	char *name;
	size_t name_length;
};

struct dns_cache {
	struct dns_entry *entries; /* the first one has not been used for the longest */
	uint32_t max;
};

struct dns_cache *dns_cache_new(uint32_t max)
{
	struct dns_cache *cache = calloc(1, sizeof(*cache));

	if (cache != NULL)
		cache->max = max;
	return cache;
}

static void drop(struct dns_cache *cache, struct dns_entry *entry)
{
	HASH_DEL(cache->entries, entry);
	free(entry);
}

void dns_cache_free(struct dns_cache *cache)
{
	if (cache == NULL)
		return;
	while (cache->entries != NULL)
		drop(cache, cache->entries);
	free(cache);
}

static struct dns_entry *find(struct dns_cache *cache, struct slice name)
{
	struct dns_entry *entry;

	HASH_FIND(hh, cache->entries, name.p, name.n, entry);
	return entry;
}

/* At the end of the order.  Out of memory, the entry is gone. */
static void insert(struct dns_cache *cache, struct dns_entry *entry)
{
	HASH_ADD_KEYPTR(hh, cache->entries, entry->name, entry->name_length, entry);
	if (entry->hh.tbl == NULL)
		free(entry);
}

bool dns_cache_find(struct dns_cache *cache, struct slice name, int64_t now_ms,
		    enum failure *ret_failure, struct addresses *ret_found)
{
	struct dns_entry *entry = find(cache, name);

	if (entry == NULL)
		return false;
	if (now_ms >= entry->until_ms) {
		drop(cache, entry);
		return false;
	}
	*ret_failure = entry->failure;
	ret_found->source = FROM_NAME_SERVERS;
	ret_found->why_none = entry->why_none;
	ret_found->count = entry->count;
	memcpy(ret_found->at, entry->at, entry->count * sizeof(*entry->at));
	HASH_DEL(cache->entries, entry);
	insert(cache, entry);
	return true;
}

static struct dns_entry *entry_new(struct slice name, const struct addresses *found)
{
	size_t size = found->count * sizeof(*found->at);
	struct dns_entry *entry = malloc(sizeof(*entry) + size + name.n);

	if (entry == NULL)
		return NULL;
	entry->why_none = found->why_none;
	entry->count = found->count;
	entry->at = (union address *)(entry + 1);
	memcpy(entry->at, found->at, size);
	entry->name = (char *)(entry + 1) + size;
	entry->name_length = name.n;
	memcpy(entry->name, name.p, name.n);
	return entry;
}

void dns_cache_put(struct dns_cache *cache, struct slice name, int64_t until_ms,
		   enum failure failure, const struct addresses *found)
{
	struct dns_entry *entry = find(cache, name);

	if (entry != NULL)
		drop(cache, entry);
	if (cache->max == 0)
		return;
	entry = entry_new(name, found);
	if (entry == NULL)
		return;
	entry->until_ms = until_ms;
	entry->failure = failure;
	if (HASH_COUNT(cache->entries) >= cache->max)
		drop(cache, cache->entries);
	insert(cache, entry);
}
