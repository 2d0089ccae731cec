/*
 * Marks: the statistics as they were when an operator set a name to that moment, so that a load
 * test can ask for the difference between two moments and no counter has to be reset.
 *
 * In memory of fixed size, shared over fork(), that any worker reads and writes; a reload leaves
 * it.  Of more marks than MARKS_MAX the oldest goes.
 */
#ifndef PROXY_STATS_MARKS_H
#define PROXY_STATS_MARKS_H

#include "cache/base/slice.h"
#include "proxy/stats/stats.h"

enum { MARKS_MAX = 16, MARK_NAME_MAX = 32, MARK_NOTE_MAX = 80 };

struct mark {
	char name[MARK_NAME_MAX + 1];
	char note[MARK_NOTE_MAX + 1]; /* what the operator says of it; printable ASCII */
	int64_t wall_ms;
	int64_t at_us; /* monotonic */
};

struct marks;

/* NULL on failure.  Lives as long as the process, and those forked from it. */
struct marks *marks_map(void);

/* A letter first, then letters, digits, '.', '_' and '-': MARK_NAME_MAX in all. */
bool mark_name_is_valid(struct slice name);

/*
 * Set a mark, of a valid name, to now: an older one of that name is replaced.  `sum` are the
 * statistics of all workers; ret_gone is the name of the mark that had to go, or "".  False when
 * another process sets one at this moment, or was killed doing so less than a second ago.
 */
bool marks_set(struct marks *marks, const struct mark *mark, const struct stats *sum,
	       char ret_gone[MARK_NAME_MAX + 1]);

/* The mark of that name, and the statistics of its moment.  False when there is none. */
bool marks_find(const struct marks *marks, struct slice name, struct mark *ret_mark,
		struct stats *ret_sum);

/* All, in the order in which they were set; how many there are. */
unsigned marks_list(const struct marks *marks, struct mark ret_marks[MARKS_MAX]);

#endif
