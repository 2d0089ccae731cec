/* LINKS: proxy/front tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/store_memory.c */
/* Accepting clients: how many in an event, who is turned away, and what happens when descriptors run out. */
#include "tests/support/worker_fixture.h"

#include <errno.h>
#include <sys/socket.h>

#include "proxy/front/admin.h"
#include "proxy/front/forward.h"

/* ---- the kernel ----------------------------------------------------------------------------- */

static struct {
	unsigned waiting; /* connections to accept */
	int errors[8];    /* that come first, 0 for no more */
	unsigned error_count;
	unsigned calls;
	union address from;
	struct fake_peer *last;
	unsigned turned_away; /* by a plain accept() */
} kernel;

static int accept_one(int fd, struct sockaddr *peer, socklen_t *length, int flags)
{
	(void)fd;
	(void)length;
	assert_int_equal(flags, SOCK_NONBLOCK | SOCK_CLOEXEC);
	kernel.calls++;
	errno = kernel.error_count > 0 ? kernel.errors[--kernel.error_count] : EAGAIN;
	if (errno != EAGAIN || kernel.waiting == 0)
		return -1;
	kernel.waiting--;
	memcpy(peer, &kernel.from, sizeof(kernel.from));
	kernel.last = fake_peer_new();
	return kernel.last->fd;
}

static int accept_away(int fd, struct sockaddr *peer, socklen_t *length)
{
	(void)fd;
	(void)peer;
	(void)length;
	kernel.turned_away++;
	return -1;
}

#define accept4 accept_one
#define accept accept_away
#include "proxy/client/acceptor.c"
#undef accept4
#undef accept

/* ---- the set-up ----------------------------------------------------------------------------- */

static struct worker_fixture f;
static struct ev_loop *loop;
static struct acceptors *acceptors;
static struct listener_address addresses[2];
static int ends[2];

static void open_for(const struct frontend *frontend, const char *options, int go)
{
	struct listener listener = {.at = addresses, .count = 2};

	worker_fixture_open(&f, frontend, options);
	loop = ev_loop_new(EVFLAG_AUTO);
	kernel.waiting = kernel.error_count = kernel.calls = kernel.turned_away = 0;
	assert_true(address_parse(SLICE("127.0.0.1"), &kernel.from));
	for (unsigned i = 0; i < 2; i++)
		addresses[i] = (struct listener_address){
			.frontend = frontend, .fd = socket(AF_INET, SOCK_STREAM, 0), .row = 5};
	acceptors = acceptors_start(loop, &f.worker->clients, &listener, go);
	assert_non_null(acceptors);
}

static int setup(void **state)
{
	(void)state;
	open_for(&forward_frontend, "", -1);
	return 0;
}

static int teardown(void **state)
{
	acceptors_stop(acceptors);
	acceptors_free(acceptors);
	ev_loop_destroy(loop);
	return worker_fixture_close(state);
}

/* The loop says that connections wait; how many of so many have been accepted. */
static unsigned event(unsigned waiting, int events)
{
	kernel.waiting = waiting;
	kernel.calls = 0;
	ev_invoke(loop, &acceptors->at[0].io, events);
	return waiting - kernel.waiting;
}

static bool is_watching(void)
{
	bool first = ev_is_active(&acceptors->at[0].io);

	assert_true(first == (bool)ev_is_active(&acceptors->at[1].io));
	return first;
}

/* ---- what holds ----------------------------------------------------------------------------- */

