/* Targets of admin pages with parameters, as their questions are asked. */
#ifndef PROXY_CLI_TARGET_H
#define PROXY_CLI_TARGET_H

#include "proxy/base/buf.h"

/* Add `name`, "&host=" say, as it is, and a value encoded as in a form.  False without memory. */
bool target_put(struct buf *to, const char *name, const char *value);

/* The same for a URI, which is an http one when it has no scheme, as programs that fetch do. */
bool target_put_uri(struct buf *to, const char *name, const char *uri);

/* Say so on standard error when target_put_uri() makes it an http one. */
void target_note_scheme(const char *command, const char *uri);

/* The target so far, NUL-terminated, as long as nothing is added; NULL without memory. */
const char *target_text(struct buf *target);

#endif
