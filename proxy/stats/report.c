/* Statistics as JSON and as Prometheus text: the same numbers from the same tables. */
#include "proxy/stats/report.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A number about the store; they come from two structs, and are one group to the reader. */
struct store_row {
	const char *name;
	const char *help;
	bool grows;
	uint64_t value;
};

enum { STORE_ROWS = 15 };

static void store_rows(const struct report_input *in, struct store_row ret_rows[STORE_ROWS])
{
	const struct store_row rows[STORE_ROWS] = {
		{"entries", "Records in the store", false, in->store.entries},
		{"bytes_used", "Bytes of the store in use", false, in->store.bytes_used},
		{"bytes_size", "Bound on the store's file in bytes", false, in->store.bytes_size},
		{"map_used", "Bytes of the store's map in use", false, in->map_used},
		{"evictions", "Records evicted to make room", true, in->store.evictions},
		{"failures", "Transactions of the store that failed", true, in->store.failures},
		{"stored", "Records put into the store", true, in->cache.stored},
		{"dropped", "Writes that fitted neither queue nor store", true, in->cache.dropped},
		{"damaged", "Records found damaged and dropped", true, in->cache.damaged},
		{"invalidated", "URIs removed by unsafe methods and groups", true,
		 in->cache.invalidated},
		{"purged", "Entries removed by purges", true, in->cache.purged},
		{"flushes", "Write transactions of the store", true, in->cache.flushes},
		{"copies", "Copies made of the store", true, in->copies.made},
		{"copies_failed", "Copies of the store that failed", true, in->copies.failed},
		{"copied_at", "When the last copy was made, in seconds since the epoch; 0 for none",
		 false, (uint64_t)in->copies.last_s},
	};
	memcpy(ret_rows, rows, sizeof(rows));
}

struct quantile {
	const char *json_name;
	const char *label;
	double value;
};

static const struct quantile quantiles[] = {
	{"p50", "0.5", 0.5},
	{"p90", "0.9", 0.9},
	{"p99", "0.99", 0.99},
	{"p999", "0.999", 0.999},
};

enum { QUANTILES = sizeof(quantiles) / sizeof(quantiles[0]) };

/*
 * JSON.  Out of memory, jansson's makers give NULL and its setters fail on NULL, so a failure
 * anywhere arrives at the root as a false `ok`.
 */

enum { JSON_FORM = JSON_INDENT(2) | JSON_REAL_PRECISION(6) | JSON_ENSURE_ASCII };

static bool set(json_t *object, const char *name, json_t *value)
{
	return json_object_set_new(object, name, value) == 0;
}

static bool set_number(json_t *object, const char *name, uint64_t value)
{
	return set(object, name, json_integer(value < INT64_MAX ? (json_int_t)value : INT64_MAX));
}

static json_t *whole_or_null(json_t *object, bool ok)
{
	if (ok)
		return object;
	json_decref(object);
	return NULL;
}

static json_t *json_counters(const struct report_input *in)
{
	json_t *object = json_object();
	bool ok = true;
#define COUNTER(name, help) ok &= set_number(object, #name, in->stats->name);
#define GAUGE(name, help)
#include "proxy/stats/counters.def"
#undef COUNTER
#undef GAUGE
	return whole_or_null(object, ok);
}

static json_t *json_gauges(const struct report_input *in)
{
	json_t *object = json_object();
	bool ok = true;
#define COUNTER(name, help)
#define GAUGE(name, help) ok &= set(object, #name, json_integer(in->stats->name));
#include "proxy/stats/counters.def"
#undef COUNTER
#undef GAUGE
	return whole_or_null(object, ok);
}

static json_t *json_outcomes(const struct report_input *in)
{
	json_t *object = json_object();
	bool ok = true;
	for (enum outcome o = 0; o < OUTCOME_COUNT; o++)
		ok &= set_number(object, outcome_name(o), in->stats->outcome[o]);
	return whole_or_null(object, ok);
}

static json_t *json_failures(const struct report_input *in)
{
	json_t *object = json_object();
	bool ok = true;
	for (enum failure f = FAILURE_NONE + 1; f < FAILURE_COUNT; f++)
		ok &= set_number(object, failure_name(f), in->stats->failure[f]);
	return whole_or_null(object, ok);
}

static json_t *json_reasons(const _Atomic uint64_t counts[REASON_COUNT], enum reason_where where)
{
	json_t *object = json_object();
	bool ok = true;
	for (enum reason r = REASON_NONE + 1; r < REASON_COUNT; r++)
		if (reason_is_at(r, where))
			ok &= set_number(object, reason_token(r), counts[r]);
	return whole_or_null(object, ok);
}

