/* Hashes of keys, and the selecting fields of a variant as bytes to compare. */
#include "cache/key.h"

#include <xxhash.h>

#include "cache/http_fields.h"
#include "cache/language.h"

/*
 * A block is a run of items, each a header, a name in lower case and a value; nothing is aligned.
 *
 * More names than these in one Vary are no use to anybody, and looking for duplicates among them
 * would cost the square of their number.
 */
enum { VARY_NAMES_MAX = 128, PREFLIGHT_NAMES_MAX = 128 };

#define VALUE_ABSENT UINT32_MAX

struct item_header {
	uint32_t value_n; /* or VALUE_ABSENT */
	uint32_t name_n;
};

_Static_assert(sizeof(struct item_header) == 8, "the layout of a block has no padding");

struct cache_key cache_key_of_uri(struct slice normal_uri)
{
	XXH128_hash_t hash = XXH3_128bits(normal_uri.p, normal_uri.n);

	return (struct cache_key){{hash.high64, hash.low64}};
}

struct cache_key cache_key_of_group(struct slice origin, struct slice group)
{
	uint64_t seed = XXH3_64bits(origin.p, origin.n);
	XXH128_hash_t hash = XXH3_128bits_withSeed(group.p, group.n, seed);

	return (struct cache_key){{hash.high64, hash.low64}};
}

/* Bytes being written; once they do not fit, nothing more is. */
struct block {
	char *to;
	size_t size;
	size_t used;
	bool full;
};

static void block_put(struct block *block, const void *bytes, size_t n)
{
	if (block->full || n > block->size - block->used) {
		block->full = true;
		return;
	}
	if (n > 0)
		memcpy(block->to + block->used, bytes, n);
	block->used += n;
}

/* Field names and schemes are ASCII; tolower() would ask the locale. */
static inline char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static void block_put_lower(struct block *block, struct slice s)
{
	size_t start = block->used;

	block_put(block, s.p, s.n);
	for (size_t i = start; i < block->used; i++)
		block->to[i] = lower(block->to[i]);
}

/* Room for an item's header, to be filled when its value is known. */
static size_t block_begin(struct block *block, struct slice name)
{
	struct item_header header = {0};
	size_t at = block->used;

	block_put(block, &header, sizeof(header));
	block_put_lower(block, name);
	return at;
}

static void block_end(struct block *block, size_t at, size_t name_n, bool present)
{
	struct item_header header;

	if (block->full)
		return;
	header.name_n = (uint32_t)name_n;
	header.value_n =
		present ? (uint32_t)(block->used - at - sizeof(header) - name_n) : VALUE_ABSENT;
	memcpy(block->to + at, &header, sizeof(header));
}

/*
 * All lines of a request field as one value in normal form, in pieces.  The origin sees the field
 * as it is sent on, so a line of this connection only is no line (HAZARDS C5).
 */
struct joined {
	const struct http_fields *fields;
	const struct http_field *line; /* NULL at the end */
	struct slice name;
	enum http_field_id id;
	size_t offset;
};

static const struct http_field *joined_line(const struct joined *joined,
					    const struct http_field *from)
{
	const struct http_field *end = joined->fields->at + joined->fields->count;

	for (; from != end; from++) {
		if (from->id == joined->id && !http_field_is_hop(from) &&
		    (from->id != FIELD_OTHER || slice_ieq(from->name, joined->name)))
			return from;
	}
	return NULL;
}

static struct joined joined_of(const struct http_fields *fields, struct slice name)
{
	struct joined joined = {fields, NULL, name, http_field_lookup(name), 0};

	if (joined.id == FIELD_OTHER || http_has_field(fields, joined.id))
		joined.line = joined_line(&joined, fields->at);
	return joined;
}

/* The end of what stands before the next comma; commas in quoted strings do not count. */
static size_t member_end(struct slice value, size_t i)
{
	bool quoted = false;

	for (; i < value.n && (quoted || value.p[i] != ','); i++) {
		if (value.p[i] == '"')
			quoted = !quoted;
		else if (quoted && value.p[i] == '\\')
			i++;
	}
	return i < value.n ? i : value.n;
}

/*
 * The next piece: what is between two commas without the white space beside them, or ", " for a
 * comma or the end of a line that is not the last.
 */
