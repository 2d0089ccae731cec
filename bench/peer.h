/*
 * A connection of the programs of bench/, plain or TLS: both sides never wait in it.  Small enough to be
 * static in each.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "bench/server.h"

struct peer {
	int fd;
	SSL *ssl; /* NULL for plain */
};

static inline void tls_stop(const char *what)
{
	fprintf(stderr, "%s: ", what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

/* Of a server, with the files of its certificate and key. */
static inline SSL_CTX *tls_server(const char *certificate, const char *key)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	if (context == NULL || SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
	    SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
		tls_stop(certificate);
	/* connections are kept, so nothing is resumed, and some clients take a ticket for an answer */
	SSL_CTX_set_num_tickets(context, 0);
	return context;
}

/* Of a client, which takes no other certificate than those of this authority. */
static inline SSL_CTX *tls_client(const char *authority)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	if (context == NULL || SSL_CTX_load_verify_locations(context, authority, NULL) != 1)
		tls_stop(authority);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	return context;
}

/* A new end of TLS on a connection; `name` is the server's, NULL at the server itself. */
static inline SSL *tls_open(SSL_CTX *context, int fd, const char *name)
{
	SSL *ssl = SSL_new(context);
	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1)
		tls_stop("TLS");
	if (name == NULL)
		SSL_set_accept_state(ssl);
	else if (SSL_set_tlsext_host_name(ssl, name) != 1 || SSL_set1_host(ssl, name) != 1)
		tls_stop(name);
	return ssl;
}

/* As recv(): 0 at the end, -1 with EAGAIN where there is nothing yet. */
static inline ssize_t peer_recv(const struct peer *peer, char *to, size_t size)
{
	if (peer->ssl == NULL)
		return recv(peer->fd, to, size, MSG_DONTWAIT);
	ERR_clear_error();
	int n = SSL_read(peer->ssl, to, size < INT_MAX ? (int)size : INT_MAX);
	if (n > 0)
		return n;
	int why = SSL_get_error(peer->ssl, n);
	errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
	return why == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

/* All of it, or false: with a reader that keeps up there is always room. */
static inline bool peer_send(const struct peer *peer, const char *from, size_t n)
{
	if (peer->ssl == NULL)
		return send(peer->fd, from, n, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)n;
	ERR_clear_error();
	return SSL_write(peer->ssl, from, (int)n) == (int)n;
}

static inline void peer_close(struct peer *peer)
{
	SSL_free(peer->ssl);
	close(peer->fd);
	*peer = (struct peer){.fd = -1};
}

#endif
