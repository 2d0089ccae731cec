/* Addresses of options as addresses to connect to. */
#include "proxy/cli/place.h"

#include <stdio.h>

#include "conf/conf.h"

bool place_reached_here(const char *option, const char *text, struct place *ret_place,
			struct diagnostic *error)
{
	const char *path = conf_unix_path(text);
	union address bound;
	char host[46];
	uint16_t port;

	*ret_place = (struct place){.address = address_unix()};
	if (path != NULL) {
		snprintf(ret_place->path, sizeof(ret_place->path), "%s", path);
		return true;
	}
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
	ret_place->address = address_reached_here(&bound);
	return true;
}

void place_name(const struct place *place, char to[static PLACE_NAME])
{
	if (place->path[0] == '\0')
		address_format_port(&place->address, to);
	else
		snprintf(to, PLACE_NAME, "unix:%s", place->path);
}
