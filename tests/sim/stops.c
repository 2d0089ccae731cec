/*
 * Places to stop between the accesses to memory that workers share: before and after what changes it,
 * before what reads it.  The linker puts these functions in the way (--wrap).
 */
#include "cache/store/invalidation.h"
#include "cache/store/note.h"
#include "cache/store/purge_mark.h"
#include "proxy/exchange/leases.h"
#include "tests/doubles/fake_lmdb.h"

/* READS(number, type of result, name, parameters, arguments) */
#define READS(n, type, name, parameters, arguments) \
	type __real_##name parameters;              \
	type __wrap_##name parameters;              \
	type __wrap_##name parameters               \
	{                                           \
		fake_lmdb_stop(n);                  \
		return __real_##name arguments;     \
	}

#define CHANGES(n, type, name, parameters, arguments) \
	type __real_##name parameters;                \
	type __wrap_##name parameters;                \
	type __wrap_##name parameters                 \
	{                                             \
		type result;                          \
                                                      \
		fake_lmdb_stop(n);                    \
		result = __real_##name arguments;     \
		fake_lmdb_stop(n);                    \
		return result;                        \
	}

#define DOES(n, name, parameters, arguments) \
	void __real_##name parameters;       \
	void __wrap_##name parameters;       \
	void __wrap_##name parameters        \
	{                                    \
		fake_lmdb_stop(n);           \
		__real_##name arguments;     \
		fake_lmdb_stop(n);           \
	}

READS(20, uint64_t, invalidation_now, (const struct invalidations *all), (all))
READS(21, uint64_t, invalidation_of, (const struct invalidations *all, const struct cache_key *key),
      (all, key))
READS(22, bool, invalidation_overtakes,
      (const struct invalidations *all, const struct cache_key *key, uint64_t asked_at),
      (all, key, asked_at))
READS(23, uint64_t, invalidation_latest,
      (const struct invalidations *all, const struct cache_key *key), (all, key))
READS(24, int64_t, purge_mark, (struct store * store), (store))
CHANGES(25, uint64_t, invalidation_overtake,
	(struct invalidations * all, const struct cache_key *keys, unsigned count,
	 uint64_t *ret_before),
	(all, keys, count, ret_before))
CHANGES(26, uint32_t, invalidation_add,
	(struct invalidations * all, enum invalidation_kind kind, const struct cache_key *key,
	 const struct cache_key *entry, uint64_t epoch),
	(all, kind, key, entry, epoch))
CHANGES(27, bool, invalidation_purge, (struct invalidations * all, struct purge *purge),
	(all, purge))
CHANGES(28, bool, invalidation_purge_end,
	(struct invalidations * all, unsigned slot, const struct purge *purge, int64_t ended_s),
	(all, slot, purge, ended_s))
CHANGES(29, bool, leases_take,
	(struct leases * leases, const struct cache_key *key, int64_t now_ms,
	 struct lease *ret_lease),
	(leases, key, now_ms, ret_lease))
DOES(30, invalidation_retire, (struct invalidations * all, const struct invalidation_mark *mark),
     (all, mark))
DOES(31, purge_mark_set, (struct store * store, int64_t now_ms), (store, now_ms))
DOES(32, purge_mark_removed, (struct store * store, int64_t mark_ms), (store, mark_ms))
DOES(33, store_note_take, (struct store_note * note, int fd, uint64_t transaction),
     (note, fd, transaction))
