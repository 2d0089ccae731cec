/* Writes stored responses as bytes, and views them. */
#include "cache/record/record.h"

#include <xxhash.h>

#include "cache/http/date.h"
#include "cache/record/groups.h"
#include "cache/record/vary.h"

uint64_t record_seed(struct slice normal_uri)
{
	return XXH3_64bits(normal_uri.p, normal_uri.n);
}

static uint64_t checksum_of(const struct record_header *header, uint64_t seed)
{
	size_t skipped = sizeof(header->checksum);

	/* As good as a seeded hash here, which would have to prepare a secret each time. */
	return XXH3_64bits((const char *)header + skipped, header->length - skipped) ^ seed;
}

/* A value whose place in the header is consistent: within the part, or empty at its end. */
static bool is_part(uint32_t at, uint32_t n, uint32_t whole)
{
	return at <= whole && n <= whole - at;
}

static size_t groups_size(const struct record_header *header)
{
	return header->group_count * sizeof(struct cache_key);
}

static bool header_is_sound(const struct record_header *header, size_t room)
{
	uint64_t used = (uint64_t)sizeof(*header) + groups_size(header) + header->vary_n +
			header->head_304_n + header->head_rest_n;

	return header->version == RECORD_VERSION && header->length <= room &&
	       header->length >= sizeof(*header) && record_pad(used) == header->length &&
	       is_part(header->etag_at, header->etag_n, header->head_304_n) &&
	       is_part(header->last_modified_at, header->last_modified_n, header->head_rest_n) &&
	       header->meta.kind <= RECORD_PREFLIGHT &&
	       header->meta.lifetime_source <= LIFETIME_LAST;
}

bool record_parse(struct slice bytes, struct record_view *ret_view)
{
	const struct record_header *header = (const void *)bytes.p;
	const char *part;

	if (bytes.n < sizeof(*header) || !record_is_aligned(bytes.p) ||
	    !header_is_sound(header, bytes.n))
		return false;
	part = bytes.p + sizeof(*header);
	ret_view->generation = (struct view_generation){0};
	ret_view->meta = &header->meta;
	ret_view->groups = (const void *)part;
	ret_view->group_count = header->group_count;
	part += groups_size(header);
	ret_view->vary = slice_of(part, header->vary_n);
	part += header->vary_n;
	ret_view->head_304 = slice_of(part, header->head_304_n);
	ret_view->etag = slice_of(part + header->etag_at, header->etag_n);
	part += header->head_304_n;
	ret_view->head_rest = slice_of(part, header->head_rest_n);
	ret_view->last_modified =
		slice_of(part + header->last_modified_at, header->last_modified_n);
	ret_view->bytes = slice_of(bytes.p, header->length);
	ret_view->vary_set = header->vary_set;
	return true;
}

bool record_is_intact(const struct record_view *view, uint64_t seed)
{
	const struct record_header *header = (const void *)view->bytes.p;

	return header->checksum == checksum_of(header, seed);
}

bool record_view(struct slice bytes, struct slice normal_uri, struct record_view *ret_view)
{
	return record_parse(bytes, ret_view) && ret_view->bytes.n == bytes.n &&
	       record_is_intact(ret_view, record_seed(normal_uri));
}

struct cache_key record_variant_key(const struct record_view *view, const struct cache_key *entry)
{
	XXH128_hash_t hash = XXH3_128bits_withSeed(view->vary.p, view->vary.n,
						   entry->word[1] ^ view->meta->kind);

	return (struct cache_key){{entry->word[0] ^ hash.low64, hash.high64}};
}

bool record_is_invalidated(const struct record_view *view, const struct record_cutoff *cutoff)
{
	uint64_t asked_at = view->meta->asked_at;
	struct cache_key variant;

	if (asked_at < cutoff->asked_before)
		return true;
	for (size_t i = 0; i < view->group_count; i++) {
		if (asked_at < cutoff->epoch_of(cutoff->context, &view->groups[i]))
			return true;
	}
	variant = record_variant_key(view, &cutoff->entry);
	return asked_at < cutoff->epoch_of(cutoff->context, &variant);
}

bool record_is_made_stale(const struct record_view *view, const struct record_cutoff *cutoff,
			  int64_t *ret_ms)
{
	uint64_t asked_at = view->meta->asked_at;

	if (cutoff->epoch_of == NULL || view->meta->flags & META_PURGED)
		return false;
	*ret_ms = cutoff->stale_ms;
	if (asked_at < cutoff->stale_before)
		return true;
	for (size_t i = 0; cutoff->group_stale != NULL && i < view->group_count; i++) {
		if (asked_at < cutoff->group_stale(cutoff->context, &view->groups[i], ret_ms))
			return true;
	}
	return false;
}

