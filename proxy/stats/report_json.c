/* Statistics as JSON. */
#include <string.h>

#include "proxy/base/version.h"
#include "proxy/base/json_writer.h"
#include "proxy/stats/history.h"
#include "proxy/stats/report.h"
#include "proxy/stats/report_rows.h"

enum {
	TEXT_MAX = 1 << 20, /* bytes; most of it are names that clients chose, all bounded */
	US_PER_S = 1000000,
	MS_PER_S = 1000,
};

struct quantile {
	const char *name;
	double value;
};

static const struct quantile quantiles[] = {
	{"p50", 0.5},
	{"p90", 0.9},
	{"p99", 0.99},
	{"p999", 0.999},
};

enum { QUANTILES = sizeof(quantiles) / sizeof(quantiles[0]) };

static uint64_t sum_of(const uint64_t kinds[ANSWER_COUNT])
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < ANSWER_COUNT; i++)
		sum += kinds[i];
	return sum;
}

static uint64_t refusals_of(const struct stats *from)
{
	uint64_t sum = 0;

	for (enum reason r = 0; r < REASON_COUNT; r++)
		if (reason_is_at(r, REASON_AT_STORE))
			sum += from->reason[r];
	return sum;
}

/* What one asks first, at the top; most is also, or is a sum of numbers, further down. */
static void put_summary(struct json_writer *out, const struct report_input *in)
{
	const struct stats *from = in->stats;
	const struct answer_counts *answers = &from->answers;
	uint64_t kinds[ANSWER_COUNT];

	answer_counts_kinds(answers, kinds);
	json_put_number(out, "requests", from->requests);
	json_put_quotient(out, "share", (double)answers_here(kinds), (double)answers_204(kinds));
	json_put_quotient(out, "share_of_all", (double)answers_here(kinds), (double)sum_of(kinds));
	json_put_number(out, "hits",
			answer_counts_outcome(answers, OUTCOME_HIT) +
				answer_counts_outcome(answers, OUTCOME_HIT_304) +
				answer_counts_outcome(answers, OUTCOME_STALE));
	json_put_number(out, "misses", answer_counts_outcome(answers, OUTCOME_MISS));
	json_put_number(out, "validations", from->validations);
	json_put_number(out, "stores", from->stores);
	json_put_number(out, "refusals", refusals_of(from));
}

static void put_text_or_null(struct json_writer *out, const char *name, const char *text)
{
	json_put_words(out, name, text[0] != '\0' ? text : NULL);
}

/* In the form of the operators' page. */
static void put_whole_latency(struct json_writer *out, const struct histogram *histogram)
{
	json_put_number(out, "n", histogram->count);
	for (const struct quantile *q = quantiles; q < quantiles + QUANTILES; q++)
		json_put_number(out, q->name, histogram_quantile(histogram, q->value));
	json_put_number(out, "max", histogram_max(histogram));
}

/* What two load tests are compared by. */
static void put_span(struct json_writer *out, const struct report_input *in)
{
	const struct report_span *span = in->span;
	double seconds = (double)span->length_us / US_PER_S;

	put_text_or_null(out, "since", span->since);
	put_text_or_null(out, "until", span->until);
	put_text_or_null(out, "note", span->note);
	json_put_signed(out, "from_ms", span->from_ms);
	json_put_signed(out, "to_ms", span->to_ms);
	json_put_real(out, "window_s", seconds);
	json_put_quotient(out, "rate", (double)in->stats->requests, seconds);
	json_put_number(out, "origin", in->stats->origin_requests);
	json_put_number(out, "errors", history_errors_of(in->stats));
	json_put_object(out, "miss_us");
	put_whole_latency(out, &in->stats->miss_latency);
	json_put_end(out);
}

static void put_kinds(struct json_writer *out, const char *name, const uint64_t kinds[ANSWER_COUNT])
{
	json_put_object(out, name);
	for (enum answer_kind kind = 0; kind < ANSWER_COUNT; kind++)
		json_put_number(out, answer_name(kind), kinds[kind]);
	json_put_end(out);
}

static void put_answers(struct json_writer *out, const struct answer_counts *answers)
{
	uint64_t kinds[ANSWER_COUNT];

	answer_counts_kinds(answers, kinds);
	put_kinds(out, "answers", kinds);
	json_put_object(out, "outcomes");
	for (enum outcome o = 0; o < OUTCOME_COUNT; o++)
		json_put_number(out, outcome_name(o), answer_counts_outcome(answers, o));
	json_put_end(out);
}

static bool has_any(const struct answer_counts *answers, enum status_row row)
{
	for (enum outcome o = 0; o < OUTCOME_COUNT; o++)
		if (answers->at[row][o] > 0)
			return true;
	return false;
}

