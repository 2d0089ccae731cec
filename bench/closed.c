/* LINKS: */
/*
 * A closed loop: each connection asks, waits for the answer, and asks again.
 *
 *   closed PORT URL SECONDS [NAME=VALUE]...
 *
 *   connections=64   at once
 *   depth=1          requests in one write, whose answers are all waited for
 *   kind=kept        connections are kept; `close`: each asks once, with Connection: close; `tunnel`: each
 *                    asks once, in a CONNECT tunnel, and is closed
 *   form=absolute    or `origin`, as a gateway is asked
 *   status=204       of every answer; others are counted as unexpected
 *   field=           a field line more
 *   keys=0           URL is followed by a number below this, at random; with zipf=S by Zipf's law
 *   from=-1          URL is followed by a number that is counted from this, `same` requests to a number
 *   same=1
 *   together=0       1: all connections ask at once, and again when all have their answers
 *   count=0          ends after so many requests, not after SECONDS
 *   hold=0           1: prints an empty line when connections are open, and waits for one before it asks
 *   tls=             file of the authority that the server's certificate is of
 *
 * One line of JSON is printed.  A latency is that of one write, from when it was to be sent to its last
 * answer; of a connection of its own, from before it was opened.  What was completed within SECONDS is
 * counted there, up to the last of it, as on a machine with others the server may have no core just then;
 * then what is under way is waited for, so `answers` is what the server had to do in all.
 * `in_flight` is the sum of the latencies by time: by Little's law the number of connections, unless some
 * were not served.
 */
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>

#include "bench/peer.h"

enum {
	INPUT_LENGTH = 64 * 1024,
	REQUEST_LENGTH = 4096,
	DEPTH_MAX = 64,
	EVENTS = 256,
	SECOND_NS = 1000000000,
	PATIENCE_S = 5,
	SOURCES =
		200, /* addresses that short connections come from, so that ports do not run out */
	CHOICES = 1 << 20, /* numbers drawn beforehand, and then used in turn */
	FINE = 6,          /* bits of a latency that are kept: within 1.6 % */
	BUCKETS = 64 << FINE,
	SHOWN_LENGTH = 60,
	CONNECT_TRIES = 3,
};

struct connection {
	struct peer peer;
	int64_t began_ns;
	unsigned due;   /* answers of this write that have not come */
	bool in_tunnel; /* CONNECT was answered */
	size_t used, body_left;
	unsigned long served;
	char input[INPUT_LENGTH + 1];
};

static struct {
	unsigned long port, connections, depth, keys, same, together, hold, count, status;
	long long from;
	double seconds, zipf;
	bool kept, tunnel, origin_form;
	const char *url, *field, *tls;
} option = {.connections = 64,
	    .depth = 1,
	    .same = 1,
	    .status = 204,
	    .from = -1,
	    .kept = true,
	    .field = ""};

static struct {
	unsigned long answers, completed, unexpected, errors, sent;
	double latency_sum_ns;
	int64_t longest_ns;
	unsigned long buckets[BUCKETS];
	char first_unexpected[SHOWN_LENGTH];
} result;

static struct connection *connections;
static uint32_t *choices;
static SSL_CTX *tls;
static int poller;
static size_t under_way, opened;
static int64_t last_ns; /* when the last of what is counted was completed */
static bool over;
static char before[REQUEST_LENGTH], after[REQUEST_LENGTH], connect_head[REQUEST_LENGTH];
static size_t before_length, after_length, host_length;
static const char *host;

static int64_t now_ns(void)
{
	struct timespec now = {0, 0};
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * SECOND_NS + now.tv_nsec;
}

static void stop(const char *what)
{
	fprintf(stderr, "closed: %s\n", what);
	exit(1);
}

/* ---- latencies ------------------------------------------------------------------------------ */

static size_t bucket_of(int64_t ns)
{
	uint64_t n = (uint64_t)ns | 1;
	int high = 63 - __builtin_clzll(n);
	int shift = high > FINE ? high - FINE : 0;
	size_t at = ((size_t)shift << FINE) + (size_t)(n >> shift);
	return at < BUCKETS ? at : BUCKETS - 1;
}

static double bucket_us(size_t at)
{
	size_t shift = at >> FINE, top = at & ((1 << FINE) - 1);
	if (shift == 0)
		return (double)top / 1e3;
	/* the number has its highest bit beside `top`, so a shift ends where the next begins */
	shift--;
	return ldexp((double)(top + (1 << FINE)) + 0.5, (int)shift) / 1e3;
}

