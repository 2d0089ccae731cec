/* The operators' JSON: what they see at a glance. */
#include "proxy/stats/dash.h"

#include <stdlib.h>

#include "proxy/base/json_writer.h"
#include "proxy/stats/history.h"
#include "proxy/stats/in_flight.h"
#include "proxy/stats/last_uris.h"

enum {
	TEXT_MAX = 256 * 1024,
	MINUTE_MS = 60000,
	SLOW_TIMES = 5,           /* as slow as all origins, and */
	SLOW_LEAST_US = 50000,    /* so slow at least, is slow */
	SLOW_ALWAYS_US = 1000000, /* half of its answers, or more */
	ALL_REASONS_MAX = REASON_COUNT,
};

/* ---- numbers -------------------------------------------------------------------------------- */

static void put_share(struct json_writer *out, const char *name, const struct stats *of)
{
	uint64_t kinds[ANSWER_COUNT];

	answer_counts_kinds(&of->answers, kinds);
	json_put_quotient(out, name, (double)answers_here(kinds), (double)answers_204(kinds));
}

static void put_time(struct json_writer *out, const char *name, uint64_t us, bool is_known)
{
	if (is_known)
		json_put_number(out, name, us);
	else
		json_put_null(out, name);
}

static void put_times(struct json_writer *out, const char *name, const struct histogram *histogram)
{
	uint64_t n = STATS_READ(histogram->count);

	json_put_object(out, name);
	json_put_number(out, "n", n);
	put_time(out, "p50", histogram_quantile(histogram, 0.5), n > 0);
	put_time(out, "p90", histogram_quantile(histogram, 0.9), n > 0);
	put_time(out, "p99", histogram_quantile(histogram, 0.99), n > 0);
	put_time(out, "max", histogram_max(histogram), n > 0);
	json_put_end(out);
}

/* ---- the service ---------------------------------------------------------------------------- */

/* The proxy's own address, and those of gateways; counts are since the start. */
static void put_listeners(struct json_writer *out, const struct dash *dash)
{
	const struct listener_names *names = &dash->service->listeners;
	const char *proxy = NULL;

	json_put_array(out, "gateways");
	for (unsigned i = 1; i < listener_names_count(names); i++) {
		const struct listener_counts *counts = &dash->sum->listeners[i];
		uint64_t requests = 0;

		if (names->at[i].origin[0] == '\0') {
			proxy = proxy == NULL ? names->at[i].address : proxy;
			continue;
		}
		for (unsigned kind = 0; kind < ANSWER_COUNT; kind++)
			requests += STATS_READ(counts->answer[kind]);
		json_put_object(out, NULL);
		json_put_words(out, "address", names->at[i].address);
		json_put_string(out, "origin", slice_str(names->at[i].origin));
		json_put_number(out, "requests", requests);
		json_put_number(out, "bytes", STATS_READ(counts->bytes_out));
		json_put_end(out);
	}
	json_put_end(out);
	json_put_words(out, "proxy", proxy);
}

static void put_service(struct json_writer *out, const struct dash *dash)
{
	json_put_number(out, "v", 1);
	json_put_signed(out, "now_ms", dash->wall_ms);
	json_put_string(out, "name", slice_str(dash->name));
	json_put_words(out, "version", dash->version);
	json_put_string(out, "admin", dash->admin);
	put_listeners(out, dash);
	json_put_number(out, "workers", STATS_READ(dash->service->alive));
	json_put_words(out, "state", dash->leaving ? "leaving" : "serving");
	json_put_signed(out, "start_ms", dash->service->started_ms);
	json_put_real(out, "window_s", dash->window_s);
}

/* ---- answers -------------------------------------------------------------------------------- */

/* Of a status, those that are no 204s and no failures; tunnels are by themselves. */
static uint64_t others_of(const struct answer_counts *counts, enum status_row row)
{
	uint64_t n = 0;

	for (enum outcome o = 0; o < OUTCOME_COUNT; o++)
		if (o != OUTCOME_BACKGROUND && o != OUTCOME_TUNNEL &&
		    answer_of(o, row) == ANSWER_OTHER)
			n += STATS_READ(counts->at[row][o]);
	return n;
}

static void put_other(struct json_writer *out, const char *status, uint64_t n)
{
	if (n == 0)
		return;
	json_put_object(out, NULL);
	json_put_words(out, "status", status);
	json_put_number(out, "n", n);
	json_put_end(out);
}

