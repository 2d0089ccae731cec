/* LINKS: cache/store */
/*
 * What a store costs as it grows: a Markdown table with a row for each size.
 *
 *   scale [RECORDS]... [DIRECTORY]     (1000 to 1000000, below /tmp; 5000000 takes 6 GB there)
 *
 * For each size a fresh store is filled with records of 300 to 500 bytes, 100 to a transaction,
 * then closed and opened again, left by a process that dies and opened again, asked for random keys
 * that it has, and emptied as cache_purge_some() does it, 8 records to a transaction.  Wall times
 * are for the last steps, where waiting would count; what else the machine does is in them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cache/base/diagnostic.h"
#include "cache/store/store.h"

enum {
	VALUE_MIN = 300,
	VALUE_SPREAD = 200,
	VALUE_ROOM = 1000, /* bytes of the file for each, so that nothing is evicted */
	PUT_BATCH = 100,
	GETS = 2000000,
	GETS_WARM = 200000,
	GETS_A_TURN = 16, /* the reads of a turn of the loop share one view */
	PURGE_BATCH = 8,
};

struct scale {
	struct store_options options;
	struct store *store;
	uint64_t records;
};

/* Results of one size. */
struct row {
	double file_bytes;          /* of one record */
	double put_us;              /* CPU of one put */
	double open_ms;             /* wall */
	double open_killed_ms;      /* the same, after a process that did not close it */
	double get_user_ns, get_ns; /* CPU of one get: user, and with the system's */
	double purge_us;            /* CPU of one record */
	double batches;
	double batch_cpu_ms, batch_ms; /* the longest: CPU, wall */
};

static void check(const struct scale *scale, enum store_result result, const char *what)
{
	if (result != STORE_OK) {
		fprintf(stderr, "scale: %s: %d %s\n", what, result, store_error(scale->store));
		exit(1);
	}
}

