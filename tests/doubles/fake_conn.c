/* Connections without sockets; see fake_conn.h. */
#include "tests/doubles/fake_conn.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "proxy/loop/deadline.h"
#include "tests/doubles/sure_memory.h"

enum {
	FAKE_MAGIC = 0x46616b65,
	FD_FIRST = 1 << 20, /* above all real descriptors */
	FREED_MAX = 1 << 16,
	CLOCK_FIRST_MS = 1, /* of the clock of deadlines: never 0, as on a machine that is up */
};

struct conn {
	uint32_t magic;
	bool closed;
	bool read, write; /* watched for */
	bool woken;
	bool unfinished;                             /* closing it is an RST */
	bool ready_read, ready_write, ready_expired; /* events of this turn, not handed out yet */
	bool handshaking;
	bool connected; /* at once */
	enum failure secured;
	int64_t expires_ms; /* 0 for never */
	unsigned looks;     /* after it has passed */
	struct fake_peer *peer;
	const struct conn_events *events;
	void *owner;
	unsigned worker;
};

static struct fake_peer *peers[FAKE_PEERS];
static unsigned peer_count;
static int connects;
static enum failure secures;
static int64_t now_ms;
static uint64_t progress;
static unsigned worker; /* the one whose turn it is */
static void *freed[FAKE_WORKERS][FREED_MAX];
static size_t freed_count[FAKE_WORKERS];
static unsigned fail_after;
static int fail_error;
static bool fail_armed;

/* Those of deadline.h that are set; of a connection, expires_ms is one. */
static struct {
	struct deadline *deadline;
	unsigned worker;
} deadlines[FAKE_PEERS];
static unsigned deadline_count;

/* ---- troubles ------------------------------------------------------------------------------- */

void fake_conn_fail(unsigned n, int error)
{
	fail_after = n;
	fail_error = error;
	fail_armed = true;
}

bool fake_conn_fail_never(void)
{
	bool happened = !fail_armed;

	fail_armed = false;
	return happened;
}

static bool fails(void)
{
	if (!fail_armed || fail_after-- > 0)
		return false;
	fail_armed = false;
	errno = fail_error;
	return true;
}

/* ---- peers ---------------------------------------------------------------------------------- */

void fake_bytes_add(struct fake_bytes *bytes, struct slice more)
{
	if (more.n > bytes->room - bytes->n) {
		bytes->room = 2 * (bytes->n + more.n);
		bytes->p = sure_memory(bytes->p, bytes->room, 1);
	}
	if (more.n > 0)
		memcpy(bytes->p + bytes->n, more.p, more.n);
	bytes->n += more.n;
}

struct fake_peer *fake_peer_new(void)
{
	struct fake_peer *peer = sure_memory(NULL, 1, sizeof(*peer));

	assert(peer_count < FAKE_PEERS);
	peer->fd = FD_FIRST + (int)peer_count;
	peer->room = peer->read_max = peer->send_max = SIZE_MAX;
	peer->pieces = UINT_MAX;
	peer->told = true;
	peers[peer_count++] = peer;
	progress++;
	return peer;
}

struct fake_peer *fake_peer_at(unsigned index)
{
	return index < peer_count ? peers[index] : NULL;
}

unsigned fake_peer_index(const struct fake_peer *peer)
{
	return (unsigned)(peer->fd - FD_FIRST);
}

struct fake_peer *fake_peer_connected(unsigned index)
{
	for (unsigned i = 0; i < peer_count; i++)
		if (peers[i]->address.any.sa_family != AF_UNSPEC && index-- == 0)
			return peers[i];
	return NULL;
}

void fake_peer_say(struct fake_peer *peer, struct slice bytes)
{
	if (!peer->ended && peer->error == 0 && peer->conn != NULL)
		fake_bytes_add(&peer->said, bytes);
}

void fake_peer_end(struct fake_peer *peer)
{
	peer->ended |= peer->conn != NULL;
}

