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

void tidy_put_off(struct tidy *tidy)
{
	uint32_t place = tidy->places[tidy->first];

	tidy_take(tidy);
	tidy_add(tidy, place);
}

/* tidy_find() finds those again that fall off a full list. */
static void add_first(struct tidy *tidy, uint32_t place)
{
	tidy->first = (tidy->first + TIDY_LIST - 1) % TIDY_LIST;
	tidy->places[tidy->first] = place;
	if (tidy->count < TIDY_LIST)
		tidy->count++;
}

void tidy_set_first(struct tidy *tidy, const struct invalidations *all, const struct cache_key *key)
{
	uint32_t first = invalidation_first_place(key);
	struct invalidation_mark mark;

	for (uint32_t place = first; place < first + INVALIDATION_WAYS; place++) {
		if (invalidation_at(all, place, &mark))
			add_first(tidy, place);
	}
}

bool tidy_walk(struct tidy *tidy, const struct invalidations *all,
	       const struct invalidation_mark *mark)
{
	struct invalidation_mark walked;

	if (tidy->walked == mark->epoch)
		return true;
	if (tidy->walked != 0 && invalidation_at(all, tidy->walked_place, &walked) &&
	    walked.epoch == tidy->walked)
		return false;
	tidy->walked = mark->epoch;
	tidy->walked_place = mark->place;
	tidy->cursor = (struct cache_key){{0, 0}};
	return true;
}

void tidy_walked(struct tidy *tidy)
{
	tidy->walked = 0;
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
