/* All records of a URI as one value: adding and dropping them. */
#include "cache/record/entry.h"

#include "cache/record/entry_walk.h"

/* Records that go into an entry being written. */
struct entry_plan {
	struct slice uri;
	const struct record_cutoff *cutoff; /* what makes records stale; NULL for nothing */
	struct record_view records[ENTRY_RECORDS_MAX + 1];
	size_t count;
	size_t size;
};

/* Whether both are for the same requests, so that one is enough. */
static bool is_same_variant(const struct record_view *a, const struct record_view *b)
{
	return a->meta->kind == b->meta->kind && slice_eq(a->vary, b->vary);
}

/* A GET's record is newer and serves HEAD as well. */
bool record_supersedes(const struct record_view *fresh, const struct record_view *old)
{
	return is_same_variant(old, fresh) ||
	       (old->meta->kind == RECORD_HEAD && fresh->meta->kind == RECORD_GET &&
		slice_eq(old->vary, fresh->vary));
}

static void plan_add(struct entry_plan *plan, const struct record_view *view)
{
	plan->records[plan->count++] = *view;
	plan->size += view->bytes.n;
}

static void plan_remove(struct entry_plan *plan, size_t i)
{
	plan->size -= plan->records[i].bytes.n;
	plan->count--;
	memmove(plan->records + i, plan->records + i + 1,
		(plan->count - i) * sizeof(*plan->records));
}

/*
 * The time of receipt is by our own clock: a Date far in the future does not keep a record (HAZARDS
 * L1).
 */
static size_t plan_oldest(const struct entry_plan *plan, size_t count)
{
	size_t oldest = 0;

	for (size_t i = 1; i < count; i++) {
		if (plan->records[i].meta->response_steady_ms <
		    plan->records[oldest].meta->response_steady_ms)
			oldest = i;
	}
	return oldest;
}

/* When a record with this Vary was last received; INT64_MIN for none among the first `count`. */
static int64_t plan_received_ms(const struct entry_plan *plan, size_t count, uint64_t set)
{
	int64_t latest_ms = INT64_MIN;

	for (size_t i = 0; i < count; i++) {
		const struct record_view *view = &plan->records[i];

		if (view->vary_set == set && view->meta->response_steady_ms > latest_ms)
			latest_ms = view->meta->response_steady_ms;
	}
	return latest_ms;
}

/*
 * Count the different Varys; *ret_oldest is the least recently received one, other than the last
 * record's.
 */
static unsigned plan_sets(const struct entry_plan *plan, uint64_t *ret_oldest)
{
	uint64_t kept = plan->records[plan->count - 1].vary_set;
	int64_t oldest_ms = INT64_MAX;
	unsigned sets = 0;

	for (size_t i = 0; i < plan->count; i++) {
		uint64_t set = plan->records[i].vary_set;
		int64_t received_ms;

		if (set == 0 || plan_received_ms(plan, i, set) != INT64_MIN)
			continue;
		sets++;
		received_ms = plan_received_ms(plan, plan->count, set);
		if (set != kept && received_ms < oldest_ms) {
			oldest_ms = received_ms;
			*ret_oldest = set;
		}
	}
	return sets;
}

/* Each different Vary costs work in each lookup, so only a few are allowed. */
static void plan_bound_sets(struct entry_plan *plan)
{
	uint64_t oldest = 0;

	while (plan_sets(plan, &oldest) > ENTRY_SETS_MAX) {
		for (size_t i = plan->count; i-- > 0;) {
			if (plan->records[i].vary_set == oldest)
				plan_remove(plan, i);
		}
	}
}

/* Intact records of `old` that `fresh`, if any, does not supersede. */
static void plan_begin(struct entry_plan *plan, struct slice old, struct slice normal_uri,
		       const struct record_view *fresh)
{
	uint64_t seed = record_seed(normal_uri);
	struct entry_walk walk;
	struct record_view view;

	plan->uri = normal_uri;
	plan->cutoff = NULL;
	plan->count = 0;
	plan->size = sizeof(struct entry_header) + record_pad(normal_uri.n);
	if (!entry_open(old, &walk) || !slice_eq(walk.uri, normal_uri))
		return;
	while (entry_next(&walk, &view)) {
		if (!(fresh != NULL && record_supersedes(fresh, &view)) &&
		    record_is_intact(&view, seed))
			plan_add(plan, &view);
	}
}

static void write_record(const struct entry_plan *plan, const struct record_view *view, char *to)
{
	int64_t purged_ms;

	memcpy(to, view->bytes.p, view->bytes.n);
	if (plan->cutoff != NULL && record_is_made_stale(view, plan->cutoff, &purged_ms))
		record_make_stale(to, purged_ms, record_seed(plan->uri));
}

