/* Sockets that the service manager has bound (sd_listen_fds(3)). */
#include "proxy/loop/activation.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "cache/base/decimal.h"
#include "conf/conf.h"

enum { FIRST_FD = 3, NAME_MAX_SIZE = 64 };

static struct passed {
	union address address;
	char path[CONF_UNIX_PATH]; /* of a Unix socket, else "" */
	char name[NAME_MAX_SIZE];  /* FileDescriptorName of the unit, for messages */
	int fd;                    /* -1 when taken */
} passed[ACTIVATION_MAX];
static unsigned passed_count;

/* The variable's number, 0 when it has none; the variable is removed. */
static unsigned take_number(const char *variable)
{
	const char *text = getenv(variable);
	uint64_t number;

	if (text == NULL || !decimal_read_capped(slice_str(text), INT32_MAX, &number))
		number = 0;
	unsetenv(variable);
	return (unsigned)number;
}

/* The next of the names, which colons divide. */
static void take_name(const char **rest, char to[NAME_MAX_SIZE])
{
	size_t n = strcspn(*rest, ":");

	snprintf(to, NAME_MAX_SIZE, "%.*s", (int)(n < NAME_MAX_SIZE ? n : NAME_MAX_SIZE - 1),
		 *rest);
	*rest += n + ((*rest)[n] == ':');
}

static int number_of(int fd, int level, int option)
{
	int value = 0;
	socklen_t length = sizeof(value);

	return getsockopt(fd, level, option, &value, &length) == 0 ? value : -1;
}

/* What it is bound to; false when that is no address, and no file. */
static bool read_address(struct passed *socket)
{
	struct sockaddr_un name = {.sun_family = AF_UNSPEC};
	socklen_t length = sizeof(name);

	if (number_of(socket->fd, SOL_SOCKET, SO_DOMAIN) != AF_UNIX) {
		length = sizeof(socket->address);
		return number_of(socket->fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP &&
		       getsockname(socket->fd, &socket->address.any, &length) == 0;
	}
	socket->address = address_unix();
	if (number_of(socket->fd, SOL_SOCKET, SO_TYPE) != SOCK_STREAM ||
	    getsockname(socket->fd, (struct sockaddr *)&name, &length) != 0)
		return false;
	snprintf(socket->path, sizeof(socket->path), "%.*s", (int)sizeof(name.sun_path) - 1,
		 name.sun_path);
	return socket->path[0] == '/';
}

/* What is wrong with it, NULL for nothing. */
static const char *look_at(struct passed *socket)
{
	int flags = fcntl(socket->fd, F_GETFL);

	if (flags < 0)
		return "it is not open";
	if (number_of(socket->fd, SOL_SOCKET, SO_ACCEPTCONN) != 1 || !read_address(socket))
		return "not a listening TCP or Unix socket: it needs ListenStream=ADDRESS:PORT or "
		       "ListenStream=/path, and Accept=no";
	/* Clients of IPv4 would come as those of IPv6, for which other rules may hold. */
	if (socket->address.any.sa_family == AF_INET6 && address_is_wildcard(&socket->address) &&
	    number_of(socket->fd, IPPROTO_IPV6, IPV6_V6ONLY) != 1)
		return "takes clients of IPv4 as well: it needs BindIPv6Only=ipv6-only";
	if (fcntl(socket->fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
	    fcntl(socket->fd, F_SETFD, FD_CLOEXEC) != 0)
		return "its flags cannot be set";
	return NULL;
}

bool activation_init(struct diagnostic *error)
{
	bool ours = take_number("LISTEN_PID") == (unsigned)getpid();
	unsigned count = take_number("LISTEN_FDS");
	const char *names = getenv("LISTEN_FDNAMES");
	const char *why = NULL;

	passed_count = 0;
	if (ours && count > ACTIVATION_MAX) {
		diagnostic_set(error, "socket activation: more than %d sockets", ACTIVATION_MAX);
		return false;
	}
	if (names == NULL)
		names = "";
	for (unsigned i = 0; ours && i < count && why == NULL; i++) {
		struct passed *socket = &passed[passed_count++];

		*socket = (struct passed){.fd = FIRST_FD + (int)i};
		take_name(&names, socket->name);
		why = look_at(socket);
		if (why != NULL)
			diagnostic_set(error, "socket activation: descriptor %d (%s): %s",
				       socket->fd, socket->name, why);
	}
	unsetenv("LISTEN_FDNAMES");
	return why == NULL;
}

int activation_take(const union address *address, const char *path)
{
	for (unsigned i = 0; i < passed_count; i++) {
		int fd = passed[i].fd;

		if (fd >= 0 && address_equal(&passed[i].address, address) &&
		    address_port(&passed[i].address) == address_port(address) &&
		    strcmp(passed[i].path, path) == 0) {
			passed[i].fd = -1;
			return fd;
		}
	}
	return -1;
}

bool activation_all_taken(struct diagnostic *error)
{
	char text[ADDRESS_TEXT_SIZE];

	for (unsigned i = 0; i < passed_count; i++) {
		if (passed[i].fd < 0)
			continue;
		address_format_port(&passed[i].address, text);
		diagnostic_set(
			error,
			"socket activation: %s (%s): none of the options listen, gateway and "
			"admin has "
			"that address, and one has to, or the socket unit not",
			passed[i].path[0] != '\0' ? passed[i].path : text, passed[i].name);
		return false;
	}
	return true;
}
