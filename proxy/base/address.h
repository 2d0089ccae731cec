/*
 * Socket addresses: text to address and back, comparison, lists and networks.  Pure, no allocation.
 *
 * Text is read strictly, for what one reader takes for a name and another for an address opens
 * holes (HAZARDS T6): IPv4 as four decimal numbers without leading zeros, IPv6 as RFC 4291 2.2, no
 * zone id.
 */
#ifndef PROXY_BASE_ADDRESS_H
#define PROXY_BASE_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "cache/base/slice.h"

enum {
	ADDRESSES_MAX = 16,
	ADDRESS_TEXT_SIZE = 56, /* "[" IPv6 "]:" port NUL */
};

/*
 * An IPv4 or IPv6 socket address; which one says any.sa_family.  The port is in network order.
 *
 * AF_UNIX stands for the other end of a Unix socket, a process of this machine: all of them are one
 * address here, without bytes and port, which is loopback, in no network, and "unix:" as text.
 */
union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* The source of a name's address. */
enum address_source {
	FROM_NAME_SERVERS, /* whose answers the owner of the name controls */
	FROM_HERE,         /* it is numeric, of the hosts file, or localhost */
};

/* The address that a connection leads to, and the source of that address. */
struct destination {
	union address address;
	enum address_source source;
};

/* Addresses of one name, in the order to try them. */
struct addresses {
	enum address_source source;
	const char *why_none; /* for the log, when count is 0: a text of our own, or NULL */
	unsigned count;
	union address at[ADDRESSES_MAX];
};

/* Addresses whose first `bits` bits are those of `bytes` (the rest of them is 0). */
struct network {
	sa_family_t family;
	uint8_t bits; /* 0-32 for AF_INET, 0-128 for AF_INET6 */
	uint8_t bytes[16];
};

/*
 * A numeric address, IPv6 with or without brackets, nothing else; the port is 0.  False when it is
 * none.
 */
bool address_parse(struct slice text, union address *ret_address);

/* Of a peer that came by a Unix socket. */
union address address_unix(void);

/* From the 4 bytes of AF_INET or the 16 of AF_INET6; the port is 0. */
union address address_from_bytes(sa_family_t family, const void *bytes);

/* The 4 or 16 bytes of the address, valid as long as the address. */
const uint8_t *address_bytes(const union address *address);

/*
 * "192.0.2.1" or "2001:db8::1", and with the port "192.0.2.1:80" or "[2001:db8::1]:80".  Both
 * return the length and end the text with NUL.
 */
size_t address_format(const union address *address, char to[static ADDRESS_TEXT_SIZE]);
size_t address_format_port(const union address *address, char to[static ADDRESS_TEXT_SIZE]);

/* In host order. */
uint16_t address_port(const union address *address);
void address_set_port(union address *address, uint16_t port);

/* What bind() and connect() want to know. */
socklen_t address_length(const union address *address);

/* The same address, ports not looked at.  An IPv4 address and its IPv4-mapped form differ here. */
bool address_equal(const union address *a, const union address *b);

/*
 * ::ffff:a.b.c.d as a.b.c.d, for that is where the kernel connects to; others as they are.  Keeps
 * the port.
 */
union address address_unmapped(const union address *address);

/* 127.0.0.0/8, ::1 or a Unix socket; 0.0.0.0 or ::.  Mapped forms count. */
bool address_is_loopback(const union address *address);
bool address_is_wildcard(const union address *address);

/*
 * Where a program of this machine reaches what is bound to `bound`: that address itself, or the
 * loopback one of its family for a wildcard, with its port.
 */
union address address_reached_here(const union address *bound);

/*
 * Append what is not there yet, as long as there is room: IPv6 and IPv4 in turn, IPv6 first (RFC
 * 8305 4).
 */
void addresses_interleave(struct addresses *to, const union address *v6, unsigned v6_count,
			  const union address *v4, unsigned v4_count);

/*
 * "10.0.0.0/8", "fd00::/8", or an address, which is a network of one.  Bits beyond the prefix are
 * cleared; a mapped network of at least 96 bits becomes an IPv4 one.
 */
bool network_parse(struct slice text, struct network *ret_network);

/* The network of an interface's address and netmask. */
struct network network_of(const union address *address, unsigned bits);

/* A mapped address counts as the IPv4 address it stands for. */
bool network_has(const struct network *network, const union address *address);

#endif
