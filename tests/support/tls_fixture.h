/* Certificates made at run time, and a far end of a connection of TLS whose bytes a test moves as it likes. */
#ifndef TESTS_SUPPORT_TLS_FIXTURE_H
#define TESTS_SUPPORT_TLS_FIXTURE_H

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdint.h>

#include "proxy/loop/tls.h"
#include "proxy/loop/tls_server.h"

struct certificate {
	X509 *x509;
	EVP_PKEY *key;
};

/* What it says; times are seconds from now, and both 0 are an hour ago and the next one. */
struct certificate_wish {
	const char *common_name;
	const char *organization;         /* NULL: none */
	const char *names;                /* "DNS:a.test,IP:::1"; NULL: none */
	const struct certificate *issuer; /* NULL: itself */
	bool is_authority;
	int64_t begins_s, ends_s;
};

/* certificate_free() is for the caller. */
struct certificate certificate_new(struct certificate_wish wish);
void certificate_free(struct certificate *certificate);

/* In PEM form, for the caller to free; a passphrase of NULL: in the clear. */
char *certificate_pem(const struct certificate *certificate);
char *certificate_key_pem(const struct certificate *certificate, const char *passphrase);

/* The seconds since the epoch that a wish's times count from. */
int64_t certificate_now_s(void);

/* For far ends, for the caller to SSL_CTX_free(): any version, no session kept; `own` and `trusted` may be NULL. */
SSL_CTX *far_context(bool serves, const struct certificate *own, const struct certificate *trusted);

/* The other end of a socket: its library reads and writes memory. */
struct far_end {
	SSL *ssl;
	int fd;        /* owned, non-blocking; -1 when closed */
	size_t drip;   /* so many bytes at a time in pair_shake(); 0: all */
	bool got_fin;  /* of the socket */
	bool got_rest; /* the socket failed */
};

/* What came through the socket goes to the library. */
void far_fill(struct far_end *far);

/* At most `n` bytes of what the library has written go to the socket; the number that went. */
size_t far_flush(struct far_end *far, size_t n);

/* Bytes as they are, past the library. */
void far_say(struct far_end *far, const void *bytes, size_t n);

/* Content in a record of its own, kept until far_flush(). */
void far_write(struct far_end *far, const char *text);

/* What the library reads after far_fill(), as a text: static; *ret_error is of SSL_get_error(). */
const char *far_read(struct far_end *far, int *ret_error);

/* A connection of ours, and its far end. */
struct tls_pair {
	struct tls *ours;
	int fd; /* of ours; -1 when there is none */
	struct far_end far;
};

/* Over a new socket pair, in place of the connection before if there was one; at first all zero. */
void pair_to_origin(struct tls_pair *pair, struct tls_context *context, SSL_CTX *origin,
		    const char *host, uint16_t port);
void pair_of_client(struct tls_pair *pair, struct tls_server *server, SSL_CTX *client);
void pair_end(struct tls_pair *pair);

/* Both shake hands until ours is through or failed, or neither goes on; the last result of ours. */
enum io pair_shake(struct tls_pair *pair);

/* It failed for that. */
void pair_expect_failure(const struct tls_pair *pair, enum failure failure, const char *why);

/* A file of this text, and its path, both until unlink() and free(). */
char *temporary_file(const char *text);

/* For ours, who believes these alone. */
struct tls_context *context_that_trusts(const struct certificate *authority);

/* Of this certificate; clients need one of `client_ca` when it is not NULL. */
struct tls_server *server_of(const struct certificate *own, const struct certificate *client_ca);

/* An error that somebody else has left in the library, and that says nothing of what comes. */
void leave_error(void);

/* What the library says to a reason of its own. */
const char *reason_text(int reason);

#endif
