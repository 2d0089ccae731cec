/* LINKS: proxy/process tests/sim/world.c tests/sim/events.c tests/sim/shrink.c tests/sim/stops.c tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/fake_lmdb.c tests/doubles/process.c tests/doubles/failing_memory.c -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=reallocarray,--wrap=free,--wrap=strdup,--wrap=strndup,--wrap=aligned_alloc -Wl,--wrap=open,--wrap=openat,--wrap=close,--wrap=fcntl,--wrap=mmap,--wrap=munmap,--wrap=msync,--wrap=getrandom -Wl,--wrap=invalidation_now,--wrap=invalidation_of,--wrap=invalidation_overtakes,--wrap=invalidation_latest,--wrap=invalidation_overtake,--wrap=invalidation_add,--wrap=invalidation_purge,--wrap=invalidation_purge_end,--wrap=invalidation_retire,--wrap=purge_mark,--wrap=purge_mark_set,--wrap=purge_mark_removed,--wrap=leases_take,--wrap=store_note_take */
/*
 * Services of one to four workers in a world where all that can go wrong does: a seed says what, and a
 * failing one is printed with the shortest course of events that still fails.
 *
 *	simulate FIRST..LAST   worlds of these seeds; simulate COUNT: of 1..COUNT; -1 before that: as
 *	                       far as the first that fails, in all its words
 *	simulate -p TEXT       this one, with all that happens; -s SEED: what a seed says
 *	simulate -t COUNT      twice each, and the same must come of it
 *	simulate -f FILE       those of its lines: what has failed once; # begins a comment
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/log.h"
#include "tests/sim/shrink.h"
#include "tests/sim/world.h"

enum { FAILURES_MAX = 5, WORLD_S = 10, MS_PER_HOUR = 3600 * 1000 };

/* What a child says of the worlds that it has been through. */
struct progress {
	uint64_t seed; /* the one at hand */
	int64_t time_ms;
	uint64_t requests, trace;
};

static struct progress *progress;

static void play(struct slice text, bool verbose)
{
	struct world_told world;

	world_play(text, verbose, &world);
	progress->time_ms += world.time_ms;
	progress->requests += world.requests;
	progress->trace = progress->trace * 31 + world.trace;
}

static void play_seed(uint64_t seed)
{
	static char text[WORLD_TEXT_MAX];

	progress->seed = seed;
	alarm(WORLD_S);
	play(world_of(seed, text), false);
}

/* Did the child do all that it was made for?  Its files go, in any case. */
static bool has_ended_well(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		abort();
	world_clean(pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
}

/* In a child: where it ends is the seed that fails, UINT64_MAX when none does. */
static uint64_t run(uint64_t first, uint64_t last)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		shrink_quiet();
		for (uint64_t seed = first; seed <= last; seed++)
			play_seed(seed);
		exit(EXIT_SUCCESS);
	}
	return has_ended_well(pid) ? UINT64_MAX : progress->seed;
}

/* In a child, which says what is wrong. */
static bool play_text(struct slice text, bool verbose)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		play(text, verbose);
		exit(EXIT_SUCCESS);
	}
	return has_ended_well(pid);
}

static bool in_short; /* no shrinking, one failure is enough */

static void tell_failure(const char *program, uint64_t seed)
{
	static char text[WORLD_TEXT_MAX], least[WORLD_TEXT_MAX], what[SHRINK_WHAT_MAX];
	struct slice all = world_of(seed, text);
	struct slice short_one;

	printf("seed %llu fails: %s %llu..%llu\n", (unsigned long long)seed, program,
	       (unsigned long long)seed, (unsigned long long)seed);
	fflush(stdout);
	short_one = in_short ? shrink_not(all, what) : shrink(all, least, what);
	printf("%s\n"
	       "shrunk from %zu bytes to %zu:\n"
	       "  %s -p '%.*s'\n",
	       what, all.n, short_one.n, program, (int)short_one.n, short_one.p);
	fflush(stdout);
}

