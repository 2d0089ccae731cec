/* Socket addresses: strict text forms, comparison, interleaving, networks. */
#include "proxy/base/address.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "cache/base/decimal.h"

/* The first 12 bytes of ::ffff:0:0/96 (RFC 4291 2.5.5.2). */
static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

union address address_from_bytes(sa_family_t family, const void *bytes)
{
	union address address;

	memset(&address, 0, sizeof(address));
	address.any.sa_family = family;
	if (family == AF_INET)
		memcpy(&address.v4.sin_addr, bytes, sizeof(address.v4.sin_addr));
	else
		memcpy(&address.v6.sin6_addr, bytes, sizeof(address.v6.sin6_addr));
	return address;
}

union address address_unix(void)
{
	return (union address){.any = {.sa_family = AF_UNIX}};
}

const uint8_t *address_bytes(const union address *address)
{
	if (address->any.sa_family == AF_INET)
		return (const uint8_t *)&address->v4.sin_addr;
	return (const uint8_t *)&address->v6.sin6_addr;
}

bool address_parse(struct slice text, union address *ret_address)
{
	char copy[INET6_ADDRSTRLEN];
	uint8_t bytes[16];
	sa_family_t family = AF_INET;

	if (text.n >= 2 && text.p[0] == '[' && text.p[text.n - 1] == ']') {
		text = slice_of(text.p + 1, text.n - 2);
		family = AF_INET6;
	}
	if (text.n == 0 || text.n >= sizeof(copy) || memchr(text.p, '\0', text.n) != NULL)
		return false;
	if (memchr(text.p, ':', text.n) != NULL)
		family = AF_INET6;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	/* inet_pton() takes no octal, hexadecimal or short forms, no leading zeros and no zone. */
	if (inet_pton(family, copy, bytes) != 1)
		return false;
	*ret_address = address_from_bytes(family, bytes);
	return true;
}

/* By hand, as each line of the access log has one. */
static size_t format_v4(const uint8_t *bytes, char *to)
{
	char *at = to;

	for (int i = 0; i < 4; i++) {
		unsigned byte = bytes[i];

		if (byte >= 100)
			*at++ = (char)('0' + byte / 100);
		if (byte >= 10)
			*at++ = (char)('0' + byte / 10 % 10);
		*at++ = (char)('0' + byte % 10);
		*at++ = '.';
	}
	*--at = '\0';
	return (size_t)(at - to);
}

size_t address_format(const union address *address, char to[static ADDRESS_TEXT_SIZE])
{
	if (address->any.sa_family == AF_INET)
		return format_v4(address_bytes(address), to);
	if (address->any.sa_family == AF_UNIX)
		memcpy(to, "unix:", sizeof("unix:"));
	else if (inet_ntop(address->any.sa_family, address_bytes(address), to, ADDRESS_TEXT_SIZE) ==
		 NULL)
		to[0] = '\0';
	return strlen(to);
}

size_t address_format_port(const union address *address, char to[static ADDRESS_TEXT_SIZE])
{
	bool v6 = address->any.sa_family == AF_INET6;
	char host[ADDRESS_TEXT_SIZE];

	if (address->any.sa_family == AF_UNIX)
		return address_format(address, to);
	address_format(address, host);
	return (size_t)snprintf(to, ADDRESS_TEXT_SIZE, "%s%.*s%s:%u", v6 ? "[" : "",
				INET6_ADDRSTRLEN, host, v6 ? "]" : "", address_port(address));
}

uint16_t address_port(const union address *address)
{
	if (address->any.sa_family == AF_UNIX)
		return 0;
	return ntohs(address->any.sa_family == AF_INET ? address->v4.sin_port
						       : address->v6.sin6_port);
}

void address_set_port(union address *address, uint16_t port)
{
	if (address->any.sa_family == AF_INET)
		address->v4.sin_port = htons(port);
	else
		address->v6.sin6_port = htons(port);
}

socklen_t address_length(const union address *address)
{
	if (address->any.sa_family == AF_UNIX)
		return sizeof(address->any.sa_family);
	return address->any.sa_family == AF_INET ? sizeof(address->v4) : sizeof(address->v6);
}

static size_t byte_count(sa_family_t family)
{
	return family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;
}

bool address_equal(const union address *a, const union address *b)
{
	return a->any.sa_family == b->any.sa_family &&
	       memcmp(address_bytes(a), address_bytes(b), byte_count(a->any.sa_family)) == 0;
}

