/* LINKS: proxy/loop tests/doubles/counted_memory.c tests/doubles/failing_calls.c tests/doubles/failing_tls.c -Wl,@tests/doubles/failing_calls.wraps -Wl,@tests/doubles/failing_tls.wraps -Wl,--wrap=SSL_get0_alpn_selected */
/* Handshakes with origins: who is believed, what is asked for, and why one fails. */
#include "proxy/loop/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/stats/stats.h"
#include "tests/doubles/counted_memory.h"
#include "tests/doubles/failing_calls.h"
#include "tests/support/tls_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SSL_REASON(reason) ((int)ERR_PACK(ERR_LIB_SSL, 0, reason))

enum { HOUR_S = 3600 };

static struct certificate authority, stranger, origin_own;
static struct tls_context *context;
static struct tls_pair pair;
static size_t alive;

/* ---- certificates and files ----------------------------------------------------------------- */

static struct certificate issue(const char *names)
{
	return certificate_new((struct certificate_wish){
		.common_name = "origin.test", .names = names, .issuer = &authority});
}

static int setup_all(void **state)
{
	(void)state;
	authority = certificate_new(
		(struct certificate_wish){.common_name = "authority", .is_authority = true});
	stranger = certificate_new(
		(struct certificate_wish){.common_name = "stranger", .is_authority = true});
	origin_own = issue("DNS:origin.test,IP:127.0.0.1,IP:::1");
	return 0;
}

static int teardown_all(void **state)
{
	(void)state;
	certificate_free(&authority);
	certificate_free(&stranger);
	certificate_free(&origin_own);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	context = context_that_trusts(&authority);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fail_calls_never();
	pair_end(&pair);
	tls_context_free(context);
	context = NULL;
	return 0;
}

/* ---- connections ---------------------------------------------------------------------------- */

static void begin_at(SSL_CTX *origin, const char *host, uint16_t port)
{
	pair_to_origin(&pair, context, origin, host, port);
}

static enum io shake_at(SSL_CTX *origin, const char *host, uint16_t port)
{
	begin_at(origin, host, port);
	return pair_shake(&pair);
}

static void expect_failure(enum failure failure, const char *why)
{
	pair_expect_failure(&pair, failure, why);
}

/* An origin of this certificate, gone through once. */
static void expect_shake(const struct certificate *own, const char *host, long verified)
{
	SSL_CTX *origin = far_context(true, own, NULL);
	enum io io = shake_at(origin, host, 443);
	char byte;
	size_t n;

	SSL_CTX_free(origin);
	if (verified == X509_V_OK) {
		assert_int_equal(io, IO_OK);
		return;
	}
	assert_int_equal(io, IO_ERROR);
	expect_failure(FAILURE_TLS_CERTIFICATE, X509_verify_cert_error_string(verified));
	/* nothing goes over it any more */
	assert_int_equal(tls_recv(pair.ours, &byte, 1, &n), IO_ERROR);
	assert_int_equal(errno, ECONNRESET);
	assert_int_equal(tls_send(pair.ours, "x", 1, &n), IO_ERROR);
	assert_int_equal(errno, EPIPE);
	assert_false(tls_is_quiet(pair.ours));
}

static void test_handshake_of_each_version(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	(void)state;
	for (size_t i = 0; i < COUNT(versions); i++) {
		SSL_CTX *origin = far_context(true, &origin_own, NULL);
		uint64_t before = STATS_GET(tls_handshakes), resumed = STATS_GET(tls_resumed);
		const char *why;

		SSL_CTX_set_min_proto_version(origin, versions[i]);
		SSL_CTX_set_max_proto_version(origin, versions[i]);
		begin_at(origin, "Origin.TEST", 8443 + (uint16_t)i);
		assert_false(tls_was_resumed(pair.ours));
		assert_int_equal(pair_shake(&pair), IO_OK);
		assert_int_equal(SSL_version(pair.far.ssl), versions[i]);
		assert_string_equal(SSL_get_servername(pair.far.ssl, TLSEXT_NAMETYPE_host_name),
				    "origin.test");
		assert_string_equal(tls_peer(pair.ours),
				    i == 0 ? "origin.test:8443" : "origin.test:8444");
		assert_int_equal(tls_failure(pair.ours, &why), FAILURE_NONE);
		assert_null(why);
		assert_false(tls_was_resumed(pair.ours));
		assert_int_equal(STATS_GET(tls_handshakes), before + 1);
		assert_int_equal(STATS_GET(tls_resumed), resumed);
		SSL_CTX_free(origin);
	}
}

