/* LINKS: proxy/loop tests/doubles/counted_memory.c tests/doubles/failing_calls.c tests/doubles/failing_tls.c -Wl,@tests/doubles/failing_calls.wraps -Wl,@tests/doubles/failing_tls.wraps */
/* A connection of TLS at its begin, the library's way to the socket, and what its errors mean. */
#include "proxy/loop/tls_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/loop/tls.h"
#include "tests/doubles/counted_memory.h"
#include "tests/doubles/failing_calls.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct tls_kind kind;
static SSL_CTX *context;
static int fds[2];

static int setup_all(void **state)
{
	(void)state;
	context = SSL_CTX_new(TLS_client_method());
	SSL_free(SSL_new(context));
	return context == NULL ? -1 : 0;
}

static int teardown_all(void **state)
{
	(void)state;
	SSL_CTX_free(context);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds);
}

static int teardown(void **state)
{
	(void)state;
	fail_calls_never();
	close(fds[0]);
	close(fds[1]);
	return 0;
}

/* First of all tests: what the library needs of the socket is made once in a process. */
static void test_the_socket_cannot_be_used(void **state)
{
	static const char *const calls[] = {"BIO_meth_new", "BIO_meth_set_read",
					    "BIO_meth_set_write", "BIO_meth_set_ctrl"};
	struct tls *tls;

	(void)state;
	for (size_t i = 0; i < 2 * COUNT(calls); i++) {
		size_t alive = allocations_alive();

		fail_calls(calls[i % COUNT(calls)], 0, 1, ENOMEM);
		assert_null(tls_begin(context, &kind, fds[0]));
		assert_true(fail_calls_never());
		if (i >= COUNT(calls)) /* what is kept from the first use on is no leak */
			assert_int_equal(allocations_alive(), alive);
	}
	tls = tls_begin(context, &kind, fds[0]);
	assert_non_null(tls);
	tls_release(tls);
}

static void test_a_connection_at_its_begin(void **state)
{
	struct tls *tls = tls_begin(context, &kind, fds[0]);
	BIO *bio = SSL_get_rbio(tls->ssl);
	size_t alive = allocations_alive();

	(void)state;
	assert_ptr_equal(SSL_get_wbio(tls->ssl), bio);
	assert_ptr_equal(SSL_get_app_data(tls->ssl), tls);
	assert_ptr_equal(tls->kind, &kind);
	assert_int_equal(tls->fd, fds[0]);
	assert_null(tls->peer);
	assert_ptr_equal(tls_task(tls), &tls->task);
	assert_int_equal(BIO_method_type(bio) & BIO_TYPE_SOURCE_SINK, BIO_TYPE_SOURCE_SINK);
	tls_release(tls_begin(context, &kind, fds[0]));
	assert_int_equal(allocations_alive(), alive);
	tls_release(tls);
}

/* The library reads as often as it is let, and learns why it got nothing. */
static void test_reading(void **state)
{
	struct tls *tls = tls_begin(context, &kind, fds[0]);
	BIO *bio = SSL_get_rbio(tls->ssl);
	char bytes[8];

	(void)state;
	assert_int_equal(write(fds[1], "abcd", 4), 4);
	assert_int_equal(BIO_read(bio, bytes, 2), -1);
	assert_true(BIO_should_read(bio));
	tls->reads_left = 3;
	assert_int_equal(BIO_read(bio, bytes, 2), 2);
	assert_memory_equal(bytes, "ab", 2);
	assert_int_equal(tls->reads_left, 2);
	assert_false(BIO_should_retry(bio));
	assert_int_equal(BIO_read(bio, bytes, 8), 2);
	assert_int_equal(BIO_read(bio, bytes, 8), -1);
	assert_true(BIO_should_read(bio));
	assert_false(BIO_should_write(bio));
	assert_int_equal(BIO_eof(bio), 0);
	shutdown(fds[1], SHUT_WR);
	tls->reads_left = 1;
	assert_int_equal(BIO_read(bio, bytes, 8), 0);
	assert_false(BIO_should_retry(bio));
	assert_int_equal(BIO_eof(bio), 1);
	tls_release(tls);
}

