/*
 * What a worker takes of the machine: read by itself a few times a second, from getrusage() and
 * /proc, into its block.  CPU time goes on from what the workers before it in that block have used;
 * the rest is of a worker that lives.
 */
#ifndef PROXY_STATS_PROCESS_H
#define PROXY_STATS_PROCESS_H

#include <stdbool.h>

#include "proxy/stats/number.h"

struct process_stats {
	_Atomic uint64_t cpu_us;     /* user and system */
	_Atomic uint64_t started_ms; /* since the epoch */
	_Atomic int64_t pid;         /* 0: no worker */
	_Atomic int64_t rss;         /* resident bytes, of the store's map as well */
	_Atomic int64_t virtual;     /* bytes of address space */
	_Atomic int64_t fds;         /* descriptors open; 0 when /proc is not there */
	_Atomic int64_t fds_max;
};

/* The process's own look at itself. */
struct process_watch {
	struct process_stats *to;
	uint64_t cpu_before_us; /* of others in the block */
	int statm;              /* of /proc, or -1 */
	int fd_directory;       /* likewise */
	int64_t look_ms;        /* when descriptors are counted next, by the clock of deadlines */
};

/* This process is the block's from here on. */
void process_watch_begin(struct process_watch *watch, struct process_stats *to);

/*
 * A few times a second.  Counting descriptors takes time where there are many, so with thousands
 * it is done once in some seconds.
 */
void process_watch_look(struct process_watch *watch, int64_t now_ms);

void process_watch_end(struct process_watch *watch);

/* The owner has died. */
void process_stats_reset(struct process_stats *process);

#endif
