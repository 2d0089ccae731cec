/*
 * Deadlines: every wait of a worker ends by one of these, and no other file makes a timer
 * (scripts/check-clocks.sh).
 *
 * Before a deadline passes, what is waited for is looked at once more.  A process that was stopped,
 * a machine that was frozen or an event that took long finds its timers due before it has read what
 * came meanwhile.  So events of descriptors come first in a turn, and `look` asks the kernel again
 * for what that turn's epoll_wait() may have missed.
 *
 * The clock of deadlines is monotonic, and does not count the time in which this process could not
 * look: a turn counts for DEADLINE_TURN_MAX_MS at most.  Otherwise a peer whose bytes we held up,
 * in a full receive buffer or in a frozen machine's network, would be late by our fault.  For the
 * same reason it is CLOCK_MONOTONIC, which stands still while the machine is suspended, and not
 * CLOCK_BOOTTIME.  What is remembered for a time, as an answer of the DNS, is another matter: it
 * grows old in a suspended machine, too.
 *
 * A struct deadline is embedded in its owner, who stops it before either goes.
 */
#ifndef PROXY_LOOP_DEADLINE_H
#define PROXY_LOOP_DEADLINE_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	/* The worker's loop goes round every 250 ms at least; a longer turn was held up. */
	DEADLINE_TURN_MAX_MS = 500,
	/* Looks in a row that find something and leave the deadline where it was. */
	DEADLINE_LOOKS = 16,
};

struct deadline_kind {
	/*
	 * Look once more for what is waited for, without waiting, and handle it.  True when there
	 * was something: then the deadline passes in a later turn, unless it was set or stopped.
	 * NULL when nothing is waited for, but time itself.  Memory of the deadline must outlive
	 * the call.
	 */
	bool (*look)(void *owner);
	/* It has passed and is not set any more. */
	void (*passed)(void *owner);
};

struct deadline {
	struct ev_timer timer; /* may be armed for earlier, never for later; data is the owner */
	int64_t at_ms;         /* INT64_MAX for never */
	int64_t armed_ms : 56; /* when the active timer fires; two million years will do */
	uint64_t looks : 8;
	const struct deadline_kind *kind;
};

/* The loop of this process; before any deadline is set. */
void deadlines_setup(struct ev_loop *loop);

/* A turn begins, at this time on the monotonic clock.  Returns deadlines_now_ms(). */
int64_t deadlines_advance(int64_t monotonic_ms);

/* The clock of deadlines, as of the beginning of the turn. */
int64_t deadlines_now_ms(void);

void deadline_init(struct deadline *deadline, const struct deadline_kind *kind, void *owner);

/* Pass so many milliseconds from now.  Setting it again and again is cheap. */
void deadline_set(struct deadline *deadline, int64_t ms);

/* Never, until it is set again. */
void deadline_clear(struct deadline *deadline);

/* As deadline_clear(), before its memory goes. */
void deadline_stop(struct deadline *deadline);

bool deadline_is_set(const struct deadline *deadline);

#endif