static void put_answers(struct json_writer *out, const struct dash *dash)
{
	const struct answer_counts *counts = &dash->between->answers;
	uint64_t kinds[ANSWER_COUNT];

	answer_counts_kinds(counts, kinds);
	json_put_object(out, "share");
	put_share(out, "w60", dash->minute);
	put_share(out, "w3600", dash->hour);
	put_share(out, "w0", dash->sum);
	json_put_end(out);
	json_put_object(out, "answers204");
	for (unsigned kind = ANSWER_FRESH; kind <= ANSWER_FETCHED; kind++)
		json_put_number(out, answer_name(kind), kinds[kind]);
	json_put_end(out);
	json_put_object(out, "other");
	json_put_number(out, "total", kinds[ANSWER_OTHER]);
	json_put_array(out, "by");
	for (enum status_row row = 0; row < STATUS_ROWS; row++)
		put_other(out, status_row_name(row), others_of(counts, row));
	put_other(out, "tunnels", answer_counts_outcome(counts, OUTCOME_TUNNEL));
	json_put_end(out);
	json_put_end(out);
}

/* What origins would have sent for what was answered here: as much as for each that they were asked. */
static void put_saved(struct json_writer *out, const struct dash *dash)
{
	double asked = (double)STATS_READ(dash->sum->origin_requests);
	uint64_t kinds[ANSWER_COUNT];

	answer_counts_kinds(&dash->between->answers, kinds);
	json_put_object(out, "saved");
	json_put_number(out, "requests", answers_here(kinds));
	if (asked > 0)
		json_put_number(out, "bytes_in",
				(uint64_t)((double)answers_here(kinds) *
					   (double)STATS_READ(dash->sum->origin_bytes_in) / asked));
	else
		json_put_null(out, "bytes_in");
	json_put_end(out);
}

static void put_traffic(struct json_writer *out, const struct dash *dash)
{
	const struct stats *of = dash->between;
	int64_t clients = STATS_READ(of->clients);

	json_put_number(out, "requests", STATS_READ(of->requests));
	json_put_number(out, "clients", clients > 0 ? (uint64_t)clients : 0);
	json_put_number(out, "errors", history_errors_of(of));
	json_put_object(out, "latency_us");
	put_times(out, "hit", &of->hit_latency);
	put_times(out, "miss", &of->miss_latency);
	json_put_end(out);
	json_put_object(out, "origin_us");
	put_times(out, "dns", &of->origin_dns);
	put_times(out, "connect", &of->origin_connect);
	put_times(out, "tls", &of->origin_tls);
	put_times(out, "first_byte", &of->origin_first_byte);
	json_put_end(out);
	json_put_quotient(out, "origin_reused", (double)STATS_READ(of->origin_reused),
			  (double)STATS_READ(of->origin_requests));
	put_saved(out, dash);
	json_put_quotient(out, "cpu", (double)STATS_READ(of->process.cpu_us), dash->window_s * 1e6);
	json_put_signed(out, "rss", STATS_READ(of->process.rss));
}

/* ---- reasons -------------------------------------------------------------------------------- */

struct counted_reason {
	enum reason reason;
	uint64_t n;
};

static int more_first(const void *a, const void *b)
{
	const struct counted_reason *x = a, *y = b;

	return x->n != y->n ? (x->n < y->n ? 1 : -1) : (int)x->reason - (int)y->reason;
}

static void put_reasons(struct json_writer *out, const char *name, const struct stats *of,
			unsigned lists)
{
	struct counted_reason found[ALL_REASONS_MAX];
	unsigned count = 0;
	char uri[LAST_URI_MAX];
	size_t n;

	for (enum reason r = REASON_NONE + 1; r < REASON_COUNT; r++) {
		uint64_t times = STATS_READ(of->reason[r]);

		if (times > 0 && reason_is_at(r, lists))
			found[count++] = (struct counted_reason){r, times};
	}
	qsort(found, count, sizeof(found[0]), more_first);
	json_put_array(out, name);
	for (unsigned i = 0; i < count; i++) {
		json_put_object(out, NULL);
		json_put_words(out, "reason", reason_token(found[i].reason));
		json_put_number(out, "n", found[i].n);
		n = last_uris_read(last_uris_all(), found[i].reason, uri);
		if (n > 0)
			json_put_string(out, "uri", slice_of(uri, n));
		else
			json_put_null(out, "uri");
		json_put_end(out);
	}
	json_put_end(out);
}

/* ---- hosts and URLs ------------------------------------------------------------------------- */

static void put_fields(struct json_writer *out, const uint64_t field[SKETCH_FIELDS])
{
	json_put_number(out, "requests", field[SKETCH_REQUESTS]);
	json_put_number(out, "here", field[SKETCH_HERE]);
	json_put_number(out, "stale", field[SKETCH_STALE]);
	json_put_number(out, "asked", field[SKETCH_ASKED]);
	json_put_number(out, "bytes", field[SKETCH_BYTES]);
	json_put_number(out, "failures", field[SKETCH_FAILURES]);
}