static double seconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int simulate(const char *program, uint64_t first, uint64_t last)
{
	double began = seconds(CLOCK_MONOTONIC), took;
	unsigned failures = 0;
	uint64_t seed, next = first;
	double hours;

	while (next <= last && failures < (in_short ? 1 : FAILURES_MAX)) {
		seed = run(next, last);
		if (seed == UINT64_MAX)
			break;
		failures++;
		tell_failure(program, seed);
		next = seed + 1;
	}
	took = seconds(CLOCK_MONOTONIC) - began;
	hours = (double)progress->time_ms / MS_PER_HOUR;
	printf("simulated: seeds %llu..%llu, %llu connections of clients, %.0f hours in %.1f s, "
	       "%.0f hours a "
	       "minute; trace %016llx; failures: %u\n",
	       (unsigned long long)first, (unsigned long long)last,
	       (unsigned long long)progress->requests, hours, took, hours * 60 / took,
	       (unsigned long long)progress->trace, failures);
	return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* The same in another process is the same. */
static int twice(uint64_t count)
{
	for (uint64_t seed = 1; seed <= count; seed++) {
		uint64_t trace;

		progress->trace = 0;
		if (run(seed, seed) != UINT64_MAX)
			return EXIT_FAILURE;
		trace = progress->trace;
		progress->trace = 0;
		if (run(seed, seed) != UINT64_MAX || progress->trace != trace) {
			printf("seed %llu: another run was another\n", (unsigned long long)seed);
			return EXIT_FAILURE;
		}
	}
	printf("simulated twice: seeds 1..%llu, the same each time\n", (unsigned long long)count);
	return EXIT_SUCCESS;
}

static int play_file(const char *path)
{
	static char all[WORLD_TEXT_MAX];
	unsigned count = 0, failures = 0;
	FILE *file = fopen(path, "re");

	if (file == NULL) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return EXIT_FAILURE;
	}
	/* at once: a child that ends would move the place in it */
	all[fread(all, 1, sizeof(all) - 1, file)] = '\0';
	fclose(file);
	for (char *rest = all, *line; (line = strsep(&rest, "\n")) != NULL;) {
		if (line[0] == '#' || line[0] == '\0')
			continue;
		count++;
		if (!play_text(slice_str(line), false))
			failures++;
	}
	printf("simulated: %u worlds of %s; failures: %u\n", count, path, failures);
	return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	static char text[WORLD_TEXT_MAX];
	char *end;
	uint64_t first = 1, last;

	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	if (progress == MAP_FAILED)
		abort();
	log_set_level(LOG_LEVEL_ERROR);
	in_short = argc == 3 && strcmp(argv[1], "-1") == 0;
	if (argc == 3 && strcmp(argv[1], "-p") == 0)
		return play_text(slice_str(argv[2]), true) ? EXIT_SUCCESS : EXIT_FAILURE;
	if (argc == 3 && strcmp(argv[1], "-s") == 0) {
		struct slice words = world_of(strtoull(argv[2], NULL, 10), text);

		printf("%.*s\n", (int)words.n, words.p);
		return EXIT_SUCCESS;
	}
	if (argc == 3 && strcmp(argv[1], "-f") == 0)
		return play_file(argv[2]);
	if (argc == 3 && strcmp(argv[1], "-t") == 0)
		return twice(strtoull(argv[2], NULL, 10));
	if (argc != 2 + in_short) {
		fprintf(stderr,
			"usage: %s [-1] FIRST..LAST | [-1] COUNT | -p TEXT | -s SEED | -t COUNT | "
			"-f FILE\n",
			argv[0]);
		return 2;
	}
	last = strtoull(argv[argc - 1], &end, 10);
	if (strncmp(end, "..", 2) == 0) {
		first = last;
		last = strtoull(end + 2, NULL, 10);
	}
	return simulate(argv[0], first, last);
}
