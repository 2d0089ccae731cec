/* Finds the addresses of nodes, and works at all of them at the same time. */
#include "proxy/cli/nodes.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/monotonic.h"

enum { ADMIN_PORT = 3129, NODE_NAME_MAX = 300 };

/* ---- addresses ------------------------------------------------------------------------------ */

static bool add(struct nodes *nodes, const struct place *place, struct diagnostic *error)
{
	char name[PLACE_NAME], other[PLACE_NAME];

	place_name(place, name);
	for (size_t i = 0; i < nodes->count; i++) {
		place_name(&nodes->at[i], other);
		if (strcmp(name, other) == 0)
			return true;
	}
	if (nodes->count == NODES_ADDRESSES_MAX) {
		diagnostic_set(error, "--node: more than %d addresses", NODES_ADDRESSES_MAX);
		return false;
	}
	nodes->at[nodes->count++] = *place;
	return true;
}

static uint16_t admin_port(const struct conf *conf)
{
	char host[NODE_NAME_MAX];
	uint16_t port;

	for (size_t i = 0; i < conf->admin.count; i++) {
		if (strlen(conf->admin.at[i]) < 64 &&
		    conf_split_address(conf->admin.at[i], host, &port) && port != 0)
			return port;
	}
	return ADMIN_PORT;
}

/* "host", "host:port", "[::1]", "[::1]:port" or "::1" taken apart; false when it is none. */
static bool split(const char *node, char host[NODE_NAME_MAX], uint16_t *port)
{
	const char *colon = strrchr(node, ':'), *bracket = strchr(node, ']');
	size_t n = strlen(node);
	char *end;
	unsigned long number;

	if (n == 0 || n >= NODE_NAME_MAX)
		return false;
	/* more than one colon and no bracket: an address without a port */
	if (bracket == NULL && colon != NULL && strchr(node, ':') != colon)
		colon = NULL;
	if (colon != NULL && (bracket == NULL || colon > bracket)) {
		number = strtoul(colon + 1, &end, 10);
		if (end == colon + 1 || *end != '\0' || number == 0 || number > UINT16_MAX)
			return false;
		*port = (uint16_t)number;
		n = (size_t)(colon - node);
	}
	if (node[0] == '[' && node[n - 1] == ']')
		node++, n -= 2;
	memcpy(host, node, n);
	host[n] = '\0';
	return n > 0;
}

/* A look-up in a thread of the C library, which goes on when it is not waited for any more. */
struct lookup {
	struct gaicb asked;
	char host[NODE_NAME_MAX];
};

/* Wait for it, within what is left of the time. */
static int wait_for(struct lookup *lookup, int64_t deadline_us)
{
	const struct gaicb *all[] = {&lookup->asked};
	int status;

	while ((status = gai_error(&lookup->asked)) == EAI_INPROGRESS) {
		int64_t left_us = deadline_us - monotonic_us();

		if (left_us <= 0)
			return EAI_INPROGRESS;
		gai_suspend(all, 1,
			    &(struct timespec){.tv_sec = left_us / 1000000,
					       .tv_nsec = left_us % 1000000 * 1000});
	}
	return status;
}

static bool add_found(struct nodes *nodes, const struct addrinfo *at, uint16_t port,
		      struct diagnostic *error)
{
	bool ok = true;

	for (; ok && at != NULL; at = at->ai_next) {
		struct place place = {0};

		if (at->ai_addrlen > sizeof(place.address))
			continue;
		memcpy(&place.address, at->ai_addr, at->ai_addrlen);
		address_set_port(&place.address, port);
		ok = add(nodes, &place, error);
	}
	return ok;
}

/* All addresses of a name. */
static bool add_name(struct nodes *nodes, struct lookup *lookup, uint16_t port, int64_t deadline_us,
		     struct diagnostic *error)
{
	static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct gaicb *asked = &lookup->asked;
	int status;
	bool ok = false;

	lookup->asked.ar_name = lookup->host;
	lookup->asked.ar_request = &hints;
	status = getaddrinfo_a(GAI_NOWAIT, &asked, 1, NULL);
	if (status == 0)
		status = wait_for(lookup, deadline_us);
	if (status == 0)
		ok = add_found(nodes, lookup->asked.ar_result, port, error);
	else
		diagnostic_set(error, "--node %s: no address is found: %s", lookup->host,
			       status == EAI_INPROGRESS ? "no answer in time"
							: gai_strerror(status));
	if (status == 0)
		freeaddrinfo(lookup->asked.ar_result);
	if (status != EAI_INPROGRESS)
		free(lookup);
	return ok;
}

static bool add_node(struct nodes *nodes, const char *node, uint16_t port, int64_t deadline_us,
		     struct diagnostic *error)
{
	struct lookup *lookup = calloc(1, sizeof(*lookup));
	struct place place = {0};
	bool ok;

	if (lookup != NULL && split(node, lookup->host, &port)) {
		if (!address_parse(slice_str(lookup->host), &place.address))
			return add_name(nodes, lookup, port, deadline_us, error);
		address_set_port(&place.address, port);
		ok = add(nodes, &place, error);
	} else {
		diagnostic_set(error, "--node %s: not an address or a name, with or without :PORT",
			       node);
		ok = false;
	}
	free(lookup);
	return ok;
}

bool nodes_find(const struct arguments *arguments, const struct conf *conf, struct nodes *ret_nodes,
		struct diagnostic *error)
{
	int64_t deadline_us = monotonic_us() + INT64_C(1000) * NODES_LOOKUP_MS;
	bool ok = true;

	ret_nodes->count = 0;
	for (size_t i = 0; ok && i < arguments->node_count; i++) {
		const char *node = arguments->nodes[i];
		struct place place;

		if (strncmp(node, "unix:", 5) == 0)
			ok = place_reached_here("--node", node, &place, error) &&
			     add(ret_nodes, &place, error);
		else
			ok = add_node(ret_nodes, node, admin_port(conf), deadline_us, error);
	}
	return ok;
}

/* ---- work ----------------------------------------------------------------------------------- */

static pid_t begin(int (*work)(void *context, const struct place *place), void *context,
		   const struct place *place)
{
	pid_t child;
	int status;

	fflush(stdout);
	fflush(stderr);
	child = fork();
	if (child != 0)
		return child;
	/* lines of several processes stay whole */
	setvbuf(stderr, NULL, _IOLBF, BUFSIZ);
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	status = work(context, place);
	if (fflush(stdout) != 0)
		status = EXIT_USAGE;
	_exit(status);
}

static bool has_succeeded(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			return false;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
}

size_t nodes_do(const struct nodes *nodes, int (*work)(void *context, const struct place *place),
		void *context)
{
	pid_t children[NODES_ADDRESSES_MAX];
	size_t failed = 0;

	for (size_t i = 0; i < nodes->count; i++)
		children[i] = begin(work, context, &nodes->at[i]);
	for (size_t i = 0; i < nodes->count; i++)
		failed += children[i] < 0 || !has_succeeded(children[i]);
	return failed;
}
