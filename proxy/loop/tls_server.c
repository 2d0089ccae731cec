/* TLS of clients: certificate and key, what is agreed on, tickets, certificates of clients. */
#include "proxy/loop/tls_server.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/loop/tls_state.h"
#include "proxy/loop/tls_tickets.h"

enum {
	CHAIN_MAX = 16,       /* certificates in a file of ours */
	CLIENT_CHAIN = 32768, /* bytes of certificates that a client may send */
	SUBJECT_MAX = 256,
};

struct tls_server {
	SSL_CTX *ssl_ctx;
	int64_t begins_s, ends_s;
};

/* ---- handshakes ----------------------------------------------------------------------------- */

static enum failure why_failed(const SSL *ssl, int error)
{
	unsigned long first = ERR_peek_error();

	if (SSL_get_verify_result(ssl) != X509_V_OK)
		return FAILURE_CLIENT_TLS_CERTIFICATE;
	if (tls_is_end(error))
		return FAILURE_CLIENT_TLS_CLOSED;
	if (tls_is_alert())
		return FAILURE_CLIENT_TLS_ALERT;
	if (ERR_GET_LIB(first) != ERR_LIB_SSL)
		return FAILURE_CLIENT_TLS_PROTOCOL;
	switch (ERR_GET_REASON(first)) {
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
		return FAILURE_CLIENT_TLS_CERTIFICATE;
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_VERSION_TOO_LOW:
	case SSL_R_NO_SHARED_CIPHER:
	case SSL_R_NO_SUITABLE_KEY_SHARE:
	case SSL_R_NO_SUITABLE_GROUPS:
	case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
	case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
	case SSL_R_NO_APPLICATION_PROTOCOL:
	case SSL_R_INAPPROPRIATE_FALLBACK:
		return FAILURE_CLIENT_TLS_MISMATCH;
	default:
		return FAILURE_CLIENT_TLS_PROTOCOL;
	}
}

static void client_failed(struct tls *tls, int error)
{
	long verified = SSL_get_verify_result(tls->ssl);

	tls->failure = why_failed(tls->ssl, error);
	tls->why = verified != X509_V_OK ? X509_verify_cert_error_string(verified)
		   : tls->failure == FAILURE_CLIENT_TLS_CLOSED ? "closed"
							       : tls_library_error();
}

/* As RFC 4514 has it, in ASCII; NULL without memory. */
static char *write_subject(X509 *certificate)
{
	char text[SUBJECT_MAX] = "";
	BIO *bio = BIO_new(BIO_s_mem());

	if (bio != NULL &&
	    X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) >= 0)
		BIO_read(bio, text, sizeof(text) - 1);
	BIO_free(bio);
	return strdup(text);
}

static bool client_agreed(struct tls *tls)
{
	X509 *certificate = SSL_get0_peer_certificate(tls->ssl);

	if (certificate != NULL)
		tls->peer = write_subject(certificate);
	if (certificate != NULL && tls->peer == NULL) {
		tls->failure = FAILURE_INTERNAL;
		tls->why = "out of memory";
		return false;
	}
	return true;
}

static const struct tls_kind of_clients = {.failed = client_failed, .agreed = client_agreed};

struct tls *tls_server_accept(struct tls_server *server, int fd)
{
	struct tls *tls = tls_begin(server->ssl_ctx, &of_clients, fd);

	if (tls != NULL)
		SSL_set_accept_state(tls->ssl);
	return tls;
}

/*
 * RFC 7301 3.2: a client that offers protocols of which we speak none is refused by an alert, one
 * that offers none gets HTTP/1.1 as ever.
 */
static int choose_protocol(SSL *ssl, const unsigned char **ret_chosen, unsigned char *ret_length,
			   const unsigned char *offered, unsigned length, void *unused)
{
	static const unsigned char ours[] = "\x08http/1.1\x08http/1.0";
	unsigned char *chosen;

	(void)ssl;
	(void)unused;
	if (SSL_select_next_proto(&chosen, ret_length, ours, sizeof(ours) - 1, offered, length) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*ret_chosen = chosen;
	return SSL_TLSEXT_ERR_OK;
}

/* ---- tickets -------------------------------------------------------------------------------- */

static bool set_mac(EVP_MAC_CTX *mac, const struct ticket_key *key)
{
	OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)key->mac,
						  sizeof(key->mac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

/* Make ready to seal a ticket, or to open one: 1, 2 when the client is to have a new one, 0 when
   it is of no key of ours. */
static int use_key(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher,
		   EVP_MAC_CTX *mac, int seals)
{
	const EVP_CIPHER *aes = EVP_aes_256_cbc();
	const struct ticket_key *key;
	bool renew = false;

	(void)ssl;
	key = seals ? tls_tickets_key() : tls_tickets_find(name, &renew);
	if (key == NULL)
		return 0;
	if (seals) {
		memcpy(name, key->name, sizeof(key->name));
		if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(aes)) != 1)
			return -1;
	}
	if (EVP_CipherInit_ex(cipher, aes, NULL, key->cipher, iv, seals) != 1 || !set_mac(mac, key))
		return -1;
	return renew ? 2 : 1;
}

