/* Rows of the statistics for the addresses of a generation. */
#include "proxy/process/listener_rows.h"

#include <string.h>

#include "proxy/front/gateway.h"

static uint8_t row_of(const struct listener_address *at, struct listener_names *names)
{
	char address[sizeof("tls:") + LISTENER_NAME_SIZE] = "tls:";
	const char *origin = gateway_origin(at->frontend);

	listener_name(at, at->is_tls ? address + strlen(address) : address);
	return (uint8_t)listener_names_row(names, address, origin == NULL ? "" : origin);
}

void listener_rows_give(struct generation *generation, struct listener_names *names)
{
	for (unsigned i = 0; i < generation->set_count; i++) {
		struct listener *set = &generation->sets[i];

		for (unsigned j = 0; j < set->count; j++)
			if (!set->at[j].frontend->is_reserved)
				set->at[j].row = row_of(&set->at[j], names);
	}
}
