/*
 * What front ends ask of the worker they are in: services that it made and that outlive every
 * request.  Pointers only, so that loop/ depends on none of them; callers include their headers.
 * For process/, which fills it in, and front/ (scripts/check-layers.py).  All others get what they
 * use when they are made.
 */
#ifndef PROXY_LOOP_ENV_H
#define PROXY_LOOP_ENV_H

#include <stdint.h>

struct access;
struct admin_token;
struct admission;
struct cache;
struct conf;
struct exchanges;
struct fetches;
struct leases;
struct logins;
struct stats_service;
struct store_counts;
struct tunnels;
struct turn;

/* What is written to the master for an operator: no process id. */
enum env_wish { ENV_ASKS_RELOAD = 0, ENV_ASKS_UPGRADE = INT32_MAX };

struct env {
	const struct conf *conf;
	struct turn *turn;
	struct cache *cache;
	const struct access *access;
	const struct admission *admission; /* of clients to what is stored */
	struct exchanges *exchanges;
	struct fetches *fetches;
	struct tunnels *tunnels;
	struct logins *logins;                 /* NULL without a password file */
	const struct admin_token *admin_token; /* its length is 0 without one */
	struct leases *leases; /* of background validations, shared with other workers */
	const struct store_counts *counts;
	const struct stats_service *service;
	int to_master; /* a pipe, see process/worker.h */
};

#endif
