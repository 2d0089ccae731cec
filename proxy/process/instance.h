/*
 * What tells this installation from all others: its name in the Via field of requests, by which it
 * knows one that comes back (RFC 9110 7.6.3).
 *
 * A pseudonym that the operator chose is that name.  The preset one is everybody's: with it two
 * proxies in a chain, neither of them configured, would each take the other's requests for its own.
 * So it is followed by a random part, which is kept in the store's directory, in the file
 * `instance`: a loop that goes on while one of its proxies starts again is still noticed.
 */
#ifndef PROXY_PROCESS_INSTANCE_H
#define PROXY_PROCESS_INSTANCE_H

#include "conf/conf.h"

/*
 * The name, to be freed; NULL when out of memory.  Reads the file, or makes it; when that cannot be
 * the random part is of this run alone.  For who holds the lock of the store's directory.
 */
char *instance_name(const struct conf *conf);

#endif