void fake_peer_leave(struct fake_peer *peer)
{
	peer->gone |= peer->conn != NULL;
	fake_peer_end(peer);
}

void fake_peer_reset(struct fake_peer *peer)
{
	if (peer->conn == NULL)
		return;
	peer->said.n = peer->said.done;
	peer->ended = true;
	peer->error = ECONNRESET;
}

void fake_peer_decide(struct fake_peer *peer, int connect)
{
	peer->connect = connect;
}

struct slice fake_peer_got(const struct fake_peer *peer)
{
	return slice_of(peer->got.p, peer->got.n);
}

void fake_conn_connects(int connect)
{
	connects = connect;
}

void fake_conn_secures(enum failure failure)
{
	secures = failure;
}

unsigned fake_conn_open(void)
{
	unsigned open = 0;

	for (unsigned i = 0; i < peer_count; i++)
		open += peers[i]->conn != NULL;
	return open;
}

void fake_conn_forget(void)
{
	assert(fake_conn_open() == 0);
	assert(deadline_count == 0);
	for (unsigned i = 0; i < FAKE_WORKERS; i++)
		assert(freed_count[i] == 0);
	for (unsigned i = 0; i < peer_count; i++) {
		free(peers[i]->said.p);
		free(peers[i]->got.p);
		free(peers[i]);
	}
	peer_count = 0;
	connects = 0;
	secures = FAILURE_NONE;
	worker = 0;
	now_ms = 0;
	fail_armed = false;
}

void fake_conn_be(unsigned of)
{
	worker = of;
}

/* The kernel closes what a process had, with an RST when bytes are unread. */
void fake_conn_die(unsigned who)
{
	for (unsigned i = 0; i < peer_count; i++) {
		struct conn *conn = peers[i]->conn;

		if (conn == NULL || conn->worker != who)
			continue;
		peers[i]->got_reset |= peers[i]->said.done < peers[i]->said.n || conn->unfinished;
		peers[i]->got_end = peers[i]->killed = true;
		peers[i]->conn = NULL;
		free(conn);
		progress++;
	}
	for (unsigned i = deadline_count; i-- > 0;)
		if (deadlines[i].worker == who)
			deadlines[i] = deadlines[--deadline_count];
	for (size_t i = 0; i < freed_count[who]; i++)
		free(freed[who][i]);
	freed_count[who] = 0;
}

void fake_conn_cut(unsigned who)
{
	for (unsigned i = 0; i < peer_count; i++)
		if (peers[i]->conn != NULL && peers[i]->conn->worker == who)
			peers[i]->killed = true;
}

/* ---- time and events ------------------------------------------------------------------------ */

int64_t fake_conn_now_ms(void)
{
	return now_ms;
}

int64_t fake_conn_next_ms(void)
{
	int64_t next_ms = INT64_MAX;

	for (unsigned i = 0; i < peer_count; i++)
		if (peers[i]->conn != NULL && peers[i]->conn->expires_ms != 0 &&
		    peers[i]->conn->expires_ms < next_ms)
			next_ms = peers[i]->conn->expires_ms;
	for (unsigned i = 0; i < deadline_count; i++)
		if (deadlines[i].deadline->at_ms - CLOCK_FIRST_MS < next_ms)
			next_ms = deadlines[i].deadline->at_ms - CLOCK_FIRST_MS;
	return next_ms;
}

void fake_conn_pass(int64_t ms)
{
	now_ms += ms;
}

static bool hand_out(struct conn *conn);

static bool is_readable(const struct fake_peer *peer)
{
	return peer->connect == 0 &&
	       (peer->said.done < peer->said.n || peer->ended || peer->error != 0);
}

static bool is_writable(const struct fake_peer *peer)
{
	return peer->connect > 0 || (peer->connect == 0 && (!peer->told || peer->room > 0 ||
							    peer->error != 0 || peer->got_end));
}

