/*
 * Which clients may get a stored response, by where it came from (HAZARDS X7).
 *
 * A hit does not connect, so the rules for addresses, which are looked at when the proxy connects,
 * do not see it.  But the store outlives the rules, and is one for all doors: a response may have
 * come by way of a gateway, whose origin the operator chose and clients of the proxy may be
 * refused, or at a time when less was denied.  So a record has a number that is made when the
 * response comes, and a hit compares it.  It tells
 *
 * - what kind of place the address is (ranges.def), or that a parent proxy found it;
 * - by which rules for addresses clients of the proxy may go there: a fingerprint of all options
 *   that have a part in it.  0 when they may not, and it came by way of a gateway.
 *
 * A record may be shown when its rules are those in effect, or when the rules in effect allow every
 * place of its kind, which holds for public ones unless `deny` has networks.  Any other is as if it
 * were not there: the origin is asked, and the client is refused if it may not go there.  A gateway
 * may show all.  What depends on names and ports alone is looked at with each request
 * (access_request()), so no number is needed for it.
 */
#ifndef PROXY_ORIGIN_ADMISSION_H
#define PROXY_ORIGIN_ADMISSION_H

#include "proxy/access/access.h"
#include "proxy/origin/route.h"

enum { ADMISSION_PLACES = 4 }; /* the number's two lowest bits; the rest is the fingerprint */

struct admission {
	uint32_t rules;  /* in effect; two lowest bits 0 */
	uint32_t places; /* a bit for each kind of place of which all may be shown */
};

/* By the options, and what `access` makes of them. */
struct admission admission_new(const struct conf *conf, const struct access *access,
			       const struct routes *routes);

/* The number for a response that came by this route from there. */
uint32_t admission_of(const struct admission *admission, const struct access *access,
		      const struct route *route, const struct destination *from);

/* May clients of the proxy be shown a record with that number? */
static inline bool admission_allows(const struct admission *admission, uint32_t number)
{
	return (number ^ admission->rules) < ADMISSION_PLACES ||
	       (admission->places >> number % ADMISSION_PLACES & 1) != 0;
}

#endif
