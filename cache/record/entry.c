/* All records of a URI as one value: selecting, adding and dropping them. */
#include "cache/record/entry.h"

#include "cache/record/vary.h"

enum {
	ENTRY_RECORDS_MAX = 64,     /* more is damage; conf->variants is at most this */
	ENTRY_BLOCK_MAX = 64 << 10, /* no record has a longer block of selecting fields */
	PREFLIGHT_BLOCK_MAX = 8 << 10,
};

/* The rest of an entry while walking over its records. */
struct entry_walk {
	struct slice uri;
	struct slice rest;
	uint32_t left;
};

static bool entry_open(struct slice entry, struct entry_walk *ret_walk)
{
	const struct entry_header *header = (const void *)entry.p;
	size_t begin;

	if (entry.n < sizeof(*header) || !record_is_aligned(entry.p))
		return false;
	if (header->magic != ENTRY_MAGIC || header->length != entry.n ||
	    header->uri_n > entry.n - sizeof(*header) || header->count > ENTRY_RECORDS_MAX)
		return false;
	begin = sizeof(*header) + record_pad(header->uri_n);
	if (begin > entry.n)
		return false;
	ret_walk->uri = slice_of(entry.p + sizeof(*header), header->uri_n);
	ret_walk->rest = slice_of(entry.p + begin, entry.n - begin);
	ret_walk->left = header->count;
	return true;
}

/* The next record, with its checksum not yet verified; false at the end or at damage. */
static bool entry_next(struct entry_walk *walk, struct record_view *ret_view)
{
	if (walk->left == 0 || !record_parse(walk->rest, ret_view))
		return false;
	walk->rest.p += ret_view->bytes.n;
	walk->rest.n -= ret_view->bytes.n;
	walk->left--;
	return true;
}

/* Whether a walk stopped at the end rather than at damage. */
static bool entry_is_walked(const struct entry_walk *walk)
{
	return walk->left == 0 && walk->rest.n == 0;
}

/*
 * From worst to best: a response with Vary is meant for specific requests, one without may have
 * been sent without Vary by mistake (RFC 9111 4.1).
 */
enum match {
	MATCH_NONE,
	MATCH_LANGUAGE, /* by its Content-Language, not by the request's fields */
	MATCH_ALL,      /* no Vary */
	MATCH_FIELDS,
};

/* A record, and how well it matches. */
struct choice {
	const struct record_view *view;
	enum match match;
};

/* Negative when `a` came later: by Date (RFC 9111 4), then by receipt. */
static int compare_age(const struct record_meta *a, const struct record_meta *b)
{
	if (a->date_s != b->date_s)
		return a->date_s > b->date_s ? -1 : 1;
	if (a->response_steady_ms != b->response_steady_ms)
		return a->response_steady_ms > b->response_steady_ms ? -1 : 1;
	return 0;
}

/* The better match wins, then the later, then the one that serves more. */
static bool is_preferred(const struct choice *choice, const struct choice *best)
{
	int age;

	if (choice->match != best->match || choice->match == MATCH_NONE)
		return choice->match > best->match;
	age = compare_age(choice->view->meta, best->view->meta);
	return age != 0 ? age < 0 : choice->view->meta->kind < best->view->meta->kind;
}

/* A lookup under way in the records of an entry. */
struct lookup {
	const struct http_request *req;
	const struct record_cutoff *cutoff;
	bool by_language;
	uint64_t present; /* bits of records known not to be invalidated */
	uint64_t gone;    /* bits of records known to be invalidated */
	uint64_t serving; /* bits of records that serve the method */
	unsigned sets;
	unsigned count;
	struct choice best;
	const struct record_view *latest; /* with Vary; NULL when it does not matter */
	struct slice preflight;           /* block of the request, when it is one */
	uint64_t matched;                 /* bits of records already compared */
	struct vary_request asked;
	struct record_view records[ENTRY_RECORDS_MAX];
};

/*
 * Whether a record was invalidated.  It may be in many groups, so this is checked only for records
 * that could be selected, and once.
 */
