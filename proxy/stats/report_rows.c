/* Numbers about the store as rows. */
#include "proxy/stats/report_rows.h"

#include <string.h>

void report_store_rows(const struct report_input *in, struct report_row ret_rows[REPORT_STORE_ROWS])
{
	const struct report_row rows[REPORT_STORE_ROWS] = {
		{"entries", "store_entries", "Records in the store", in->store.entries},
		{"bytes_used", "store_used_bytes", "Bytes of the store in use",
		 in->store.bytes_used},
		{"bytes_size", "store_size_bytes", "Bound on the store's file",
		 in->store.bytes_size},
		{"map_used", "store_map_used_bytes", "Bytes of the store's map in use",
		 in->map_used},
		{"evictions", "store_evictions_total", "Records evicted to make room",
		 in->store.evictions},
		{"failures", "store_failures_total", "Transactions of the store that failed",
		 in->store.failures},
		{"stored", "store_records_stored_total", "Records put into the store",
		 in->cache.stored},
		{"dropped", "store_writes_dropped_total",
		 "Writes that fitted neither queue nor store", in->cache.dropped},
		{"damaged", "store_records_damaged_total", "Records found damaged and dropped",
		 in->cache.damaged},
		{"invalidated", "store_invalidated_total",
		 "URIs removed by unsafe methods and groups", in->cache.invalidated},
		{"purged", "store_purged_total", "Entries removed by purges", in->cache.purged},
		{"flushes", "store_flushes_total", "Write transactions of the store",
		 in->cache.flushes},
		{"copies", "store_copies_total", "Copies made of the store", in->copies.made},
		{"copies_failed", "store_copies_failed_total", "Copies of the store that failed",
		 in->copies.failed},
		{"copied_at", "store_copied_timestamp_seconds",
		 "When the last copy was made, in seconds since the epoch; 0 for none",
		 (uint64_t)in->copies.last_s},
	};
	memcpy(ret_rows, rows, sizeof(rows));
}
