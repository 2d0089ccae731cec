/*
 * A configuration in effect and what was made of it before workers are forked: its listening
 * sockets, its passwords.  The master has one, and a second one while it tries a new one
 * (master.h); workers have copies of what was there at their start.
 */
#ifndef PROXY_PROCESS_GENERATION_H
#define PROXY_PROCESS_GENERATION_H

#include <stdio.h>

#include "cache/base/diagnostic.h"
#include "conf/conf.h"
#include "proxy/access/credentials.h"
#include "proxy/base/admin_token.h"
#include "proxy/loop/listener.h"

/* Where options come from: a file, and settings over it; see conf_load(). */
struct generation_source {
	const char *file; /* NULL for none */
	char *const *settings;
	size_t setting_count;
};

struct generation {
	uint64_t number; /* from 1 on */
	struct conf *conf;
	struct credentials *credentials; /* NULL without a password file */
	struct admin_token token;        /* of the admin pages; empty for none */
	struct tls_server *tls;          /* of clients; NULL when no address has TLS */
	/* Of addresses bound: one for each worker, and those left over when there were more. */
	struct listener *sets;
	unsigned set_count;
	/* A pipe whose end tells workers that they may accept; -1 both when it is over. */
	int go[2];
};

/*
 * Check the files that options name, as a start would: a line on `errors` for each fault.
 * Addresses and a store that are in use are no faults, since a running proxy may be using them.
 */
bool generation_check_files(const struct conf *conf, FILE *errors);

/* Set the verbosity of this process's log, as the option log_level says. */
void generation_set_log_level(const struct conf *conf);

/*
 * The first: takes `conf` over and loads its passwords, which the user that we become may not be
 * allowed to read, and binds its addresses.  NULL with a line in `error`; then `conf` is the
 * caller's.
 */
struct generation *generation_first(struct conf *conf, struct diagnostic *error);

/* What the next one follows: of this program, or of the one before. */
struct generation_former {
	uint64_t number;
	const char *store, *user; /* options that have to stay */
	uint64_t store_size;
	unsigned slots; /* of workers, all generations together */
	const struct listener *sets;
	unsigned set_count;
};

struct generation_former generation_as_former(const struct generation *now, unsigned slots);

/*
 * The next: read, checked and bound, with the sockets shared that stay.  NULL with lines in
 * `errors`; then all is as before.
 */
struct generation *generation_next(const struct generation_former *former,
				   const struct generation_source *source, FILE *errors);

/* Connections are taken from here on, by its workers.  False with a line in `error`. */
bool generation_go(struct generation *generation, struct diagnostic *error);

/* The sockets of the `index`-th worker: its set, and a part of those that are left over; false
   without memory. */
bool generation_sockets(const struct generation *generation, unsigned index,
			struct listener *ret_listener);

/* For a worker after the fork, of this generation or another: close all but the sockets `own`. */
void generation_close_others(const struct generation *generation, bool is_its,
			     const struct listener *own);

/*
 * Close its sockets, and remove the files of Unix sockets that `kept` (NULL: that nothing else)
 * goes on with: no client is accepted any more.  For the process that bound them.
 */
void generation_close(struct generation *generation, const struct listener *kept);

/* The same, and free it. */
void generation_free(struct generation *generation, const struct listener *kept);

#endif
