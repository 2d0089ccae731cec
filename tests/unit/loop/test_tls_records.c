/* LINKS: proxy/loop tests/doubles/failing_calls.c tests/doubles/failing_tls.c -Wl,@tests/doubles/failing_calls.wraps -Wl,@tests/doubles/failing_tls.wraps */
/* Records both ways: what is read and sent, what ends a connection, and what the socket is watched for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proxy/loop/tls_state.h"
#include "tests/doubles/failing_calls.h"
#include "tests/support/tls_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
	ALL = 1 << 20,
	QUIET_RECORDS = 8, /* as many in one look at an idle connection */
	CALL_READS = 2,    /* as often is the socket read in one call */
	STEP_READS = 64,   /* and in one step of a handshake */
};

static struct certificate own;
static struct tls_context *context;
static struct tls_server *server;
static struct tls_pair pair;
static unsigned receives; /* calls of recv() by ours */
static int recv_error, send_error;
static size_t recv_size; /* at most, for one recv() of ours; 0: all */
static char got[65536];
static size_t n_got;

/* In place of libc's. */
ssize_t recv(int fd, void *to, size_t size, int flags)
{
	if (!(flags & MSG_PEEK))
		receives++;
	if (recv_error != 0) {
		errno = recv_error;
		return -1;
	}
	if (recv_size != 0 && recv_size < size)
		size = recv_size;
	return syscall(SYS_recvfrom, fd, to, size, flags, NULL, NULL);
}

ssize_t send(int fd, const void *from, size_t n, int flags)
{
	if (fd == pair.fd && send_error != 0) {
		errno = send_error;
		return -1;
	}
	return syscall(SYS_sendto, fd, from, n, flags, NULL, 0);
}

static int setup_all(void **state)
{
	(void)state;
	own = certificate_new((struct certificate_wish){
		.common_name = "a", .names = "DNS:origin.test", .is_authority = true});
	context = context_that_trusts(&own);
	server = server_of(&own, NULL);
	return 0;
}

static int teardown_all(void **state)
{
	(void)state;
	tls_server_free(server);
	tls_context_free(context);
	certificate_free(&own);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fail_calls_never();
	recv_error = send_error = 0;
	recv_size = 0;
	pair_end(&pair);
	return 0;
}

/* A connection to an origin of that version, without tickets, through the handshake. */
static void begin(int version)
{
	SSL_CTX *origin = far_context(true, &own, NULL);

	SSL_CTX_set_min_proto_version(origin, version);
	SSL_CTX_set_max_proto_version(origin, version);
	SSL_CTX_set_num_tickets(origin, 0);
	SSL_CTX_set_options(origin, SSL_OP_NO_TICKET);
	pair_to_origin(&pair, context, origin, "origin.test", 443);
	assert_int_equal(pair_shake(&pair), IO_OK);
	SSL_CTX_free(origin);
	n_got = 0;
}

/* What one call reads. */
static enum io take(size_t size)
{
	enum io io;

	leave_error();
	io = tls_recv(pair.ours, got, size, &n_got);
	if (io != IO_OK)
		n_got = 0;
	got[n_got] = '\0';
	return io;
}

static void expect_text(const char *text)
{
	assert_int_equal(take(sizeof(got) - 1), IO_OK);
	assert_string_equal(got, text);
}

static enum io give(const char *from, size_t size, size_t *ret_n)
{
	leave_error();
	return tls_send(pair.ours, from, size, ret_n);
}

static bool is_quiet(void)
{
	leave_error();
	return tls_is_quiet(pair.ours);
}

static void send_text(const char *text)
{
	size_t n = 0;

	assert_int_equal(give(text, strlen(text), &n), IO_OK);
	assert_int_equal(n, strlen(text));
}

static void far_say_text(const char *text)
{
	far_write(&pair.far, text);
	far_flush(&pair.far, ALL);
}

/* The far end sees a close_notify, or an end without one. */
static void expect_far_end(bool notified)
{
	int error;

	assert_string_equal(far_read(&pair.far, &error), "");
	assert_int_equal(error == SSL_ERROR_ZERO_RETURN, notified);
}

static void test_content_both_ways(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	int error;

	(void)state;
	for (size_t i = 0; i < COUNT(versions); i++) {
		begin(versions[i]);
		assert_int_equal(take(1), IO_AGAIN);
		send_text("request");
		assert_string_equal(far_read(&pair.far, &error), "request");
		far_say_text("answer");
		expect_text("answer");
		assert_int_equal(take(1), IO_AGAIN);
	}
}

