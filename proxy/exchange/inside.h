/*
 * Requests in a tunnel that is read as HTTP (option tunnel_http): which of them are for its origin.
 *
 * A client that asks for CONNECT a.test:80 and speaks HTTP there takes us for a.test.  What it asks
 * for counts as if it had asked the proxy in absolute-form, as long as each request says by its
 * Host that it is for the authority of that CONNECT (RFC 9110 7.2).  Pure but for inside_new().
 */
#ifndef PROXY_EXCHANGE_INSIDE_H
#define PROXY_EXCHANGE_INSIDE_H

#include "cache/http/message.h"
#include "proxy/base/failure.h"

struct frontend;

/* What the requests of a tunnel are for.  The connection's, freed with it by turn_free(). */
struct inside {
	const struct frontend *frontend; /* that handles them */
	struct http_uri origin;          /* of scheme http; a view of `text` */
	struct slice authority;          /* as Host, in lower case, with the port; likewise */
	struct slice user;               /* who logged in with the CONNECT */
	char text[];
};

/* Of a CONNECT.  NULL when out of memory. */
struct inside *inside_new(const struct http_request *connect, struct slice user,
			  const struct frontend *frontend);

/*
 * Is a tunnel whose first request is this one to be read?  Not when it is for another authority,
 * and not when it asks for another protocol or another tunnel: then the origin is to decide.
 */
bool inside_begins(const struct inside *inside, const struct http_request *req);

/*
 * Make the request one in absolute-form.  MISDIRECTED when it is not for the origin (RFC 9110
 * 7.4), DENIED_METHOD for another CONNECT.
 */
enum failure inside_complete(const struct inside *inside, struct http_request *req);

#endif