static double quantile_us(double share)
{
	unsigned long seen = 0, all = 0;
	for (size_t i = 0; i < BUCKETS; i++)
		all += result.buckets[i];
	for (size_t i = 0; i < BUCKETS; i++) {
		seen += result.buckets[i];
		if (seen > 0 && (double)seen >= share * (double)all)
			return bucket_us(i);
	}
	return 0;
}

/* ---- what is asked for ---------------------------------------------------------------------- */

static uint64_t random_next(void)
{
	static uint64_t state = 1;
	uint64_t n = state += UINT64_C(0x9e3779b97f4a7c15);
	n = (n ^ (n >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	n = (n ^ (n >> 27)) * UINT64_C(0x94d049bb133111eb);
	return n ^ (n >> 31);
}

static double random_share(void)
{
	return (double)(random_next() >> 11) * 0x1p-53;
}

/* The same numbers in every run, so that all servers are asked for the same. */
static void draw_choices(void)
{
	double *reached = calloc(option.keys, sizeof(*reached)), sum = 0;
	choices = calloc(CHOICES, sizeof(*choices));
	if (choices == NULL || reached == NULL)
		die("keys");
	for (unsigned long i = 0; i < option.keys; i++)
		reached[i] = sum += pow((double)(i + 1), -option.zipf);
	for (size_t i = 0; i < CHOICES; i++) {
		double wanted = random_share() * sum;
		unsigned long low = 0, high = option.keys - 1;
		while (low < high) {
			unsigned long middle = (low + high) / 2;
			if (reached[middle] < wanted)
				low = middle + 1;
			else
				high = middle;
		}
		choices[i] = (uint32_t)low;
	}
	free(reached);
}

static void compose_parts(void)
{
	const char *path;
	host = strstr(option.url, "//");
	host = host != NULL ? host + 2 : option.url;
	host_length = strcspn(host, "/");
	path = host + host_length;
	before_length = (size_t)snprintf(before, sizeof(before), "GET %s",
					 option.origin_form || option.tunnel ? path : option.url);
	after_length = (size_t)snprintf(
		after, sizeof(after), " HTTP/1.1\r\nHost: %.*s\r\n%s%s%s\r\n", (int)host_length,
		host, option.field, *option.field != '\0' ? "\r\n" : "",
		option.kept || option.tunnel ? "" : "Connection: close\r\n");
	snprintf(connect_head, sizeof(connect_head), "CONNECT %.*s HTTP/1.1\r\nHost: %.*s\r\n\r\n",
		 (int)host_length, host, (int)host_length, host);
}

static char *put(char *at, const char *text, size_t n)
{
	memcpy(at, text, n);
	return at + n;
}

static char *put_request(char *at)
{
	unsigned long number = result.sent++;
	at = put(at, before, before_length);
	if (option.keys > 0)
		at += sprintf(at, "%u", choices[number % CHOICES]);
	else if (option.from >= 0)
		at += sprintf(at, "%llu", (unsigned long long)option.from + number / option.same);
	return put(at, after, after_length);
}

/* ---- connections ---------------------------------------------------------------------------- */

static int connect_from_anywhere(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)option.port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in from = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + (uint32_t)(opened++ % SOURCES))};
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	if ((!option.kept && bind(fd, (struct sockaddr *)&from, sizeof(from)) != 0) ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void shake_hands(struct connection *connection)
{
	char name[256];
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(host, ":/"), host);
	connection->peer.ssl = tls_open(tls, connection->peer.fd, name);
	if (SSL_connect(connection->peer.ssl) != 1)
		tls_stop("handshake");
	fcntl(connection->peer.fd, F_SETFL, O_NONBLOCK);
}

static void open_connection(struct connection *connection)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
	int fd = -1;
	for (int i = 0; i < CONNECT_TRIES && fd < 0; i++) {
		fd = connect_from_anywhere();
		result.errors += fd < 0;
	}
	if (fd < 0)
		die("closed: connect");
	connection->peer = (struct peer){.fd = fd};
	connection->used = connection->body_left = 0;
	connection->in_tunnel = false;
	if (tls != NULL)
		shake_hands(connection);
	if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) != 0)
		die("epoll_ctl");
}

static bool is_over(void)
{
	return option.count > 0 ? result.sent >= option.count : over;
}

static void send_requests(struct connection *connection)
{
	static char text[DEPTH_MAX * REQUEST_LENGTH];
	char *at = text;
	for (unsigned long i = 0; i < option.depth; i++)
		at = put_request(at);
	if (!peer_send(&connection->peer, text, (size_t)(at - text)))
		stop("the server does not take requests");
}