static bool joined_next(struct joined *joined, struct slice *ret_piece)
{
	struct slice value = joined->line->value;
	size_t i = joined->offset;
	size_t end;

	if (i < value.n && value.p[i] != ',') {
		end = member_end(value, i);
		*ret_piece = slice_trim(slice_of(value.p + i, end - i));
		joined->offset = end;
		return true;
	}
	*ret_piece = SLICE(", ");
	if (i < value.n) {
		joined->offset = i + 1;
		return true;
	}
	joined->line = joined_line(joined, joined->line + 1);
	joined->offset = 0;
	return joined->line != NULL;
}

static bool is_language(struct slice name)
{
	return slice_ieq(name, SLICE("Accept-Language"));
}

/* The whole of Accept-Language in `to`; false when it is absent, or too long to be looked into. */
static bool joined_language(const struct http_fields *fields, struct slice name,
			    char to[LANGUAGE_VALUE_MAX], struct slice *ret_value)
{
	struct joined joined = joined_of(fields, name);
	struct block block = {to, LANGUAGE_VALUE_MAX, 0, false};
	struct slice piece;

	if (!joined.line)
		return false;
	while (joined_next(&joined, &piece))
		block_put(&block, piece.p, piece.n);
	*ret_value = slice_of(to, block.used);
	return !block.full;
}

/* Accept-Language in the one spelling for all that mean the same, when it has one. */
static bool normal_language(const struct http_fields *fields, struct slice name,
			    char to[LANGUAGE_VALUE_MAX], struct slice *ret_value)
{
	char whole[LANGUAGE_VALUE_MAX];
	struct slice value;
	size_t n;

	if (!is_language(name) || !joined_language(fields, name, whole, &value))
		return false;
	n = language_normal(value, to);
	*ret_value = slice_of(to, n);
	return n != SIZE_MAX;
}

static void block_put_field(struct block *block, const struct http_fields *fields,
			    struct slice name)
{
	struct joined joined = joined_of(fields, name);
	bool present = joined.line != NULL;
	size_t at = block_begin(block, name);
	char language[LANGUAGE_VALUE_MAX];
	struct slice piece;

	if (normal_language(fields, name, language, &piece)) {
		block_put(block, piece.p, piece.n);
		joined.line = NULL;
	}
	while (joined.line && joined_next(&joined, &piece))
		block_put(block, piece.p, piece.n);
	block_end(block, at, name.n, present);
}

/* One item of a block. */
struct item {
	struct slice name;
	struct slice value;
	bool present;
};

/* Takes the first item off a block; false at its end, or when it is damaged. */
static bool block_take(struct slice *block, struct item *ret_item)
{
	struct item_header header;
	size_t value_n, rest;

	if (block->n < sizeof(header))
		return false;
	memcpy(&header, block->p, sizeof(header));
	rest = block->n - sizeof(header);
	value_n = header.value_n == VALUE_ABSENT ? 0 : header.value_n;
	if (header.name_n > rest || value_n > rest - header.name_n)
		return false;
	ret_item->name = slice_of(block->p + sizeof(header), header.name_n);
	ret_item->value = slice_of(ret_item->name.p + header.name_n, value_n);
	ret_item->present = header.value_n != VALUE_ABSENT;
	block->p = ret_item->value.p + value_n;
	block->n = rest - header.name_n - value_n;
	return true;
}

static bool block_names(struct slice block, struct slice name)
{
	struct item item;

	while (block_take(&block, &item)) {
		if (slice_ieq(item.name, name))
			return true;
	}
	return false;
}

size_t key_vary_write(const struct http_fields *response, const struct http_request *req, char *to,
		      size_t size)
{
	struct http_list list = http_list_of(response, FIELD_VARY);
	struct block block = {to, size, 0, false};
	struct slice name;
	unsigned names = 0;

	while (!block.full && http_list_next(&list, &name)) {
		/* "*" never matches; of a Vary that cannot be read we do not know what it asks. */
		if (!http_is_token(name) || slice_eq(name, SLICE("*")) || names++ >= VARY_NAMES_MAX)
			return SIZE_MAX;
		if (!block_names(slice_of(block.to, block.used), name))
			block_put_field(&block, &req->fields, name);
	}
	return block.full || list.broken ? SIZE_MAX : block.used;
}

