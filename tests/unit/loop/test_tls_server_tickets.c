/* LINKS: proxy/loop tests/doubles/failing_calls.c tests/doubles/failing_tls.c -Wl,@tests/doubles/failing_calls.wraps -Wl,@tests/doubles/failing_tls.wraps -Wl,--wrap=monotonic_us */
/* Sessions that clients resume by tickets: with which keys, for how long, and when a whole handshake is asked for. */
#include "proxy/loop/tls_tickets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <sys/time.h>

#include "proxy/base/monotonic.h"
#include "tests/doubles/failing_calls.h"
#include "tests/support/tls_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { ALL = 1 << 20, HOUR_S = 3600, LONG_S = 1000000 };

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
static struct certificate authority, stranger, own;
static struct tls_server *server, *believer;
static SSL_CTX *client;
static SSL_SESSION *session; /* the client's last */
static struct tls_pair pair;
static int64_t now_s; /* of the monotonic clock */
static time_t wall_s; /* the wall clock of the library; 0: it is true */

int64_t __real_monotonic_us(void);
int64_t __wrap_monotonic_us(void);
int64_t __wrap_monotonic_us(void)
{
	return now_s * 1000000 + 999999;
}

/* In place of libc's, which the library asks for. */
time_t time(time_t *to)
{
	struct timeval true_time;

	gettimeofday(&true_time, NULL);
	if (wall_s != 0)
		true_time.tv_sec = wall_s;
	if (to != NULL)
		*to = true_time.tv_sec;
	return true_time.tv_sec;
}

static int setup_all(void **state)
{
	(void)state;
	authority = certificate_new((struct certificate_wish){.common_name = "authority",
							      .is_authority = true,
							      .begins_s = -1,
							      .ends_s = LONG_S});
	stranger = certificate_new(
		(struct certificate_wish){.common_name = "stranger", .is_authority = true});
	own = certificate_new((struct certificate_wish){
		.common_name = "proxy", .issuer = &authority, .begins_s = -1, .ends_s = LONG_S});
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

static int keep(SSL *ssl, SSL_SESSION *made)
{
	(void)ssl;
	SSL_SESSION_free(session);
	session = made;
	return 1;
}

static void forget(void)
{
	SSL_SESSION_free(session);
	session = NULL;
}

/* Another client, without a session. */
static void begin(int version, const struct certificate *its_own)
{
	pair_end(&pair);
	SSL_CTX_free(client);
	forget();
	client = far_context(false, its_own, &authority);
	SSL_CTX_set_session_cache_mode(client, SSL_SESS_CACHE_CLIENT);
	SSL_CTX_sess_set_new_cb(client, keep);
	SSL_CTX_set_min_proto_version(client, version);
	SSL_CTX_set_max_proto_version(client, version);
}

static int setup(void **state)
{
	(void)state;
	now_s = 10 * TICKETS_PERIOD_S;
	wall_s = 0;
	assert_true(tls_tickets_begin());
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fail_calls_never();
	pair_end(&pair);
	SSL_CTX_free(client);
	client = NULL;
	forget();
	return 0;
}

/* One connection of the client, with the session that it has; was that resumed? */
static bool visit(struct tls_server *whom)
{
	int error;

	pair_of_client(&pair, whom, client);
	if (session != NULL)
		SSL_set_session(pair.far.ssl, session);
	assert_int_equal(pair_shake(&pair), IO_OK);
	assert_string_equal(far_read(&pair.far, &error), ""); /* takes the tickets */
	if (SSL_version(pair.far.ssl) == TLS1_2_VERSION)
		keep(pair.far.ssl, SSL_get1_session(pair.far.ssl));
	assert_int_equal(tls_was_resumed(pair.ours), SSL_session_reused(pair.far.ssl));
	return tls_was_resumed(pair.ours);
}

static void test_sessions_are_resumed(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(versions); i++) {
		begin(versions[i], NULL);
		assert_false(visit(server));
		assert_non_null(session);
		assert_true(SSL_SESSION_has_ticket(session));
		assert_int_equal(SSL_SESSION_get_ticket_lifetime_hint(session), TICKETS_PERIOD_S);
		assert_int_equal(SSL_SESSION_get_max_early_data(session), 0);
		/* also a client of TLS 1.3, which uses a ticket once (RFC 8446 C.4) */
		for (int again = 0; again < 5; again++)
			assert_true(visit(server));
	}
}

/* A key of the period before: the session is resumed, and has a new ticket. */
static void test_keys_that_turn(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(versions); i++) {
		SSL_SESSION *first;
		bool renew;

		begin(versions[i], NULL);
		assert_false(visit(server));
		first = SSL_SESSION_dup(session);
		now_s += TICKETS_PERIOD_S;
		forget();
		session = SSL_SESSION_dup(first);
		assert_true(visit(server));
		/* what it has now is of this period's key, and good for one period more */
		now_s += TICKETS_PERIOD_S;
		assert_true(visit(server));
		/* the first one is not */
		forget();
		session = first;
		assert_false(visit(server));
		assert_null(tls_tickets_find((const unsigned char[16]){0}, &renew));
	}
}

/* In TLS 1.2, a ticket of the key of now needs no other one. */
static void test_when_a_new_ticket_is_sent(void **state)
{
	const unsigned char *ticket;
	unsigned char first[1024];
	size_t n, now_n;

	(void)state;
	begin(TLS1_2_VERSION, NULL);
	assert_false(visit(server));
	SSL_SESSION_get0_ticket(session, &ticket, &n);
	assert_true(n < sizeof(first));
	memcpy(first, ticket, n);
	assert_true(visit(server));
	SSL_SESSION_get0_ticket(session, &ticket, &now_n);
	assert_int_equal(now_n, n);
	assert_memory_equal(ticket, first, n);
	now_s += TICKETS_PERIOD_S;
	assert_true(visit(server));
	SSL_SESSION_get0_ticket(session, &ticket, &now_n);
	assert_memory_not_equal(ticket, first, 16);
}

