/* The chart's rows as columns of JSON. */
#include "proxy/stats/dash_history.h"

#include "proxy/base/json_writer.h"

enum { ROWS_MAX = HISTORY_TENS > HISTORY_SECONDS ? HISTORY_TENS : HISTORY_SECONDS };

static const char *const columns[HISTORY_COLUMN_COUNT] = {
#define COLUMN(name) [HISTORY_##name] = #name,
	HISTORY_COLUMNS(COLUMN)
#undef COLUMN
};

/* From the first that is asked for and kept, none before the start, to the newest. */
static uint64_t first_row(const struct dash_rows *asked, uint64_t newest)
{
	uint64_t most = asked->step_s == 1 ? HISTORY_SECONDS : HISTORY_TENS;
	uint64_t started = (uint64_t)(asked->started_us / 1000000) / asked->step_s + 1;
	uint64_t first = newest >= most ? newest - most + 1 : 1;

	if (first < started)
		first = started;
	return first < asked->after ? asked->after : first;
}

static void put_column(struct json_writer *out, const struct history_row *rows, uint64_t count,
		       unsigned column)
{
	json_put_array(out, columns[column]);
	for (uint64_t i = 0; i < count; i++)
		if (rows[i].column[column] == HISTORY_UNKNOWN)
			json_put_null(out, NULL);
		else
			json_put_number(out, NULL, rows[i].column[column]);
	json_put_end(out);
}

static void read_rows(const struct dash_rows *asked, uint64_t first, uint64_t count,
		      struct history_row *ret_rows)
{
	for (uint64_t i = 0; i < count; i++)
		if (!history_row(asked->history, asked->step_s, first + i, &ret_rows[i]))
			for (unsigned c = 0; c < HISTORY_COLUMN_COUNT; c++)
				ret_rows[i].column[c] = HISTORY_UNKNOWN;
}

void dash_put_history(struct json_writer *out, const struct dash_rows *asked)
{
	uint64_t newest = history_newest(asked->history, asked->step_s, asked->now_ms);
	uint64_t first = first_row(asked, newest), count = newest < first ? 0 : newest - first + 1;
	struct history_row rows[ROWS_MAX];
	int64_t end_ms = (int64_t)newest * asked->step_s * 1000;

	read_rows(asked, first, count, rows);
	json_put_object(out, "history");
	json_put_number(out, "step_s", asked->step_s);
	json_put_signed(out, "end_ms", asked->wall_ms - (asked->now_ms - end_ms));
	json_put_number(out, "next", newest + 1);
	json_put_object(out, "columns");
	for (unsigned column = 0; column < HISTORY_COLUMN_COUNT; column++)
		put_column(out, rows, count, column);
	json_put_end(out);
	json_put_end(out);
}
