/* Shows operators what is stored. */
#include "proxy/front/admin_entries.h"

#include <stdio.h>
#include <stdlib.h>

#include "cache/policy/rule.h"
#include "cache/base/decimal.h"
#include "cache/cache.h"
#include "cache/record/entry.h"
#include "proxy/front/admin_page.h"
#include "proxy/front/admin_params.h"
#include "proxy/front/record_json.h"
#include "proxy/loop/env.h"

enum {
	ROWS_PRESET = 100,
	ROWS_MAX = 500,
	LOOK_MAX = 2000,       /* entries of a page, shown or not: a millisecond if in memory */
	TEXT_ENOUGH = 1 << 20, /* bytes: a page ends early */
	TEXT_MAX = 3 << 20,    /* and that with the longest entry */
	VARIANTS_SHOWN = 16,
	CURSOR_DIGITS = 32,
	MS_PER_S = 1000,
};

struct listing {
	const struct env *env;
	const struct conf *options; /* for the URI that is shown */
	struct json_writer out;
	struct purge wanted; /* PURGE_ALL, of a host or with a prefix */
	uint64_t rows_max, rows, looked;
	struct cache_key after;
};

/* ---- parameters ----------------------------------------------------------------------------- */

static int hex_digit(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_cursor(struct slice text, struct cache_key *ret_key)
{
	unsigned char *bytes = (unsigned char *)ret_key;

	if (text.n != CURSOR_DIGITS)
		return false;
	for (size_t i = 0; i < CURSOR_DIGITS; i++) {
		int digit = hex_digit(text.p[i]);

		if (digit < 0)
			return false;
		bytes[i / 2] = (unsigned char)(bytes[i / 2] << 4 | digit);
	}
	return true;
}

static bool read_limit(struct slice text, uint64_t *ret_limit)
{
	return decimal_read(text, ROWS_MAX, ret_limit) && *ret_limit > 0;
}

static bool read_prefix(struct slice text, struct purge *ret_wanted)
{
	struct http_uri uri;

	return http_uri_parse_absolute(text, &uri) == URI_OK && purge_of_prefix(&uri, ret_wanted);
}

static bool read_one(struct listing *listing, struct slice name, struct slice value)
{
	if (slice_eq(name, SLICE("limit")))
		return read_limit(value, &listing->rows_max);
	if (slice_eq(name, SLICE("after")))
		return read_cursor(value, &listing->after);
	if (listing->wanted.kind != PURGE_ALL)
		return false;
	if (slice_eq(name, SLICE("host")))
		return purge_of_host(value, &listing->wanted);
	return slice_eq(name, SLICE("prefix")) && read_prefix(value, &listing->wanted);
}

static bool read_params(struct listing *listing, struct admin_params *params)
{
	struct slice name, value;
	bool ok = true;

	while (ok && admin_params_next(params, &name, &value))
		ok = read_one(listing, name, value);
	return ok && !params->bad;
}

/* ---- rows ----------------------------------------------------------------------------------- */

static void put_or_null(struct json_writer *out, const char *name, struct slice value)
{
	if (value.n > 0)
		json_put_string(out, name, value);
	else
		json_put_null(out, name);
}

static void put_variant(struct listing *listing, const struct record_view *record,
			const struct record_cutoff *cutoff)
{
	struct json_writer *out = &listing->out;
	const struct record_meta *meta = record_meta(record);
	int64_t age_s = policy_age_s(meta, &listing->env->turn->now);
	int64_t lifetime_s = policy_lifetime_s(meta, listing->options), purged_ms;
	bool purged = meta->flags & META_PURGED;

	if (record_is_made_stale(record, cutoff, &purged_ms)) {
		int64_t until_s = policy_age_s(meta, &(struct http_clock){.steady_ms = purged_ms});

		purged = true;
		lifetime_s = until_s < lifetime_s ? until_s : lifetime_s;
	}
	json_put_object(out, NULL);
	record_put_answers(out, record);
	json_put_signed(out, "stored_ms", meta->response_wall_s * MS_PER_S);
	json_put_signed(out, "age_s", age_s);
	json_put_signed(out, "lifetime_s", lifetime_s);
	json_put_signed(out, "fresh_for_s", lifetime_s > age_s ? lifetime_s - age_s : 0);
	json_put_bool(out, "always_validated", meta->flags & META_NO_CACHE);
	json_put_bool(out, "purged", purged);
	json_put_number(out, "bytes", record_bytes(record).n);
	put_or_null(out, "etag", record_etag(record));
	put_or_null(out, "last_modified", record_last_modified(record));
	record_put_vary(out, record);
	json_put_end(out);
}

/* The records of an entry, from `i` on, that are there and whole; false when there is none. */
static bool next_variant(struct slice entry, const struct record_cutoff *cutoff, unsigned *i,
			 struct record_view *ret_record)
{
	struct slice uri;

	while (entry_at(entry, *i, &uri, ret_record)) {
		++*i;
		if (!record_is_absent(ret_record, cutoff))
			return true;
	}
	return false;
}

static void put_entry(struct listing *listing, struct slice entry,
		      const struct record_cutoff *cutoff)
{
	struct json_writer *out = &listing->out;
	struct record_view record;
	unsigned i = 0, shown = 0, more = 0;

	if (!next_variant(entry, cutoff, &i, &record))
		return;
	listing->rows++;
	listing->options = policy_uri_options(listing->env->conf, entry_uri(entry));
	json_put_object(out, NULL);
	json_put_text(out, "uri", entry_uri(entry));
	json_put_number(out, "bytes", entry.n);
	json_put_array(out, "variants");
	do {
		if (shown < VARIANTS_SHOWN) {
			put_variant(listing, &record, cutoff);
			shown++;
		} else {
			more++;
		}
	} while (next_variant(entry, cutoff, &i, &record));
	json_put_end(out);
	json_put_number(out, "variants_left_out", more);
	json_put_end(out);
}

static bool is_wanted(const struct listing *listing, const struct cache_key *key, struct slice uri)
{
	return listing->wanted.kind == PURGE_ALL || purge_concerns_uri(&listing->wanted, key, uri);
}

static bool visit(void *context, const struct cache_key *key, struct slice entry,
		  const struct record_cutoff *cutoff)
{
	struct listing *listing = context;

	listing->looked++;
	if (is_wanted(listing, key, entry_uri(entry)))
		put_entry(listing, entry, cutoff);
	return listing->rows < listing->rows_max && listing->out.length < TEXT_ENOUGH;
}

/* ---- the page ------------------------------------------------------------------------------- */

static void put_cursor(struct json_writer *out, const struct cache_key *key)
{
	const unsigned char *bytes = (const unsigned char *)key;
	char text[CURSOR_DIGITS + 1];

	for (size_t i = 0; i < sizeof(*key); i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	json_put_words(out, "after", text);
}

static void answer(struct exchange *x, struct listing *listing)
{
	struct json_writer *out = &listing->out;
	struct cache *cache = listing->env->cache;
	const struct cache_visitor visitor = {visit, listing};
	struct store_usage usage;
	bool more = false;

	json_writer_begin(out, JSON_COMPACT, TEXT_MAX);
	json_put_object(out, NULL);
	json_put_array(out, "entries");
	if (cache_walk(cache, &listing->after, LOOK_MAX, &visitor, &more) != STORE_OK) {
		json_writer_drop(out);
		admin_refuse(x, 503, ADMIN_FIELDS, "The store failed: see the log.\n");
		return;
	}
	json_put_end(out);
	store_usage(cache_store_of(cache), &usage);
	json_put_number(out, "looked_at", listing->looked);
	json_put_number(out, "stored", usage.entries);
	if (more)
		put_cursor(out, &listing->after);
	else
		json_put_null(out, "after");
	json_put_end(out);
	admin_answer_json(x, 200, out);
}

void admin_entries(struct exchange *x)
{
	struct listing *listing = calloc(1, sizeof(*listing));
	struct admin_params params;
	bool good;

	if (listing == NULL) {
		exchange_fail(x, FAILURE_INTERNAL);
		return;
	}
	if (!admin_read_params(x, &params)) {
		free(listing);
		return;
	}
	listing->env = x->use->env;
	listing->rows_max = ROWS_PRESET;
	good = read_params(listing, &params);
	admin_params_end(&params);
	if (good)
		answer(x, listing);
	else
		admin_refuse(x, 400, ADMIN_FIELDS,
			     "Say /entries, with ?host=HOST or HOST:PORT, or ?prefix=URI (scheme, "
			     "host and how its path begins), &limit= from 1 on, 500 at most count, "
			     "and &after= as the page before has it.\n");
	free(listing);
}
