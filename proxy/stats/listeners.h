/*
 * Traffic by the address that it came to: of the proxy's, and of each gateway.
 *
 * Addresses have rows, numbered for the life of the service: the first process gives them out
 * before it makes the workers of a configuration, and they stay when a later one has the address
 * no more.  What comes after the last row is counted together, in row 0.
 */
#ifndef PROXY_STATS_LISTENERS_H
#define PROXY_STATS_LISTENERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "proxy/stats/answers.h"

enum {
	LISTENER_ROWS = 128,
	LISTENER_ADDRESS_SIZE = 120,
	LISTENER_ORIGIN_SIZE = 312,
};

struct listener_name {
	char address[LISTENER_ADDRESS_SIZE]; /* as bound, with its port */
	char origin[LISTENER_ORIGIN_SIZE];   /* that a gateway stands for; "" of the proxy's */
};

/* In memory that is shared over fork(), all zero at first: row 0 has no address. */
struct listener_names {
	_Atomic unsigned count; /* rows given out; names below it never change */
	struct listener_name at[LISTENER_ROWS];
};

/* A row of a worker's block. */
struct listener_counts {
	_Atomic uint64_t connections;          /* accepted */
	_Atomic uint64_t answer[ANSWER_COUNT]; /* requests, when they end */
	_Atomic uint64_t bytes_in;             /* of these, but not what goes through tunnels */
	_Atomic uint64_t bytes_out;
	_Atomic uint64_t handshakes; /* of TLS that succeeded */
	_Atomic uint64_t resumed;    /* of these */
	_Atomic uint64_t handshakes_failed;
};

/* For the first process alone: the row of an address, a new one if it has none. */
unsigned listener_names_row(struct listener_names *names, const char *address, const char *origin);

/* Rows given out. */
unsigned listener_names_count(const struct listener_names *names);

void listener_counts_sum(struct listener_counts *to, const struct listener_counts *from);

#endif