/* The next write of this connection, or of one in its place, unless it is time to end. */
static void ask(struct connection *connection, int64_t now)
{
	if (is_over())
		return;
	connection->began_ns = now;
	connection->due = (unsigned)option.depth;
	if (connection->peer.fd < 0)
		open_connection(connection);
	under_way++;
	if (!option.tunnel)
		send_requests(connection);
	else if (!peer_send(&connection->peer, connect_head, strlen(connect_head)))
		stop("the server does not take a CONNECT");
}

static void ask_all(int64_t now)
{
	for (unsigned long i = 0; i < option.connections; i++)
		ask(&connections[i], now);
}

static void give_up(struct connection *connection)
{
	result.errors++;
	under_way--;
	peer_close(&connection->peer);
	ask(connection, now_ns());
}

/* ---- answers -------------------------------------------------------------------------------- */

static void note_written_answered(struct connection *connection)
{
	int64_t now = now_ns(), took = now - connection->began_ns;
	if (!over) {
		last_ns = now;
		result.completed += option.depth;
		result.latency_sum_ns += (double)took;
		result.buckets[bucket_of(took)]++;
		connection->served += option.depth;
		if (took > result.longest_ns)
			result.longest_ns = took;
	}
	under_way--;
	if (!option.kept)
		peer_close(&connection->peer);
	if (!option.together)
		ask(connection, now);
	else if (under_way == 0)
		ask_all(now);
}

static void note_status(const char *head, unsigned long expected)
{
	/* a tunnel may also be opened by HTTP/1.0 */
	if (strncmp(head, "HTTP/1.", 7) == 0 && strtoul(head + 9, NULL, 10) == expected)
		return;
	if (result.unexpected++ == 0)
		snprintf(result.first_unexpected, SHOWN_LENGTH, "%.*s", (int)strcspn(head, "\r\""),
			 head);
}

/* Bytes after a head, by its Content-Length; 204 and 304 have none, and neither has what opens a tunnel. */
static size_t body_length(const char *head, const char *end)
{
	static const char name[] = "content-length:";
	if (strncmp(head + 9, "204", 3) == 0 || strncmp(head + 9, "304", 3) == 0)
		return 0;
	for (const char *line = head; (line = memchr(line, '\n', (size_t)(end - line))) != NULL;
	     line++)
		if (strncasecmp(line + 1, name, sizeof(name) - 1) == 0)
			return strtoul(line + sizeof(name), NULL, 10);
	stop("an answer without Content-Length");
	return 0;
}

/* Takes whole answers from the input: false where the connection has gone on to something else. */
static bool take_answers(struct connection *connection)
{
	char *from = connection->input, *stop_at = from + connection->used, *end;
	for (;;) {
		size_t here = (size_t)(stop_at - from);
		size_t body = connection->body_left < here ? connection->body_left : here;
		from += body;
		connection->body_left -= body;
		if (connection->body_left > 0 || connection->due == 0)
			break;
		end = memmem(from, (size_t)(stop_at - from), "\r\n\r\n", 4);
		if (end == NULL)
			break;
		if (option.tunnel && !connection->in_tunnel) {
			note_status(from, 200);
			connection->in_tunnel = true;
			connection->used = 0;
			send_requests(connection);
			return false;
		}
		note_status(from, option.status);
		connection->body_left = body_length(from, end);
		result.answers++;
		connection->due--;
		from = end + 4;
	}
	connection->used = (size_t)(stop_at - from);
	memmove(connection->input, from, connection->used);
	if (connection->due > 0 || connection->body_left > 0)
		return true;
	note_written_answered(connection);
	return false;
}

static void receive(struct connection *connection)
{
	for (;;) {
		ssize_t n = peer_recv(&connection->peer, connection->input + connection->used,
				      INPUT_LENGTH - connection->used);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			/* A kept connection that is closed while nothing is asked ends with the run. */
			if (connection->due > 0)
				give_up(connection);
			else
				peer_close(&connection->peer);
			return;
		}
		connection->used += (size_t)n;
		connection->input[connection->used] = '\0';
		if (!take_answers(connection) || connection->peer.ssl == NULL)
			return;
	}
}

/* ---- the run -------------------------------------------------------------------------------- */

static void run(void)
{
	struct epoll_event events[EVENTS];
	int64_t now = now_ns(), wanted_ns = now + (int64_t)(option.seconds * SECOND_NS);
	ask_all(now);
	while (under_way > 0) {
		int n = epoll_wait(poller, events, EVENTS, 100);
		if (n < 0 && errno != EINTR)
			die("epoll_wait");
		for (int i = 0; i < n; i++)
			receive(events[i].data.ptr);
		now = now_ns();
		/* What has come while this process did not run is counted, as is the time it did not. */
		over |= option.count == 0 && now >= wanted_ns;
		if (option.count == 0 && now > wanted_ns + (int64_t)PATIENCE_S * SECOND_NS)
			break;
	}
}

