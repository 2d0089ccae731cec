/* Field lines of a message: the known fields, and the walking of list-valued ones (RFC 9110 5). */
#ifndef CACHE_HTTP_FIELDS_H
#define CACHE_HTTP_FIELDS_H

#include <stdint.h>

#include "cache/base/slice.h"

/* Known fields, FIELD_OTHER for the rest. */
enum http_field_id {
	FIELD_OTHER,
#define FIELD(id, name, flags) FIELD_##id,
#include "cache/http/fields.def"
#undef FIELD
	FIELD_ID_COUNT
};

enum http_field_flags {
	HOP = 1,
	FRAMING = 2,
	KEEP = 4,
	UNSTORED = 8,
	IN_304 = 16,
	PERSONAL = 32,
};

/* One field line.  `value` has no leading or trailing white space. */
struct http_field {
	struct slice name;
	struct slice value;
	uint8_t id;     /* enum http_field_id; FIELD_OTHER once nominated, unless flagged HOP */
	bool nominated; /* a Connection option names it: hop-by-hop in this message */
};

/*
 * Field lines in the order received.  `present` has bit `id` set for each known field that occurs,
 * so that testing for a field is one instruction.  Fields that Connection nominates are not in it,
 * unless flagged HOP.  `repeated` has the bits of fields with more than one line, and possibly more
 * bits after lines were removed.
 */
struct http_fields {
	struct http_field *at;
	uint32_t count;
	uint32_t capacity;
	uint64_t present;
	uint64_t repeated;
};

/* The known field of that name, any case; FIELD_OTHER when there is none.  Constant time. */
enum http_field_id http_field_lookup(struct slice name);

/* Its name as registered, and its flags (enum http_field_flags). */
struct slice http_field_name(enum http_field_id id);
unsigned http_field_flags(enum http_field_id id);

/* A tchar of RFC 9110 5.6.2, and a whole token of at least one. */
static inline bool http_is_tchar(unsigned char c)
{
	static const uint32_t set[8] = {
		0x00000000, /* controls */
		0x03ff6cfa, /* ! # $ % & ' * + - . 0-9 */
		0xc7fffffe, /* A-Z ^ _ */
		0x57ffffff, /* ` a-z | ~ */
	};

	return (set[c / 32] >> (c % 32)) & 1;
}

bool http_is_token(struct slice s);

/* Append a line; false when the array is full.  Sets id, present and repeated, not nominated. */
bool http_fields_add(struct http_fields *fields, struct slice name, struct slice value);

/* Lines that are views of some bytes, as the same views of a copy of them; `to` has room for all. */
void http_fields_move(struct http_field *to, const struct http_fields *from, const char *bytes,
		      const char *copy);

/* First line of a known field, or NULL; next line after `prev` of the same field, or NULL. */
const struct http_field *http_fields_first(const struct http_fields *fields, enum http_field_id id);
const struct http_field *http_fields_next(const struct http_fields *fields,
					  const struct http_field *prev);

/* Whether there is any line of a known field. */
static inline bool http_has_field(const struct http_fields *fields, enum http_field_id id)
{
	return (fields->present >> id) & 1;
}

/* Whether the field may have more than one line. */
static inline bool http_may_be_repeated(const struct http_fields *fields, enum http_field_id id)
{
	return id == FIELD_OTHER || ((fields->repeated >> id) & 1);
}

/* Number of lines of a known field. */
unsigned http_fields_lines(const struct http_fields *fields, enum http_field_id id);

/* Case-insensitive order of names: by length, then by letters. */
int http_name_compare(struct slice a, struct slice b);

/* A hash that does not depend on case, never 0: to look for many names in many lines. */
uint32_t http_name_hash(struct slice name);

/* First line with that name (any case), known or not, that is not nominated; or NULL. */
const struct http_field *http_fields_named(const struct http_fields *fields, struct slice name);

/* First such line of an unknown field from line `i` on; or NULL. */
const struct http_field *http_fields_unknown(const struct http_fields *fields, uint32_t i,
					     struct slice name);

/*
 * Mark the fields that Connection options nominate, except those flagged KEEP (RFC 9110 7.6.1;
 * HAZARDS H1, H2).  Marked fields are not forwarded, so the functions above no longer find them and
 * no rule depends on them, except for fields flagged HOP, which are meant for us.  Called once by
 * the parser.
 */
void http_fields_nominate(struct http_fields *fields);

/* True when the field is not forwarded: HOP, FRAMING or nominated. */
bool http_field_is_hop(const struct http_field *field);

/*
 * Members of a comma-separated list over all lines of a field (RFC 9110 5.6.1): quoted strings are
 * kept whole, empty members skipped, members trimmed.
 *
 *	struct http_list list = http_list_of(fields, FIELD_VARY);
 *	while (http_list_next(&list, &member))
 *
 * `broken` becomes true when a quoted string is not closed.
 */
struct http_list {
	const struct http_fields *fields;
	const struct http_field *line;
	size_t offset;
	bool broken;
};

struct http_list http_list_of(const struct http_fields *fields, enum http_field_id id);
bool http_list_next(struct http_list *list, struct slice *ret_member);

/* The next member of one line's value from *offset on; the base of http_list_next(). */
bool http_list_member(struct slice value, size_t *offset, struct slice *ret_member,
		      bool *ret_broken);

/*
 * The names that Vary lists, without duplicates (ignoring case), sorted.  False when nothing can be
 * compared: for "*", a malformed list, or more names than this, which count as "*" because each
 * name costs a search in each request.
 */
enum { HTTP_VARY_NAMES_MAX = 16 };
bool http_vary_names(const struct http_fields *fields, struct slice names[HTTP_VARY_NAMES_MAX],
		     unsigned *ret_count);

/* Whether Connection has this option, any case. */
bool http_connection_has(const struct http_fields *fields, struct slice option);

/* Whether a list-valued field has this member, any case. */
bool http_list_has(const struct http_fields *fields, enum http_field_id id, struct slice member);

#endif
