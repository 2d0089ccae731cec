/* LINKS: proxy/loop tests/doubles/counted_memory.c tests/doubles/failing_calls.c tests/doubles/failing_tls.c -Wl,@tests/doubles/failing_calls.wraps -Wl,@tests/doubles/failing_tls.wraps */
/* Certificates, keys and authorities of an address with TLS: what is sent of them, and what is wrong with them. */
#include "proxy/loop/tls_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/doubles/counted_memory.h"
#include "tests/doubles/failing_calls.h"
#include "tests/support/tls_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { CHAIN_MAX = 16, TEXT = 1 << 16 };

static const char broken[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
static struct certificate authority, own;
static char *own_pem, *own_key, *authority_pem;
static bool counts; /* not at first: what the library keeps from the first use on is no leak */

static int setup_all(void **state)
{
	(void)state;
	authority = certificate_new(
		(struct certificate_wish){.common_name = "authority", .is_authority = true});
	own = certificate_new((struct certificate_wish){
		.common_name = "proxy", .issuer = &authority, .begins_s = -7, .ends_s = 86400});
	own_pem = certificate_pem(&own);
	own_key = certificate_key_pem(&own, NULL);
	authority_pem = certificate_pem(&authority);
	return 0;
}

static int teardown_all(void **state)
{
	(void)state;
	free(own_pem);
	free(own_key);
	free(authority_pem);
	certificate_free(&authority);
	certificate_free(&own);
	return 0;
}

static int now_counts(void **state)
{
	(void)state;
	counts = true;
	return 0;
}

static struct tls_server *make(const char *certificate, const char *key, const char *ca,
			       struct diagnostic *error)
{
	return tls_server_new(
		&(struct tls_pem){"own.pem", slice_str(certificate)},
		&(struct tls_pem){"own.key", slice_str(key)},
		&(struct tls_pem){ca != NULL ? "ca.pem" : "", slice_str(ca != NULL ? ca : "")},
		error);
}

/* It is refused in these words, and leaves nothing behind. */
static void expect_refused(const char *certificate, const char *key, const char *ca,
			   const char *words)
{
	struct diagnostic error = {""};
	size_t alive;

	ERR_clear_error();
	alive = allocations_alive();
	leave_error();
	assert_null(make(certificate, key, ca, &error));
	assert_string_equal(error.text, words);
	ERR_clear_error();
	if (counts)
		assert_int_equal(allocations_alive(), alive);
}

static void expect_failing(const char *call, unsigned n, const char *option)
{
	char words[DIAGNOSTIC_MAX];

	snprintf(words, sizeof(words), "%s: %s", option, reason_text(SSL_R_BAD_LENGTH));
	fail_calls(call, n, 1, (int)ERR_PACK(ERR_LIB_SSL, 0, SSL_R_BAD_LENGTH));
	expect_refused(own_pem, own_key, authority_pem, words);
	assert_true(fail_calls_never());
}

/* ---- what is wrong -------------------------------------------------------------------------- */

static const char no_certificate[] = "tls_certificate: own.pem: no certificate in PEM form";

static void test_certificates_that_are_none(void **state)
{
	char text[TEXT], words[DIAGNOSTIC_MAX];
	struct diagnostic error = {""};

	(void)state;
	expect_refused("", own_key, NULL, no_certificate);
	expect_refused("certificate", own_key, NULL, no_certificate);
	expect_refused(own_key, own_key, NULL, no_certificate);
	expect_refused(broken, own_key, NULL, no_certificate);
	/* a good one, and one behind it that is none */
	snprintf(text, sizeof(text), "%s%s", own_pem, broken);
	assert_null(make(text, own_key, NULL, &error));
	snprintf(words, sizeof(words), "%s", error.text);
	assert_memory_equal(words, "tls_certificate: own.pem: ", 26);
	assert_string_not_equal(words + 26, "the TLS library does not say why");
	expect_refused(text, own_key, NULL, words);
	assert_null(
		tls_server_new(&(struct tls_pem){"own.pem", slice_of(own_pem, (size_t)INT_MAX + 1)},
			       &(struct tls_pem){"own.key", slice_str(own_key)},
			       &(struct tls_pem){"", SLICE("")}, &error));
	assert_string_equal(error.text, no_certificate);
}

static void test_keys_that_are_none(void **state)
{
	static const char none[] = "tls_key: own.key: no private key in PEM form";
	struct certificate other = certificate_new((struct certificate_wish){.common_name = "a"});
	char *other_key = certificate_key_pem(&other, NULL);
	char *locked = certificate_key_pem(&own, "secret"), name[600], words[DIAGNOSTIC_MAX];
	struct diagnostic error = {""};

	(void)state;
	expect_refused(own_pem, "", NULL, none);
	expect_refused(own_pem, own_pem, NULL, none);
	expect_refused(own_pem, broken, NULL, none);
	expect_refused(own_pem, locked, NULL,
		       "tls_key: own.key: has a passphrase: store it without one, readable by the "
		       "service alone (openssl pkey)");
	expect_refused(own_pem, other_key, NULL,
		       "tls_key: own.key: is not the key of the certificate in own.pem");
	/* a long name is cut */
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_null(tls_server_new(&(struct tls_pem){name, slice_str(own_pem)},
				   &(struct tls_pem){"own.key", slice_str(other_key)},
				   &(struct tls_pem){"", SLICE("")}, &error));
	snprintf(words, sizeof(words),
		 "tls_key: own.key: is not the key of the certificate in %.300s", name);
	assert_string_equal(error.text, words);
	free(locked);
	free(other_key);
	certificate_free(&other);
}

static void test_authorities_that_are_none(void **state)
{
	static const char none[] = "tls_client_ca: ca.pem: no certificate in PEM form";
	char text[TEXT], words[DIAGNOSTIC_MAX];
	struct diagnostic error = {""};

	(void)state;
	expect_refused(own_pem, own_key, "", none);
	expect_refused(own_pem, own_key, own_key, none);
	expect_refused(own_pem, own_key, broken, none);
	snprintf(text, sizeof(text), "%s%s", authority_pem, broken);
	assert_null(make(own_pem, own_key, text, &error));
	snprintf(words, sizeof(words), "%s", error.text);
	assert_memory_equal(words, "tls_client_ca: ca.pem: ", 23);
	assert_string_not_equal(words + 23, "the TLS library does not say why");
	expect_refused(own_pem, own_key, text, words);
}

static void test_calls_that_fail(void **state)
{
	static const char setup[] = "tls_certificate: TLS cannot be set up",
			  certificate[] = "tls_certificate: own.pem",
			  ca[] = "tls_client_ca: ca.pem";
	static const struct {
		const char *call, *option;
	} rows[] = {
		{"SSL_CTX_new", setup},
		{"SSL_CTX_set_tlsext_ticket_key_evp_cb", setup},
		{"SSL_CTX_set_session_ticket_cb", setup},
		{"SSL_CTX_set_cipher_list", setup},
		{"SSL_CTX_set_ciphersuites", setup},
		{"SSL_CTX_use_certificate", certificate},
		{"SSL_CTX_use_PrivateKey", "tls_key: own.key"},
		{"EVP_Digest", ca},
		{"SSL_CTX_set_session_id_context", ca},
		{"X509_STORE_add_cert", ca},
		{"SSL_CTX_add_client_CA", ca},
	};
	char text[TEXT];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		expect_failing(rows[i].call, 0, rows[i].option);
	fail_calls("calloc", 0, 1, ENOMEM);
	expect_refused(own_pem, own_key, NULL,
		       "tls_certificate: TLS cannot be set up: the TLS library does not say why");
	assert_true(fail_calls_never());
	/* neither the groups with ML-KEM nor those without */
	fail_calls("SSL_CTX_set1_groups_list", 0, 2,
		   (int)ERR_PACK(ERR_LIB_SSL, 0, SSL_R_BAD_LENGTH));
	expect_refused(own_pem, own_key, NULL,
		       "tls_certificate: TLS cannot be set up: the TLS library does not say why");
	assert_true(fail_calls_never());
	/* the second of a chain */
	snprintf(text, sizeof(text), "%s%s", own_pem, authority_pem);
	fail_calls("SSL_CTX_add1_chain_cert", 0, 1, -ENOMEM);
	expect_refused(text, own_key, NULL, "tls_certificate: own.pem: Cannot allocate memory");
	assert_true(fail_calls_never());
	/* none of the texts can be read */
	fail_calls("BIO_new_mem_buf", 0, 1, -ENOMEM);
	expect_refused(own_pem, own_key, NULL, no_certificate);
	fail_calls("BIO_new_mem_buf", 1, 1, -ENOMEM);
	expect_refused(own_pem, own_key, NULL, "tls_key: own.key: no private key in PEM form");
	fail_calls("BIO_new_mem_buf", 2, 1, -ENOMEM);
	expect_refused(own_pem, own_key, authority_pem,
		       "tls_client_ca: ca.pem: no certificate in PEM form");
	assert_true(fail_calls_never());
	tls_server_free(NULL);
}

/* A list of groups that the library does not know, with ML-KEM among them, is no error. */
static void test_the_groups_of_older_libraries(void **state)
{
	struct diagnostic error = {""};
	struct tls_server *server;

	(void)state;
	fail_calls("SSL_CTX_set1_groups_list", 0, 1,
		   (int)ERR_PACK(ERR_LIB_SSL, 0, SSL_R_BAD_LENGTH));
	leave_error();
	server = make(own_pem, own_key, NULL, &error);
	assert_true(fail_calls_never());
	assert_non_null(server);
	assert_string_equal(error.text, "");
	assert_int_equal(ERR_peek_error(), 0);
	tls_server_free(server);
}

/* ---- what is good --------------------------------------------------------------------------- */

static void test_a_pair(void **state)
{
	struct diagnostic error = {""};
	struct tls_server *server;
	size_t alive = allocations_alive();

	(void)state;
	server = make(own_pem, own_key, authority_pem, &error);
	assert_non_null(server);
	assert_string_equal(error.text, "");
	assert_int_equal(ERR_peek_error(), 0);
	assert_int_equal(tls_server_begins_s(server), certificate_now_s() - 7);
	assert_int_equal(tls_server_ends_s(server), certificate_now_s() + 86400);
	tls_server_free(server);
	if (counts)
		assert_int_equal(allocations_alive(), alive);
}

/* A time that cannot be read is long past. */
static void test_a_certificate_without_readable_times(void **state)
{
	struct diagnostic error = {""};
	struct tls_server *server;

	(void)state;
	for (unsigned n = 0; n < 2; n++) {
		fail_calls("ASN1_TIME_to_tm", n, 1,
			   (int)ERR_PACK(ERR_LIB_SSL, 0, SSL_R_BAD_LENGTH));
		server = make(own_pem, own_key, NULL, &error);
		assert_true(fail_calls_never());
		assert_non_null(server);
		assert_int_equal(tls_server_begins_s(server), n == 0 ? 0 : certificate_now_s() - 7);
		assert_int_equal(tls_server_ends_s(server),
				 n == 1 ? 0 : certificate_now_s() + 86400);
		tls_server_free(server);
	}
}

/* All of a file are sent as they stand there, and no other. */
static void test_chains(void **state)
{
	static const char too_many[] = "tls_certificate: own.pem: more certificates than the 16 "
				       "that are sent";
	static char text[TEXT];
	struct diagnostic error = {""};
	SSL_CTX *client = far_context(false, NULL, NULL);
	struct tls_pair pair = {.fd = -1};

	(void)state;
	strcpy(text, own_pem);
	for (int n = 1; n <= CHAIN_MAX; n++) {
		size_t alive = allocations_alive();
		struct tls_server *server = make(text, own_key, authority_pem, &error);
		STACK_OF(X509) * chain;

		assert_non_null(server);
		SSL_CTX_set_max_cert_list(client, 1 << 20);
		SSL_CTX_use_certificate(client, own.x509);
		SSL_CTX_use_PrivateKey(client, own.key);
		if (n < 3 || n == CHAIN_MAX) {
			pair_of_client(&pair, server, client);
			assert_int_equal(pair_shake(&pair), IO_OK);
			chain = SSL_get_peer_cert_chain(pair.far.ssl);
			assert_int_equal(sk_X509_num(chain), n);
			assert_int_equal(X509_cmp(sk_X509_value(chain, 0), own.x509), 0);
			assert_int_equal(X509_cmp(sk_X509_value(chain, n - 1),
						  n > 1 ? authority.x509 : own.x509),
					 0);
			pair_end(&pair);
		}
		tls_server_free(server);
		if (counts && n >= 3 && n < CHAIN_MAX)
			assert_int_equal(allocations_alive(), alive);
		strcat(text, authority_pem);
	}
	expect_refused(text, own_key, NULL, too_many);
	SSL_CTX_free(client);
}

/* Several authorities: clients of each are believed. */
static void test_several_authorities(void **state)
{
	struct certificate second = certificate_new(
		(struct certificate_wish){.common_name = "second", .is_authority = true});
	struct certificate its_own = certificate_new(
		(struct certificate_wish){.common_name = "alice", .issuer = &second});
	char *pem = certificate_pem(&second), text[TEXT];
	struct diagnostic error = {""};
	struct tls_server *server;
	SSL_CTX *client = far_context(false, &its_own, NULL);
	struct tls_pair pair = {.fd = -1};

	(void)state;
	snprintf(text, sizeof(text), "%s%s", authority_pem, pem);
	server = make(own_pem, own_key, text, &error);
	assert_non_null(server);
	pair_of_client(&pair, server, client);
	assert_int_equal(pair_shake(&pair), IO_OK);
	assert_string_equal(tls_peer(pair.ours), "CN=alice");
	assert_int_equal(sk_X509_NAME_num(SSL_get0_peer_CA_list(pair.far.ssl)), 2);
	pair_end(&pair);
	tls_server_free(server);
	SSL_CTX_free(client);
	free(pem);
	certificate_free(&second);
	certificate_free(&its_own);
}

int main(void)
{
#define TESTS(test, setup)                                                                        \
	test(test_certificates_that_are_none, setup), test(test_keys_that_are_none, setup),       \
		test(test_authorities_that_are_none, setup), test(test_calls_that_fail, setup),   \
		test(test_the_groups_of_older_libraries, setup), test(test_a_pair, setup),        \
		test(test_a_certificate_without_readable_times, setup), test(test_chains, setup), \
		test(test_several_authorities, setup)
	const struct CMUnitTest tests[] = {
		TESTS(cmocka_unit_test_setup, NULL),
		TESTS(cmocka_unit_test_setup, now_counts),
	};

	return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
