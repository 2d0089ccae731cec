/*
 * For tests of the resolver: a loop, a scripted name server in it, options, and a resolver that
 * asks it.
 *
 * What cannot happen in time ends the test: no wait is longer than WATCHDOG_S.
 */
#ifndef TESTS_SUPPORT_RESOLVER_FIXTURE_H
#define TESTS_SUPPORT_RESOLVER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/conf.h"
#include "proxy/dns/resolver.h"
#include "tests/support/name_server.h"

enum { WATCHDOG_S = 10 };

struct fixture {
	struct ev_loop *loop;
	struct ev_check check;
	struct ev_timer tick;
	struct conf *conf;
	struct name_server *server;
	struct resolver *resolver; /* made by resolver_fixture_open() */
	struct budgets budgets;
	struct descriptors descriptors; /* to be shared out, before resolver_fixture_open() */
	budget_id holder;               /* who asks; nobody in particular unless set */
};

/* What came of a question. */
struct asked {
	struct fixture *fixture;
	struct resolver_query *query; /* NULL at once, or when it is over */
	unsigned calls;
	enum failure failure;
	unsigned count;
	char addresses[ADDRESSES_MAX * ADDRESS_TEXT_SIZE]; /* with spaces between */
	double seconds;                                    /* it took */
	double started;
};

/* A fixture with short waits, no hosts file, and no resolver yet; for cmocka. */
int resolver_fixture_setup(void **state);
int resolver_fixture_teardown(void **state);

/* Set an option before resolver_fixture_open(). */
void resolver_fixture_set(struct fixture *fixture, const char *option, const char *text);

/* A resolver that asks a server with these rows (NULL: one that knows no name). */
void resolver_fixture_open(struct fixture *fixture, const struct name_row *rows);

/* Ask; `done` is counted and noted in *ret_asked, which must not move. */
void resolver_fixture_start(struct fixture *fixture, const char *host, struct asked *ret_asked);

/* The resolver_done of resolver_fixture_start(), for tests that have one of their own call it. */
void resolver_fixture_done(void *context, enum failure failure, const struct addresses *found);

/* Run the loop until the question is answered, or for a time. */
void resolver_fixture_wait(struct asked *asked);
void resolver_fixture_run(struct fixture *fixture, double seconds);

/* Ask and wait: the addresses, or the name of the failure.  Valid until the next call. */
const char *resolver_fixture_ask(struct fixture *fixture, const char *host);

/* Questions the server got since the last call, UDP and TCP. */
unsigned resolver_fixture_questions(struct fixture *fixture);

#endif
