/* A connection of TLS begins and ends; what errors of the library mean. */
#include "proxy/loop/tls_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static BIO_METHOD *socket_method; /* made once in a process, and kept */

/* ---- the socket ----------------------------------------------------------------------------- */

static void judge_socket(BIO *bio, ssize_t n, int retry)
{
	BIO_clear_retry_flags(bio);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
}

static int bio_read(BIO *bio, char *to, int size)
{
	struct tls *tls = BIO_get_data(bio);
	ssize_t n = -1;

	if (tls->reads_left == 0) {
		errno = EAGAIN;
	} else {
		tls->reads_left--;
		n = recv(tls->fd, to, (size_t)size, 0);
	}
	tls->fin_received |= n == 0;
	judge_socket(bio, n, BIO_FLAGS_READ);
	return (int)n;
}

static int bio_write(BIO *bio, const char *from, int length)
{
	const struct tls *tls = BIO_get_data(bio);
	ssize_t n = send(tls->fd, from, (size_t)length, MSG_NOSIGNAL);

	judge_socket(bio, n, BIO_FLAGS_WRITE);
	return (int)n;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	const struct tls *tls = BIO_get_data(bio);

	(void)number;
	(void)pointer;
	if (command == BIO_CTRL_EOF)
		return tls->fin_received;
	return command == BIO_CTRL_FLUSH; /* nothing waits in it */
}

static BIO_METHOD *bio_method_new(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");

	if (method != NULL && BIO_meth_set_read(method, bio_read) == 1 &&
	    BIO_meth_set_write(method, bio_write) == 1 && BIO_meth_set_ctrl(method, bio_ctrl) == 1)
		return method;
	BIO_meth_free(method);
	return NULL;
}

static bool use_socket(struct tls *tls, int fd)
{
	BIO *bio;

	if (socket_method == NULL)
		socket_method = bio_method_new();
	bio = socket_method != NULL ? BIO_new(socket_method) : NULL;
	if (bio == NULL)
		return false;
	tls->fd = fd;
	BIO_set_data(bio, tls);
	BIO_set_init(bio, 1);
	SSL_set_bio(tls->ssl, bio, bio); /* takes it over */
	return true;
}

/* ---- its life and its errors ---------------------------------------------------------------- */

struct tls *tls_begin(SSL_CTX *ssl_ctx, const struct tls_kind *kind, int fd)
{
	struct tls *tls = calloc(1, sizeof(*tls));

	if (tls == NULL)
		return NULL;
	tls->kind = kind;
	tls->ssl = SSL_new(ssl_ctx);
	if (tls->ssl == NULL || !use_socket(tls, fd)) {
		tls_release(tls);
		return NULL;
	}
	SSL_set_app_data(tls->ssl, tls);
	return tls;
}

void tls_release(struct tls *tls)
{
	SSL_free(tls->ssl);
	ERR_clear_error();
	free(tls->peer);
	free(tls);
}

const char *tls_library_error(void)
{
	unsigned long error = ERR_peek_error();
	const char *text = ERR_reason_error_string(error);

	if (ERR_SYSTEM_ERROR(error))
		return strerror((int)ERR_GET_REASON(error));
	return text == NULL ? "the TLS library does not say why" : text;
}

bool tls_is_end(int error)
{
	unsigned long first = ERR_peek_error();

	return error == SSL_ERROR_SYSCALL ||
	       (ERR_GET_LIB(first) == ERR_LIB_SSL &&
		ERR_GET_REASON(first) == SSL_R_UNEXPECTED_EOF_WHILE_READING);
}

/* Reasons from SSL_AD_REASON_OFFSET on are alerts that the peer sent. */
bool tls_is_alert(void)
{
	unsigned long first = ERR_peek_error();

	return ERR_GET_LIB(first) == ERR_LIB_SSL && ERR_GET_REASON(first) >= SSL_AD_REASON_OFFSET;
}
