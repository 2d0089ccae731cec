/* A name server for tests that answers by script. */
#include "tests/support/name_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	MESSAGE_MAX = 2048,
	HEADER_SIZE = 12,
	CONNECTIONS_MAX = 64,
	LIE_TTL = 3600,
};

struct message {
	uint8_t bytes[MESSAGE_MAX];
	size_t length;
};

struct question {
	char name[256];
	int type;
	size_t length; /* of the header and the question */
};

/* An answer that waits for its time. */
struct later {
	struct ev_timer timer;
	struct name_server *server;
	struct later *next;
	const struct name_row *row;
	struct message question;
	struct sockaddr_in from;
};

struct connection {
	struct ev_io watcher;
	struct name_server *server;
};

struct name_server {
	struct ev_loop *loop;
	const struct name_row *rows;
	int foreign; /* a socket of another port */
	struct ev_io udp;
	struct ev_io listener;
	struct connection connections[CONNECTIONS_MAX];
	struct later *laters;
	unsigned questions[2];
	char address[32];
};

static void put16(struct message *message, unsigned value)
{
	message->bytes[message->length++] = (uint8_t)(value >> 8);
	message->bytes[message->length++] = (uint8_t)value;
}

static void put32(struct message *message, uint32_t value)
{
	put16(message, value >> 16);
	put16(message, value & 0xffff);
}

static void put_bytes(struct message *message, const void *bytes, size_t n)
{
	memcpy(message->bytes + message->length, bytes, n);
	message->length += n;
}

static bool read_question(const struct message *message, struct question *ret_question)
{
	size_t at = HEADER_SIZE;
	size_t n = 0;

	while (at < message->length && message->bytes[at] != 0) {
		size_t label = message->bytes[at++];

		if (label > 63 || at + label > message->length || n + label + 1 > 255)
			return false;
		memcpy(ret_question->name + n, message->bytes + at, label);
		n += label;
		at += label;
		ret_question->name[n++] = '.';
	}
	if (n == 0 || at + 5 > message->length)
		return false;
	ret_question->name[n - 1] = '\0';
	ret_question->type = message->bytes[at + 1] << 8 | message->bytes[at + 2];
	ret_question->length = at + 5;
	return true;
}

/* The header and the question again, as the start of an answer. */
static void start_answer(struct message *answer, const struct message *question, size_t length,
			 unsigned rcode, bool truncated)
{
	answer->length = 0;
	put_bytes(answer, question->bytes, length);
	answer->bytes[2] = (uint8_t)(0x81 | (truncated ? 2 : 0)); /* QR, RD */
	answer->bytes[3] = (uint8_t)(0x80 | rcode);               /* RA */
	memset(answer->bytes + 4, 0, 8);
	answer->bytes[5] = 1;
}

/* A record of the name asked for, or of the alias. */
static void put_record(struct message *answer, bool of_alias, int type, uint32_t ttl,
		       const void *data, size_t n)
{
	if (of_alias)
		put_bytes(answer, "\5alias\0", 7);
	else
		put16(answer, 0xc000 | HEADER_SIZE);
	put16(answer, (unsigned)type);
	put16(answer, 1);
	put32(answer, ttl);
	put16(answer, (unsigned)n);
	put_bytes(answer, data, n);
	answer->bytes[7]++;
}

static void put_addresses(struct message *answer, const struct name_row *row, const char *addresses)
{
	bool alias = row->trick == TRICK_CNAME;
	char text[1024];
	char *rest = NULL;
	char *one;

	snprintf(text, sizeof(text), "%s", addresses ? addresses : "");
	for (one = strtok_r(text, " ", &rest); one; one = strtok_r(NULL, " ", &rest)) {
		uint8_t bytes[16];
		bool v6 = inet_pton(AF_INET6, one, bytes) == 1;

		if (!v6 && inet_pton(AF_INET, one, bytes) != 1)
			abort();
		put_record(answer, alias, v6 ? NAME_AAAA : NAME_A, row->ttl, bytes, v6 ? 16 : 4);
	}
}

static void make_answer(struct message *answer, const struct message *message,
			const struct question *question, const struct name_row *row, bool tcp)
{
	bool truncated = !tcp && (row->trick == TRICK_TRUNCATED || row->trick == TRICK_TCP_CUT ||
				  row->trick == TRICK_TCP_SILENCE);

	start_answer(answer, message, question->length, row->rcode, truncated);
	if (truncated)
		return;
	if (row->trick == TRICK_GARBAGE) {
		memset(answer->bytes + 2, 0xee, 60);
		answer->length = 62;
		return;
	}
	if (row->trick == TRICK_CNAME || row->trick == TRICK_CNAME_ONLY)
		put_record(answer, false, 5, row->cname_ttl, "\5alias\0", 7);
	if (row->trick == TRICK_POINTER_LOOP)
		put_record(answer, false, 5, row->ttl,
			   (uint8_t[]){0xc0, (uint8_t)(answer->length + 12)}, 2);
	put_addresses(answer, row, row->addresses);
	if (row->trick == TRICK_CUT_RECORD)
		answer->length -= 2;
}

