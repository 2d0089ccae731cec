/*
 * Why an exchange ends with an answer made here, or without a whole one: one closed list, which is
 * status, header, log and counter at once (failures.def).
 */
#ifndef PROXY_BASE_FAILURE_H
#define PROXY_BASE_FAILURE_H

#include <stdbool.h>

enum failure {
	FAILURE_NONE,
#define FAILURE(id, name, status, token, options, sentence) FAILURE_##id,
#include "proxy/base/failures.def"
#undef FAILURE
	FAILURE_COUNT
};

/* Static text of the table's row, "" where it has none; constant time. */
const char *failure_name(enum failure failure);
const char *failure_token(enum failure failure);    /* error type of Proxy-Status (RFC 9209) */
const char *failure_options(enum failure failure);  /* that decide, "a, b" */
const char *failure_sentence(enum failure failure); /* for the client */

/* Of the answer; 0 when nothing can be answered any more. */
unsigned failure_status(enum failure failure);

/*
 * Whether a client went without its answer and could not help it: an error 5xx, or an answer that
 * was cut, but for those that its own request caused.
 */
bool failure_is_error(enum failure failure);

#endif
