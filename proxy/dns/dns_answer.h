/*
 * One answer made of the two that name servers gave, A and AAAA: what it is and how long to keep
 * it. Pure.
 */
#ifndef PROXY_DNS_DNS_ANSWER_H
#define PROXY_DNS_DNS_ANSWER_H

#include "proxy/base/address.h"
#include "proxy/base/failure.h"

enum dns_status {
	DNS_PENDING,       /* no answer yet */
	DNS_FOUND,         /* with addresses */
	DNS_NO_NAME,       /* NXDOMAIN */
	DNS_NO_ADDRESS,    /* the name has none of this family */
	DNS_SERVER_FAILED, /* SERVFAIL, REFUSED, rubbish, nothing listens there */
	DNS_SERVER_SILENT, /* after all tries */
	DNS_NOBODY_ASKED,  /* no socket or no memory for it */
};

/* What came for one family. */
struct dns_part {
	enum dns_status status;
	int ttl_s;      /* the shortest, with DNS_FOUND */
	unsigned count; /* more than 0 with DNS_FOUND only */
	union address at[ADDRESSES_MAX];
};

/* Add an address; more than ADDRESSES_MAX are left out. */
void dns_part_add(struct dns_part *part, const union address *address, int ttl_s);

/*
 * The addresses in the order to try; or DNS_TIMEOUT when a server was silent, pending counts as
 * that, and none failed otherwise; or DNS_ERROR.
 */
enum failure dns_answer(const struct dns_part *v6, const struct dns_part *v4,
			struct addresses *ret_found);

/*
 * How long to keep it; 0 for not at all.  With addresses: their shortest TTL, a second at least, a
 * day at most; if A addresses are missing but were not denied, no longer than `negative_ms`, for
 * the AAAA ones alone may be of no use.  A name or family denied: `negative_ms`.  Servers that
 * failed or were silent: the same, 5 minutes at most (RFC 9520 3.2).  No server asked: 0.
 */
int64_t dns_answer_keep_ms(const struct dns_part *v6, const struct dns_part *v4,
			   int64_t negative_ms);

#endif
