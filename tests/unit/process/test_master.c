/* LINKS: proxy/process tests/doubles/master_world.c tests/doubles/failing_memory.c -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=fork,--wrap=kill,--wrap=waitpid,--wrap=poll,--wrap=sigtimedwait,--wrap=exit,--wrap=pipe2,--wrap=open,--wrap=monotonic_us,--wrap=log_error,--wrap=log_info,--wrap=log_error_lines,--wrap=greeting_warn,--wrap=notify_ready,--wrap=notify_reloading,--wrap=notify_stopping,--wrap=privileges_harden,--wrap=privileges_drop,--wrap=reallocarray,--wrap=strdup,--wrap=generation_go,--wrap=tls_tickets_begin,--wrap=worker_shared_map,--wrap=worker_new,--wrap=worker_run,--wrap=worker_free,--wrap=master_new,--wrap=handover_path,--wrap=handover_execute */
/* The plays of tests/masters: what a master does, and when, is what stands there. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/doubles/master_world.h"
#include "tests/support/vectors.h"

/* A program that is replaced by another leaves its memory to the kernel. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

/* Without the empty lines and comments at the end. */
static struct slice play_of(const struct vector *vector)
{
	struct slice text = vector->text;
	const char *end = strstr(text.p, "\n\n");

	if (end != NULL && end + 1 < text.p + text.n)
		text.n = (size_t)(end + 1 - text.p);
	return text;
}

static void each_play(const char *file)
{
	struct vector *vectors;
	size_t count = vectors_read(file, &vectors), different = 0;

	for (size_t i = 0; i < count; i++) {
		struct slice play = play_of(&vectors[i]);
		char *text = master_world_play(play);

		if (strlen(text) != play.n || memcmp(text, play.p, play.n) != 0) {
			printf("%s\n-- expected\n%.*s-- was\n%s--\n", vectors[i].place,
			       SLICE_ARG(play), text);
			different++;
		}
		free(text);
	}
	assert_true(count > 1);
	assert_int_equal(different, 0);
}

static void workers_start_and_end(void **state)
{
	(void)state;
	each_play("tests/masters/workers.txt");
}

static void generations_follow_each_other(void **state)
{
	(void)state;
	each_play("tests/masters/reloads.txt");
}

static void programs_follow_each_other(void **state)
{
	(void)state;
	each_play("tests/masters/upgrades.txt");
}

/* A master that never rests, or takes its process with it, is a failure that names the play. */
static void a_play_has_bounds(void **state)
{
	static const char last[] = "stuck: more than 500 lines\n",
			  died[] = "stuck: died of signal 6\n";
	char play[10000] = "with workers=1; sync=0\n", *text;
	size_t n = strlen(play);

	(void)state;
	while (n + 20 < sizeof(play))
		n += (size_t)snprintf(play + n, sizeof(play) - n, "0 > waits\n");
	text = master_world_play((struct slice){play, n});
	assert_string_equal(text + strlen(text) - strlen(last), last);
	free(text);
	text = master_world_play(slice_str("with workers=1; sync=0\n0 > no such word\n"));
	assert_string_equal(text + strlen(text) - strlen(died), died);
	free(text);
}

/*
 * Whichever allocation fails, a program takes over, or the one before goes on, or it says why not; a reload is
 * answered.  None is stuck.  Of trials and reloads each third is tried, as each is a play.
 */
static void memory_may_run_out(void **state)
{
	static const char *const before[] = {
		"with workers=1; sync=0\nafter kind=1 workers=11:1:1:0 generation=1\n0",
		"with workers=1; sync=0\nafter kind=0 generation=1\n0",
		"with workers=1; sync=0\n0 > serves 101\n50",
	};
	static const char *const after[] = {
		"100 > serves 101\n200 > serves 11\n300 > waits",
		"100 > serves 101\n300 > ends 101 0",
		"100 > asks reload\n200 > serves 102\n300 > serves 101",
	};
	static const char *const good[] = {"serves in place of", "reports ready~",
					   "notifies ready: serving, generation 2"};
	static const char *const bad[] = {"executes the one before for a back", "reports ",
					  "notifies ready: reload refused"};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		unsigned failures = 0, well = 0;

		for (unsigned n = 0; well < 5 && n < 400; n += i == 0 ? 1 : 3) {
			char play[512], *text;
			bool failed;

			snprintf(play, sizeof(play), "%s > fails memory %u\n%s\n", before[i], n,
				 after[i]);
			text = master_world_play(slice_str(play));
			failed = strstr(text, good[i]) == NULL;
			if (strstr(text, "stuck") != NULL ||
			    (failed && strstr(text, bad[i]) == NULL))
				fail_msg("%s", text);
			failures += failed;
			well = failed ? 0 : well + 1;
			free(text);
		}
		assert_in_range(failures, 5, 390);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(workers_start_and_end),
		cmocka_unit_test(generations_follow_each_other),
		cmocka_unit_test(programs_follow_each_other),
		cmocka_unit_test(a_play_has_bounds),
		cmocka_unit_test(memory_may_run_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
