/* Private to the files of TLS: a connection as tls.c and tls_server.c see it, and errors of the library. */
#ifndef PROXY_LOOP_TLS_STATE_H
#define PROXY_LOOP_TLS_STATE_H

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdint.h>

#include "proxy/base/failure.h"
#include "proxy/loop/turn.h"

struct tls;
struct tls_context;

/* What differs between connections to origins and those of clients. */
struct tls_kind {
	/* The handshake failed with this of SSL_get_error(): sets `failure` and `why`. */
	void (*failed)(struct tls *tls, int error);
	/* It succeeded: false with both set when what was agreed on will not do. */
	bool (*agreed)(struct tls *tls);
};

enum {
	/*
	 * From the socket in one call of ours, where a peer may send nothing but tickets for ever:
	 * what is there, and the rest of a record that was cut.
	 */
	TLS_CALL_READS = 2,
	/*
	 * And in one step of a handshake, which may come in records of one byte, as fast as we
	 * read.  The socket still has an event for the next step.
	 */
	TLS_STEP_READS = 64,
};

struct tls {
	int fd;
	unsigned reads_left; /* of the socket, in this call */
	bool handshaken;     /* the handshake is done */
	bool fin_received;
	bool mute;             /* sending failed */
	bool broken;           /* nothing more may be asked of the library */
	bool wants_write;      /* the handshake waits to send, else to receive */
	bool recv_wants_write; /* the last tls_recv() waits to send */
	bool recv_found_none;  /* it took all that was read, up to a part of a record */
	bool send_wants_read;
	enum failure failure;
	const char *why; /* it failed, static */
	const struct tls_kind *kind;
	SSL *ssl;
	char *peer; /* "host:port" of an origin; the subject of a client's certificate, or NULL */
	struct tls_context *context; /* to origins */
	int64_t expires_s;           /* likewise: of the verified chain, of this handshake or the
					one resumed */
	struct task task;            /* of its owner */
};

/* A connection without a peer yet; NULL when out of memory. */
struct tls *tls_begin(SSL_CTX *ssl_ctx, const struct tls_kind *kind, int fd);

/* All of it, without a word to the peer. */
void tls_release(struct tls *tls);

/* The library's text for the first of its errors; static. */
const char *tls_library_error(void);

/* What that means in a handshake: the peer closed, or broke it off. */
bool tls_is_end(int error);
bool tls_is_alert(void);

#endif
