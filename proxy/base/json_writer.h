/*
 * JSON texts (RFC 8259), written from the first byte to the last into memory that grows.
 *
 *	struct json_writer out;
 *
 *	json_writer_begin(&out, JSON_COMPACT, 64 * 1024);
 *	json_put_object(&out, NULL);
 *	json_put_number(&out, "n", 3);
 *	json_put_array(&out, "uris");
 *	json_put_string(&out, NULL, uri);
 *	json_put_end(&out);
 *	json_put_end(&out);
 *	text = json_writer_take(&out, &length);
 *
 * Members have names, elements of arrays and the outermost value NULL.  Texts are ASCII whatever bytes
 * come in: a byte that is none of it is \u00XX, so a reader sees each byte.  Failures (no memory, more
 * than the bound) are kept until the end, so callers look once.
 */
#ifndef PROXY_BASE_JSON_WRITER_H
#define PROXY_BASE_JSON_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/base/slice.h"

enum {
	JSON_DEPTH_MAX = 16,
	JSON_STRING_MAX = 256, /* bytes of a string by json_put_string(), before escapes */
};

/* For programs, or in lines as people read them. */
enum json_layout { JSON_COMPACT, JSON_LINES };

struct json_writer {
	char *text;
	size_t length, size;
	size_t max; /* more than so many bytes is a failure */
	enum json_layout layout;
	unsigned depth;
	char ends[JSON_DEPTH_MAX]; /* what closes each level */
	bool first;                /* the next value is the first of its object or array */
	bool failed;
};

/* An empty text of at most `max` bytes.  json_writer_take() or json_writer_drop() ends it. */
void json_writer_begin(struct json_writer *out, enum json_layout layout, size_t max);

/*
 * The text with a line feed at its end, NUL-terminated, which the caller frees; NULL when anything
 * failed.  All that was begun has ended.
 */
char *json_writer_take(struct json_writer *out, size_t *ret_length);

void json_writer_drop(struct json_writer *out);

void json_put_object(struct json_writer *out, const char *name);
void json_put_array(struct json_writer *out, const char *name);

/* End the object or array that began last. */
void json_put_end(struct json_writer *out);

void json_put_number(struct json_writer *out, const char *name, uint64_t value);
void json_put_signed(struct json_writer *out, const char *name, int64_t value);

/* Six significant digits; null for what is no number. */
void json_put_real(struct json_writer *out, const char *name, double value);

/* The same of part / of; null where there is nothing to divide by: not known, and not 0. */
void json_put_quotient(struct json_writer *out, const char *name, double part, double of);

void json_put_bool(struct json_writer *out, const char *name, bool value);
void json_put_null(struct json_writer *out, const char *name);

/* What peers sent: JSON_STRING_MAX bytes of it at most. */
void json_put_string(struct json_writer *out, const char *name, struct slice value);

/* All of it, however long. */
void json_put_text(struct json_writer *out, const char *name, struct slice value);

/* Ours; null for NULL. */
void json_put_words(struct json_writer *out, const char *name, const char *value);

#endif
