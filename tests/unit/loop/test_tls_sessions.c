/* LINKS: proxy/loop tests/doubles/counted_memory.c tests/doubles/failing_calls.c tests/doubles/failing_tls.c -Wl,@tests/doubles/failing_calls.wraps -Wl,@tests/doubles/failing_tls.wraps -Wl,--wrap=wall_clock_ms */
/* Sessions with origins that are resumed: with whom, how often, and until when. */
#include "proxy/loop/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "proxy/base/wall_clock.h"
#include "proxy/stats/stats.h"
#include "tests/doubles/counted_memory.h"
#include "tests/doubles/failing_calls.h"
#include "tests/support/tls_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { HOUR_S = 3600 };

static struct certificate authority, origin_own;
static struct tls_context *context;
static struct tls_pair pair;
static int64_t clock_s; /* the wall clock, as the proxy sees it */

int64_t __real_wall_clock_ms(void);
int64_t __wrap_wall_clock_ms(void);
int64_t __wrap_wall_clock_ms(void)
{
	return clock_s * 1000 + 999;
}

static int setup_all(void **state)
{
	(void)state;
	authority = certificate_new(
		(struct certificate_wish){.common_name = "authority", .is_authority = true});
	origin_own = certificate_new((struct certificate_wish){
		.common_name = "a", .names = "DNS:origin.test,IP:127.0.0.1", .issuer = &authority});
	return 0;
}

static int teardown_all(void **state)
{
	(void)state;
	certificate_free(&authority);
	certificate_free(&origin_own);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	clock_s = certificate_now_s();
	context = context_that_trusts(&authority);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fail_calls_never();
	pair_end(&pair);
	tls_context_free(context);
	return 0;
}

static SSL_CTX *resuming(int version, const struct certificate *own)
{
	SSL_CTX *origin = far_context(true, own, NULL);

	SSL_CTX_set_min_proto_version(origin, version);
	SSL_CTX_set_max_proto_version(origin, version);
	SSL_CTX_set_num_tickets(origin, 1);
	return origin;
}

/* One connection, whose tickets are taken; was its session resumed? */
static bool visit(SSL_CTX *origin, const char *host, uint16_t port)
{
	uint64_t handshakes = STATS_GET(tls_handshakes), resumed = STATS_GET(tls_resumed);
	bool is_resumed;

	pair_to_origin(&pair, context, origin, host, port);
	assert_int_equal(pair_shake(&pair), IO_OK);
	assert_true(tls_is_quiet(pair.ours));
	is_resumed = tls_was_resumed(pair.ours);
	assert_int_equal(is_resumed, SSL_session_reused(pair.far.ssl));
	assert_int_equal(STATS_GET(tls_handshakes), handshakes + 1);
	assert_int_equal(STATS_GET(tls_resumed), resumed + is_resumed);
	return is_resumed;
}

static void test_sessions_are_resumed(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	(void)state;
	for (size_t i = 0; i < COUNT(versions); i++) {
		SSL_CTX *origin = resuming(versions[i], &origin_own);
		uint16_t port = (uint16_t)(versions[i] - TLS1_2_VERSION + 443);

		assert_false(visit(origin, "origin.test", port));
		assert_true(visit(origin, "origin.test", port));
		assert_true(visit(origin, "ORIGIN.test", port));
		assert_false(visit(origin, "127.0.0.1", port));
		assert_false(visit(origin, "origin.test", port + 100));
		assert_true(visit(origin, "origin.test", port));
		SSL_CTX_free(origin);
	}
}

/* A ticket of TLS 1.3 is for one connection, one of TLS 1.2 for all. */
static void test_tickets_of_1_3_are_used_once(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	(void)state;
	for (size_t i = 0; i < COUNT(versions); i++) {
		SSL_CTX *origin = resuming(versions[i], &origin_own);
		uint16_t port = (uint16_t)(443 + i);

		assert_false(visit(origin, "origin.test", port));
		SSL_CTX_set_num_tickets(origin, 0);
		assert_true(visit(origin, "origin.test", port));
		assert_int_equal(visit(origin, "origin.test", port), versions[i] == TLS1_2_VERSION);
		SSL_CTX_free(origin);
	}
}

/* No two connections at the same time have one ticket of TLS 1.3. */
static void test_a_ticket_is_of_one_connection(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	(void)state;
	for (size_t i = 0; i < COUNT(versions); i++) {
		SSL_CTX *origin = resuming(versions[i], &origin_own);
		uint16_t port = (uint16_t)(443 + i);
		struct tls_pair beside = {.fd = -1};

		assert_false(visit(origin, "origin.test", port));
		pair_to_origin(&pair, context, origin, "origin.test", port);
		pair_to_origin(&beside, context, origin, "origin.test", port);
		assert_int_equal(pair_shake(&beside), IO_OK);
		assert_int_equal(tls_was_resumed(beside.ours), versions[i] == TLS1_2_VERSION);
		assert_int_equal(pair_shake(&pair), IO_OK);
		assert_true(tls_was_resumed(pair.ours));
		pair_end(&beside);
		SSL_CTX_free(origin);
	}
}

