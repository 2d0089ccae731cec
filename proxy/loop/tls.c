/* TLS: handshakes and records of both ends; to origins, with the checks and sessions to resume. */
#include "proxy/loop/tls.h"

#include <errno.h>
#include <limits.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "conf/source.h"
#include "proxy/base/address.h"
#include "proxy/base/hostname.h"
#include "proxy/base/wall_clock.h"
#include "proxy/loop/tls_state.h"
#include "proxy/stats/stats.h"

enum {
	PEER_MAX = HOSTNAME_MAX + 8, /* "host:port" */
	QUIET_RECORDS = 8,           /* that may come while a connection is idle */
};

/* A session to be resumed with the peer it was made with, as long as its certificates hold. */
struct kept_session {
	SSL_SESSION *session;
	int64_t expires_s; /* wall clock: when the first of them expires */
	char peer[PEER_MAX];
};

struct tls_context {
	SSL_CTX *ssl_ctx;
	struct kept_session sessions[TLS_SESSIONS];
};

/* ---- sessions ------------------------------------------------------------------------------- */

static struct kept_session *slot_of(struct tls_context *context, const char *peer)
{
	uint32_t hash = 2166136261U;

	for (; *peer != '\0'; peer++)
		hash = (hash ^ (unsigned char)*peer) * 16777619U;
	return &context->sessions[hash % TLS_SESSIONS];
}

/* Its own notAfter, or the earliest of its issuers': 0, long past, when that cannot be read. */
static int64_t chain_expires_s(const SSL *ssl)
{
	STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
	int64_t expires_s = INT64_MAX;

	for (int i = 0; i < sk_X509_num(chain); i++) {
		const ASN1_TIME *end = X509_get0_notAfter(sk_X509_value(chain, i));
		struct tm tm;
		int64_t end_s = ASN1_TIME_to_tm(end, &tm) == 1 ? (int64_t)timegm(&tm) : 0;

		if (end_s < expires_s)
			expires_s = end_s;
	}
	return sk_X509_num(chain) > 0 ? expires_s : 0;
}

/* The library has a session for us to keep; 1 says that it is ours now. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls *tls = SSL_get_app_data(ssl);
	struct kept_session *slot = slot_of(tls->context, tls->peer);

	if (!SSL_session_reused(ssl))
		tls->expires_s = chain_expires_s(ssl);
	SSL_SESSION_free(slot->session);
	slot->session = session;
	slot->expires_s = tls->expires_s;
	snprintf(slot->peer, sizeof(slot->peer), "%s", tls->peer);
	return 1;
}

static void forget_session(struct kept_session *slot)
{
	SSL_SESSION_free(slot->session);
	slot->session = NULL;
}

/*
 * A handshake that resumes a session shows no certificate, so nothing is verified in it: past the
 * end of those that were, it must be a whole one.  A ticket of TLS 1.3 is for one connection, so
 * that no observer can link two (RFC 8446 C.4).
 */
static void resume_session(struct tls *tls)
{
	struct kept_session *slot = slot_of(tls->context, tls->peer);

	if (slot->session == NULL || strcmp(slot->peer, tls->peer) != 0)
		return;
	if (slot->expires_s <= wall_clock_ms() / 1000) {
		forget_session(slot);
		return;
	}
	tls->expires_s = slot->expires_s;
	SSL_set_session(tls->ssl, slot->session);
	if (SSL_SESSION_get_protocol_version(slot->session) >= TLS1_3_VERSION)
		forget_session(slot);
}

/* ---- the context ---------------------------------------------------------------------------- */

/*
 * The library says little of a file that it cannot use, and nothing of one without a certificate.
 */
