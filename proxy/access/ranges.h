/* What kind of place an address is, by the table of ranges.def.  Pure. */
#ifndef PROXY_ACCESS_RANGES_H
#define PROXY_ACCESS_RANGES_H

#include "proxy/base/address.h"

enum range_kind {
	RANGE_PUBLIC,
	RANGE_PRIVATE, /* loopback and private networks */
	RANGE_NEVER,   /* link-local, metadata, multicast, reserved and the like */
};

enum { RANGE_EMBEDDED_MAX = 4 };

/*
 * The kind of the address; of an address that stands for IPv4 ones (mapped, NAT64, 6to4, Teredo)
 * the kind of these: a mapped address is the IPv4 address, the others are RANGE_PUBLIC or
 * RANGE_NEVER.
 */
enum range_kind range_kind(const union address *address);

/*
 * The IPv4 addresses that a NAT64, 6to4 or Teredo address stands for, with its port; returns how
 * many. A local NAT64 address (64:ff9b:1::/48) is read in each way its translator might (RFC 6052
 * 2.2).
 */
unsigned range_embedded(const union address *address,
			union address ret_embedded[static RANGE_EMBEDDED_MAX]);

#endif
