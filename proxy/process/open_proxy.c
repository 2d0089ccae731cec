/* Networks so wide that a proxy for them is an open one. */
#include "proxy/process/open_proxy.h"

#include "proxy/access/ranges.h"
#include "proxy/base/address.h"

enum { OWNER_BITS_V4 = 8, OWNER_BITS_V6 = 16, ULA_BITS = 7 };

/* fc00::/7 and what is in it, or link-local: wide, and of one place all the same. */
static bool is_private(const struct network *network)
{
	union address first = address_from_bytes(network->family, network->bytes);

	return network->family == AF_INET6 && network->bits >= ULA_BITS &&
	       range_kind(&first) != RANGE_PUBLIC;
}

const char *open_proxy_clients(const struct conf_list *clients)
{
	for (size_t i = 0; i < clients->count; i++) {
		struct network network;
		int least;

		if (!network_parse(slice_str(clients->at[i]), &network))
			continue;
		least = network.family == AF_INET ? OWNER_BITS_V4 : OWNER_BITS_V6;
		if (network.bits < least && !is_private(&network))
			return clients->at[i];
	}
	return NULL;
}