/* Two records that came at once, and the part of a third. */
static void test_bytes_at_hand(void **state)
{
	(void)state;
	begin(TLS1_3_VERSION);
	assert_false(tls_has_more(pair.ours));
	far_write(&pair.far, "one");
	far_write(&pair.far, "two");
	far_flush(&pair.far, ALL);
	far_write(&pair.far, "three");
	far_flush(&pair.far, 9);
	assert_int_equal(take(1), IO_OK);
	assert_string_equal(got, "o");
	assert_true(tls_has_more(pair.ours));
	expect_text("ne");
	assert_true(tls_has_more(pair.ours)); /* the next record was read with this one */
	expect_text("two");
	assert_true(tls_has_more(pair.ours)); /* not known to be a part only */
	assert_int_equal(take(1), IO_AGAIN);
	assert_false(tls_has_more(pair.ours));
	assert_false(is_quiet());
	far_flush(&pair.far, ALL);
	assert_false(is_quiet());
	expect_text("three");
	assert_false(tls_has_more(pair.ours));
	assert_true(is_quiet());
}

/* The socket is read so often in a call; what a handshake asks for is done in as many steps. */
static void test_reads_of_one_call(void **state)
{
	(void)state;
	begin(TLS1_3_VERSION);
	for (int i = 0; i < 4; i++) {
		far_write(&pair.far, "x");
		far_flush(&pair.far, 1);
		receives = 0;
		assert_int_equal(take(1), IO_AGAIN);
		assert_int_equal(receives, CALL_READS);
		far_flush(&pair.far, ALL);
		expect_text("x");
	}
	for (int i = 0; i < 3; i++) {
		assert_int_equal(SSL_key_update(pair.far.ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
		assert_int_equal(SSL_do_handshake(pair.far.ssl), 1);
		far_flush(&pair.far, ALL);
		receives = 0;
		assert_int_equal(take(1), IO_AGAIN);
		assert_true(receives <= CALL_READS);
	}
	far_say_text("behind");
	expect_text("behind");
}

/* A handshake in records of one byte each; the reads of each step are bounded. */
static void test_reads_of_one_step(void **state)
{
	SSL_CTX *client = far_context(false, NULL, NULL);
	static char records[8192];
	char *hello, *end = records;
	long n;
	unsigned steps = 0;

	(void)state;
	pair_of_client(&pair, server, client);
	SSL_CTX_free(client);
	assert_int_equal(SSL_do_handshake(pair.far.ssl), -1);
	n = BIO_get_mem_data(SSL_get_wbio(pair.far.ssl), &hello);
	for (long i = 5; i < n; i++) {
		memcpy(end, "\x16\x03\x01\x00\x01", 5);
		end[5] = hello[i];
		end += 6;
	}
	far_say(&pair.far, records, (size_t)(end - records));
	BIO_reset(SSL_get_wbio(pair.far.ssl));
	for (receives = 0; receives == steps * STEP_READS; steps++)
		assert_int_equal(tls_handshake(pair.ours), IO_AGAIN);
	assert_int_equal(steps, 2 * (n - 5) / STEP_READS + 1);
	assert_int_equal(pair_shake(&pair), IO_OK);
}

/* ---- ends ----------------------------------------------------------------------------------- */

static void expect_broken(int error_of_recv)
{
	size_t n = 0;

	errno = 0;
	assert_int_equal(take(1), IO_ERROR);
	assert_int_equal(errno, error_of_recv);
	errno = 0;
	assert_int_equal(take(1), IO_ERROR);
	assert_int_equal(errno, ECONNRESET);
	errno = 0;
	assert_int_equal(give("x", 1, &n), IO_ERROR);
	assert_int_equal(errno, EPIPE);
	assert_false(is_quiet());
	assert_false(tls_has_more(pair.ours));
	tls_end(pair.ours);
}

static void test_end_with_close_notify(void **state)
{
	(void)state;
	begin(TLS1_3_VERSION);
	assert_true(is_quiet());
	far_write(&pair.far, "last");
	SSL_shutdown(pair.far.ssl);
	far_flush(&pair.far, ALL);
	assert_false(is_quiet());
	expect_text("last");
	assert_false(is_quiet());
	assert_int_equal(take(1), IO_END);
	assert_int_equal(take(1), IO_END);
	assert_false(is_quiet());
	send_text("still");
	tls_end(pair.ours);
	tls_end(pair.ours);
	assert_int_equal(take(1), IO_END);
}

static void test_end_without_close_notify(void **state)
{
	(void)state;
	begin(TLS1_3_VERSION);
	far_say_text("last");
	shutdown(pair.far.fd, SHUT_WR);
	assert_false(is_quiet());
	expect_text("last");
	expect_broken(ECONNRESET);
	expect_far_end(false);
}

static void test_a_socket_that_is_closed_is_not_quiet(void **state)
{
	(void)state;
	begin(TLS1_3_VERSION);
	shutdown(pair.far.fd, SHUT_WR);
	errno = EAGAIN; /* of some call before */
	assert_false(is_quiet());
}

static void test_bytes_that_are_no_record(void **state)
{
	static const char records[][8] = {"\x17\x03\x03\x00\x01x", "HTTP/1."};

	(void)state;
	for (size_t i = 0; i < COUNT(records); i++) {
		begin(TLS1_3_VERSION);
		far_say(&pair.far, records[i], 6);
		expect_broken(ECONNRESET);
	}
}

static void test_the_socket_fails_to_receive(void **state)
{
	(void)state;
	begin(TLS1_3_VERSION);
	recv_error = ETIMEDOUT;
	expect_broken(ETIMEDOUT);
	expect_far_end(false);
}

/* What came before sending failed is read, but nothing is sent any more. */
static void test_the_socket_fails_to_send(void **state)
{
	size_t n = 0;

	(void)state;
	begin(TLS1_3_VERSION);
	far_say_text("last");
	assert_false(tls_has_more(pair.ours));
	send_error = EPIPE;
	errno = 0;
	assert_int_equal(give("x", 1, &n), IO_ERROR);
	assert_int_equal(errno, EPIPE);
	send_error = 0;
	errno = 0;
	assert_int_equal(give("x", 1, &n), IO_ERROR);
	assert_int_equal(errno, EPIPE);
	assert_false(is_quiet());
	expect_text("last");
	assert_int_equal(take(1), IO_AGAIN);
	tls_end(pair.ours);
	expect_far_end(false);
}

/* The far end has closed: no signal ends the program. */
static void test_sending_to_a_closed_socket(void **state)
{
	size_t n = 0;

	(void)state;
	begin(TLS1_3_VERSION);
	close(pair.far.fd);
	pair.far.fd = -1;
	errno = 0;
	assert_int_equal(give("x", 1, &n), IO_ERROR);
	assert_int_equal(errno, EPIPE);
}

static void test_what_is_no_error_of_the_socket(void **state)
{
	static const int errors[] = {EAGAIN, EINTR};
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(errors); i++) {
		bool read = false, write = true;

		begin(TLS1_3_VERSION);
		far_say_text("answer");
		recv_error = send_error = errors[i];
		assert_int_equal(take(1), IO_AGAIN);
		assert_int_equal(give("x", 1, &n), IO_AGAIN);
		tls_watch(pair.ours, &read, &write);
		assert_false(read);
		assert_true(write);
		recv_error = send_error = 0;
		expect_text("answer");
		send_text("x");
		tls_watch(pair.ours, &read, &write);
		assert_true(write);
	}
}

static void test_close_notify_is_sent_once(void **state)
{
	int error;

	(void)state;
	begin(TLS1_3_VERSION);
	expect_far_end(false);
	send_text("last");
	tls_end(pair.ours);
	assert_string_equal(far_read(&pair.far, &error), "last");
	assert_int_equal(error, SSL_ERROR_ZERO_RETURN);
	receives = 0;
	tls_end(pair.ours);
	far_fill(&pair.far);
	assert_int_equal(BIO_pending(SSL_get_rbio(pair.far.ssl)), 0);
}

static void test_who_frees_says_close_notify(void **state)
{
	(void)state;
	begin(TLS1_3_VERSION);
	tls_free(pair.ours);
	pair.ours = NULL;
	expect_far_end(true);
}

static void test_a_mute_end(void **state)
{
	size_t n = 0;

	(void)state;
	begin(TLS1_3_VERSION);
	far_say_text("more");
	tls_mute(pair.ours);
	tls_end(pair.ours);
	tls_free(pair.ours);
	pair.ours = NULL;
	expect_far_end(false);
	begin(TLS1_3_VERSION);
	tls_mute(pair.ours);
	errno = 0;
	assert_int_equal(give("x", 1, &n), IO_ERROR);
	assert_int_equal(errno, EPIPE);
	assert_false(is_quiet());
}

/* Before the handshake is done, no word of TLS is said at the end. */
static void test_an_end_in_the_handshake(void **state)
{
	SSL_CTX *origin = far_context(true, &own, NULL);
	char byte[8];

	(void)state;
	pair_to_origin(&pair, context, origin, "origin.test", 443);
	assert_false(tls_has_more(pair.ours));
	tls_end(pair.ours);
	tls_free(pair.ours);
	pair.ours = NULL;
	assert_int_equal(read(pair.far.fd, byte, sizeof(byte)), -1);
	SSL_CTX_free(origin);
}

/* ---- what is TLS's own ---------------------------------------------------------------------- */

/* So many records of one size, whose bytes in all are returned. */
static size_t far_update(int count)
{
	for (int i = 0; i < count; i++) {
		assert_int_equal(SSL_key_update(pair.far.ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
		assert_int_equal(SSL_do_handshake(pair.far.ssl), 1);
	}
	return far_flush(&pair.far, ALL);
}

static void test_an_idle_connection_takes_so_many_records(void **state)
{
	(void)state;
	begin(TLS1_3_VERSION);
	recv_size = far_update(1);
	assert_true(is_quiet());
	far_update(QUIET_RECORDS - 1);
	assert_true(is_quiet());
	far_update(QUIET_RECORDS);
	assert_false(is_quiet());
	assert_true(is_quiet());
	/* the last call has read as often as it may, and left a part */
	far_update(1);
	recv_size = 10;
	assert_int_equal(take(1), IO_AGAIN);
	assert_true(is_quiet());
	recv_size = 0;
	far_update(1);
	far_say_text("x");
	assert_false(is_quiet());
	expect_text("x");
	/* what the look itself has read is at hand */
	assert_int_equal(take(1), IO_AGAIN);
	far_say_text("x");
	assert_false(is_quiet());
	assert_true(tls_has_more(pair.ours));
	expect_text("x");
	assert_false(tls_has_more(pair.ours));
	recv_error = ETIMEDOUT;
	assert_false(is_quiet());
}

/* An origin that wants another handshake, which TLS 1.3 has no more. */
static void test_renegotiation_is_refused(void **state)
{
	int error;

	(void)state;
	begin(TLS1_2_VERSION);
	assert_true(SSL_get_options(pair.ours->ssl) & SSL_OP_NO_RENEGOTIATION);
	assert_true(SSL_get_options(pair.ours->ssl) & SSL_OP_NO_COMPRESSION);
	assert_int_equal(SSL_renegotiate(pair.far.ssl), 1);
	assert_int_equal(SSL_do_handshake(pair.far.ssl), 1);
	far_flush(&pair.far, ALL);
	assert_int_equal(take(1), IO_AGAIN);
	assert_string_equal(far_read(&pair.far, &error), "");
	assert_int_equal(error, SSL_ERROR_SSL);
}

/* ---- what the socket is watched for --------------------------------------------------------- */

static void expect_watch(bool reading, bool writing, bool wanted_read, bool wanted_write)
{
	bool read = reading, write = writing;

	tls_watch(pair.ours, &read, &write);
	assert_int_equal(read, wanted_read);
	assert_int_equal(write, wanted_write);
}

static void expect_usual_watch(void)
{
	expect_watch(false, false, false, false);
	expect_watch(true, false, true, false);
	expect_watch(false, true, false, true);
	expect_watch(true, true, true, true);
}

static void expect_watch_in_handshake(bool read, bool write)
{
	expect_watch(false, false, read, write);
	expect_watch(true, false, read, write);
	expect_watch(false, true, read, write);
	expect_watch(true, true, read, write);
}

static void test_watched_in_a_handshake(void **state)
{
	SSL_CTX *origin = far_context(true, &own, NULL), *client = far_context(false, NULL, NULL);

	(void)state;
	pair_to_origin(&pair, context, origin, "origin.test", 443);
	expect_watch_in_handshake(false, true);
	assert_int_equal(tls_handshake(pair.ours), IO_AGAIN);
	expect_watch_in_handshake(true, false);
	assert_int_equal(pair_shake(&pair), IO_OK);
	expect_usual_watch();

	pair_to_origin(&pair, context, origin, "origin.test", 443);
	send_error = EAGAIN;
	assert_int_equal(tls_handshake(pair.ours), IO_AGAIN);
	expect_watch_in_handshake(false, true);
	send_error = 0;
	assert_int_equal(pair_shake(&pair), IO_OK);

	pair_of_client(&pair, server, client);
	expect_watch_in_handshake(true, false);
	assert_int_equal(tls_handshake(pair.ours), IO_AGAIN);
	expect_watch_in_handshake(true, false);
	assert_int_equal(pair_shake(&pair), IO_OK);
	expect_usual_watch();
	SSL_CTX_free(origin);
	SSL_CTX_free(client);
}

static void test_reading_waits_to_write(void **state)
{
	(void)state;
	begin(TLS1_2_VERSION);
	fail_calls("SSL_read_ex|SSL_get_error", 0, 2, SSL_ERROR_WANT_WRITE);
	assert_int_equal(take(1), IO_AGAIN);
	assert_true(fail_calls_never());
	expect_watch(false, false, false, false);
	expect_watch(true, false, false, true);
	expect_watch(false, true, false, true);
	expect_watch(true, true, false, true);
	far_say_text("x");
	expect_text("x");
	expect_usual_watch();
}

static void test_writing_waits_to_read(void **state)
{
	size_t n = 0;

	(void)state;
	begin(TLS1_2_VERSION);
	fail_calls("SSL_write_ex|SSL_get_error", 0, 2, SSL_ERROR_WANT_READ);
	assert_int_equal(give("x", 1, &n), IO_AGAIN);
	assert_true(fail_calls_never());
	expect_watch(false, false, false, false);
	expect_watch(true, false, true, false);
	expect_watch(false, true, true, false);
	expect_watch(true, true, true, false);
	send_text("x");
	expect_usual_watch();
}

/* An idle connection has no buffers, and one call works on what has come. */
static void expect_modes(void)
{
	assert_true(SSL_get_mode(pair.ours->ssl) & SSL_MODE_RELEASE_BUFFERS);
	assert_false(SSL_get_mode(pair.ours->ssl) & SSL_MODE_AUTO_RETRY);
}

/* A socket that is full: parts are taken, and the rest from wherever it lies. */
static void fill_the_socket(void)
{
	static char from[1 << 20], moved[1 << 20];
	char *where = from;
	size_t sent = 0, arrived = 0, n;
	bool was_full = false;

	for (size_t i = 0; i < sizeof(from); i++)
		from[i] = (char)('a' + i % 23);
	memcpy(moved, from, sizeof(from));
	while (sent < sizeof(from)) {
		enum io io = give(where + sent, sizeof(from) - sent, &n);

		if (io == IO_OK) {
			assert_true(n > 0 && n <= sizeof(from) - sent);
			sent += n;
		} else {
			const char *text;
			int error;

			assert_int_equal(io, IO_AGAIN);
			was_full = true;
			where = where == from ? moved : from;
			text = far_read(&pair.far, &error);
			assert_memory_equal(text, from + arrived, strlen(text));
			arrived += strlen(text);
		}
	}
	assert_true(was_full);
}

static void test_a_full_socket(void **state)
{
	SSL_CTX *client = far_context(false, NULL, NULL);

	(void)state;
	begin(TLS1_3_VERSION);
	expect_modes();
	fill_the_socket();
	pair_of_client(&pair, server, client);
	assert_int_equal(pair_shake(&pair), IO_OK);
	expect_modes();
	fill_the_socket();
	SSL_CTX_free(client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_content_both_ways),
		TEST(test_bytes_at_hand),
		TEST(test_reads_of_one_call),
		TEST(test_reads_of_one_step),
		TEST(test_end_with_close_notify),
		TEST(test_end_without_close_notify),
		TEST(test_a_socket_that_is_closed_is_not_quiet),
		TEST(test_bytes_that_are_no_record),
		TEST(test_the_socket_fails_to_receive),
		TEST(test_the_socket_fails_to_send),
		TEST(test_sending_to_a_closed_socket),
		TEST(test_what_is_no_error_of_the_socket),
		TEST(test_close_notify_is_sent_once),
		TEST(test_who_frees_says_close_notify),
		TEST(test_a_mute_end),
		TEST(test_an_end_in_the_handshake),
		TEST(test_an_idle_connection_takes_so_many_records),
		TEST(test_renegotiation_is_refused),
		TEST(test_watched_in_a_handshake),
		TEST(test_reading_waits_to_write),
		TEST(test_writing_waits_to_read),
		TEST(test_a_full_socket),
	};

	return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