static void print_result(double seconds)
{
	struct rusage usage;
	unsigned long fewest = ULONG_MAX, most = 0;
	for (unsigned long i = 0; i < option.connections; i++) {
		fewest = connections[i].served < fewest ? connections[i].served : fewest;
		most = connections[i].served > most ? connections[i].served : most;
	}
	getrusage(RUSAGE_SELF, &usage);
	unsigned long writes = result.completed / option.depth;
	double cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	printf("{\"answers\": %lu, \"completed\": %lu, \"seconds\": %.6f, \"rate\": %.1f, ",
	       result.answers, result.completed, seconds, (double)result.completed / seconds);
	printf("\"mean_us\": %.2f, \"p50_us\": %.2f, \"p99_us\": %.2f, \"p999_us\": %.2f, "
	       "\"max_us\": %.2f, ",
	       writes > 0 ? result.latency_sum_ns / 1e3 / (double)writes : 0, quantile_us(0.5),
	       quantile_us(0.99), quantile_us(0.999), (double)result.longest_ns / 1e3);
	printf("\"in_flight\": %.2f, \"fewest\": %lu, \"most\": %lu, ",
	       result.latency_sum_ns / 1e9 / seconds, fewest, most);
	printf("\"unexpected\": %lu, \"first_unexpected\": \"%s\", \"errors\": %lu, "
	       "\"unanswered\": %zu, "
	       "\"load_cpu_s\": %.6f}\n",
	       result.unexpected, result.first_unexpected, result.errors, under_way, cpu_s);
}

static bool set_option(const char *text)
{
	const char *value = strchr(text, '=');
	size_t n = value != NULL ? (size_t)(value - text) : 0;
	struct {
		const char *name;
		unsigned long *number;
	} numbers[] = {{"connections", &option.connections},
		       {"depth", &option.depth},
		       {"keys", &option.keys},
		       {"same", &option.same},
		       {"count", &option.count},
		       {"together", &option.together},
		       {"hold", &option.hold},
		       {"status", &option.status}};
	struct {
		const char *name;
		const char **text;
	} texts[] = {{"field", &option.field}, {"tls", &option.tls}};
#define IS(word) (n == strlen(word) && strncmp(text, word, n) == 0)
	if (n == 0)
		return false;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (IS(numbers[i].name))
			return (*numbers[i].number = strtoul(value + 1, NULL, 10)), true;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (IS(texts[i].name))
			return (*texts[i].text = value + 1), true;
	if (IS("from"))
		option.from = strtoll(value + 1, NULL, 10);
	else if (IS("zipf"))
		option.zipf = strtod(value + 1, NULL);
	else if (IS("kind")) {
		option.kept = strcmp(value + 1, "kept") == 0;
		option.tunnel = strcmp(value + 1, "tunnel") == 0;
	} else if (IS("form"))
		option.origin_form = strcmp(value + 1, "origin") == 0;
	else
		return false;
#undef IS
	return true;
}

int main(int argc, char **argv)
{
	if (argc < 4) {
		fprintf(stderr, "usage: closed PORT URL SECONDS [NAME=VALUE]...\n");
		return 2;
	}
	option.port = strtoul(argv[1], NULL, 10);
	option.url = argv[2];
	option.seconds = strtod(argv[3], NULL);
	for (int i = 4; i < argc; i++)
		if (!set_option(argv[i]))
			stop(argv[i]);
	if (option.depth < 1 || option.depth > DEPTH_MAX || option.connections < 1 ||
	    option.same < 1)
		stop("connections, depth or same is out of range");
	signal(SIGPIPE, SIG_IGN);
	connections = calloc(option.connections, sizeof(*connections));
	poller = epoll_create1(EPOLL_CLOEXEC);
	if (connections == NULL || poller < 0)
		die("connections");
	if (option.tls != NULL)
		tls = tls_client(option.tls);
	if (option.keys > 0)
		draw_choices();
	compose_parts();
	for (unsigned long i = 0; i < option.connections; i++) {
		connections[i].peer.fd = -1;
		if (option.kept)
			open_connection(&connections[i]);
	}
	if (option.hold > 0) {
		puts("");
		fflush(stdout);
		getchar();
	}
	int64_t start = now_ns();
	run();
	/* without any answer, all of the time */
	print_result((double)((last_ns > 0 ? last_ns : now_ns()) - start) / SECOND_NS);
	return 0;
}
