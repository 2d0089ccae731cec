/* Rules as access_new() compiles them, for the files of access.h. */
#ifndef PROXY_ACCESS_COMPILED_H
#define PROXY_ACCESS_COMPILED_H

#include "conf/conf.h"
#include "proxy/access/destinations.h"
#include "proxy/base/address.h"

/* A network of this machine's addresses, and a port one of our listeners has on them. */
struct endpoint {
	struct network network;
	uint16_t port;
};

/*
 * Verdicts on recent destinations.  The rules are constant, so a verdict never changes; it is
 * needed for every request, hits included, and working it out costs more than the rest of a hit.
 */
enum { MEMO_SLOTS = 64, MEMO_HOST_MAX = 58 };

struct memo {
	uint16_t port;
	uint8_t failure;
	uint8_t length; /* 0: nothing is remembered here */
	char host[MEMO_HOST_MAX];
};

/* A bit each. */
struct ports {
	uint8_t bits[(UINT16_MAX + 1) / 8];
};

struct access {
	struct memo *memo; /* MEMO_SLOTS */
	struct rules *deny;
	struct rules *allow;
	struct network *clients;
	size_t client_count;
	struct network *senders;
	size_t sender_count;
	bool unix_sends; /* all that come by Unix sockets are senders, too */
	struct endpoint *own;
	size_t own_count;
	bool is_local_only; /* only this machine may be a client */
	bool dns_private;   /* names that the DNS says are private may be asked for */
	struct ports connect_ports;
	struct ports tunnel_http;
	struct ports ports;          /* of all other requests */
	struct ports wildcard_ports; /* of listeners on all addresses of the machine */
	struct slice instance;       /* our name in Via */
	const struct conf_list *methods;
};

static inline bool ports_have(const struct ports *ports, uint16_t port)
{
	return ports->bits[port / 8] >> port % 8 & 1;
}

#endif
