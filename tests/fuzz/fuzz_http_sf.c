/* LINKS: cache/http */
#include <assert.h>
#include <stdlib.h>

#include "cache/http/fields.h"
#include "cache/http/sf.h"

enum { LINES_MAX = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* RFC 9651 3.3.4 and 3.1.2, byte by byte. */
static bool is_token(struct slice text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (!http_is_tchar((unsigned char)text.p[i]) && text.p[i] != ':' &&
		    text.p[i] != '/')
			return false;
	}
	return text.n > 0 && strspn((char[]){text.p[0], 0},
				    "*abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == 1;
}

static bool is_key(struct slice text)
{
	static const char set[] = "*abcdefghijklmnopqrstuvwxyz_-.0123456789";

	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == 0 || !strchr(set, text.p[i]))
			return false;
	}
	return text.n > 0 && !strchr("_-.0123456789", text.p[0]);
}

/* A text as a string; 0 when none can hold it.  `to` has 2 n + 2 bytes. */
static size_t write_string(struct slice text, char *to)
{
	size_t n = 0;

	to[n++] = '"';
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] < 0x20 || text.p[i] > 0x7e)
			return 0;
		if (text.p[i] == '"' || text.p[i] == '\\')
			to[n++] = '\\';
		to[n++] = text.p[i];
	}
	to[n++] = '"';
	return n;
}

static void check_item(struct slice text, const struct sf_item *item)
{
	if (item->text.n > 0)
		assert(item->text.p >= text.p && item->text.p + item->text.n <= text.p + text.n);
	assert(item->number > INT64_C(-1000000000000000));
	assert(item->number < INT64_C(1000000000000000));
	assert(item->type != SF_TOKEN || is_token(item->text));
}

/* What can be written as a string is read as one string, with one backslash for each one added. */
static void check_string(struct slice text)
{
	char *written = malloc(2 * text.n + 2);
	size_t n = write_string(text, written);
	struct http_field line;
	struct http_fields fields = {.at = &line, .capacity = 1};
	struct slice string;
	size_t count;

	if (n > 0) {
		assert(http_fields_add(&fields, SLICE("x"), slice_of(written, n)));
		assert(sf_read_strings(&fields, SLICE("x"), &string, 1, &count) && count == 1);
		assert(string.n == n - 2 && string.n >= text.n);
	}
	free(written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of((const char *)data, size);
	struct slice rest = text, key;
	struct http_field lines[LINES_MAX];
	struct http_fields fields = {.at = lines, .capacity = LINES_MAX};
	struct sf_reader reader;
	struct sf_item item;
	size_t members = 0, count;

	for (size_t n; rest.n > 0; rest.p += n, rest.n -= n) {
		const char *end = memchr(rest.p, '\n', rest.n);

		n = end ? (size_t)(end - rest.p) + 1 : rest.n;
		http_fields_add(&fields, SLICE("x"),
				slice_trim(slice_of(rest.p, n - (end != NULL))));
	}
	reader = sf_reader_of(&fields, SLICE("X"));
	while (sf_next_member(&reader, &key, &item) == SF_MEMBER) {
		check_item(text, &item);
		assert(is_key(key));
		assert(++members <= size);
	}
	members = 0;
	reader = sf_reader_of(&fields, SLICE("X"));
	while (sf_next_item(&reader, &item) == SF_MEMBER) {
		check_item(text, &item);
		assert(++members <= size);
	}
	if (sf_read_strings(&fields, SLICE("X"), NULL, 0, &count))
		assert(count == members);
	check_string(text);
	return 0;
}
