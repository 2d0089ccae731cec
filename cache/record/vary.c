/* Hashes of keys, and the selecting fields of a variant as bytes to compare. */
#include "cache/record/vary.h"

#include <xxhash.h>

#include "cache/base/ascii.h"
#include "cache/http/fields.h"
#include "cache/record/accept_language.h"

/*
 * A block is a run of items, each a header, a name in lower case and a value; nothing is aligned.
 */
enum {
	PREFLIGHT_NAMES_MAX = 128,
	UNTAGGED_SEARCHES = 3, /* so few are cheaper than hashing the names of all lines */
};

#define VALUE_ABSENT UINT32_MAX

struct item_header {
	uint32_t value_n; /* or VALUE_ABSENT */
	uint32_t name_n;
};

_Static_assert(sizeof(struct item_header) == 8, "the layout of a block has no padding");

/* Bytes being written; once something does not fit, the rest is skipped. */
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

static void block_put_lower(struct block *block, struct slice s)
{
	size_t start = block->used;

	block_put(block, s.p, s.n);
	for (size_t i = start; i < block->used; i++)
		block->to[i] = ascii_lower(block->to[i]);
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

void vary_request_begin(struct vary_request *asked, const struct http_request *req)
{
	asked->fields = &req->fields;
	asked->searches = 0;
	asked->is_tagged = false;
	asked->is_language_known = false;
}

static void make_tags(struct vary_request *asked)
{
	const struct http_fields *fields = asked->fields;

	for (uint32_t i = 0; i < fields->count; i++) {
		const struct http_field *field = &fields->at[i];

		asked->tags[i] = field->id == FIELD_OTHER ? http_name_hash(field->name) : 0;
	}
	asked->is_tagged = true;
}

/*
 * All lines of a request field as one value in normal form, in pieces.  Lines that are not
 * forwarded do not count, since the origin does not see them (HAZARDS C5).
 */
struct joined {
	const struct http_fields *fields;
	const uint32_t *tags;          /* of an unknown name; NULL when there are none */
	const struct http_field *line; /* NULL at the end */
	struct slice name;
	enum http_field_id id;
	uint32_t tag;
	size_t offset;
};

static const struct http_field *known_line(enum http_field_id id, const struct http_field *from,
					   const struct http_field *end)
{
	while (from != end && (from->id != id || http_field_is_hop(from)))
		from++;
	return from != end ? from : NULL;
}

static const struct http_field *other_line(const struct joined *joined,
					   const struct http_field *from,
					   const struct http_field *end)
{
	const uint32_t *tag = joined->tags;

	if (tag != NULL)
		tag += from - joined->fields->at;
	for (; from != end; from++) {
		if ((tag == NULL || *tag++ == joined->tag) && from->id == FIELD_OTHER &&
		    !http_field_is_hop(from) && slice_ieq(from->name, joined->name))
			return from;
	}
	return NULL;
}

/* Two loops: a field with an id is found much faster. */
static const struct http_field *joined_line(const struct joined *joined,
					    const struct http_field *from)
{
	const struct http_field *end = joined->fields->at + joined->fields->count;

	return joined->id != FIELD_OTHER ? known_line(joined->id, from, end)
					 : other_line(joined, from, end);
}

static void joined_begin(struct joined *joined, struct vary_request *asked, struct slice name)
{
	const struct http_fields *fields = asked->fields;

	joined->fields = fields;
	joined->line = NULL;
	joined->name = name;
	joined->offset = 0;
	joined->id = http_field_lookup(name);
	if (joined->id == FIELD_OTHER) {
		if (!asked->is_tagged && asked->searches++ >= UNTAGGED_SEARCHES &&
		    fields->count <= VARY_LINES_MAX)
			make_tags(asked);
		joined->tags = asked->is_tagged ? asked->tags : NULL;
		joined->tag = asked->is_tagged ? http_name_hash(name) : 0;
	}
	if (joined->id == FIELD_OTHER || http_has_field(fields, joined->id))
		joined->line = joined_line(joined, fields->at);
}

/* The position of the next comma or the end; commas in quoted strings do not count. */
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
 * The next piece: the text between two commas without surrounding white space, or ", " for a comma
 * or the end of a line that is not the last.
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

/* Write the joined Accept-Language to `to`; false when it is absent or too long. */
static bool joined_language(struct vary_request *asked, char to[LANGUAGE_VALUE_MAX],
			    struct slice *ret_value)
{
	struct block block = {to, LANGUAGE_VALUE_MAX, 0, false};
	struct joined joined;
	struct slice piece;

	joined_begin(&joined, asked, SLICE("Accept-Language"));
	if (joined.line == NULL)
		return false;
	while (joined_next(&joined, &piece))
		block_put(&block, piece.p, piece.n);
	*ret_value = slice_of(to, block.used);
	return !block.full;
}

/* Accept-Language in normal form, when it has one. */
static bool normal_language(struct vary_request *asked, struct slice *ret_value)
{
	char whole[LANGUAGE_VALUE_MAX];
	struct slice value;

	if (!asked->is_language_known) {
		asked->language_n = SIZE_MAX;
		if (joined_language(asked, whole, &value))
			asked->language_n = language_normal(value, asked->language);
		asked->is_language_known = true;
	}
	*ret_value = slice_of(asked->language, asked->language_n);
	return asked->language_n != SIZE_MAX;
}

bool vary_wanted_language(struct vary_request *asked, struct slice *ret_language)
{
	struct slice value;

	return normal_language(asked, &value) && language_first(value, ret_language);
}

static void block_put_joined(struct block *block, struct vary_request *asked, struct joined *joined)
{
	bool present = joined->line != NULL;
	size_t at = block_begin(block, joined->name);
	struct slice piece;

	if (present && is_language(joined->name) && normal_language(asked, &piece)) {
		block_put(block, piece.p, piece.n);
		joined->line = NULL;
	}
	while (joined->line != NULL && joined_next(joined, &piece))
		block_put(block, piece.p, piece.n);
	block_end(block, at, joined->name.n, present);
}

static void block_put_field(struct block *block, struct vary_request *asked, struct slice name)
{
	struct joined joined;

	joined_begin(&joined, asked, name);
	block_put_joined(block, asked, &joined);
}

bool vary_take(struct slice *block, struct vary_item *ret_item)
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

bool vary_has_name(struct slice block, struct slice name)
{
	struct vary_item item;

	while (vary_take(&block, &item)) {
		if (slice_ieq(item.name, name))
			return true;
	}
	return false;
}

size_t vary_write(const struct http_fields *response, const struct http_request *req, char *to,
		  size_t size)
{
	struct slice names[HTTP_VARY_NAMES_MAX];
	struct block block = {to, size, 0, false};
	struct vary_request asked;
	unsigned count = 0;

	if (!http_vary_names(response, names, &count))
		return SIZE_MAX;
	vary_request_begin(&asked, req);
	for (unsigned i = 0; i < count; i++)
		block_put_field(&block, &asked, names[i]);
	return block.full ? SIZE_MAX : block.used;
}

uint64_t vary_names_hash(struct slice block)
{
	struct vary_item item;
	uint64_t hash = 0;

	while (vary_take(&block, &item))
		hash = XXH3_64bits_withSeed(item.name.p, item.name.n, hash);
	return hash;
}

/* Most values are one line in normal form: then compare it as it is. */
static bool is_as_sent(const struct joined *joined, const struct vary_item *item)
{
	if (joined->line == NULL || !item->present)
		return joined->line == NULL && !item->present;
	return slice_eq(joined->line->value, item->value) &&
	       (!http_may_be_repeated(joined->fields, joined->id) ||
		joined_line(joined, joined->line + 1) == NULL);
}

bool vary_select(struct slice block, struct vary_request *asked, char *to, size_t size,
		 struct slice *ret_selected)
{
	struct block selected = {to, size, 0, false};
	struct slice rest = block;
	bool differs = false;
	struct vary_item item;

	while (rest.n > 0) {
		const char *begin = rest.p;
		struct joined joined;

		if (!vary_take(&rest, &item))
			return false;
		joined_begin(&joined, asked, item.name);
		if (is_as_sent(&joined, &item)) {
			if (differs)
				block_put(&selected, begin, (size_t)(rest.p - begin));
			continue;
		}
		if (!differs)
			block_put(&selected, block.p, (size_t)(begin - block.p));
		differs = true;
		block_put_joined(&selected, asked, &joined);
	}
	*ret_selected = differs ? slice_of(to, selected.used) : block;
	return !selected.full;
}

bool vary_is_as_sent(struct slice block, const struct http_request *req)
{
	struct vary_request asked;
	struct joined joined;
	struct vary_item item;

	vary_request_begin(&asked, req);
	while (block.n > 0) {
		if (!vary_take(&block, &item))
			return false;
		joined_begin(&joined, &asked, item.name);
		if (!is_as_sent(&joined, &item))
			return false;
	}
	return true;
}

bool vary_covers(struct slice block, struct slice other)
{
	struct vary_item wanted, item;

	while (vary_take(&other, &wanted)) {
		do {
			if (!vary_take(&block, &item))
				return false;
		} while (!slice_eq(item.name, wanted.name));
	}
	return true;
}

bool vary_differs_in_language(struct slice a, struct slice b)
{
	struct vary_item item_a, item_b;

	while (vary_take(&a, &item_a)) {
		if (!vary_take(&b, &item_b) || !slice_eq(item_a.name, item_b.name))
			return false;
		if ((item_a.present != item_b.present || !slice_eq(item_a.value, item_b.value)) &&
		    !is_language(item_a.name))
			return false;
	}
	return a.n == 0 && b.n == 0;
}

/* Merge two adjacent sorted runs. */
static void merge_names(const struct slice *from, size_t middle, size_t end, struct slice *to)
{
	size_t a = 0, b = middle;

	for (size_t i = 0; i < end; i++) {
		bool is_a = b == end || (a < middle && http_name_compare(from[a], from[b]) <= 0);

		to[i] = is_a ? from[a++] : from[b++];
	}
}

/* Merge sort, since a client chooses how many there are. */
static void sort_names(struct slice *names, size_t count)
{
	struct slice spare[PREFLIGHT_NAMES_MAX];

	for (size_t run = 1; run < count; run *= 2) {
		for (size_t i = 0; i < count; i += 2 * run) {
			size_t end = count - i < 2 * run ? count - i : 2 * run;

			merge_names(names + i, run < end ? run : end, end, spare + i);
		}
		memcpy(names, spare, count * sizeof(*names));
	}
}

/* The members of Access-Control-Request-Headers, sorted, each once; SIZE_MAX for too many. */
static size_t requested_headers(const struct http_fields *fields,
				struct slice names[PREFLIGHT_NAMES_MAX])
{
	struct http_list list = http_list_of(fields, FIELD_ACCESS_CONTROL_REQUEST_HEADERS);
	size_t count = 0, kept = 0;
	struct slice name;

	while (http_list_next(&list, &name)) {
		if (count == PREFLIGHT_NAMES_MAX)
			return SIZE_MAX;
		names[count++] = name;
	}
	sort_names(names, count);
	for (size_t i = 0; i < count; i++) {
		if (kept == 0 || http_name_compare(names[kept - 1], names[i]) != 0)
			names[kept++] = names[i];
	}
	return list.broken ? SIZE_MAX : kept;
}

size_t vary_write_preflight(const struct http_request *req, char *to, size_t size)
{
	static const enum http_field_id verbatim[] = {
		FIELD_ORIGIN,
		FIELD_ACCESS_CONTROL_REQUEST_METHOD,
		FIELD_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK,
	};
	struct slice names[PREFLIGHT_NAMES_MAX];
	size_t count = requested_headers(&req->fields, names);
	struct block block = {to, size, 0, false};
	struct vary_request asked;
	uint64_t length = 0;
	size_t at;

	if (count == SIZE_MAX)
		return SIZE_MAX;
	vary_request_begin(&asked, req);
	block_put(&block, &length, sizeof(length));
	for (size_t i = 0; i < sizeof(verbatim) / sizeof(*verbatim); i++)
		block_put_field(&block, &asked, http_field_name(verbatim[i]));
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
