/*
 * A sum of statistics made small, to be kept by the dozen: numbers as they are, histograms with two
 * of their buckets in one, four to each power of two.  Pure.
 */
#ifndef PROXY_STATS_HISTORY_SAMPLE_H
#define PROXY_STATS_HISTORY_SAMPLE_H

#include "proxy/stats/stats.h"

/* The histograms of struct stats stand together, and end its numbers. */
enum {
	SAMPLE_HISTOGRAMS =
		(offsetof(struct stats, repaired) - offsetof(struct stats, hit_latency)) /
		sizeof(struct histogram),
	SAMPLE_NUMBERS = offsetof(struct stats, hit_latency) / sizeof(uint64_t),
	/* Answers by status and outcome, most of the numbers, are among these. */
	SAMPLE_ANSWERS_AT = offsetof(struct stats, answers) / sizeof(uint64_t),
	SAMPLE_ANSWERS = sizeof(struct answer_counts) / sizeof(uint64_t),
	SAMPLE_BUCKETS = HISTOGRAM_BUCKETS / 2,
};

struct history_sample {
	int64_t at_ms;                                    /* monotonic */
	uint64_t number[SAMPLE_NUMBERS - SAMPLE_ANSWERS]; /* before and behind the answers */
	uint32_t answer[SAMPLE_ANSWERS];                  /* modulo 2^32: differences are right */
	struct {
		uint64_t count, sum_us;
		uint32_t bucket[SAMPLE_BUCKETS]; /* likewise */
	} histogram[SAMPLE_HISTOGRAMS];
};

void history_sample_take(struct history_sample *ret_sample, const struct stats *sum, int64_t at_ms);

/* As stats_difference(): less than 2^32 of one kind are between the two. */
void history_sample_difference(const struct stats *now, const struct history_sample *then,
			       struct stats *ret_between);

#endif
