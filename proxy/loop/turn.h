/*
 * A turn of the loop: its time, the scratch memory for its events, tasks to run before it ends,
 * tasks put off to the next, and the share of it that one connection may use (HAZARDS X4).
 *
 * Whatever a peer can make long in one event, requests sent ahead, tiny chunks, a crowd that waits
 * for one answer, is done in shares: when its share of the turn is used up, it goes on in the next
 * one, after the events that are at hand then.
 */
#ifndef PROXY_LOOP_TURN_H
#define PROXY_LOOP_TURN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/base/clock.h"
#include "proxy/base/buf.h"

struct store_clock;

enum {
	/*
	 * Scratch blocks: what is read and composed in one event, before it needs memory of its
	 * own.
	 */
	SCRATCH_SIZE = 128 * 1024,
	/* Bytes waiting for a slow peer above which the other side is not read (HAZARDS L4). */
	HIGH_WATER = 64 * 1024,
};

/*
 * Work that continues outside of the event that caused it, so that no callback runs inside the
 * function that began the work.  Embedded in its owner, which stays alive while queued.
 */
struct task {
	void (*run)(void *owner);
	void *owner;
	struct task *next; /* NULL while it is not queued; the last one's is itself */
};

static inline bool task_is_queued(const struct task *task)
{
	return task->next != NULL;
}

struct task_queue {
	struct task *first, **end;
	unsigned count;
};

/*
 * The turn under way, and what goes from one to the next; one to a worker, whose modules share it.
 * The clocks are read once a turn, when it begins; one that measures latencies, monotonic_us(),
 * whenever asked.
 */
struct turn {
	struct http_clock now;      /* wall and steady, for HTTP */
	int64_t now_ms;             /* the clock of deadlines (deadline.h) */
	int64_t now_us;             /* monotonic, for latencies and between processes */
	struct store_clock *steady; /* the state of the steady clock, shared with other workers */
	struct scratch in;          /* what an event reads */
	struct scratch out;         /* what it composes */
	bool leaving;               /* asked to end: others are to be asked from now on */
	bool draining;              /* and nothing is kept for later */
	uint64_t number;            /* from 1 */
	struct task_queue soon;     /* to be run before the turn ends */
	struct task_queue later;    /* from the next turn on, in the order in which they came */
	unsigned due;               /* of these, put off by an earlier turn */
	unsigned steps_max;         /* of any share; tests have smaller ones */
};

/* All but the clocks and the blocks of memory, which its owner gives it. */
void turn_init(struct turn *turn);

/*
 * Read the clocks anew: at the beginning, and within a turn for who needs them to the millisecond.
 * The steady clock follows the wall clock, and goes on where it was when that was set back; its
 * lead over the wall clock is shared by all processes of the store and survives a restart
 * (cache/base/clock.h).
 */
void turn_read_clocks(struct turn *turn);

/* Events are at hand, none was handed out. */
void turn_begin(struct turn *turn);

/*
 * Events were handed out: run what was queued, and a few of those that were put off by earlier
 * turns.  True when tasks are left, and the loop must not wait for events before it comes back.
 */
bool turn_end(struct turn *turn);

/* Queue a task, unless it is queued already: before the turn ends, or in one to come. */
void turn_soon(struct turn *turn, struct task *task);
void turn_later(struct turn *turn, struct task *task);

enum {
	SHARE_REQUESTS = 64, /* in one turn, of one client */
	SHARE_PIECES = 256,  /* of a body */
	SHARE_BYTES = 256 * 1024,
};

/* What was done for one connection in a turn. */
struct share {
	uint64_t turn;
	uint32_t bytes; /* the owner adds what one step moves: never near 4 GiB above the bound */
	uint16_t steps;
	bool used_up;
};

/*
 * Take one more step, of at most so many in this turn.  False when it has to wait for the next:
 * after as many steps, or SHARE_BYTES that the owner has added to `bytes`, or when steps take so
 * long that others would notice; for that the clock is read every 16th time.
 */
bool share_take(struct share *share, const struct turn *turn, unsigned most);

#endif