static bool load_file(SSL_CTX *ssl_ctx, const char *path, struct diagnostic *error)
{
	FILE *file = conf_source_open(path);
	const char *why = file == NULL ? strerror(errno) : NULL;
	struct stat status;

	/* the library opens it again, and would wait for a FIFO */
	if (file != NULL && fstat(fileno(file), &status) == 0 && S_ISFIFO(status.st_mode))
		why = "not a regular file";
	else if (file != NULL && getc(file) == EOF && ferror(file))
		why = strerror(errno); /* a directory */
	if (file != NULL)
		fclose(file);
	if (why == NULL && SSL_CTX_load_verify_file(ssl_ctx, path) != 1)
		why = ERR_GET_LIB(ERR_peek_error()) == ERR_LIB_SYS ? tls_library_error()
								   : "no certificate in PEM form";
	if (why != NULL)
		diagnostic_set(error, "tls_ca_file: %s: %s", path, why);
	return why == NULL;
}

static bool load_authorities(SSL_CTX *ssl_ctx, const char *ca_file, struct diagnostic *error)
{
	if (ca_file[0] != '\0')
		return load_file(ssl_ctx, ca_file, error);
	if (SSL_CTX_set_default_verify_paths(ssl_ctx) == 1)
		return true;
	diagnostic_set(error,
		       "cannot load the certificate authorities of the system, see tls_ca_file: %s",
		       tls_library_error());
	return false;
}