static bool is_gone(struct lookup *lookup, const struct record_view *view)
{
	uint64_t bit = (uint64_t)1 << (view - lookup->records);

	if (lookup->cutoff->epoch_of != NULL && !((lookup->present | lookup->gone) & bit)) {
		if (record_is_invalidated(view, lookup->cutoff))
			lookup->gone |= bit;
		else
			lookup->present |= bit;
	}
	return lookup->gone & bit;
}

static const struct record_view *latest_of(const struct lookup *lookup)
{
	const struct record_view *latest = NULL;

	for (unsigned i = 0; i < lookup->count; i++) {
		const struct record_view *view = &lookup->records[i];

		if (view->meta->kind != RECORD_PREFLIGHT && view->vary.n > 0 &&
		    !(lookup->gone >> i & 1) &&
		    (latest == NULL || compare_age(view->meta, latest->meta) < 0))
			latest = view;
	}
	return latest;
}

/* The record with the most recent Vary, which says what selects; NULL when none has one. */
static const struct record_view *latest_vary(struct lookup *lookup)
{
	const struct record_view *latest;

	while ((latest = latest_of(lookup)) != NULL && is_gone(lookup, latest))
		;
	return latest;
}

/* Set field by field: it is large, and little of it is used. */
static void lookup_begin(struct lookup *lookup, const struct http_request *req, bool by_language,
			 const struct record_cutoff *cutoff)
{
	lookup->req = req;
	lookup->cutoff = cutoff;
	lookup->present = lookup->gone = 0;
	lookup->by_language = by_language;
	lookup->serving = 0;
	lookup->sets = 0;
	lookup->count = 0;
	lookup->best.match = MATCH_NONE;
	lookup->latest = NULL;
	lookup->preflight = slice_of(NULL, 0);
	lookup->matched = 0;
	vary_request_begin(&lookup->asked, req);
}

static void consider(struct lookup *lookup, const struct record_view *view, enum match match)
{
	struct choice choice = {view, match};

	if (is_preferred(&choice, &lookup->best) && !is_gone(lookup, view))
		lookup->best = choice;
}

/*
 * The part of the block that comes from Vary: a preflight's block begins with that of the preflight
 * request.  False when the record cannot be for this request.
 */
static bool selecting_fields(const struct lookup *lookup, unsigned i, struct slice *ret_fields)
{
	const struct record_view *view = &lookup->records[i];
	size_t n = view->meta->kind == RECORD_PREFLIGHT ? lookup->preflight.n : 0;

	if (!(lookup->serving >> i & 1) || n > view->vary.n ||
	    (n > 0 && memcmp(view->vary.p, lookup->preflight.p, n) != 0))
		return false;
	*ret_fields = slice_of(view->vary.p + n, view->vary.n - n);
	return true;
}

/* An older record may be for a request that differs in fields which its own Vary did not name. */
static bool knows_vary(const struct lookup *lookup, const struct record_view *view,
		       bool set_covers_latest)
{
	return lookup->latest == NULL || view->meta->kind == RECORD_PREFLIGHT ||
	       set_covers_latest || compare_age(view->meta, lookup->latest->meta) <= 0;
}

static bool matches_language(struct lookup *lookup, const struct record_view *view,
			     struct slice fields, struct slice selected)
{
	struct slice language, wanted;

	return lookup->by_language && record_language(view, &language) &&
	       vary_wanted_language(&lookup->asked, &wanted) && slice_ieq(language, wanted) &&
	       vary_differs_in_language(fields, selected);
}

/*
 * Compare all records with the same Vary as the one at `first`; the request's block is written
 * once.
 */
static void match_set(struct lookup *lookup, unsigned first, struct slice first_fields)
{
	char block[ENTRY_BLOCK_MAX];
	uint64_t set = lookup->records[first].vary_set;
	struct slice selected, fields = first_fields;
	bool known = vary_select(first_fields, &lookup->asked, block, sizeof(block), &selected);
	bool covers = lookup->latest != NULL && vary_covers(first_fields, lookup->latest->vary);

	for (unsigned i = first; i < lookup->count; i++) {
		const struct record_view *view = &lookup->records[i];

		if (view->vary_set != set || lookup->matched >> i & 1)
			continue;
		lookup->matched |= (uint64_t)1 << i;
		if (!known || (i != first && !selecting_fields(lookup, i, &fields)) ||
		    !knows_vary(lookup, view, covers))
			continue;
		if (fields.p == selected.p || slice_eq(fields, selected))
			consider(lookup, view, MATCH_FIELDS);
		else if (matches_language(lookup, view, fields, selected))
			consider(lookup, view, MATCH_LANGUAGE);
	}
}

