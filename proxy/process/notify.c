/* Datagrams for the service manager (sd_notify(3)). */
#include "proxy/process/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "cache/base/decimal.h"
#include "proxy/base/close_fd.h"
#include "proxy/base/log.h"
#include "proxy/base/monotonic.h"

#define NUMBER_MAX ((uint64_t)1 << 56)

enum { MESSAGE_MAX = 512, US_PER_MS = 1000, WAIT_MAX_MS = 3600 * 1000 };

static char *socket_name; /* NULL for no service manager */
static int64_t half_us;   /* of the watchdog's time; 0 for no watchdog */
static int64_t alive_us;  /* when it was last sent a sign of life */

/* 0 for a text that is no number. */
static int64_t number_of(const char *text)
{
	uint64_t number;

	if (text == NULL || !decimal_read_capped(slice_str(text), NUMBER_MAX, &number))
		return 0;
	return (int64_t)number;
}

static char *take_variable(const char *name)
{
	const char *value = getenv(name);
	char *copy = value == NULL || value[0] == '\0' ? NULL : strdup(value);

	unsetenv(name);
	return copy;
}

void notify_init(void)
{
	char *usec = take_variable("WATCHDOG_USEC"), *pid = take_variable("WATCHDOG_PID");

	free(socket_name);
	socket_name = take_variable("NOTIFY_SOCKET");
	half_us = 0;
	alive_us = monotonic_us();
	if (socket_name != NULL && (pid == NULL || number_of(pid) == getpid()))
		half_us = number_of(usec) / 2;
	free(usec);
	free(pid);
}

/* A path, or with '@' a name in the abstract name space.  0 when it is neither. */
static socklen_t address_of(const char *name, struct sockaddr_un *ret_address)
{
	size_t n = strlen(name);

	*ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
	errno = EAFNOSUPPORT;
	if (n < 2 || (name[0] != '/' && name[0] != '@'))
		return 0;
	errno = ENAMETOOLONG;
	if (n >= sizeof(ret_address->sun_path))
		return 0;
	memcpy(ret_address->sun_path, name, n);
	if (name[0] == '@')
		ret_address->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

static bool send_to(const char *name, const char *message, size_t n)
{
	static const struct timeval wait = {.tv_sec = NOTIFY_WAIT_MS / 1000};
	struct sockaddr_un address;
	socklen_t length = address_of(name, &address);
	int fd = length == 0 ? -1 : socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool sent;

	if (fd < 0)
		return false;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	sent = sendto(fd, message, n, MSG_NOSIGNAL, (const struct sockaddr *)&address, length) ==
	       (ssize_t)n;
	close_keeping_errno(fd);
	return sent;
}

static void tell(const char *message)
{
	if (socket_name != NULL && !send_to(socket_name, message, strlen(message)))
		log_error("service manager: cannot send to NOTIFY_SOCKET %s: %s", socket_name,
			  strerror(errno));
}

void notify_hand_over(void)
{
	char number[32];

	if (socket_name == NULL)
		return;
	setenv("NOTIFY_SOCKET", socket_name, 1);
	if (half_us == 0)
		return;
	snprintf(number, sizeof(number), "%lld", (long long)half_us * 2);
	setenv("WATCHDOG_USEC", number, 1);
	snprintf(number, sizeof(number), "%d", (int)getpid());
	setenv("WATCHDOG_PID", number, 1);
	tell("WATCHDOG=1");
}

void notify_take_back(void)
{
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

/* `state` is its lines; what does not fit of the status, at the end, is cut. */
static void tell_state(const char *state, const char *status)
{
	char message[MESSAGE_MAX];
	size_t status_at = strlen(state) + strlen("STATUS=");

	snprintf(message, sizeof(message), "%sSTATUS=%s", state, status);
	/* A line in it would be another assignment. */
	for (size_t i = status_at; message[i] != '\0'; i++)
		if ((unsigned char)message[i] < ' ')
			message[i] = ' ';
	tell(message);
}

void notify_ready(const char *status)
{
	char state[64];

	snprintf(state, sizeof(state), "READY=1\nMAINPID=%d\n", (int)getpid());
	tell_state(state, status);
}

void notify_reloading(const char *status)
{
	char state[64];

	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%lld\n",
		 (long long)monotonic_us());
	tell_state(state, status);
}

void notify_stopping(const char *status, int64_t within_ms)
{
	char state[64];

	snprintf(state, sizeof(state), "STOPPING=1\nEXTEND_TIMEOUT_USEC=%lld\n",
		 (long long)within_ms * US_PER_MS);
	tell_state(state, status);
}

int notify_watchdog(void)
{
	int64_t left_us, now_us = monotonic_us();

	if (half_us == 0)
		return -1;
	left_us = alive_us + half_us - now_us;
	if (left_us <= 0) {
		tell("WATCHDOG=1");
		alive_us = now_us;
		left_us = half_us;
	}
	left_us = (left_us + US_PER_MS - 1) / US_PER_MS;
	return left_us < WAIT_MAX_MS ? (int)left_us : WAIT_MAX_MS;
}
