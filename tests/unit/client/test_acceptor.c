/* LINKS: proxy/front tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/store_memory.c -Wl,--wrap=accept4,--wrap=accept,--wrap=open,--wrap=ev_io_start,--wrap=conn_new */
/* Accepting clients: how many in an event, who is turned away, and what happens when descriptors run out. */
#include "tests/support/captured.h"
#include "tests/support/worker_fixture.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/client/acceptor.h"
#include "proxy/front/admin.h"
#include "proxy/front/forward.h"

enum { PAUSE_MS = 100 };

/* ---- the kernel, and what libev watches ----------------------------------------------------- */

static struct {
	unsigned waiting; /* connections to accept */
	int errors[8];    /* that come first, the last one before */
	unsigned error_count;
	unsigned calls;
	union address from;
	struct fake_peer *last;
	unsigned turned_away; /* by a plain accept() */
	int turned_away_fd;
	bool no_files;
	bool no_input;     /* descriptor 0 is free */
	bool gives_0;      /* as the descriptor of what is accepted */
	int spare_fd;      /* that was opened last */
	ev_io *watched[3]; /* those that were started, in their order */
	unsigned watched_count;
} kernel;

static struct listener_address addresses[2];

int __wrap_accept4(int fd, struct sockaddr *peer, socklen_t *length, int flags);
int __wrap_accept(int fd, struct sockaddr *peer, socklen_t *length);
int __wrap_open(const char *path, int flags, ...);
int __real_open(const char *path, int flags, ...);
struct conn *__wrap_conn_new(int fd, const struct conn_events *events, void *owner);
struct conn *__real_conn_new(int fd, const struct conn_events *events, void *owner);
void __wrap_ev_io_start(struct ev_loop *of, ev_io *io);
void __real_ev_io_start(struct ev_loop *of, ev_io *io);

int __wrap_accept4(int fd, struct sockaddr *peer, socklen_t *length, int flags)
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
	kernel.last->uncounted = addresses[0].frontend->is_reserved;
	return kernel.gives_0 ? 0 : kernel.last->fd;
}

struct conn *__wrap_conn_new(int fd, const struct conn_events *events, void *owner)
{
	return __real_conn_new(fd == 0 ? kernel.last->fd : fd, events, owner);
}

int __wrap_accept(int fd, struct sockaddr *peer, socklen_t *length)
{
	(void)fd;
	(void)peer;
	(void)length;
	kernel.turned_away++;
	return kernel.turned_away_fd = dup(STDERR_FILENO);
}

/* The one that is given up is the only file that is opened here, but for those that gcov writes at the end. */
int __wrap_open(const char *path, int flags, ...)
{
	if ((flags & O_CREAT) != 0)
		return __real_open(path, flags, 0600);
	assert_int_equal(flags, O_RDONLY | O_CLOEXEC);
	return kernel.spare_fd = kernel.no_files ? -1 : __real_open(path, flags);
}

void __wrap_ev_io_start(struct ev_loop *of, ev_io *io)
{
	unsigned i = 0;

	while (i < kernel.watched_count && kernel.watched[i] != io)
		i++;
	if (i == kernel.watched_count) {
		assert_true(i < 3);
		kernel.watched[kernel.watched_count++] = io;
	}
	__real_ev_io_start(of, io);
}

/* ---- the set-up ----------------------------------------------------------------------------- */

static struct worker_fixture f;
static struct ev_loop *loop;
static struct acceptors *acceptors;
static int ends[2];

/* The second of its two addresses has TLS. */
static void open_for(const struct frontend *frontend, int go)
{
	struct listener listener = {.at = addresses, .count = 2};

	worker_fixture_open(&f, frontend, "proxy_protocol_from=10.9.9.9");
	loop = ev_loop_new(EVFLAG_AUTO);
	kernel.waiting = kernel.error_count = kernel.calls = kernel.turned_away = 0;
	kernel.watched_count = 0;
	assert_true(address_parse(SLICE("127.0.0.1"), &kernel.from));
	for (unsigned i = 0; i < 2; i++)
		addresses[i] = (struct listener_address){.frontend = frontend,
							 .fd = socket(AF_INET, SOCK_STREAM, 0),
							 .row = (uint8_t)(5 + i),
							 .is_tls = i == 1};
	if (kernel.no_input)
		close(STDIN_FILENO);
	kernel.no_input = false;
	acceptors = acceptors_start(loop, &f.worker->clients, &listener, go);
	kernel.no_files = false;
	assert_non_null(acceptors);
}

static int setup(void **state)
{
	(void)state;
	open_for(&forward_frontend, -1);
	return 0;
}

