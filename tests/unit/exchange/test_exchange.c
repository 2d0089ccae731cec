/* LINKS: proxy/front tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/store_memory.c tests/doubles/counted_memory.c */
/*
 * Plays tests/exchanges/: whole exchanges, from the bytes of a client to those of an origin and
 * back, over fake connections (script.h).  Each is played as written, with the bytes in pieces, and
 * with every trouble at every stage: then nothing is expected but that all ends well.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "tests/doubles/counted_memory.h"
#include "tests/oracle/script.h"

enum {
	LARGE = 4096, /* bytes of a line that are not taken one by one */
	PARTS = 5,    /* of a line, between which there may be trouble */
};

static void require(const struct vector *vector, const struct script_way *way, const char *fault)
{
	if (fault == NULL)
		return;
	print_error("%s\npieces of %zu, trouble %d after %u lines and %zu bytes: %s\n",
		    vector->place, way->piece, (int)way->trouble, way->after, way->bytes, fault);
	fail();
}

/* All memory is given back; what a process keeps from the first time on is kept once. */
static unsigned play(const struct vector *vector, struct script_way way)
{
	size_t alive = allocations_alive();
	unsigned lines;

	require(vector, &way, script_play(vector, &way, &lines));
	if (allocations_alive() != alive) {
		alive = allocations_alive();
		require(vector, &way, script_play(vector, &way, &lines));
	}
	require(vector, &way, allocations_alive() == alive ? NULL : "memory is left over");
	return lines;
}

static size_t longest_line(const struct vector *vector, unsigned lines)
{
	size_t longest = 0;

	for (unsigned i = 0; i < lines; i++)
		if (script_says(vector, i) > longest)
			longest = script_says(vector, i);
	return longest;
}

static void comes_out_as_written(void **state)
{
	const struct vector *vector = *state;
	unsigned lines = play(vector, (struct script_way){0});
	static const size_t pieces[] = {1, 2, 7, 100};

	assert_true(lines > 0);
	for (size_t i = longest_line(vector, lines) > LARGE ? 3 : 0; i < 4; i++) {
		play(vector, (struct script_way){.piece = pieces[i], .of_clients = true});
		play(vector, (struct script_way){.piece = pieces[i], .of_origins = true});
		play(vector, (struct script_way){
				     .piece = pieces[i], .of_clients = true, .of_origins = true});
	}
}

/* Trouble before each line, and after some or each of the bytes it says. */
static void troubles_at_line(const struct vector *vector, unsigned line,
			     enum script_trouble trouble)
{
	size_t says = script_says(vector, line);
	size_t step = says > PARTS ? says / PARTS : 1;

	for (size_t bytes = 0; bytes == 0 || bytes < says; bytes += step)
		play(vector,
		     (struct script_way){.trouble = trouble, .after = line, .bytes = bytes});
}

static void ends_well_in_trouble(void **state)
{
	const struct vector *vector = *state;
	unsigned lines = play(vector, (struct script_way){0});

	for (unsigned line = 0; line < lines; line++)
		for (int trouble = TROUBLE_NONE + 1; trouble < TROUBLE_COUNT; trouble++)
			troubles_at_line(vector, line, (enum script_trouble)trouble);
}

int main(int argc, char **argv)
{
	static struct vector *vectors;
	static struct CMUnitTest *tests;
	size_t count = vectors_read(argc > 1 ? argv[1] : "tests/exchanges/*.txt", &vectors);
	char *name;
	int failed;

	if (count == 0) {
		fprintf(stderr, "no exchanges; run this from the root of the tree\n");
		return 1;
	}
	tests = calloc(2 * count, sizeof(*tests));
	for (size_t i = 0; i < count; i++) {
		if (asprintf(&name, "%s, in trouble", vectors[i].place) < 0)
			return 1;
		tests[2 * i] = (struct CMUnitTest){.name = vectors[i].place,
						   .test_func = comes_out_as_written,
						   .initial_state = &vectors[i]};
		tests[2 * i + 1] = (struct CMUnitTest){.name = name,
						       .test_func = ends_well_in_trouble,
						       .initial_state = &vectors[i]};
	}
	failed = _cmocka_run_group_tests("exchanges", tests, 2 * count, NULL, NULL);
	printf("exchanges: %zu\n", count);
	return failed ? 1 : 0;
}
