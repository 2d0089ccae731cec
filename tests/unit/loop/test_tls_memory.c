/* LINKS: proxy/loop tests/doubles/counted_memory.c */
/* Memory that runs out at each allocation of the proxy and of the TLS library: a reason is told, and nothing breaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/doubles/counted_memory.h"
#include "tests/support/tls_fixture.h"

enum {
	FLIGHTS = 10,
	ALL = 1 << 20,
	STEP = 17, /* of a handshake each 17th: the library has thousands, of the same kinds */
};

static struct certificate own;
static char *pem, *key, *path;
static struct tls_context *context;
static struct tls_server *server;

static int setup_all(void **state)
{
	(void)state;
	own = certificate_new((struct certificate_wish){
		.common_name = "a", .names = "DNS:origin.test", .is_authority = true});
	pem = certificate_pem(&own);
	key = certificate_key_pem(&own, NULL);
	path = temporary_file(pem);
	context = context_that_trusts(&own);
	server = server_of(&own, &own);
	return 0;
}

static int teardown_all(void **state)
{
	(void)state;
	tls_context_free(context);
	tls_server_free(server);
	unlink(path);
	free(path);
	free(pem);
	free(key);
	certificate_free(&own);
	return 0;
}

static void test_a_context(void **state)
{
	struct tls_context *made = NULL;

	(void)state;
	for (size_t n = 0; made == NULL; n++) {
		struct diagnostic error = {""};

		fail_allocation(n);
		made = tls_context_new(path, &error);
		fail_no_allocation();
		assert_int_equal(made == NULL, error.text[0] != '\0');
	}
	tls_context_free(made);
}

static void test_a_server(void **state)
{
	size_t done = 0;

	(void)state;
	/* some of what the library asks for it can do without */
	for (size_t n = 0; done < 10; n += STEP) {
		struct diagnostic error = {""};
		struct tls_pem certificate = {"own.pem", slice_str(pem)};
		struct tls_server *made;

		fail_allocation(n);
		made = tls_server_new(&certificate, &(struct tls_pem){"own.key", slice_str(key)},
				      &certificate, &error);
		fail_no_allocation();
		assert_int_equal(made == NULL, error.text[0] != '\0');
		done = made != NULL ? done + 1 : 0;
		tls_server_free(made);
	}
}

static void test_a_connection(void **state)
{
	struct tls *made = NULL;

	(void)state;
	for (size_t n = 0; made == NULL; n++) {
		fail_allocation(n);
		made = tls_new(context, -1, SLICE("origin.test"), 443);
		fail_no_allocation();
	}
	tls_free(made);
	made = NULL;
	for (size_t n = 0; made == NULL; n++) {
		fail_allocation(n);
		made = tls_server_accept(server, -1);
		fail_no_allocation();
	}
	tls_free(made);
}

/* The n-th allocation of our end fails; false when there are fewer. */
static bool shake_without(struct tls_pair *pair, size_t n)
{
	enum io io = IO_AGAIN;
	const char *why = NULL;
	bool failed = false;

	for (int flight = 0; io == IO_AGAIN && flight < FLIGHTS; flight++) {
		size_t before = allocations_so_far(), used;

		fail_allocation(n);
		io = tls_handshake(pair->ours);
		fail_no_allocation();
		used = allocations_so_far() - before;
		failed |= used > n;
		n = used > n ? SIZE_MAX / 2 : n - used;
		far_fill(&pair->far);
		ERR_clear_error();
		SSL_do_handshake(pair->far.ssl);
		far_flush(&pair->far, ALL);
	}
	if (tls_failure(pair->ours, &why) == FAILURE_NONE)
		assert_int_not_equal(io, IO_ERROR);
	else
		assert_true(io == IO_ERROR && why != NULL && why[0] != '\0');
	return failed;
}

static void test_handshakes(void **state)
{
	SSL_CTX *origin, *client;
	struct tls_pair pair = {.fd = -1};
	bool failed = true;

	(void)state;
	origin = far_context(true, &own, NULL);
	client = far_context(false, &own, NULL);
	for (size_t n = 0; failed; n += STEP) {
		pair_to_origin(&pair, context, origin, "origin.test", 443);
		failed = shake_without(&pair, n);
	}
	failed = true;
	for (size_t n = 0; failed; n += STEP) {
		pair_of_client(&pair, server, client);
		failed = shake_without(&pair, n);
	}
	pair_end(&pair);
	SSL_CTX_free(origin);
	SSL_CTX_free(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_context),
		cmocka_unit_test(test_a_server),
		cmocka_unit_test(test_a_connection),
		cmocka_unit_test(test_handshakes),
	};

	if (!fail_allocation(0)) {
		puts("skipped: a sanitizer has memory of its own");
		return 0;
	}
	fail_no_allocation();
	return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