static json_t *json_offenders(const struct offenders *offenders)
{
	const struct offender *row = offenders->at;
	json_t *object = json_object();
	bool ok = true;
	for (unsigned i = 0; i < OFFENDERS_MAX; i++, row++)
		if (row->count > 0)
			ok &= set_number(object, row->name, row->count);
	return whole_or_null(object, ok);
}

/* Counted since the start alone. */
static bool set_names(json_t *root, const struct stats *from)
{
	bool ok = set(root, "framing_repaired_by_origin", json_offenders(&from->repaired));
	ok &= set(root, "responses_mended_by_origin", json_offenders(&from->mended));
	ok &= set(root, "tunnelled_not_seen", json_offenders(&from->tunnelled));
	return ok;
}

static json_t *json_histogram(const struct histogram *histogram)
{
	double count = (double)histogram->count;
	double mean = histogram->count ? (double)histogram->sum_us / count : 0;
	json_t *object = json_object();
	bool ok = set_number(object, "count", histogram->count);
	ok &= set(object, "mean", json_real(mean));
	for (const struct quantile *q = quantiles; q < quantiles + QUANTILES; q++)
		ok &= set_number(object, q->json_name, histogram_quantile(histogram, q->value));
	return whole_or_null(object, ok);
}

/* Of a span: of all requests together, in the form of the operators' page. */
static bool set_whole_latency(json_t *object, const struct histogram *histogram)
{
	bool ok = set_number(object, "n", histogram->count);
	for (const struct quantile *q = quantiles; q < quantiles + QUANTILES; q++)
		ok &= set_number(object, q->json_name, histogram_quantile(histogram, q->value));
	ok &= set_number(object, "max", histogram_max(histogram));
	return ok;
}

static json_t *json_latency(const struct report_input *in)
{
	json_t *object = json_object();
	bool ok = true;
	if (in->span != NULL) {
		struct histogram all = {0};
		histogram_merge(&all, &in->stats->hit_latency);
		histogram_merge(&all, &in->stats->miss_latency);
		ok = set_whole_latency(object, &all);
	}
	ok &= set(object, "hit", json_histogram(&in->stats->hit_latency));
	ok &= set(object, "miss", json_histogram(&in->stats->miss_latency));
	return whole_or_null(object, ok);
}

static json_t *json_store(const struct report_input *in)
{
	struct store_row rows[STORE_ROWS];
	store_rows(in, rows);
	json_t *object = json_object();
	bool ok = true;
	for (unsigned i = 0; i < STORE_ROWS; i++)
		ok &= set_number(object, rows[i].name, rows[i].value);
	return whole_or_null(object, ok);
}

/* What one asks first, at the top; each is also, or is a sum of numbers, further down. */
static bool set_summary(json_t *root, const struct report_input *in)
{
	const struct stats *from = in->stats;
	uint64_t refusals = 0;
	for (enum reason r = REASON_NONE + 1; r < REASON_COUNT; r++)
		refusals += from->not_stored[r];
	uint64_t hits = from->outcome[OUTCOME_HIT] + from->outcome[OUTCOME_HIT_304] +
			from->outcome[OUTCOME_STALE];

	bool ok = set_number(root, "requests", from->requests);
	ok &= set_number(root, "hits", hits);
	ok &= set_number(root, "misses", from->outcome[OUTCOME_MISS]);
	ok &= set_number(root, "validations", from->validations);
	ok &= set_number(root, "stores", from->stores);
	ok &= set_number(root, "refusals", refusals);
	return ok;
}

static json_t *json_text_or_null(const char *text)
{
	return text[0] == '\0' ? json_null() : json_stringn_nocheck(text, strlen(text));
}

/*
 * What two load tests are compared by.  The share is that of answers that needed no origin, of
 * those that the cache had a part in.
 */
