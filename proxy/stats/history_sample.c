/* Sums of statistics made small, and the difference to one. */
#include "proxy/stats/history_sample.h"

#include <string.h>

_Static_assert((offsetof(struct stats, repaired) - offsetof(struct stats, hit_latency)) %
			       sizeof(struct histogram) ==
		       0,
	       "histograms stand together, behind all other numbers");
_Static_assert(HISTOGRAM_BUCKETS % 2 == 0, "two buckets become one");

static const struct histogram *histogram_of(const struct stats *sum, size_t index)
{
	return &(&sum->hit_latency)[index];
}

static uint32_t bucket_of(const struct histogram *histogram, size_t i)
{
	return (uint32_t)(STATS_READ(histogram->bucket[2 * i]) +
			  STATS_READ(histogram->bucket[2 * i + 1]));
}

void history_sample_take(struct history_sample *ret_sample, const struct stats *sum, int64_t at_ms)
{
	const _Atomic uint64_t *numbers = (const _Atomic uint64_t *)(const void *)sum;

	/* It goes to shared memory byte for byte, and what lies between members with it. */
	memset(ret_sample, 0, sizeof(*ret_sample));
	ret_sample->at_ms = at_ms;
	for (size_t i = 0; i < SAMPLE_NUMBERS; i++)
		if (i < SAMPLE_ANSWERS_AT)
			ret_sample->number[i] = STATS_READ(numbers[i]);
		else if (i < SAMPLE_ANSWERS_AT + SAMPLE_ANSWERS)
			ret_sample->answer[i - SAMPLE_ANSWERS_AT] =
				(uint32_t)STATS_READ(numbers[i]);
		else
			ret_sample->number[i - SAMPLE_ANSWERS] = STATS_READ(numbers[i]);
	for (size_t h = 0; h < SAMPLE_HISTOGRAMS; h++) {
		const struct histogram *from = histogram_of(sum, h);

		ret_sample->histogram[h].count = STATS_READ(from->count);
		ret_sample->histogram[h].sum_us = STATS_READ(from->sum_us);
		for (size_t i = 0; i < SAMPLE_BUCKETS; i++)
			ret_sample->histogram[h].bucket[i] = bucket_of(from, i);
	}
}

/* What came into two buckets is shared out to both. */
static void spread(struct histogram *to, size_t i, uint32_t count)
{
	STATS_WRITE(to->bucket[2 * i], count - count / 2);
	STATS_WRITE(to->bucket[2 * i + 1], count / 2);
}

void history_sample_difference(const struct stats *now, const struct history_sample *then,
			       struct stats *ret_between)
{
	const _Atomic uint64_t *of_now = (const _Atomic uint64_t *)(const void *)now;
	uint64_t numbers[STATS_NUMBERS] = {0};
	struct stats before;

	for (size_t i = 0; i < SAMPLE_NUMBERS; i++)
		if (i < SAMPLE_ANSWERS_AT)
			numbers[i] = then->number[i];
		else if (i < SAMPLE_ANSWERS_AT + SAMPLE_ANSWERS)
			numbers[i] = STATS_READ(of_now[i]) - ((uint32_t)STATS_READ(of_now[i]) -
							      then->answer[i - SAMPLE_ANSWERS_AT]);
		else
			numbers[i] = then->number[i - SAMPLE_ANSWERS];
	stats_set_numbers(&before, numbers);
	stats_difference(now, &before, ret_between);
	for (size_t h = 0; h < SAMPLE_HISTOGRAMS; h++) {
		const struct histogram *end = histogram_of(now, h);
		struct histogram *to = &(&ret_between->hit_latency)[h];

		STATS_WRITE(to->count, STATS_READ(end->count) - then->histogram[h].count);
		STATS_WRITE(to->sum_us, STATS_READ(end->sum_us) - then->histogram[h].sum_us);
		for (size_t i = 0; i < SAMPLE_BUCKETS; i++)
			spread(to, i, bucket_of(end, i) - then->histogram[h].bucket[i]);
	}
}
