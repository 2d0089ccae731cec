/*
 * How many connections each client's address has, so that one client cannot take them all.
 *
 * The addresses of an IPv6 /64 count as one: whoever has one of them has all.  Memory for those
 * that are connected, no more.
 */
#ifndef PROXY_PEERS_H
#define PROXY_PEERS_H

#include "proxy/address.h"

struct peers;

/* At most `most` connections each.  NULL when out of memory. */
struct peers *peers_new(unsigned most);
void peers_free(struct peers *peers);

/* One more; false when it would be too many, or memory is out: then it is not counted. */
bool peers_enter(struct peers *peers, const union address *address);

/* One less, of those that entered. */
void peers_leave(struct peers *peers, const union address *address);

#endif
