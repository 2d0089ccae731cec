/*
 * A worker without a loop (fake_worker.h) and one client of it: for tests of a front end or of
 * clients, which link with the doubles of a worker.
 */
#ifndef TESTS_SUPPORT_WORKER_FIXTURE_H
#define TESTS_SUPPORT_WORKER_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/doubles/fake_worker.h"
#include "tests/support/test_conf.h"

struct worker_fixture {
	struct conf *conf;
	struct fake_worker *worker;
	struct fake_peer *client; /* at the front end that it was opened with */
	char text[512 << 10];     /* of worker_fixture_got() */
};

/* With these options, as test_conf_set_all() has them; the test fails when they are none. */
void worker_fixture_open(struct worker_fixture *f, const struct frontend *frontend,
			 const char *options);

/*
 * Of the last one that was opened: for the end of a test, whatever has become of it.  Nothing that is
 * counted is left over.
 */
int worker_fixture_close(void **state);

/* Whatever happens by itself; then all is as it has to be between two turns. */
void worker_fixture_settle(struct worker_fixture *f);

/* The peer says it, and what follows from that happens. */
void worker_fixture_say(struct worker_fixture *f, struct fake_peer *peer, const char *text);

/* Time passes. */
void worker_fixture_pass(struct worker_fixture *f, int64_t ms);

/* The client has room for whatever comes from now on. */
void worker_fixture_take_all(struct worker_fixture *f);

/* What the peer got since it was last asked; valid until then. */
const char *worker_fixture_got(struct worker_fixture *f, struct fake_peer *peer);

#endif
