/*
 * The proxies that --node names, by addresses of their admin pages.
 */
#ifndef PROXY_CLI_NODES_H
#define PROXY_CLI_NODES_H

#include "proxy/cli/ask.h"
#include "proxy/cli/commands.h"

enum {
	NODES_ADDRESSES_MAX = 256,
	NODES_LOOKUP_MS = 5000, /* for all names together */
};

struct nodes {
	struct place at[NODES_ADDRESSES_MAX];
	size_t count;
};

/*
 * Each is "unix:PATH", an address or a name, with or without ":PORT"; the port is by default that
 * of the first admin address of the configuration.  A name is all its addresses, each once.  False
 * with a line in `error`.
 */
bool nodes_find(const struct arguments *arguments, const struct conf *conf, struct nodes *ret_nodes,
		struct diagnostic *error);

/*
 * Run `work` for each node in a process of its own, so that none waits for another.  It returns an
 * exit status, and prints whole lines.  Returns at how many nodes it failed.
 */
size_t nodes_do(const struct nodes *nodes, int (*work)(void *context, const struct place *place),
		void *context);

#endif
