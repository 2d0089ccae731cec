/* LINKS: cache/record */
#include <assert.h>
#include <stdint.h>

#include "cache/record/accept_language.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input is an Accept-Language.  Its spelling is no longer than it, is its own spelling, and
   wants the same language most. */
static bool is_first(struct slice value, struct slice language)
{
	struct slice first;

	return language_first(value, &first) && slice_ieq(first, language);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice value = slice_of((const char *)data, size);
	char normal[LANGUAGE_VALUE_MAX], again[LANGUAGE_VALUE_MAX];
	size_t n = language_normal(value, normal);
	struct slice spelling = slice_of(normal, n);

	if (n == SIZE_MAX) {
		assert(!is_first(value, SLICE("de")));
		return 0;
	}
	assert(n <= size && n <= LANGUAGE_VALUE_MAX);
	assert(language_normal(spelling, again) == n && memcmp(normal, again, n) == 0);
	assert(is_first(value, SLICE("de")) == is_first(spelling, SLICE("DE")));
	return 0;
}
