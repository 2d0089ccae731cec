/* The addresses that this machine has, read from its network interfaces. */
#include "proxy/process/interfaces.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>

/* False when it is of another family. */
static bool read_interface(const struct ifaddrs *interface, struct interface_address *ret_address)
{
	union address mask;
	unsigned size;

	if (interface->ifa_addr == NULL || interface->ifa_netmask == NULL)
		return false;
	if (interface->ifa_addr->sa_family != AF_INET && interface->ifa_addr->sa_family != AF_INET6)
		return false;
	size = interface->ifa_addr->sa_family == AF_INET ? sizeof(mask.v4) : sizeof(mask.v6);
	*ret_address = (struct interface_address){.is_up = (interface->ifa_flags & IFF_UP) != 0};
	memcpy(&ret_address->address, interface->ifa_addr, size);
	memcpy(&mask, interface->ifa_netmask, size);
	mask.any.sa_family = interface->ifa_addr->sa_family; /* not always set in masks */
	for (unsigned i = 0; i < (mask.any.sa_family == AF_INET ? 4U : 16U); i++)
		ret_address->bits += (unsigned)__builtin_popcount(address_bytes(&mask)[i]);
	return true;
}

struct interface_address *interfaces_read(size_t *ret_count, struct diagnostic *error)
{
	struct ifaddrs *interfaces = NULL;
	struct interface_address *at = NULL;
	size_t room = 1; /* never of no bytes, which may be NULL */

	*ret_count = 0;
	if (getifaddrs(&interfaces) == 0) {
		for (const struct ifaddrs *i = interfaces; i != NULL; i = i->ifa_next)
			room++;
		at = calloc(room, sizeof(*at));
	}
	if (at == NULL)
		diagnostic_set(error, "cannot read the addresses of this machine: %s",
			       strerror(errno));
	for (const struct ifaddrs *i = interfaces; at != NULL && i != NULL; i = i->ifa_next)
		if (read_interface(i, &at[*ret_count]))
			(*ret_count)++;
	freeifaddrs(interfaces);
	return at;
}