/* An answer that must not be believed. */
static void make_lie(struct message *lie, const struct message *message,
		     const struct question *question, const struct name_row *row)
{
	const struct name_row lying = {.ttl = LIE_TTL};

	start_answer(lie, message, question->length, 0, false);
	if (row->trick == TRICK_WRONG_ID_FIRST)
		lie->bytes[0] ^= 0x55;
	if (row->trick == TRICK_WRONG_NAME_FIRST)
		lie->bytes[HEADER_SIZE + 1] ^= 0x01;
	put_addresses(lie, &lying, question->type == NAME_A ? "203.0.113.66" : "2001:db8:666::1");
}

static void send_udp(struct name_server *server, const struct name_row *row,
		     const struct message *message, const struct sockaddr_in *to)
{
	const struct sockaddr *address = (const struct sockaddr *)to;
	int fd = server->udp.fd;
	struct message answer;
	struct question question;

	if (!read_question(message, &question))
		return;
	if (row->trick == TRICK_EMPTY_FIRST)
		sendto(fd, "", 0, 0, address, sizeof(*to));
	if (row->trick == TRICK_WRONG_ID_FIRST || row->trick == TRICK_WRONG_NAME_FIRST ||
	    row->trick == TRICK_FOREIGN_FIRST) {
		make_lie(&answer, message, &question, row);
		sendto(row->trick == TRICK_FOREIGN_FIRST ? server->foreign : fd, answer.bytes,
		       answer.length, 0, address, sizeof(*to));
	}
	make_answer(&answer, message, &question, row, false);
	sendto(fd, answer.bytes, answer.length, 0, address, sizeof(*to));
}

static const struct name_row *find_row(const struct name_server *server,
				       const struct question *question)
{
	static const struct name_row no_such_name = {.rcode = 3};
	const struct name_row *row;

	for (row = server->rows; row->name; row++)
		if (row->type == question->type && strcasecmp(row->name, question->name) == 0)
			return row;
	return &no_such_name;
}

static void later_free(struct later *later)
{
	struct later **at = &later->server->laters;

	while (*at != later)
		at = &(*at)->next;
	*at = later->next;
	ev_timer_stop(later->server->loop, &later->timer);
	free(later);
}

static void later_cb(struct ev_loop *loop, struct ev_timer *watcher, int events)
{
	struct later *later = watcher->data;

	(void)loop;
	(void)events;
	send_udp(later->server, later->row, &later->question, &later->from);
	later_free(later);
}

static void send_later(struct name_server *server, const struct name_row *row,
		       const struct message *message, const struct sockaddr_in *to)
{
	struct later *later = calloc(1, sizeof(*later));

	if (later == NULL)
		abort();
	later->server = server;
	later->row = row;
	later->question = *message;
	later->from = *to;
	later->next = server->laters;
	server->laters = later;
	ev_timer_init(&later->timer, later_cb, row->delay_ms / 1000.0, 0);
	later->timer.data = later;
	ev_timer_start(server->loop, &later->timer);
}

static void udp_cb(struct ev_loop *loop, struct ev_io *watcher, int events)
{
	struct name_server *server = watcher->data;
	struct sockaddr_in from;
	socklen_t from_length = sizeof(from);
	const struct name_row *row;
	struct message message;
	struct question question;
	ssize_t n;

	(void)loop;
	(void)events;
	n = recvfrom(watcher->fd, message.bytes, sizeof(message.bytes), 0, (struct sockaddr *)&from,
		     &from_length);
	message.length = n < 0 ? 0 : (size_t)n;
	if (!read_question(&message, &question))
		return;
	server->questions[false]++;
	row = find_row(server, &question);
	if (row->trick == TRICK_SILENCE)
		return;
	if (row->delay_ms > 0)
		send_later(server, row, &message, &from);
	else
		send_udp(server, row, &message, &from);
}

static void connection_close(struct connection *connection)
{
	ev_io_stop(connection->server->loop, &connection->watcher);
	close(connection->watcher.fd);
	connection->watcher.fd = -1;
}

