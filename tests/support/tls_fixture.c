/* See tls_fixture.h. */
#include "tests/support/tls_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	ALL = 1 << 20,
	IDLE_ROUNDS = 64, /* of a handshake, in which nothing comes or goes */
};

static void need(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "tls_fixture: %s\n", what);
	ERR_print_errors_fp(stderr);
	abort();
}

/* ---- certificates --------------------------------------------------------------------------- */

int64_t certificate_now_s(void)
{
	static int64_t now_s;

	if (now_s == 0)
		now_s = time(NULL);
	return now_s;
}

static void extend(X509 *x509, const X509 *issuer, int what, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&context, (X509 *)(uintptr_t)issuer, x509, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, what, value);
	need(extension != NULL && X509_add_ext(x509, extension, -1) == 1, value);
	X509_EXTENSION_free(extension);
}

static void add_name(X509 *x509, const char *field, const char *value)
{
	X509_NAME *name = X509_get_subject_name(x509);

	if (value != NULL)
		need(X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
						(const unsigned char *)value, -1, -1, 0) == 1,
		     value);
}

struct certificate certificate_new(struct certificate_wish wish)
{
	static long serial;
	bool usual = wish.begins_s == 0 && wish.ends_s == 0;
	int64_t now_s = certificate_now_s();
	struct certificate made = {X509_new(), EVP_EC_gen("P-256")};
	const struct certificate *issuer = wish.issuer != NULL ? wish.issuer : &made;

	need(made.x509 != NULL && made.key != NULL, "no memory");
	X509_set_version(made.x509, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(made.x509), ++serial);
	ASN1_TIME_set(X509_getm_notBefore(made.x509), now_s + (usual ? -3600 : wish.begins_s));
	ASN1_TIME_set(X509_getm_notAfter(made.x509), now_s + (usual ? 3600 : wish.ends_s));
	X509_set_pubkey(made.x509, made.key);
	add_name(made.x509, "O", wish.organization);
	add_name(made.x509, "CN", wish.common_name);
	X509_set_issuer_name(made.x509, X509_get_subject_name(issuer->x509));
	if (wish.is_authority)
		extend(made.x509, issuer->x509, NID_basic_constraints, "critical,CA:TRUE");
	if (wish.names != NULL)
		extend(made.x509, issuer->x509, NID_subject_alt_name, wish.names);
	need(X509_sign(made.x509, issuer->key, EVP_sha256()) > 0, "no signature");
	return made;
}

void certificate_free(struct certificate *certificate)
{
	X509_free(certificate->x509);
	EVP_PKEY_free(certificate->key);
	*certificate = (struct certificate){NULL, NULL};
}

static char *text_of(BIO *bio)
{
	char *bytes, *text;
	long n = BIO_get_mem_data(bio, &bytes);

	text = strndup(bytes, (size_t)n);
	need(text != NULL, "no memory");
	BIO_free(bio);
	return text;
}

char *certificate_pem(const struct certificate *certificate)
{
	BIO *bio = BIO_new(BIO_s_mem());

	need(PEM_write_bio_X509(bio, certificate->x509) == 1, "no PEM");
	return text_of(bio);
}

char *certificate_key_pem(const struct certificate *certificate, const char *passphrase)
{
	BIO *bio = BIO_new(BIO_s_mem());

	need(PEM_write_bio_PKCS8PrivateKey(bio, certificate->key,
					   passphrase != NULL ? EVP_aes_128_cbc() : NULL, NULL, 0,
					   NULL, (void *)(uintptr_t)passphrase) == 1,
	     "no PEM");
	return text_of(bio);
}

/* ---- far ends ------------------------------------------------------------------------------- */

SSL_CTX *far_context(bool serves, const struct certificate *own, const struct certificate *trusted)
{
	SSL_CTX *context = SSL_CTX_new(serves ? TLS_server_method() : TLS_client_method());

	need(context != NULL, "no context");
	SSL_CTX_set_security_level(context, 0);
	SSL_CTX_set_min_proto_version(context, 0);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	if (own != NULL)
		need(SSL_CTX_use_certificate(context, own->x509) == 1 &&
			     SSL_CTX_use_PrivateKey(context, own->key) == 1,
		     "no certificate");
	if (trusted != NULL) {
		X509_STORE_add_cert(SSL_CTX_get_cert_store(context), trusted->x509);
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	}
	return context;
}

void far_fill(struct far_end *far)
{
	char bytes[4096];
	ssize_t n;

	while ((n = read(far->fd, bytes, sizeof(bytes))) > 0)
		BIO_write(SSL_get_rbio(far->ssl), bytes, (int)n);
	far->got_fin |= n == 0;
	far->got_rest |= n < 0 && errno != EAGAIN;
}

void far_say(struct far_end *far, const void *bytes, size_t n)
{
	need(send(far->fd, bytes, n, MSG_NOSIGNAL) == (ssize_t)n, "the socket is full or closed");
}

