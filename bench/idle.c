/* LINKS: */
/*
 * A client that opens COUNT connections, asks once on each and reads the answer, and then keeps
 * them open without a word until it is killed.
 *
 *   idle PORT URL COUNT     prints COUNT when all are idle
 *
 * Answers must have no body.  A URL without its scheme (//host/path) is asked for in origin form.
 */
#include <string.h>
#include <sys/resource.h>

#include "bench/client.h"

static void ask(int fd, const char *request)
{
	char head[4096];
	size_t n = 0;

	if (send(fd, request, strlen(request), 0) != (ssize_t)strlen(request))
		die("send");
	while (n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4) != 0) {
		ssize_t got = recv(fd, head + n, sizeof(head) - n, 0);

		if (got <= 0)
			die("recv");
		n += (size_t)got;
	}
}

static void allow_descriptors(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
	char request[1024];
	const char *host;

	if (argc != 4) {
		fprintf(stderr, "usage: idle PORT URL COUNT\n");
		return 2;
	}
	host = strstr(argv[2], "//") ? strstr(argv[2], "//") + 2 : argv[2];
	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: %.*s\r\n\r\n",
		 host == argv[2] + 2 ? host + strcspn(host, "/") : argv[2], (int)strcspn(host, "/"),
		 host);
	allow_descriptors();
	for (unsigned long i = strtoul(argv[3], NULL, 10); i > 0; i--)
		ask(client_connect(strtoul(argv[1], NULL, 10)), request);
	printf("%s\n", argv[3]);
	fflush(stdout);
	pause();
	return 0;
}
