/* Conditions: the client's on a record, and ours on the origin with what its answer means. */
#include "cache/policy/validation.h"

#include "cache/policy/freshness.h"
#include "cache/http/date.h"
#include "cache/http/fields.h"

/* The end of the entity tag that starts at `i`, or 0: [ "W/" ] DQUOTE *etagc DQUOTE. */
static size_t tag_end(struct slice text, size_t i)
{
	if (text.n - i >= 2 && text.p[i] == 'W' && text.p[i + 1] == '/')
		i += 2;
	if (i == text.n || text.p[i] != '"')
		return 0;
	for (i++; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if (c == '"')
			return i + 1;
		/* A backslash is a character like others here (RFC 9110 8.8.3). */
		if (c <= ' ' || c == 0x7f)
			return 0;
	}
	return 0;
}

struct slice policy_etag(const struct http_fields *fields)
{
	const struct http_field *line = http_fields_first(fields, FIELD_ETAG);

	if (line == NULL || http_fields_next(fields, line) != NULL ||
	    tag_end(line->value, 0) != line->value.n)
		return slice_of(NULL, 0);
	return line->value;
}

/* Of a whole tag, or of nothing. */
static struct slice opaque_part(struct slice tag)
{
	bool weak = tag.n > 0 && tag.p[0] == 'W';

	return weak ? slice_of(tag.p + 2, tag.n - 2) : tag;
}

/* How If-None-Match relates to one tag. */
struct tag_list {
	bool star;      /* "*" and nothing else */
	bool malformed; /* then the whole field is ignored */
	bool matched;   /* the tag is among them */
	bool others;    /* other tags are */
};

/*
 * The member that starts at `i`; returns its end, past a comma.  `tag` is opaque_part() of a tag.
 */
static size_t read_member(struct slice value, size_t i, struct slice tag, struct tag_list *list)
{
	bool star = value.p[i] == '*';
	size_t end = star ? i + 1 : tag_end(value, i);

	if (end == 0) {
		list->malformed = true;
		return value.n;
	}
	if (list->star || (star && (list->matched || list->others)))
		list->malformed = true;
	else if (star)
		list->star = true;
	else if (tag.n > 0 && slice_eq(opaque_part(slice_of(value.p + i, end - i)), tag))
		list->matched = true;
	else
		list->others = true;
	while (end < value.n && (value.p[end] == ' ' || value.p[end] == '\t'))
		end++;
	if (end < value.n && value.p[end] != ',')
		list->malformed = true;
	return end + 1;
}

static struct tag_list read_if_none_match(const struct http_fields *fields, struct slice tag)
{
	const struct http_field *line = http_fields_first(fields, FIELD_IF_NONE_MATCH);
	struct tag_list list = {0};

	/* Most clients that have our record send its tag and nothing else. */
	list.matched = line != NULL && tag.n > 0 && slice_eq(line->value, tag) &&
		       http_fields_next(fields, line) == NULL;
	if (list.matched)
		return list;
	/* Compute it once for all members: both may be long. */
	tag = opaque_part(tag);
	for (; line != NULL && !list.malformed; line = http_fields_next(fields, line)) {
		struct slice value = line->value;
		size_t i = 0;

		while (i < value.n && !list.malformed) {
			if (value.p[i] == ',' || value.p[i] == ' ' || value.p[i] == '\t')
				i++;
			else
				i = read_member(value, i, tag, &list);
		}
	}
	if (list.malformed)
		list.star = list.matched = false;
	return list;
}

/* The record's tag; a malformed one counts as absent. */
static struct slice record_tag(const struct record_meta *meta, struct slice etag)
{
	return meta->flags & META_HAS_ETAG ? etag : slice_of(NULL, 0);
}

/* RFC 9111 4.3.2: If-Modified-Since against Last-Modified, else Date, else receipt. */
static bool unmodified_since(const struct http_request *req, const struct record_meta *meta,
			     const struct http_clock *now)
{
	int64_t since = freshness_date(&req->fields, FIELD_IF_MODIFIED_SINCE, now->wall_s);
	int64_t modified = meta->last_modified_s;

	if (modified == HTTP_DATE_INVALID)
		modified = meta->date_s;
	return since != HTTP_DATE_INVALID && modified <= since;
}