static void find_events(struct conn *conn)
{
	conn->ready_read = conn->read && (conn->woken || is_readable(conn->peer));
	conn->ready_write = conn->write && (conn->woken || is_writable(conn->peer));
	conn->ready_expired = conn->expires_ms != 0 && conn->expires_ms <= now_ms;
	conn->woken = false;
}

bool conn_has_event(const struct conn *conn)
{
	return !conn->closed && ((conn->read && is_readable(conn->peer)) ||
				 (conn->write && is_writable(conn->peer)));
}

/* As deadline.h has it: what is there now comes before the deadline passes, in a later turn. */
static bool look_again(struct conn *conn)
{
	if (conn->looks >= DEADLINE_LOOKS || !conn_has_event(conn)) {
		conn->looks = 0;
		return false;
	}
	conn->looks++;
	conn->ready_expired = false;
	find_events(conn);
	conn->ready_expired = false;
	hand_out(conn);
	return true;
}

/* As io_cb() and the deadline of conn.c; an event goes when it is not waited for any more. */
static bool hand_out(struct conn *conn)
{
	bool any = false;

	if (!conn->closed && conn->ready_write && conn->write) {
		any = true;
		if (conn->handshaking) {
			conn->secured = secures;
			progress++;
		}
		conn->handshaking = false;
		conn->events->writable(conn->owner);
	}
	if (!conn->closed && conn->ready_read && conn->read) {
		any = true;
		conn->events->readable(conn->owner);
	}
	if (!conn->closed && conn->ready_expired && conn->expires_ms != 0 &&
	    conn->expires_ms <= now_ms) {
		any = true;
		if (look_again(conn))
			return true;
		progress++;
		conn->expires_ms = 0;
		conn->events->expired(conn->owner);
	}
	return any;
}

/* ---- deadline.h ----------------------------------------------------------------------------- */

int64_t deadlines_advance(int64_t monotonic_ms)
{
	(void)monotonic_ms; /* fake_conn_pass() is what moves it */
	return deadlines_now_ms();
}

int64_t deadlines_now_ms(void)
{
	return now_ms + CLOCK_FIRST_MS;
}

void deadline_init(struct deadline *deadline, const struct deadline_kind *kind, void *owner)
{
	*deadline = (struct deadline){.timer.data = owner, .at_ms = INT64_MAX, .kind = kind};
}

bool deadline_is_set(const struct deadline *deadline)
{
	return deadline->at_ms != INT64_MAX;
}

void deadline_clear(struct deadline *deadline)
{
	unsigned i = 0;

	while (i < deadline_count && deadlines[i].deadline != deadline)
		i++;
	if (i < deadline_count)
		deadlines[i] = deadlines[--deadline_count];
	deadline->at_ms = INT64_MAX;
}

void deadline_stop(struct deadline *deadline)
{
	deadline_clear(deadline);
}

void deadline_set(struct deadline *deadline, int64_t ms)
{
	assert(ms >= 0);
	deadline_clear(deadline);
	assert(deadline_count < FAKE_PEERS);
	deadlines[deadline_count].worker = worker;
	deadlines[deadline_count++].deadline = deadline;
	deadline->at_ms = deadlines_now_ms() + ms;
	if (ms > 1)
		deadline->looks = 0;
}

static bool is_due(const struct deadline *deadline)
{
	return deadline->at_ms <= deadlines_now_ms();
}

/* As look() of deadline.c: true when it is not to pass yet. */
static bool looks(struct deadline *deadline)
{
	return deadline->kind->look != NULL && deadline->looks < DEADLINE_LOOKS &&
	       ++deadline->looks && deadline->kind->look(deadline->timer.data);
}

/* Those that are due when it is called, but for one that another has put off. */
static bool pass_deadlines(void)
{
	struct deadline *due[FAKE_PEERS];
	unsigned count = 0;

	for (unsigned i = 0; i < deadline_count; i++)
		if (deadlines[i].worker == worker && is_due(deadlines[i].deadline))
			due[count++] = deadlines[i].deadline;
	for (unsigned i = 0; i < count; i++) {
		struct deadline *deadline = due[i];

		/* its memory is there until the end of the turn */
		if (!is_due(deadline) || looks(deadline))
			continue;
		progress++;
		deadline_clear(deadline);
		deadline->looks = 0;
		deadline->kind->passed(deadline->timer.data);
	}
	return count > 0;
}

