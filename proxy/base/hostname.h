/* Host names of the DNS: their normal form, and which hosts are invalid.  Pure. */
#ifndef PROXY_BASE_HOSTNAME_H
#define PROXY_BASE_HOSTNAME_H

#include "cache/base/slice.h"

enum {
	HOSTNAME_MAX = 253, /* without the last dot (RFC 1035 2.3.4) */
	HOSTNAME_LABEL_MAX = 63,
};

/*
 * Lower case, one last dot dropped.  Returns the length, 0 when it is no host name: empty, too
 * long, an empty or too long label, a byte that is no letter, digit, hyphen or underscore, or a
 * last label that is a number ("127.1", "0x7f.1", "2130706433"), which some readers take for an
 * IPv4 address.  `to` is not NUL-terminated.
 */
size_t hostname_normal(struct slice host, char to[static HOSTNAME_MAX]);

/* `name` is `domain` or ends in "." and `domain`; both in normal form. */
bool hostname_is_within(struct slice name, struct slice domain);

#endif
