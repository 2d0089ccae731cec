/* All records of a URI as one value: selecting, adding and dropping them. */
#include "cache/record_layout.h"

/* More than these in an entry is damage; conf->variants is at most this. */
enum { ENTRY_RECORDS_MAX = 64 };

/* What is left of an entry on a walk over its records. */
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

/* The next record, not summed yet; false at the end or at damage. */
static bool entry_next(struct entry_walk *walk, struct record_view *ret_view)
{
	if (walk->left == 0 || !record_parse(walk->rest, ret_view))
		return false;
	walk->rest.p += ret_view->bytes.n;
	walk->rest.n -= ret_view->bytes.n;
	walk->left--;
	return true;
}

/* Whether a walk that stopped has come to the end. */
static bool entry_is_walked(const struct entry_walk *walk)
{
	return walk->left == 0 && walk->rest.n == 0;
}

/* A preflight's block begins with its own length, so that it is a prefix of just its equals. */
static bool preflight_matches(struct slice block, const struct http_request *req)
{
	char wanted[8192];
	size_t n = key_preflight_write(req, wanted, sizeof(wanted));

	if (n > block.n || memcmp(block.p, wanted, n) != 0)
		return false;
	return key_vary_matches(slice_of(block.p + n, block.n - n), req);
}

/* The better comes last: a response that varies is meant for some, one that does not may have been
   sent without Vary by mistake (RFC 9111 4.1). */
enum match {
	MATCH_NONE,
	MATCH_LANGUAGE, /* by what it is, not by what was asked for */
	MATCH_ALL,      /* no Vary */
	MATCH_FIELDS,
};

static bool matches_language(const struct http_request *req, const struct record_view *view)
{
	struct slice language;

	return view->vary.n > 0 &&
	       record_single_value(view, SLICE("Content-Language"), &language) &&
	       key_vary_matches_language(view->vary, req, language);
}

static enum match match_of(const struct http_request *req, const struct record_view *view,
			   bool by_language)
{
	if (!policy_kind_serves((enum record_kind)view->meta->kind, req))
		return MATCH_NONE;
	if (view->meta->kind == RECORD_PREFLIGHT)
		return preflight_matches(view->vary, req) ? MATCH_FIELDS : MATCH_NONE;
	if (key_vary_matches(view->vary, req))
		return view->vary.n > 0 ? MATCH_FIELDS : MATCH_ALL;
	return by_language && matches_language(req, view) ? MATCH_LANGUAGE : MATCH_NONE;
}

/* A record, and how well it matches. */
struct choice {
	struct record_view view;
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
	age = compare_age(choice->view.meta, best->view.meta);
	return age != 0 ? age < 0 : choice->view.meta->kind < best->view.meta->kind;
}

/* The record with the most recent Vary, which says what selects; false when none has one. */
static bool latest_vary(struct entry_walk walk, int64_t purged_ms, struct record_view *ret_latest)
{
	struct record_view view;
	bool found = false;

	while (entry_next(&walk, &view)) {
		if (view.meta->kind == RECORD_PREFLIGHT || view.vary.n == 0 ||
		    record_is_purged(view.meta, purged_ms))
			continue;
		if (!found || compare_age(view.meta, ret_latest->meta) < 0)
			*ret_latest = view;
		found = true;
	}
	return found;
}

/* An older record may have been made for a request that differs in what was not asked for then. */
static bool knows_vary(const struct record_view *view, const struct record_view *latest)
{
	return view->meta->kind == RECORD_PREFLIGHT || compare_age(view->meta, latest->meta) <= 0 ||
	       key_vary_covers(view->vary, latest->vary);
}

/*
 * Only the record chosen is summed: damage to another has made it lose at worst, and it is found
 * when it wins or the entry is written anew.
 */
enum entry_select entry_select(struct slice entry, struct slice normal_uri,
			       const struct http_request *req, bool by_language, int64_t purged_ms,
			       struct record_view *ret_view)
{
	struct entry_walk walk;
	struct choice choice, best = {.match = MATCH_NONE};
	struct record_view latest = {0};
	bool varies, serves = false;

