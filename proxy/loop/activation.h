/*
 * Sockets that the service manager has bound for this process (socket activation,
 * sd_listen_fds(3)): those of LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES.  Each is taken once, in
 * the place of one that would be bound.  One that no option asks for is an error, since its
 * clients would wait for ever.
 */
#ifndef PROXY_LOOP_ACTIVATION_H
#define PROXY_LOOP_ACTIVATION_H

#include <stdbool.h>
#include <stddef.h>

#include "cache/base/diagnostic.h"
#include "proxy/base/address.h"

enum { ACTIVATION_MAX = 64 };

/*
 * Take the variables out of the environment, and look at what they name: each has to be a listening
 * socket of TCP or of a file.  Variables for another process are ignored.  False with a line in
 * `error`.
 */
bool activation_init(struct diagnostic *error);

/*
 * The descriptor of the socket that is bound to this address, a Unix one to this path (else ""),
 * and has not been taken, -1 for none.  It is the caller's, does not block and is closed on exec.
 */
int activation_take(const union address *address, const char *path);

/* Whether all were taken.  False with a line in `error`, which names the first that was not. */
bool activation_all_taken(struct diagnostic *error);

#endif