/* By status and outcome, those that there were. */
static void put_responses(struct json_writer *out, const struct answer_counts *answers)
{
	json_put_object(out, "responses");
	for (enum status_row row = 0; row < STATUS_ROWS; row++) {
		if (!has_any(answers, row))
			continue;
		json_put_object(out, status_row_name(row));
		for (enum outcome o = 0; o < OUTCOME_COUNT; o++)
			if (answers->at[row][o] > 0)
				json_put_number(out, outcome_name(o), answers->at[row][o]);
		json_put_end(out);
	}
	json_put_end(out);
}

static void put_reasons(struct json_writer *out, const char *name, const struct stats *from,
			enum reason_where where)
{
	json_put_object(out, name);
	for (enum reason r = 0; r < REASON_COUNT; r++)
		if (reason_is_at(r, where))
			json_put_number(out, reason_token(r), from->reason[r]);
	json_put_end(out);
}

static void put_histogram(struct json_writer *out, const char *name,
			  const struct histogram *histogram)
{
	double count = (double)histogram->count;

	json_put_object(out, name);
	json_put_number(out, "count", histogram->count);
	json_put_real(out, "mean", count > 0 ? (double)histogram->sum_us / count : 0);
	for (const struct quantile *q = quantiles; q < quantiles + QUANTILES; q++)
		json_put_number(out, q->name, histogram_quantile(histogram, q->value));
	json_put_number(out, "max", histogram_max(histogram));
	json_put_end(out);
}

/* Of a span: of all requests together. */
static void put_latency_of_all(struct json_writer *out, const struct stats *from)
{
	struct histogram all = {0};

	histogram_merge(&all, &from->hit_latency);
	histogram_merge(&all, &from->miss_latency);
	put_whole_latency(out, &all);
}

