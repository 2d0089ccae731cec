/* LINKS: proxy/loop tests/doubles/counted_memory.c tests/doubles/failing_calls.c tests/doubles/failing_tls.c -Wl,@tests/doubles/failing_calls.wraps -Wl,@tests/doubles/failing_tls.wraps */
/* Handshakes of clients: what is agreed on, who is believed, and why one fails. */
#include "proxy/loop/tls_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/loop/tls_state.h"
#include "tests/doubles/counted_memory.h"
#include "tests/doubles/failing_calls.h"
#include "tests/support/tls_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SSL_REASON(reason) ((int)ERR_PACK(ERR_LIB_SSL, 0, reason))

enum { HOUR_S = 3600, ALL = 1 << 20 };

static struct certificate authority, stranger, own;
static struct tls_server *server;   /* of any client */
static struct tls_server *believer; /* of those with a certificate of the authority */
static SSL_CTX *client;
static struct tls_pair pair;

static int setup_all(void **state)
{
	(void)state;
	authority = certificate_new(
		(struct certificate_wish){.common_name = "authority", .is_authority = true});
	stranger = certificate_new(
		(struct certificate_wish){.common_name = "stranger", .is_authority = true});
	own = certificate_new((struct certificate_wish){
		.common_name = "proxy", .names = "DNS:proxy.test", .issuer = &authority});
	server = server_of(&own, NULL);
	believer = server_of(&own, &authority);
	return 0;
}

static int teardown_all(void **state)
{
	(void)state;
	tls_server_free(server);
	tls_server_free(believer);
	certificate_free(&authority);
	certificate_free(&stranger);
	certificate_free(&own);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	client = far_context(false, NULL, &authority);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fail_calls_never();
	pair_end(&pair);
	SSL_CTX_free(client);
	return 0;
}

static void new_client(const struct certificate *its_own, const struct certificate *trusted)
{
	SSL_CTX_free(client);
	client = far_context(false, its_own, trusted);
}

static enum io shake(void)
{
	pair_of_client(&pair, server, client);
	return pair_shake(&pair);
}

static enum io shake_with_certificate(void)
{
	pair_of_client(&pair, believer, client);
	return pair_shake(&pair);
}

static void expect_failure(enum failure failure, int reason)
{
	pair_expect_failure(&pair, failure, reason_text(reason));
}

static void set_versions(int lowest, int highest)
{
	SSL_CTX_set_min_proto_version(client, lowest);
	SSL_CTX_set_max_proto_version(client, highest);
}

/* ---- what is agreed on ---------------------------------------------------------------------- */

static void test_versions(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	const char *why;

	(void)state;
	for (size_t i = 0; i < COUNT(versions); i++) {
		set_versions(versions[i], versions[i]);
		assert_int_equal(shake(), IO_OK);
		assert_int_equal(SSL_version(pair.far.ssl), versions[i]);
		assert_int_equal(tls_failure(pair.ours, &why), FAILURE_NONE);
		assert_null(tls_peer(pair.ours));
		assert_false(tls_was_resumed(pair.ours));
	}
	set_versions(TLS1_VERSION, TLS1_3_VERSION);
	assert_int_equal(shake(), IO_OK);
	assert_int_equal(SSL_version(pair.far.ssl), TLS1_3_VERSION);
	set_versions(TLS1_VERSION, TLS1_1_VERSION);
	assert_int_equal(shake(), IO_ERROR);
	expect_failure(FAILURE_CLIENT_TLS_MISMATCH, SSL_R_UNSUPPORTED_PROTOCOL);
}

static const char *cipher_of(int version, const char *list)
{
	set_versions(version, version);
	if (version == TLS1_3_VERSION)
		assert_int_equal(SSL_CTX_set_ciphersuites(client, list), 1);
	else
		assert_int_equal(SSL_CTX_set_cipher_list(client, list), 1);
	return shake() == IO_OK ? SSL_get_cipher_name(pair.far.ssl) : "none";
}

