/*
 * The unique name of this installation in the Via field of requests, by which it recognises a
 * request that comes back (RFC 9110 7.6.3).
 *
 * A pseudonym that the operator chose is used as it is.  The default one is the same everywhere:
 * with it two unconfigured proxies in a chain would each mistake the other's requests for its own.
 * So it is followed by a random part, which is kept in the file `instance` in the store's
 * directory: a loop is detected even after one of its proxies restarts.
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
