/* LINKS: cache/policy */
#include <assert.h>

#include "cache/policy/cache_control.h"
#include "cache/http/fields.h"

enum { LINES_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Lines are told apart by '\n'; the last one first when `reversed`. */
static void parse_lines(struct slice text, bool reversed, struct cache_control *ret_control)
{
	struct http_field lines[LINES_MAX];
	struct http_fields fields = {.at = lines, .capacity = LINES_MAX};
	uint32_t last;

	for (size_t n; text.n > 0; text.p += n, text.n -= n) {
		const char *end = memchr(text.p, '\n', text.n);

		n = end ? (size_t)(end - text.p) + 1 : text.n;
		if (!http_fields_add(&fields, SLICE("Cache-Control"),
				     slice_trim(slice_of(text.p, n - (end != NULL)))))
			break;
	}
	last = fields.count - 1;
	for (uint32_t i = 0; reversed && i < fields.count / 2; i++) {
		struct http_field line = lines[i];

		lines[i] = lines[last - i];
		lines[last - i] = line;
	}
	cache_control_parse(&fields, FIELD_CACHE_CONTROL, ret_control);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = slice_of((const char *)data, size);
	struct http_field line = {.name = SLICE("Targeted"), .value = slice_trim(text)};
	struct http_fields fields = {.at = &line, .count = 1, .capacity = 1};
	struct cache_control forwards, backwards, targeted;

	parse_lines(text, false, &forwards);
	if (forwards.present & 1u << CC_MAX_AGE)
		assert(forwards.max_age <= CC_SECONDS_MAX);
	assert(((forwards.invalid | forwards.unqualified) & ~forwards.present) == 0);
	assert(forwards.private.count <= CC_NAMES_MAX && forwards.no_cache.count <= CC_NAMES_MAX);
	for (uint32_t i = 0; i < forwards.private.count; i++)
		assert(http_is_token(forwards.private.at[i]));

	if (cache_control_from_sf(&fields, line.name, &targeted))
		assert(!targeted.broken && ((targeted.invalid & ~targeted.present) == 0));

	/* No reading depends on the order of the lines. */
	parse_lines(text, true, &backwards);
	if (size < LINES_MAX) {
		assert(memcmp(&forwards, &backwards, offsetof(struct cache_control, broken)) == 0);
		assert(forwards.broken == backwards.broken);
		assert(memcmp(&forwards.max_age, &backwards.max_age, 6 * sizeof(uint32_t)) == 0);
		assert(forwards.private.count == backwards.private.count);
		assert(forwards.no_cache.count == backwards.no_cache.count);
	}
	return 0;
}