static void test_a_ticket_of_others(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(versions); i++) {
		begin(versions[i], NULL);
		assert_false(visit(server));
		assert_true(tls_tickets_begin()); /* another program's keys */
		assert_false(visit(server));
		assert_true(visit(server)); /* and a new ticket came with it */
	}
}

/* Bytes of the ticket that were changed on the way. */
static void test_a_ticket_that_was_changed(void **state)
{
	(void)state;
	for (size_t at = 0; at < 64; at += 21) {
		const unsigned char *ticket;
		size_t n;

		begin(TLS1_2_VERSION, NULL);
		assert_false(visit(server));
		SSL_SESSION_get0_ticket(session, &ticket, &n);
		assert_true(n > 64);
		((unsigned char *)(uintptr_t)ticket)[at] ^= 1;
		assert_false(visit(server));
	}
}

/* ---- clients that show a certificate -------------------------------------------------------- */

static struct certificate issue(int64_t lasts_s)
{
	return certificate_new((struct certificate_wish){.common_name = "alice",
							 .issuer = &authority,
							 .begins_s = -HOUR_S,
							 .ends_s = lasts_s});
}

/* The subject is known in a resumed session as well. */
static void test_the_client_of_a_session(void **state)
{
	struct certificate its_own = issue(HOUR_S);

	(void)state;
	for (size_t i = 0; i < COUNT(versions); i++) {
		begin(versions[i], &its_own);
		assert_false(visit(believer));
		assert_string_equal(tls_peer(pair.ours), "CN=alice");
		assert_true(visit(believer));
		assert_string_equal(tls_peer(pair.ours), "CN=alice");
	}
	certificate_free(&its_own);
}

/* Past the end of its certificate, a client has to show it again. */
static void test_a_session_ends_with_the_certificate(void **state)
{
	struct certificate its_own = issue(600);

	(void)state;
	for (size_t i = 0; i < COUNT(versions); i++) {
		begin(versions[i], &its_own);
		assert_false(visit(believer));
		wall_s = (time_t)certificate_now_s() + 599;
		assert_true(visit(believer));
		wall_s += 2;
		pair_of_client(&pair, believer, client);
		SSL_set_session(pair.far.ssl, session);
		assert_int_equal(pair_shake(&pair), IO_ERROR);
		pair_expect_failure(&pair, FAILURE_CLIENT_TLS_CERTIFICATE,
				    X509_verify_cert_error_string(X509_V_ERR_CERT_HAS_EXPIRED));
		wall_s = 0;
	}
	certificate_free(&its_own);
}

/* Sessions are of the authorities that verified them. */
static void test_sessions_of_other_authorities(void **state)
{
	struct certificate its_own = issue(HOUR_S);
	struct tls_server *others = server_of(&own, &stranger),
			  *again = server_of(&own, &authority);

	(void)state;
	for (size_t i = 0; i < COUNT(versions); i++) {
		begin(versions[i], &its_own);
		assert_false(visit(believer));
		assert_true(visit(again));
		pair_of_client(&pair, others, client);
		SSL_set_session(pair.far.ssl, session);
		assert_int_equal(pair_shake(&pair), IO_ERROR);
	}
	tls_server_free(others);
	tls_server_free(again);
	certificate_free(&its_own);
}

/* ---- calls that fail ------------------------------------------------------------------------ */

/* Without a ticket a handshake is whole all the same, or fails with the library's words. */
static void test_a_ticket_that_cannot_be_sealed(void **state)
{
	static const char *const calls[] = {"RAND_bytes", "EVP_CipherInit_ex",
					    "EVP_MAC_CTX_set_params"};

	(void)state;
	for (size_t i = 0; i < COUNT(calls); i++) {
		begin(TLS1_2_VERSION, NULL);
		pair_of_client(&pair, server, client);
		fail_calls(calls[i], 0, 1, (int)ERR_PACK(ERR_LIB_SSL, 0, SSL_R_BAD_LENGTH));
		assert_int_equal(pair_shake(&pair), IO_ERROR);
		assert_true(fail_calls_never());
		pair_expect_failure(&pair, FAILURE_CLIENT_TLS_PROTOCOL,
				    reason_text(SSL_R_BAD_LENGTH));
		assert_null(session);
	}
}

static void test_a_ticket_that_cannot_be_opened(void **state)
{
	static const char *const calls[] = {"EVP_CipherInit_ex", "EVP_MAC_CTX_set_params"};

	(void)state;
	for (size_t i = 0; i < COUNT(calls); i++) {
		begin(TLS1_2_VERSION, NULL);
		assert_false(visit(server));
		pair_of_client(&pair, server, client);
		SSL_set_session(pair.far.ssl, session);
		fail_calls(calls[i], 0, 1, (int)ERR_PACK(ERR_LIB_SSL, 0, SSL_R_BAD_LENGTH));
		assert_int_equal(pair_shake(&pair), IO_ERROR);
		assert_true(fail_calls_never());
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_sessions_are_resumed),
		TEST(test_keys_that_turn),
		TEST(test_when_a_new_ticket_is_sent),
		TEST(test_a_ticket_of_others),
		TEST(test_a_ticket_that_was_changed),
		TEST(test_the_client_of_a_session),
		TEST(test_a_session_ends_with_the_certificate),
		TEST(test_sessions_of_other_authorities),
		TEST(test_a_ticket_that_cannot_be_sealed),
		TEST(test_a_ticket_that_cannot_be_opened),
	};

	return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
