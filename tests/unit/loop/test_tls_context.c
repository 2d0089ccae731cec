/* LINKS: proxy/loop tests/doubles/counted_memory.c tests/doubles/failing_calls.c tests/doubles/failing_tls.c -Wl,@tests/doubles/failing_calls.wraps -Wl,@tests/doubles/failing_tls.wraps */
/* What a worker needs for TLS to origins, and a connection at its begin: files that are wrong, and calls that fail. */
#include "proxy/loop/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/doubles/counted_memory.h"
#include "tests/doubles/failing_calls.h"
#include "tests/support/tls_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static size_t alive;

static bool counts; /* not at first: what the library keeps from the first use on is no leak */

static void expect_said(const char *path, const char *said)
{
	struct diagnostic error = {""};

	ERR_clear_error();
	alive = allocations_alive();
	leave_error();
	assert_null(tls_context_new(path, &error));
	assert_string_equal(error.text, said);
	ERR_clear_error();
	if (counts)
		assert_int_equal(allocations_alive(), alive);
}

static void expect_refused(const char *path, const char *why)
{
	char said[DIAGNOSTIC_MAX];

	snprintf(said, sizeof(said), "tls_ca_file: %s: %s", path, why);
	expect_said(path, said);
}

static void test_files_of_authorities(void **state)
{
	static const char none[] = "no certificate in PEM form";
	char *path = temporary_file("");
	int file;

	(void)state;
	expect_refused(path, none);
	unlink(path);
	free(path);
	path = temporary_file("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	expect_refused(path, none);
	fail_calls("SSL_CTX_load_verify_file", 0, 1, -EMFILE);
	expect_refused(path, strerror(EMFILE));
	assert_true(fail_calls_never());
	fail_calls("fstat", 1, 1, EIO);
	expect_refused(path, none);
	assert_true(fail_calls_never());
	unlink(path);
	expect_refused(path, strerror(ENOENT));
	expect_refused("/", strerror(EISDIR));
	assert_int_equal(mkfifo(path, 0600), 0);
	file = open(path, O_RDWR | O_NONBLOCK);
	assert_int_equal(write(file, "x", 1), 1);
	expect_refused(path, "not a regular file");
	close(file);
	unlink(path);
	free(path);
}

static void test_authorities_of_the_system(void **state)
{
	struct diagnostic error = {""}, wanted = {""};
	struct tls_context *of_system = tls_context_new("", &error);

	(void)state;
	assert_non_null(of_system);
	assert_string_equal(error.text, "");
	tls_context_free(of_system);
	fail_calls("SSL_CTX_set_default_verify_paths", 0, 1,
		   (int)ERR_PACK(ERR_LIB_SSL, 0, SSL_R_BAD_LENGTH));
	diagnostic_set(&wanted,
		       "cannot load the certificate authorities of the system, see tls_ca_file: %s",
		       reason_text(SSL_R_BAD_LENGTH));
	expect_said("", wanted.text);
	assert_true(fail_calls_never());
}

static void test_calls_that_fail_on_the_way(void **state)
{
	static const char *const contexts[] = {"calloc", "SSL_CTX_new"};
	static const char *const by_name[] = {"calloc",
					      "SSL_new",
					      "BIO_new",
					      "strdup",
					      "X509_VERIFY_PARAM_set1_host",
					      "SSL_set_tlsext_host_name"};
	static const char *const by_address[] = {"strdup", "X509_VERIFY_PARAM_set1_ip"};

	struct diagnostic error = {""};
	struct tls_context *context = tls_context_new("", &error);

	(void)state;
	for (size_t i = 0; i < COUNT(contexts); i++) {
		fail_calls(contexts[i], 0, 1, ENOMEM);
		expect_said("", "TLS: out of memory");
		assert_true(fail_calls_never());
	}
	ERR_clear_error();
	alive = allocations_alive();
	for (size_t i = 0; i < COUNT(by_name); i++) {
		fail_calls(by_name[i], 0, 1, ENOMEM);
		assert_null(tls_new(context, -1, SLICE("origin.test"), 443));
		assert_true(fail_calls_never());
	}
	for (size_t i = 0; i < COUNT(by_address); i++) {
		fail_calls(by_address[i], 0, 1, ENOMEM);
		assert_null(tls_new(context, -1, SLICE("127.0.0.1"), 443));
		assert_true(fail_calls_never());
	}
	ERR_clear_error();
	if (counts)
		assert_int_equal(allocations_alive(), alive);
	tls_context_free(context);
	tls_free(NULL);
	tls_context_free(NULL);
}

static int now_counts(void **state)
{
	(void)state;
	counts = true;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files_of_authorities),
		cmocka_unit_test(test_authorities_of_the_system),
		cmocka_unit_test(test_calls_that_fail_on_the_way),
		cmocka_unit_test_setup(test_files_of_authorities, now_counts),
		cmocka_unit_test_setup(test_authorities_of_the_system, now_counts),
		cmocka_unit_test_setup(test_calls_that_fail_on_the_way, now_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