uint64_t fake_conn_progress(void)
{
	return progress;
}

bool fake_conn_turn(bool backwards)
{
	/* connections made meanwhile have their first events in the next turn */
	unsigned count = peer_count, ready_count = 0;
	static struct conn *of_all[FAKE_WORKERS][FAKE_PEERS];
	struct conn **ready = of_all[worker];
	bool any = false;

	for (unsigned i = 0; i < count; i++) {
		struct conn *conn = peers[backwards ? count - 1 - i : i]->conn;

		if (conn == NULL || conn->worker != worker)
			continue;
		find_events(conn);
		if (conn->ready_read || conn->ready_write || conn->ready_expired)
			ready[ready_count++] = conn;
	}
	for (unsigned i = 0; i < ready_count; i++) {
		assert(ready[i]->magic == FAKE_MAGIC);
		any |= hand_out(ready[i]);
	}
	any |= pass_deadlines();
	return any;
}

void fake_conn_wake(struct fake_peer *peer)
{
	if (peer->conn != NULL && peer->connect == 0)
		peer->conn->woken = true;
}

/* ---- conn.h --------------------------------------------------------------------------------- */

void conn_setup(void *loop, struct turn *turn)
{
	(void)loop;
	(void)turn;
}

void turn_free(void *memory)
{
	assert(freed_count[worker] < FREED_MAX);
	if (memory != NULL)
		freed[worker][freed_count[worker]++] = memory;
}

void turn_free_all(void)
{
	for (size_t i = 0; i < freed_count[worker]; i++)
		free(freed[worker][i]);
	freed_count[worker] = 0;
}

static struct conn *conn_of(struct fake_peer *peer, const struct conn_events *events, void *owner)
{
	struct conn *conn = sure_memory(NULL, 1, sizeof(*conn));

	conn->magic = FAKE_MAGIC;
	conn->peer = peer;
	conn->events = events;
	conn->owner = owner;
	conn->worker = worker;
	peer->conn = conn;
	return conn;
}

struct conn *conn_new(int fd, const struct conn_events *events, void *owner)
{
	struct fake_peer *peer = fake_peer_at((unsigned)(fd - FD_FIRST));

	assert(peer != NULL && peer->conn == NULL);
	if (!fails())
		return conn_of(peer, events, owner);
	peer->got_end = true;
	return NULL;
}

struct conn *conn_connect(const union address *to, const struct conn_events *events, void *owner)
{
	struct fake_peer *peer;
	struct conn *conn;

	if (fails())
		return NULL;
	peer = fake_peer_new();
	peer->address = *to;
	peer->connect = connects;
	peer->told = false;
	conn = conn_of(peer, events, owner);
	/* each second one that succeeds does so at once */
	conn->connected = connects == 0 && peer_count % 2 == 0;
	conn->write = !conn->connected;
	return conn;
}

bool conn_is_connected(const struct conn *conn)
{
	return conn->connected;
}

struct conn *conn_connect_path(const char *path, const struct conn_events *events, void *owner)
{
	union address address = address_unix();
	struct conn *conn = conn_connect(&address, events, owner);

	if (conn != NULL)
		conn->peer->path = path;
	return conn;
}

int conn_connected(struct conn *conn)
{
	assert(!conn->closed);
	conn->peer->told = conn->peer->connect >= 0;
	/* undecided: a wake-up that nothing was behind; the kernel says 0 then, too */
	return conn->peer->connect > 0 ? conn->peer->connect : 0;
}

