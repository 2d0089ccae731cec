/* LINKS: cache/cache.c cache/writes.c cache/pending.c cache/groups.c cache/entry.c cache/record.c cache/freshen.c cache/key.c cache/http_fields.c cache/http_uri.c cache/http_date.c cache/http_sf.c cache/cache_control.c cache/freshness.c cache/policy.c cache/policy_condition.c cache/policy_request.c cache/policy_reuse.c cache/policy_store.c conf/units.c cache/store.c cache/store_lmdb.c cache/store_open.c cache/store_entry.c cache/store_files.c cache/store_check.c cache/store_room.c cache/store_value.c cache/evict.c cache/shared_map.c tests/support/heads.c tests/support/messages.c tests/support/test_conf.c tests/support/cache_fixture.c -lxxhash -llmdb */
/* The tests of the cache, over the store that the proxy has. */
#define STORE_ON_DISK
#include "tests/unit/test_cache.c"