static void configure(SSL_CTX *ssl_ctx)
{
	static const unsigned char http_1_1[] = "\x08http/1.1";

	SSL_CTX_set_min_proto_version(ssl_ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ssl_ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ssl_ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
					  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					  SSL_MODE_RELEASE_BUFFERS);
	/* A record's head and content in one call, and what is behind them: a buffer full at most. */
	SSL_CTX_set_read_ahead(ssl_ctx, 1);
	/* Go on behind what is TLS's own only as far as it was read (TLS_CALL_READS). */
	SSL_CTX_clear_mode(ssl_ctx, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_verify(ssl_ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_alpn_protos(ssl_ctx, http_1_1, sizeof(http_1_1) - 1);
	SSL_CTX_set_session_cache_mode(ssl_ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ssl_ctx, keep_session);
}

struct tls_context *tls_context_new(const char *ca_file, struct diagnostic *error)
{
	struct tls_context *context = calloc(1, sizeof(*context));

	ERR_clear_error();
	if (context != NULL)
		context->ssl_ctx = SSL_CTX_new(TLS_client_method());
	if (context == NULL || context->ssl_ctx == NULL) {
		diagnostic_set(error, "TLS: out of memory");
		tls_context_free(context);
		return NULL;
	}
	configure(context->ssl_ctx);
	if (!load_authorities(context->ssl_ctx, ca_file, error)) {
		tls_context_free(context);
		return NULL;
	}
	return context;
}

void tls_context_free(struct tls_context *context)
{
	if (context == NULL)
		return;
	for (size_t i = 0; i < TLS_SESSIONS; i++)
		SSL_SESSION_free(context->sessions[i].session);
	SSL_CTX_free(context->ssl_ctx);
	free(context);
}

/* ---- handshakes with origins ---------------------------------------------------------------- */

static enum failure why_failed(const SSL *ssl, int error)
{
	unsigned long first = ERR_peek_error();
	int reason = ERR_GET_REASON(first);

	if (SSL_get_verify_result(ssl) != X509_V_OK)
		return FAILURE_TLS_CERTIFICATE;
	if (tls_is_end(error))
		return FAILURE_ORIGIN_CLOSED;
	if (ERR_GET_LIB(first) == ERR_LIB_SSL &&
	    (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
	     reason == SSL_R_PACKET_LENGTH_TOO_LONG || reason == SSL_R_RECORD_LENGTH_MISMATCH))
		return FAILURE_TLS_PLAIN;
	return tls_is_alert() ? FAILURE_TLS_ALERT : FAILURE_TLS_PROTOCOL;
}

static void origin_failed(struct tls *tls, int error)
{
	tls->failure = why_failed(tls->ssl, error);
	tls->why = tls->failure == FAILURE_TLS_CERTIFICATE
			   ? X509_verify_cert_error_string(SSL_get_verify_result(tls->ssl))
		   : tls->failure == FAILURE_ORIGIN_CLOSED ? "closed in the handshake"
							   : tls_library_error();
}

/* The peer may have chosen none of the protocols offered, but not another one. */
static bool speaks_http_1_1(const SSL *ssl)
{
	const unsigned char *chosen;
	unsigned length;

	SSL_get0_alpn_selected(ssl, &chosen, &length);
	return length == 0 || slice_eq(slice_of((const char *)chosen, length), SLICE("http/1.1"));
}

static bool origin_agreed(struct tls *tls)
{
	if (!speaks_http_1_1(tls->ssl)) {
		tls->failure = FAILURE_TLS_PROTOCOL;
		tls->why = "the origin chose another protocol than http/1.1 by ALPN";
		return false;
	}
	STATS_ADD(tls_handshakes, 1);
	if (SSL_session_reused(tls->ssl))
		STATS_ADD(tls_resumed, 1);
	return true;
}

static const struct tls_kind to_origins = {.failed = origin_failed, .agreed = origin_agreed};

/* ---- a connection --------------------------------------------------------------------------- */

/*
 * Who the certificate must name: an address as one (RFC 9110 4.3.5), a name among the alternative
 * names, and asked for by SNI.  The subject's common name is no name (RFC 9525 2).
 */
static bool expect_host(struct tls *tls, struct slice host, uint16_t port)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(tls->ssl);
	char name[HOSTNAME_MAX + 1], peer[PEER_MAX];
	union address address;
	size_t length;

	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
						       X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (address_parse(host, &address)) {
		char text[ADDRESS_TEXT_SIZE];

		address_format(&address, text);
		snprintf(peer, sizeof(peer), "%s:%u", text, port);
		tls->peer = strdup(peer);
		return tls->peer != NULL &&
		       X509_VERIFY_PARAM_set1_ip(param, address_bytes(&address),
						 address.any.sa_family == AF_INET ? 4 : 16) == 1;
	}
	length = hostname_normal(host, name);
	if (length == 0)
		return false;
	name[length] = '\0';
	snprintf(peer, sizeof(peer), "%s:%u", name, port);
	tls->peer = strdup(peer);
	return tls->peer != NULL && X509_VERIFY_PARAM_set1_host(param, name, length) == 1 &&
	       SSL_set_tlsext_host_name(tls->ssl, name) == 1;
}

struct tls *tls_new(struct tls_context *context, int fd, struct slice host, uint16_t port)
{
	struct tls *tls = tls_begin(context->ssl_ctx, &to_origins, fd);

	if (tls == NULL)
		return NULL;
	tls->context = context;
	tls->wants_write = true;
	if (!expect_host(tls, host, port)) {
		tls_free(tls);
		return NULL;
	}
	SSL_set_connect_state(tls->ssl);
	resume_session(tls);
	return tls;
}

void tls_mute(struct tls *tls)
{
	tls->mute = true;
}

void tls_end(struct tls *tls)
{
	if (tls->handshaken && !tls->broken && !tls->mute)
		SSL_shutdown(tls->ssl);
}

void tls_free(struct tls *tls)
{
	if (tls == NULL)
		return;
	tls_end(tls);
	tls_release(tls);
}

const char *tls_peer(const struct tls *tls)
{
	return tls->peer;
}

bool tls_was_resumed(const struct tls *tls)
{
	return SSL_session_reused(tls->ssl) == 1;
}

struct task *tls_task(struct tls *tls)
{
	return &tls->task;
}

/* ---- the handshake -------------------------------------------------------------------------- */

enum io tls_handshake(struct tls *tls)
{
	int result, error;

	ERR_clear_error();
	tls->reads_left = TLS_STEP_READS;
	result = SSL_do_handshake(tls->ssl);
	if (result != 1) {
		error = SSL_get_error(tls->ssl, result);
		tls->wants_write = error == SSL_ERROR_WANT_WRITE;
		if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
			return IO_AGAIN;
		tls->broken = true;
		tls->kind->failed(tls, error);
		return IO_ERROR;
	}
	if (!tls->kind->agreed(tls))
		return IO_ERROR;
	tls->handshaken = true;
	return IO_OK;
}

enum failure tls_failure(const struct tls *tls, const char **ret_why)
{
	*ret_why = tls->why;
	return tls->failure;
}

/* ---- records -------------------------------------------------------------------------------- */

/* What an operation that did not succeed means; *ret_crossed: it waits for the other direction. */
static enum io judge(struct tls *tls, int result, int crossing, bool *ret_crossed)
{
	int saved = errno;
	int error = SSL_get_error(tls->ssl, result);

	*ret_crossed = error == crossing;
	switch (error) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return IO_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return IO_END;
	case SSL_ERROR_SYSCALL:
		/* What came before the connection broke may still be read. */
		tls->mute = true;
		tls->broken = crossing == SSL_ERROR_WANT_WRITE;
		errno = saved;
		return IO_ERROR;
	default:
		tls->broken = true;
		errno = ECONNRESET;
		return IO_ERROR;
	}
}

