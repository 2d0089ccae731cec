/*
 * Failures of exchanges as lines for the operator, on stderr (log.h).  Those that an operator has
 * to do something about, or may be asked about, are logged at level info, one line a kind in
 * INTERVAL_MS with the number of those left out since the last; at level debug all are.  Failed
 * each failed login has a line, with the user name claimed.  No path, query or password is in a
 * line.
 */
#ifndef PROXY_EXCHANGE_FAILURE_LOG_H
#define PROXY_EXCHANGE_FAILURE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/address.h"
#include "proxy/base/failure.h"

struct http_request;

/* What a line tells of an exchange. */
struct failure_subject {
	const struct http_request *req;
	const union address *peer;   /* the client's; family 0 when there is none */
	const union address *origin; /* asked; family 0 when none */
	int64_t now_ms;              /* the clock of deadlines */
};

/* Of an exchange that ends with a failure: once, at its end. */
void failure_log(const struct failure_subject *of, enum failure failure);

/* Of one that is answered from the store in spite of a failure. */
void failure_log_hidden(const struct failure_subject *of, enum failure failure);

/*
 * Of a connection that is closed, as its sender, which is behind a balancer that the operator
 * named, did not begin with a right PROXY header: limited as the others.
 */
void failure_log_header(const union address *sender, int64_t now_ms);

/* Of a client whose TLS handshake failed, and why (cause.h): limited as the others. */
void failure_log_handshake(const union address *client, enum failure failure, int64_t now_ms);

/*
 * What is no failure of an exchange, at level debug: a response that was mended, and a client that
 * left behind `n` bytes of a head.
 */
void failure_log_mended(const struct failure_subject *of);
void failure_log_left(const union address *client, size_t n);

#endif