/* Questions are small and come from this machine: each is read whole at once. */
static void tcp_cb(struct ev_loop *loop, struct ev_io *watcher, int events)
{
	struct connection *connection = watcher->data;
	struct name_server *server = connection->server;
	const struct name_row *row;
	struct message message;
	struct message answer;
	struct question question;
	uint8_t length[2];

	(void)loop;
	(void)events;
	if (recv(watcher->fd, length, 2, 0) != 2) {
		connection_close(connection);
		return;
	}
	message.length = (size_t)(length[0] << 8 | length[1]);
	if (message.length > MESSAGE_MAX ||
	    recv(watcher->fd, message.bytes, message.length, 0) != (ssize_t)message.length ||
	    !read_question(&message, &question)) {
		connection_close(connection);
		return;
	}
	server->questions[true]++;
	row = find_row(server, &question);
	if (row->trick == TRICK_TCP_SILENCE)
		return;
	make_answer(&answer, &message, &question, row, true);
	length[0] = (uint8_t)(answer.length >> 8);
	length[1] = (uint8_t)answer.length;
	send(watcher->fd, length, 2, MSG_NOSIGNAL);
	if (row->trick == TRICK_TCP_CUT) {
		send(watcher->fd, answer.bytes, answer.length / 2, MSG_NOSIGNAL);
		connection_close(connection);
		return;
	}
	send(watcher->fd, answer.bytes, answer.length, MSG_NOSIGNAL);
}

static void accept_cb(struct ev_loop *loop, struct ev_io *watcher, int events)
{
	struct name_server *server = watcher->data;
	int fd = accept(watcher->fd, NULL, NULL);
	unsigned i;

	(void)events;
	for (i = 0; i < CONNECTIONS_MAX; i++) {
		struct connection *connection = &server->connections[i];

		if (connection->watcher.fd >= 0)
			continue;
		ev_io_set(&connection->watcher, fd, EV_READ);
		ev_io_start(loop, &connection->watcher);
		return;
	}
	close(fd);
}

static int bound_socket(int type, uint16_t port, uint16_t *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0)
		abort();
	if (bind(fd, (struct sockaddr *)&address, length) < 0) {
		close(fd);
		return -1;
	}
	getsockname(fd, (struct sockaddr *)&address, &length);
	*ret_port = ntohs(address.sin_port);
	return fd;
}

/* One port for both: another is tried when TCP has it taken. */
static void open_sockets(struct name_server *server, int *ret_udp, int *ret_tcp)
{
	uint16_t port;

	for (;;) {
		*ret_udp = bound_socket(SOCK_DGRAM, 0, &port);
		*ret_tcp = bound_socket(SOCK_STREAM, port, &port);
		if (*ret_tcp >= 0)
			break;
		close(*ret_udp);
	}
	if (listen(*ret_tcp, 16) < 0)
		abort();
	snprintf(server->address, sizeof(server->address), "127.0.0.1:%u", port);
	server->foreign = bound_socket(SOCK_DGRAM, 0, &port);
}

struct name_server *name_server_new(struct ev_loop *loop, const struct name_row *rows)
{
	struct name_server *server = calloc(1, sizeof(*server));
	unsigned i;
	int udp;
	int tcp;

	if (server == NULL)
		abort();
	server->loop = loop;
	server->rows = rows;
	open_sockets(server, &udp, &tcp);
	ev_io_init(&server->udp, udp_cb, udp, EV_READ);
	ev_io_init(&server->listener, accept_cb, tcp, EV_READ);
	server->udp.data = server;
	server->listener.data = server;
	ev_io_start(loop, &server->udp);
	ev_io_start(loop, &server->listener);
	for (i = 0; i < CONNECTIONS_MAX; i++) {
		ev_io_init(&server->connections[i].watcher, tcp_cb, -1, EV_READ);
		server->connections[i].watcher.data = &server->connections[i];
		server->connections[i].server = server;
	}
	return server;
}

void name_server_free(struct name_server *server)
{
	unsigned i;

	while (server->laters != NULL)
		later_free(server->laters);
	for (i = 0; i < CONNECTIONS_MAX; i++)
		if (server->connections[i].watcher.fd >= 0)
			connection_close(&server->connections[i]);
	ev_io_stop(server->loop, &server->udp);
	ev_io_stop(server->loop, &server->listener);
	close(server->udp.fd);
	close(server->listener.fd);
	close(server->foreign);
	free(server);
}

void name_server_set(struct name_server *server, const struct name_row *rows)
{
	server->rows = rows;
}

const char *name_server_address(const struct name_server *server)
{
	return server->address;
}

unsigned name_server_questions(const struct name_server *server, bool tcp)
{
	return server->questions[tcp];
}
