/* Sockets on libev: events, one deadline each, memory freed at the end of the turn. */
#include "proxy/loop/conn.h"

#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "proxy/base/close_fd.h"
#include "proxy/base/log.h"
#include "proxy/base/monotonic.h"
#include "proxy/base/trouble.h"
#include "proxy/loop/deadline.h"
#include "proxy/loop/tls.h"
#include "proxy/loop/tls_server.h"
#include "proxy/loop/turn.h"

enum {
	CONN_MAGIC = 0x436f6e6e,
	/*
	 * Steps of handshakes in the events of a turn, each up to a millisecond: more wait for the
	 * next turn, as tasks, behind the events that are at hand then.
	 */
	SHARE_HANDSHAKES = 4,
	RECORD_MAX = 16384, /* content of one record of TLS */
};

struct conn {
	uint32_t magic;
	bool closed;
	bool handshaking : 1; /* the TLS handshake is under way */
	bool unfinished : 1;  /* ends with an RST */
	bool connected : 1;   /* by the time that conn_connect() returned */
	bool unwatched : 1;   /* the kernel tells no events of it: see unwatched() */
	uint8_t watched;      /* EV_READ | EV_WRITE as asked for */
	struct tls *tls;      /* NULL in the clear */
	ev_io io;
	struct deadline deadline;
	const struct conn_events *events;
	void *owner;
};

/* What malloc() adds brings it to 160; see struct client. */
_Static_assert(sizeof(struct conn) <= 152, "an idle client: 0.49 KiB with its connection");

static struct ev_loop *loop;
static struct turn *turn;
static struct share handshakes; /* of all connections together */
static char record[RECORD_MAX]; /* what is sent of several parts, in the event */

/* Memory that waits for the end of the turn. */
static void **freed;
static size_t freed_count, freed_room;

static struct trouble watch_trouble;

void conn_setup(void *ev_loop, struct turn *turns)
{
	loop = ev_loop;
	turn = turns;
}

void turn_free(void *memory)
{
	if (memory == NULL)
		return;
	if (freed_count == freed_room) {
		size_t room = freed_room == 0 ? 256 : 2 * freed_room;
		void **grown = realloc(freed, room * sizeof(*freed));

		if (grown == NULL)
			return; /* out of memory: a leak is better than a use after free */
		freed = grown;
		freed_room = room;
	}
	freed[freed_count++] = memory;
}

void turn_free_all(void)
{
	for (size_t i = 0; i < freed_count; i++)
		free(freed[i]);
	freed_count = 0;
}

/*
 * One that the kernel does not watch is shut down: every call of it decides at once, so what is
 * waited for is at hand, until its owner closes it.
 */
static void watch_socket(struct conn *conn, int wanted)
{
	if (conn->unwatched) {
		if (wanted != 0)
			ev_feed_event(loop, &conn->io, wanted);
		return;
	}
	if ((conn->io.events & (EV_READ | EV_WRITE)) == wanted && ev_is_active(&conn->io))
		return;
	ev_io_stop(loop, &conn->io);
	if (wanted == 0)
		return;
	ev_io_modify(&conn->io, wanted);
	ev_io_start(loop, &conn->io);
}

/*
 * The kernel does not watch this socket, and libev has stopped doing so: no event would ever come,
 * not even after ev_io_start(), as libev takes the same events for watched already.  The connection
 * ends: what has come is read, and then IO_ERROR, which every owner takes by closing.
 */
static void unwatched(struct conn *conn)
{
	uint64_t count;

	if (trouble_note(&watch_trouble, "watch", 1, monotonic_us() / 1000, &count))
		log_error("cannot watch a connection, which ends (%llu times): memory has run out, "
			  "or raise fs.epoll.max_user_watches",
			  (unsigned long long)count);
	conn->unwatched = true;
	conn_broken(conn);
}

/* After the last byte: an end that we have made ourselves is not the peer's. */
static enum io end_of(const struct conn *conn)
{
	if (!conn->unwatched)
		return IO_END;
	errno = ECONNRESET;
	return IO_ERROR;
}

static void io_cb(struct ev_loop *l, ev_io *io, int revents)
{
	struct conn *conn = io->data;

	(void)l;
	assert(conn->magic == CONN_MAGIC && !conn->closed);
	if (revents & EV_ERROR) {
		unwatched(conn);
		revents = conn->watched;
	}
	if (revents & EV_WRITE)
		conn->events->writable(conn->owner);
	if (revents & EV_READ && !conn->closed && conn->watched & EV_READ)
		conn->events->readable(conn->owner);
	if (!conn->closed && !ev_is_active(&conn->io))
		watch_socket(conn, conn->watched);
}