enum io tls_recv(struct tls *tls, char *to, size_t size, size_t *ret_n)
{
	int result;

	if (tls->broken) {
		errno = ECONNRESET;
		return IO_ERROR;
	}
	ERR_clear_error();
	tls->reads_left = TLS_CALL_READS;
	result = SSL_read_ex(tls->ssl, to, size, ret_n);
	tls->recv_wants_write = false;
	tls->recv_found_none = result != 1;
	return result == 1 ? IO_OK
			   : judge(tls, result, SSL_ERROR_WANT_WRITE, &tls->recv_wants_write);
}

enum io tls_send(struct tls *tls, const char *from, size_t n, size_t *ret_n)
{
	int result;

	if (tls->broken || tls->mute) {
		errno = EPIPE;
		return IO_ERROR;
	}
	ERR_clear_error();
	result = SSL_write_ex(tls->ssl, from, n, ret_n);
	tls->send_wants_read = false;
	return result == 1 ? IO_OK : judge(tls, result, SSL_ERROR_WANT_READ, &tls->send_wants_read);
}

/* Nothing is left in the socket, and it is not closed. */
static bool is_drained(const struct tls *tls)
{
	char byte;

	return recv(tls->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
	       (errno == EAGAIN || errno == EWOULDBLOCK);
}

bool tls_is_quiet(struct tls *tls)
{
	char byte;
	size_t n;

	if (tls->broken || tls->mute || SSL_get_shutdown(tls->ssl) & SSL_RECEIVED_SHUTDOWN)
		return false;
	/*
	 * What is TLS's own is taken on the way, be it read already or not: tickets come after the
	 * handshake.  Part of a record is not quiet.
	 */
	for (int i = 0; i < QUIET_RECORDS; i++) {
		if (is_drained(tls) && !SSL_has_pending(tls->ssl))
			return true;
		ERR_clear_error();
		tls->reads_left = TLS_CALL_READS;
		if (SSL_peek_ex(tls->ssl, &byte, 1, &n) == 1 ||
		    SSL_get_error(tls->ssl, 0) != SSL_ERROR_WANT_READ)
			return false;
	}
	return false;
}

bool tls_has_more(const struct tls *tls)
{
	return tls->handshaken && !tls->broken &&
	       (SSL_pending(tls->ssl) > 0 ||
		(!tls->recv_found_none && SSL_has_pending(tls->ssl) == 1));
}

void tls_watch(const struct tls *tls, bool *read, bool *write)
{
	bool reading = *read, writing = *write;

	if (!tls->handshaken) {
		*read = !tls->wants_write;
		*write = tls->wants_write;
		return;
	}
	*read = (reading && !tls->recv_wants_write) || (writing && tls->send_wants_read);
	*write = (writing && !tls->send_wants_read) || (reading && tls->recv_wants_write);
}