static bool item_matches(const struct item *item, const struct http_fields *fields)
{
	struct joined joined = joined_of(fields, item->name);
	char language[LANGUAGE_VALUE_MAX];
	struct slice rest = item->value;
	struct slice piece;

	if (!joined.line || !item->present)
		return !joined.line && !item->present;
	/* Most come as one line that is in normal form already. */
	if (slice_eq(joined.line->value, item->value) && !joined_line(&joined, joined.line + 1))
		return true;
	if (normal_language(fields, item->name, language, &piece))
		return slice_eq(piece, rest);
	while (joined_next(&joined, &piece)) {
		if (piece.n > rest.n || memcmp(piece.p, rest.p, piece.n) != 0)
			return false;
		rest.p += piece.n;
		rest.n -= piece.n;
	}
	return rest.n == 0;
}

bool key_vary_matches(struct slice block, const struct http_request *req)
{
	struct item item;

	while (block_take(&block, &item)) {
		if (!item_matches(&item, &req->fields))
			return false;
	}
	return block.n == 0;
}

bool key_vary_covers(struct slice block, struct slice other)
{
	struct item item;

	while (block_take(&other, &item)) {
		if (!block_names(block, item.name))
			return false;
	}
	return true;
}

static bool wants_language(const struct http_fields *fields, struct slice name,
			   struct slice language)
{
	char whole[LANGUAGE_VALUE_MAX];
	struct slice value;

	return joined_language(fields, name, whole, &value) && language_is_first(value, language);
}

bool key_vary_matches_language(struct slice block, const struct http_request *req,
			       struct slice language)
{
	struct item item;

	while (block_take(&block, &item)) {
		if (!item_matches(&item, &req->fields) &&
		    !(is_language(item.name) && wants_language(&req->fields, item.name, language)))
			return false;
	}
	return block.n == 0;
}

static int compare_names(struct slice a, struct slice b)
{
	int order = strncasecmp(a.p, b.p, a.n < b.n ? a.n : b.n);

	if (order != 0)
		return order;
	return a.n < b.n ? -1 : a.n > b.n;
}

/* Members of Access-Control-Request-Headers in order, each once; SIZE_MAX when there are too many.
 */
static size_t requested_headers(const struct http_fields *fields, struct slice *names)
{
	struct http_list list = http_list_of(fields, FIELD_ACCESS_CONTROL_REQUEST_HEADERS);
	struct slice name;
	size_t count = 0;

	while (http_list_next(&list, &name)) {
		size_t i = count;

		while (i > 0 && compare_names(name, names[i - 1]) < 0)
			i--;
		if (i > 0 && compare_names(name, names[i - 1]) == 0)
			continue;
		if (count == PREFLIGHT_NAMES_MAX)
			return SIZE_MAX;
		memmove(names + i + 1, names + i, (count - i) * sizeof(*names));
		names[i] = name;
		count++;
	}
	return list.broken ? SIZE_MAX : count;
}

size_t key_preflight_write(const struct http_request *req, char *to, size_t size)
{
	static const enum http_field_id verbatim[] = {
		FIELD_ORIGIN,
		FIELD_ACCESS_CONTROL_REQUEST_METHOD,
		FIELD_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK,
	};
	struct slice names[PREFLIGHT_NAMES_MAX];
	size_t count = requested_headers(&req->fields, names);
	struct block block = {to, size, 0, false};
	uint64_t length = 0;
	size_t at;

	if (count == SIZE_MAX)
		return SIZE_MAX;
	block_put(&block, &length, sizeof(length));
	for (size_t i = 0; i < sizeof(verbatim) / sizeof(*verbatim); i++)
		block_put_field(&block, &req->fields, http_field_name(verbatim[i]));
	at = block_begin(&block, slice_of(NULL, 0));
	for (size_t i = 0; i < count; i++) {
		block_put_lower(&block, names[i]);
		block_put(&block, ",", 1);
	}
	block_end(&block, at, 0, true);
	if (block.full)
		return SIZE_MAX;
	length = block.used;
	memcpy(to, &length, sizeof(length));
	return block.used;
}
