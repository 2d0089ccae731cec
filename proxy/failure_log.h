/*
 * Failures of exchanges as lines for the operator, on stderr (log.h).  Those that an operator has
 * to do something about, or may be asked about, are told at level info, one line a kind in
 * INTERVAL_MS with the number of those left out since the last; at level debug all are.  Failed
 * logins are told each, with the user name claimed.  No path, query or password is in a line.
 */
#ifndef PROXY_FAILURE_LOG_H
#define PROXY_FAILURE_LOG_H

struct exchange;

/* Of an exchange that ends with a failure: once, at its end. */
void failure_log(const struct exchange *x);

#endif
