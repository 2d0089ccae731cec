/* The list of marks whose records are still to be removed. */
#include "cache/tidy.h"

void tidy_add(struct tidy *tidy, uint32_t place)
{
	if (place == INVALIDATION_NO_PLACE || tidy->count == TIDY_LIST)
		return;
	tidy->places[(tidy->first + tidy->count++) % TIDY_LIST] = place;
}

bool tidy_first(struct tidy *tidy, const struct invalidations *all,
		struct invalidation_mark *ret_mark)
{
	while (tidy->count > 0) {
		if (invalidation_at(all, tidy->places[tidy->first], ret_mark))
			return true;
		tidy_take(tidy);
	}
	return false;
}

void tidy_take(struct tidy *tidy)
{
	tidy->first = (tidy->first + 1) % TIDY_LIST;
	tidy->count--;
}

void tidy_find(struct tidy *tidy, const struct invalidations *all)
{
	struct invalidation_mark mark;

	bool search = tidy->count == 0 && invalidation_any(all);

	for (unsigned i = 0; search && i < TIDY_SEARCH && tidy->count < TIDY_LIST; i++) {
		tidy->searched = (tidy->searched + 1) % INVALIDATION_MARKS;
		if (invalidation_at(all, tidy->searched, &mark) && mark.epoch <= tidy->old)
			tidy_add(tidy, tidy->searched);
	}
	tidy->old = invalidation_now(all);
}
