/* Addresses of options as addresses to connect to. */
#include "proxy/cli/place.h"

#include <stdio.h>

#include "conf/conf.h"

bool place_reached_here(const char *option, const char *text, union address *ret_address,
			struct diagnostic *error)
{
	union address bound;
	char host[46];
	uint16_t port;

	if (!conf_split_address(text, host, &port) || !address_parse(slice_str(host), &bound)) {
		diagnostic_set(error, "%s: %s: not an address and a port", option, text);
		return false;
	}
	if (port == 0) {
		diagnostic_set(
			error,
			"%s: %s: port 0 is any free one, chosen at the start: give the one that it "
			"printed, by -o %s=ADDRESS:PORT",
			option, text, option);
		return false;
	}
	address_set_port(&bound, port);
	*ret_address = address_reached_here(&bound);
	return true;
}
