/*
 * TLS over a socket of conn.c's: handshakes and records, which are the same for connections of
 * clients (tls_server.h) and to origins; and those to origins: 1.2 or later, certificate and host
 * verified, SNI, ALPN http/1.1, sessions kept and resumed per host and port.
 *
 * A context is a worker's; a struct tls belongs to one conn, and works on its socket without owning
 * it.  Non-blocking: IO_AGAIN says that the socket must become what tls_watch() tells.
 */
#ifndef PROXY_LOOP_TLS_H
#define PROXY_LOOP_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "cache/base/diagnostic.h"
#include "proxy/base/failure.h"
#include "proxy/loop/io.h"

enum { TLS_SESSIONS = 256 }; /* kept; one that collides with another takes its place */

struct task;
struct tls_context;
struct tls;

/*
 * Authorities from `ca_file` (PEM), or those of the system when it is "".  NULL with a line in
 * `error`.
 */
struct tls_context *tls_context_new(const char *ca_file, struct diagnostic *error);
void tls_context_free(struct tls_context *context);

/*
 * Speak to `host` (a name, or a numeric address with brackets or without) over `fd`.  NULL when out
 * of memory, or when a certificate cannot name the host.
 */
struct tls *tls_new(struct tls_context *context, int fd, struct slice host, uint16_t port);

/* Says close_notify if it still can, without waiting. */
void tls_free(struct tls *tls);

/*
 * IO_OK when it is done, IO_ERROR when it failed, or IO_AGAIN: also when the peer has sent more than
 * one step takes.
 */
enum io tls_handshake(struct tls *tls);

/* For its owner to put steps off with; nothing in here uses it. */
struct task *tls_task(struct tls *tls);

/*
 * Who the peer is: "host:port" of an origin, the subject of a client's verified certificate (RFC
 * 4514), or NULL.  As long as the struct tls.
 */
const char *tls_peer(const struct tls *tls);

/* The handshake that succeeded resumed a session. */
bool tls_was_resumed(const struct tls *tls);

/* FAILURE_NONE when it did not fail; else *ret_why is a static text. */
enum failure tls_failure(const struct tls *tls, const char **ret_why);

/*
 * As conn_recv() and conn_send().  IO_END is a close_notify; an end of the connection without one
 * may be somebody else's doing, and is IO_ERROR.
 */
enum io tls_recv(struct tls *tls, char *to, size_t size, size_t *ret_n);
enum io tls_send(struct tls *tls, const char *from, size_t n, size_t *ret_n);

/* Nothing was sent by the peer but what TLS needs, and the connection stands. */
bool tls_is_quiet(struct tls *tls);

/* Bytes are at hand that the socket knows nothing of any more. */
bool tls_has_more(const struct tls *tls);

/* From what the owner waits for to what the socket must be watched for. */
void tls_watch(const struct tls *tls, bool *read, bool *write);

/* Never say close_notify: what was sent is not whole. */
void tls_mute(struct tls *tls);

/* Send close_notify. */
void tls_end(struct tls *tls);

#endif
