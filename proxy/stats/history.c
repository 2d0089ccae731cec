/* The last hour of the statistics: samples by one worker, rows of charts, windows. */
#include "proxy/stats/history.h"

#include <string.h>

#include "proxy/stats/history_sample.h"
#include "proxy/stats/shared_row.h"

enum {
	SECOND_MS = 1000,
	LATE_MS = 20,       /* after the second began, for others to look whether it was sampled */
	FIVES = 13,         /* samples, each five seconds: a minute, and the one before it */
	TWOS = 31,          /* each two minutes: an hour, and the one before it */
	DEADLINE_BITS = 40, /* of milliseconds since boot: 34 years */
};

struct history {
	_Atomic uint64_t lease;  /* a process, and until when; 0 for none */
	_Atomic uint64_t second; /* the last that was sampled, or is being */
	_Atomic uint64_t last[SHARED_ROW_WORDS(sizeof(struct history_sample))];
	_Atomic uint64_t five[FIVES][SHARED_ROW_WORDS(sizeof(struct history_sample))];
	_Atomic uint64_t two[TWOS][SHARED_ROW_WORDS(sizeof(struct history_sample))];
	_Atomic uint64_t seconds[HISTORY_SECONDS][SHARED_ROW_WORDS(sizeof(struct history_row))];
	_Atomic uint64_t tens[HISTORY_TENS][SHARED_ROW_WORDS(sizeof(struct history_row))];
};

struct history *history_map(void)
{
	return shared_map(sizeof(struct history));
}

/* ---- the lease ------------------------------------------------------------------------------ */

static uint64_t lease_of(pid_t self, int64_t until_ms)
{
	return (uint64_t)self << DEADLINE_BITS | (uint64_t)until_ms;
}

static pid_t holder_of(uint64_t lease)
{
	return (pid_t)(lease >> DEADLINE_BITS);
}

static bool is_live(uint64_t lease, int64_t now_ms)
{
	return (int64_t)(lease & ((UINT64_C(1) << DEADLINE_BITS) - 1)) > now_ms;
}

/* Renewed, or taken when its holder has left or is late. */
static bool take_lease(struct history *history, pid_t self, int64_t now_ms)
{
	uint64_t lease = atomic_load_explicit(&history->lease, memory_order_relaxed);

	if (holder_of(lease) != self && is_live(lease, now_ms))
		return false;
	/* Nothing but itself depends on it: who lost it unnoticed is stopped by `second`. */
	return atomic_compare_exchange_strong_explicit(&history->lease, &lease,
						       lease_of(self, now_ms + HISTORY_LEASE_MS),
						       memory_order_relaxed, memory_order_relaxed);
}

void history_leave(struct history *history, pid_t self)
{
	uint64_t lease = atomic_load_explicit(&history->lease, memory_order_relaxed);

	if (holder_of(lease) == self)
		atomic_compare_exchange_strong_explicit(&history->lease, &lease, 0,
							memory_order_relaxed, memory_order_relaxed);
}

int64_t history_due(struct history *history, pid_t self, int64_t now_ms, bool *ret_sample)
{
	uint64_t second = (uint64_t)(now_ms / SECOND_MS);
	bool is_mine = take_lease(history, self, now_ms);

	*ret_sample =
		is_mine && atomic_load_explicit(&history->second, memory_order_relaxed) < second;
	return SECOND_MS - now_ms % SECOND_MS + (is_mine ? 0 : LATE_MS);
}

/* ---- what a sum says ------------------------------------------------------------------------ */

uint64_t history_errors_of(const struct stats *sum)
{
	uint64_t errors = 0;

	for (enum failure f = FAILURE_NONE + 1; f < FAILURE_COUNT; f++)
		if (failure_is_error(f))
			errors += STATS_READ(sum->failure[f]);
	return errors;
}

/* ---- sampling ------------------------------------------------------------------------------- */

static uint32_t capped(uint64_t value)
{
	return value < HISTORY_UNKNOWN ? (uint32_t)value : HISTORY_UNKNOWN - 1;
}

static uint32_t quantile(const struct histogram *histogram, double share)
{
	if (STATS_READ(histogram->count) == 0)
		return HISTORY_UNKNOWN;
	return capped(histogram_quantile(histogram, share));
}

static void make_row(const struct stats *between, struct history_row *row)
{
	uint64_t kinds[ANSWER_COUNT];
	int64_t in_flight = STATS_READ(between->exchanges);

	answer_counts_kinds(&between->answers, kinds);
	*row = (struct history_row){{
		[HISTORY_fresh] = capped(kinds[ANSWER_FRESH]),
		[HISTORY_shared] = capped(kinds[ANSWER_SHARED]),
		[HISTORY_stale] = capped(kinds[ANSWER_STALE]),
		[HISTORY_confirmed] = capped(kinds[ANSWER_CONFIRMED]),
		[HISTORY_fetched] = capped(kinds[ANSWER_FETCHED]),
		[HISTORY_other] = capped(kinds[ANSWER_OTHER]),
		[HISTORY_errors] = capped(history_errors_of(between)),
		[HISTORY_hit_p50] = quantile(&between->hit_latency, 0.5),
		[HISTORY_hit_p99] = quantile(&between->hit_latency, 0.99),
		[HISTORY_miss_p50] = quantile(&between->miss_latency, 0.5),
		[HISTORY_miss_p99] = quantile(&between->miss_latency, 0.99),
		[HISTORY_fb_p50] = quantile(&between->origin_first_byte, 0.5),
		[HISTORY_fb_p99] = quantile(&between->origin_first_byte, 0.99),
		[HISTORY_in_flight] = in_flight > 0 ? capped((uint64_t)in_flight) : 0,
	}};
}

