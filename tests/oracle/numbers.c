/* What operators are told of a play; see numbers.h. */
#include "tests/oracle/numbers.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cache/policy/policy.h"
#include "proxy/base/monotonic.h"
#include "proxy/stats/recent_errors.h"
#include "proxy/stats/sketch.h"
#include "proxy/stats/stats.h"

enum { TEXT_SIZE = 16 << 10, NAMES = 256, NAME_SIZE = 60 };

static struct {
	struct stats before;
	struct sketch *sketch;
	struct recent_errors *errors;
	struct accesslog *log;
	int file;
	off_t seen; /* of the log */
} numbers;

static char counted[TEXT_SIZE], logged[TEXT_SIZE], shown[TEXT_SIZE];

static char proved[NAMES][NAME_SIZE];
static size_t proved_count;

static bool is_proved(const char *name)
{
	for (size_t i = 0; i < proved_count; i++)
		if (strcmp(proved[i], name) == 0)
			return true;
	return false;
}

static void prove(struct slice name)
{
	char *row = proved[proved_count];

	assert(proved_count < NAMES && name.n < NAME_SIZE);
	snprintf(row, NAME_SIZE, "%.*s", SLICE_ARG(name));
	if (!is_proved(row))
		proved_count++;
}

/* ---- what is counted ------------------------------------------------------------------------ */

static void put(const char *table, const char *name, const char *member, int64_t n)
{
	size_t used = strlen(counted);

	snprintf(counted + used, TEXT_SIZE - used, "%s%s%s%s%s=%lld", used > 0 ? " " : "", table,
		 name, member[0] != '\0' ? "." : "", member, (long long)n);
}

static void put_answers(const struct answer_counts *was, const struct answer_counts *is)
{
	for (unsigned row = 0; row < STATUS_ROWS; row++)
		for (unsigned outcome = 0; outcome < OUTCOME_COUNT; outcome++)
			if (is->at[row][outcome] != was->at[row][outcome])
				put("answer.", status_row_name((enum status_row)row),
				    outcome_name((enum outcome)outcome),
				    (int64_t)(is->at[row][outcome] - was->at[row][outcome]));
}

static void put_listener(const struct listener_counts *was, const struct listener_counts *is)
{
	if (is->bytes_in != was->bytes_in)
		put("listener.", "bytes_in", "", (int64_t)(is->bytes_in - was->bytes_in));
	if (is->bytes_out != was->bytes_out)
		put("listener.", "bytes_out", "", (int64_t)(is->bytes_out - was->bytes_out));
	for (unsigned kind = 0; kind < ANSWER_COUNT; kind++)
		if (is->answer[kind] != was->answer[kind])
			put("listener.", answer_name((enum answer_kind)kind), "",
			    (int64_t)(is->answer[kind] - was->answer[kind]));
}

static void put_histogram(const char *name, const struct histogram *was, const struct histogram *is)
{
	size_t used;

	if (is->count == was->count && is->sum_us == was->sum_us)
		return;
	put("", name, "", (int64_t)(is->count - was->count));
	used = strlen(counted);
	snprintf(counted + used, TEXT_SIZE - used, "/%lld", (long long)(is->sum_us - was->sum_us));
}

static void put_offenders(const char *table, const struct offenders *was,
			  const struct offenders *is)
{
	for (unsigned i = 0; i < OFFENDERS_MAX; i++)
		if (is->at[i].count != was->at[i].count)
			put(table, is->at[i].name, "",
			    (int64_t)(is->at[i].count - was->at[i].count));
}

struct slice numbers_counted(void)
{
	static struct stats is;
	const struct stats *was = &numbers.before;