union address address_unmapped(const union address *address)
{
	const uint8_t *bytes = address_bytes(address);
	union address v4;

	if (address->any.sa_family != AF_INET6 ||
	    memcmp(bytes, mapped_prefix, sizeof(mapped_prefix)) != 0)
		return *address;
	v4 = address_from_bytes(AF_INET, bytes + sizeof(mapped_prefix));
	address_set_port(&v4, address_port(address));
	return v4;
}

bool address_is_loopback(const union address *address)
{
	union address plain = address_unmapped(address);

	if (plain.any.sa_family == AF_UNIX)
		return true;
	if (plain.any.sa_family == AF_INET)
		return address_bytes(&plain)[0] == 127;
	return IN6_IS_ADDR_LOOPBACK(&plain.v6.sin6_addr);
}

bool address_is_wildcard(const union address *address)
{
	union address plain = address_unmapped(address);

	if (plain.any.sa_family == AF_INET)
		return plain.v4.sin_addr.s_addr == htonl(INADDR_ANY);
	return plain.any.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&plain.v6.sin6_addr);
}

static void add_once(struct addresses *to, const union address *address)
{
	unsigned i;

	for (i = 0; i < to->count; i++)
		if (address_equal(&to->at[i], address))
			return;
	if (to->count < ADDRESSES_MAX)
		to->at[to->count++] = *address;
}

union address address_reached_here(const union address *bound)
{
	static const uint8_t v4[4] = {127, 0, 0, 1};
	static const uint8_t v6[16] = {[15] = 1};
	union address here = *bound;

	if (!address_is_wildcard(bound))
		return here;
	here = address_from_bytes(bound->any.sa_family, bound->any.sa_family == AF_INET ? v4 : v6);
	address_set_port(&here, address_port(bound));
	return here;
}

void addresses_interleave(struct addresses *to, const union address *v6, unsigned v6_count,
			  const union address *v4, unsigned v4_count)
{
	unsigned i;

	for (i = 0; (i < v6_count || i < v4_count) && to->count < ADDRESSES_MAX; i++) {
		if (i < v6_count)
			add_once(to, &v6[i]);
		if (i < v4_count)
			add_once(to, &v4[i]);
	}
}

/* 1 to 3 digits without a leading zero, at most `max`. */
static bool parse_bits(struct slice text, unsigned max, unsigned *ret_bits)
{
	uint64_t bits;

	if (text.n > 3 || (text.n > 1 && text.p[0] == '0') || !decimal_read(text, max, &bits))
		return false;
	*ret_bits = (unsigned)bits;
	return true;
}

struct network network_of(const union address *address, unsigned bits)
{
	union address plain = address_unmapped(address);
	struct network network = {.family = plain.any.sa_family};
	unsigned i;

	if (plain.any.sa_family != address->any.sa_family) {
		if (bits >= 96)
			bits -= 96;
		else
			plain = *address; /* wider than the mapped range: an IPv6 network */
	}
	network.family = plain.any.sa_family;
	network.bits = (uint8_t)bits;
	for (i = 0; i < byte_count(network.family) && bits > 0; i++) {
		unsigned kept = bits < 8 ? bits : 8;

		network.bytes[i] = address_bytes(&plain)[i] & (uint8_t)(0xff << (8 - kept));
		bits -= kept;
	}
	return network;
}

bool network_parse(struct slice text, struct network *ret_network)
{
	const char *slash = text.n > 0 ? memchr(text.p, '/', text.n) : NULL;
	struct slice host = slash != NULL ? slice_of(text.p, (size_t)(slash - text.p)) : text;
	union address address;
	unsigned bits;

	if (!address_parse(host, &address))
		return false;
	bits = (unsigned)(8 * byte_count(address.any.sa_family));
	if (slash != NULL && !parse_bits(slice_of(slash + 1, text.n - host.n - 1), bits, &bits))
		return false;
	*ret_network = network_of(&address, bits);
	return true;
}

bool network_has(const struct network *network, const union address *address)
{
	union address plain = address_unmapped(address);
	unsigned whole = network->bits / 8;
	unsigned rest = network->bits % 8;
	const uint8_t *bytes;

	if (plain.any.sa_family != network->family)
		return false;
	bytes = address_bytes(&plain);
	if (memcmp(bytes, network->bytes, whole) != 0)
		return false;
	return rest == 0 || ((bytes[whole] ^ network->bytes[whole]) & (0xff << (8 - rest))) == 0;
}