static bool set_span(json_t *root, const struct report_input *in)
{
	const struct report_span *span = in->span;
	const struct stats *from = in->stats;
	double seconds = (double)span->length_us / 1e6, requests = (double)from->requests;
	double here = (double)(from->outcome[OUTCOME_HIT] + from->outcome[OUTCOME_HIT_304] +
			       from->outcome[OUTCOME_STALE] + from->outcome[OUTCOME_COLLAPSED]);
	double asked = (double)(from->outcome[OUTCOME_MISS] + from->outcome[OUTCOME_VALIDATED]);
	json_t *miss = json_object();
	uint64_t errors = 0;
	for (enum failure f = FAILURE_NONE + 1; f < FAILURE_COUNT; f++)
		errors += failure_status(f) >= 500 ? from->failure[f] : 0;

	bool ok = set(root, "since", json_text_or_null(span->since));
	ok &= set(root, "until", json_text_or_null(span->until));
	ok &= set(root, "note", json_text_or_null(span->note));
	ok &= set(root, "from_ms", json_integer(span->from_ms));
	ok &= set(root, "to_ms", json_integer(span->to_ms));
	ok &= set(root, "window_s", json_real(seconds));
	ok &= set(root, "rate", seconds > 0 ? json_real(requests / seconds) : json_null());
	ok &= set(root, "share", here + asked > 0 ? json_real(here / (here + asked)) : json_null());
	ok &= set_number(root, "origin", from->origin_requests);
	ok &= set_number(root, "errors", errors);
	ok &= set(root, "miss_us", miss) && set_whole_latency(miss, &from->miss_latency);
	return ok;
}

static json_t *json_reload(const struct reload_result *result)
{
	json_t *reload = json_object();
	bool ok = set_number(reload, "generation", result->generation);

	ok &= set_number(reload, "older_generations", result->older);
	ok &= set(reload, "time", json_integer(result->at_s));
	ok &= set(reload, "ok", json_boolean(result->ok));
	ok &= set(reload, "errors", json_string(result->text));
	if (ok)
		return reload;
	json_decref(reload);
	return NULL;
}

char *report_reload(const struct reload_result *result, uint64_t asked, size_t *ret_length)
{
	json_t *root = json_reload(result);
	bool ok = root != NULL && set_number(root, "asked", asked) &&
		  set_number(root, "answered", result->answered);
	char *text = ok ? json_dumps(root, JSON_INDENT(2)) : NULL;

	json_decref(root);
	if (text != NULL)
		*ret_length = strlen(text);
	return text;
}

char *report_json(const struct report_input *input, size_t *ret_length)
{
	json_t *root = json_object();
	bool ok = set(root, "version", json_string(input->version));
	ok &= set(root, "uptime_s", json_integer(input->uptime_s));
	ok &= set_number(root, "workers", input->workers);
	ok &= set_summary(root, input);
	if (input->span != NULL)
		ok &= set_span(root, input);
	if (input->reload != NULL)
		ok &= set(root, "reload", json_reload(input->reload));
	ok &= set(root, "outcomes", json_outcomes(input));
	ok &= set(root, "latency_us", json_latency(input));
	ok &= set(root, "store", json_store(input));
	ok &= set(root, "failures", json_failures(input));
	ok &= set(root, "not_stored", json_reasons(input->stats->not_stored, REASON_NOT_STORED));
	ok &= set(root, "not_reused",
		  json_reasons(input->stats->not_reused, REASON_ASKED + REASON_AT_STALE));
	if (input->span == NULL)
		ok &= set_names(root, input->stats);
	ok &= set(root, "counters", json_counters(input));
	ok &= set(root, "gauges", json_gauges(input));

	char *text = ok ? json_dumps(root, JSON_FORM) : NULL;
	json_decref(root);
	if (text != NULL)
		*ret_length = strlen(text);
	return text;
}

/* Prometheus text exposition format 0.0.4.  Base units, so seconds; counters end in _total. */

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

static void print_family(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP cache204_%s %s\n# TYPE cache204_%s %s\n", name, help, name, type);
}

static void print_counter(FILE *out, const char *group, const char *name, const char *help,
			  uint64_t value)
{
	char full[96];
	snprintf(full, sizeof(full), "%s%s_total", group, name);
	print_family(out, full, "counter", help);
	fprintf(out, "cache204_%s %llu\n", full, (unsigned long long)value);
}

static void print_gauge(FILE *out, const char *group, const char *name, const char *help,
			int64_t value)
{
	char full[96];
	snprintf(full, sizeof(full), "%s%s", group, name);
	print_family(out, full, "gauge", help);
	fprintf(out, "cache204_%s %lld\n", full, (long long)value);
}

static void print_labelled(FILE *out, const char *name, const char *label, const char *which,
			   uint64_t value)
{
	fprintf(out, "cache204_%s{%s=\"%s\"} %llu\n", name, label, which,
		(unsigned long long)value);
}

static void print_process(FILE *out, const struct report_input *in)
{
	print_family(out, "info", "gauge", "Version of the proxy");
	fputs("cache204_info{version=\"", out);
	print_escaped(out, in->version);
	fputs("\"} 1\n", out);
	print_gauge(out, "", "uptime_seconds", "Seconds since the start", in->uptime_s);
	print_gauge(out, "", "workers", "Processes that serve", in->workers);
}