static int64_t seconds_of(const ASN1_TIME *time)
{
	struct tm tm;

	return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

/*
 * A resumed session shows no certificate: past the end of the one that was verified it must be a
 * whole handshake.  Clients use a ticket of TLS 1.3 once (RFC 8446 C.4), so each gets the next one.
 */
static SSL_TICKET_RETURN look_at_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
					size_t length, SSL_TICKET_STATUS status, void *unused)
{
	X509 *client = session != NULL ? SSL_SESSION_get0_peer(session) : NULL;

	(void)name;
	(void)length;
	(void)unused;
	if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	if (client != NULL && X509_cmp_current_time(X509_get0_notAfter(client)) <= 0)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	return status == SSL_TICKET_SUCCESS && SSL_version(ssl) < TLS1_3_VERSION
		       ? SSL_TICKET_RETURN_USE
		       : SSL_TICKET_RETURN_USE_RENEW;
}

/* ---- files ---------------------------------------------------------------------------------- */

static bool complain(struct diagnostic *error, const char *option, const struct tls_pem *pem,
		     const char *why)
{
	diagnostic_set(error, "%s: %s: %s", option, pem->name, why);
	ERR_clear_error();
	return false;
}

static BIO *open_pem(const struct tls_pem *pem)
{
	return pem->text.n > INT_MAX ? NULL : BIO_new_mem_buf(pem->text.p, (int)pem->text.n);
}

/* The end of a file is an error to the library, as a certificate is that cannot be read. */
static bool was_the_end(void)
{
	unsigned long last = ERR_peek_last_error();

	return ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
}

/* The certificates of a file in their order, for the caller to free; NULL, or why not all are. */
static const char *read_certificates(const struct tls_pem *pem, X509 *to[static CHAIN_MAX],
				     unsigned *ret_count)
{
	BIO *bio = open_pem(pem);
	const char *why = NULL;
	X509 *one;

	*ret_count = 0;
	while (bio != NULL && why == NULL &&
	       (one = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL)) != NULL) {
		if (*ret_count < CHAIN_MAX) {
			to[(*ret_count)++] = one;
			continue;
		}
		X509_free(one);
		why = "more certificates than the 16 that are sent";
	}
	if (why == NULL && !was_the_end())
		why = tls_library_error();
	if (*ret_count == 0)
		why = "no certificate in PEM form";
	BIO_free(bio);
	ERR_clear_error();
	return why;
}

/* No terminal is asked for a passphrase. */
static int no_passphrase(char *to, int size, int writes, void *ret_asked)
{
	(void)to;
	(void)size;
	(void)writes;
	*(bool *)ret_asked = true;
	return -1;
}

static bool use_key_file(SSL_CTX *ssl_ctx, const struct tls_pem *pem, X509 *certificate,
			 const char *certificate_name, struct diagnostic *error)
{
	BIO *bio = open_pem(pem);
	bool asked = false, good;
	EVP_PKEY *key =
		bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &asked);
	char why[400] = "";

	BIO_free(bio);
	if (key == NULL)
		return complain(error, "tls_key", pem,
				asked ? "has a passphrase: store it without one, readable by the "
					"service alone (openssl pkey)"
				      : "no private key in PEM form");
	good = X509_check_private_key(certificate, key) == 1;
	if (!good)
		snprintf(why, sizeof(why), "is not the key of the certificate in %.300s",
			 certificate_name);
	else if (SSL_CTX_use_PrivateKey(ssl_ctx, key) != 1)
		snprintf(why, sizeof(why), "%.300s", tls_library_error());
	EVP_PKEY_free(key);
	return why[0] == '\0' || complain(error, "tls_key", pem, why);
}

/* The first is ours, those after it its issuers'. */
static bool use_pair(struct tls_server *server, const struct tls_pem *certificate,
		     const struct tls_pem *key, struct diagnostic *error)
{
	X509 *chain[CHAIN_MAX];
	unsigned count;
	const char *why = read_certificates(certificate, chain, &count);
	bool good = why == NULL && SSL_CTX_use_certificate(server->ssl_ctx, chain[0]) == 1;

	for (unsigned i = 1; i < count && good; i++)
		good = SSL_CTX_add1_chain_cert(server->ssl_ctx, chain[i]) == 1;
	if (!good)
		complain(error, "tls_certificate", certificate,
			 why != NULL ? why : tls_library_error());
	else
		good = use_key_file(server->ssl_ctx, key, chain[0], certificate->name, error);
	if (count > 0) {
		server->begins_s = seconds_of(X509_get0_notBefore(chain[0]));
		server->ends_s = seconds_of(X509_get0_notAfter(chain[0]));
	}
	for (unsigned i = 0; i < count; i++)
		X509_free(chain[i]);
	return good;
}

