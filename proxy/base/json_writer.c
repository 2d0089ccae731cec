/* JSON texts, written from the first byte to the last. */
#include "proxy/base/json_writer.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE_MIN = 1024 };

void json_writer_begin(struct json_writer *out, enum json_layout layout, size_t max)
{
	*out = (struct json_writer){.layout = layout, .max = max, .first = true};
}

void json_writer_drop(struct json_writer *out)
{
	free(out->text);
	*out = (struct json_writer){.failed = true};
}

/* Room for `n` bytes and a NUL. */
static bool make_room(struct json_writer *out, size_t n)
{
	size_t size = out->size > 0 ? out->size : SIZE_MIN;
	char *text;

	if (out->failed || n > out->max - out->length) {
		out->failed = true;
		return false;
	}
	while (size <= out->length + n)
		size *= 2;
	if (size == out->size)
		return true;
	text = realloc(out->text, size);
	if (text == NULL) {
		out->failed = true;
		return false;
	}
	out->text = text;
	out->size = size;
	return true;
}

static void put_bytes(struct json_writer *out, const char *bytes, size_t n)
{
	if (!make_room(out, n))
		return;
	memcpy(out->text + out->length, bytes, n);
	out->length += n;
}

static void put_escaped(struct json_writer *out, struct slice value)
{
	char escape[8];

	put_bytes(out, "\"", 1);
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		if (c == '"' || c == '\\') {
			snprintf(escape, sizeof(escape), "\\%c", c);
			put_bytes(out, escape, 2);
		} else if (c < 0x20 || c > 0x7e) {
			snprintf(escape, sizeof(escape), "\\u%04x", c);
			put_bytes(out, escape, 6);
		} else {
			put_bytes(out, value.p + i, 1);
		}
	}
	put_bytes(out, "\"", 1);
}

static void put_line(struct json_writer *out)
{
	if (out->layout != JSON_LINES)
		return;
	put_bytes(out, "\n", 1);
	for (unsigned i = 0; i < out->depth; i++)
		put_bytes(out, "  ", 2);
}

/* What stands before a value: a comma, and its name within an object. */
static void put_name(struct json_writer *out, const char *name)
{
	assert((name != NULL) == (out->depth > 0 && out->ends[out->depth - 1] == '}'));
	assert(out->depth > 0 || out->first);
	if (!out->first)
		put_bytes(out, ",", 1);
	if (out->depth > 0)
		put_line(out);
	out->first = false;
	if (name == NULL)
		return;
	put_escaped(out, slice_str(name));
	put_bytes(out, ": ", out->layout == JSON_LINES ? 2 : 1);
}

static void put_level(struct json_writer *out, const char *name, char begin, char end)
{
	put_name(out, name);
	put_bytes(out, &begin, 1);
	assert(out->depth < JSON_DEPTH_MAX);
	out->ends[out->depth++] = end;
	out->first = true;
}

void json_put_object(struct json_writer *out, const char *name)
{
	put_level(out, name, '{', '}');
}

void json_put_array(struct json_writer *out, const char *name)
{
	put_level(out, name, '[', ']');
}

void json_put_end(struct json_writer *out)
{
	assert(out->depth > 0);
	out->depth--;
	if (!out->first)
		put_line(out);
	put_bytes(out, &out->ends[out->depth], 1);
	out->first = false;
}

static void put_value(struct json_writer *out, const char *name, const char *value)
{
	put_name(out, name);
	put_bytes(out, value, strlen(value));
}

void json_put_number(struct json_writer *out, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	put_value(out, name, text);
}

void json_put_signed(struct json_writer *out, const char *name, int64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)value);
	put_value(out, name, text);
}

void json_put_real(struct json_writer *out, const char *name, double value)
{
	char text[32];

	snprintf(text, sizeof(text), "%.6g", value);
	put_value(out, name, isfinite(value) ? text : "null");
}

void json_put_quotient(struct json_writer *out, const char *name, double part, double of)
{
	if (of > 0)
		json_put_real(out, name, part / of);
	else
		json_put_null(out, name);
}

void json_put_bool(struct json_writer *out, const char *name, bool value)
{
	put_value(out, name, value ? "true" : "false");
}

void json_put_null(struct json_writer *out, const char *name)
{
	put_value(out, name, "null");
}

void json_put_text(struct json_writer *out, const char *name, struct slice value)
{
	put_name(out, name);
	put_escaped(out, value);
}

void json_put_string(struct json_writer *out, const char *name, struct slice value)
{
	if (value.n > JSON_STRING_MAX)
		value.n = JSON_STRING_MAX;
	json_put_text(out, name, value);
}

void json_put_words(struct json_writer *out, const char *name, const char *value)
{
	if (value == NULL)
		json_put_null(out, name);
	else
		json_put_text(out, name, slice_str(value));
}

char *json_writer_take(struct json_writer *out, size_t *ret_length)
{
	char *text;

	assert(out->depth == 0 && !out->first);
	put_bytes(out, "\n", 1);
	if (out->failed) {
		json_writer_drop(out);
		return NULL;
	}
	text = out->text;
	text[out->length] = '\0';
	*ret_length = out->length;
	*out = (struct json_writer){.failed = true};
	return text;
}
