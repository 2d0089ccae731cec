/*
 * All that connectors, dialers and origins use, over connections without sockets (fake_conn.h), names
 * as a test tells them (fake_resolver.h) and counted memory: for the unit tests of proxy/origin.
 */
#ifndef TESTS_DOUBLES_ORIGIN_WORLD_H
#define TESTS_DOUBLES_ORIGIN_WORLD_H

#include "proxy/origin/admission.h"
#include "proxy/origin/dialer.h"

enum {
	WORLD_CONNECT_MS = 1000,
	WORLD_HOLDER = 5, /* for whom all is asked */
};

struct origin_world {
	struct conf *conf;
	struct turn turn;
	struct descriptors descriptors;
	struct holdings *holdings;
	struct budgets budgets;
	struct resolver *resolver;
	struct access *access;
	struct routes *routes;
	struct admission admission;
	struct dialers dialers;
	bool is_own; /* connections lead to this machine */
};

/* There is one; monotonic_us() and getsockname() are its own. */
extern struct origin_world world;

/*
 * For cmocka.  It may connect to 10.0.0.0/8, within WORLD_CONNECT_MS, and listens on all addresses,
 * port 3128.  At the end all connections are closed, all places given back, and all memory is freed.
 */
int world_open(void **state);
int world_close(void **state);

/* Options "name=value;name=value" from now on, while nothing is under way. */
void world_set(const char *options);

/* Limits anew, after a change of `descriptors` or of options. */
void world_share_out(void);

/* Turns until nothing is to be done; and time that passes, with the turns it brings. */
void world_settle(void);
void world_pass(int64_t ms);

#endif