/* Rows of a group stand together. */
static void put_histograms(struct json_writer *out, const struct report_input *in)
{
	const struct stats *from = in->stats;
	const char *group = NULL;

#define HISTOGRAM(member, metric, labels, group_name, name, help)         \
	if (group == NULL || strcmp(group, #group_name) != 0) {           \
		if (group != NULL)                                        \
			json_put_end(out);                                \
		group = #group_name;                                      \
		json_put_object(out, group);                              \
		if (in->span != NULL && strcmp(group, "latency_us") == 0) \
			put_latency_of_all(out, from);                    \
	}                                                                 \
	put_histogram(out, name, &from->member);
#include "proxy/stats/histograms.def"
#undef HISTOGRAM
	json_put_end(out);
}

static void put_store(struct json_writer *out, const struct report_input *in)
{
	struct report_row rows[REPORT_STORE_ROWS];

	report_store_rows(in, rows);
	json_put_object(out, "store");
	for (unsigned i = 0; i < REPORT_STORE_ROWS; i++)
		json_put_number(out, rows[i].name, rows[i].value);
	json_put_end(out);
}

static void put_failures(struct json_writer *out, const struct stats *from)
{
	json_put_object(out, "failures");
	for (enum failure f = FAILURE_NONE + 1; f < FAILURE_COUNT; f++)
		json_put_number(out, failure_name(f), from->failure[f]);
	json_put_end(out);
}

static void put_offenders(struct json_writer *out, const char *name,
			  const struct offenders *offenders)
{
	const struct offender *row = offenders->at;

	json_put_object(out, name);
	for (unsigned i = 0; i < OFFENDERS_MAX; i++, row++)
		if (row->count > 0)
			json_put_number(out, row->name, row->count);
	json_put_end(out);
}

static void put_listener(struct json_writer *out, const struct listener_name *name,
			 const struct listener_counts *counts)
{
	uint64_t kinds[ANSWER_COUNT];

	for (unsigned i = 0; i < ANSWER_COUNT; i++)
		kinds[i] = counts->answer[i];
	json_put_object(out, NULL);
	put_text_or_null(out, "address", name->address);
	put_text_or_null(out, "origin", name->origin);
	json_put_number(out, "connections", counts->connections);
	json_put_number(out, "bytes_in", counts->bytes_in);
	json_put_number(out, "bytes_out", counts->bytes_out);
	json_put_number(out, "tls_handshakes", counts->handshakes);
	json_put_number(out, "tls_resumed", counts->resumed);
	json_put_number(out, "tls_failed", counts->handshakes_failed);
	put_kinds(out, "answers", kinds);
	json_put_end(out);
}

static void put_listeners(struct json_writer *out, const struct report_input *in)
{
	unsigned count = listener_names_count(in->listeners);

	json_put_array(out, "listeners");
	for (unsigned row = 1; row < count; row++)
		put_listener(out, &in->listeners->at[row], &in->stats->listeners[row]);
	if (count == LISTENER_ROWS)
		put_listener(out, &in->listeners->at[0], &in->stats->listeners[0]);
	json_put_end(out);
}

static void put_process(struct json_writer *out, const struct process_stats *process,
			int64_t started_ms)
{
	json_put_real(out, "cpu_s", (double)process->cpu_us / US_PER_S);
	json_put_signed(out, "rss", process->rss);
	json_put_signed(out, "virtual", process->virtual);
	json_put_signed(out, "descriptors", process->fds);
	json_put_signed(out, "descriptors_max", process->fds_max);
	json_put_signed(out, "started_s", started_ms / MS_PER_S);
}

static void put_processes(struct json_writer *out, const struct report_input *in)
{
	json_put_object(out, "process");
	put_process(out, &in->stats->process, in->started_ms);
	json_put_array(out, "workers");
	for (unsigned i = 0; i < in->block_count; i++) {
		const struct process_stats *process = &in->blocks[i].process;

		if (process->pid == 0)
			continue;
		json_put_object(out, NULL);
		json_put_number(out, "worker", i);
		json_put_signed(out, "pid", process->pid);
		put_process(out, process, (int64_t)process->started_ms);
		json_put_end(out);
	}
	json_put_end(out);
	json_put_end(out);
}

/* Counted since the start alone. */
static void put_last_uris(struct json_writer *out, const struct last_uris *all)
{
	char uri[LAST_URI_MAX];

	json_put_object(out, "last_uris");
	for (enum reason r = REASON_NONE + 1; r < REASON_COUNT; r++) {
		size_t n = last_uris_read(all, r, uri);

		if (n > 0)
			json_put_text(out, reason_token(r), slice_of(uri, n));
	}
	json_put_end(out);
}

static void put_names(struct json_writer *out, const struct report_input *in)
{
	put_offenders(out, "framing_repaired_by_origin", &in->stats->repaired);
	put_offenders(out, "responses_mended_by_origin", &in->stats->mended);
	put_offenders(out, "tunnelled_not_seen", &in->stats->tunnelled);
	if (in->last_uris != NULL)
		put_last_uris(out, in->last_uris);
	put_listeners(out, in);
	put_processes(out, in);
}

static void put_counters(struct json_writer *out, const struct stats *from)
{
	json_put_object(out, "counters");
#define COUNTER(name, metric, help) json_put_number(out, #name, from->name);
#define GAUGE(name, metric, help)
#include "proxy/stats/counters.def"
#undef COUNTER
#undef GAUGE
	json_put_end(out);
	json_put_object(out, "gauges");
#define COUNTER(name, metric, help)
#define GAUGE(name, metric, help) json_put_signed(out, #name, from->name);
#include "proxy/stats/counters.def"
#undef COUNTER
#undef GAUGE
	json_put_end(out);
}

/* A reload, or an upgrade. */
static void put_reload(struct json_writer *out, const struct reload_result *result)
{
	json_put_number(out, "generation", result->generation);
	json_put_number(out, "older_generations", result->older);
	json_put_signed(out, "time", result->at_s);
	json_put_bool(out, "ok", result->ok);
	json_put_words(out, "errors", result->text);
}

char *report_reload(const struct reload_result *result, uint64_t asked, size_t *ret_length)
{
	struct json_writer out;

	json_writer_begin(&out, JSON_LINES, TEXT_MAX);
	json_put_object(&out, NULL);
	json_put_words(&out, "version", CACHE204_VERSION);
	put_reload(&out, result);
	json_put_number(&out, "asked", asked);
	json_put_number(&out, "answered", result->answered);
	json_put_end(&out);
	return json_writer_take(&out, ret_length);
}

static void put_change(struct json_writer *out, const char *name,
		       const struct reload_result *result)
{
	if (result == NULL)
		return;
	json_put_object(out, name);
	put_reload(out, result);
	json_put_end(out);
}

static void put_top(struct json_writer *out, const struct report_input *in)
{
	json_put_words(out, "version", in->version);
	json_put_signed(out, "uptime_s", in->uptime_s);
	json_put_number(out, "workers", in->workers);
	put_summary(out, in);
	if (in->span != NULL)
		put_span(out, in);
	put_change(out, "reload", in->reload);
	put_change(out, "upgrade", in->upgrade);
}

char *report_json(const struct report_input *input, size_t *ret_length)
{
	const struct stats *from = input->stats;
	struct json_writer out;

	json_writer_begin(&out, JSON_LINES, TEXT_MAX);
	json_put_object(&out, NULL);
	put_top(&out, input);
	put_answers(&out, &from->answers);
	put_reasons(&out, "asked", from, REASON_ASKED);
	put_reasons(&out, "not_stored", from, REASON_AT_STORE);
	put_reasons(&out, "stale", from, REASON_AT_STALE);
	put_responses(&out, &from->answers);
	put_histograms(&out, input);
	put_store(&out, input);
	put_failures(&out, from);
	if (input->span == NULL)
		put_names(&out, input);
	put_counters(&out, from);
	json_put_end(&out);
	return json_writer_take(&out, ret_length);
}
