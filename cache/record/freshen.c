/* The record that a stored one becomes when a 304 confirms it (RFC 9111 3.2, 4.3.4). */
#include "cache/http/fields.h"
#include "cache/record/record.h"

/*
 * The fields that the 304 updates, as a set: known fields by their bit, others by a bit of the hash
 * of their name, so that one test rules out most stored lines.
 */
struct updated {
	uint64_t known;
	uint64_t others;
	unsigned count;                        /* of names */
	struct slice names[RECORD_FIELDS_MAX]; /* of the others, in order, each once */
};

static uint64_t hash_bit(struct slice name)
{
	return (uint64_t)1 << (http_name_hash(name) >> 26);
}

/* Where a name is or belongs, by binary search: both heads may have many lines. */
static unsigned find_name(const struct updated *updated, struct slice name)
{
	unsigned low = 0, high = updated->count;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (http_name_compare(updated->names[middle], name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool has_name(const struct updated *updated, unsigned at, struct slice name)
{
	return at < updated->count && slice_ieq(updated->names[at], name);
}

static void note_updated(struct updated *updated, const struct http_field *field)
{
	unsigned at;

	if (field->id != FIELD_OTHER) {
		updated->known |= (uint64_t)1 << field->id;
		return;
	}
	updated->others |= hash_bit(field->name);
	at = find_name(updated, field->name);
	if (has_name(updated, at, field->name))
		return;
	memmove(updated->names + at + 1, updated->names + at,
		(updated->count - at) * sizeof(*updated->names));
	updated->names[at] = field->name;
	updated->count++;
}

static bool is_updated(const struct updated *updated, const struct http_field *field)
{
	if (field->id != FIELD_OTHER)
		return (updated->known >> field->id) & 1;
	return updated->others & hash_bit(field->name) &&
	       has_name(updated, find_name(updated, field->name), field->name);
}

/* Read the 304's lines first: the set is needed for the stored ones. */
static bool add_304(struct http_fields *merged, const struct http_response *res_304,
		    struct updated *updated)
{
	struct policy_drops drops;

	policy_drops_read(res_304, &drops);
	for (uint32_t i = 0; i < res_304->fields.count; i++) {
		const struct http_field *field = &res_304->fields.at[i];

		if (policy_drops_field(&drops, field))
			continue;
		if (!http_fields_add(merged, field->name, field->value))
			return false;
		note_updated(updated, field);
	}
	/* A message without Date was made when it was received (RFC 9110 6.6.1). */
	updated->known |= (uint64_t)1 << FIELD_DATE;
	return true;
}

static bool add_stored(struct http_fields *merged, const struct http_fields *stored,
		       const struct updated *updated)
{
	for (uint32_t i = 0; i < stored->count; i++) {
		const struct http_field *field = &stored->at[i];

		if (!is_updated(updated, field) &&
		    !http_fields_add(merged, field->name, field->value))
			return false;
	}
	return true;
}

/* Age is not kept in the record, but the policy needs it to compute the age. */
static bool add_age(struct http_fields *merged, const struct http_response *res_304)
{
	const struct http_field *age = http_fields_first(&res_304->fields, FIELD_AGE);

	for (; age != NULL; age = http_fields_next(&res_304->fields, age)) {
		if (!http_fields_add(merged, age->name, age->value))
			return false;
	}
	return true;
}

static bool merge(const struct record_view *old, const struct http_response *res_304,
		  struct http_fields *merged)
{
	struct http_field lines[RECORD_FIELDS_MAX];
	struct http_response stored = {.fields = {.at = lines, .capacity = RECORD_FIELDS_MAX}};
	struct updated updated;

	updated.known = updated.others = updated.count = 0;
	return record_to_response(old, &stored) && add_304(merged, res_304, &updated) &&
	       add_stored(merged, &stored.fields, &updated) && add_age(merged, res_304);
}

/*
 * The meta of a response that the policy does not let us keep: ask the policy again for one with
 * only its dates, age and validators, as an answer to a plain request.
 */
static bool passing_meta(const struct http_response *merged, const struct exchange_times *times,
			 const struct conf *conf, struct record_meta *ret_meta)
{
	static const uint64_t wanted = (uint64_t)1 << FIELD_AGE | (uint64_t)1 << FIELD_DATE |
				       (uint64_t)1 << FIELD_ETAG |
				       (uint64_t)1 << FIELD_LAST_MODIFIED;
	struct http_field lines[16];
	struct http_response res = {
		.status = 204,
		.version_minor = merged->version_minor,
		.fields = {.at = lines, .capacity = sizeof(lines) / sizeof(lines[0])}};
	struct http_request req = {.method = METHOD_GET, .method_name = SLICE("GET")};
	enum reason why;

	http_fields_add(&res.fields, SLICE("Cache-Control"), SLICE("max-age=0, must-revalidate"));
	for (uint32_t i = 0; i < merged->fields.count; i++) {
		const struct http_field *field = &merged->fields.at[i];

		if ((wanted >> field->id) & 1 &&
		    !http_fields_add(&res.fields, field->name, field->value))
			break;
	}
	return policy_may_store(&req, &res, times, conf, ret_meta, &why);
}

size_t record_freshen(const struct record_view *old, const struct record_confirmation *by, char *to,
		      size_t size, enum reason *ret_why)
{
	struct http_field lines[RECORD_FIELDS_MAX];
	struct http_response merged = {.status = 204,
				       .version_minor = by->res_304->version_minor,
				       .mended = by->res_304->mended,
				       .fields = {.at = lines, .capacity = RECORD_FIELDS_MAX}};
	static const struct http_request plain = {.method = METHOD_GET};
	struct record_meta meta;
	size_t n;

	*ret_why = REASON_TOO_LARGE;
	if (!merge(old, by->res_304, &merged.fields))
		return 0;
	if (policy_may_store(by->req, &merged, by->times, by->conf, &meta, ret_why)) {
		/* A GET's record that a HEAD validated stays a GET's. */
		meta.kind = old->meta->kind;
		n = record_write(by->req, &merged, &meta, by->normal_uri, to, size);
		*ret_why = REASON_NONE;
		if (n > 0 && n <= by->conf->record_size)
			return n;
		*ret_why = REASON_TOO_LARGE;
	}
	if (!passing_meta(&merged, by->times, by->conf, &meta))
		return 0;
	merged.fields.present &= ~((uint64_t)1 << FIELD_VARY | (uint64_t)1 << FIELD_CACHE_GROUPS);
	return record_write(&plain, &merged, &meta, by->normal_uri, to, size);
}