/* The sample of `number` five seconds, or another time: numbers are tickets less one. */
static bool read_sample(const _Atomic uint64_t *row, uint64_t number, struct history_sample *ret)
{
	return shared_row_read(row, ret, sizeof(*ret)) == number + 1;
}

static void write_sample(_Atomic uint64_t *row, uint64_t number,
			 const struct history_sample *sample)
{
	shared_row_write(row, number + 1, sample, sizeof(*sample));
}

static void write_row(_Atomic uint64_t *row, uint64_t number, const struct stats *sum,
		      const struct history_sample *then)
{
	struct history_row content;
	struct stats between;

	history_sample_difference(sum, then, &between);
	make_row(&between, &content);
	shared_row_write(row, number + 1, &content, sizeof(content));
}

/* The first sample of five seconds, and a row when ten of them are over. */
static void note_five(struct history *history, const struct stats *sum, uint64_t second,
		      const struct history_sample *sample)
{
	uint64_t five = second / 5, ten = five / 2;
	struct history_sample then;

	if (five % 2 == 0 && five >= 2 &&
	    read_sample(history->five[(five - 2) % FIVES], five - 2, &then))
		write_row(history->tens[ten % HISTORY_TENS], ten, sum, &then);
	write_sample(history->five[five % FIVES], five, sample);
}

void history_sample(struct history *history, const struct stats *sum, int64_t now_ms)
{
	uint64_t second = (uint64_t)(now_ms / SECOND_MS);
	uint64_t before = atomic_load_explicit(&history->second, memory_order_relaxed);
	struct history_sample sample, then;

	/* Who was stopped since it was found to be its turn does not sample a second time. */
	if (before >= second ||
	    !atomic_compare_exchange_strong_explicit(&history->second, &before, second,
						     memory_order_relaxed, memory_order_relaxed))
		return;
	history_sample_take(&sample, sum, now_ms);
	if (read_sample(history->last, second - 1, &then))
		write_row(history->seconds[second % HISTORY_SECONDS], second, sum, &then);
	if (second / 5 != before / 5)
		note_five(history, sum, second, &sample);
	if (second / 120 != before / 120)
		write_sample(history->two[second / 120 % TWOS], second / 120, &sample);
	write_sample(history->last, second, &sample);
}

/* ---- reading -------------------------------------------------------------------------------- */

static int64_t distance(int64_t a, int64_t b)
{
	return a < b ? b - a : a - b;
}

/* Of the samples of a ring, take the one nearest to `wanted_ms` if it is nearer than *best. */
static void find_nearest(const _Atomic uint64_t *rows, size_t count, int64_t wanted_ms,
			 struct history_sample *room, int64_t *best_ms)
{
	for (size_t i = 0; i < count; i++) {
		const _Atomic uint64_t *row =
			rows + i * SHARED_ROW_WORDS(sizeof(struct history_sample));
		/* The time is the first word of the content: the rest is copied for a better one. */
		int64_t at_ms = (int64_t)atomic_load_explicit(&row[2], memory_order_relaxed);
		struct history_sample sample;

		if (distance(at_ms, wanted_ms) >= distance(*best_ms, wanted_ms) ||
		    shared_row_read(row, &sample, sizeof(sample)) == 0)
			continue;
		*best_ms = sample.at_ms;
		*room = sample;
	}
}

void history_window(const struct history *history, const struct stats *now,
		    struct history_span *span, struct stats *ret_between)
{
	int64_t wanted_ms = span->now_ms - (int64_t)span->window_s * SECOND_MS;
	int64_t best_ms = span->started_ms;
	struct history_sample then = {.at_ms = best_ms}; /* nothing was counted by then */

	if (wanted_ms > span->started_ms) {
		find_nearest(history->five[0], FIVES, wanted_ms, &then, &best_ms);
		find_nearest(history->two[0], TWOS, wanted_ms, &then, &best_ms);
	}
	history_sample_difference(now, &then, ret_between);
	span->length_ms = span->now_ms - then.at_ms;
}

uint64_t history_newest(const struct history *history, unsigned step_s, int64_t now_ms)
{
	uint64_t second = (uint64_t)(now_ms / SECOND_MS);
	uint64_t sampled = atomic_load_explicit(&history->second, memory_order_relaxed);

	/* The one of this second may be to come; those before it will not. */
	return (sampled + 1 < second ? second - 1 : sampled) / step_s;
}

bool history_row(const struct history *history, unsigned step_s, uint64_t number,
		 struct history_row *ret_row)
{
	const _Atomic uint64_t *row = step_s == 1 ? history->seconds[number % HISTORY_SECONDS]
						  : history->tens[number % HISTORY_TENS];

	return shared_row_read(row, ret_row, sizeof(*ret_row)) == number + 1;
}
