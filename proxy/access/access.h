/*
 * Access rules: which clients may reach which destinations.  Pure decisions over networks, ports
 * and names: no I/O, no name look-up.
 *
 * Where the proxy goes unless `allow` says otherwise (HAZARDS T6):
 *
 * Public addresses: yes.
 *
 * Link-local, metadata, multicast, broadcast, unspecified, reserved and documentation ranges (NEVER
 * in ranges.def): no.  No web server is there, but in most clouds one that gives the machine's
 * credentials to anyone who sends it a GET.  The same in every spelling: mapped, NAT64, 6to4,
 * Teredo.
 *
 * Loopback and private networks: no, unless only this machine may be a client.  A proxy that serves
 * others stands where they do not: on this machine and inside its network, whose servers trust by
 * address.  A client would borrow that trust.  If only this machine's own users are served, they
 * reach all of this without the proxy: a refusal would protect nothing, and 127.0.0.1 is where
 * people try things out.  Only this machine may be a client when all networks of the option
 * `clients` are loopback, or, without that option, all listening addresses; and never with
 * proxy_protocol_from, whose connections are made for clients elsewhere.
 *
 * Names that name servers say are loopback: no, even then.  A page of any site can point its own
 * name there once a browser has loaded it, and would speak with this machine's servers as if they
 * were its own (rebinding).  localhost, names below it and those of the hosts file are not looked
 * up, so other parties cannot point them elsewhere.  Names that name servers say are private: as
 * the addresses, for that is how the names of many networks are kept; with dns_private = refuse as
 * loopback.
 *
 * The proxy's own listeners: never, not even by `allow`; a request for one is a loop.
 *
 * Ports of protocols that HTTP is not (ports.def): no, unless the option allow_ports has them; for
 * CONNECT the option connect_ports says which.
 *
 * `deny` takes away from this; `allow` gives back what is refused by default or by `deny`.
 */
#ifndef PROXY_ACCESS_ACCESS_H
#define PROXY_ACCESS_ACCESS_H

#include "cache/base/diagnostic.h"
#include "cache/http/message.h"
#include "conf/conf.h"
#include "proxy/base/address.h"
#include "proxy/base/failure.h"

struct access;

/* An address of a network interface, and the length of its network's prefix. */
struct interface_address {
	union address address;
	unsigned bits;
	bool is_up;
};

/* Where the proxy is: the addresses bound by all listeners, ports set, and those of the machine. */
struct access_place {
	const union address *listeners;
	size_t listener_count;
	const struct interface_address *interfaces;
	size_t interface_count;
	bool has_unix; /* it listens on Unix sockets as well */
};

/*
 * Rules compiled from the options (clients, proxy_protocol_from, methods, connect_ports,
 * tunnel_http, allow_ports, deny, allow, dns_private, pseudonym and what instance.h makes of it).
 * A listener's wildcard address stands for all addresses of the place.  NULL when out of memory or
 * a rule is bad (line in `error`).  `conf` must outlive it, `place` need not.
 */
struct access *access_new(const struct conf *conf, const struct access_place *place,
			  struct diagnostic *error);
void access_free(struct access *access);

/*
 * Whether only this machine may be a client, so that private destinations are allowed (see above).
 */
bool access_is_local_only(const struct access *access);

/*
 * May this peer use the proxy?  With the option `clients` empty: loopback, and the networks of the
 * interfaces that have the listening addresses, all interfaces for a wildcard.  Who came by a Unix
 * socket may: the permissions of its file have decided.
 */
bool access_client(const struct access *access, const union address *peer);

/* Does this peer send the PROXY header of its client (option proxy_protocol_from)? */
bool access_sender(const struct access *access, const union address *peer);

/* Does the option `methods` have it? */
bool access_method(const struct access *access, struct slice method);

/* Has the request been here before (our name in Via, RFC 9110 7.6.3)? */
bool access_is_loop(const struct access *access, const struct http_request *req);

/* Is a tunnel to this authority to be read as HTTP, if it can be (option tunnel_http)? */
bool access_reads_tunnel(const struct access *access, const struct http_uri *uri);

/*
 * What can be decided from the request alone: FAILURE_NONE, or DENIED_METHOD, LOOP (our name in
 * Via, RFC 9110 7.6.3), DENIED_PORT, for CONNECT DENIED_TUNNEL, DENIED_DESTINATION (name rules). A
 * numeric host is judged as by access_address().  A name that `deny` has needs a name in `allow`; a
 * network there is not enough.
 */
enum failure access_request(const struct access *access, const struct http_request *req);

/*
 * May the proxy connect to this very address (port set)?  `host` is the name it was found under,
 * for rules by name, and `source` says where it was found.  FAILURE_NONE, DENIED_DESTINATION (by
 * `deny`), DENIED_PRIVATE or DENIED_RESERVED (by default: `allow` gives them back), or OWN_ADDRESS
 * for the proxy's own listeners.  Of an address that stands for IPv4 ones, these are judged too;
 * but for `allow` to count, it must have the outer one.
 */
enum failure access_address(const struct access *access, struct slice host,
			    enum address_source source, const union address *address);

/*
 * A connection from `local` to `peer`, which this machine made, is one to a listener of the proxy
 * on all addresses: they are the same, and the port is its.  This finds addresses as well that the
 * machine got after access_new().
 */
bool access_is_wildcard_own(const struct access *access, const union address *local,
			    const union address *peer);

/* Only a connection to such a port can be one: the addresses of others need not be asked for. */
bool access_has_wildcard_port(const struct access *access, uint16_t port);

/* The same of a destination that the operator chose: OWN_ADDRESS for the proxy itself, or NONE. */
enum failure access_chosen(const struct access *access, const union address *address);

#endif