static int teardown(void **state)
{
	acceptors_stop(acceptors);
	acceptors_free(acceptors);
	ev_loop_destroy(loop);
	return worker_fixture_close(state);
}

static unsigned event_at(unsigned address, unsigned waiting, int events)
{
	kernel.waiting = waiting;
	kernel.calls = 0;
	ev_invoke(loop, kernel.watched[address], events);
	return waiting - kernel.waiting;
}

/* The loop says that connections wait; how many of so many have been accepted. */
static unsigned event(unsigned waiting, int events)
{
	return event_at(0, waiting, events);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static bool is_watching(void)
{
	bool first = ev_is_active(kernel.watched[0]);

	assert_int_equal(kernel.watched[0]->fd, addresses[0].fd);
	assert_int_equal(kernel.watched[1]->fd, addresses[1].fd);
	assert_true(first == (bool)ev_is_active(kernel.watched[1]));
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
	assert_int_equal(event(0, EV_READ), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(event(9, EV_READ), 1);
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
	open_for(&admin_frontend, -1);
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

/* Each address has its own count, and its own way to speak. */
static void addresses_are_told_apart(void **state)
{
	(void)state;
	event_at(1, 1, EV_READ);
	assert_non_null(strstr(answered(kernel.last), "client_tls_plain"));
	assert_int_equal(stats->listeners[6].connections, 1);
	assert_int_equal(stats->listeners[6].handshakes_failed, 1);
	assert_int_equal(stats->listeners[5].connections, 0);
	event(1, EV_READ);
	assert_non_null(strstr(answered(kernel.last), "HTTP/1.1 204 "));
	assert_int_equal(stats->listeners[5].connections, 1);
	assert_int_equal(stats->listeners[5].handshakes_failed, 0);
}

/* What a load balancer says first is whose connection it is; of others it is no request. */
static void those_of_a_load_balancer(void **state)
{
	static const struct {
		const char *from, *status;
	} cases[] = {{"10.9.9.9", "HTTP/1.1 204 "}, {"127.0.0.1", "HTTP/1.1 400 "}};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		assert_true(address_parse(slice_str(cases[i].from), &kernel.from));
		event(1, EV_READ);
		worker_fixture_say(&f, kernel.last, "PROXY TCP4 127.0.0.9 192.0.2.1 1000 3128\r\n");
		assert_non_null(strstr(answered(kernel.last), cases[i].status));
	}
	teardown(state);
	open_for(&admin_frontend, -1);
	assert_true(address_parse(SLICE("10.9.9.9"), &kernel.from));
	event(1, EV_READ);
	worker_fixture_say(&f, kernel.last, "PROXY TCP4 127.0.0.9 192.0.2.1 1000 3128\r\n\r\n");
	assert_non_null(strstr(worker_fixture_got(&f, kernel.last), "HTTP/1.1 400 "));
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
		/* that was closed, so that its number was taken next */
		assert_int_equal(kernel.spare_fd, kernel.turned_away_fd);
		assert_true(is_open(kernel.spare_fd));
		assert_false(is_watching());
		worker_fixture_pass(&f, PAUSE_MS - 1);
		assert_false(is_watching());
		worker_fixture_pass(&f, 1);
		assert_true(is_watching());
	}
}

static void run_out(void)
{
	kernel.errors[0] = EMFILE;
	kernel.error_count = 1;
	event(1, EV_READ);
	assert_false(is_watching());
	worker_fixture_pass(&f, PAUSE_MS);
	assert_true(is_watching());
}

/* What is told of a pause that has this cause; "" for nothing. */
static const char *told(int error)
{
	static char text[256];
	struct captured captured;
	const char *from;

	kernel.errors[0] = error;
	kernel.error_count = error != ENOSPC;
	captured_begin(&captured, false);
	event(1, error == ENOSPC ? EV_READ | EV_ERROR : EV_READ);
	captured_end(&captured);
	from = strstr(captured.err, "cannot accept");
	snprintf(text, sizeof(text), "%s", from != NULL ? from : "");
	captured_free(&captured);
	worker_fixture_pass(&f, PAUSE_MS);
	assert_true(is_watching());
	return text;
}

/* Each cause at once, with what to do about it; then once a minute, with the count. */
static void a_pause_is_told(void **state)
{
	static const struct {
		int error;
		const char *what;
	} causes[] = {
		{EMFILE, ": raise LimitNOFILE (ulimit -n), or lower clients_max"},
		{ENFILE, ": raise fs.file-max of the system"},
		{ENOSPC, ": raise fs.epoll.max_user_watches"},
		{ENOBUFS, ""},
	};
	char line[256];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		snprintf(line, sizeof(line), "cannot accept clients, pausing: %s (1 times)%s\n",
			 strerror(causes[i].error), causes[i].what);
		assert_string_equal(told(causes[i].error), line);
	}
	for (unsigned i = 0; i < 3; i++)
		assert_string_equal(told(ENOBUFS), "");
	worker_fixture_pass(&f, 60000);
	snprintf(line, sizeof(line), "cannot accept clients, pausing: %s (4 times)\n",
		 strerror(ENOBUFS));
	assert_string_equal(told(ENOBUFS), line);
}

