/*
 * What a master hands to the program that is executed in its place (upgrade.c): listening sockets,
 * the lock of the store, its workers, and what it knows that the program cannot find out.
 *
 * It is text in a sealed memory file, whose descriptor CACHE204_HANDOVER names; descriptors in it
 * are inherited.  Its first line has a version: a program that does not know it refuses.  The lines
 * of that version are all needed; a program skips those that it does not know, so that a later one
 * may say more.
 */
#ifndef PROXY_PROCESS_HANDOVER_H
#define PROXY_PROCESS_HANDOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cache/base/diagnostic.h"
#include "proxy/loop/listener.h"

enum { HANDOVER_FINISH_MS = 60000 };

enum handover_kind {
	HANDOVER_TRIAL, /* to a child: get all ready, say so, and end */
	HANDOVER_START, /* to this process: take over */
	HANDOVER_BACK,  /* to the program before, since that could not */
};

struct handover_worker {
	pid_t pid;
	uint64_t generation;
	bool ready;   /* it serves, or did */
	bool retired; /* accepts no more, or is not waited for to say so */
};

/* Descriptors are -1 where there is none; texts never NULL once read, but for `tickets`. */
struct handover {
	int64_t kind;       /* enum handover_kind */
	char *path;         /* of the program, for the next upgrade */
	char *version;      /* of the program that runs in this process before the upgrade */
	char *tickets;      /* keys of sessions of TLS, see tls_tickets_write(); NULL for none */
	char *why;          /* HANDOVER_BACK: why, lines; "" otherwise */
	char *store, *user; /* options that cannot be changed */
	int64_t store_size;
	int64_t slots; /* workers that the store has room for */
	int64_t generation;
	int64_t had_terminal;
	int64_t failed_for; /* HANDOVER_BACK: for what the last try failed, as the log says; 0 for none */
	int lock;           /* of the store */
	int report;         /* HANDOVER_TRIAL: for what is wrong, or HANDOVER_READY */
	int program;        /* the one before, to go back to */
	int words_in, words_out;       /* the pipe that workers write to */
	int reload_file, upgrade_file; /* results, see reload_map() */
	int64_t reload_asked, upgrade_asked;
	int64_t copier; /* process that makes a copy of the store; 0 for none */
	int64_t copied_s;
	int64_t finish_ms; /* for workers that were asked to end, HANDOVER_FINISH_MS where it is not said */
	struct handover_worker *workers;
	unsigned worker_count;
	struct listener *sets; /* without front ends */
	unsigned set_count;
};

/* The last line of a report. */
#define HANDOVER_READY "ready\n"

/* All empty. */
void handover_init(struct handover *handover);

/*
 * What this process was executed with: false when there is nothing, or with a line in `error` when
 * it cannot be used.  The variable is gone then.
 */
bool handover_take(struct handover *ret_handover, struct diagnostic *error);

/* NULL for none: what has all addresses, and files. */
const struct listener *handover_first_set(const struct handover *handover);

/* Files of Unix sockets which `kept` does not have (NULL: all). */
void handover_remove_files(const struct handover *handover, const struct listener *kept);

/* Nothing waits in these sockets any more, as far as this process goes. */
void handover_close_sockets(struct handover *handover);

/* And the memory; other descriptors are their owner's. */
void handover_free(struct handover *handover);

/*
 * To be called first: by which path and arguments this program was started.  The path is the one of
 * that time, whatever file it names later; from the handover when there was one.
 */
void handover_note_program(char **argv);
const char *handover_path(void); /* NULL when it is not known */

/*
 * Execute a program with the arguments of this one: by `path`, or by the descriptor `program` of
 * the handover when that is NULL.  Returns only on failure, with errno; all is as before then.
 */
void handover_execute(const struct handover *handover, const char *path);

#endif
