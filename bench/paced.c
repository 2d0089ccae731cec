/* LINKS: */
/*
 * A client at a fixed rate, whatever the answers do: each request is due at a time of its own, and
 * its latency counts from there, so that a server which stalls is charged for all who would have
 * come meanwhile.
 *
 *   paced PORT PID SECONDS [RATE CONNECTIONS RECORDS URL]...
 *
 * PID is the server's, which is one process.  One stream for each four arguments, side by side:
 * RATE requests a second with the gaps of independent clients (exponential), over CONNECTIONS kept
 * alive, one request at a time on each.  What is asked for is URL with a number after it: at random
 * below RECORDS, or counted from 0 when RECORDS is 0; a URL without its scheme (//host/path) is asked
 * for in origin form.  The first stream is what is measured:
 *
 *   requests hits p50 p99 p99.9 max undisturbed p50 p99 p99.9 max
 *
 * Hits are answers whose Cache-Status has "; hit"; latencies are in us, first of all requests, then
 * of the undisturbed ones.  Waiting for a free connection is part of the latency.
 *
 * On a machine that is shared, the longest latencies are those of a core that somebody else has.
 * That shows: the server had a request and did not run, by its CPU clock, or this client had one to
 * send and did not run, for longer than DISTURBANCE_NS.  Then all requests are left out from when
 * none was under way to when none is again: those that came meanwhile, and those behind them.  A
 * server that waits for a disk looks the same, so what is left out is to be compared, too.
 *
 * The CPU clock of another process is right only when that sleeps, so it is judged by the clock
 * some time after the last answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>

#include "bench/server.h"

enum {
	STREAM_ARGUMENTS = 4,
	STREAMS_MAX = 4,
	HEAD_LENGTH = 4096,
	EVENTS = 64,
	SECOND_NS = 1000000000,
	PATIENCE_S = 5,
	DISTURBANCE_NS = 500000, /* more than it takes to wake two idle cores */
	QUIET_NS = 50000,        /* without a request: the server sleeps by now */
};

struct connection {
	struct stream *stream;
	struct connection *next; /* while idle */
	int fd;
	int64_t due_ns, sent_ns, sent_cpu_ns;
	size_t used;
	char head[HEAD_LENGTH + 1];
};

struct latencies {
	int64_t *at_ns;
	size_t count;
};

struct stream {
	double rate;
	unsigned long records;
	const char *url, *host, *target;
	int host_length;
	struct connection *idle;
	int64_t next_ns;  /* when the next request is due */
	int64_t freed_ns; /* since when there is an idle connection */
	uint64_t sent, hits;
	struct latencies all, undisturbed;
	size_t settled; /* of all, those that are known to be undisturbed or not */
};

static struct stream streams[STREAMS_MAX];
static size_t stream_count, under_way;
static bool disturbed;             /* since none was under way */
static int64_t should_have_run_ns; /* the server, by its CPU clock, had it had its core */
static int64_t last_answer_ns;
static uint64_t random_state;
static clockid_t server_clock;
static int poller;

static int64_t now_ns(clockid_t clock)
{
	struct timespec now = {0, 0};
	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * SECOND_NS + now.tv_nsec;
}

