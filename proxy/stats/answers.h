/* How exchanges end: outcomes, statuses, and what both together mean for a client. */
#ifndef PROXY_STATS_ANSWERS_H
#define PROXY_STATS_ANSWERS_H

#include "proxy/stats/number.h"

enum outcome {
#define OUTCOME(id, name, help) OUTCOME_##id,
#include "proxy/stats/outcomes.def"
#undef OUTCOME
	OUTCOME_COUNT
};

/* Rows of statuses.def, then what has no row. */
enum status_row {
#define STATUS(code) STATUS_##code,
#include "proxy/stats/statuses.def"
#undef STATUS
	STATUS_NONE, /* no answer was begun */
	STATUS_1XX,
	STATUS_2XX,
	STATUS_3XX,
	STATUS_4XX,
	STATUS_5XX,
	STATUS_MORE, /* 600 and above */
	STATUS_ROWS
};

enum answer_kind {
#define ANSWER(id, name, help) ANSWER_##id,
#include "proxy/stats/answers.def"
#undef ANSWER
	ANSWER_COUNT
};

/* Static texts; constant time. */
const char *outcome_name(enum outcome outcome);
const char *status_row_name(enum status_row row); /* "204", "4xx", "none" */
const char *answer_name(enum answer_kind answer);

enum { STATUS_END = 600 };

/* Rows of statuses by their number, plus one, 0 for those without; kinds by outcome and row. */
extern const uint8_t status_rows[STATUS_END];
extern const uint8_t answer_kinds[OUTCOME_COUNT][2];

/* The row that counts a status, 0 for none. */
static inline enum status_row status_row_of(unsigned status)
{
	if (status >= STATUS_END)
		return STATUS_MORE;
	if (status_rows[status] != 0)
		return (enum status_row)(status_rows[status] - 1);
	return (enum status_row)(STATUS_NONE + status / 100);
}

/* Of one that ended for a client, so not OUTCOME_BACKGROUND. */
static inline enum answer_kind answer_of(enum outcome outcome, enum status_row row)
{
	if (row <= STATUS_304)
		return (enum answer_kind)answer_kinds[outcome][row];
	return outcome == OUTCOME_FAILED ? ANSWER_FAILED : ANSWER_OTHER;
}

/* What answers are counted in, by status and outcome; and what that makes by kind. */
struct answer_counts {
	_Atomic uint64_t at[STATUS_ROWS][OUTCOME_COUNT];
};

/* Exchanges that ended so, whatever the status. */
uint64_t answer_counts_outcome(const struct answer_counts *counts, enum outcome outcome);

/* Answers to clients by kind. */
void answer_counts_kinds(const struct answer_counts *counts, uint64_t ret_kinds[ANSWER_COUNT]);

/* Of them all 204s, and those without the origin: their quotient is the share. */
uint64_t answers_204(const uint64_t of[ANSWER_COUNT]);
uint64_t answers_here(const uint64_t of[ANSWER_COUNT]);

#endif
