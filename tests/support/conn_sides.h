/*
 * Connections in a loop of their own, each with an owner that notes its events, and the socket of its
 * peer.  For programs that link proxy/loop.
 */
#ifndef TESTS_SUPPORT_CONN_SIDES_H
#define TESTS_SUPPORT_CONN_SIDES_H

#include <stdint.h>

#include "proxy/loop/conn.h"
#include "proxy/loop/turn.h"

enum { SIDES_MAX = 11 };

struct side {
	struct conn *conn; /* NULL when it is closed */
	int peer;          /* blocking or not as it was given; -1 for none */
	char seen[32];     /* r, w or x for each event */
	void (*act)(struct side *side, char what); /* called after an event was noted */
};

extern struct side sides[SIDES_MAX];
extern struct turn sides_turn;
extern const struct conn_events side_events; /* of a struct side */

/* A loop, and the first so many sides, with pairs of Unix sockets.  Each of these fails the test. */
void sides_open(unsigned count);
int sides_setup(void **state); /* two of them, for a test */
void sides_close(void);

void side_close(struct side *side);

/* A pair of Unix sockets that do not block; the connection of one of them. */
void side_open(struct side *side);

/* The same with TCP over 127.0.0.1, blocking at the peer. */
void side_open_tcp(struct side *side);

/* A socket that listens on a port of 127.0.0.1. */
int sides_listen(union address *ret_at, int backlog);

/* The connection of a socket, in place of what the side has. */
void side_own(struct side *side, int fd, int peer);

/* Whole turns of the loop, which do not wait. */
void sides_go_round(unsigned turns);

/* The events of a turn, without its tasks; and when so much time has passed for deadlines. */
void sides_hand_out(void);
void sides_pass(int64_t ms);

/* What was noted since it was asked last. */
void side_expect_seen(struct side *side, const char *what);

/* The peer writes; it reads what is there, "" for the end. */
void side_say(const struct side *side, const char *text);
void side_hear(const struct side *side, const char *text);

/* Receives so many bytes at most: what comes of it, and which they are. */
void side_expect_recv(struct side *side, size_t size, enum io io, const char *text);

/* An option of the connection's socket that is a number. */
int side_option(const struct side *side, int level, int name);

/* Waits for such an event (poll(2)) of a socket. */
void sides_await(int fd, short event);

#endif
