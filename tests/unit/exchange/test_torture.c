/* LINKS: proxy/front tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/store_memory.c tests/doubles/failing_memory.c -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
/*
 * Whole exchanges in which something fails: the n-th allocation, call of the kernel or operation of
 * the store, for every n, over the schedules that the fuzzer begins with (HAZARDS V2) and the plays
 * of memory.txt.  All must still end, nothing leak, and nobody get what was not meant for him.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/exchange/fetch.h"
#include "proxy/exchange/tunnel.h"
#include "tests/doubles/failing_memory.h"
#include "tests/doubles/fake_conn.h"
#include "tests/oracle/schedule.h"
#include "tests/oracle/script.h"
#include "tests/doubles/store_memory.h"

#define SCHEDULES "tests/fuzz/corpus/exchange"
#define PLAYS "tests/exchanges/memory.txt"

enum { SCHEDULE_SIZE = 4096, FAILURES_MAX = 5000 };

static void arm_memory(unsigned n)
{
	fail_memory(n, false);
}

static void arm_memory_on(unsigned n)
{
	fail_memory(n, true);
}

static void arm_calls(unsigned n)
{
	fake_conn_fail(n, ECONNRESET);
}

static void arm_calls_for_room(unsigned n)
{
	fake_conn_fail(n, EMFILE);
}

static void arm_store(unsigned n)
{
	store_memory_fail(n, STORE_FAILED);
}

static void arm_store_full(unsigned n)
{
	store_memory_fail(n, STORE_FULL);
}

static const struct schedule_trouble troubles[] = {
	{"allocation", 0, arm_memory, fail_memory_never, false},
	{"all allocations from", 0, arm_memory_on, fail_memory_never, false},
	{"call", 0, arm_calls, fake_conn_fail_never, false},
	{"call, no room,", 0, arm_calls_for_room, fake_conn_fail_never, false},
	{"operation of the store", 0, arm_store, store_memory_fail_never, true},
	{"operation of a full store", 0, arm_store_full, store_memory_fail_never, true},
};

/* The n-th of them fails, for every n that there is.  Returns how many. */
static unsigned fail_each(struct slice schedule, const struct schedule_trouble *kind)
{
	struct schedule_trouble trouble = *kind;

	while (schedule_play(schedule, &trouble, false))
		assert_true(++trouble.n < FAILURES_MAX);
	return trouble.n;
}

static unsigned fail_each_in(const struct vector *play, const struct schedule_trouble *kind)
{
	struct schedule_trouble trouble = *kind;
	bool happened = true;

	for (; happened; trouble.n++) {
		struct script_way way = {.failing = &trouble, .happened = &happened};
		unsigned lines;
		const char *fault = script_play(play, &way, &lines);

		if (fault != NULL)
			fail_msg("%s, %s %u: %s", play->place, trouble.name, trouble.n, fault);
		assert_true(trouble.n < FAILURES_MAX);
	}
	return trouble.n - 1;
}

static size_t read_schedule(const char *name, char to[static SCHEDULE_SIZE])
{
	char path[4096];
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", SCHEDULES, name);
	file = fopen(path, "rb");
	assert_non_null(file);
	n = fread(to, 1, SCHEDULE_SIZE, file);
	fclose(file);
	return n;
}

static void nothing_breaks(void **state)
{
	const struct schedule_trouble *kind = *state;
	struct dirent **entries;
	int count = scandir(SCHEDULES, &entries, NULL, alphasort);
	char bytes[SCHEDULE_SIZE];
	static struct vector *plays; /* as long as the program */
	static size_t play_count;
	unsigned failures = 0;

	if (plays == NULL)
		play_count = vectors_read(PLAYS, &plays);
	assert_true(count > 0 && play_count > 0);
	for (int i = 0; i < count; i++) {
		if (entries[i]->d_name[0] != '.')
			failures += fail_each(
				slice_of(bytes, read_schedule(entries[i]->d_name, bytes)), kind);
		free(entries[i]);
	}
	free(entries);
	for (size_t i = 0; i < play_count; i++)
		failures += fail_each_in(&plays[i], kind);
	print_message("%u failures\n", failures);
	assert_true(failures > 10);
}

/* What a worker makes once, at its start: it says so, and ends. */
static void parts_that_cannot_be_made(void **state)
{
	struct turn turn;
	struct dialers dialers = {.routes = NULL};

	(void)state;
	turn_init(&turn);
	fail_memory(0, true);
	assert_null(fetches_new(&(struct fetches_use){.turn = &turn}));
	assert_null(tunnels_new(&turn, &dialers));
	assert_true(fail_memory_never());
}

int main(void)
{
	enum { TROUBLES = sizeof(troubles) / sizeof(troubles[0]) };
	struct CMUnitTest tests[TROUBLES + 1] = {
		[TROUBLES] = cmocka_unit_test(parts_that_cannot_be_made),
	};

	for (size_t i = 0; i < TROUBLES; i++) {
		tests[i].name = troubles[i].name;
		tests[i].test_func = nothing_breaks;
		tests[i].initial_state = (void *)(uintptr_t)&troubles[i];
	}
	return cmocka_run_group_tests_name("torture", tests, NULL, NULL);
}
