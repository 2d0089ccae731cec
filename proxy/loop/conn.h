/*
 * A socket with one deadline.  libev's events become the three below; nothing else here knows
 * libev.
 *
 * A conn belongs to its owner until conn_close(): the socket is closed at once and no event comes
 * any more, the memory goes at the end of the loop turn, because events already fetched may still
 * name it.  An owner of a closed conn frees itself by turn_free() for the same reason.
 */
#ifndef PROXY_LOOP_CONN_H
#define PROXY_LOOP_CONN_H

#include <stdbool.h>
#include <stddef.h>

#include "proxy/base/address.h"
#include "proxy/base/failure.h"
#include "proxy/loop/io.h"

struct conn;
struct tls_context;
struct tls_server;
struct turn;

/* Each gets the owner.  They may close the conn. */
struct conn_events {
	void (*readable)(void *owner);
	void (*writable)(void *owner); /* also: a connect is decided, see conn_connected() */
	void (*expired)(void *owner);  /* the deadline passed, without an event; it is unset */
};

/* The loop of this process, a struct ev_loop, and its turns; before anything else. */
void conn_setup(void *loop, struct turn *turn);

/* Takes the socket over, non-blocking already.  NULL when out of memory (the socket is closed). */
struct conn *conn_new(int fd, const struct conn_events *events, void *owner);

/*
 * Begins to connect; writable tells that it is decided, unless conn_is_connected().  NULL with errno
 * at once.
 */
struct conn *conn_connect(const union address *to, const struct conn_events *events, void *owner);

/* The same to the Unix socket at a path; EAGAIN when its queue is full. */
struct conn *conn_connect_path(const char *path, const struct conn_events *events, void *owner);

/* It was connected at once, as to this machine: no event comes, and nothing is watched for. */
bool conn_is_connected(const struct conn *conn);

/* 0 when the connect succeeded, else its errno. */
int conn_connected(struct conn *conn);

/*
 * Speak TLS from now on, to `host` (tls.h).  Writable tells that the handshake is decided, as it
 * tells of a connect; until then no other event but the deadline's comes.  From then on all below
 * but conn_splice_*() are as ever, of the content; IO_END is the peer's close_notify, and an end
 * without one is IO_ERROR.  False when out of memory, or the host cannot be verified.
 */
bool conn_secure(struct conn *conn, struct tls_context *context, struct slice host, uint16_t port);

/* The same for a client's connection: it begins the handshake. */
bool conn_accept(struct conn *conn, struct tls_server *server);

/* FAILURE_NONE when the handshake succeeded; else *ret_why is a text of the TLS library's. */
enum failure conn_secured(const struct conn *conn, const char **ret_why);

/* Of a client that showed a certificate: its subject, as long as the conn is open; else NULL. */
const char *conn_peer_name(const struct conn *conn);

/* The handshake resumed a session. */
bool conn_was_resumed(const struct conn *conn);

/* The handshake failed: from here on the bytes are those of the socket. */
void conn_leave_tls(struct conn *conn);

/* Hand over to another owner. */
void conn_own(struct conn *conn, const struct conn_events *events, void *owner);

enum io conn_recv(struct conn *conn, char *to, size_t size, size_t *ret_n);

/* The same, and they can be received again; in the clear only. */
enum io conn_peek(struct conn *conn, char *to, size_t size, size_t *ret_n);
enum io conn_send(struct conn *conn, const struct iovec *from, int count, size_t *ret_n);

/*
 * The same of the last bytes there are: once it took them all, the caller ends or closes at once. So
 * the kernel waits for that with the rest of a packet, and the FIN is in it (MSG_MORE, which a TLS
 * connection does without).
 */
enum io conn_send_last(struct conn *conn, const struct iovec *from, int count, size_t *ret_n);

/*
 * Not when its bytes are not those of the socket: with TLS.  Then what a recv() took is not all that
 * the peer has sent, however few bytes it was.
 */
bool conn_can_splice(const struct conn *conn);

/* From the socket to a pipe, and from a pipe to the socket, without the bytes ever being here. */
enum io conn_splice_recv(struct conn *conn, int pipe, size_t size, size_t *ret_n);
enum io conn_splice_send(struct conn *conn, int pipe, size_t size, size_t *ret_n);

/* True when nothing is to be read and the peer has not closed: an idle connection may be used. */
bool conn_is_quiet(struct conn *conn);

/*
 * Something failed on our side of it: no more is sent, and reading finds what has come, then the
 * end.  So the owner gets to know in the way it knows.
 */
void conn_broken(struct conn *conn);

/* What to wait for from now on. */
void conn_watch(struct conn *conn, bool read, bool write);

/*
 * Have what the peer has sent already read now, without waiting for the loop to tell.  What waits
 * for nothing any more by the end of the turn costs the loop no call.
 */
void conn_read_now(struct conn *conn);

/*
 * Expire so many ms from now; 0 for never.  Setting it again and again is cheap.  An event that the
 * socket has by then comes first, however late we are to see it (deadline.h).
 */
void conn_deadline(struct conn *conn, int64_t ms);

/* Has the socket an event of those watched for?  Asks the kernel, and hands nothing out. */
bool conn_has_event(const struct conn *conn);

/*
 * Acknowledge what was received at once, not with the next bytes sent or 40 ms later.  The peer may
 * hold back small writes until then (RFC 896).  One system call.
 */
void conn_acknowledge(struct conn *conn);

/* Send FIN. */
void conn_end(struct conn *conn);

int conn_fd(const struct conn *conn);
void conn_close(struct conn *conn);

/*
 * What is said on it has an end that only the end of the connection tells: until that is reached
 * (false), the connection ends with an RST, without TLS's close_notify, by whatever way it ends:
 * conn_close(), or the death of the process.  So the peer never takes a part for the whole.
 */
void conn_unfinished(struct conn *conn, bool is);

/* Close unfinished. */
void conn_abort(struct conn *conn);

/* Free memory when the loop turn is over, when no event can name it any more. */
void turn_free(void *memory);
/* The worker's, at the end of a turn. */
void turn_free_all(void);

#endif
