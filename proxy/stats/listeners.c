/* Traffic by the address that it came to. */
#include "proxy/stats/listeners.h"

#include <stdio.h>
#include <string.h>

unsigned listener_names_count(const struct listener_names *names)
{
	/* With the release of listener_names_row(): names below it are there. */
	return atomic_load_explicit(&names->count, memory_order_acquire);
}

unsigned listener_names_row(struct listener_names *names, const char *address, const char *origin)
{
	unsigned count = listener_names_count(names);
	struct listener_name name;

	snprintf(name.address, sizeof(name.address), "%s", address);
	snprintf(name.origin, sizeof(name.origin), "%s", origin);
	if (count == 0)
		count = 1; /* row 0 is for those without one */
	for (unsigned row = 1; row < count; row++)
		if (strcmp(names->at[row].address, name.address) == 0 &&
		    strcmp(names->at[row].origin, name.origin) == 0)
			return row;
	if (count == LISTENER_ROWS)
		return 0;
	memcpy(&names->at[count], &name, sizeof(name));
	atomic_store_explicit(&names->count, count + 1, memory_order_release);
	return count;
}

void listener_counts_sum(struct listener_counts *to, const struct listener_counts *from)
{
	STATS_BUMP(to->connections, STATS_READ(from->connections));
	for (unsigned i = 0; i < ANSWER_COUNT; i++)
		STATS_BUMP(to->answer[i], STATS_READ(from->answer[i]));
	STATS_BUMP(to->bytes_in, STATS_READ(from->bytes_in));
	STATS_BUMP(to->bytes_out, STATS_READ(from->bytes_out));
	STATS_BUMP(to->handshakes, STATS_READ(from->handshakes));
	STATS_BUMP(to->resumed, STATS_READ(from->resumed));
	STATS_BUMP(to->handshakes_failed, STATS_READ(from->handshakes_failed));
}
