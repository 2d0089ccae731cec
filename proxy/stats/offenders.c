/* A table of fixed size that counts violations by name. */
#include "proxy/stats/offenders.h"

static struct slice name_of(const struct offender *row)
{
	return slice_of(row->name, strnlen(row->name, OFFENDER_NAME_MAX));
}

/* The row of that name, or the one that makes way: an empty one, the rarest, the oldest. */
static struct offender *row_for(struct offenders *offenders, struct slice name)
{
	struct offender *least = &offenders->at[0];

	for (struct offender *row = least; row < offenders->at + OFFENDERS_MAX; row++) {
		if (row->count > 0 && slice_eq(name_of(row), name))
			return row;
		if (row->count < least->count ||
		    (row->count == least->count && row->turn < least->turn))
			least = row;
	}
	return least;
}

void offenders_add(struct offenders *offenders, struct slice name, uint64_t count)
{
	struct offender *row;
	uint64_t version;

	if (name.n > OFFENDER_NAME_MAX)
		name.n = OFFENDER_NAME_MAX;
	row = row_for(offenders, name);
	version = atomic_load_explicit(&row->version,
				       memory_order_relaxed); /* this process alone writes it */
	atomic_store_explicit(&row->version, version + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release); /* odd before anything of the row changes */
	if (row->count > 0 && slice_eq(name_of(row), name)) {
		row->count += count;
	} else {
		row->count = count;
		memcpy(row->name, name.p, name.n);
		row->name[name.n] = '\0';
	}
	row->turn = ++offenders->turn;
	/* Even after all of it has. */
	atomic_store_explicit(&row->version, version + 2, memory_order_release);
}

/* A copy that was whole at one moment. */
static bool read_row(const struct offender *from, struct offender *ret_row)
{
	uint64_t before = atomic_load_explicit(&from->version, memory_order_acquire);

	*ret_row = *from;
	atomic_thread_fence(memory_order_acquire); /* all was read before the version is again */
	return before % 2 == 0 &&
	       atomic_load_explicit(&from->version, memory_order_relaxed) == before;
}

void offenders_merge(struct offenders *to, const struct offenders *from)
{
	struct offender row;

	for (unsigned i = 0; i < OFFENDERS_MAX; i++) {
		if (read_row(&from->at[i], &row) && row.count > 0)
			offenders_add(to, name_of(&row), row.count);
	}
}
