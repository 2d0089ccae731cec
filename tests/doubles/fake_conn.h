/*
 * Connections without sockets, for tests of whole exchanges: the symbols of proxy/loop/conn.h, over
 * bytes, times and troubles that a test chooses.
 *
 * To the test, a connection is a struct fake_peer: its far end.  Nothing happens by itself: events
 * are handed out by fake_conn_turn(), as in one turn of the loop, and time moves by
 * fake_conn_pass() alone.  Peers stay until fake_conn_forget(), whatever becomes of the connection.
 */
#ifndef TESTS_DOUBLES_FAKE_CONN_H
#define TESTS_DOUBLES_FAKE_CONN_H

#include "proxy/loop/conn.h"

enum {
	FAKE_PEERS = 1024, /* at most, until they are forgotten */
	FAKE_CONNECT_UNDECIDED = -1,
	FAKE_WORKERS = 8, /* of a service, those that drain included */
};

/* Bytes that went one way: `done` of them were taken by whom they are for. */
struct fake_bytes {
	char *p;
	size_t n, room, done;
};

void fake_bytes_add(struct fake_bytes *bytes, struct slice more);

struct fake_peer {
	int fd;                /* a number that no descriptor has */
	union address address; /* that was connected to; family 0 when it came to the proxy */
	const char *path;      /* of a Unix socket, as conn_connect_path() got it */
	struct conn *conn;     /* NULL: closed by the proxy */
	struct fake_bytes said;
	size_t preface; /* bytes of it before the first message */
	bool refused;   /* it came to be told no */
	bool uncounted; /* an operator's, whose bytes are no traffic */
	struct fake_bytes got;
	size_t sent;             /* bytes that it was sent, gone or not */
	size_t room;             /* takes so many bytes more, SIZE_MAX for any number */
	size_t read_max;         /* bytes of one conn_recv() at most */
	size_t send_max;         /* bytes of one conn_send() at most */
	int connect;             /* errno of the connect, 0, or FAKE_CONNECT_UNDECIDED */
	int error;               /* of the connection: reset */
	bool told;               /* the proxy has asked how the connect ended */
	bool ended;              /* it sent FIN after what it said */
	bool gone;               /* and closed: what it is sent after this brings an RST */
	bool got_end, got_reset; /* from the proxy */
	bool told_end;           /* by conn_end(), before the connection was closed */
	bool killed;             /* these were the kernel's, as the worker was killed */
	unsigned pieces;         /* calls that these two hold for */
	bool secured;            /* the proxy speaks TLS, whose content is seen here */
	bool resumed;            /* its handshake is one of an earlier session */
	const char *name;        /* of its certificate; NULL for none */
	unsigned acknowledged;   /* at once, as the proxy asked the kernel to */
};

/* For conn_new(): someone connects to the proxy. */
struct fake_peer *fake_peer_new(void);

/* Those that the proxy has connected to, in order; NULL when there are no more. */
struct fake_peer *fake_peer_connected(unsigned index);

/* In the order of their making, of both kinds. */
struct fake_peer *fake_peer_at(unsigned index);
unsigned fake_peer_index(const struct fake_peer *peer);

/* What it does.  After an end or a reset, its own or the proxy's, it says nothing
 * more; when the proxy has closed, nothing it does is of account. */
void fake_peer_say(struct fake_peer *peer, struct slice bytes);
void fake_peer_end(struct fake_peer *peer);   /* FIN, and reads on */
void fake_peer_leave(struct fake_peer *peer); /* FIN, and reads no more */
void fake_peer_reset(struct fake_peer *peer); /* what the proxy has not read yet is lost */
void fake_peer_decide(struct fake_peer *peer, int connect);
struct slice fake_peer_got(const struct fake_peer *peer);

/* How the connects of the proxy end from now on, and its TLS handshakes. */
void fake_conn_connects(int connect);
void fake_conn_secures(enum failure failure);

/* Whose connections are made, events handed out and memory freed from now on. */
void fake_conn_be(unsigned worker);

/* This one was killed: its sockets are closed, its deadlines and memory are gone. */
void fake_conn_die(unsigned worker);

/* Its clients are about to be cut off, and know why. */
void fake_conn_cut(unsigned worker);

/*
 * Hand out the events that are there now, each connection's once; false when there was none.  The
 * order is that of the connections' making, or the other way round.
 */
bool fake_conn_turn(bool backwards);

/*
 * How far things have gone: a number that grows whenever a byte moves, or a connection is made,
 * decided, ended, closed or expires.
 */
uint64_t fake_conn_progress(void);

/* A wake-up that nothing is behind, for what the connection waits for. */
void fake_conn_wake(struct fake_peer *peer);

/* Milliseconds since fake_conn_forget(); the next deadline, INT64_MAX for none. */
int64_t fake_conn_now_ms(void);
int64_t fake_conn_next_ms(void);
void fake_conn_pass(int64_t ms);

/*
 * Let the n-th call from now on, 0 for the next, of those that ask the kernel for something, fail
 * with this errno.  Once only; a socket that failed stays so.  After an EPIPE what the peer has said
 * is still read, after any other it is lost.
 */
void fake_conn_fail(unsigned n, int error);

/* No failure any more; true when the one that was ordered has happened. */
bool fake_conn_fail_never(void);

/* Connections that the proxy has not closed. */
unsigned fake_conn_open(void);

/* Forget all peers, troubles and times; no connection may be open. */
void fake_conn_forget(void);

#endif
