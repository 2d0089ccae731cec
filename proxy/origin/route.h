/*
 * Where the connection for a request leads, and by way of what: the options parent, no_proxy and
 * gateway, or the parent of its rule, for which no_proxy does not count.  Pure.
 */
#ifndef PROXY_ORIGIN_ROUTE_H
#define PROXY_ORIGIN_ROUTE_H

#include "cache/base/diagnostic.h"
#include "cache/http/message.h"
#include "conf/conf.h"
#include "proxy/base/failure.h"

/* Valid as long as the request it was found for. */
struct route {
	struct slice host; /* of the origin */
	uint16_t port;
	bool tls;    /* the origin is asked over TLS, and verified */
	bool chosen; /* the operator named it: only the proxy itself is refused */
	bool tunnel; /* with parent: by CONNECT, else requests are in absolute-form */
	const struct parent *parent; /* by way of that proxy; NULL for directly */
	const char *socket; /* chosen: path of the Unix socket that leads there; NULL for none */
};

/* A parent proxy as the option says, or a rule. */
struct parent {
	struct slice host; /* n is 0 when there is none */
	uint16_t port;
	uint16_t number;            /* 0 for that of the option; for others one of their own */
	struct slice authorization; /* value of Proxy-Authorization, empty for none */
};

struct routes;

/* NULL with a line in `error`.  Does not keep `conf`. */
struct routes *routes_new(const struct conf *conf, struct diagnostic *error);

/* The password is overwritten. */
void routes_free(struct routes *routes);

/* That of the option. */
const struct parent *routes_parent(const struct routes *routes);

/*
 * The route for a request with absolute-form or authority-form target, CONNECT included.  This
 * machine (loopback, localhost and names below it) is never the parent's.  FAILURE_NONE, or what
 * would be found out by looking the name up, when the parent does that: DNS_ERROR for what is no
 * host name (some would read "0x7f.1" as an address).
 */
enum failure route_find(const struct routes *routes, const struct http_request *req, bool chosen,
			struct route *ret_route);

/*
 * What tells connections apart: how a connection is made, then "host:port" in lower case of whom it
 * goes to, the parent when requests are in absolute-form; then which parent, in a tunnel through
 * that of a rule.  Two routes of one key may share
 * connections, and no others.
 */
enum { ROUTE_KEY_MAX = URI_HOST_MAX + 16 };
struct slice route_key(const struct route *route, char to[static ROUTE_KEY_MAX]);

/* The host that a key has. */
struct slice route_key_host(struct slice key);

#endif