bool conn_secure(struct conn *conn, struct tls_context *context, struct slice host, uint16_t port)
{
	(void)context;
	(void)host;
	(void)port;
	if (fails())
		return false;
	conn->peer->secured = true;
	conn->handshaking = true;
	conn_watch(conn, false, true);
	return true;
}

bool conn_accept(struct conn *conn, struct tls_server *server)
{
	(void)server;
	return conn_secure(conn, NULL, slice_of(NULL, 0), 0);
}

const char *conn_peer_name(const struct conn *conn)
{
	return conn->peer->name;
}

bool conn_was_resumed(const struct conn *conn)
{
	return conn->peer->resumed;
}

void conn_leave_tls(struct conn *conn)
{
	conn->peer->secured = false;
}

/* What was said stays to be received. */
enum io conn_peek(struct conn *conn, char *to, size_t size, size_t *ret_n)
{
	size_t done = conn->peer->said.done;
	enum io io = conn_recv(conn, to, size, ret_n);

	conn->peer->said.done = done;
	return io;
}

enum failure conn_secured(const struct conn *conn, const char **ret_why)
{
	*ret_why = "";
	return conn->secured;
}

void conn_own(struct conn *conn, const struct conn_events *events, void *owner)
{
	assert(conn->magic == FAKE_MAGIC && !conn->closed);
	conn->events = events;
	conn->owner = owner;
}

/* What a call finds before it moves any byte. */
static enum io look(struct conn *conn)
{
	struct fake_peer *peer = conn->peer;

	assert(conn->magic == FAKE_MAGIC && !conn->closed && !conn->handshaking);
	assert(peer->connect == 0);
	if (fails()) {
		if (errno == EPIPE) {
			peer->ended = true;
			return IO_ERROR;
		}
		fake_peer_reset(peer);
	}
	if (peer->error == 0)
		return IO_OK;
	errno = peer->error;
	return IO_ERROR;
}

/* How much of `n` bytes moves at once. */
static size_t piece(struct fake_peer *peer, size_t n, size_t max)
{
	if (n <= max || peer->pieces == 0)
		return n;
	peer->pieces--;
	return max;
}

static enum io take(struct conn *conn, size_t size, struct slice *ret_bytes)
{
	struct fake_bytes *said = &conn->peer->said;
	size_t n = said->n - said->done;
	enum io io = look(conn);

	if (io != IO_OK)
		return io;
	if (n == 0)
		return conn->peer->ended ? IO_END : IO_AGAIN;
	n = n < size ? n : size;
	n = piece(conn->peer, n, conn->peer->read_max);
	*ret_bytes = slice_of(said->p + said->done, n);
	said->done += n;
	progress += n;
	return IO_OK;
}

enum io conn_recv(struct conn *conn, char *to, size_t size, size_t *ret_n)
{
	struct slice bytes;
	enum io io;

	assert(size > 0);
	io = take(conn, size, &bytes);
	if (io == IO_OK)
		memcpy(to, bytes.p, bytes.n);
	if (io == IO_OK || io == IO_END)
		*ret_n = io == IO_OK ? bytes.n : 0;
	return io;
}

/* Room for sending, at most `size`; IO_AGAIN when there is none. */
static enum io find_room(struct conn *conn, size_t size, size_t *ret_n)
{
	struct fake_peer *peer = conn->peer;
	enum io io = look(conn);

	if (io != IO_OK)
		return io;
	assert(!peer->got_end);
	*ret_n = size < peer->room ? size : peer->room;
	*ret_n = piece(peer, *ret_n, peer->send_max);
	return *ret_n == 0 && size > 0 ? IO_AGAIN : IO_OK;
}

static void give(struct fake_peer *peer, struct slice bytes)
{
	progress += bytes.n;
	peer->sent += bytes.n;
	if (peer->room != SIZE_MAX)
		peer->room -= bytes.n;
	if (!peer->gone) {
		fake_bytes_add(&peer->got, bytes);
		return;
	}
	/* nobody is there: its system says so */
	fake_peer_reset(peer);
}