static uint64_t mix(uint64_t n)
{
	n += UINT64_C(0x9e3779b97f4a7c15);
	n = (n ^ (n >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	n = (n ^ (n >> 27)) * UINT64_C(0x94d049bb133111eb);
	return n ^ (n >> 31);
}

static struct cache_key key_of(uint64_t n)
{
	return (struct cache_key){{mix(2 * n), mix(2 * n + 1)}};
}

static double seconds(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double user_seconds(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec * 1e-6;
}

static void open_store(struct scale *scale)
{
	struct diagnostic notice;
	scale->store = store_open(&scale->options, &notice);
	if (notice.text[0] != '\0')
		fprintf(stderr, "scale: %s\n", notice.text);
	if (!scale->store)
		exit(1);
}

static void measure_put(struct scale *scale, struct row *row)
{
	static char bytes[VALUE_MIN + VALUE_SPREAD + 1];
	struct store_usage usage;
	double begin = seconds(CLOCK_PROCESS_CPUTIME_ID);
	memset(bytes, 'x', sizeof(bytes));
	for (uint64_t n = 0; n < scale->records; n++) {
		struct cache_key key = key_of(n);
		struct slice value = slice_of(bytes, VALUE_MIN + mix(n) % (VALUE_SPREAD + 1));
		if (n % PUT_BATCH == 0)
			check(scale, store_begin(scale->store), "begin");
		memcpy(bytes, &n, sizeof(n));
		check(scale, store_put(scale->store, &key, value, NULL, 0), "put");
		if ((n + 1) % PUT_BATCH == 0 || n + 1 == scale->records)
			check(scale, store_commit(scale->store), "commit");
	}
	row->put_us = (seconds(CLOCK_PROCESS_CPUTIME_ID) - begin) * 1e6 / (double)scale->records;
	store_usage(scale->store, &usage);
	row->file_bytes = (double)usage.bytes_used / (double)usage.entries;
	if (usage.entries != scale->records)
		fprintf(stderr, "scale: %ju of %ju entries\n", (uintmax_t)usage.entries,
			(uintmax_t)scale->records);
}

static double timed_open(struct scale *scale)
{
	double begin = seconds(CLOCK_MONOTONIC);
	open_store(scale);
	return (seconds(CLOCK_MONOTONIC) - begin) * 1e3;
}

/* Writes a little, and is gone. */
static void use_and_die(struct scale *scale)
{
	pid_t child = fork();
	int status;
	if (child == 0) {
		struct cache_key key = key_of(0);
		uint64_t value[VALUE_MIN / sizeof(uint64_t)] = {0};
		open_store(scale);
		check(scale, store_begin(scale->store), "begin");
		check(scale,
		      store_put(scale->store, &key, slice_of((char *)value, sizeof(value)), NULL,
				0),
		      "put");
		check(scale, store_commit(scale->store), "commit");
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
		exit(1);
}

static void measure_open(struct scale *scale, struct row *row)
{
	store_close(scale->store);
	row->open_ms = timed_open(scale);
	store_close(scale->store);
	use_and_die(scale);
	row->open_killed_ms = timed_open(scale);
}

/* Asks for random records, and looks at each. */
static void get_many(struct scale *scale, uint64_t seed, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		uint64_t n = mix(seed + i) % scale->records, found = 0;
		struct cache_key key = key_of(n);
		struct slice value;
		check(scale, store_get(scale->store, &key, &value), "get");
		memcpy(&found, value.p, sizeof(found));
		if (found != n)
			abort();
		if ((i + 1) % GETS_A_TURN == 0)
			store_turn_end(scale->store);
	}
	store_turn_end(scale->store);
}

static void measure_get(struct scale *scale, struct row *row)
{
	double begin, begin_user;
	/* A page's first use is a fault: as many records are asked for as there are. */
	get_many(scale, 0, scale->records > GETS_WARM ? scale->records : GETS_WARM);
	begin = seconds(CLOCK_PROCESS_CPUTIME_ID), begin_user = user_seconds();
	get_many(scale, UINT64_C(1) << 40, GETS);
	row->get_user_ns = (user_seconds() - begin_user) * 1e9 / GETS;
	row->get_ns = (seconds(CLOCK_PROCESS_CPUTIME_ID) - begin) * 1e9 / GETS;
}

struct emptying {
	struct cache_key keys[PURGE_BATCH];
	size_t count;
};

static bool purge_visit(void *context, const struct cache_key *key, struct slice value)
{
	struct emptying *purge = context;
	(void)value;
	purge->keys[purge->count++] = *key;
	return purge->count < PURGE_BATCH;
}

static bool purge_batch(struct scale *scale)
{
	struct cache_key cursor = {{0, 0}};
	struct emptying purge = {.count = 0};
	bool more;
	check(scale, store_walk(scale->store, &cursor, PURGE_BATCH, purge_visit, &purge, &more),
	      "walk");
	if (purge.count == 0)
		return false;
	check(scale, store_begin(scale->store), "begin");
	for (size_t i = 0; i < purge.count; i++)
		check(scale, store_drop(scale->store, &purge.keys[i]), "drop");
	check(scale, store_commit(scale->store), "commit");
	return true;
}

static void raise_to(double *most, double value)
{
	if (value > *most)
		*most = value;
}

static void measure_purge(struct scale *scale, struct row *row)
{
	double first = seconds(CLOCK_PROCESS_CPUTIME_ID), cpu = first, end_cpu;
	double wall = seconds(CLOCK_MONOTONIC), end_wall;
	while (purge_batch(scale)) {
		end_cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), end_wall = seconds(CLOCK_MONOTONIC);
		raise_to(&row->batch_cpu_ms, (end_cpu - cpu) * 1e3);
		raise_to(&row->batch_ms, (end_wall - wall) * 1e3);
		row->batches++;
		cpu = end_cpu, wall = end_wall;
	}
	row->purge_us = (cpu - first) * 1e6 / (double)scale->records;
}

static void remove_directory(const char *directory)
{
	char command[300];
	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	if (system(command) != 0)
		fprintf(stderr, "scale: %s stays\n", directory);
}

static void measure(uint64_t records, const char *below)
{
	char directory[256];
	struct scale scale = {.records = records};
	struct row row = {0};
	snprintf(directory, sizeof(directory), "%s/cache204-scale.XXXXXX", below);
	if (!mkdtemp(directory)) {
		perror(directory);
		exit(1);
	}
	scale.options = (struct store_options){.directory = directory,
					       .size = records * VALUE_ROOM + (64 << 20),
					       .readers = 16,
					       .format = 1};
	open_store(&scale);
	measure_put(&scale, &row);
	measure_open(&scale, &row);
	measure_get(&scale, &row);
	measure_purge(&scale, &row);
	store_close(scale.store);
	remove_directory(directory);
	printf("| %ju | %.0f | %.1f | %.1f | %.1f | %.0f | %.0f | %.1f | %.0f | %.2f | %.2f |\n",
	       (uintmax_t)records, row.file_bytes, row.put_us, row.open_ms, row.open_killed_ms,
	       row.get_user_ns, row.get_ns, row.purge_us, row.batches, row.batch_cpu_ms,
	       row.batch_ms);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	const char *below = "/tmp";
	int count = argc;
	if (argc > 1 && strchr(argv[argc - 1], '/'))
		below = argv[--count];
	printf("| Records | file bytes each | put CPU µs | open ms | open killed ms | get user ns "
	       "| "
	       "get CPU ns | purge CPU µs | batches | longest CPU ms | longest ms |\n");
	printf("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n");
	fflush(stdout);
	for (int i = 1; i < count; i++)
		if (strtoull(argv[i], NULL, 10) > 0)
			measure(strtoull(argv[i], NULL, 10), below);
	for (uint64_t records = 1000; count == 1 && records <= 1000000; records *= 10)
		measure(records, below);
	return 0;
}
