/* The admin address of a script, in a process of its own. */
#include "tests/support/scripted_admin.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/heads.h"
#include "tests/support/vectors.h"

enum { ASKED_MAX = 64 * 1024, REQUEST_MAX = 64 * 1024, ANSWER_MAX = 4 << 20 };

/* Shared with the process, which writes before it answers. */
struct asked_text {
	char last[REQUEST_MAX], text[ASKED_MAX];
	unsigned times; /* of the last one */
};

struct scripted_admin {
	pid_t process;
	int listener;
	struct asked_text *asked;
};

static void end_last(struct asked_text *asked)
{
	size_t n = strlen(asked->text);

	if (asked->times == 1)
		snprintf(asked->text + n, ASKED_MAX - n, "> %s\n", asked->last);
	else if (asked->times > 1)
		snprintf(asked->text + n, ASKED_MAX - n, "> %s (%u times)\n", asked->last,
			 asked->times);
	asked->times = 0;
}

static void note_request(struct asked_text *asked, const char *request)
{
	const char *end = strstr(request, " HTTP/1.1\r\n");
	char line[REQUEST_MAX];

	snprintf(line, sizeof(line), "%.*s%s", end != NULL ? (int)(end - request) : 0, request,
		 strstr(request, "\r\nAuthorization: Bearer ") != NULL ? " and a token" : "");
	if (strcmp(line, asked->last) != 0)
		end_last(asked);
	strcpy(asked->last, line);
	asked->times++;
}

/* False for a connection that only tries whether somebody listens. */
static bool read_request(int fd, char request[REQUEST_MAX])
{
	size_t n = 0;

	request[0] = '\0';
	while (strstr(request, "\r\n\r\n") == NULL) {
		ssize_t got = recv(fd, request + n, REQUEST_MAX - 1 - n, 0);

		if (got <= 0)
			return false;
		n += (size_t)got;
		request[n] = '\0';
	}
	return true;
}

static void send_text(int fd, const char *text, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, text, n, MSG_NOSIGNAL);

		if (sent <= 0)
			return;
		text += sent;
		n -= (size_t)sent;
	}
}

/* Runs are written out, and \r and \n are what they stand for. */
static size_t expand(struct slice line, char *to)
{
	size_t n = 0;

	if (!vectors_expand(line, 0, to, ANSWER_MAX))
		abort();
	for (const char *from = to; *from != '\0'; from++) {
		bool escaped = *from == '\\' && (from[1] == 'r' || from[1] == 'n');

		to[n++] = !escaped ? *from : from[1] == 'r' ? '\r' : '\n';
		from += escaped;
	}
	return n;
}

static bool begins_with(struct slice line, const char *start)
{
	return line.n >= strlen(start) && memcmp(line.p, start, strlen(start)) == 0;
}

static struct slice without(struct slice line, size_t n)
{
	return slice_of(line.p + n, line.n - n);
}

static void answer(int fd, struct slice line)
{
	static char text[ANSWER_MAX], byte;
	int n;

	if (begins_with(line, "raw ")) {
		send_text(fd, text, expand(without(line, 4), text));
	} else if (begins_with(line, "never")) {
		(void)!recv(fd, &byte, 1, 0);
	} else if (line.n > 0 && !begins_with(line, "close")) {
		n = snprintf(text, sizeof(text),
			     "HTTP/1.1 %.3s Text\r\nContent-Length: %zu\r\n\r\n%.*s", line.p,
			     line.n - 4, (int)line.n - 4, line.p + 4);
		send_text(fd, text, (size_t)n);
	}
}

static _Noreturn void serve(int listener, struct slice script, struct asked_text *asked)
{
	static char request[REQUEST_MAX];
	struct slice line = {0};
	bool stays = false;

	/* a test that fails leaves it behind, and its output would be waited for */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd >= 0 && read_request(fd, request)) {
			note_request(asked, request);
			if (!stays && !heads_take_line(&script, &line))
				line = SLICE("< close");
			stays = stays || begins_with(line, "<*");
			answer(fd, without(line, stays ? 3 : 2));
		}
		close(fd);
	}
}

struct scripted_admin *scripted_admin_begin(const char *path, struct slice script)
{
	struct scripted_admin *admin = calloc(1, sizeof(*admin));
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (admin == NULL)
		abort();
	unlink(path);
	strcpy(address.sun_path, path);
	admin->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	admin->asked = mmap(NULL, sizeof(*admin->asked), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (bind(admin->listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    listen(admin->listener, 16) != 0 || admin->asked == MAP_FAILED)
		abort();
	admin->process = fork();
	if (admin->process == 0)
		serve(admin->listener, script, admin->asked);
	return admin;
}

char *scripted_admin_end(struct scripted_admin *admin)
{
	char *asked;

	kill(admin->process, SIGKILL);
	waitpid(admin->process, NULL, 0);
	close(admin->listener);
	end_last(admin->asked);
	asked = strdup(admin->asked->text);
	munmap(admin->asked, sizeof(*admin->asked));
	free(admin);
	return asked;
}