/* None is there to be given up: it is got when there is one again. */
static void without_a_spare_descriptor(void **state)
{
	teardown(state);
	kernel.no_files = true;
	open_for(&forward_frontend, -1);
	run_out();
	assert_int_equal(kernel.turned_away, 0);
	run_out();
	assert_int_equal(kernel.turned_away, 1);
	kernel.no_files = true; /* it is given up, and there is none in its place */
	run_out();
	assert_int_equal(kernel.turned_away, 2);
	run_out();
	assert_int_equal(kernel.turned_away, 2);
	kernel.no_files = false;
}

/* One that has gone again, or a signal, is no reason to stop. */
static void one_that_has_gone(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++)
		event(1, EV_READ); /* it tries for two after these */
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

/* A process without standard input has its first descriptor for that. */
static void descriptor_0_is_one_as_well(void **state)
{
	int input = dup(STDIN_FILENO);

	teardown(state);
	kernel.no_input = true;
	open_for(&forward_frontend, -1);
	assert_int_equal(kernel.spare_fd, 0);
	run_out();
	assert_int_equal(kernel.turned_away, 1);
	assert_int_equal(kernel.turned_away_fd, 0);
	assert_int_equal(kernel.spare_fd, 0);
	kernel.gives_0 = true;
	assert_int_equal(event(1, EV_READ), 1);
	kernel.gives_0 = false;
	assert_non_null(strstr(answered(kernel.last), "HTTP/1.1 204 "));
	acceptors_stop(acceptors);
	assert_false(is_open(0));
	teardown(state);
	assert_int_equal(pipe(ends), 0);
	dup2(ends[0], STDIN_FILENO);
	open_for(&forward_frontend, STDIN_FILENO);
	assert_int_equal(kernel.watched_count, 1);
	acceptors_stop(acceptors);
	assert_false(ev_is_active(kernel.watched[0]));
	dup2(input, STDIN_FILENO);
	close(input);
	close(ends[0]);
	close(ends[1]);
}

/* What pauses is over when it is stopped, and stopping it again closes nothing more. */
static void it_is_stopped_while_it_pauses(void **state)
{
	(void)state;
	kernel.errors[0] = EMFILE;
	kernel.error_count = 1;
	event(1, EV_READ);
	acceptors_stop(acceptors);
	assert_int_equal(dup2(STDERR_FILENO, kernel.spare_fd), kernel.spare_fd);
	worker_fixture_pass(&f, PAUSE_MS);
	assert_false(is_watching());
	acceptors_stop(acceptors);
	assert_true(is_open(kernel.spare_fd));
	close(kernel.spare_fd);
}

/* A worker that takes over begins when it is told. */
static void it_begins_when_it_may(void **state)
{
	teardown(state);
	assert_int_equal(pipe(ends), 0);
	open_for(&forward_frontend, ends[0]);
	assert_int_equal(kernel.watched_count, 1);
	assert_int_equal(kernel.watched[0]->fd, ends[0]);
	close(ends[1]);
	ev_run(loop, EVRUN_NOWAIT);
	assert_false(ev_is_active(kernel.watched[0]));
	assert_false(is_open(ends[0]));
	assert_int_equal(kernel.watched_count, 3);
	assert_true(ev_is_active(kernel.watched[1]) && ev_is_active(kernel.watched[2]));
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
	assert_false(is_watching());
	assert_false(is_open(addresses[0].fd) || is_open(addresses[1].fd));
	assert_false(is_open(kernel.spare_fd));
	acceptors_take_rest(acceptors); /* of none */
	assert_int_equal(kernel.calls, 72);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(more_where_more_wait),
		TEST(connections_are_counted),
		TEST(who_may_not_come_is_told),
		TEST(addresses_are_told_apart),
		TEST(those_of_a_load_balancer),
		TEST(descriptors_run_out),
		TEST(a_pause_is_told),
		TEST(without_a_spare_descriptor),
		TEST(one_that_has_gone),
		TEST(descriptor_0_is_one_as_well),
		TEST(it_is_stopped_while_it_pauses),
		TEST(what_cannot_be_watched),
		TEST(it_begins_when_it_may),
		TEST(the_rest_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
