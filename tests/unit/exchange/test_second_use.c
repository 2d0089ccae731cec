/* LINKS: proxy/front tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/store_memory.c */
/*
 * State that is carried over: each use of a kept client and a kept origin connection, after each
 * other use of the same, comes out as it does after none (tests/exchanges/uses/).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "tests/oracle/script.h"

static struct vector *uses; /* the first makes the connections */
static size_t count;

/* The uses of these numbers, one after the other; 0 for none. */
static void play(size_t first, size_t second)
{
	struct slice made = uses[0].text, one = uses[first].text, other = uses[second].text;
	struct vector vector = uses[second];
	const char *fault;
	unsigned lines;
	char *text;
	int n;

	n = asprintf(&text, "%.*s\n%.*s\n%.*s", SLICE_ARG(made), first > 0 ? (int)one.n : 0, one.p,
		     SLICE_ARG(other));
	assert_true(n > 0);
	vector.text = slice_of(text, (size_t)n);
	fault = script_play(&vector, &(struct script_way){0}, &lines);
	if (fault != NULL)
		fail_msg("%s, after %s: %s", uses[second].place,
			 first > 0 ? uses[first].place : "none", fault);
	free(text);
}

static void each_by_itself(void **state)
{
	(void)state;
	for (size_t second = 1; second < count; second++)
		play(0, second);
}

static void each_after_each(void **state)
{
	(void)state;
	for (size_t first = 1; first < count; first++)
		for (size_t second = 1; second < count; second++)
			play(first, second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_by_itself),
		cmocka_unit_test(each_after_each),
	};

	count = vectors_read("tests/exchanges/uses/*.txt", &uses);
	if (count < 2) {
		fprintf(stderr, "no uses; run this from the root of the tree\n");
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