static void test_errors_of_reading_and_writing(void **state)
{
	static const struct {
		int error;
		bool again;
	} rows[] = {{EAGAIN, true}, {EINTR, true}, {ECONNRESET, false}, {EPIPE, false}};
	struct tls *tls = tls_begin(context, &kind, fds[0]);
	BIO *bio = SSL_get_rbio(tls->ssl);
	char bytes[8];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		tls->reads_left = 1;
		fail_calls("recv", 0, 1, rows[i].error);
		assert_int_equal(BIO_read(bio, bytes, 8), -1);
		assert_int_equal(BIO_should_read(bio) != 0, rows[i].again);
		assert_int_equal(BIO_should_retry(bio) != 0, rows[i].again);
		assert_false(BIO_should_write(bio));
		fail_calls("send", 0, 1, rows[i].error);
		assert_int_equal(BIO_write(bio, "x", 1), -1);
		assert_int_equal(BIO_should_write(bio) != 0, rows[i].again);
		assert_int_equal(BIO_should_retry(bio) != 0, rows[i].again);
		assert_false(BIO_should_read(bio));
		assert_true(fail_calls_never());
		assert_int_equal(BIO_write(bio, "x", 1), 1);
		assert_false(BIO_should_retry(bio));
	}
	assert_int_equal(BIO_flush(bio), 1);
	assert_int_equal(BIO_pending(bio), 0);
	assert_int_equal(BIO_reset(bio), 0);
	tls_release(tls);
}

static void test_texts_of_errors(void **state)
{
	(void)state;
	ERR_clear_error();
	assert_string_equal(tls_library_error(), "the TLS library does not say why");
	assert_false(tls_is_alert());
	ERR_raise(ERR_LIB_SYS, ENOENT);
	ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
	assert_string_equal(tls_library_error(), strerror(ENOENT)); /* the first one */
	ERR_clear_error();
	ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
	assert_string_equal(tls_library_error(),
			    ERR_reason_error_string(ERR_PACK(ERR_LIB_SSL, 0, SSL_R_BAD_LENGTH)));
	/* a connection that is freed leaves no error to the next one */
	tls_release(tls_begin(context, &kind, fds[0]));
	assert_int_equal(ERR_peek_error(), 0);
}

static void test_what_errors_mean(void **state)
{
	static const struct {
		int library, reason;
		bool is_end, is_alert;
	} rows[] = {
		{ERR_LIB_SSL, SSL_R_UNEXPECTED_EOF_WHILE_READING, true, false},
		{ERR_LIB_SSL, SSL_R_BAD_LENGTH, false, false},
		{ERR_LIB_EVP, SSL_R_UNEXPECTED_EOF_WHILE_READING, false, false},
		{ERR_LIB_SSL, SSL_AD_REASON_OFFSET, false, true},
		{ERR_LIB_SSL, SSL_AD_REASON_OFFSET - 1, false, false},
		{ERR_LIB_EVP, SSL_AD_REASON_OFFSET, false, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		ERR_clear_error();
		assert_true(tls_is_end(SSL_ERROR_SYSCALL));
		assert_false(tls_is_end(SSL_ERROR_SSL));
		ERR_raise(rows[i].library, rows[i].reason);
		assert_int_equal(tls_is_end(SSL_ERROR_SSL), rows[i].is_end);
		assert_true(tls_is_end(SSL_ERROR_SYSCALL));
		assert_int_equal(tls_is_alert(), rows[i].is_alert);
	}
	ERR_clear_error();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_the_socket_cannot_be_used),
		TEST(test_a_connection_at_its_begin),
		TEST(test_reading),
		TEST(test_errors_of_reading_and_writing),
		TEST(test_texts_of_errors),
		TEST(test_what_errors_mean),
	};

	return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
