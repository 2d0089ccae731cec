/* LINKS: cache/http */
#include <assert.h>
#include <stdlib.h>

#include "cache/http/fields.h"
#include "cache/http/sf.h"

enum { LINES_MAX = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_item(struct slice text, const struct sf_item *item)
{
	if (item->text.n > 0)
		assert(item->text.p >= text.p && item->text.p + item->text.n <= text.p + text.n);
	assert(item->number > INT64_C(-1000000000000000));
	assert(item->number < INT64_C(1000000000000000));
	assert(item->type != SF_TOKEN || sf_is_token(item->text));
}

/* What can be written as a string is read as one string, with one backslash for each one added. */
static void check_string(struct slice text)
{
	char *written = malloc(SF_STRING_MAX(text.n));
	size_t n = sf_write_string(text, written, SF_STRING_MAX(text.n));
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
		http_fields_add(&fields, SLICE("x"), slice_trim(slice_of(rest.p, n - !!end)));
	}
	reader = sf_reader_of(&fields, SLICE("X"));
	while (sf_next_member(&reader, &key, &item) == SF_MEMBER) {
		check_item(text, &item);
		assert(sf_is_key(key));
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
