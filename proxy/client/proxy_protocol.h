/*
 * The header of the PROXY protocol, versions 1 (text) and 2 (binary), by which a load balancer
 * names the client whose connection it passes on.  Strict and pure; the verdict does not depend on
 * how the bytes were split over reads.
 */
#ifndef PROXY_CLIENT_PROXY_PROTOCOL_H
#define PROXY_CLIENT_PROXY_PROTOCOL_H

#include "proxy/base/address.h"

enum {
	PROXY_HEADER_V1_MAX = 107, /* with CRLF */
	PROXY_HEADER_MAX = 4096,   /* with all that version 2 may add; more is refused */
};

enum proxy_header_result {
	PROXY_HEADER_MORE, /* not whole yet: call again with more bytes after the same ones */
	PROXY_HEADER_DONE,
	PROXY_HEADER_BAD,
};

struct proxy_header {
	bool local; /* the sender's own connection: a health check */
	union address
		source; /* of the client with its port; family AF_UNSPEC when it is not named */
};

/* A header at the start of `bytes`.  On PROXY_HEADER_DONE *ret_length is its length. */
enum proxy_header_result proxy_header_parse(struct slice bytes, struct proxy_header *ret_header,
					    size_t *ret_length);

#endif