enum io conn_send(struct conn *conn, const struct iovec *from, int count, size_t *ret_n)
{
	size_t size = 0, left;
	enum io io;

	for (int i = 0; i < count; i++)
		size += from[i].iov_len;
	if (conn->peer->secured)
		size = from->iov_len; /* TLS takes one part at a time */
	io = find_room(conn, size, &left);
	if (io != IO_OK)
		return io;
	*ret_n = left;
	for (; left > 0; from++) {
		size_t n = from->iov_len < left ? from->iov_len : left;

		give(conn->peer, slice_of(from->iov_base, n));
		left -= n;
	}
	return IO_OK;
}

/* Packets are none of a peer's business here. */
enum io conn_send_last(struct conn *conn, const struct iovec *from, int count, size_t *ret_n)
{
	return conn_send(conn, from, count, ret_n);
}

bool conn_can_splice(const struct conn *conn)
{
	return !conn->peer->secured;
}

enum io conn_splice_recv(struct conn *conn, int pipe, size_t size, size_t *ret_n)
{
	struct slice bytes;
	enum io io = take(conn, size, &bytes);
	ssize_t n;

	if (io != IO_OK)
		return io;
	n = write(pipe, bytes.p, bytes.n);
	conn->peer->said.done -= bytes.n - (n < 0 ? 0 : (size_t)n);
	if (n < 0)
		return errno == EAGAIN ? IO_AGAIN : IO_ERROR;
	*ret_n = (size_t)n;
	return IO_OK;
}

enum io conn_splice_send(struct conn *conn, int pipe, size_t size, size_t *ret_n)
{
	char bytes[4096];
	enum io io = find_room(conn, size < sizeof(bytes) ? size : sizeof(bytes), ret_n);
	ssize_t n;

	if (io != IO_OK)
		return io;
	n = read(pipe, bytes, *ret_n);
	if (n < 0)
		return errno == EAGAIN ? IO_AGAIN : IO_ERROR;
	give(conn->peer, slice_of(bytes, (size_t)n));
	*ret_n = (size_t)n;
	return n == 0 ? IO_END : IO_OK;
}

bool conn_is_quiet(struct conn *conn)
{
	assert(!conn->closed);
	return !is_readable(conn->peer) && !fails();
}

void conn_watch(struct conn *conn, bool read, bool write)
{
	if (conn->closed || (read == conn->read && write == conn->write))
		return;
	conn->read = read;
	conn->write = write;
	/* libev takes back what it found for the watcher */
	conn->ready_read = conn->ready_write = false;
}

void conn_deadline(struct conn *conn, int64_t ms)
{
	if (!conn->closed)
		conn->expires_ms = ms == 0 ? 0 : now_ms + ms;
}

void conn_read_now(struct conn *conn)
{
	if (!conn->closed && conn->read)
		conn->events->readable(conn->owner);
}

void conn_acknowledge(struct conn *conn)
{
	conn->peer->acknowledged++;
}

void conn_end(struct conn *conn)
{
	progress++;
	conn->peer->got_end = conn->peer->told_end = true;
}

/* What was said is still read, then the end. */
void conn_broken(struct conn *conn)
{
	progress++;
	conn->peer->ended = true;
}

int conn_fd(const struct conn *conn)
{
	return conn->peer->fd;
}

/* Closing with bytes unread resets the connection, as the kernel does. */
void conn_close(struct conn *conn)
{
	struct fake_peer *peer;

	if (conn == NULL || conn->closed)
		return;
	assert(conn->magic == FAKE_MAGIC);
	peer = conn->peer;
	peer->got_reset |= peer->said.done < peer->said.n || conn->unfinished;
	progress++;
	peer->got_end = true;
	peer->conn = NULL;
	conn->closed = true;
	turn_free(conn);
}

void conn_unfinished(struct conn *conn, bool is)
{
	if (conn != NULL)
		conn->unfinished = is;
}

void conn_abort(struct conn *conn)
{
	conn_unfinished(conn, true);
	conn_close(conn);
}
