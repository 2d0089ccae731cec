/* Members of lists of struct conf taken apart, for those who bind the addresses in them. */
#include "conf/conf.h"

#include <string.h>

#include "conf/units.h"

bool conf_split_address(const char *text, char *ret_host, uint16_t *ret_port)
{
	return units_parse_address(text, ret_host, ret_port);
}

bool conf_split_gateway(const char *text, char *ret_host, uint16_t *ret_port,
			const char **ret_origin)
{
	const char *equals = strchr(text, '=');
	char address[UNITS_HOST + 9];

	if (!equals || (size_t)(equals - text) >= sizeof(address))
		return false;
	memcpy(address, text, (size_t)(equals - text));
	address[equals - text] = '\0';
	*ret_origin = equals + 1;
	return units_parse_address(address, ret_host, ret_port);
}