bool policy_not_modified(const struct http_request *req, const struct record_meta *meta,
			 struct slice etag, const struct http_clock *now)
{
	struct tag_list list;

	if (req->method != METHOD_GET && req->method != METHOD_HEAD)
		return false;
	if (!http_has_field(&req->fields, FIELD_IF_NONE_MATCH))
		return http_has_field(&req->fields, FIELD_IF_MODIFIED_SINCE) &&
		       unmodified_since(req, meta, now);
	list = read_if_none_match(&req->fields, record_tag(meta, etag));
	return list.star || list.matched;
}

/* A 304 with a tag is for the party that has that tag (RFC 9111 4.3.4). */
static enum validation tagged_304(const struct http_request *req, struct slice etag,
				  struct slice tag)
{
	struct tag_list list;

	/* A 204 has no content, so what a weak tag would leave open does not matter. */
	if (slice_eq(opaque_part(etag), opaque_part(tag)))
		return VALIDATION_FRESHEN;
	list = read_if_none_match(&req->fields, tag);
	return list.star || list.matched ? VALIDATION_PASS_304 : VALIDATION_RETRY;
}

static bool other_last_modified(const struct record_meta *meta, const struct http_response *res)
{
	int64_t modified = freshness_date(&res->fields, FIELD_LAST_MODIFIED, meta->response_wall_s);

	return modified != HTTP_DATE_INVALID && meta->last_modified_s != HTTP_DATE_INVALID &&
	       modified != meta->last_modified_s;
}

/* A 304 without a tag: what it confirms follows from the request only. */
static enum validation untagged_304(const struct http_request *req, const struct record_meta *meta,
				    struct slice etag, const struct http_response *res)
{
	struct tag_list list;

	if (!(meta->flags & (META_HAS_ETAG | META_HAS_LAST_MODIFIED)))
		return VALIDATION_RETRY;
	if (etag.n > 0) {
		list = read_if_none_match(&req->fields, etag);
		if (list.malformed || list.others)
			return VALIDATION_RETRY;
	}
	return other_last_modified(meta, res) ? VALIDATION_RETRY : VALIDATION_FRESHEN;
}

/*
 * RFC 9111 4.3.5: a HEAD's answer is about the GET's record that it could have got, unless it has
 * another validator.
 */
static bool confirms_get(const struct http_request *req, const struct record_meta *meta,
			 struct slice etag, const struct http_response *res)
{
	struct slice tag = policy_etag(&res->fields);

	return req->method == METHOD_HEAD && meta->kind == RECORD_GET && !res->framing_trouble &&
	       !res->mended &&
	       (!http_has_field(&res->fields, FIELD_ETAG) || (tag.n > 0 && slice_eq(tag, etag))) &&
	       (!http_has_field(&res->fields, FIELD_LAST_MODIFIED) ||
		(meta->last_modified_s != HTTP_DATE_INVALID &&
		 meta->last_modified_s ==
			 freshness_date(&res->fields, FIELD_LAST_MODIFIED, meta->response_wall_s)));
}

static bool is_gateway_failure(uint16_t status)
{
	return status == 500 || (status >= 502 && status <= 504);
}

enum validation policy_validation(const struct http_request *req, const struct validated *record,
				  const struct http_response *res, const struct http_clock *now,
				  const struct conf *conf)
{
	const struct record_meta *meta = record->meta;
	struct slice etag = record_tag(meta, record->etag);
	struct slice tag;

	if (res->status == 304) {
		tag = policy_etag(&res->fields);
		return tag.n > 0 ? tagged_304(req, etag, tag) : untagged_304(req, meta, etag, res);
	}
	if (res->status == 204)
		return confirms_get(req, meta, etag, res) ? VALIDATION_UPDATE : VALIDATION_REPLACE;
	if (policy_supersedes(res->status))
		return record->background && res->status >= 400 ? VALIDATION_KEEP
								: VALIDATION_REMOVE;
	if (is_gateway_failure(res->status) && policy_stale_if_error(req, meta, now, conf))
		return VALIDATION_STALE;
	return VALIDATION_KEEP;
}
