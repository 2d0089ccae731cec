/* Which record of an entry a request selects. */
#include "cache/record/entry.h"

#include "cache/record/entry_walk.h"
#include "cache/record/vary.h"

enum {
	ENTRY_BLOCK_MAX = 64 << 10, /* no record has a longer block of selecting fields */
	PREFLIGHT_BLOCK_MAX = 8 << 10,
};

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
