/* Statistics in the text format of Prometheus: base units, so seconds and bytes. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/stats/report.h"
#include "proxy/stats/report_rows.h"

/* Whole numbers of the machine's, in parts of a second. */
static const double us_per_s = 1e6, ms_per_s = 1e3;

/*
 * Upper ends of the buckets of histograms.  Each is a power of two of microseconds, where a bucket
 * of the finer ones ends, so that counts are exact; on all machines the same, so that they add up.
 */
static const uint64_t edges_us[] = {
	1 << 6,  1 << 7,  1 << 8,  1 << 9,  1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14,
	1 << 15, 1 << 16, 1 << 17, 1 << 18, 1 << 19, 1 << 20, 1 << 22, 1 << 24, 1 << 26,
};

enum { EDGES = sizeof(edges_us) / sizeof(edges_us[0]) };

/* ---- pieces --------------------------------------------------------------------------------- */

/* A label value.  Help needs no escapes: it is ours, one line, and quotes are plain there. */
static void print_escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\n')
			fputs("\\n", out);
		else if (*text == '\\' || *text == '"')
			fprintf(out, "\\%c", *text);
		else
			fputc(*text, out);
	}
}

static void print_label(FILE *out, const char *before, const char *name, const char *value)
{
	fprintf(out, "%s%s=\"", before, name);
	print_escaped(out, value);
	fputc('"', out);
}