/* Failing when more of what it was asked for in the window failed than not; slow beside others. */
static const char *host_state(const struct dash *dash, const struct notes_input *in,
			      const struct sketch_row *row)
{
	uint64_t all_us = histogram_quantile(&dash->between->origin_first_byte, 0.5);
	const struct recent_error *error = note_error_of(in, row->name);

	if (error != NULL && in->now_ms - error->last_ms <= MINUTE_MS &&
	    row->field[SKETCH_FAILURES] > row->field[SKETCH_ASKED])
		return note_failure_state(error->failure);
	if (row->first_byte_p50_us >= SLOW_ALWAYS_US ||
	    (row->first_byte_p50_us >= SLOW_LEAST_US &&
	     row->first_byte_p50_us >= SLOW_TIMES * all_us))
		return "slow";
	return "ok";
}

static void put_hosts(struct json_writer *out, const struct dash *dash,
		      const struct notes_input *in)
{
	json_put_array(out, "hosts");
	for (const struct sketch_row *row = dash->hosts->row;
	     row < dash->hosts->row + dash->hosts->count; row++) {
		bool is_known = row->first_byte_p99_us > 0;

		json_put_object(out, NULL);
		json_put_string(out, "host", slice_str(row->name));
		put_fields(out, row->field);
		json_put_object(out, "first_byte_us");
		put_time(out, "p50", row->first_byte_p50_us, is_known);
		put_time(out, "p99", row->first_byte_p99_us, is_known);
		json_put_end(out);
		json_put_words(out, "state", host_state(dash, in, row));
		json_put_end(out);
	}
	json_put_end(out);
	json_put_object(out, "hosts_other");
	json_put_number(out, "hosts", dash->hosts->other_names);
	put_fields(out, dash->hosts->other);
	json_put_number(out, "error", dash->hosts->error);
	json_put_end(out);
}

static void put_urls(struct json_writer *out, const struct sketch_view *urls)
{
	json_put_array(out, "urls");
	for (const struct sketch_row *row = urls->row; row < urls->row + urls->count; row++) {
		json_put_object(out, NULL);
		json_put_string(out, "uri", slice_str(row->name));
		put_fields(out, row->field);
		json_put_end(out);
	}
	json_put_end(out);
	json_put_object(out, "urls_other");
	json_put_number(out, "urls", urls->other_names);
	put_fields(out, urls->other);
	json_put_number(out, "error", urls->error);
	json_put_end(out);
}

/* ---- the store ------------------------------------------------------------------------------ */

/* Within a fifth. */
static void put_age(struct json_writer *out, const char *name, const struct stats_store *counts,
		    double share)
{
	uint64_t total = 0, seen = 0;
	unsigned i;

	for (i = 0; i < CACHE_AGE_BUCKETS; i++)
		total += counts->cache.evicted_age[i];
	for (i = 0; i + 1 < CACHE_AGE_BUCKETS; i++) {
		seen += counts->cache.evicted_age[i];
		if ((double)seen >= share * (double)total && seen > 0)
			break;
	}
	if (total == 0)
		json_put_null(out, name);
	else
		json_put_number(out, name, (UINT64_C(1) << i / 2) * (i % 2 == 0 ? 5 : 7) / 4);
}

static void put_store(struct json_writer *out, const struct dash *dash)
{
	struct stats_store counts;

	stats_store_get(dash->between, &counts);
	json_put_object(out, "store");
	json_put_number(out, "used", dash->store.bytes_used);
	json_put_number(out, "size", dash->store.bytes_size);
	json_put_number(out, "entries", dash->store.entries);
	json_put_number(out, "stored", counts.cache.stored);
	json_put_number(out, "evicted", counts.evictions);
	json_put_number(out, "evicted_fresh", counts.cache.evicted_fresh);
	json_put_object(out, "evicted_age_s");
	put_age(out, "p10", &counts, 0.1);
	put_age(out, "p50", &counts, 0.5);
	json_put_end(out);
	json_put_number(out, "dropped", counts.cache.dropped);
	json_put_number(out, "failures", counts.failures);
	json_put_bool(out, "restored", dash->restored);
	json_put_end(out);
}

/* ---- what happens now, and happened last ---------------------------------------------------- */

static void put_in_flight(struct json_writer *out, const struct dash *dash)
{
	struct in_flight_row rows[IN_FLIGHT_MAX];
	unsigned count =
		in_flight_list(dash->service->in_flight, STATS_READ(dash->service->used), rows);
	int64_t n = STATS_READ(dash->sum->exchanges) - STATS_READ(dash->sum->tunnels_open);
	int64_t waiting = STATS_READ(dash->sum->waiting);

	json_put_object(out, "in_flight");
	json_put_number(out, "n", n > 0 ? (uint64_t)n : 0);
	json_put_number(out, "waiting", waiting > 0 ? (uint64_t)waiting : 0);
	json_put_array(out, "oldest");
	for (const struct in_flight_row *row = rows; row < rows + count; row++) {
		json_put_object(out, NULL);
		json_put_signed(out, "age_ms", dash->now_ms - row->since_ms);
		json_put_string(out, "uri", slice_str(row->uri));
		json_put_words(out, "phase", in_flight_phase_name(row->phase));
		json_put_number(out, "waiters", row->waiters);
		json_put_end(out);
	}
	json_put_end(out);
	json_put_end(out);
}

