/*
 * The front door of the cache: the operations that the proxy uses, in the terms of RFC 9111.
 *
 * Reads come straight from the store.  Writes are queued, bounded by conf->store_pending, and put
 * into the store together, in short transactions: by cache_flush_some(), in each turn of the loop
 * once a timer has started it; when a lookup asks for a URI with a queued write, so that a process
 * always reads what it wrote; or when the queue has grown large.  An invalidation is in force for
 * all processes when the call returns (invalidation.h); the records it makes useless are removed
 * from the store later, with the writes.
 *
 * Not thread-safe; one per process.  Owns the store.
 */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

#include "cache/base/diagnostic.h"
#include "cache/counts.h"
#include "cache/purge.h"
#include "cache/purge_match.h"
#include "cache/record/entry.h"
#include "cache/store/store.h"

struct cache;

enum {
	CACHE_LOCK_NONE = 0,  /* for a tool, or a test */
	CACHE_LOCK_TAKE = -1, /* the process is the service */
};

/*
 * `conf` must outlive it.  `lock` is the descriptor of the service's lock, from store_lock() in
 * store.h, or one of the above.  NULL on failure; `notice` as in store_open().
 */
struct cache *cache_open(const struct conf *conf, int lock, struct diagnostic *notice);
void cache_close(struct cache *cache);

/* A copy of the store, made by a process that has no cache open: store_copy() in store.h. */
enum store_result cache_copy(const struct conf *conf, int64_t wall_s, struct diagnostic *notice);

/* The result of a lookup.  Views are valid until the next lookup or write, or cache_turn_end(). */
struct cache_lookup {
	enum reuse verdict;
	enum reason why;
	bool uri_known; /* the URI has records, though maybe none that matches (vary-miss) */
	bool has_record;
	struct record_view record; /* when has_record */
	struct slice normal_uri;   /* of the request, or in the cache's scratch memory */
	struct cache_key key;
};

/* Find the record for a request and ask the policy.  Allocates nothing. */
void cache_lookup(struct cache *cache, const struct http_request *req, const struct http_clock *now,
		  struct cache_lookup *ret_lookup);

/* What cache_lookup() would find, and all else that is stored under the URI. */
struct cache_found {
	struct cache_lookup lookup;
	enum entry_select selected;
	struct slice entry;          /* all records of the URI (entry.h); empty for none */
	struct record_cutoff cutoff; /* which of them count as absent */
};

/*
 * Look for an operator: nothing is counted, marked as used or removed, damage is left where it is.
 * Views as in cache_lookup(), and `entry` likewise.
 */
void cache_peek(struct cache *cache, const struct http_request *req, const struct http_clock *now,
		struct cache_found *ret_found);

/*
 * Up to `most` entries in the order of keys, which are hashes, from *cursor on (all zero to begin),
 * as store_walk().  `cutoff` says which records count as absent, or stale.  Counts and marks
 * nothing.
 */
struct cache_visitor {
	bool (*visit)(void *context, const struct cache_key *key, struct slice entry,
		      const struct record_cutoff *cutoff);
	void *context;
};
enum store_result cache_walk(struct cache *cache, struct cache_key *cursor, size_t most,
			     const struct cache_visitor *visitor, bool *ret_more);

/* Store the response if the policy allows.  True when queued; *ret_why says why not. */
bool cache_store(struct cache *cache, const struct http_request *req,
		 const struct http_response *res, const struct exchange_times *times,
		 enum reason *ret_why);

/* A copy of a record, for as long as the origin is asked about it. */
struct cache_kept {
	struct record_view record;
	struct slice normal_uri;
	struct cache_key key; /* of the URI */
};

/*
 * Copy a record and its URI, and verify them: once for all that is done with the copy.  For the
 * caller to free(); NULL when out of memory or damaged.
 */
struct cache_kept *cache_keep(struct slice record, struct slice normal_uri);

/* What a record becomes by a 304. */
struct cache_freshened {
	struct record_view record; /* in the cache's scratch memory: until its next call */
	enum reason why;           /* it may not be kept; else REASON_NONE */
};

/*
 * A 304 confirmed `old`: queue the freshened record.  It answers the client even when it may not be
 * kept (then the old one is removed).  False when it has gathered far too many fields: then ask the
 * origin again.  A 204 to a HEAD, for the record of a GET, has the same effect as a 304 (RFC 9111
 * 4.3.5).
 */
bool cache_freshen(struct cache *cache, const struct http_request *req,
		   const struct cache_kept *old, const struct http_response *res_304,
		   const struct exchange_times *times, struct cache_freshened *ret_freshened);