static uint64_t random_next(void)
{
	uint64_t n = random_state += UINT64_C(0x9e3779b97f4a7c15);
	n = (n ^ (n >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	n = (n ^ (n >> 27)) * UINT64_C(0x94d049bb133111eb);
	return n ^ (n >> 31);
}

static int64_t random_gap_ns(double rate)
{
	double chance = ((double)(random_next() >> 11) + 1) * 0x1p-53;
	return (int64_t)(-log(chance) / rate * SECOND_NS);
}

static void release(struct connection *connection, int64_t now)
{
	struct stream *stream = connection->stream;
	if (!stream->idle)
		stream->freed_ns = now;
	connection->used = 0;
	connection->next = stream->idle;
	stream->idle = connection;
}

static void connect_one(struct stream *stream, unsigned long port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct connection *connection = calloc(1, sizeof(*connection));
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
	int on = 1;
	if (connection == NULL)
		die("connection");
	connection->stream = stream;
	connection->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connection->fd < 0 ||
	    connect(connection->fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
	    fcntl(connection->fd, F_SETFL, O_NONBLOCK) != 0 ||
	    epoll_ctl(poller, EPOLL_CTL_ADD, connection->fd, &event) != 0)
		die("connect");
	release(connection, 0);
}

static void open_stream(char **arguments, unsigned long port, double seconds)
{
	struct stream *stream = &streams[stream_count++];
	stream->rate = strtod(arguments[0], NULL);
	stream->records = strtoul(arguments[2], NULL, 10);
	stream->url = arguments[3];
	stream->host = strstr(stream->url, "//");
	stream->host = stream->host ? stream->host + 2 : stream->url;
	stream->host_length = (int)strcspn(stream->host, "/");
	stream->target =
		stream->host == stream->url + 2 ? stream->host + stream->host_length : stream->url;
	/* so many more than will be due that there is no need to count them */
	size_t room = (size_t)(stream->rate * seconds * 2) + 1000;
	stream->all.at_ns = calloc(room, sizeof(int64_t));
	stream->undisturbed.at_ns = calloc(room, sizeof(int64_t));
	if (stream->all.at_ns == NULL || stream->undisturbed.at_ns == NULL)
		die("stream");
	for (unsigned long n = strtoul(arguments[1], NULL, 10); n > 0; n--)
		connect_one(stream, port);
}

/* None is under way: what was answered since the last time stands together. */
static void settle(int64_t server_ns)
{
	struct stream *stream = &streams[0];
	struct latencies *to = &stream->undisturbed;
	size_t count = stream->all.count - stream->settled;
	if (!disturbed && should_have_run_ns - server_ns <= DISTURBANCE_NS) {
		memcpy(to->at_ns + to->count, stream->all.at_ns + stream->settled,
		       count * sizeof(int64_t));
		to->count += count;
	}
	stream->settled = stream->all.count;
	disturbed = false;
	should_have_run_ns = 0;
}

static void send_next(struct stream *stream)
{
	char request[2048];
	struct connection *connection = stream->idle;
	uint64_t number = stream->records ? random_next() % stream->records : stream->sent;
	int n = snprintf(request, sizeof(request), "GET %s%llu HTTP/1.1\r\nHost: %.*s\r\n\r\n",
			 stream->target, (unsigned long long)number, stream->host_length,
			 stream->host);
	int64_t could_ns = stream->next_ns > stream->freed_ns ? stream->next_ns : stream->freed_ns;

	stream->idle = connection->next;
	connection->due_ns = stream->next_ns;
	connection->sent_cpu_ns = now_ns(server_clock);
	connection->sent_ns = now_ns(CLOCK_MONOTONIC);
	if (under_way == 0 && connection->sent_ns - last_answer_ns > QUIET_NS)
		settle(connection->sent_cpu_ns);
	disturbed |= connection->sent_ns - could_ns > DISTURBANCE_NS;
	if (send(connection->fd, request, (size_t)n, MSG_NOSIGNAL) != n)
		die("send");
	under_way++;
	stream->sent++;
	stream->next_ns += random_gap_ns(stream->rate);
}

/* Sends what is due, as far as there are connections. */
static void send_due(int64_t now, int64_t end)
{
	for (struct stream *stream = streams; stream < streams + stream_count; stream++)
		while (stream->idle && stream->next_ns <= now && stream->next_ns < end)
			send_next(stream);
}

static void note_answer(struct connection *connection)
{
	struct stream *stream = connection->stream;
	int64_t now = now_ns(CLOCK_MONOTONIC);
	int64_t should_ns = connection->sent_cpu_ns + now - connection->sent_ns;

	if (strncmp(connection->head, "HTTP/1.1 204 ", 13) != 0) {
		fprintf(stderr, "paced: not a 204: %s\n", connection->head);
		exit(1);
	}
	stream->all.at_ns[stream->all.count++] = now - connection->due_ns;
	stream->hits += strstr(connection->head, "; hit") != NULL;
	/* of the other streams the server waits for the origin */
	if (stream == &streams[0] && should_ns > should_have_run_ns)
		should_have_run_ns = should_ns;
	under_way--;
	last_answer_ns = now;
	release(connection, now);
}

static void receive(struct connection *connection)
{
	ssize_t n = recv(connection->fd, connection->head + connection->used,
			 HEAD_LENGTH - connection->used, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		fprintf(stderr, "paced: the server has closed a connection\n");
		exit(1);
	}
	connection->used += (size_t)n;
	connection->head[connection->used] = '\0';
	if (strstr(connection->head, "\r\n\r\n"))
		note_answer(connection);
}

/* When to look again without an event: the next request that can be sent, or the end. */
static int64_t next_due(int64_t end)
{
	int64_t next = end;
	for (struct stream *stream = streams; stream < streams + stream_count; stream++)
		if (stream->idle && stream->next_ns < next)
			next = stream->next_ns;
	return next;
}

static void run(int64_t start, int64_t end)
{
	const int64_t patience_end = end + (int64_t)PATIENCE_S * SECOND_NS;
	struct epoll_event events[EVENTS];
	int64_t now = start;

	for (struct stream *stream = streams; stream < streams + stream_count; stream++)
		stream->next_ns = start + random_gap_ns(stream->rate);
	while (now < end || (under_way > 0 && now < patience_end)) {
		int64_t wait = (now < end ? next_due(end) : patience_end) - now;
		struct timespec timeout = {wait > 0 ? wait / SECOND_NS : 0,
					   wait > 0 ? wait % SECOND_NS : 0};
		int n = epoll_pwait2(poller, events, EVENTS, &timeout, NULL);
		if (n < 0 && errno != EINTR)
			die("epoll_pwait2");
		for (int i = 0; i < n; i++)
			receive(events[i].data.ptr);
		now = now_ns(CLOCK_MONOTONIC);
		send_due(now, end);
	}
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static void print_latencies(struct latencies *latencies)
{
	static const double quantiles[] = {0.5, 0.99, 0.999, 1};
	qsort(latencies->at_ns, latencies->count, sizeof(int64_t), compare);
	for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
		size_t at = latencies->count == 0
				    ? 0
				    : (size_t)(quantiles[i] * (double)(latencies->count - 1));
		printf(" %.1f", (double)latencies->at_ns[at] / 1e3);
	}
}

int main(int argc, char **argv)
{
	enum { FIRST = 4 };
	if (argc < FIRST + STREAM_ARGUMENTS || (argc - FIRST) % STREAM_ARGUMENTS != 0 ||
	    (argc - FIRST) / STREAM_ARGUMENTS > STREAMS_MAX) {
		fprintf(stderr,
			"usage: paced PORT PID SECONDS [RATE CONNECTIONS RECORDS URL]...\n");
		return 2;
	}
	double seconds = strtod(argv[3], NULL);
	if (clock_getcpuclockid((pid_t)strtol(argv[2], NULL, 10), &server_clock) != 0) {
		fprintf(stderr, "paced: no process %s\n", argv[2]);
		return 2;
	}
	poller = epoll_create1(0);
	prctl(PR_SET_TIMERSLACK, 1);
	random_state = (uint64_t)now_ns(CLOCK_MONOTONIC);
	for (char **at = argv + FIRST; *at; at += STREAM_ARGUMENTS)
		open_stream(at, strtoul(argv[1], NULL, 10), seconds);
	int64_t start = now_ns(CLOCK_MONOTONIC);
	run(start, start + (int64_t)(seconds * SECOND_NS));
	if (under_way > 0) {
		fprintf(stderr, "paced: %zu requests were not answered\n", under_way);
		return 1;
	}
	printf("%zu %llu", streams[0].all.count, (unsigned long long)streams[0].hits);
	print_latencies(&streams[0].all);
	printf(" %zu", streams[0].undisturbed.count);
	print_latencies(&streams[0].undisturbed);
	printf("\n");
	return 0;
}