/*
 * Clients are told whom we trust, so that they know which certificate to show.  Sessions are of
 * these authorities: under others a client has to show its certificate again.
 */
static bool use_client_ca(SSL_CTX *ssl_ctx, const struct tls_pem *pem, struct diagnostic *error)
{
	unsigned char hash[SSL_MAX_SID_CTX_LENGTH];
	BIO *bio = open_pem(pem);
	unsigned length = sizeof(hash), count = 0;
	X509 *one;
	bool good = EVP_Digest(pem->text.p, pem->text.n, hash, &length, EVP_sha256(), NULL) == 1 &&
		    SSL_CTX_set_session_id_context(ssl_ctx, hash, length) == 1;

	while (bio != NULL && good &&
	       (one = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL)) != NULL) {
		good = X509_STORE_add_cert(SSL_CTX_get_cert_store(ssl_ctx), one) == 1 &&
		       SSL_CTX_add_client_CA(ssl_ctx, one) == 1;
		X509_free(one);
		count++;
	}
	BIO_free(bio);
	if (pem->name[0] != '\0' && good && count == 0)
		return complain(error, "tls_client_ca", pem, "no certificate in PEM form");
	if (!good || (count > 0 && !was_the_end()))
		return complain(error, "tls_client_ca", pem, tls_library_error());
	ERR_clear_error();
	if (count > 0)
		SSL_CTX_set_verify(ssl_ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
				   NULL);
	return true;
}

/* ---- the server ----------------------------------------------------------------------------- */

/* Groups of elliptic curves alone: those of finite fields cost 20 times as much CPU. */
static bool set_groups(SSL_CTX *ssl_ctx)
{
	bool good = SSL_CTX_set1_groups_list(ssl_ctx, "X25519MLKEM768:X25519:P-256:P-384") == 1 ||
		    SSL_CTX_set1_groups_list(ssl_ctx, "X25519:P-256:P-384") == 1;

	ERR_clear_error(); /* before OpenSSL 3.5 there is no ML-KEM */
	return good;
}

static bool configure(SSL_CTX *ssl_ctx)
{
	SSL_CTX_set_min_proto_version(ssl_ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ssl_ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					     SSL_OP_CIPHER_SERVER_PREFERENCE |
					     SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_mode(ssl_ctx,
			 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				 SSL_MODE_RELEASE_BUFFERS |
				 SSL_MODE_NO_AUTO_CHAIN); /* the file's is sent, as it is */
	/* One record a call: a peer that sends nothing but TLS's own must not hold the loop. */
	SSL_CTX_clear_mode(ssl_ctx, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_max_cert_list(ssl_ctx, CLIENT_CHAIN);
	SSL_CTX_set_session_cache_mode(ssl_ctx, SSL_SESS_CACHE_OFF); /* but for tickets */
	SSL_CTX_set_timeout(ssl_ctx, TICKETS_PERIOD_S);
	SSL_CTX_set_alpn_select_cb(ssl_ctx, choose_protocol, NULL);
	return SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl_ctx, use_key) == 1 &&
	       SSL_CTX_set_session_ticket_cb(ssl_ctx, NULL, look_at_ticket, NULL) == 1 &&
	       SSL_CTX_set_cipher_list(ssl_ctx, "ECDHE+AESGCM:ECDHE+CHACHA20:@SECLEVEL=2") == 1 &&
	       SSL_CTX_set_ciphersuites(ssl_ctx, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
						 "TLS_CHACHA20_POLY1305_SHA256") == 1 &&
	       set_groups(ssl_ctx);
}

struct tls_server *tls_server_new(const struct tls_pem *certificate, const struct tls_pem *key,
				  const struct tls_pem *client_ca, struct diagnostic *error)
{
	struct tls_server *server = calloc(1, sizeof(*server));

	ERR_clear_error();
	if (server != NULL)
		server->ssl_ctx = SSL_CTX_new(TLS_server_method());
	if (server == NULL || server->ssl_ctx == NULL || !configure(server->ssl_ctx)) {
		diagnostic_set(error, "tls_certificate: TLS cannot be set up: %s",
			       tls_library_error());
		tls_server_free(server);
		return NULL;
	}
	if (use_pair(server, certificate, key, error) &&
	    use_client_ca(server->ssl_ctx, client_ca, error))
		return server;
	tls_server_free(server);
	return NULL;
}

void tls_server_free(struct tls_server *server)
{
	if (server == NULL)
		return;
	SSL_CTX_free(server->ssl_ctx);
	free(server);
}

int64_t tls_server_begins_s(const struct tls_server *server)
{
	return server->begins_s;
}

int64_t tls_server_ends_s(const struct tls_server *server)
{
	return server->ends_s;
}
