/* LINKS: cache/record */
/* Keys of cache groups: sorted, each once, at most so many, and the one that stands for all of an origin. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "cache/record/groups.h"
#include "tests/support/guarded.h"
#include "tests/support/messages.h"

static const struct slice uri = {"http://example.com/a", 20};
static const struct slice origin = {"http://example.com", 18};

static struct message response;

/* So many groups, "0", "1", ..., in a field. */
static void name_groups(const char *field, unsigned count)
{
	static char text[4096];
	size_t n = (size_t)sprintf(text, "204\n%s: ", field);

	for (unsigned i = 0; i < count; i++)
		n += (size_t)sprintf(text + n, "%s\"%u\"", i > 0 ? ", " : "", i);
	strcpy(text + n, "\n");
	response_of(&response, text);
}

static bool is_among(const struct cache_key *keys, size_t count, struct slice name)
{
	struct cache_key key = cache_key_of_group(origin, name);
	unsigned found = 0;

	for (size_t i = 0; i < count; i++)
		found += cache_key_eq(&keys[i], &key);
	assert_in_range(found, 0, 1);
	return found == 1;
}

/* By both words, whatever their order was; each once. */
static void keys_are_sorted(void **state)
{
	static const struct cache_key keys[] = {{{2, 1}}, {{1, 2}}, {{2, 2}}, {{1, 0}}, {{1, 1}},
						{{2, 1}}, {{0, 9}}, {{1, 1}}, {{9, 0}}};
	static const struct cache_key wanted[] = {{{0, 9}}, {{1, 0}}, {{1, 1}}, {{1, 2}},
						  {{2, 1}}, {{2, 2}}, {{9, 0}}};
	struct cache_key to[GROUPS_MAX];
	size_t count = 0;

	(void)state;
	for (unsigned i = 0; i < 9; i++)
		count = groups_add(to, count, &keys[i], 1);
	assert_int_equal(count, 7);
	assert_memory_equal(to, wanted, sizeof(wanted));
	/* again, all at once: nothing new, and where they are no more than those is read */
	for (unsigned from = 0; from < 7; from++) {
		struct slice part = guarded(
			slice_of((const char *)&wanted[from], (7 - from) * sizeof(*wanted)));

		assert_int_equal(groups_add(to, count, (const void *)part.p, 7 - from), 7);
		assert_memory_equal(to, wanted, sizeof(wanted));
	}
	assert_int_equal(groups_add(to, 0, wanted, 7), 7);
	assert_memory_equal(to, wanted, sizeof(wanted));
	assert_int_equal(groups_add(to, 7, wanted, 0), 7);
	guarded_end();
}

static void there_are_at_most_so_many(void **state)
{
	struct cache_key to[GROUPS_MAX];
	size_t count = 0;

	(void)state;
	for (uint64_t i = 0; i < GROUPS_MAX; i++) {
		count = groups_add(to, count, &(struct cache_key){{i * 7 % GROUPS_MAX, i}}, 1);
		assert_int_equal(count, i + 1);
	}
	assert_int_equal(groups_add(to, count, &to[5], 1), count);
	assert_true(groups_add(to, count, &(struct cache_key){{5, 9999}}, 1) == SIZE_MAX);
}

static void a_response_is_in_those_it_names_and_in_that_of_all(void **state)
{
	struct cache_key to[GROUPS_MAX];

	(void)state;
	response_of(&response, "204\n");
	assert_int_equal(groups_of_response(&response.res, uri, to), 0);
	response_of(&response, "204\nCache-Groups: \"a\", b\n");
	assert_int_equal(groups_of_response(&response.res, uri, to), 0);
	response_of(&response, "204\nCache-Groups: \"b\", \"a\", \"b\"\n");
	assert_int_equal(groups_of_response(&response.res, uri, to), 3);
	assert_true(is_among(to, 3, SLICE("a")));
	assert_true(is_among(to, 3, SLICE("b")));
	assert_true(is_among(to, 3, SLICE("\n")));
	name_groups("Cache-Groups", GROUPS_NAMED_MAX);
	assert_int_equal(groups_of_response(&response.res, uri, to), GROUPS_MAX);
	name_groups("Cache-Groups", GROUPS_NAMED_MAX + 1);
	assert_true(groups_of_response(&response.res, uri, to) == SIZE_MAX);
}

static void too_many_to_invalidate_are_all(void **state)
{
	struct cache_key to[GROUPS_MAX];

	(void)state;
	response_of(&response, "204\n");
	assert_int_equal(groups_invalidated(&response.res, uri, to), 0);
	response_of(&response, "204\nCache-Group-Invalidation: \"a\"\n");
	assert_int_equal(groups_invalidated(&response.res, uri, to), 1);
	assert_true(is_among(to, 1, SLICE("a")));
	name_groups("Cache-Group-Invalidation", GROUPS_NAMED_MAX);
	assert_int_equal(groups_invalidated(&response.res, uri, to), GROUPS_NAMED_MAX);
	assert_false(is_among(to, GROUPS_NAMED_MAX, SLICE("\n")));
	name_groups("Cache-Group-Invalidation", GROUPS_NAMED_MAX + 1);
	assert_int_equal(groups_invalidated(&response.res, uri, to), 1);
	assert_true(is_among(to, 1, SLICE("\n")));
}

/* A group is of the origin of its URI, up to the path. */
static void groups_are_of_their_origin(void **state)
{
	static const struct {
		const char *uri;
		bool same;
	} rows[] = {
		{"http://example.com/", true},     {"http://example.com/x/y?z", true},
		{"http://example.com", true},      {"https://example.com/", false},
		{"http://example.com:81/", false}, {"http://www.example.com/", false},
		{"http://example.com./a", false},
	};
	struct cache_key to[GROUPS_MAX];

	(void)state;
	response_of(&response, "204\nCache-Group-Invalidation: \"a\"\n");
	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(groups_invalidated(&response.res, guarded_str(rows[i].uri), to),
				 1);
		assert_int_equal(is_among(to, 1, SLICE("a")), rows[i].same);
	}
	/* what is no URI is an origin of its own */
	assert_int_equal(groups_invalidated(&response.res, guarded_str("http:"), to), 1);
	assert_int_equal(groups_invalidated(&response.res, guarded_str("http"), to), 1);
	assert_int_equal(groups_invalidated(&response.res, guarded_str(""), to), 1);
	guarded_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_sorted),
		cmocka_unit_test(there_are_at_most_so_many),
		cmocka_unit_test(a_response_is_in_those_it_names_and_in_that_of_all),
		cmocka_unit_test(too_many_to_invalidate_are_all),
		cmocka_unit_test(groups_are_of_their_origin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