/*
 * The socket as TLS needs it for what the owner waits for.  Content that was decrypted but not
 * taken is an event that the socket will not tell.
 */
static void watch_tls(struct conn *conn)
{
	bool read = conn->watched & EV_READ, write = conn->watched & EV_WRITE;
	bool more = read && tls_has_more(conn->tls);

	tls_watch(conn->tls, &read, &write);
	watch_socket(conn, (read ? EV_READ : 0) | (write ? EV_WRITE : 0));
	if (more)
		ev_feed_event(loop, &conn->io, EV_READ);
}

static void hand_out(struct conn *conn)
{
	/* Either direction may have waited for the other's event. */
	if (conn->watched & EV_WRITE)
		conn->events->writable(conn->owner);
	if (!conn->closed && conn->watched & EV_READ)
		conn->events->readable(conn->owner);
	if (!conn->closed && conn->tls != NULL)
		watch_tls(conn);
}

static void take_step(struct conn *conn)
{
	if (tls_handshake(conn->tls) == IO_AGAIN) {
		watch_tls(conn);
		return;
	}
	conn->handshaking = false;
	conn->watched = EV_WRITE;
	hand_out(conn);
}

/* The socket and the owner may be gone by then. */
static void step_later(void *owner)
{
	struct conn *conn = owner;

	assert(conn->magic == CONN_MAGIC);
	if (!conn->closed) {
		take_step(conn);
		return;
	}
	tls_free(conn->tls);
	turn_free(conn);
}

/* A step that is put off is not asked for again by the socket. */
static void begin_step(struct conn *conn)
{
	struct task *task = tls_task(conn->tls);

	if (task_is_queued(task))
		return;
	if (share_take(&handshakes, turn, SHARE_HANDSHAKES)) {
		take_step(conn);
		return;
	}
	ev_io_stop(loop, &conn->io);
	*task = (struct task){.run = step_later, .owner = conn};
	turn_later(turn, task);
}

static void tls_io_cb(struct ev_loop *l, ev_io *io, int revents)
{
	struct conn *conn = io->data;

	(void)l;
	assert(conn->magic == CONN_MAGIC);
	if (revents & EV_ERROR)
		unwatched(conn);
	if (conn->handshaking)
		begin_step(conn);
	else
		hand_out(conn);
}

/* What the socket has of what is watched for, asked of the kernel: EV_READ | EV_WRITE. */
static int events_now(const struct conn *conn)
{
	int watched = ev_is_active(&conn->io) ? conn->io.events & (EV_READ | EV_WRITE) : 0;
	struct pollfd fd = {.fd = conn->io.fd};
	int events = 0;

	if (watched & EV_READ)
		fd.events |= POLLIN;
	if (watched & EV_WRITE)
		fd.events |= POLLOUT;
	if (watched == 0 || poll(&fd, 1, 0) <= 0)
		return 0;
	if (fd.revents & ~POLLOUT)
		events |= EV_READ;
	if (fd.revents & ~POLLIN)
		events |= EV_WRITE;
	return events & watched;
}

bool conn_has_event(const struct conn *conn)
{
	return !conn->closed && events_now(conn) != 0;
}

/* Closed or not, the memory stays until the end of the turn. */
static bool look(void *owner)
{
	struct conn *conn = owner;
	int events = events_now(conn);

	assert(conn->magic == CONN_MAGIC && !conn->closed);
	if (conn->handshaking && task_is_queued(tls_task(conn->tls)))
		return true;
	if (events != 0)
		ev_invoke(loop, &conn->io, events);
	return events != 0;
}

static void passed(void *owner)
{
	struct conn *conn = owner;

	assert(conn->magic == CONN_MAGIC && !conn->closed);
	conn->events->expired(conn->owner);
}

static const struct deadline_kind conn_deadlines = {.look = look, .passed = passed};

struct conn *conn_new(int fd, const struct conn_events *events, void *owner)
{
	struct conn *conn = malloc(sizeof(*conn));

	if (conn == NULL) {
		close(fd);
		return NULL;
	}
	*conn = (struct conn){.magic = CONN_MAGIC, .events = events, .owner = owner};
	ev_io_init(&conn->io, io_cb, fd, 0);
	conn->io.data = conn;
	deadline_init(&conn->deadline, &conn_deadlines, conn);
	return conn;
}

/*
 * Begin to connect; false with errno when it failed.  When a machine answers a SYN of its own, the
 * answer is there when the call returns, but it does not tell: asked again, the kernel does.
 */
