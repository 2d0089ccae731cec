/*
 * Logins that wait for their password to be verified.
 *
 * Verifying is slow on purpose and may take a part of the processor's time only (credentials.h), so
 * a client that sends wrong passwords could keep others from being verified.  What there is no time
 * for waits here, with its connection, and is taken in turn: each address as often as others, and
 * of one address each user name as often as others, the oldest first.  So a right password gets
 * through however many wrong ones strangers send, and the work for one address is bounded by its
 * share.  After LOGINS_WAIT_MS it is refused (TOO_MANY_LOGINS), and so is what does not fit into
 * BUDGET_LOGINS.
 */
#ifndef PROXY_FRONT_LOGINS_H
#define PROXY_FRONT_LOGINS_H

#include "proxy/exchange/exchange.h"

enum { LOGINS_WAIT_MS = 20 * 1000 };

struct credentials;
struct logins;
struct login; /* one that waits */

/*
 * `done` is called with what came of it, FAILURE_NONE when the exchange has the name of its user.
 * NULL when out of memory.
 */
struct logins *logins_new(const struct turn *turn, const struct budgets *budgets,
			  struct credentials *credentials,
			  void (*done)(struct exchange *x, enum failure failure));

/* Those that still wait are forgotten. */
void logins_free(struct logins *logins);

/*
 * Who is it?  As credentials_check(), but that the exchange has been parked and waits when
 * *ret_waits; then the result is of no account.
 */
enum failure logins_check(struct logins *logins, struct exchange *x, bool *ret_waits);

/* Its client left. */
void logins_leave(struct login *login);

/* Whether any wait. */
bool logins_wait(const struct logins *logins);

/* Verify one, if there is time; milliseconds until the next call is due, -1 when none waits. */
int64_t logins_turn(struct logins *logins);

#endif
