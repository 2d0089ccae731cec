/*
 * The token that operators show to the admin pages (option admin_token_file, RFC 6750 2.1): read from its
 * file by the proxy, and by subcommands that ask it.
 */
#ifndef PROXY_BASE_ADMIN_TOKEN_H
#define PROXY_BASE_ADMIN_TOKEN_H

#include <stdbool.h>

#include "cache/base/diagnostic.h"
#include "cache/base/slice.h"

enum { ADMIN_TOKEN_MIN = 16, ADMIN_TOKEN_MAX = 512 };

struct admin_token {
	size_t length; /* 0 for none */
	char text[ADMIN_TOKEN_MAX + 1];
};

/*
 * The one line of a regular file that others may neither read nor write, and the group not write: a token
 * of RFC 6750, at least ADMIN_TOKEN_MIN long.  An empty path is no token.  False with a line in `error`,
 * which has nothing of the token.
 */
bool admin_token_read(const char *path, struct admin_token *ret_token, struct diagnostic *error);

/* Whether a value of Authorization is "Bearer" and this token, compared in constant time. */
bool admin_token_is(const struct admin_token *token, struct slice authorization);

/* Overwrite it. */
void admin_token_forget(struct admin_token *token);

#endif