static void test_ciphers(void **state)
{
	static const struct {
		int version;
		const char *list, *chosen;
	} rows[] = {
		{TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256",
		 "TLS_AES_128_GCM_SHA256"},
		{TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384"},
		{TLS1_3_VERSION, "TLS_AES_128_CCM_SHA256", "none"},
		/* a client that has it first computes AES slowly */
		{TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256",
		 "TLS_CHACHA20_POLY1305_SHA256"},
		{TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256",
		 "TLS_AES_256_GCM_SHA384"},
		{TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"},
		{TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-CHACHA20-POLY1305"},
		{TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA256", "none"},
		{TLS1_2_VERSION, "ECDHE-ECDSA-AES128-CCM", "none"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_string_equal(cipher_of(rows[i].version, rows[i].list), rows[i].chosen);
		if (strcmp(rows[i].chosen, "none") == 0)
			expect_failure(FAILURE_CLIENT_TLS_MISMATCH, SSL_R_NO_SHARED_CIPHER);
	}
}

static void test_groups(void **state)
{
	static const struct {
		const char *list;
		int group;
	} rows[] = {{"X25519", NID_X25519},
		    {"P-256", NID_X9_62_prime256v1},
		    {"P-384", NID_secp384r1},
		    {"P-256:X25519", NID_X25519},
		    {"P-521", 0},
		    {"ffdhe2048", 0}};

	(void)state;
	set_versions(TLS1_3_VERSION, TLS1_3_VERSION);
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(SSL_CTX_set1_groups_list(client, rows[i].list), 1);
		assert_int_equal(shake(), rows[i].group != 0 ? IO_OK : IO_ERROR);
		if (rows[i].group == 0)
			expect_failure(FAILURE_CLIENT_TLS_MISMATCH, SSL_R_NO_SUITABLE_KEY_SHARE);
	}
	/* the first of ours, though the client has sent no share of it */
	assert_int_equal(SSL_CTX_set1_groups_list(client, "P-384:X25519"), 1);
	assert_int_equal(shake(), IO_OK);
}

static void test_protocols(void **state)
{
	static const struct {
		const char *offered, *chosen;
	} rows[] = {{"\x08http/1.1", "http/1.1"},
		    {"\x02h2\x08http/1.1", "http/1.1"},
		    {"\x08http/1.0", "http/1.0"},
		    {"\x08http/1.0\x08http/1.1", "http/1.1"},
		    {"\x02h2", NULL},
		    {"\x08http/1.2", NULL}};
	const unsigned char *chosen;
	unsigned n;

	(void)state;
	assert_int_equal(shake(), IO_OK);
	SSL_get0_alpn_selected(pair.far.ssl, &chosen, &n);
	assert_int_equal(n, 0);
	for (size_t i = 0; i < COUNT(rows); i++) {
		SSL_CTX_set_alpn_protos(client, (const unsigned char *)rows[i].offered,
					(unsigned)strlen(rows[i].offered));
		assert_int_equal(shake(), rows[i].chosen != NULL ? IO_OK : IO_ERROR);
		if (rows[i].chosen == NULL) {
			expect_failure(FAILURE_CLIENT_TLS_MISMATCH, SSL_R_NO_APPLICATION_PROTOCOL);
			continue;
		}
		SSL_get0_alpn_selected(pair.far.ssl, &chosen, &n);
		assert_int_equal(n, 8);
		assert_memory_equal(chosen, rows[i].chosen, 8);
	}
}

/* There is one certificate, whatever name a client asks for. */
static void test_names_that_clients_ask_for(void **state)
{
	static const char *const names[] = {"proxy.test", "unknown.test", "127.0.0.1"};

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		pair_of_client(&pair, server, client);
		SSL_set_tlsext_host_name(pair.far.ssl, names[i]);
		assert_int_equal(pair_shake(&pair), IO_OK);
		assert_int_equal(X509_cmp(SSL_get0_peer_certificate(pair.far.ssl), own.x509), 0);
	}
}

static void test_renegotiation_is_refused(void **state)
{
	int error;
	size_t n;
	char byte;

	(void)state;
	set_versions(TLS1_2_VERSION, TLS1_2_VERSION);
	assert_int_equal(shake(), IO_OK);
	assert_true(SSL_get_options(pair.ours->ssl) & SSL_OP_NO_RENEGOTIATION);
	assert_true(SSL_get_options(pair.ours->ssl) & SSL_OP_NO_COMPRESSION);
	assert_int_equal(SSL_renegotiate(pair.far.ssl), 1);
	assert_int_equal(SSL_do_handshake(pair.far.ssl), -1);
	far_flush(&pair.far, ALL);
	assert_int_equal(tls_recv(pair.ours, &byte, 1, &n), IO_AGAIN);
	assert_string_equal(far_read(&pair.far, &error), "");
	assert_int_equal(error, SSL_ERROR_SSL);
	assert_int_equal(SSL_get_shutdown(pair.far.ssl) & SSL_SENT_SHUTDOWN, 0);
}

/* ---- certificates of clients ---------------------------------------------------------------- */

static struct certificate issue(const char *organization, const char *name)
{
	return certificate_new((struct certificate_wish){
		.organization = organization, .common_name = name, .issuer = &authority});
}

static void expect_subject(const char *organization, const char *name, const char *subject)
{
	struct certificate its_own = issue(organization, name);

	new_client(&its_own, &authority);
	assert_int_equal(shake_with_certificate(), IO_OK);
	assert_string_equal(tls_peer(pair.ours), subject);
	assert_int_equal(shake(), IO_OK); /* who needs none asks for none */
	assert_null(tls_peer(pair.ours));
	certificate_free(&its_own);
}

static void test_subjects_of_clients(void **state)
{
	static char organization[2 * 64 + 1], subject[256];

	(void)state;
	expect_subject(NULL, "alice", "CN=alice");
	expect_subject("One", "bob", "CN=bob,O=One");
	expect_subject(NULL, "a,b", "CN=a\\,b");
	expect_subject(NULL, "\xc3\xa9", "CN=\\C3\\A9");
	/* cut where the room ends: each letter is six characters */
	for (size_t i = 0; i < sizeof(organization) - 1; i += 2)
		memcpy(organization + i, "\xc3\xa9", 2);
	strcpy(subject, "CN=x,O=");
	for (size_t n = strlen(subject); n < sizeof(subject) - 1; n++)
		subject[n] = "\\C3\\A9"[(n - 7) % 6];
	expect_subject(organization, "x", subject);
}

static void test_clients_that_are_not_believed(void **state)
{
	const struct {
		struct certificate_wish wish;
		long verified;
	} rows[] = {
		{{.common_name = "a", .issuer = &stranger},
		 X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY},
		{{.common_name = "a"}, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT},
		{{"a", NULL, NULL, &authority, false, -2 * HOUR_S, -HOUR_S},
		 X509_V_ERR_CERT_HAS_EXPIRED},
		{{"a", NULL, NULL, &authority, false, HOUR_S, 2 * HOUR_S},
		 X509_V_ERR_CERT_NOT_YET_VALID},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct certificate its_own = certificate_new(rows[i].wish);

		new_client(&its_own, &authority);
		assert_int_equal(shake_with_certificate(), IO_ERROR);
		pair_expect_failure(&pair, FAILURE_CLIENT_TLS_CERTIFICATE,
				    X509_verify_cert_error_string(rows[i].verified));
		assert_null(tls_peer(pair.ours));
		certificate_free(&its_own);
	}
	new_client(NULL, &authority);
	assert_int_equal(shake_with_certificate(), IO_ERROR);
	expect_failure(FAILURE_CLIENT_TLS_CERTIFICATE, SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE);
}

/* Clients are told whose certificates are believed. */
static void test_authorities_that_clients_are_told(void **state)
{
	const STACK_OF(X509_NAME) * names;

	(void)state;
	new_client(&own, &authority);
	assert_int_equal(shake_with_certificate(), IO_OK);
	names = SSL_get0_peer_CA_list(pair.far.ssl);
	assert_int_equal(sk_X509_NAME_num(names), 1);
	assert_int_equal(
		X509_NAME_cmp(sk_X509_NAME_value(names, 0), X509_get_subject_name(authority.x509)),
		0);
}

/* What a client may send as certificates has a bound: 32 KiB. */
static void test_too_many_certificates_of_a_client(void **state)
{
	struct certificate its_own = issue(NULL, "alice");
	int one = i2d_X509(stranger.x509, NULL) + 5, sent = i2d_X509(its_own.x509, NULL) + 9;

	(void)state;
	new_client(&its_own, &authority);
	set_versions(TLS1_3_VERSION, TLS1_3_VERSION);
	for (; sent + one <= 32768; sent += one)
		SSL_CTX_add1_chain_cert(client, stranger.x509);
	assert_int_equal(shake_with_certificate(), IO_OK);
	SSL_CTX_add1_chain_cert(client, stranger.x509);
	SSL_CTX_add1_chain_cert(client, stranger.x509);
	assert_int_equal(shake_with_certificate(), IO_ERROR);
	expect_failure(FAILURE_CLIENT_TLS_PROTOCOL, SSL_R_EXCESSIVE_MESSAGE_SIZE);
	certificate_free(&its_own);
}

static void test_no_memory_for_a_subject(void **state)
{
	static const struct {
		const char *call, *subject;
	} rows[] = {{"BIO_new", ""}, {"X509_NAME_print_ex", ""}, {"strdup", NULL}};
	struct certificate its_own = issue(NULL, "alice");

	(void)state;
	new_client(&its_own, &authority);
	for (size_t i = 0; i < COUNT(rows); i++) {
		pair_of_client(&pair, believer, client);
		fail_calls(rows[i].call, 0, 1, ENOMEM);
		assert_int_equal(pair_shake(&pair), rows[i].subject != NULL ? IO_OK : IO_ERROR);
		assert_true(fail_calls_never());
		if (rows[i].subject != NULL)
			assert_string_equal(tls_peer(pair.ours), rows[i].subject);
		else
			pair_expect_failure(&pair, FAILURE_INTERNAL, "out of memory");
	}
	certificate_free(&its_own);
}

/* ---- handshakes that fail ------------------------------------------------------------------- */

static void test_each_reason(void **state)
{
	static const struct {
		int error;
		enum failure failure;
	} rows[] = {
		{SSL_REASON(SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE),
		 FAILURE_CLIENT_TLS_CERTIFICATE},
		{SSL_REASON(SSL_R_UNSUPPORTED_PROTOCOL), FAILURE_CLIENT_TLS_MISMATCH},
		{SSL_REASON(SSL_R_VERSION_TOO_LOW), FAILURE_CLIENT_TLS_MISMATCH},
		{SSL_REASON(SSL_R_NO_SHARED_CIPHER), FAILURE_CLIENT_TLS_MISMATCH},
		{SSL_REASON(SSL_R_NO_SUITABLE_KEY_SHARE), FAILURE_CLIENT_TLS_MISMATCH},
		{SSL_REASON(SSL_R_NO_SUITABLE_GROUPS), FAILURE_CLIENT_TLS_MISMATCH},
		{SSL_REASON(SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS), FAILURE_CLIENT_TLS_MISMATCH},
		{SSL_REASON(SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM), FAILURE_CLIENT_TLS_MISMATCH},
		{SSL_REASON(SSL_R_NO_APPLICATION_PROTOCOL), FAILURE_CLIENT_TLS_MISMATCH},
		{SSL_REASON(SSL_R_INAPPROPRIATE_FALLBACK), FAILURE_CLIENT_TLS_MISMATCH},
		{SSL_REASON(SSL_R_HTTP_REQUEST), FAILURE_CLIENT_TLS_PROTOCOL},
		{SSL_REASON(SSL_R_BAD_EXTENSION), FAILURE_CLIENT_TLS_PROTOCOL},
		{SSL_REASON(SSL_R_TLSV1_ALERT_UNKNOWN_CA), FAILURE_CLIENT_TLS_ALERT},
		{SSL_REASON(SSL_R_UNEXPECTED_EOF_WHILE_READING), FAILURE_CLIENT_TLS_CLOSED},
		/* the same number of another part of the library */
		{ERR_PACK(ERR_LIB_EVP, 0, SSL_R_NO_SHARED_CIPHER), FAILURE_CLIENT_TLS_PROTOCOL},
		{ERR_PACK(ERR_LIB_EVP, 0, SSL_R_TLSV1_ALERT_UNKNOWN_CA),
		 FAILURE_CLIENT_TLS_PROTOCOL},
		{-ECONNRESET, FAILURE_CLIENT_TLS_CLOSED},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *text = rows[i].error < 0
					   ? NULL
					   : ERR_reason_error_string((unsigned long)rows[i].error);

		pair_of_client(&pair, server, client);
		fail_calls("SSL_do_handshake", 0, 1, rows[i].error);
		assert_int_equal(tls_handshake(pair.ours), IO_ERROR);
		assert_true(fail_calls_never());
		pair_expect_failure(&pair, rows[i].failure,
				    rows[i].failure == FAILURE_CLIENT_TLS_CLOSED ? "closed"
				    : text != NULL                               ? text
						   : "the TLS library does not say why");
	}
}

static void test_clients_that_do_not_believe_us(void **state)
{
	(void)state;
	new_client(NULL, &stranger);
	assert_int_equal(shake(), IO_ERROR);
	expect_failure(FAILURE_CLIENT_TLS_ALERT, SSL_R_TLSV1_ALERT_UNKNOWN_CA);
}

static void test_clients_without_tls(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		int reason;
	} rows[] = {
		{"GET / HTTP/1.1\r\n\r\n", 18, SSL_R_HTTP_REQUEST},
		{"CONNECT a:1 HTTP/1.1\r\n\r\n", 24, SSL_R_HTTPS_PROXY_REQUEST},
		{"\x05\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00", 11, SSL_R_WRONG_VERSION_NUMBER}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		pair_of_client(&pair, server, client);
		far_say(&pair.far, rows[i].bytes, rows[i].n);
		assert_int_equal(tls_handshake(pair.ours), IO_ERROR);
		expect_failure(FAILURE_CLIENT_TLS_PROTOCOL, rows[i].reason);
	}
}

/* A client that ends after each number of bytes of its first flight, or says them one by one. */
static void test_clients_that_end_in_the_middle(void **state)
{
	(void)state;
	for (size_t n = 0; n < 300; n += 13) {
		pair_of_client(&pair, server, client);
		assert_int_equal(SSL_do_handshake(pair.far.ssl), -1);
		far_flush(&pair.far, n);
		assert_int_equal(tls_handshake(pair.ours), IO_AGAIN);
		shutdown(pair.far.fd, SHUT_WR);
		assert_int_equal(tls_handshake(pair.ours), IO_ERROR);
		pair_expect_failure(&pair, FAILURE_CLIENT_TLS_CLOSED, "closed");
	}
	pair_of_client(&pair, server, client);
	pair.far.drip = 1;
	assert_int_equal(pair_shake(&pair), IO_OK);
}

static void test_no_memory_for_a_connection(void **state)
{
	static const char *const calls[] = {"calloc", "SSL_new", "BIO_new"};
	size_t alive;

	(void)state;
	tls_free(tls_server_accept(server, -1));
	ERR_clear_error();
	alive = allocations_alive();
	for (size_t i = 0; i < COUNT(calls); i++) {
		fail_calls(calls[i], 0, 1, ENOMEM);
		assert_null(tls_server_accept(server, -1));
		assert_true(fail_calls_never());
	}
	ERR_clear_error();
	assert_int_equal(allocations_alive(), alive);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_versions),
		TEST(test_ciphers),
		TEST(test_groups),
		TEST(test_protocols),
		TEST(test_names_that_clients_ask_for),
		TEST(test_renegotiation_is_refused),
		TEST(test_subjects_of_clients),
		TEST(test_clients_that_are_not_believed),
		TEST(test_authorities_that_clients_are_told),
		TEST(test_too_many_certificates_of_a_client),
		TEST(test_no_memory_for_a_subject),
		TEST(test_each_reason),
		TEST(test_clients_that_do_not_believe_us),
		TEST(test_clients_without_tls),
		TEST(test_clients_that_end_in_the_middle),
		TEST(test_no_memory_for_a_connection),
	};

	return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