static void test_versions_before_1_2_are_not_spoken(void **state)
{
	SSL_CTX *origin = far_context(true, &origin_own, NULL);

	(void)state;
	SSL_CTX_set_max_proto_version(origin, TLS1_1_VERSION);
	assert_int_equal(shake_at(origin, "origin.test", 443), IO_ERROR);
	expect_failure(FAILURE_TLS_ALERT,
		       ERR_reason_error_string(
			       ERR_PACK(ERR_LIB_SSL, 0, SSL_R_TLSV1_ALERT_PROTOCOL_VERSION)));
	SSL_CTX_free(origin);
}

static void test_an_address_is_no_name(void **state)
{
	SSL_CTX *origin = far_context(true, &origin_own, NULL);
	static const char *const rows[][2] = {
		{"127.0.0.1", "127.0.0.1:65535"}, {"[::1]", "::1:65535"}, {"::1", "::1:65535"}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(shake_at(origin, rows[i][0], 65535), IO_OK);
		assert_string_equal(tls_peer(pair.ours), rows[i][1]);
		assert_null(SSL_get_servername(pair.far.ssl, TLSEXT_NAMETYPE_host_name));
	}
	SSL_CTX_free(origin);
	expect_shake(&origin_own, "127.0.0.2", X509_V_ERR_IP_ADDRESS_MISMATCH);
	expect_shake(&origin_own, "::2", X509_V_ERR_IP_ADDRESS_MISMATCH);
}

static void test_what_no_certificate_can_name(void **state)
{
	static const char *const hosts[] = {"", "a b", "127.1", "[::1", "a..b"};

	(void)state;
	alive = allocations_alive();
	for (size_t i = 0; i < COUNT(hosts); i++)
		assert_null(tls_new(context, -1, slice_str(hosts[i]), 443));
	assert_int_equal(allocations_alive(), alive);
}

static void test_the_longest_name(void **state)
{
	SSL_CTX *origin = far_context(true, &origin_own, NULL);
	char host[254], peer[262];

	(void)state;
	memset(host, 'a', sizeof(host) - 1);
	for (size_t i = 50; i < sizeof(host) - 1; i += 50)
		host[i] = '.';
	host[sizeof(host) - 1] = '\0';
	snprintf(peer, sizeof(peer), "%s:65535", host);
	begin_at(origin, host, 65535);
	assert_string_equal(tls_peer(pair.ours), peer);
	SSL_CTX_free(origin);
}

static void test_names_of_certificates(void **state)
{
	static const struct {
		const char *names, *host;
		long verified;
	} rows[] = {
		{"DNS:origin.test", "origin.test", X509_V_OK},
		{"DNS:other.test,DNS:origin.test", "origin.test", X509_V_OK},
		{"DNS:other.test", "origin.test", X509_V_ERR_HOSTNAME_MISMATCH},
		{"DNS:origin.test", "a.origin.test", X509_V_ERR_HOSTNAME_MISMATCH},
		{"DNS:*.test", "origin.test", X509_V_ERR_HOSTNAME_MISMATCH},
		{"DNS:*.sub.test", "a.origin.sub.test", X509_V_ERR_HOSTNAME_MISMATCH},
		{"DNS:or*.sub.test", "origin.sub.test", X509_V_ERR_HOSTNAME_MISMATCH},
		{"DNS:*.sub.test", "origin.sub.test", X509_V_OK},
		/* the subject's common name is that of the host */
		{NULL, "origin.test", X509_V_ERR_HOSTNAME_MISMATCH},
		{"IP:127.0.0.2", "origin.test", X509_V_ERR_HOSTNAME_MISMATCH},
		{"DNS:127.0.0.1", "127.0.0.1", X509_V_ERR_IP_ADDRESS_MISMATCH},
		{"IP:127.0.0.1", "127.0.0.1", X509_V_OK},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct certificate own = issue(rows[i].names);

		expect_shake(&own, rows[i].host, rows[i].verified);
		certificate_free(&own);
	}
}