static size_t plan_write(const struct entry_plan *plan, char *to, size_t size)
{
	struct entry_header header = {ENTRY_MAGIC, (uint32_t)plan->size, (uint32_t)plan->uri.n,
				      (uint32_t)plan->count};
	size_t used = sizeof(header);

	if (plan->size > size)
		return 0;
	memcpy(to, &header, sizeof(header));
	memcpy(to + used, plan->uri.p, plan->uri.n);
	used += plan->uri.n;
	memset(to + used, 0, record_pad(used) - used);
	used = record_pad(used);
	for (size_t i = 0; i < plan->count; i++) {
		write_record(plan, &plan->records[i], to + used);
		used += plan->records[i].bytes.n;
	}
	return used;
}

size_t entry_put(struct slice old, struct slice normal_uri, struct slice record, uint32_t variants,
		 char *to, size_t size)
{
	struct entry_plan plan;
	struct record_view fresh;

	if (!record_view(record, normal_uri, &fresh))
		return 0;
	if (variants > ENTRY_RECORDS_MAX)
		variants = ENTRY_RECORDS_MAX;
	if (size > ENTRY_SIZE_MAX)
		size = ENTRY_SIZE_MAX;
	plan_begin(&plan, old, normal_uri, &fresh);
	plan_add(&plan, &fresh);
	plan_bound_sets(&plan);
	while (plan.count > 1 && (plan.count > variants || plan.size > size))
		plan_remove(&plan, plan_oldest(&plan, plan.count - 1));
	return plan_write(&plan, to, size);
}

bool entry_has_present(struct slice entry, const struct record_cutoff *cutoff)
{
	struct entry_walk walk;
	struct record_view view;

	if (!entry_open(entry, &walk))
		return false;
	while (entry_next(&walk, &view)) {
		if (!record_is_absent(&view, cutoff))
			return true;
	}
	return false;
}

bool entry_is_untidy(struct slice entry, const struct record_cutoff *cutoff)
{
	struct entry_walk walk;
	struct record_view view;
	int64_t purged_ms;

	if (!entry_open(entry, &walk))
		return true;
	while (entry_next(&walk, &view)) {
		if (record_is_absent(&view, cutoff) ||
		    record_is_made_stale(&view, cutoff, &purged_ms))
			return true;
	}
	return !entry_is_walked(&walk);
}

struct slice entry_uri(struct slice entry)
{
	struct entry_walk walk;

	return entry_open(entry, &walk) ? walk.uri : slice_of("", 0);
}

void entry_visit(struct slice entry, bool (*visit)(void *context, const struct record_view *view),
		 void *context)
{
	struct entry_walk walk;
	struct record_view view;

	if (!entry_open(entry, &walk))
		return;
	while (entry_next(&walk, &view) && visit(context, &view))
		;
}

size_t entry_tidy(struct slice old, const struct record_cutoff *cutoff, char *to, size_t size)
{
	struct entry_walk walk;
	struct entry_plan plan;

	if (!entry_open(old, &walk))
		return 0;
	plan_begin(&plan, old, walk.uri, NULL);
	plan.cutoff = cutoff;
	for (size_t i = plan.count; i-- > 0;) {
		if (record_is_absent(&plan.records[i], cutoff))
			plan_remove(&plan, i);
	}
	return plan.count > 0 ? plan_write(&plan, to, size) : 0;
}

bool entry_has_variant(struct slice entry, struct slice normal_uri,
		       const struct record_view *record, const struct record_cutoff *cutoff)
{
	struct record_view view;
	struct entry_walk walk;

	if (!entry_open(entry, &walk) || !slice_eq(walk.uri, normal_uri))
		return false;
	while (entry_next(&walk, &view)) {
		if (is_same_variant(&view, record) &&
		    view.meta->asked_at == record->meta->asked_at &&
		    !record_is_absent(&view, cutoff))
			return true;
	}
	return false;
}

bool entry_at(struct slice entry, unsigned i, struct slice *ret_uri, struct record_view *ret_view)
{
	struct entry_walk walk;
	struct record_view view;

	if (!entry_open(entry, &walk))
		return false;
	do {
		if (!entry_next(&walk, &view))
			return false;
	} while (i-- > 0);
	if (!record_is_intact(&view, record_seed(walk.uri)))
		return false;
	*ret_uri = walk.uri;
	*ret_view = view;
	return true;
}

size_t entry_groups(struct slice entry, struct cache_key to[GROUPS_MAX])
{
	struct record_view view;
	struct slice uri;
	size_t count = 0;

	for (unsigned i = 0; count != SIZE_MAX && entry_at(entry, i, &uri, &view); i++)
		count = groups_add(to, count, view.groups, view.group_count);
	return count;
}