static bool begin_connect(int fd, const struct sockaddr *to, socklen_t length, bool is_loopback,
			  bool *ret_connected)
{
	int result = connect(fd, to, length);

	if (result != 0 && errno == EINPROGRESS && is_loopback)
		result = connect(fd, to, length);
	*ret_connected = result == 0 || errno == EISCONN;
	return *ret_connected || errno == EINPROGRESS || errno == EALREADY;
}

static struct conn *connect_to(const struct sockaddr *to, socklen_t length, bool is_loopback,
			       const struct conn_events *events, void *owner)
{
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct conn *conn;
	bool connected;
	int on = 1;

	if (fd < 0)
		return NULL;
	if (to->sa_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (!begin_connect(fd, to, length, is_loopback, &connected)) {
		close_keeping_errno(fd);
		return NULL;
	}
	conn = conn_new(fd, events, owner);
	if (conn == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	conn->connected = connected;
	conn_watch(conn, false, !connected);
	return conn;
}

struct conn *conn_connect(const union address *to, const struct conn_events *events, void *owner)
{
	return connect_to(&to->any, address_length(to), address_is_loopback(to), events, owner);
}

struct conn *conn_connect_path(const char *path, const struct conn_events *events, void *owner)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(name.sun_path)) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	memcpy(name.sun_path, path, strlen(path));
	return connect_to((const struct sockaddr *)&name, sizeof(name), false, events, owner);
}

bool conn_is_connected(const struct conn *conn)
{
	return conn->connected;
}

int conn_connected(struct conn *conn)
{
	int error = 0;
	socklen_t length = sizeof(error);

	if (conn->connected)
		return 0;
	if (getsockopt(conn->io.fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
		return errno;
	return error;
}

static bool begin_tls(struct conn *conn, struct tls *tls)
{
	conn->tls = tls;
	if (tls == NULL)
		return false;
	conn->handshaking = true;
	ev_set_cb(&conn->io, tls_io_cb);
	watch_tls(conn);
	return true;
}

bool conn_secure(struct conn *conn, struct tls_context *context, struct slice host, uint16_t port)
{
	return begin_tls(conn, tls_new(context, conn->io.fd, host, port));
}

bool conn_accept(struct conn *conn, struct tls_server *server)
{
	return begin_tls(conn, tls_server_accept(server, conn->io.fd));
}

const char *conn_peer_name(const struct conn *conn)
{
	return conn->tls != NULL ? tls_peer(conn->tls) : NULL;
}

bool conn_was_resumed(const struct conn *conn)
{
	return conn->tls != NULL && tls_was_resumed(conn->tls);
}

void conn_leave_tls(struct conn *conn)
{
	assert(!conn->closed && !conn->handshaking && !task_is_queued(tls_task(conn->tls)));
	tls_free(conn->tls);
	conn->tls = NULL;
	ev_io_stop(loop, &conn->io);
	conn->watched = 0;
	ev_set_cb(&conn->io, io_cb);
}

enum failure conn_secured(const struct conn *conn, const char **ret_why)
{
	return tls_failure(conn->tls, ret_why);
}

void conn_own(struct conn *conn, const struct conn_events *events, void *owner)
{
	assert(conn->magic == CONN_MAGIC && !conn->closed);
	conn->events = events;
	conn->owner = owner;
}

static inline enum io recv_plain(const struct conn *conn, char *to, size_t size, int flags,
				 size_t *ret_n)
{
	ssize_t n;

	do
		n = recv(conn->io.fd, to, size, flags);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? IO_AGAIN : IO_ERROR;
	*ret_n = (size_t)n;
	return n == 0 ? end_of(conn) : IO_OK;
}

enum io conn_recv(struct conn *conn, char *to, size_t size, size_t *ret_n)
{
	assert(!conn->closed);
	if (conn->tls != NULL)
		return tls_recv(conn->tls, to, size, ret_n);
	return recv_plain(conn, to, size, 0, ret_n);
}

enum io conn_peek(struct conn *conn, char *to, size_t size, size_t *ret_n)
{
	assert(!conn->closed && conn->tls == NULL);
	if (conn->unwatched)
		return IO_ERROR; /* no more comes: who waits for more than there is would wait for ever */
	return recv_plain(conn, to, size, MSG_PEEK, ret_n);
}

/* What fits into one record, in one record. */
static enum io send_record(struct conn *conn, const struct iovec *from, int count, size_t *ret_n)
{
	size_t n = 0;

	if (count == 1 || from->iov_len >= sizeof(record))
		return tls_send(conn->tls, from->iov_base, from->iov_len, ret_n);
	for (int i = 0; i < count && n < sizeof(record); i++) {
		size_t room = sizeof(record) - n;
		size_t part = from[i].iov_len < room ? from[i].iov_len : room;

		if (part > 0)
			memcpy(record + n, from[i].iov_base, part);
		n += part;
	}
	return tls_send(conn->tls, record, n, ret_n);
}

static enum io send_parts(struct conn *conn, const struct iovec *from, int count, int flags,
			  size_t *ret_n)
{
	struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)from,
				 .msg_iovlen = (size_t)count};
	ssize_t n;

	assert(!conn->closed);
	if (conn->tls != NULL)
		return send_record(conn, from, count, ret_n);
	do
		n = count == 1 ? send(conn->io.fd, from->iov_base, from->iov_len, flags)
			       : sendmsg(conn->io.fd, &message, flags);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? IO_AGAIN : IO_ERROR;
	*ret_n = (size_t)n;
	return IO_OK;
}