static void test_certificates_that_do_not_hold(void **state)
{
	static const char names[] = "DNS:origin.test";
	const struct {
		struct certificate_wish wish;
		long verified;
	} rows[] = {
		{{"a", NULL, names, &authority, false, -2 * HOUR_S, -HOUR_S},
		 X509_V_ERR_CERT_HAS_EXPIRED},
		{{"a", NULL, names, &authority, false, HOUR_S, 2 * HOUR_S},
		 X509_V_ERR_CERT_NOT_YET_VALID},
		{{"a", NULL, names, &stranger, false, 0, 0},
		 X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY},
		{{"a", NULL, names, NULL, false, 0, 0}, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t before = STATS_GET(tls_handshakes);
		struct certificate own = certificate_new(rows[i].wish);

		expect_shake(&own, "origin.test", rows[i].verified);
		assert_int_equal(STATS_GET(tls_handshakes), before);
		certificate_free(&own);
	}
}

/* ---- protocols ------------------------------------------------------------------------------ */

static unsigned char offered[32];
static unsigned offered_length;

static int choose(SSL *ssl, const unsigned char **ret, unsigned char *ret_length,
		  const unsigned char *offer, unsigned length, void *of)
{
	const char *chosen = of;

	(void)ssl;
	offered_length = length;
	assert_true(length < sizeof(offered));
	memcpy(offered, offer, length);
	if (chosen == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	*ret = (const unsigned char *)chosen;
	*ret_length = (unsigned char)strlen(chosen);
	return SSL_TLSEXT_ERR_OK;
}

/* Newer libraries refuse what was not offered themselves. */
static const char *said_protocol;

void __real_SSL_get0_alpn_selected(const SSL *ssl, const unsigned char **ret, unsigned *ret_length);
void __wrap_SSL_get0_alpn_selected(const SSL *ssl, const unsigned char **ret, unsigned *ret_length);
void __wrap_SSL_get0_alpn_selected(const SSL *ssl, const unsigned char **ret, unsigned *ret_length)
{
	__real_SSL_get0_alpn_selected(ssl, ret, ret_length);
	if (said_protocol != NULL) {
		*ret = (const unsigned char *)said_protocol;
		*ret_length = (unsigned)strlen(said_protocol);
	}
}

static void test_protocols(void **state)
{
	static const struct {
		const char *chosen, *said; /* of the origin, of the library that lets it pass */
		bool good;
	} rows[] = {{NULL, NULL, true},         {"http/1.1", NULL, true},
		    {NULL, "h2", false},        {NULL, "http/1.0", false},
		    {NULL, "http/1.1x", false}, {NULL, "http/1.", false}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		SSL_CTX *origin = far_context(true, &origin_own, NULL);
		uint64_t before = STATS_GET(tls_handshakes);

		SSL_CTX_set_alpn_select_cb(origin, choose, (void *)(uintptr_t)rows[i].chosen);
		said_protocol = rows[i].said;
		assert_int_equal(shake_at(origin, "origin.test", 443),
				 rows[i].good ? IO_OK : IO_ERROR);
		assert_int_equal(offered_length, 9);
		assert_memory_equal(offered, "\x08http/1.1", 9);
		assert_int_equal(STATS_GET(tls_handshakes), before + rows[i].good);
		if (!rows[i].good)
			expect_failure(FAILURE_TLS_PROTOCOL,
				       "the origin chose another protocol than http/1.1 by ALPN");
		SSL_CTX_free(origin);
	}
	said_protocol = NULL;
}

/* ---- origins that answer something else ----------------------------------------------------- */

static void answer(const char *bytes, size_t n, enum failure failure, const char *why)
{
	SSL_CTX *origin = far_context(true, &origin_own, NULL);

	begin_at(origin, "origin.test", 443);
	assert_int_equal(tls_handshake(pair.ours), IO_AGAIN);
	far_say(&pair.far, bytes, n);
	assert_int_equal(tls_handshake(pair.ours), IO_ERROR);
	expect_failure(failure, why);
	SSL_CTX_free(origin);
}

static void test_origins_without_tls(void **state)
{
	static const char http[] = "HTTP/1.1 400 Bad Request\r\n\r\n",
			  get[] = "GET / HTTP/1.1\r\n\r\n", long_record[] = "\x16\x03\x03\xff\xff";

	(void)state;
	answer(http, sizeof(http) - 1, FAILURE_TLS_PLAIN, reason_text(SSL_R_WRONG_VERSION_NUMBER));
	answer(get, sizeof(get) - 1, FAILURE_TLS_PLAIN, reason_text(SSL_R_HTTP_REQUEST));
	answer(long_record, sizeof(long_record) - 1, FAILURE_TLS_PLAIN,
	       reason_text(SSL_R_PACKET_LENGTH_TOO_LONG));
}

static void test_alerts(void **state)
{
	(void)state;
	answer("\x15\x03\x03\x00\x02\x02\x28", 7, FAILURE_TLS_ALERT,
	       reason_text(SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE));
	answer("\x15\x03\x03\x00\x02\x02\x50", 7, FAILURE_TLS_ALERT,
	       reason_text(SSL_R_TLSV1_ALERT_INTERNAL_ERROR));
	/* a kind of record that there is not, and a message out of its turn */
	answer("\x15\x03\x03\x00\x01\x02", 6, FAILURE_TLS_PROTOCOL,
	       reason_text(SSL_R_INVALID_ALERT));
	answer("\x16\x03\x03\x00\x04\x0e\x00\x00\x00", 9, FAILURE_TLS_PROTOCOL,
	       reason_text(SSL_R_UNEXPECTED_MESSAGE));
}

/* What an error of the library comes to. */
static void test_each_reason(void **state)
{
	static const struct {
		int error;
		enum failure failure;
	} rows[] = {
		{SSL_REASON(SSL_R_WRONG_VERSION_NUMBER), FAILURE_TLS_PLAIN},
		{SSL_REASON(SSL_R_HTTP_REQUEST), FAILURE_TLS_PLAIN},
		{SSL_REASON(SSL_R_PACKET_LENGTH_TOO_LONG), FAILURE_TLS_PLAIN},
		{SSL_REASON(SSL_R_RECORD_LENGTH_MISMATCH), FAILURE_TLS_PLAIN},
		{SSL_REASON(SSL_R_BAD_EXTENSION), FAILURE_TLS_PROTOCOL},
		{SSL_REASON(SSL_AD_REASON_OFFSET - 1), FAILURE_TLS_PROTOCOL},
		{SSL_REASON(SSL_AD_REASON_OFFSET), FAILURE_TLS_ALERT},
		{SSL_REASON(SSL_R_TLSV1_ALERT_NO_RENEGOTIATION), FAILURE_TLS_ALERT},
		{SSL_REASON(SSL_R_UNEXPECTED_EOF_WHILE_READING), FAILURE_ORIGIN_CLOSED},
		/* the same numbers of another part of the library */
		{ERR_PACK(ERR_LIB_EVP, 0, SSL_R_WRONG_VERSION_NUMBER), FAILURE_TLS_PROTOCOL},
		{ERR_PACK(ERR_LIB_EVP, 0, SSL_R_TLSV1_ALERT_NO_RENEGOTIATION),
		 FAILURE_TLS_PROTOCOL},
		{ERR_PACK(ERR_LIB_EVP, 0, SSL_R_UNEXPECTED_EOF_WHILE_READING),
		 FAILURE_TLS_PROTOCOL},
		{-ECONNRESET, FAILURE_ORIGIN_CLOSED},
	};
	SSL_CTX *origin = far_context(true, &origin_own, NULL);

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *text = rows[i].error < 0
					   ? NULL
					   : ERR_reason_error_string((unsigned long)rows[i].error);

		begin_at(origin, "origin.test", 443);
		fail_calls("SSL_do_handshake", 0, 1, rows[i].error);
		assert_int_equal(tls_handshake(pair.ours), IO_ERROR);
		assert_true(fail_calls_never());
		expect_failure(rows[i].failure,
			       rows[i].failure == FAILURE_ORIGIN_CLOSED ? "closed in the handshake"
			       : text != NULL                           ? text
					      : "the TLS library does not say why");
	}
	SSL_CTX_free(origin);
}

static void test_an_origin_that_closes(void **state)
{
	SSL_CTX *origin = far_context(true, &origin_own, NULL);
	bool ended = false;

	(void)state;
	/* After each number of bytes that it has sent, until it was through. */
	for (size_t n = 0; !ended; n += 97) {
		size_t flushed = 0, went;

		begin_at(origin, "origin.test", 443);
		SSL_set_num_tickets(pair.far.ssl, 0);
		assert_int_equal(tls_handshake(pair.ours), IO_AGAIN);
		far_fill(&pair.far);
		SSL_do_handshake(pair.far.ssl);
		while (flushed < n && (went = far_flush(&pair.far, n - flushed)) > 0)
			flushed += went;
		ended = flushed < n;
		shutdown(pair.far.fd, SHUT_WR);
		if (ended)
			break;
		assert_int_equal(tls_handshake(pair.ours), IO_ERROR);
		expect_failure(FAILURE_ORIGIN_CLOSED, "closed in the handshake");
	}
	assert_int_equal(tls_handshake(pair.ours), IO_OK);
	SSL_CTX_free(origin);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_handshake_of_each_version),
		TEST(test_versions_before_1_2_are_not_spoken),
		TEST(test_an_address_is_no_name),
		TEST(test_what_no_certificate_can_name),
		TEST(test_the_longest_name),
		TEST(test_names_of_certificates),
		TEST(test_certificates_that_do_not_hold),
		TEST(test_protocols),
		TEST(test_origins_without_tls),
		TEST(test_alerts),
		TEST(test_each_reason),
		TEST(test_an_origin_that_closes),
	};

	return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
