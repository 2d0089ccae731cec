/* What was found out about a request, as JSON. */
#include "proxy/front/explain_json.h"

#include <stdio.h>
#include <stdlib.h>

#include "cache/policy/rule.h"
#include "cache/http/fields.h"
#include "cache/http/sf.h"
#include "cache/record/groups.h"
#include "proxy/front/explain_checks.h"
#include "proxy/front/explain_text.h"
#include "proxy/front/record_json.h"
#include "proxy/loop/turn.h"

enum { MS_PER_S = 1000 };

void explain_put_head(struct json_writer *out, struct slice status_line, struct slice lines)
{
	struct buf text = {0};
	bool ok = buf_append(&text, status_line);

	while (ok && lines.n > 0) {
		const char *lf = memchr(lines.p, '\n', lines.n);
		size_t n = lf != NULL ? (size_t)(lf - lines.p) : lines.n;
		size_t shown = n > 0 && lines.p[n - 1] == '\r' ? n - 1 : n;

		if (shown > 0)
			ok = (buf_length(&text) == 0 || buf_append(&text, SLICE("\n"))) &&
			     buf_append(&text, slice_of(lines.p, shown));
		n += lf != NULL;
		lines = slice_of(lines.p + n, lines.n - n);
	}
	if (ok)
		json_put_text(out, "head", buf_waiting(&text));
	else
		json_put_null(out, "head");
	buf_free(&text);
}

/* ---- records -------------------------------------------------------------------------------- */

/* A time on the wall clock that lies so many seconds ahead; null for never. */
static void put_time(struct json_writer *out, const char *name, const struct explained *explained,
		     bool is_known, int64_t ahead_s)
{
	if (is_known)
		json_put_signed(out, name, (explained->now.wall_s + ahead_s) * MS_PER_S);
	else
		json_put_null(out, name);
}

/* A name of a Vary block as it is registered. */
static struct slice shown_name(struct slice name)
{
	enum http_field_id id = http_field_lookup(name);

	return id == FIELD_OTHER ? name : http_field_name(id);
}

/*
 * The request fields that select it: "Accept-Language: de, X: y", null for none; where there is one
 * and `short_form`, its value alone.
 */
static void put_variant(struct json_writer *out, const struct record_view *record, bool short_form)
{
	struct slice block = record_vary(record);
	char text[JSON_STRING_MAX + 1] = "";
	struct vary_item item;
	size_t n = 0, count = 0;

	while (vary_take(&block, &item) && n < sizeof(text)) {
		struct slice name = shown_name(item.name), value = record_shown_value(&item);

		if (short_form && block.n == 0 && count == 0)
			name.n = 0;
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%.*s%s%.*s",
				      count++ > 0 ? ", " : "", SLICE_ARG(name),
				      name.n == 0    ? ""
				      : item.present ? ": "
						     : "",
				      SLICE_ARG(value));
		if (!item.present && n < sizeof(text))
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s",
					      name.n == 0 ? "absent" : " absent");
	}
	json_put_words(out, "variant", count > 0 ? text : NULL);
}

/* The value of the first line of a field, or null. */
static void put_field(struct json_writer *out, const char *name, const struct http_fields *fields,
		      struct slice field_name)
{
	const struct http_field *field = http_fields_named(fields, field_name);

	if (field != NULL)
		json_put_string(out, name, field->value);
	else
		json_put_null(out, name);
}

