/* LINKS: proxy/turn.c proxy/client.c proxy/exchange.c proxy/forward.c proxy/fetch.c proxy/collapse.c proxy/shareable.c proxy/judge.c proxy/origin.c proxy/dialer.c proxy/connector.c proxy/cause.c proxy/parse_fault.c proxy/pool.c proxy/tunnel.c proxy/route.c proxy/rules.c proxy/compose.c proxy/parse_head.c proxy/parse_memo.c proxy/parse_request.c proxy/parse_response.c proxy/body.c proxy/buf.c proxy/access.c proxy/admission.c proxy/ranges.c proxy/address.c proxy/hostname.c proxy/stats.c proxy/offenders.c proxy/budgets.c proxy/holdings.c proxy/proxy_protocol.c proxy/credentials.c proxy/accesslog.c proxy/accesslog_line.c proxy/accesslog_mask.c cache/cache.c cache/writes.c cache/overtaken.c cache/tidy.c cache/invalidation.c cache/purge.c cache/pending.c cache/groups.c cache/entry.c cache/record.c cache/freshen.c cache/key.c cache/language.c cache/http_message.c cache/http_fields.c cache/http_uri.c cache/http_date.c cache/http_sf.c cache/cache_control.c cache/freshness.c cache/policy.c cache/policy_condition.c cache/policy_request.c cache/policy_reuse.c cache/policy_store.c conf/units.c proxy/descriptors.c tests/support/witness_origins.c tests/support/sharing.c tests/support/witness_judge.c tests/support/fake_conn.c tests/support/fake_worker.c tests/support/lanes.c tests/support/fake_resolver.c tests/support/store_memory.c tests/support/schedule.c tests/support/failing_memory.c tests/support/witness.c tests/support/wire.c tests/support/test_conf.c proxy/logins.c proxy/mend.c -lhttp_parser -lxxhash -lcrypt -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc -lpthread */
/*
 * Whole exchanges: what happens, and when, is the input (schedule.h).  Whatever that is, all must
 * be closed in the end, and nobody may have got what was not meant for him.  With FUZZ_VERBOSE set,
 * what happens is told.
 */
#include <stdint.h>
#include <stdlib.h>

#include "tests/support/schedule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	schedule_play(slice_of((const char *)data, size), NULL, getenv("FUZZ_VERBOSE") != NULL);
	return 0;
}
