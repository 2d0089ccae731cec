/* LINKS: proxy/base */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "proxy/base/trouble.h"

/* The count of the line that is due, 0 for no line. */
static uint64_t note(struct trouble *trouble, const char *text, uint64_t more, int64_t now_ms)
{
	uint64_t count = 0;

	return trouble_note(trouble, text, more, now_ms, &count) ? count : 0;
}

static uint64_t over(struct trouble *trouble, int64_t now_ms)
{
	uint64_t total = 0;

	if (!trouble_is_over(trouble, now_ms, &total))
		return 0;
	assert_true(total > 0);
	return total;
}

static void test_first_then_with_the_count(void **state)
{
	struct trouble trouble = {.total = 0};

	(void)state;
	assert_int_equal(note(&trouble, "full", 0, 0), 0);
	assert_int_equal(note(&trouble, "full", 3, 0), 3);
	assert_int_equal(note(&trouble, "full", 5, 1), 0);
	assert_int_equal(note(&trouble, "full", 7, TROUBLE_AGAIN_MS - 1), 0);
	assert_int_equal(note(&trouble, "full", 1, TROUBLE_AGAIN_MS), 13);
	assert_int_equal(note(&trouble, "full", 1, TROUBLE_AGAIN_MS + 1), 0);
}

static void test_each_kind_has_its_own(void **state)
{
	struct trouble trouble = {.total = 0};

	(void)state;
	assert_int_equal(note(&trouble, "full", 1, 5), 1);
	assert_int_equal(note(&trouble, "read-only", 2, 6), 2);
	assert_int_equal(note(&trouble, "full", 1, 7), 0);
	assert_int_equal(note(&trouble, "read-only", 1, 8), 0);
	assert_int_equal(note(&trouble, "full", 1, TROUBLE_AGAIN_MS + 5), 2);
	assert_int_equal(note(&trouble, "read-only", 1, TROUBLE_AGAIN_MS + 5), 0);
}

static void test_over_once_and_then_anew(void **state)
{
	struct trouble trouble = {.total = 0};

	(void)state;
	assert_int_equal(over(&trouble, 1000000), 0);
	note(&trouble, "full", 3, 0);
	note(&trouble, "other", 4, 10);
	assert_int_equal(over(&trouble, TROUBLE_OVER_MS + 9), 0);
	assert_int_equal(over(&trouble, TROUBLE_OVER_MS + 10), 7);
	assert_int_equal(over(&trouble, TROUBLE_OVER_MS + 11), 0);
	assert_int_equal(note(&trouble, "full", 1, TROUBLE_OVER_MS + 12), 1);
}

/* Kinds without end have a bound; so have texts. */
static void test_bounds(void **state)
{
	struct trouble trouble = {.total = 0};
	char text[2 * TROUBLE_TEXT];
	unsigned lines = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "%d", i);
		lines += note(&trouble, text, 1, i) > 0;
	}
	assert_int_equal(lines, TROUBLE_KINDS);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	trouble = (struct trouble){.total = 0};
	assert_int_equal(note(&trouble, text, 1, 0), 1);
	assert_int_equal(note(&trouble, text, 1, 0), 0);
}

/* As many bytes of a text as are kept tell it from others, and no more. */
static void test_texts_that_begin_alike(void **state)
{
	struct trouble trouble = {.total = 0};
	char one[2 * TROUBLE_TEXT], other[2 * TROUBLE_TEXT];

	(void)state;
	memset(one, 'x', sizeof(one));
	one[sizeof(one) - 1] = '\0';
	memcpy(other, one, sizeof(other));
	assert_int_equal(note(&trouble, one, 1, 0), 1);
	other[TROUBLE_TEXT - 1] = 'y';
	assert_int_equal(note(&trouble, other, 1, 0), 0);
	other[TROUBLE_TEXT - 2] = 'y';
	assert_int_equal(note(&trouble, other, 1, 0), 1);
}

/* More kinds than there is room for are counted with the last one, and lines go on. */
static void test_what_has_no_room_is_counted_with_the_last(void **state)
{
	struct trouble trouble = {.total = 0};
	char text[16];

	(void)state;
	for (int i = 0; i < TROUBLE_KINDS; i++) {
		snprintf(text, sizeof(text), "%d", i);
		assert_int_equal(note(&trouble, text, 1, 0), 1);
	}
	assert_int_equal(note(&trouble, "more", 5, 1), 0);
	assert_int_equal(note(&trouble, "and more", 6, TROUBLE_AGAIN_MS - 1), 0);
	assert_int_equal(note(&trouble, text, 1, TROUBLE_AGAIN_MS), 12);
	assert_int_equal(note(&trouble, "0", 1, TROUBLE_AGAIN_MS), 1);
	assert_int_equal(over(&trouble, 2 * TROUBLE_OVER_MS + TROUBLE_AGAIN_MS),
			 TROUBLE_KINDS + 13);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_then_with_the_count),
		cmocka_unit_test(test_each_kind_has_its_own),
		cmocka_unit_test(test_over_once_and_then_anew),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_texts_that_begin_alike),
		cmocka_unit_test(test_what_has_no_room_is_counted_with_the_last),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