static void print_counters(FILE *out, const struct report_input *in)
{
#define COUNTER(name, help) print_counter(out, "", #name, help, in->stats->name);
#define GAUGE(name, help) print_gauge(out, "", #name, help, in->stats->name);
#include "proxy/stats/counters.def"
#undef COUNTER
#undef GAUGE
}

static void print_reasons(FILE *out, const char *name, const char *help,
			  const _Atomic uint64_t counts[REASON_COUNT], enum reason_where where)
{
	print_family(out, name, "counter", help);
	for (enum reason r = REASON_NONE + 1; r < REASON_COUNT; r++)
		if (reason_is_at(r, where))
			print_labelled(out, name, "reason", reason_token(r), counts[r]);
}

static void print_tables(FILE *out, const struct report_input *in)
{
	print_family(out, "outcomes_total", "counter", "Exchanges by how they ended");
	for (enum outcome o = 0; o < OUTCOME_COUNT; o++)
		print_labelled(out, "outcomes_total", "outcome", outcome_name(o),
			       in->stats->outcome[o]);
	print_family(out, "failures_total", "counter", "Failed exchanges by cause");
	for (enum failure f = FAILURE_NONE + 1; f < FAILURE_COUNT; f++)
		print_labelled(out, "failures_total", "failure", failure_name(f),
			       in->stats->failure[f]);
	print_reasons(out, "not_stored_total", "Responses not stored by reason",
		      in->stats->not_stored, REASON_NOT_STORED);
	print_reasons(out, "not_reused_total", "Requests that no fresh response answered by reason",
		      in->stats->not_reused, REASON_ASKED + REASON_AT_STALE);
}

/* A gauge: a name that makes way for another begins anew when it comes back. */
static void print_offenders(FILE *out, const char *name, const char *help,
			    const struct offenders *offenders)
{
	const struct offender *row = offenders->at;
	print_family(out, name, "gauge", help);
	for (unsigned i = 0; i < OFFENDERS_MAX; i++, row++)
		if (row->count > 0)
			print_labelled(out, name, "origin", row->name, row->count);
}

static void print_store(FILE *out, const struct report_input *in)
{
	struct store_row rows[STORE_ROWS];
	store_rows(in, rows);
	for (const struct store_row *row = rows; row < rows + STORE_ROWS; row++) {
		if (row->grows)
			print_counter(out, "store_", row->name, row->help, row->value);
		else
			print_gauge(out, "store_", row->name, row->help, (int64_t)row->value);
	}
}

static void print_histogram(FILE *out, const char *path, const struct histogram *histogram)
{
	for (const struct quantile *q = quantiles; q < quantiles + QUANTILES; q++) {
		double seconds = (double)histogram_quantile(histogram, q->value) / 1e6;
		fprintf(out, "cache204_latency_seconds{path=\"%s\",quantile=\"%s\"} ", path,
			q->label);
		/* Nothing measured is NaN in this format: 0 would be a very good latency. */
		if (histogram->count)
			fprintf(out, "%.6f\n", seconds);
		else
			fputs("NaN\n", out);
	}
	fprintf(out, "cache204_latency_seconds_sum{path=\"%s\"} %.6f\n", path,
		(double)histogram->sum_us / 1e6);
	fprintf(out, "cache204_latency_seconds_count{path=\"%s\"} %llu\n", path,
		(unsigned long long)histogram->count);
}

char *report_prometheus(const struct report_input *input, size_t *ret_length)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_length);
	if (out == NULL)
		return NULL;
	print_process(out, input);
	print_counters(out, input);
	print_tables(out, input);
	print_offenders(out, "framing_repaired_by_origin",
			"204 responses that were repaired, by origin", &input->stats->repaired);
	print_offenders(out, "responses_mended_by_origin", "Responses that were mended, by origin",
			&input->stats->mended);
	print_offenders(out, "tunnelled_not_seen",
			"CONNECT tunnels, whose content the cache does not see, by host",
			&input->stats->tunnelled);
	print_store(out, input);
	print_family(out, "latency_seconds", "summary", "From request head read to the answer");
	print_histogram(out, "hit", &input->stats->hit_latency);
	print_histogram(out, "miss", &input->stats->miss_latency);

	bool failed = ferror(out);
	if (fclose(out) != 0 || failed) {
		free(text);
		return NULL;
	}
	return text;
}
