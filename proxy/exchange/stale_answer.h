/*
 * Answers in the place of errors: a stale record, where it and the request allow that (RFC 5861 4).
 */
#ifndef PROXY_EXCHANGE_STALE_ANSWER_H
#define PROXY_EXCHANGE_STALE_ANSWER_H

#include "proxy/exchange/exchange.h"

/*
 * Answer with the stale record that the exchange keeps, if that may be: true, and it has ended.
 * The failure in whose place it is, or FAILURE_NONE, is logged.
 */
bool stale_answer(struct exchange *x, enum failure failure);

/* The origin could not be asked, or broke off: that, or the failure. */
void stale_answer_or_fail(struct exchange *x, enum failure failure);

#endif