void record_make_stale(char *record, int64_t purged_ms, uint64_t seed)
{
	struct record_header *header = (void *)record;
	int64_t age_s = policy_age_s(&header->meta, &(struct http_clock){.steady_ms = purged_ms});

	header->meta.flags |= META_PURGED;
	if (age_s < header->meta.lifetime_s)
		header->meta.lifetime_s = (uint32_t)age_s;
	header->checksum = checksum_of(header, seed);
}

/* A record being written; once something does not fit, the rest is skipped. */
struct record_writer {
	struct record_header header;
	char *to;
	size_t size;
	size_t used;
	bool refused;
};

static void writer_put(struct record_writer *writer, struct slice bytes)
{
	if (writer->refused || bytes.n > writer->size - writer->used) {
		writer->refused = true;
		return;
	}
	if (bytes.n > 0)
		memcpy(writer->to + writer->used, bytes.p, bytes.n);
	writer->used += bytes.n;
}

/* The parser refuses such lines; one stored here would be sent as two (CWE-113). */
static bool is_one_line(struct slice name, struct slice value)
{
	return http_is_token(name) &&
	       memchr(value.p != NULL ? value.p : "", '\n', value.n) == NULL &&
	       memchr(value.p != NULL ? value.p : "", '\r', value.n) == NULL &&
	       memchr(value.p != NULL ? value.p : "", '\0', value.n) == NULL;
}

/* Returns where the value is, from the start of the record. */
static uint32_t writer_line(struct record_writer *writer, struct slice name, struct slice value)
{
	size_t at;

	if (!is_one_line(name, value))
		writer->refused = true;
	writer_put(writer, name);
	writer_put(writer, SLICE(": "));
	at = writer->used;
	writer_put(writer, value);
	writer_put(writer, SLICE("\r\n"));
	return (uint32_t)at;
}

static void writer_groups(struct record_writer *writer, const struct http_response *res,
			  struct slice normal_uri)
{
	struct cache_key groups[GROUPS_MAX];
	size_t count = groups_of_response(res, normal_uri, groups);

	if (count > GROUPS_MAX) {
		writer->refused = true;
		return;
	}
	writer_put(writer, slice_of((const char *)groups, count * sizeof(*groups)));
	writer->header.group_count = (uint16_t)count;
}

/* The selecting fields: of a preflight what makes it the same one, then what Vary names. */
static void writer_vary(struct record_writer *writer, const struct http_request *req,
			const struct http_response *res)
{
	size_t start = writer->used;
	size_t n;

	if (writer->header.meta.kind == RECORD_PREFLIGHT) {
		n = vary_write_preflight(req, writer->to + start, writer->size - start);
		writer->refused |= n == SIZE_MAX;
		writer->used += n == SIZE_MAX ? 0 : n;
	}
	n = vary_write(&res->fields, req, writer->to + writer->used, writer->size - writer->used);
	writer->refused |= n == SIZE_MAX;
	writer->header.vary_set =
		vary_names_hash(slice_of(writer->to + writer->used, n == SIZE_MAX ? 0 : n));
	writer->used += n == SIZE_MAX ? 0 : n;
	writer->header.vary_n = (uint32_t)(writer->used - start);
}

/* A single valid Date is kept as received and never changed (RFC 9110 6.6.1). */
static bool date_is_kept(const struct http_response *res, const struct policy_drops *drops,
			 const struct record_meta *meta)
{
	const struct http_field *date = http_fields_first(&res->fields, FIELD_DATE);

	return date != NULL && http_fields_next(&res->fields, date) == NULL &&
	       !policy_drops_field(drops, date) &&
	       http_date_parse(date->value, meta->response_wall_s) != HTTP_DATE_INVALID;
}

static void writer_date(struct record_writer *writer)
{
	char text[HTTP_DATE_LENGTH];

	http_date_write(writer->header.meta.date_s, text);
	writer_line(writer, http_field_name(FIELD_DATE), slice_of(text, sizeof(text)));
}

static void writer_head_304(struct record_writer *writer, const struct http_response *res,
			    const struct policy_drops *drops)
{
	struct record_header *header = &writer->header;
	bool keep_date = date_is_kept(res, drops, &header->meta);
	size_t start = writer->used;

	if (!keep_date)
		writer_date(writer);
	for (uint32_t i = 0; i < res->fields.count && !writer->refused; i++) {
		const struct http_field *field = &res->fields.at[i];
		uint32_t at;

		if (!(http_field_flags(field->id) & IN_304) || policy_drops_field(drops, field) ||
		    (field->id == FIELD_DATE && !keep_date))
			continue;
		at = writer_line(writer, field->name, field->value);
		if (field->id == FIELD_ETAG && header->meta.flags & META_HAS_ETAG) {
			header->etag_at = at - (uint32_t)start;
			header->etag_n = (uint32_t)field->value.n;
		}
	}
	header->head_304_n = (uint32_t)(writer->used - start);
}

