/* Moments with names, and the statistics as they were then. */
#include "proxy/stats/marks.h"

#include <stdlib.h>
#include <string.h>

#include "cache/base/ascii.h"
#include "proxy/stats/shared_row.h"

enum { WRITER_MS = 1000 }; /* a mark is set in microseconds: a writer of longer ago was killed */

/* What a row holds. */
struct marked {
	struct mark mark;
	uint64_t number[STATS_NUMBERS];
};

struct marks {
	_Atomic int64_t busy_until_ms; /* monotonic: one process at a time writes */
	_Atomic uint64_t tickets;
	_Atomic uint64_t row[MARKS_MAX][SHARED_ROW_WORDS(sizeof(struct marked))];
};

/* The row that is being looked at or written: too large for the stack. */
static struct marked marked;

struct marks *marks_map(void)
{
	return shared_map(sizeof(struct marks));
}

bool mark_name_is_valid(struct slice name)
{
	if (name.n == 0 || name.n > MARK_NAME_MAX || !ascii_is_alpha(name.p[0]))
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_alpha(name.p[i]) && !ascii_is_digit(name.p[i]) &&
		    memchr("._-", name.p[i], 3) == NULL)
			return false;
	return true;
}

/* What is in a row, into `marked`: its ticket, 0 for nothing. */
static uint64_t look_at(const struct marks *marks, unsigned row)
{
	return shared_row_read(marks->row[row], &marked, sizeof(marked));
}

static bool is_named(struct slice name)
{
	return slice_eq(slice_str(marked.mark.name), name);
}

/* Where a mark of that name goes: its own row, an empty one, or the oldest. */
static unsigned row_for(const struct marks *marks, struct slice name,
			char ret_gone[MARK_NAME_MAX + 1])
{
	uint64_t least = UINT64_MAX;
	unsigned found = 0;

	for (unsigned i = 0; i < MARKS_MAX; i++) {
		uint64_t ticket = look_at(marks, i);

		if (ticket != 0 && is_named(name)) {
			ret_gone[0] = '\0';
			return i;
		}
		if (ticket >= least)
			continue;
		least = ticket;
		found = i;
		memcpy(ret_gone, ticket == 0 ? "" : marked.mark.name,
		       ticket == 0 ? 1 : sizeof(marked.mark.name));
	}
	return found;
}

bool marks_set(struct marks *marks, const struct mark *mark, const struct stats *sum,
	       char ret_gone[MARK_NAME_MAX + 1])
{
	int64_t now_ms = mark->at_us / 1000;
	int64_t until_ms = atomic_load_explicit(&marks->busy_until_ms, memory_order_relaxed);
	uint64_t ticket;
	unsigned row;

	/* What the one before has written is seen, and so are its rows. */
	if (until_ms > now_ms || !atomic_compare_exchange_strong_explicit(
					 &marks->busy_until_ms, &until_ms, now_ms + WRITER_MS,
					 memory_order_acquire, memory_order_relaxed))
		return false;
	row = row_for(marks, slice_str(mark->name), ret_gone);
	marked.mark = *mark;
	stats_get_numbers(sum, marked.number);
	ticket = atomic_fetch_add_explicit(&marks->tickets, 1, memory_order_relaxed) + 1;
	shared_row_write(marks->row[row], ticket, &marked, sizeof(marked));
	atomic_store_explicit(&marks->busy_until_ms, 0, memory_order_release);
	return true;
}

bool marks_find(const struct marks *marks, struct slice name, struct mark *ret_mark,
		struct stats *ret_sum)
{
	bool found = false;

	for (unsigned i = 0; i < MARKS_MAX && !found; i++)
		found = look_at(marks, i) != 0 && is_named(name);
	if (found) {
		*ret_mark = marked.mark;
		stats_set_numbers(ret_sum, marked.number);
	}
	return found;
}

struct listed {
	uint64_t ticket;
	struct mark mark;
};

static int by_ticket(const void *a, const void *b)
{
	uint64_t first = ((const struct listed *)a)->ticket;
	uint64_t second = ((const struct listed *)b)->ticket;

	return first < second ? -1 : first > second;
}

unsigned marks_list(const struct marks *marks, struct mark ret_marks[MARKS_MAX])
{
	struct listed listed[MARKS_MAX];
	unsigned count = 0;

	for (unsigned i = 0; i < MARKS_MAX; i++) {
		listed[count].ticket = look_at(marks, i);
		listed[count].mark = marked.mark;
		count += listed[count].ticket != 0;
	}
	qsort(listed, count, sizeof(listed[0]), by_ticket);
	for (unsigned i = 0; i < count; i++)
		ret_marks[i] = listed[i].mark;
	return count;
}
