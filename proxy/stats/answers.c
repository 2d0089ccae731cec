/* How exchanges end: names, and the kind of an answer. */
#include "proxy/stats/answers.h"

#include <assert.h>

const char *outcome_name(enum outcome outcome)
{
	static const char *const names[OUTCOME_COUNT] = {
#define OUTCOME(id, name, help) [OUTCOME_##id] = name,
#include "proxy/stats/outcomes.def"
#undef OUTCOME
	};

	assert(outcome < OUTCOME_COUNT);
	return names[outcome];
}

const char *status_row_name(enum status_row row)
{
	static const char *const names[STATUS_ROWS] = {
#define STATUS(code) [STATUS_##code] = #code,
#include "proxy/stats/statuses.def"
#undef STATUS
		[STATUS_NONE] = "none", [STATUS_1XX] = "1xx", [STATUS_2XX] = "2xx",
		[STATUS_3XX] = "3xx",   [STATUS_4XX] = "4xx", [STATUS_5XX] = "5xx",
		[STATUS_MORE] = "more",
	};

	assert(row < STATUS_ROWS);
	return names[row];
}

const char *answer_name(enum answer_kind answer)
{
	static const char *const names[ANSWER_COUNT] = {
#define ANSWER(id, name, help) [ANSWER_##id] = name,
#include "proxy/stats/answers.def"
#undef ANSWER
	};

	assert(answer < ANSWER_COUNT);
	return names[answer];
}

/* Those that have a row of their own, plus one: 0 is for the others. */
const uint8_t status_rows[STATUS_END] = {
#define STATUS(code) [code] = STATUS_##code + 1,
#include "proxy/stats/statuses.def"
#undef STATUS
};

/* What it is when its status is that of a 204, or of a 304. */
const uint8_t answer_kinds[OUTCOME_COUNT][2] = {
	[OUTCOME_HIT] = {ANSWER_FRESH, ANSWER_FRESH},
	[OUTCOME_HIT_304] = {ANSWER_FRESH, ANSWER_FRESH},
	[OUTCOME_STALE] = {ANSWER_STALE, ANSWER_STALE},
	[OUTCOME_VALIDATED] = {ANSWER_CONFIRMED, ANSWER_CONFIRMED},
	[OUTCOME_COLLAPSED] = {ANSWER_SHARED, ANSWER_SHARED},
	/* A 304 for a tag that only the client has may be for anything. */
	[OUTCOME_MISS] = {ANSWER_FETCHED, ANSWER_OTHER},
	[OUTCOME_BYPASS] = {ANSWER_FETCHED, ANSWER_OTHER},
	[OUTCOME_TUNNEL] = {ANSWER_OTHER, ANSWER_OTHER},
	[OUTCOME_LOCAL] = {ANSWER_OTHER, ANSWER_OTHER},
	[OUTCOME_FAILED] = {ANSWER_FAILED, ANSWER_FAILED},
	[OUTCOME_BACKGROUND] = {ANSWER_OTHER, ANSWER_OTHER},
};

_Static_assert(STATUS_204 == 0 && STATUS_304 == 1, "these index kinds[]");

uint64_t answer_counts_outcome(const struct answer_counts *counts, enum outcome outcome)
{
	uint64_t sum = 0;

	for (unsigned row = 0; row < STATUS_ROWS; row++)
		sum += STATS_READ(counts->at[row][outcome]);
	return sum;
}

void answer_counts_kinds(const struct answer_counts *counts, uint64_t ret_kinds[ANSWER_COUNT])
{
	for (unsigned kind = 0; kind < ANSWER_COUNT; kind++)
		ret_kinds[kind] = 0;
	for (unsigned row = 0; row < STATUS_ROWS; row++)
		for (unsigned o = 0; o < OUTCOME_COUNT; o++)
			if (o != OUTCOME_BACKGROUND)
				ret_kinds[answer_of((enum outcome)o, (enum status_row)row)] +=
					STATS_READ(counts->at[row][o]);
}

uint64_t answers_here(const uint64_t of[ANSWER_COUNT])
{
	return of[ANSWER_FRESH] + of[ANSWER_SHARED] + of[ANSWER_STALE];
}

uint64_t answers_204(const uint64_t of[ANSWER_COUNT])
{
	return answers_here(of) + of[ANSWER_CONFIRMED] + of[ANSWER_FETCHED];
}