/* Where the value of Content-Language is, if it has one line. */
static void note_language(struct record_header *header, uint32_t at, unsigned lines)
{
	header->language_at = lines == 1 ? at : 0;
}

static void writer_head_rest(struct record_writer *writer, const struct http_response *res,
			     const struct policy_drops *drops)
{
	struct record_header *header = &writer->header;
	size_t start = writer->used;
	unsigned languages = 0;

	for (uint32_t i = 0; i < res->fields.count && !writer->refused; i++) {
		const struct http_field *field = &res->fields.at[i];
		uint32_t at;

		if (http_field_flags(field->id) & IN_304 || policy_drops_field(drops, field))
			continue;
		at = writer_line(writer, field->name, field->value);
		if (field->id == FIELD_LAST_MODIFIED &&
		    header->meta.flags & META_HAS_LAST_MODIFIED) {
			header->last_modified_at = at - (uint32_t)start;
			header->last_modified_n = (uint32_t)field->value.n;
		}
		if (slice_ieq(field->name, SLICE("Content-Language")))
			note_language(header, at - (uint32_t)start, ++languages);
	}
	header->head_rest_n = (uint32_t)(writer->used - start);
}

/* Add padding, then fill in the header. */
static size_t writer_end(struct record_writer *writer, struct slice normal_uri)
{
	struct record_header *header = &writer->header;
	static const char zeros[RECORD_ALIGN];

	writer_put(writer, slice_of(zeros, record_pad(writer->used) - writer->used));
	if (writer->refused || writer->used > UINT32_MAX)
		return 0;
	header->length = (uint32_t)writer->used;
	header->version = RECORD_VERSION;
	memcpy(writer->to, header, sizeof(*header));
	header = (void *)writer->to;
	header->checksum = checksum_of(header, record_seed(normal_uri));
	return writer->used;
}

size_t record_write(const struct http_request *req, const struct http_response *res,
		    const struct record_meta *meta, struct slice normal_uri, char *to, size_t size)
{
	struct record_writer writer = {.to = to, .size = size, .used = sizeof(writer.header)};
	struct policy_drops drops;

	if (size < sizeof(writer.header))
		return 0;
	writer.header.meta = *meta;
	policy_drops_read(res, &drops);
	writer_groups(&writer, res, normal_uri);
	writer_vary(&writer, req, res);
	writer_head_304(&writer, res, &drops);
	writer_head_rest(&writer, res, &drops);
	return writer_end(&writer, normal_uri);
}

/* Take the line at the start of *rest off it. */
static bool take_line(struct slice *rest, struct slice *ret_name, struct slice *ret_value)
{
	const char *end = memchr(rest->p, '\n', rest->n);
	const char *colon;

	if (end == NULL || end == rest->p || end[-1] != '\r')
		return false;
	colon = memchr(rest->p, ':', (size_t)(end - 1 - rest->p));
	if (colon == NULL)
		return false;
	*ret_name = slice_of(rest->p, (size_t)(colon - rest->p));
	*ret_value = slice_trim(slice_of(colon + 1, (size_t)(end - 1 - (colon + 1))));
	rest->n -= (size_t)(end + 1 - rest->p);
	rest->p = end + 1;
	return http_is_token(*ret_name);
}

bool record_language(const struct record_view *view, struct slice *ret_value)
{
	const struct record_header *header = (const void *)view->bytes.p;
	size_t at = header->language_at;
	const char *end;

	if (at == 0 || at >= view->head_rest.n)
		return false;
	end = memchr(view->head_rest.p + at, '\r', view->head_rest.n - at);
	if (end == NULL)
		return false;
	*ret_value = slice_of(view->head_rest.p + at, (size_t)(end - view->head_rest.p) - at);
	return true;
}

bool record_to_response(const struct record_view *view, struct http_response *ret_res)
{
	struct http_field *at = ret_res->fields.at;
	uint32_t capacity = ret_res->fields.capacity;
	struct slice rest = record_head(view, false);
	struct slice name, value;

	*ret_res = (struct http_response){
		.status = 204, .version_minor = record_minor_version(view), .keep_alive = true};
	ret_res->fields.at = at;
	ret_res->fields.capacity = capacity;
	while (rest.n > 0) {
		if (!take_line(&rest, &name, &value) ||
		    !http_fields_add(&ret_res->fields, name, value))
			return false;
	}
	return true;
}
