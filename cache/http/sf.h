/*
 * Structured fields (RFC 9651): dictionaries and lists read from all lines of a field.  Pure, no
 * allocation, no recursion, linear in the bytes of the field.
 *
 * A reader checks as it goes, but RFC 9651 4.2 requires that a field with an error be ignored as a
 * whole: use what was read only after SF_END.
 *
 *	struct sf_reader reader = sf_reader_of(fields, name);
 *	enum sf_result result;
 *
 *	while ((result = sf_next_member(&reader, &key, &item)) == SF_MEMBER)
 *		...
 *	if (result == SF_INVALID)
 *		forget it
 *
 * Lines are joined as if by a comma, except that an item must not continue on the next line (RFC
 * 9651 4.2 lets a parser fail there).  Keys, items and their parts are views of the field values.
 */
#ifndef CACHE_HTTP_SF_H
#define CACHE_HTTP_SF_H

#include <stdint.h>

#include "cache/http/message.h"

enum sf_type {
	SF_INTEGER,
	SF_DECIMAL,
	SF_STRING,
	SF_TOKEN,
	SF_BYTES,
	SF_BOOLEAN,
	SF_DATE,
	SF_DISPLAY_STRING,
	SF_INNER_LIST,
};

/*
 * The value of a member without its parameters, which are checked and skipped.
 *
 * `text` of a string is the bytes between the quotes, with its backslashes: RFC 9651 has one
 * spelling for each string, so equal strings have equal text.  Byte sequences, display strings and
 * inner lists are also given without their delimiters.
 */
struct sf_item {
	enum sf_type type;
	int64_t number;    /* integer, seconds of a date, thousandths, boolean 0 or 1; else 0 */
	struct slice text; /* empty for a boolean that is not written */
};

enum sf_result {
	SF_MEMBER,
	SF_END, /* all was valid; also for an absent or empty field */
	SF_INVALID,
};

/* Where a walk is.  Private to cache/http/sf.c; lives as long as the fields and `name`. */
struct sf_reader {
	const struct http_fields *fields;
	const struct http_field *line; /* NULL when nothing is left */
	struct slice name;
	const char *p;
	const char *end;
	bool started; /* a line was begun */
	bool joined;  /* it is not the only one */
	bool invalid;
};

/* A walk over all lines of that name, known or not. */
struct sf_reader sf_reader_of(const struct http_fields *fields, struct slice name);

/* The next member of a dictionary; members with the same key all come, and the last one counts. */
enum sf_result sf_next_member(struct sf_reader *reader, struct slice *ret_key,
			      struct sf_item *ret_item);

/* The next member of a list. */
enum sf_result sf_next_item(struct sf_reader *reader, struct sf_item *ret_item);

/*
 * A list of strings, as Cache-Groups and Cache-Group-Invalidation are (RFC 9875): writes the first
 * `max` of them to `to` (text as in struct sf_item), their number, however large, to *ret_count.
 * False, and no strings, when the list is invalid or any member is not a string.
 */
bool sf_read_strings(const struct http_fields *fields, struct slice name, struct slice *to,
		     size_t max, size_t *ret_count);

#endif
