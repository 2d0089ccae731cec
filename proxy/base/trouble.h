/*
 * A fault that comes back, as a full disk does at each write: when is a line about it due?  At once
 * for each new kind of it, then with the count every TROUBLE_AGAIN_MS, and once more when none has
 * come for TROUBLE_OVER_MS.  Pure: the caller has the counts and writes the line.
 */
#ifndef PROXY_BASE_TROUBLE_H
#define PROXY_BASE_TROUBLE_H

#include <stdbool.h>
#include <stdint.h>

enum {
	TROUBLE_KINDS = 8, /* that are counted apart; further ones count as the last of them */
	TROUBLE_TEXT = 160,
	TROUBLE_AGAIN_MS = 60 * 1000,
	TROUBLE_OVER_MS = 60 * 1000,
};

/* All zero: none yet. */
struct trouble {
	struct trouble_kind {
		char text[TROUBLE_TEXT];
		uint64_t count; /* since the last line */
		int64_t said_ms;
	} kinds[TROUBLE_KINDS];
	unsigned kind_count;
	uint64_t total; /* since it began */
	int64_t last_ms;
};

/*
 * `more` faults of the kind `text`, at a monotonic time.  True when a line is due: *ret_count is
 * how many there were since the last line of that kind, these included.
 */
bool trouble_note(struct trouble *trouble, const char *text, uint64_t more, int64_t now_ms,
		  uint64_t *ret_count);

/* True once, when it is over: *ret_total is how many there were in all. */
bool trouble_is_over(struct trouble *trouble, int64_t now_ms, uint64_t *ret_total);

#endif
