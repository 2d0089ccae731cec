/* LINKS: */
/*
 * A client that sends exactly COUNT requests over one connection and waits for each answer's head:
 * for counting instructions, where the number of requests must be known and nothing may vary.
 *
 *   ask PORT URL COUNT [FIELD]...     prints the last answer's head
 *
 * Answers must have no body.  With a DEPTH in the environment, that many are sent at once.
 */
#include <string.h>
#include <time.h>

#include "bench/client.h"

/* `depth` requests in `buffer`; returns their length. */
static size_t compose(char *buffer, size_t size, const char *url, char **fields,
		      unsigned long depth)
{
	const char *host = strstr(url, "//") ? strstr(url, "//") + 2 : url;
	int host_length = (int)strcspn(host, "/");
	size_t n = 0;
	for (unsigned long i = 0; i < depth; i++) {
		n += (size_t)snprintf(buffer + n, size - n, "GET %s HTTP/1.1\r\nHost: %.*s\r\n",
				      url, host_length, host);
		for (char **field = fields; *field; field++)
			n += (size_t)snprintf(buffer + n, size - n, "%s\r\n", *field);
		n += (size_t)snprintf(buffer + n, size - n, "\r\n");
		if (n >= size)
			exit(2);
	}
	return n;
}

/* Reads until `heads` heads have ended; the last is left in `ret_head`. */
static void read_heads(int fd, unsigned long heads, char *ret_head, size_t size)
{
	size_t used = 0;
	while (heads > 0) {
		ssize_t n = recv(fd, ret_head + used, size - 1 - used, 0);
		if (n <= 0)
			die("recv");
		used += (size_t)n;
		ret_head[used] = '\0';
		char *from = ret_head, *end;
		while (heads > 0 && (end = strstr(from, "\r\n\r\n"))) {
			if (--heads > 0)
				from = end + 4;
		}
		used -= (size_t)(from - ret_head);
		memmove(ret_head, from, used + 1);
	}
}

int main(int argc, char **argv)
{
	static char requests[64 * 1024], head[256 * 1024];
	if (argc < 4) {
		fprintf(stderr, "usage: ask PORT URL COUNT [FIELD]...\n");
		return 2;
	}
	const char *depth_text = getenv("DEPTH");
	unsigned long depth = depth_text ? strtoul(depth_text, NULL, 10) : 1;
	unsigned long count = strtoul(argv[3], NULL, 10);
	int fd = client_connect(strtoul(argv[1], NULL, 10));
	size_t length = compose(requests, sizeof(requests), argv[2], argv + 4, depth);
	for (unsigned long sent = 0; sent < count; sent += depth) {
		if (send(fd, requests, length, MSG_NOSIGNAL) != (ssize_t)length)
			die("send");
		read_heads(fd, depth, head, sizeof(head));
	}
	fputs(head, stdout);
	return 0;
}
