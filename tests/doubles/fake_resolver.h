/*
 * A resolver for tests that have no loop: the same symbols as resolver.c, answers as the test
 * says, at the time the test says.
 *
 * Numeric hosts are answered at once, as by the real one; other hosts as told, and those that
 * nothing was told of with FAILURE_DNS_ERROR.  Time stands still but for fake_resolver_advance().
 */
#ifndef TESTS_DOUBLES_FAKE_RESOLVER_H
#define TESTS_DOUBLES_FAKE_RESOLVER_H

#include "proxy/dns/resolver.h"

enum { FAKE_RESOLVER_NEVER = -1 };

/*
 * Answer `host` (any case) from now on with these numeric addresses, spaces between, `delay_ms`
 * after the question: 0 is before resolver_start() returns, FAKE_RESOLVER_NEVER not at all.
 */
void fake_resolver_tell(struct resolver *resolver, const char *host, const char *addresses,
			int64_t delay_ms);

/* The same with a failure. */
void fake_resolver_fail(struct resolver *resolver, const char *host, enum failure failure,
			int64_t delay_ms);

/* Let time pass: `done` is called for what is due, in the order of its time. */
void fake_resolver_advance(struct resolver *resolver, int64_t ms);

/* Questions that were asked, and those that are neither answered nor cancelled. */
unsigned fake_resolver_asked(const struct resolver *resolver);
unsigned fake_resolver_waiting(const struct resolver *resolver);

#endif