static void put_errors(struct json_writer *out, const struct notes_input *in)
{
	int64_t to_wall_ms = in->wall_ms - in->now_ms;

	json_put_array(out, "errors_recent");
	for (const struct recent_error *error = in->errors; error < in->errors + in->error_count;
	     error++) {
		json_put_object(out, NULL);
		json_put_signed(out, "first_ms", error->first_ms + to_wall_ms);
		json_put_signed(out, "last_ms", error->last_ms + to_wall_ms);
		json_put_words(out, "failure", failure_name(error->failure));
		json_put_string(out, "host", slice_str(error->host));
		json_put_string(out, "uri", slice_str(error->uri));
		json_put_number(out, "n", error->count);
		json_put_number(out, "status", error->status);
		json_put_string(out, "detail", slice_str(error->detail));
		json_put_end(out);
	}
	json_put_end(out);
}

static void put_notes(struct json_writer *out, const struct notes_input *in)
{
	struct note notes[NOTES_MAX];
	unsigned count = notes_find(in, notes);

	json_put_array(out, "notes");
	for (const struct note *note = notes; note < notes + count; note++) {
		json_put_object(out, NULL);
		json_put_words(out, "id", note_name(note->id));
		json_put_words(out, "level", note_level_name(note->id));
		json_put_text(out, "text", slice_str(note->text));
		if (note->since_ms != 0)
			json_put_signed(out, "since_ms", note->since_ms);
		else
			json_put_null(out, "since_ms");
		json_put_words(out, "do", note->advice);
		json_put_string(out, "host", slice_str(note->host));
		json_put_string(out, "uri", slice_str(note->uri));
		json_put_end(out);
	}
	json_put_end(out);
}

static void put_events(struct json_writer *out, const struct notes_input *in)
{
	json_put_array(out, "events");
	for (const struct event *event = in->events; event < in->events + in->event_count;
	     event++) {
		json_put_object(out, NULL);
		json_put_words(out, "kind", event_name(event->kind));
		json_put_string(out, "text", slice_str(event->text));
		json_put_signed(out, "ms", event->wall_ms);
		json_put_end(out);
	}
	json_put_end(out);
}

static void put_marks(struct json_writer *out, const struct dash *dash)
{
	struct mark marks[MARKS_MAX];
	unsigned count = marks_list(dash->service->marks, marks);

	json_put_array(out, "marks");
	for (const struct mark *mark = marks; mark < marks + count; mark++) {
		json_put_object(out, NULL);
		json_put_words(out, "name", mark->name);
		json_put_signed(out, "ms", mark->wall_ms);
		json_put_words(out, "note", mark->note);
		json_put_end(out);
	}
	json_put_end(out);
}

/* ---- all ------------------------------------------------------------------------------------ */

char *dash_json(const struct dash *dash, size_t *ret_length)
{
	struct recent_error errors[RECENT_ERRORS_MAX];
	struct event events[EVENTS_MAX];
	struct notes_input in = {
		.now_ms = dash->now_ms,
		.wall_ms = dash->wall_ms,
		.minute = dash->minute,
		.hour = dash->hour,
		.hosts = dash->failing,
		.errors = errors,
		.error_count = recent_errors_list(dash->service->errors,
						  STATS_READ(dash->service->used), errors),
		.events = events,
		.event_count = events_list(dash->service->events, events),
		.reload = dash->reload,
		.workers_alive = STATS_READ(dash->service->alive),
		.workers_wanted = dash->workers_wanted,
		.leaving = dash->leaving,
	};
	struct json_writer out;

	json_writer_begin(&out, JSON_COMPACT, TEXT_MAX);
	json_put_object(&out, NULL);
	put_service(&out, dash);
	put_answers(&out, dash);
	put_traffic(&out, dash);
	put_reasons(&out, "asked", dash->between, REASON_ASKED);
	put_reasons(&out, "not_stored", dash->between, REASON_NOT_STORED);
	put_hosts(&out, dash, &in);
	put_urls(&out, dash->urls);
	put_store(&out, dash);
	put_in_flight(&out, dash);
	put_errors(&out, &in);
	put_notes(&out, &in);
	put_events(&out, &in);
	put_marks(&out, dash);
	dash_put_history(&out, dash->rows);
	json_put_end(&out);
	return json_writer_take(&out, ret_length);
}