/* How long it may answer, and then. */
static void put_times(struct json_writer *out, const struct explained *explained,
		      const struct record_view *record, const struct http_fields *fields)
{
	const struct record_meta *meta = record_meta(record);
	int64_t left_s = explained->lifetime_s - explained->age_s;
	uint32_t behind_s = policy_while_revalidate_s(explained->req, meta);
	uint32_t error_s = policy_if_error_s(explained->req, meta, explained->env->conf);
	char from[EXPLAIN_SOURCE];

	json_put_signed(out, "age_s", explained->age_s);
	json_put_signed(out, "lifetime_s", explained->lifetime_s);
	explain_lifetime_source(explained, fields, from);
	json_put_words(out, "lifetime_from", from[0] != '\0' ? from : NULL);
	json_put_bool(out, "capped", explained->lifetime_s < (int64_t)meta->lifetime_s);
	json_put_number(out, "swr_s", behind_s);
	json_put_number(out, "sie_s", error_s);
	explain_error_source(explained, from);
	json_put_words(out, "sie_from", from[0] != '\0' ? from : NULL);
	json_put_signed(out, "stored_ms", meta->response_wall_s * MS_PER_S);
	put_time(out, "stale_at_ms", explained, true, left_s);
	put_time(out, "renewed_behind_until_ms", explained, behind_s > 0, left_s + behind_s);
	put_time(out, "if_error_until_ms", explained, error_s > 0, left_s + error_s);
	json_put_bool(out, "always_validated", meta->flags & META_NO_CACHE);
	json_put_bool(out, "never_stale", meta->flags & META_NO_STALE);
}

static void put_other(struct json_writer *out, const struct explained *explained,
		      const struct record_view *record)
{
	json_put_object(out, NULL);
	put_variant(out, record, true);
	json_put_signed(out, "age_s", policy_age_s(record_meta(record), &explained->now));
	json_put_signed(out, "lifetime_s",
			policy_lifetime_s(record_meta(record), explained->options));
	record_put_answers(out, record);
	json_put_end(out);
}

/* An entry has one of each kind and variant. */
static bool is_same_variant(const struct record_view *a, const struct record_view *b)
{
	return record_meta(a)->kind == record_meta(b)->kind &&
	       slice_eq(record_vary(a), record_vary(b));
}

/* The other records of the URI; how many there are in all. */
static unsigned put_others(struct json_writer *out, const struct explained *explained)
{
	const struct cache_found *found = &explained->in_store;
	struct record_view record = {.meta = NULL};
	unsigned count = found->lookup.has_record;
	struct slice uri;

	json_put_array(out, "others");
	for (unsigned i = 0; entry_at(found->entry, i, &uri, &record); i++) {
		if (!slice_eq(uri, found->lookup.normal_uri) ||
		    record_is_absent(&record, &found->cutoff) ||
		    (found->lookup.has_record && is_same_variant(&record, &found->lookup.record)))
			continue;
		if (++count <= EXPLAIN_OTHERS)
			put_other(out, explained, &record);
	}
	json_put_end(out);
	return count;
}

static void put_groups(struct json_writer *out, const struct http_fields *fields)
{
	struct slice names[GROUPS_NAMED_MAX], field = http_field_name(FIELD_CACHE_GROUPS);
	size_t count = 0;

	json_put_array(out, "groups");
	if (sf_read_strings(fields, field, names, GROUPS_NAMED_MAX, &count))
		for (size_t i = 0; i < count && i < GROUPS_NAMED_MAX; i++)
			json_put_string(out, NULL, names[i]);
	json_put_end(out);
}

static void put_record(struct json_writer *out, const struct explained *explained)
{
	const struct record_view *record = &explained->in_store.lookup.record;
	struct http_field *lines = calloc(RECORD_FIELDS_MAX, sizeof(*lines));
	struct http_response head = {.fields = {.at = lines, .capacity = RECORD_FIELDS_MAX}};

	if (lines == NULL || !record_to_response(record, &head)) {
		free(lines);
		json_put_null(out, "record");
		return;
	}
	json_put_object(out, "record");
	record_put_answers(out, record);
	put_times(out, explained, record, &head.fields);
	json_put_number(out, "size", record_bytes(record).n);
	put_variant(out, record, false);
	json_put_number(out, "variants", put_others(out, explained));
	put_field(out, "etag", &head.fields, SLICE("ETag"));
	put_field(out, "last_modified", &head.fields, SLICE("Last-Modified"));
	put_groups(out, &head.fields);
	json_put_end(out);
	explain_put_head(out, SLICE("HTTP/1.1 204 No Content"), record_head(record, false));
	free(lines);
}

/* ---- the whole ------------------------------------------------------------------------------ */

static void put_uri(struct json_writer *out, const struct http_uri *uri)
{
	char *normal = malloc(http_uri_normal_max(uri));

	if (normal != NULL)
		json_put_text(out, "uri", slice_of(normal, http_uri_normal(uri, normal)));
	else
		json_put_null(out, "uri");
	free(normal);
}

