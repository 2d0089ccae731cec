/* Giving up what is not needed once the sockets are bound. */
#ifndef PROXY_PROCESS_PRIVILEGES_H
#define PROXY_PROCESS_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "cache/base/diagnostic.h"

/*
 * Become `user` for good, with the groups that the user has; "" stays.  False with a line in
 * `error`.
 */
bool privileges_drop(const char *user, struct diagnostic *error);

/* The user's numbers; as they are, and false, when there is none of that name, or it is "". */
bool privileges_find(const char *user, uid_t *ret_uid, gid_t *ret_gid);

/*
 * No program run from here gains privileges, and, unless `debugging`, no core is dumped and no
 * process of the same user looks inside: requests and the store hold secrets.
 */
void privileges_harden(bool debugging);

#endif
