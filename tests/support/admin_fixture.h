/*
 * The operators' front end over a worker without a loop: what it tells of the service is mapped as
 * for one of one worker.
 */
#ifndef TESTS_SUPPORT_ADMIN_FIXTURE_H
#define TESTS_SUPPORT_ADMIN_FIXTURE_H

#include "proxy/base/admin_token.h"
#include "proxy/stats/stats.h"
#include "proxy/stats/store_counts.h"
#include "tests/support/worker_fixture.h"

struct admin_fixture {
	struct worker_fixture world; /* its client is one of the proxy */
	struct stats_service service;
	struct store_counts counts;
	struct admin_token token; /* none at first */
	int master;               /* what was written to the master is read here */
};

void admin_fixture_open(struct admin_fixture *f, const char *options);
int admin_fixture_close(void **state);

/* An operator at this address, on a connection of its own. */
struct fake_peer *admin_fixture_connect(struct admin_fixture *f, const char *from);

/* What such a one gets for a head without its last empty line: "GET / HTTP/1.1\r\nHost: a\r\n". */
const char *admin_fixture_send(struct admin_fixture *f, const char *from, const char *head);

/* The same on this machine: "GET", "/stats". */
const char *admin_fixture_ask(struct admin_fixture *f, const char *method, const char *target);

/* The answer begins with that status and a space; its text, behind the head, is returned. */
const char *admin_fixture_expect(struct admin_fixture *f, const char *method, const char *target,
				 unsigned status);

/*
 * A client of the proxy asks for this URI, with these lines, and its origin says that head, without
 * the last empty line.
 */
void admin_fixture_fetch(struct admin_fixture *f, const char *uri, const char *lines,
			 const char *answer);

/* The text has each of these parts. */
#define assert_tells(text, ...) \
	admin_fixture_tells(__FILE__, __LINE__, text, (const char *const[]){__VA_ARGS__, NULL})
void admin_fixture_tells(const char *file, int line, const char *text, const char *const *parts);

#endif