/* Before the first sample of a metric; counters are those whose names end so. */
static void print_family(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static const char *type_of(const char *name)
{
	size_t n = strlen(name);

	return n > 6 && strcmp(name + n - 6, "_total") == 0 ? "counter" : "gauge";
}

static void print_number(FILE *out, const char *name, const char *help, double value)
{
	print_family(out, name, type_of(name), help);
	fprintf(out, "%s %.15g\n", name, value);
}

static void print_signed(FILE *out, const char *name, const char *help, int64_t value)
{
	print_family(out, name, type_of(name), help);
	fprintf(out, "%s %lld\n", name, (long long)value);
}

static void print_count(FILE *out, const char *name, const char *help, uint64_t value)
{
	print_family(out, name, type_of(name), help);
	fprintf(out, "%s %llu\n", name, (unsigned long long)value);
}

static void print_labelled(FILE *out, const char *name, const char *label, const char *which,
			   uint64_t value)
{
	fputs(name, out);
	print_label(out, "{", label, which);
	fprintf(out, "} %llu\n", (unsigned long long)value);
}

/* ---- the service ---------------------------------------------------------------------------- */

static void print_build(FILE *out, const struct report_input *in)
{
	print_family(out, "cache204_build_info", "gauge", "Version of the proxy: always 1");
	print_label(out, "cache204_build_info{", "version", in->version);
	fputs("} 1\n", out);
	print_count(out, "cache204_workers", "Processes that serve", in->workers);
	if (in->reload == NULL)
		return;
	print_count(out, "cache204_config_generation",
		    "Configuration in effect, counted from 1 on at each reload",
		    in->reload->generation);
	print_count(out, "cache204_config_older_generations",
		    "Configurations before it that still have connections", in->reload->older);
	print_count(out, "cache204_config_last_reload_successful",
		    "1, or 0 when the last reload was refused", in->reload->ok);
}

/* By the names that clients of Prometheus have for it; the start is the service's. */
static void print_process(FILE *out, const struct report_input *in)
{
	const struct process_stats *process = &in->stats->process;

	print_number(out, "process_cpu_seconds_total",
		     "CPU time of all workers, user and system, in seconds",
		     (double)process->cpu_us / us_per_s);
	print_signed(out, "process_resident_memory_bytes",
		     "Resident memory of the workers; what they share counts for each",
		     process->rss);
	print_signed(out, "process_virtual_memory_bytes", "Address space of the workers",
		     process->virtual);
	print_signed(out, "process_open_fds", "Descriptors that the workers have open",
		     process->fds);
	print_signed(out, "process_max_fds", "Sum of the workers' limits of descriptors",
		     process->fds_max);
	print_number(out, "process_start_time_seconds",
		     "Start of the service in seconds since the epoch",
		     (double)in->started_ms / ms_per_s);
}

/* A number of each worker that lives, in `per` to a unit. */
#define PRINT_WORKERS(out, in, name, help, member, per)                                 \
	do {                                                                            \
		print_family((out), (name), type_of(name), (help));                     \
		for (unsigned i = 0; i < (in)->block_count; i++) {                      \
			const struct process_stats *process = &(in)->blocks[i].process; \
                                                                                        \
			if (process->pid != 0)                                          \
				fprintf((out), "%s{worker=\"%u\"} %.15g\n", (name), i,  \
					(double)process->member / (per));               \
		}                                                                       \
	} while (0)

static void print_workers(FILE *out, const struct report_input *in)
{
	PRINT_WORKERS(out, in, "cache204_worker_cpu_seconds_total",
		      "CPU time of a worker and of those before it in its place, in seconds",
		      cpu_us, us_per_s);
	PRINT_WORKERS(out, in, "cache204_worker_resident_memory_bytes",
		      "Resident memory of a worker, with its part of the store's map", rss, 1);
	PRINT_WORKERS(out, in, "cache204_worker_open_fds", "Descriptors that a worker has open",
		      fds, 1);
	PRINT_WORKERS(out, in, "cache204_worker_max_fds", "A worker's limit of descriptors",
		      fds_max, 1);
	PRINT_WORKERS(out, in, "cache204_worker_start_time_seconds",
		      "Start of a worker in seconds since the epoch", started_ms, ms_per_s);
}

/* ---- traffic -------------------------------------------------------------------------------- */

static void print_answers(FILE *out, const struct stats *from)
{
	uint64_t kinds[ANSWER_COUNT];

	answer_counts_kinds(&from->answers, kinds);
	print_family(out, "cache204_answers_total", "counter",
		     "Answers to clients by where they came from: 204s, and the 304s that stand "
		     "for one, are fresh, shared, stale, confirmed or fetched");
	for (enum answer_kind kind = 0; kind < ANSWER_COUNT; kind++)
		print_labelled(out, "cache204_answers_total", "answer", answer_name(kind),
			       kinds[kind]);
}

/* They are there from the start, so that a first one is seen as an increase. */
static bool is_usual(enum status_row row, enum outcome outcome)
{
	switch (outcome) {
	case OUTCOME_HIT:
	case OUTCOME_STALE:
	case OUTCOME_VALIDATED:
	case OUTCOME_COLLAPSED:
	case OUTCOME_MISS:
	case OUTCOME_BYPASS:
		return row == STATUS_204;
	case OUTCOME_HIT_304:
		return row == STATUS_304;
	case OUTCOME_FAILED:
		return row == STATUS_502 || row == STATUS_504;
	default:
		return false;
	}
}

static void print_responses(FILE *out, const struct answer_counts *answers)
{
	print_family(out, "cache204_responses_total", "counter",
		     "Answers to clients by status and outcome");
	for (enum status_row row = 0; row < STATUS_ROWS; row++)
		for (enum outcome o = 0; o < OUTCOME_COUNT; o++)
			if (o != OUTCOME_BACKGROUND &&
			    (answers->at[row][o] > 0 || is_usual(row, o)))
				fprintf(out,
					"cache204_responses_total{status=\"%s\",outcome=\"%s\"} "
					"%llu\n",
					status_row_name(row), outcome_name(o),
					(unsigned long long)answers->at[row][o]);
}

static void print_reasons(FILE *out, const char *name, const char *help, const struct stats *from,
			  enum reason_where where)
{
	print_family(out, name, "counter", help);
	for (enum reason r = 0; r < REASON_COUNT; r++)
		if (reason_is_at(r, where))
			print_labelled(out, name, "reason", reason_token(r), from->reason[r]);
}

static void print_why(FILE *out, const struct stats *from)
{
	print_reasons(out, "cache204_asked_total",
		      "204s to clients for which the origin was asked, by the reason why", from,
		      REASON_ASKED);
	print_reasons(out, "cache204_not_stored_total",
		      "204s fetched for clients and not stored, by the reason why", from,
		      REASON_AT_STORE);
	print_reasons(out, "cache204_stale_total",
		      "204s to clients from stale records, by what allowed it", from,
		      REASON_AT_STALE);
	print_family(out, "cache204_failures_total", "counter",
		     "Exchanges that failed and clients refused, by cause");
	for (enum failure f = FAILURE_NONE + 1; f < FAILURE_COUNT; f++)
		print_labelled(out, "cache204_failures_total", "failure", failure_name(f),
			       from->failure[f]);
}

/* `value` of each row that is in use; row 0 only when all others are. */
struct listener_rows {
	FILE *out;
	const struct report_input *in;
	unsigned begin, end;
};

static struct listener_rows listener_rows(FILE *out, const struct report_input *in)
{
	unsigned count = listener_names_count(in->listeners);

	return (struct listener_rows){out, in, count == LISTENER_ROWS ? 0 : 1, count};
}

static void print_listener(const struct listener_rows *rows, unsigned row, const char *name,
			   const char *answer, uint64_t value)
{
	const struct listener_name *listener = &rows->in->listeners->at[row];

	fputs(name, rows->out);
	print_label(rows->out, "{", "listener", row == 0 ? "others" : listener->address);
	print_label(rows->out, ",", "origin", listener->origin);
	if (answer != NULL)
		print_label(rows->out, ",", "answer", answer);
	fprintf(rows->out, "} %llu\n", (unsigned long long)value);
}

static const struct {
	const char *name, *help;
	size_t at; /* in struct listener_counts */
} families[] = {
	{"cache204_listener_connections_total", "Connections accepted by address",
	 offsetof(struct listener_counts, connections)},
	{"cache204_listener_received_bytes_total",
	 "Bytes of requests that have ended by address, but for tunnels",
	 offsetof(struct listener_counts, bytes_in)},
	{"cache204_listener_sent_bytes_total",
	 "Bytes of answers that have ended by address, but for tunnels",
	 offsetof(struct listener_counts, bytes_out)},
	{"cache204_listener_tls_handshakes_total",
	 "TLS handshakes with clients that succeeded by address",
	 offsetof(struct listener_counts, handshakes)},
	{"cache204_listener_tls_resumed_total", "Of these, sessions resumed",
	 offsetof(struct listener_counts, resumed)},
	{"cache204_listener_tls_failed_total", "TLS handshakes with clients that failed by address",
	 offsetof(struct listener_counts, handshakes_failed)},
};

static uint64_t number_of(const struct listener_counts *counts, size_t at)
{
	return *(const _Atomic uint64_t *)(const void *)((const char *)counts + at);
}

static void print_listeners(FILE *out, const struct report_input *in)
{
	const struct listener_rows rows = listener_rows(out, in);
	const struct listener_counts *counts = in->stats->listeners;

	print_family(out, "cache204_listener_answers_total", "counter",
		     "Answers by the address asked, with the origin that a gateway stands for");
	for (unsigned row = rows.begin; row < rows.end; row++)
		for (enum answer_kind kind = 0; kind < ANSWER_COUNT; kind++)
			print_listener(&rows, row, "cache204_listener_answers_total",
				       answer_name(kind), counts[row].answer[kind]);
	for (unsigned i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		print_family(out, families[i].name, "counter", families[i].help);
		for (unsigned row = rows.begin; row < rows.end; row++)
			print_listener(&rows, row, families[i].name, NULL,
				       number_of(&counts[row], families[i].at));
	}
}

static void print_counters(FILE *out, const struct stats *from)
{
#define COUNTER(name, metric, help) print_count(out, "cache204_" #metric, help, from->name);
#define GAUGE(name, metric, help) print_signed(out, "cache204_" #metric, help, from->name);
#include "proxy/stats/counters.def"
#undef COUNTER
#undef GAUGE
}

/* A gauge: a name that makes way for another begins anew when it comes back. */
static void print_offenders(FILE *out, const char *name, const char *help, const char *label,
			    const struct offenders *offenders)
{
	const struct offender *row = offenders->at;

	print_family(out, name, "gauge", help);
	for (unsigned i = 0; i < OFFENDERS_MAX; i++, row++)
		if (row->count > 0)
			print_labelled(out, name, label, row->name, row->count);
}

static void print_store(FILE *out, const struct report_input *in)
{
	struct report_row rows[REPORT_STORE_ROWS];
	char name[96];

	report_store_rows(in, rows);
	for (const struct report_row *row = rows; row < rows + REPORT_STORE_ROWS; row++) {
		snprintf(name, sizeof(name), "cache204_%s", row->metric);
		print_count(out, name, row->help, row->value);
	}
}

/* ---- durations ------------------------------------------------------------------------------ */

static void print_bucket(FILE *out, const char *name, const char *labels, const char *edge,
			 uint64_t count)
{
	fprintf(out, "%s_bucket{%s%sle=\"%s\"} %llu\n", name, labels, *labels != '\0' ? "," : "",
		edge, (unsigned long long)count);
}

static void print_sample(FILE *out, const char *name, const char *suffix, const char *labels)
{
	fprintf(out, *labels != '\0' ? "%s%s{%s} " : "%s%s%s ", name, suffix, labels);
}

static void print_histogram(FILE *out, const char *name, const char *labels,
			    const struct histogram *histogram)
{
	uint64_t count = histogram_below(histogram, UINT64_MAX);
	char edge[32];

	for (unsigned i = 0; i < EDGES; i++) {
		snprintf(edge, sizeof(edge), "%.6f", (double)edges_us[i] / us_per_s);
		print_bucket(out, name, labels, edge, histogram_below(histogram, edges_us[i]));
	}
	print_bucket(out, name, labels, "+Inf", count);
	print_sample(out, name, "_sum", labels);
	fprintf(out, "%.6f\n", (double)histogram->sum_us / us_per_s);
	print_sample(out, name, "_count", labels);
	fprintf(out, "%llu\n", (unsigned long long)count);
}

static void print_histograms(FILE *out, const struct stats *from)
{
	const char *family = "";

#define HISTOGRAM(member, metric, labels, group, name, help)               \
	if (strcmp(family, #metric) != 0)                                  \
		print_family(out, "cache204_" #metric, "histogram", help); \
	family = #metric;                                                  \
	print_histogram(out, "cache204_" #metric, labels, &from->member);
#include "proxy/stats/histograms.def"
#undef HISTOGRAM
}

static void print_all(FILE *out, const struct report_input *in)
{
	const struct stats *from = in->stats;

	print_build(out, in);
	print_process(out, in);
	print_workers(out, in);
	print_answers(out, from);
	print_responses(out, &from->answers);
	print_why(out, from);
	print_listeners(out, in);
	print_counters(out, from);
	print_offenders(out, "cache204_responses_repaired_by_origin",
			"204 responses that were repaired, by origin", "origin", &from->repaired);
	print_offenders(out, "cache204_responses_mended_by_origin",
			"Responses that were mended, by origin", "origin", &from->mended);
	print_offenders(out, "cache204_tunnels_by_host",
			"CONNECT tunnels, whose content the cache does not see, by host", "host",
			&from->tunnelled);
	print_store(out, in);
	print_histograms(out, from);
}

char *report_prometheus(const struct report_input *input, size_t *ret_length)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_length);
	bool failed;

	if (out == NULL)
		return NULL;
	print_all(out, input);
	failed = ferror(out);
	if (fclose(out) != 0 || failed) {
		free(text);
		return NULL;
	}
	return text;
}