static void match_one(struct lookup *lookup, unsigned i)
{
	const struct record_view *view = &lookup->records[i];
	struct slice fields;

	if (!selecting_fields(lookup, i, &fields))
		return;
	if (fields.n > 0 && lookup->sets++ < ENTRY_SETS_MAX)
		match_set(lookup, i, fields);
	else if (fields.n == 0 && knows_vary(lookup, view, false))
		consider(lookup, view, view->vary.n > 0 ? MATCH_FIELDS : MATCH_ALL);
}

static void match_all(struct lookup *lookup)
{
	char preflight[PREFLIGHT_BLOCK_MAX];
	size_t n;

	if (lookup->req->method == METHOD_OPTIONS) {
		n = vary_write_preflight(lookup->req, preflight, sizeof(preflight));
		if (n == SIZE_MAX)
			return;
		lookup->preflight = slice_of(preflight, n);
	}
	for (unsigned i = 0; i < lookup->count; i++) {
		if (!(lookup->matched >> i & 1))
			match_one(lookup, i);
	}
}

/* Collect the candidate records by a quick check; false when the entry is damaged. */
static bool gather(struct lookup *lookup, struct entry_walk *walk)
{
	const struct record_cutoff *cutoff = lookup->cutoff;
	struct record_view *view = lookup->records;

	while (entry_next(walk, view)) {
		if (view->meta->response_steady_ms <= cutoff->purged_ms ||
		    (cutoff->epoch_of != NULL && view->meta->asked_at < cutoff->asked_before))
			continue;
		lookup->serving |= (uint64_t)policy_kind_serves((enum record_kind)view->meta->kind,
								lookup->req)
				   << lookup->count;
		view = &lookup->records[++lookup->count];
	}
	return entry_is_walked(walk);
}

/* Most entries have one record, and most requests equal the one it was made for, byte for byte. */
static bool is_only_one(struct entry_walk walk, const struct http_request *req,
			const struct record_cutoff *cutoff, struct record_view *ret_view)
{
	return walk.left == 1 && entry_next(&walk, ret_view) && walk.rest.n == 0 &&
	       ret_view->meta->kind != RECORD_PREFLIGHT &&
	       policy_kind_serves((enum record_kind)ret_view->meta->kind, req) &&
	       (ret_view->vary.n == 0 || vary_is_as_sent(ret_view->vary, req)) &&
	       !record_is_absent(ret_view, cutoff);
}

/*
 * Only the chosen record's checksum is verified: at worst, damage to another one kept it from being
 * chosen.  That is found when it is chosen or when the entry is rewritten.
 */
enum entry_select entry_select(struct slice entry, struct slice normal_uri,
			       const struct http_request *req, bool by_language,
			       const struct record_cutoff *cutoff, struct record_view *ret_view)
{
	struct entry_walk walk;
	struct lookup lookup;

	if (!entry_open(entry, &walk))
		return ENTRY_DAMAGED;
	if (!slice_eq(walk.uri, normal_uri))
		return ENTRY_NONE;
	if (is_only_one(walk, req, cutoff, ret_view))
		return record_is_intact(ret_view, record_seed(normal_uri)) ? ENTRY_SELECTED
									   : ENTRY_DAMAGED;
	lookup_begin(&lookup, req, by_language, cutoff);
	if (!gather(&lookup, &walk))
		return ENTRY_DAMAGED;
	if (lookup.count > 1)
		lookup.latest = latest_vary(&lookup);
	match_all(&lookup);
	if (lookup.best.match == MATCH_NONE)
		return (lookup.serving & ~lookup.gone) != 0 ? ENTRY_NO_MATCH : ENTRY_NONE;
	if (!record_is_intact(lookup.best.view, record_seed(normal_uri)))
		return ENTRY_DAMAGED;
	*ret_view = *lookup.best.view;
	return ENTRY_SELECTED;
}

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