/* The session before is freed for the next one, and all at the end. */
static void test_sessions_leave_nothing(void **state)
{
	struct certificate alone = certificate_new(
		(struct certificate_wish){.common_name = "a", .names = "DNS:origin.test"});
	SSL_CTX *origin = resuming(TLS1_3_VERSION, &alone);
	size_t alive[3];

	(void)state;
	SSL_CTX_set_num_tickets(origin, 2);
	for (size_t i = 0; i < COUNT(alive); i++) {
		struct tls_context *kept = context;

		context = context_that_trusts(&alone); /* its chain is of one certificate */
		assert_false(visit(origin, "origin.test", 443));
		assert_true(visit(origin, "origin.test", 443));
		assert_true(visit(origin, "origin.test", 443));
		pair_end(&pair);
		tls_context_free(context);
		context = kept;
		ERR_clear_error();
		alive[i] = allocations_alive();
	}
	assert_int_equal(alive[2], alive[1]);
	SSL_CTX_free(origin);
	certificate_free(&alone);
}

/* Two peers of one slot: the one that came last has it. */
static void test_sessions_that_collide(void **state)
{
	SSL_CTX *origin = resuming(TLS1_2_VERSION, &origin_own);
	uint32_t wanted = 0;
	uint16_t other = 0;

	(void)state;
	for (uint16_t port = 443; other == 0; port++) {
		char peer[32];
		uint32_t hash = 2166136261U;

		snprintf(peer, sizeof(peer), "origin.test:%u", port);
		for (const char *at = peer; *at != '\0'; at++)
			hash = (hash ^ (unsigned char)*at) * 16777619U;
		if (port == 443)
			wanted = hash % TLS_SESSIONS;
		else if (hash % TLS_SESSIONS == wanted)
			other = port;
	}
	assert_false(visit(origin, "origin.test", 443));
	assert_false(visit(origin, "origin.test", other));
	assert_true(visit(origin, "origin.test", other));
	assert_false(visit(origin, "origin.test", 443));
	assert_true(visit(origin, "origin.test", 443));
	assert_false(visit(origin, "origin.test", other));
	SSL_CTX_free(origin);
}

/* Past the end of a certificate that was verified, all are verified again. */
static void expect_end_after(const struct certificate *own, X509 *between, int64_t lasts_s)
{
	SSL_CTX *origin = resuming(TLS1_3_VERSION, own);

	if (between != NULL)
		assert_int_equal(SSL_CTX_add1_chain_cert(origin, between), 1);
	clock_s = certificate_now_s();
	assert_false(visit(origin, "origin.test", 443));
	clock_s += lasts_s - 1;
	assert_true(
		visit(origin, "origin.test", 443)); /* and the next is of the same certificate */
	clock_s += 1;
	assert_false(visit(origin, "origin.test", 443));
	assert_false(visit(origin, "origin.test", 443)); /* the library believes its own clock */
	clock_s -= 1;
	assert_true(visit(origin, "origin.test", 443));
	SSL_CTX_set_num_tickets(origin, 0);
	assert_true(visit(origin, "origin.test", 443));
	SSL_CTX_free(origin);
}

static void test_sessions_end_with_the_certificates(void **state)
{
	struct certificate between = certificate_new((struct certificate_wish){
		"between", NULL, NULL, &authority, true, -HOUR_S, HOUR_S / 2});
	struct certificate shorter = certificate_new((struct certificate_wish){
		"a", NULL, "DNS:origin.test", &authority, false, -HOUR_S, HOUR_S / 4});
	struct certificate longer = certificate_new((struct certificate_wish){
		"a", NULL, "DNS:origin.test", &between, false, -HOUR_S, HOUR_S});

	(void)state;
	expect_end_after(&shorter, NULL, HOUR_S / 4);
	expect_end_after(&longer, between.x509, HOUR_S / 2);
	certificate_free(&between);
	certificate_free(&shorter);
	certificate_free(&longer);
}

/* A session that is too old is gone, also when the clock goes back. */
static void test_a_session_past_its_end_is_forgotten(void **state)
{
	SSL_CTX *origin = resuming(TLS1_2_VERSION, &origin_own);

	(void)state;
	assert_false(visit(origin, "origin.test", 443));
	clock_s += HOUR_S;
	pair_to_origin(&pair, context, origin, "origin.test", 443);
	clock_s -= HOUR_S;
	assert_false(visit(origin, "origin.test", 443));
	SSL_CTX_free(origin);
}

/* No end is known of what was verified. */
static void test_a_session_without_a_readable_end(void **state)
{
	static const char *const calls[] = {"ASN1_TIME_to_tm", "SSL_get0_verified_chain"};

	(void)state;
	for (size_t i = 0; i < COUNT(calls); i++) {
		SSL_CTX *origin = resuming(TLS1_2_VERSION, &origin_own);

		fail_calls(calls[i], 0, 1, ERR_R_INTERNAL_ERROR);
		assert_false(visit(origin, "origin.test", 443));
		assert_true(fail_calls_never());
		assert_false(visit(origin, "origin.test", 443));
		assert_true(visit(origin, "origin.test", 443));
		SSL_CTX_free(origin);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_sessions_are_resumed),
		TEST(test_tickets_of_1_3_are_used_once),
		TEST(test_a_ticket_is_of_one_connection),
		TEST(test_sessions_leave_nothing),
		TEST(test_sessions_that_collide),
		TEST(test_sessions_end_with_the_certificates),
		TEST(test_a_session_past_its_end_is_forgotten),
		TEST(test_a_session_without_a_readable_end),
	};

	return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