/*
 * Remove one record, or its successor of the same kind and variant, from the entry of `key`.  In
 * force on return, for all processes.
 */
void cache_remove(struct cache *cache, const struct cache_key *key,
		  const struct record_view *record);

/*
 * After any final response; does nothing unless policy_invalidates() says so.  Remove the target
 * URI in all variants, Location and Content-Location of the same origin, and the groups of
 * Cache-Group-Invalidation.  In force on return, even if the store fails.  Responses that any
 * process requested before are no longer used or stored under these URIs, nor in these groups.  The
 * answer itself shows the state after the change: *times is set as if it had been requested now,
 * unless another invalidation came in between or at the same moment.  Returns the number of URIs
 * removed so far: members of large groups are counted later.
 */
unsigned cache_invalidate(struct cache *cache, const struct http_request *req,
			  const struct http_response *res, struct exchange_times *times);

/*
 * The epoch for the times of a request sent now: it distinguishes requests sent before an
 * invalidation from those sent after it, however soon after.
 */
uint64_t cache_epoch(const struct cache *cache);

/*
 * A purge, for operators.  Remove one URI (normal form) in all variants, like cache_invalidate():
 * CACHE_PURGED_ALL or, when there was no record of it, CACHE_PURGED_NOTHING.
 */
enum cache_purging cache_purge(struct cache *cache, struct slice normal_uri);

/*
 * A purge of more than one URI, or a soft one: in force on return, for all processes, and for
 * answers on their way.  Of those that it concerns, a hard one removes what is stored, a soft one
 * makes it stale: validated before its next use, and in the meantime good for stale-if-error.
 * `purge` is as purge_match.h makes it, with `soft` set; gets its id.  CACHE_PURGE_GOES_ON:
 * cache_purge_some() does the rest.  For PURGE_URI that is done, as in cache_purge().  Else
 * CACHE_PURGE_REFUSED or CACHE_PURGE_FAILED, and nothing is purged.
 */
enum cache_purging cache_purge_begin(struct cache *cache, const struct http_clock *now,
				     struct purge *purge);

/* Purges that are pending, then those that ended, each from the latest; at most `most`. */
unsigned cache_purges(struct cache *cache, struct purge *to, unsigned most);

/* The id of the latest purge; 0 when there was none. */
uint64_t cache_purge_last_id(struct cache *cache);

/*
 * Everything that is stored now, and every answer to a request already sent by any process, counts
 * as absent from here on, for all processes: it is not found, not freshened and not stored.
 * cache_purge_some() removes it.  Constant time.  Read `now` just before the call, and again just
 * after it: the call may move the clock forward by a millisecond, so that later records differ from
 * purged ones.  Returns its id; 0 when the store failed, which keeps it from being listed alone.
 */
uint64_t cache_purge_all(struct cache *cache, const struct http_clock *now);

/*
 * Whether a record has been purged or invalidated since it was copied.  Then it must not answer anything, not even in place of an error.  Ends views.
 */
bool cache_is_absent(struct cache *cache, const struct cache_kept *kept);

/* Whether purged records remain to be removed.  Cheap. */
bool cache_purge_is_due(const struct cache *cache);

/*
 * Remove a small part of them: CACHE_PURGED_ALL when none are left, CACHE_PURGE_GOES_ON, or
 * CACHE_PURGE_FAILED, after which it may be tried again.  Several processes may do this at once.
 */
enum cache_purging cache_purge_some(struct cache *cache);

/* Put queued writes into the store.  Cheap when there are none. */
void cache_flush(struct cache *cache);

/* Put those of one URI into the store, with a few others at most. */
void cache_flush_key(struct cache *cache, const struct cache_key *key);

/*
 * Put some queued writes into the store, or remove some invalidated records.  Takes about 0.1 ms.
 * True when more is left: call again after serving the requests at hand.
 */
bool cache_flush_some(struct cache *cache);

/* Whether cache_flush_some() has something to do. */
bool cache_flush_is_due(const struct cache *cache);

/*
 * Call about once a second: retries removals that failed, and those left behind by a process that
 * died.
 */
void cache_tick(struct cache *cache);

/* Writes that are queued. */
size_t cache_pending(const struct cache *cache);

/* End of a loop turn: views become invalid. */
void cache_turn_end(struct cache *cache);

const struct cache_counts *cache_counts(const struct cache *cache);
struct store *cache_store_of(struct cache *cache);

#endif