enum io conn_send(struct conn *conn, const struct iovec *from, int count, size_t *ret_n)
{
	return send_parts(conn, from, count, MSG_NOSIGNAL, ret_n);
}

enum io conn_send_last(struct conn *conn, const struct iovec *from, int count, size_t *ret_n)
{
	return send_parts(conn, from, count, MSG_NOSIGNAL | MSG_MORE, ret_n);
}

static enum io splice_some(int from, int to, size_t size, size_t *ret_n)
{
	ssize_t n;

	do
		n = splice(from, NULL, to, NULL, size, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? IO_AGAIN : IO_ERROR;
	*ret_n = (size_t)n;
	return n == 0 ? IO_END : IO_OK;
}

bool conn_can_splice(const struct conn *conn)
{
	return conn->tls == NULL;
}

enum io conn_splice_recv(struct conn *conn, int pipe, size_t size, size_t *ret_n)
{
	enum io io;

	assert(!conn->closed);
	io = splice_some(conn->io.fd, pipe, size, ret_n);
	return io == IO_END ? end_of(conn) : io;
}

enum io conn_splice_send(struct conn *conn, int pipe, size_t size, size_t *ret_n)
{
	assert(!conn->closed);
	return splice_some(pipe, conn->io.fd, size, ret_n);
}

bool conn_is_quiet(struct conn *conn)
{
	char byte;

	if (conn->tls != NULL)
		return tls_is_quiet(conn->tls);
	return recv(conn->io.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
	       (errno == EAGAIN || errno == EWOULDBLOCK);
}

void conn_watch(struct conn *conn, bool read, bool write)
{
	int wanted = (read ? EV_READ : 0) | (write ? EV_WRITE : 0);

	if (conn->closed || (wanted == conn->watched && conn->tls == NULL))
		return;
	conn->watched = (uint8_t)wanted;
	if (conn->tls != NULL) {
		watch_tls(conn);
		return;
	}
	watch_socket(conn, wanted);
}

void conn_read_now(struct conn *conn)
{
	if (!conn->closed && conn->watched & EV_READ && conn->tls == NULL)
		conn->events->readable(conn->owner);
}

void conn_deadline(struct conn *conn, int64_t ms)
{
	if (conn->closed)
		return;
	if (ms == 0)
		deadline_clear(&conn->deadline);
	else
		deadline_set(&conn->deadline, ms);
}

void conn_acknowledge(struct conn *conn)
{
	static const int on = 1;

	setsockopt(conn->io.fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

void conn_end(struct conn *conn)
{
	if (conn->tls != NULL)
		tls_end(conn->tls);
	shutdown(conn->io.fd, SHUT_WR);
}

int conn_fd(const struct conn *conn)
{
	return conn->io.fd;
}

void conn_broken(struct conn *conn)
{
	shutdown(conn->io.fd, SHUT_RDWR);
}

void conn_close(struct conn *conn)
{
	if (conn == NULL || conn->closed)
		return;
	assert(conn->magic == CONN_MAGIC);
	ev_io_stop(loop, &conn->io);
	deadline_stop(&conn->deadline);
	if (conn->unfinished && conn->tls != NULL)
		tls_mute(conn->tls);
	conn->closed = true;
	if (conn->tls != NULL && task_is_queued(tls_task(conn->tls))) {
		close(conn->io.fd); /* the rest is for the task */
		return;
	}
	tls_free(conn->tls);
	close(conn->io.fd);
	turn_free(conn);
}

void conn_unfinished(struct conn *conn, bool is)
{
	struct linger linger = {.l_onoff = is, .l_linger = 0};

	if (conn == NULL || conn->closed || conn->unfinished == is)
		return;
	setsockopt(conn->io.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	conn->unfinished = is;
}

void conn_abort(struct conn *conn)
{
	conn_unfinished(conn, true);
	conn_close(conn);
}
