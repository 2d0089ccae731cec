/*
 * Who asks an origin in the unit tests of proxy/origin: notes what comes of it, in the world of
 * tests/doubles/origin_world.h.
 */
#ifndef TESTS_SUPPORT_ORIGIN_ASKER_H
#define TESTS_SUPPORT_ORIGIN_ASKER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proxy/origin/origin.h"
#include "tests/doubles/fake_conn.h"
#include "tests/doubles/origin_world.h"

#define HEAD "GET /a HTTP/1.1\r\nHost: o.test\r\n\r\n"
#define EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define INTERIM "HTTP/1.1 103 Early\r\n\r\n"

enum {
	HEAD_N = sizeof(HEAD) - 1,
	/* the options first_byte_timeout, body_timeout and origin_idle_timeout */
	FIRST_BYTE_MS = 3000,
	BODY_MS = 2000,
	IDLE_MS = 5000,
};

/* A call of its own in which it cancels. */
enum asked_call { NOWHERE, IN_INTERIM, IN_HEAD, IN_CONTENT, IN_DRAINED };

/* What came of it. */
struct asked {
	struct origin *origin; /* NULL when it is over */
	unsigned interims, heads, ends, failures, drained, switches;
	enum failure failure;
	unsigned status;
	bool mended, framing_trouble;
	char content[4096], cause[256], early[64];
	unsigned takes; /* pieces of content until it takes no more */
	enum asked_call cancels;
	uint64_t idle;     /* connections that are kept, as it ends */
	struct conn *conn; /* of another protocol */
};

extern struct origins *asker_origins;
extern const struct origin_events asker_events; /* for a struct asked */
extern const struct http_request asker_get, asker_post, asker_post_chunks, asker_upgrade;
extern const struct route asker_route; /* directly to 10.0.0.1:80 */

/* For cmocka: the world, and origins.  In the end what is kept is closed, and none are left. */
int asker_open(void **state);
int asker_close(void **state);

/* Send HEAD as that request; the failure that has come at once, or that of no failure. */
enum failure asker_begin_as(struct asked *asked, const struct http_request *req,
			    const struct origin_asker *asker);
enum failure asker_begin(struct asked *asked, const struct http_request *req);

/* The same, as far as it goes by itself: who it was sent to. */
struct fake_peer *asker_ask_for(struct asked *asked, const struct http_request *req);
struct fake_peer *asker_ask(struct asked *asked);

/* How many connections were made so far; the far end of the one made last. */
unsigned asker_connects(void);
struct fake_peer *asker_peer(void);

/* The far end says it, and it is read. */
void asker_say(struct fake_peer *peer, const char *text);

void asker_expect_end(const struct asked *asked, unsigned status, const char *content);

/* And no connection is left. */
void asker_expect_failure(const struct asked *asked, enum failure failure, const char *cause);

/* So many connections are kept, in places for idle ones, and no request is at work. */
void asker_expect_kept(unsigned kept);

/* ms from now until something is over; -1 for never. */
int64_t asker_left_ms(void);

#endif
