/* LINKS: proxy/front tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/store_memory.c tests/doubles/failing_memory.c -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
/*
 * Two or three workers on one store, whose turns stop at calls of the store while the others go on:
 * schedules made from a seed, in the words of schedule.h, of requests that store, validate and
 * invalidate the same few URIs.  Nobody may get an answer that is older than the last invalidation
 * that was answered before he asked, nor anything else that the witness finds.
 *
 *	build/tests/unit/exchange/test_several_workers [SCHEDULES [FIRST_SEED]]
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "tests/oracle/dice.h"
#include "tests/oracle/lanes.h"
#include "tests/oracle/schedule.h"

enum { SCHEDULES = 1500, EVENTS = 60, EVENT_MAX = 48, TEXT_MAX = EVENTS * EVENT_MAX };

static unsigned long schedules = SCHEDULES, first_seed = 1;
static unsigned workers; /* of the schedule that is made */

/* A client of any worker asks for one of two URIs of a host, or one of another. */
static size_t ask(uint64_t *state, char to[static EVENT_MAX])
{
	return (size_t)snprintf(to, EVENT_MAX, "a%u%c%c%c%c", dice_roll(state, 2 * workers),
				dice_pick(state, "0000001222347"), dice_pick(state, "000012"),
				dice_pick(state, "00000001346<="), dice_pick(state, "0"));
}

/* What is fresh, stale at once, private, confirms, fails, invalidates a group, refers elsewhere. */
static size_t answer(uint64_t *state, char to[static EVENT_MAX])
{
	return (size_t)snprintf(to, EVENT_MAX, "r%c%c", dice_pick(state, "000123"),
				dice_pick(state, "0000000134449:=rrsstu"));
}

static size_t stop_at(uint64_t *state, char to[static EVENT_MAX])
{
	return (size_t)snprintf(to, EVENT_MAX, "i%u%c", dice_roll(state, workers),
				'0' + (char)dice_roll(state, 24));
}

static size_t go_on(uint64_t *state, char to[static EVENT_MAX])
{
	return (size_t)snprintf(to, EVENT_MAX, "g%u%c", dice_roll(state, workers),
				dice_roll(state, 2) ? '0' : '0' + (char)dice_roll(state, 12));
}

/*
 * Rare by chance: one worker stops while it answers one client and another's request is at hand;
 * the other worker invalidates, and who was told of that asks the first, in the same turn.
 */
static size_t scene(uint64_t *state, char to[static EVENT_MAX])
{
	unsigned which = dice_roll(state, workers), other = (which + 1) % workers;
	char uri = dice_pick(state, "01");

	return (size_t)snprintf(to, EVENT_MAX,
				"a%u0%c00 a%u0%c00 i%u%c S a%u2%c00 S r%c0 S a%u0%c00 g%u0", which,
				dice_pick(state, "01"), which + workers, dice_pick(state, "01"),
				which, '0' + (char)dice_roll(state, 16), other, uri,
				dice_pick(state, "01"), which + workers, uri, which);
}

/* Of everything rarely, for nothing is left to be judged then; and the walk, of any worker. */
static size_t purge(uint64_t *state, char to[static EVENT_MAX])
{
	if (dice_roll(state, 3) == 0)
		return (size_t)snprintf(to, EVENT_MAX, "V%u%c", dice_roll(state, workers),
					'0' + (char)dice_roll(state, 4));
	return (size_t)snprintf(to, EVENT_MAX, "P%u%c%c", dice_roll(state, workers),
				dice_pick(state, "01112223334567"), dice_pick(state, "0001"));
}

/*
 * One worker stops while it writes, or looks; the other purges what that is about and walks, and
 * who was told of that asks.
 */
static size_t purge_scene(uint64_t *state, char to[static EVENT_MAX])
{
	unsigned which = dice_roll(state, workers), other = (which + 1) % workers;
	char uri = dice_pick(state, "01");

	return (size_t)snprintf(
		to, EVENT_MAX, "a%u0%c00 S r%c0 i%u%c T P%u%c0 V%u3 a%u0%c00 g%u0 S", which, uri,
		dice_pick(state, "00000rrr"), which, '0' + (char)dice_roll(state, 24), other,
		dice_pick(state, "1223567"), other, other, uri, which);
}

static size_t event(uint64_t *state, char to[static EVENT_MAX])
{
	unsigned what = dice_roll(state, 100);

	if (what < 4)
		return scene(state, to);
	if (what < 8)
		return purge_scene(state, to);
	if (what < 16)
		return purge(state, to);
	if (what < 38)
		return ask(state, to);
	if (what < 58)
		return answer(state, to);
	if (what < 70)
		return stop_at(state, to);
	if (what < 78)
		return go_on(state, to);
	if (what < 88)
		return (size_t)snprintf(to, EVENT_MAX, "S");
	if (what < 93)
		return (size_t)snprintf(to, EVENT_MAX, "%c", dice_pick(state, "TB"));
	return (size_t)snprintf(to, EVENT_MAX, "t%c", dice_pick(state, "00001112"));
}

/*
 * '@' is the first choice of options with two workers, 'P' with three; 'A' and 'Q' have writes go
 * into the store at once.
 */
static struct slice schedule_of(uint64_t seed, char text[static TEXT_MAX])
{
	uint64_t state = dice_of(seed);
	size_t n = 0;

	workers = 2 + dice_roll(&state, 2);
	text[n++] = dice_pick(&state, workers == 2 ? "@@@ABC" : "PPPQRS");
	for (unsigned i = 0; i < EVENTS; i++) {
		text[n++] = ' ';
		n += event(&state, text + n);
	}
	return slice_of(text, n);
}

static void no_client_gets_what_was_invalidated(void **state)
{
	char text[TEXT_MAX];
	unsigned long stops = 0;

	(void)state;
	for (unsigned long i = 0; i < schedules; i++) {
		schedule_play(schedule_of(first_seed + i, text), NULL, false);
		stops += lanes_stops();
	}
	/* else nothing was tried */
	assert_true(stops > schedules);
}

/* The same schedule is the same run. */
static void a_seed_says_it_all(void **state)
{
	char text[TEXT_MAX];
	unsigned long stops;

	(void)state;
	for (uint64_t seed = 1; seed < 20; seed++) {
		schedule_play(schedule_of(seed, text), NULL, false);
		stops = lanes_stops();
		schedule_play(schedule_of(seed, text), NULL, false);
		assert_int_equal(lanes_stops(), stops);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_client_gets_what_was_invalidated),
		cmocka_unit_test(a_seed_says_it_all),
	};

	if (argc > 1)
		schedules = strtoul(argv[1], NULL, 10);
	if (argc > 2)
		first_seed = strtoul(argv[2], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
