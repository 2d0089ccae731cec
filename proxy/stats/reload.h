/*
 * The configuration in effect, and what became of the last attempt to change it; and the same of
 * the program: asked for by operators in any worker, written by the master alone, in memory shared
 * over fork().  It is a file in memory, so that a program that takes over shares it with the
 * workers of the one before, which may be asked meanwhile.
 */
#ifndef PROXY_STATS_RELOAD_H
#define PROXY_STATS_RELOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RELOAD_TEXT_SIZE = 2048 };

struct reload_result {
	uint64_t answered;           /* tickets of reload_ask() up to this one */
	uint64_t generation;         /* of configurations, from 1 on */
	uint64_t older;              /* generations before, which still have connections */
	int64_t at_s;                /* wall clock; 0 before the first reload */
	bool ok;                     /* the last attempt; true before the first */
	char text[RELOAD_TEXT_SIZE]; /* why not: a line for each thing, "" when ok */
};

struct reload;

/*
 * NULL on failure.  Lives as long as the process, and those forked from it.  *ret_file is its
 * descriptor, -1 where there are no such files.
 */
struct reload *reload_map(int *ret_file);

/*
 * That of the program before, by its descriptor.  One of another layout, or none (-1), is begun
 * anew, with `asked` tickets given out; *file is its descriptor then.
 */
struct reload *reload_map_again(int *file, uint64_t asked);

/* A ticket; reload_read() has its answer when `answered` has come so far. */
uint64_t reload_ask(struct reload *reload);

/* The last ticket that was given out. */
uint64_t reload_asked(const struct reload *reload);

/* For the master. */
void reload_answer(struct reload *reload, const struct reload_result *result);

/* As it was at one moment.  False when it is being written, for longer than that takes. */
bool reload_read(const struct reload *reload, struct reload_result *ret_result);

#endif