static void put_cache_status(struct json_writer *out, const struct explained *explained)
{
	struct buf text = {0};

	if (explained->verdict != EXPLAIN_LOCAL &&
	    compose_cache_status(&text, explained->env->conf, &explained->status_field))
		json_put_text(out, "cache_status", buf_waiting(&text));
	else
		json_put_null(out, "cache_status");
	buf_free(&text);
}

static void put_why(struct json_writer *out, const struct explained *explained)
{
	enum reason why = explained->barred != REASON_NONE ? explained->barred : explained->why;
	bool is_known = why != REASON_NONE;
	/* Nothing is to be done about the first request for what is stored then. */
	bool is_well = explained->kept && explained->verdict == EXPLAIN_MISS;

	json_put_words(out, "reason", is_known ? reason_token(why) : NULL);
	json_put_words(out, "meaning", is_known ? reason_meaning(why) : NULL);
	json_put_words(out, "do", is_known && !is_well ? reason_advice(why) : NULL);
	json_put_words(out, "failure",
		       explained->verdict == EXPLAIN_REFUSED ? failure_name(explained->refused)
							     : NULL);
}

/* The fields that it was asked about with. */
static void put_headers(struct json_writer *out, const struct http_fields *fields)
{
	json_put_array(out, "headers");
	for (uint32_t i = 0; i < fields->count; i++) {
		const struct http_field *field = &fields->at[i];
		char line[JSON_STRING_MAX + 1];

		if (field->id == FIELD_HOST)
			continue;
		snprintf(line, sizeof(line), "%.*s: %.*s", SLICE_ARG(field->name),
			 SLICE_ARG(field->value));
		json_put_string(out, NULL, slice_str(line));
	}
	json_put_end(out);
}

/* By which door it comes, and what stands before it. */
static void put_door(struct json_writer *out, const struct explained *explained)
{
	if (explained->gateway.n > 0)
		json_put_string(out, "gateway", explained->gateway);
	else
		json_put_null(out, "gateway");
	json_put_words(out, "proxy_refuses",
		       explained->proxy_refuses != FAILURE_NONE
			       ? failure_sentence(explained->proxy_refuses)
			       : NULL);
	json_put_bool(out, "login", !explained->chosen && explained->env->logins != NULL);
}

/* The rule for it, and the URI that its key is made of, where that is another. */
static void put_rule(struct json_writer *out, const struct explained *explained)
{
	const struct http_request *req = explained->req;
	char text[EXPLAIN_RULE];
	char *key = NULL;

	json_put_words(out, "rule", req->rule != NULL ? explain_rule(explained, text) : NULL);
	if (rule_joins_keys(req->rule))
		key = malloc(policy_key_uri_max(&req->uri));
	if (key != NULL)
		json_put_text(out, "key", policy_key_uri(explained->env->conf, &req->uri, key));
	else
		json_put_null(out, "key");
	free(key);
}

void explain_put(struct json_writer *out, const struct explained *explained)
{
	char sentence[EXPLAIN_SENTENCE];

	json_put_number(out, "v", 1);
	put_uri(out, &explained->req->uri);
	json_put_string(out, "method", explained->req->method_name);
	put_headers(out, &explained->req->fields);
	json_put_signed(out, "now_ms", explained->now.wall_s * MS_PER_S);
	json_put_words(out, "verdict", explain_verdict_token(explained->verdict));
	json_put_bool(out, "from_store", explain_is_from_store(explained->verdict));
	json_put_words(out, "line", explain_sentence(explained, sentence));
	put_why(out, explained);
	put_rule(out, explained);
	if (explained->status != 0)
		json_put_number(out, "status", explained->status);
	else
		json_put_null(out, "status");
	put_cache_status(out, explained);
	put_door(out, explained);
	explain_put_checks(out, explained);
	if (explained->found && explained->in_store.lookup.has_record) {
		put_record(out, explained);
	} else {
		json_put_null(out, "record");
		if (explained->found)
			put_others(out, explained);
	}
}
