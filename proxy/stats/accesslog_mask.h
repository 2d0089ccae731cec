/*
 * What of a request target the access log shows (HAZARDS M3).  Pure.
 *
 * A target that was understood has no userinfo (RFC 9110 4.2.4: such are refused).  One that was
 * not may be a URI with a user's name and a password wherever its sender went wrong, so nothing of
 * its authority is shown.
 */
#ifndef PROXY_STATS_ACCESSLOG_MASK_H
#define PROXY_STATS_ACCESSLOG_MASK_H

#include "cache/base/slice.h"

/*
 * The target with "***" in the place of
 *
 *	- the authority, when the target was not understood (`read` is false): all up to the path,
 *	  or what follows the last '@'; of one that has neither a scheme nor a path, all of it;
 *	- the userinfo of URIs within it, of any target: what is between "//" and '@'.
 *
 * What need not be changed is returned as it is, the rest is written to `room`, `size` bytes at
 * most.
 */
struct slice accesslog_mask(struct slice target, bool read, char *room, size_t size);

#endif