	if (!entry_open(entry, &walk))
		return ENTRY_DAMAGED;
	if (!slice_eq(walk.uri, normal_uri))
		return ENTRY_NONE;
	varies = walk.left > 1 && latest_vary(walk, purged_ms, &latest);
	while (entry_next(&walk, &choice.view)) {
		if (record_is_purged(choice.view.meta, purged_ms))
			continue;
		serves |= policy_kind_serves((enum record_kind)choice.view.meta->kind, req);
		choice.match = match_of(req, &choice.view, by_language);
		if (varies && !knows_vary(&choice.view, &latest))
			choice.match = MATCH_NONE;
		if (is_preferred(&choice, &best))
			best = choice;
	}
	if (!entry_is_walked(&walk))
		return ENTRY_DAMAGED;
	if (best.match == MATCH_NONE)
		return serves ? ENTRY_NO_MATCH : ENTRY_NONE;
	if (!record_is_intact(&best.view, record_seed(normal_uri)))
		return ENTRY_DAMAGED;
	*ret_view = best.view;
	return ENTRY_SELECTED;
}

/* Records that go into an entry being written. */
struct entry_plan {
	struct slice uri;
	struct record_view records[ENTRY_RECORDS_MAX + 1];
	size_t count;
	size_t size;
};

/* Whether they are for the same requests: one of them is enough. */
static bool is_same_variant(const struct record_view *a, const struct record_view *b)
{
	return a->meta->kind == b->meta->kind && slice_eq(a->vary, b->vary);
}

/* An old record that `fresh` leaves no use for; a GET's record is newer and serves HEAD as well. */
static bool is_superseded(const struct record_view *old, const struct record_view *fresh)
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

/* Receipt is our own clock's: a Date of far ahead does not hold a place (HAZARDS L1). */
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

/* Intact records of `old` that do not make way for `record`, if any, by the rule given. */
static void plan_begin(struct entry_plan *plan, struct slice old, struct slice normal_uri,
		       const struct record_view *record,
		       bool (*makes_way)(const struct record_view *, const struct record_view *))
{
	uint64_t seed = record_seed(normal_uri);
	struct entry_walk walk;
	struct record_view view;

	plan->uri = normal_uri;
	plan->count = 0;
	plan->size = sizeof(struct entry_header) + record_pad(normal_uri.n);
	if (!entry_open(old, &walk) || !slice_eq(walk.uri, normal_uri))
		return;
	while (entry_next(&walk, &view)) {
		if (!(record && makes_way(&view, record)) && record_is_intact(&view, seed))
			plan_add(plan, &view);
	}
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
		memcpy(to + used, plan->records[i].bytes.p, plan->records[i].bytes.n);
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
	plan_begin(&plan, old, normal_uri, &fresh, is_superseded);
	plan_add(&plan, &fresh);
	while (plan.count > 1 && (plan.count > variants || plan.size > size))
		plan_remove(&plan, plan_oldest(&plan, plan.count - 1));
	return plan_write(&plan, to, size);
}

size_t entry_drop(struct slice old, struct slice normal_uri, struct slice record, char *to,
		  size_t size)
{
	struct entry_plan plan;
	struct record_view unwanted;
	bool named = record_view(record, normal_uri, &unwanted);

	plan_begin(&plan, old, normal_uri, named ? &unwanted : NULL, is_same_variant);
	return plan.count > 0 ? plan_write(&plan, to, size) : 0;
}

bool entry_has_purged(struct slice entry, int64_t purged_ms)
{
	struct entry_walk walk;
	struct record_view view;

	if (!entry_open(entry, &walk))
		return true;
	while (entry_next(&walk, &view)) {
		if (record_is_purged(view.meta, purged_ms))
			return true;
	}
	return !entry_is_walked(&walk);
}

size_t entry_drop_purged(struct slice old, int64_t purged_ms, char *to, size_t size)
{
	struct entry_walk walk;
	struct entry_plan plan;

	if (!entry_open(old, &walk))
		return 0;
	plan_begin(&plan, old, walk.uri, NULL, NULL);
	for (size_t i = plan.count; i-- > 0;) {
		if (record_is_purged(plan.records[i].meta, purged_ms))
			plan_remove(&plan, i);
	}
	return plan.count > 0 ? plan_write(&plan, to, size) : 0;
}

unsigned entry_count(struct slice entry)
{
	struct entry_walk walk;
	struct record_view view;
	unsigned count = 0;

	if (!entry_open(entry, &walk))
		return 0;
	while (entry_next(&walk, &view))
		count++;
	return entry_is_walked(&walk) ? count : 0;
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