size_t far_flush(struct far_end *far, size_t n)
{
	BIO *written = SSL_get_wbio(far->ssl);
	char *bytes;
	size_t there = (size_t)BIO_get_mem_data(written, &bytes);
	ssize_t sent = send(far->fd, bytes, there < n ? there : n, MSG_NOSIGNAL);

	for (ssize_t left = sent; left > 0;) {
		char taken[4096];
		int part = left < (ssize_t)sizeof(taken) ? (int)left : (int)sizeof(taken);

		left -= BIO_read(written, taken, part);
	}
	return sent > 0 ? (size_t)sent : 0;
}

void far_write(struct far_end *far, const char *text)
{
	int n = (int)strlen(text);

	need(SSL_write(far->ssl, text, n) == n, "cannot write");
}

const char *far_read(struct far_end *far, int *ret_error)
{
	static char text[65536];
	size_t n = 0, part = 0;
	int result;

	ERR_clear_error();
	far_fill(far);
	while ((result = SSL_read_ex(far->ssl, text + n, sizeof(text) - 1 - n, &part)) == 1)
		n += part;
	text[n] = '\0';
	*ret_error = SSL_get_error(far->ssl, result);
	return text;
}

/* ---- both ends ------------------------------------------------------------------------------ */

static void begin(struct tls_pair *pair, SSL_CTX *context)
{
	int fds[2];

	pair_end(pair);
	need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0, "no sockets");
	pair->fd = fds[0];
	pair->far = (struct far_end){.ssl = SSL_new(context), .fd = fds[1]};
	need(pair->far.ssl != NULL, "no connection");
	SSL_set_bio(pair->far.ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
}

void pair_to_origin(struct tls_pair *pair, struct tls_context *context, SSL_CTX *origin,
		    const char *host, uint16_t port)
{
	begin(pair, origin);
	SSL_set_accept_state(pair->far.ssl);
	pair->ours = tls_new(context, pair->fd, slice_str(host), port);
	need(pair->ours != NULL, "no connection to the origin");
}

void pair_of_client(struct tls_pair *pair, struct tls_server *server, SSL_CTX *client)
{
	begin(pair, client);
	SSL_set_connect_state(pair->far.ssl);
	pair->ours = tls_server_accept(server, pair->fd);
	need(pair->ours != NULL, "no connection of the client");
}

void pair_end(struct tls_pair *pair)
{
	if (pair->far.ssl == NULL)
		return;
	tls_free(pair->ours);
	close(pair->fd);
	/* else the library takes its session for a bad one */
	SSL_set_shutdown(pair->far.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(pair->far.ssl);
	if (pair->far.fd >= 0)
		close(pair->far.fd);
	ERR_clear_error();
	*pair = (struct tls_pair){.fd = -1};
}

enum io pair_shake(struct tls_pair *pair)
{
	struct far_end *far = &pair->far;
	enum io io = IO_AGAIN;

	for (int idle = 0; idle < IDLE_ROUNDS && (io == IO_AGAIN || idle == 0); idle++) {
		leave_error();
		if (io == IO_AGAIN)
			io = tls_handshake(pair->ours);
		far_fill(far);
		ERR_clear_error();
		SSL_do_handshake(far->ssl);
		if (far_flush(far, far->drip != 0 ? far->drip : ALL) > 0)
			idle = -1;
	}
	ERR_clear_error();
	return io;
}

void pair_expect_failure(const struct tls_pair *pair, enum failure failure, const char *why)
{
	const char *said = NULL;

	assert_int_equal(tls_failure(pair->ours, &said), failure);
	assert_string_equal(said, why);
}

/* ---- files and texts ------------------------------------------------------------------------ */

char *temporary_file(const char *text)
{
	char *path = strdup("/tmp/test_tls_XXXXXX");
	int fd = mkstemp(path);
	size_t n = strlen(text);

	need(fd >= 0 && write(fd, text, n) == (ssize_t)n && close(fd) == 0, "no file");
	return path;
}

struct tls_context *context_that_trusts(const struct certificate *authority)
{
	struct diagnostic error = {""};
	char *pem = certificate_pem(authority), *path = temporary_file(pem);
	struct tls_context *context = tls_context_new(path, &error);

	need(context != NULL, error.text);
	unlink(path);
	free(path);
	free(pem);
	return context;
}

struct tls_server *server_of(const struct certificate *own, const struct certificate *client_ca)
{
	struct diagnostic error = {""};
	char *pem = certificate_pem(own), *key = certificate_key_pem(own, NULL);
	char *ca = client_ca != NULL ? certificate_pem(client_ca) : strdup("");
	struct tls_server *server = tls_server_new(
		&(struct tls_pem){"own.pem", slice_str(pem)},
		&(struct tls_pem){"own.key", slice_str(key)},
		&(struct tls_pem){client_ca != NULL ? "ca.pem" : "", slice_str(ca)}, &error);

	need(server != NULL, error.text);
	free(pem);
	free(key);
	free(ca);
	return server;
}

void leave_error(void)
{
	ERR_raise(ERR_LIB_ASN1, ERR_R_INTERNAL_ERROR);
}

const char *reason_text(int reason)
{
	return ERR_reason_error_string(ERR_PACK(ERR_LIB_SSL, 0, reason));
}
