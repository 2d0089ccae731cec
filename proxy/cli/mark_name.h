/* Marks of the running proxy, as commands set and name them. */
#ifndef PROXY_CLI_MARK_NAME_H
#define PROXY_CLI_MARK_NAME_H

#include "proxy/cli/ask.h"

enum { MARK_NAME = 32 };

/* A letter, and up to 31 letters, digits, dots, dashes and underscores behind it. */
bool mark_name_is_good(const char *name);

/* False with a line in `error`; `note` may be NULL. */
bool mark_set(const struct asked *asked, const char *name, const char *note,
	      struct diagnostic *error);

#endif
