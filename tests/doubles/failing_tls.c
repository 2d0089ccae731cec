/* Calls of the TLS library that fail as those of failing_calls.h do; an error is one of ERR_PACK(), or -errno. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "tests/doubles/failing_calls.h"

static bool fails(const char *name)
{
	int error = fail_calls_now(name);

	if (error < 0)
		ERR_raise(ERR_LIB_SYS, -error);
	else if (error > 0)
		ERR_raise(ERR_GET_LIB((unsigned long)error), ERR_GET_REASON((unsigned long)error));
	return error != 0;
}

#define TLS(type, failed, name, parameters, arguments)                    \
	type __real_##name parameters;                                    \
	type __wrap_##name parameters;                                    \
	type __wrap_##name parameters                                     \
	{                                                                 \
		return fails(#name) ? (failed) : __real_##name arguments; \
	}

TLS(char *, NULL, strdup, (const char *text), (text))
TLS(SSL_CTX *, NULL, SSL_CTX_new, (const SSL_METHOD *method), (method))
TLS(SSL *, NULL, SSL_new, (SSL_CTX * context), (context))
TLS(BIO_METHOD *, NULL, BIO_meth_new, (int type, const char *name), (type, name))
TLS(BIO *, NULL, BIO_new, (const BIO_METHOD *method), (method))
TLS(BIO *, NULL, BIO_new_mem_buf, (const void *bytes, int n), (bytes, n))
TLS(int, 0, BIO_meth_set_read, (BIO_METHOD * method, int (*call)(BIO *, char *, int)),
    (method, call))
TLS(int, 0, BIO_meth_set_write, (BIO_METHOD * method, int (*call)(BIO *, const char *, int)),
    (method, call))
TLS(int, 0, BIO_meth_set_ctrl, (BIO_METHOD * method, long (*call)(BIO *, int, long, void *)),
    (method, call))
TLS(STACK_OF(X509) *, NULL, SSL_get0_verified_chain, (const SSL *ssl), (ssl))
TLS(int, 0, SSL_CTX_set_default_verify_paths, (SSL_CTX * context), (context))
TLS(int, 0, SSL_CTX_load_verify_file, (SSL_CTX * context, const char *path), (context, path))
TLS(int, 0, SSL_CTX_use_certificate, (SSL_CTX * context, X509 *x509), (context, x509))
TLS(int, 0, SSL_CTX_use_PrivateKey, (SSL_CTX * context, EVP_PKEY *key), (context, key))
TLS(int, 0, SSL_CTX_set_session_id_context,
    (SSL_CTX * context, const unsigned char *id, unsigned n), (context, id, n))
TLS(int, 0, SSL_CTX_add_client_CA, (SSL_CTX * context, X509 *x509), (context, x509))
TLS(int, 0, SSL_CTX_set_tlsext_ticket_key_evp_cb,
    (SSL_CTX * context,
     int (*call)(SSL *, unsigned char *, unsigned char *, EVP_CIPHER_CTX *, EVP_MAC_CTX *, int)),
    (context, call))
TLS(int, 0, SSL_CTX_set_session_ticket_cb,
    (SSL_CTX * context, SSL_CTX_generate_session_ticket_fn make,
     SSL_CTX_decrypt_session_ticket_fn take, void *of),
    (context, make, take, of))
TLS(int, 0, SSL_CTX_set_cipher_list, (SSL_CTX * context, const char *list), (context, list))
TLS(int, 0, SSL_CTX_set_ciphersuites, (SSL_CTX * context, const char *list), (context, list))
TLS(int, 0, X509_STORE_add_cert, (X509_STORE * store, X509 *x509), (store, x509))
TLS(int, 0, X509_VERIFY_PARAM_set1_ip,
    (X509_VERIFY_PARAM * parameters, const unsigned char *ip, size_t n), (parameters, ip, n))
TLS(int, 0, X509_VERIFY_PARAM_set1_host,
    (X509_VERIFY_PARAM * parameters, const char *name, size_t n), (parameters, name, n))
TLS(int, -1, X509_NAME_print_ex,
    (BIO * bio, const X509_NAME *name, int indent, unsigned long flags), (bio, name, indent, flags))
TLS(int, 0, ASN1_TIME_to_tm, (const ASN1_TIME *time, struct tm *tm), (time, tm))
TLS(int, 0, EVP_Digest,
    (const void *bytes, size_t n, unsigned char *to, unsigned *ret_n, const EVP_MD *type,
     ENGINE *engine),
    (bytes, n, to, ret_n, type, engine))
TLS(int, 0, EVP_CipherInit_ex,
    (EVP_CIPHER_CTX * context, const EVP_CIPHER *type, ENGINE *engine, const unsigned char *key,
     const unsigned char *iv, int seals),
    (context, type, engine, key, iv, seals))
TLS(int, 0, EVP_MAC_CTX_set_params, (EVP_MAC_CTX * context, const OSSL_PARAM parameters[]),
    (context, parameters))
TLS(int, 0, RAND_bytes, (unsigned char *to, int n), (to, n))
TLS(int, -1, SSL_do_handshake, (SSL * ssl), (ssl))
TLS(int, 0, SSL_read_ex, (SSL * ssl, void *to, size_t size, size_t *ret_n), (ssl, to, size, ret_n))
TLS(int, 0, SSL_write_ex, (SSL * ssl, const void *from, size_t n, size_t *ret_n),
    (ssl, from, n, ret_n))

/* The error is what it returns; errno may be another one behind it. */
int __real_SSL_get_error(const SSL *ssl, int result);
int __wrap_SSL_get_error(const SSL *ssl, int result);
int __wrap_SSL_get_error(const SSL *ssl, int result)
{
	int error = fail_calls_now("SSL_get_error");

	if (error == 0)
		error = __real_SSL_get_error(ssl, result);
	errno = EDOM;
	return error;
}

/* Macros of the library are commands, which are failed by their own name. */
static const char *name_of_command(int command)
{
	switch (command) {
	case SSL_CTRL_CHAIN_CERT:
		return "SSL_CTX_add1_chain_cert";
	case SSL_CTRL_SET_GROUPS_LIST:
		return "SSL_CTX_set1_groups_list";
	case SSL_CTRL_SET_TLSEXT_HOSTNAME:
		return "SSL_set_tlsext_host_name";
	default:
		return "SSL_ctrl";
	}
}

long __real_SSL_CTX_ctrl(SSL_CTX *context, int command, long number, void *pointer);
long __wrap_SSL_CTX_ctrl(SSL_CTX *context, int command, long number, void *pointer);
long __wrap_SSL_CTX_ctrl(SSL_CTX *context, int command, long number, void *pointer)
{
	return fails(name_of_command(command))
		       ? 0
		       : __real_SSL_CTX_ctrl(context, command, number, pointer);
}

long __real_SSL_ctrl(SSL *ssl, int command, long number, void *pointer);
long __wrap_SSL_ctrl(SSL *ssl, int command, long number, void *pointer);
long __wrap_SSL_ctrl(SSL *ssl, int command, long number, void *pointer)
{
	return fails(name_of_command(command)) ? 0 : __real_SSL_ctrl(ssl, command, number, pointer);
}
