/*
 * TLS of clients: 1.2 and 1.3, forward secrecy and AEAD alone, ALPN http/1.1, sessions resumed by
 * tickets that all processes of the service know (tls_tickets.h), no renegotiation, compression or
 * early data.
 *
 * A server is of a configuration, and made before workers are forked; a struct tls made of it is
 * used by the functions of tls.h.
 */
#ifndef PROXY_LOOP_TLS_SERVER_H
#define PROXY_LOOP_TLS_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/base/diagnostic.h"
#include "cache/base/slice.h"

struct tls;
struct tls_server;

/* The text of a file in PEM form, and its name for messages. */
struct tls_pem {
	const char *name;
	struct slice text;
};

/*
 * `certificate` is followed by those of its issuers, if any; `client_ca` with an empty name: no
 * client needs a certificate.  NULL with a line in `error`, that begins with the option at fault.
 */
struct tls_server *tls_server_new(const struct tls_pem *certificate, const struct tls_pem *key,
				  const struct tls_pem *client_ca, struct diagnostic *error);
void tls_server_free(struct tls_server *server);

/* From when to when the certificate is valid: seconds since the epoch. */
int64_t tls_server_begins_s(const struct tls_server *server);
int64_t tls_server_ends_s(const struct tls_server *server);

/* A client's connection over `fd`, whose handshake has to come; NULL when out of memory. */
struct tls *tls_server_accept(struct tls_server *server, int fd);

#endif