/* One at first; twice as many after four events that found as many, up to 64; then as few as there are. */
static void more_where_more_wait(void **state)
{
	(void)state;
	for (unsigned most = 1; most <= 64; most *= 2)
		for (unsigned i = 0; i < 4; i++) {
			assert_int_equal(event(100, EV_READ), most);
			assert_int_equal(kernel.calls, most); /* none that finds nothing */
			clients_close(&f.worker->clients);
		}
	assert_int_equal(event(100, EV_READ), 64);
	assert_int_equal(event(3, EV_READ), 3);
	assert_int_equal(event(100, EV_READ), 3);
	assert_int_equal(event(0, EV_READ), 0);
	assert_int_equal(event(100, EV_READ), 1);
	/* of a row of full events, each begins anew after one that was not */
	assert_int_equal(event(1, EV_READ), 1);
	assert_int_equal(event(1, EV_READ), 1);
	assert_int_equal(event(0, EV_READ), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(event(9, EV_READ), 1);
	assert_int_equal(event(9, EV_READ), 2);
}

static void connections_are_counted(void **state)
{
	(void)state;
	event(1, EV_READ);
	event(1, EV_READ);
	assert_int_equal(stats->client_connections, 2);
	assert_int_equal(stats->listeners[5].connections, 2);
	assert_int_equal(stats->accept_pauses, 0);
	teardown(NULL);
	open_for(&admin_frontend, "", -1);
	event(1, EV_READ);
	assert_int_equal(stats->client_connections, 0);
	assert_int_equal(stats->listeners[5].connections, 0);
	assert_non_null(kernel.last->conn);
}

static const char *answered(struct fake_peer *peer)
{
	worker_fixture_say(&f, peer, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n");
	return worker_fixture_got(&f, peer);
}

static void who_may_not_come_is_told(void **state)
{
	(void)state;
	event(1, EV_READ);
	assert_non_null(strstr(answered(kernel.last), "HTTP/1.1 204 "));
	assert_true(address_parse(SLICE("198.51.100.7"), &kernel.from));
	event(1, EV_READ);
	assert_non_null(strstr(answered(kernel.last), "HTTP/1.1 403 "));
	assert_int_equal(stats->failure[FAILURE_DENIED_CLIENT], 1);
	assert_int_equal(stats->client_connections, 2);
	/* the name that a process gave to its end is no address */
	memset(&kernel.from, 'x', sizeof(kernel.from));
	kernel.from.any.sa_family = AF_UNIX;
	event(1, EV_READ);
	assert_non_null(strstr(answered(kernel.last), "HTTP/1.1 204 "));
}

/* It pauses, turns one away so that it does not hang, and looks again after a while. */
static void descriptors_run_out(void **state)
{
	static const int errors[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		kernel.errors[0] = errors[i];
		kernel.error_count = 1;
		assert_true(is_watching());
		assert_int_equal(event(1, EV_READ), 0);
		assert_int_equal(stats->accept_pauses, i + 1);
		assert_int_equal(kernel.turned_away, i + 1);
		assert_true(acceptors->spare_fd >= 0);
		assert_false(is_watching());
		worker_fixture_pass(&f, PAUSE_MS - 1);
		assert_false(is_watching());
		worker_fixture_pass(&f, 1);
		assert_true(is_watching());
	}
}

/* None is there to be given up: it is got when there is one again. */
static void without_a_spare_descriptor(void **state)
{
	(void)state;
	close(acceptors->spare_fd);
	acceptors->spare_fd = -1;
	kernel.errors[0] = EMFILE;
	kernel.error_count = 1;
	event(1, EV_READ);
	assert_int_equal(kernel.turned_away, 0);
	assert_int_equal(acceptors->spare_fd, -1);
	assert_false(is_watching());
	worker_fixture_pass(&f, PAUSE_MS);
	assert_true(acceptors->spare_fd >= 0);
	assert_true(is_watching());
}

/* One that has gone again, or a signal, is no reason to stop. */
static void one_that_has_gone(void **state)
{
	(void)state;
	acceptors->at[0].most = 2;
	kernel.errors[0] = ECONNABORTED;
	kernel.errors[1] = EINTR;
	kernel.error_count = 2;
	assert_int_equal(event(2, EV_READ), 2);
	assert_int_equal(kernel.calls, 4);
	assert_int_equal(stats->accept_pauses, 0);
	kernel.errors[0] = EPERM; /* of a firewall */
	kernel.error_count = 1;
	assert_int_equal(event(1, EV_READ), 0);
	assert_int_equal(kernel.calls, 1);
	assert_true(is_watching());
}

/* The kernel has no room to watch in: it is tried again, and those that wait are accepted. */
static void what_cannot_be_watched(void **state)
{
	(void)state;
	assert_int_equal(event(1, EV_READ | EV_ERROR), 1);
	assert_int_equal(stats->accept_pauses, 1);
	assert_int_equal(kernel.turned_away, 0);
	assert_false(is_watching());
	worker_fixture_pass(&f, PAUSE_MS - 1);
	assert_false(is_watching());
	worker_fixture_pass(&f, 1);
	assert_true(is_watching());
}

/* A worker that takes over begins when it is told. */
static void it_begins_when_it_may(void **state)
{
	teardown(state);
	assert_int_equal(pipe(ends), 0);
	open_for(&forward_frontend, "", ends[0]);
	assert_false(is_watching());
	close(ends[1]);
	ev_run(loop, EVRUN_NOWAIT);
	assert_true(is_watching());
	assert_false(ev_is_active(&acceptors->go));
	assert_int_equal(fcntl(ends[0], F_GETFD), -1);
}

/* Before it ends, all of those that wait at any address. */
static void the_rest_is_taken(void **state)
{
	(void)state;
	kernel.waiting = 70;
	acceptors_take_rest(acceptors);
	assert_int_equal(kernel.waiting, 0);
	assert_int_equal(kernel.calls, 72); /* each address, until nothing is there */
	assert_int_equal(stats->client_connections, 70);
	acceptors_stop(acceptors);
	assert_int_equal(acceptors->count, 0);
	assert_int_equal(acceptors->spare_fd, -1);
	assert_int_equal(fcntl(addresses[1].fd, F_GETFD), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(more_where_more_wait),       TEST(connections_are_counted),
		TEST(who_may_not_come_is_told),   TEST(descriptors_run_out),
		TEST(without_a_spare_descriptor), TEST(one_that_has_gone),
		TEST(what_cannot_be_watched),     TEST(it_begins_when_it_may),
		TEST(the_rest_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