	counted[0] = '\0';
	memcpy(&is, stats, sizeof(is));
#define COUNTER(name, metric, help) \
	if (is.name != was->name)   \
		put("", #name, "", (int64_t)(is.name - was->name));
#define GAUGE(name, metric, help) \
	if (is.name != was->name) \
		put("", #name, "", is.name);
#include "proxy/stats/counters.def"
#undef COUNTER
#undef GAUGE
	put_answers(&was->answers, &is.answers);
	for (unsigned n = 0; n < FAILURE_COUNT; n++)
		if (is.failure[n] != was->failure[n])
			put("failure.", failure_name((enum failure)n), "",
			    (int64_t)(is.failure[n] - was->failure[n]));
	for (unsigned n = 0; n < REASON_COUNT; n++)
		if (is.reason[n] != was->reason[n])
			put("reason.", reason_token((enum reason)n), "",
			    (int64_t)(is.reason[n] - was->reason[n]));
#define HISTOGRAM(member, metric, labels, group, name, help) \
	put_histogram(#member, &was->member, &is.member);
#include "proxy/stats/histograms.def"
#undef HISTOGRAM
	put_offenders("repaired.", &was->repaired, &is.repaired);
	put_offenders("mended.", &was->mended, &is.mended);
	put_offenders("tunnelled.", &was->tunnelled, &is.tunnelled);
	put_listener(&was->listeners[0], &is.listeners[0]);
	memcpy(&numbers.before, &is, sizeof(is));
	return slice_str(counted);
}

/* ---- what is shown -------------------------------------------------------------------------- */

/* Blocks without anything in them: there is no way back to that for one in use, and a play is short. */
static void begin_shown(void)
{
	numbers.sketch = sketch_map(1);
	numbers.errors = recent_errors_map(1);
	if (numbers.sketch == NULL || numbers.errors == NULL)
		abort();
	sketch_attach(numbers.sketch, 0);
	recent_errors_attach(numbers.errors, 0);
}

static void show(const char *format, ...)
{
	size_t used = strlen(shown);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(shown + used, TEXT_SIZE - used, format, arguments);
	va_end(arguments);
}

static void show_names(enum sketch_table table)
{
	static const char *const fields[SKETCH_FIELDS] = {
		[SKETCH_REQUESTS] = "requests", [SKETCH_HERE] = "here",
		[SKETCH_STALE] = "stale",       [SKETCH_ASKED] = "asked",
		[SKETCH_FAILURES] = "failures", [SKETCH_BYTES] = "bytes",
	};
	static struct sketch_view view;
	const struct sketch_query query = {.rows = SKETCH_ROWS_MAX,
					   .now_ms = monotonic_us() / 1000};

	if (!sketch_read(numbers.sketch, 1, table, &query, &view))
		abort();
	for (unsigned i = 0; i < view.count; i++) {
		show("%s%s", shown[0] != '\0' ? " " : "", view.row[i].name);
		for (unsigned field = 0; field < SKETCH_FIELDS; field++)
			if (view.row[i].field[field] > 0)
				show(" %s=%llu", fields[field],
				     (unsigned long long)view.row[i].field[field]);
	}
}

struct slice numbers_shown(void)
{
	struct recent_error errors[RECENT_ERRORS_MAX];
	unsigned count = recent_errors_list(numbers.errors, 1, errors);

	shown[0] = '\0';
	sketch_tick(monotonic_us() / 1000);
	show_names(SKETCH_OF_HOSTS);
	show_names(SKETCH_OF_URLS);
	for (unsigned i = 0; i < count; i++)
		show(" error %s=%llu status=%u %s: %s", failure_name(errors[i].failure),
		     (unsigned long long)errors[i].count, errors[i].status, errors[i].uri,
		     errors[i].detail);
	return slice_str(shown);
}

/* ---- what is logged ------------------------------------------------------------------------- */

struct accesslog *numbers_begin(const char *log_format)
{
	char path[40];

	memcpy(&numbers.before, stats, sizeof(numbers.before));
	begin_shown();
	numbers.seen = 0;
	numbers.file = memfd_create("log", MFD_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", numbers.file);
	numbers.log = accesslog_open(path, log_format, 1);
	if (numbers.log == NULL)
		abort();
	return numbers.log;
}

void numbers_end(void)
{
	if (numbers.log == NULL)
		return;
	accesslog_close(numbers.log);
	close(numbers.file);
	numbers.log = NULL;
}

struct slice numbers_logged(void)
{
	ssize_t n;

	accesslog_flush(numbers.log);
	n = pread(numbers.file, logged, sizeof(logged) - 1, numbers.seen);
	if (n < 0)
		abort();
	numbers.seen += n;
	if (n > 0)
		n--;
	logged[n] = '\0';
	for (char *end = logged; (end = strchr(end, '\n')) != NULL;)
		*end = ' ';
	return slice_of(logged, (size_t)n);
}

/* ---- what was compared ---------------------------------------------------------------------- */

/* The names before "=", and each part of "answer.204.hit". */
static void prove_counted(void)
{
	for (const char *at = counted; *at != '\0';
	     at += strcspn(at, " ") + (at[strcspn(at, " ")] != '\0')) {
		size_t n = strcspn(at, "=");

		prove(slice_of(at, n));
		for (size_t i = 0; i < n; i++)
			if (at[i] == '.')
				prove(slice_of(at + i + 1, n - i - 1));
	}
}

/* The names of a line of JSON. */
static void prove_logged(void)
{
	for (const char *at = logged; (at = strpbrk(at, "{,")) != NULL; at++) {
		size_t n = at[1] == '"' ? strcspn(at + 2, "\"") : 0;

		if (n > 0 && at[n + 3] == ':' && n < NAME_SIZE)
			prove(slice_of(at + 2, n));
	}
}

void numbers_prove(void)
{
	prove_counted();
	prove_logged();
}

const char *numbers_unproved(bool (*is_elsewhere)(const char *name))
{
#define ROW(name)                                    \
	if (!is_proved(name) && !is_elsewhere(name)) \
		return name;
#define COUNTER(name, metric, help) ROW(#name)
#define GAUGE(name, metric, help) ROW(#name)
#include "proxy/stats/counters.def"
#undef COUNTER
#undef GAUGE
#define HISTOGRAM(member, metric, labels, group, name, help) ROW(#member)
#include "proxy/stats/histograms.def"
#undef HISTOGRAM
#define OUTCOME(id, name, help) ROW(name)
#include "proxy/stats/outcomes.def"
#undef OUTCOME
#define IF(condition) true
#define ALWAYS true
#define IN_FORMATS(condition) false
#define FIELD(name, when)                                        \
	if ((when) && !is_proved(#name) && !is_elsewhere(#name)) \
		return #name;
#define LOG_TEXT(name, when, slice, length, help) FIELD(name, when)
#define LOG_WORD(name, when, word, help) FIELD(name, when)
#define LOG_NUMBER(name, when, number, help) FIELD(name, when)
#define LOG_FLAG(name, when, flag, help) FIELD(name, when)
#define LOG_STAMP(name, when, stamp, help) FIELD(name, when)
#include "conf/log_fields.def"
	return NULL;
}
