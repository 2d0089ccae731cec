/* LINKS: cache/store bench/ratio/trace.c bench/ratio/queues.c bench/ratio/sieve.c bench/ratio/tinylfu.c bench/ratio/belady.c */
/*
 * Which share of requests SIEVE answers, as the store has it, beside FIFO, LRU, S3-FIFO, W-TinyLFU and
 * the optimum, with as many entries each: a line of numbers for each trace and size, by tabs.
 *
 *   hit_ratio [-n REQUESTS] [TRACE ...]
 *
 * TRACE is the name of one that is made, FORMAT:PATH or PATH of one that is read; all that are made
 * without one.  The first fifth of a trace fills the caches and is not counted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/ratio/policy.h"

static const struct policy *const policies[] = {&fifo, &lru, &s3_fifo, &w_tinylfu, &sieve, &belady};
static const double sizes[] = {0.001, 0.003, 0.01, 0.03, 0.1, 0.3}; /* of the distinct objects */

enum { POLICIES = sizeof(policies) / sizeof(*policies), SIZES = sizeof(sizes) / sizeof(*sizes) };

struct ratio {
	double hits, bytes; /* of those that are counted, from 0 to 1 */
};

static struct ratio ratio_of(const struct policy *policy, const struct trace *trace, size_t room)
{
	void *cache = policy->make(trace, room);
	size_t first = trace->requests / 5, hits = 0;
	double bytes = 0, all = 0;

	for (size_t i = 0; i < trace->requests; i++) {
		bool hit = policy->ask(cache, trace->objects[i], i);
		double size = trace->sizes != NULL ? trace->sizes[i] : 1;

		if (i < first)
			continue;
		hits += hit;
		bytes += hit ? size : 0;
		all += size;
	}
	policy->destroy(cache);
	return (struct ratio){(double)hits / (double)(trace->requests - first),
			      all > 0 ? bytes / all : 0};
}

static void print_trace(const struct trace *trace)
{
	for (size_t i = 0; i < SIZES; i++) {
		size_t room = (size_t)(sizes[i] * trace->distinct);

		if (room < 10)
			continue;
		printf("%s\t%zu\t%u\t%.0f\t%g\t%zu", trace->name, trace->requests, trace->distinct,
		       trace->seconds, sizes[i], room);
		for (size_t p = 0; p < POLICIES; p++) {
			struct ratio ratio = ratio_of(policies[p], trace, room);

			printf("\t%.4f", ratio.hits);
			if (trace->sizes != NULL)
				printf("/%.4f", ratio.bytes);
		}
		printf("\n");
		fflush(stdout);
	}
}

static void print_rows(const char *title, const struct trace_row *rows)
{
	fprintf(stderr, "%s\n", title);
	for (; rows->name != NULL; rows++)
		fprintf(stderr, "  %-10s %s\n", rows->name, rows->what);
}

static int usage(void)
{
	fprintf(stderr, "usage: hit_ratio [-n REQUESTS] [TRACE | [FORMAT:]PATH]...\n");
	print_rows("traces that are made:", trace_made);
	print_rows("formats of files:", trace_formats);
	return 2;
}

static bool is_made(const char *name)
{
	for (const struct trace_row *row = trace_made; row->name != NULL; row++)
		if (strcmp(row->name, name) == 0)
			return true;
	return false;
}

static void run(const char *named, size_t requests)
{
	struct trace trace;

	if (is_made(named))
		trace_make(&trace, named, requests);
	else
		trace_read(&trace, named);
	print_trace(&trace);
	trace_free(&trace);
}

int main(int argc, char **argv)
{
	size_t requests = 5000000;
	int option;

	while ((option = getopt(argc, argv, "n:")) != -1) {
		if (option != 'n')
			return usage();
		requests = strtoul(optarg, NULL, 10);
	}
	if (requests < 5 || requests > UINT32_MAX / 2)
		return usage();
	printf("trace\trequests\tdistinct\tseconds\tsize\tentries");
	for (size_t p = 0; p < POLICIES; p++)
		printf("\t%s", policies[p]->name);
	printf("\n");
	for (; optind < argc; optind++)
		run(argv[optind], requests);
	if (argc == 1 || (argc == 3 && strcmp(argv[1], "-n") == 0))
		for (const struct trace_row *row = trace_made; row->name != NULL; row++)
			run(row->name, requests);
	return 0;
}
