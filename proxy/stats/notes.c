/* Sentences for operators, from the statistics. */
#include "proxy/stats/notes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proxy/stats/stats.h"

enum {
	MINUTE_MS = 60000,
	NEWS_MS = 10 * MINUTE_MS, /* for so long it is said that a worker died */
	EVICTED_MIN = 100,        /* fewer say little of the store's size */
	FETCHED_MIN = 100,        /* and of origins */
	TOO_SMALL_PERCENT = 10,
	NO_LIFETIME_PERCENT = 50,
};

static const struct note_row {
	const char *name;
	enum note_level level;
	const char *sentence;
	const char *advice;
} note_rows[NOTE_COUNT] = {
#define NOTE(id, name, level, alert, sentence, advice) \
	[NOTE_##id] = {name, NOTE_##level, sentence, advice},
#include "proxy/stats/notes.def"
#undef NOTE
};

/* What a sentence may have. */
struct values {
	const char *host, *what, *text;
	uint64_t n, percent;
};

struct found {
	struct note *notes;
	unsigned count;
};

const char *note_name(enum note_id id)
{
	return note_rows[id].name;
}

const char *note_level_name(enum note_id id)
{
	static const char *const names[] = {
		[NOTE_BAD] = "bad", [NOTE_WARN] = "warn", [NOTE_INFO] = "info"};

	return names[note_rows[id].level];
}

/* ---- sentences ------------------------------------------------------------------------------ */

/* The value of {name}; a number is written into `room`. */
static const char *value_of(const struct values *values, const char *name, size_t n, char room[24])
{
	uint64_t number = n == 1 && name[0] == 'n' ? values->n : values->percent;

	if (n == 4 && memcmp(name, "host", n) == 0)
		return values->host;
	if (n == 4 && memcmp(name, "what", n) == 0)
		return values->what;
	if (n == 4 && memcmp(name, "text", n) == 0)
		return values->text;
	if (n == 1 && name[0] == 's')
		return values->n == 1 ? "" : "s";
	snprintf(room, 24, "%" PRIu64, number);
	return room;
}

static void expand(const char *sentence, const struct values *values, char text[NOTE_TEXT_MAX])
{
	size_t used = 0;

	while (*sentence != '\0' && used + 1 < NOTE_TEXT_MAX) {
		const char *end = *sentence == '{' ? strchr(sentence, '}') : NULL;
		const char *value;
		char room[24];
		size_t n;

		if (end == NULL) {
			text[used++] = *sentence++;
			continue;
		}
		value = value_of(values, sentence + 1, (size_t)(end - sentence - 1), room);
		n = strnlen(value, NOTE_TEXT_MAX - 1 - used);
		memcpy(text + used, value, n);
		used += n;
		sentence = end + 1;
	}
	text[used] = '\0';
}

static struct note *add(struct found *found, enum note_id id, const struct values *values)
{
	struct note *note;

	if (found->count == NOTES_MAX)
		return NULL;
	note = &found->notes[found->count++];
	*note = (struct note){.id = id, .advice = note_rows[id].advice};
	expand(note_rows[id].sentence, values, note->text);
	return note;
}

static void add_if_any(struct found *found, enum note_id id, uint64_t n)
{
	if (n > 0)
		add(found, id, &(struct values){.n = n});
}

/* ---- failing origins ------------------------------------------------------------------------ */

/* What each kind of failure looks like from here, the word for it, and what helps. */
static const struct failing {
	const char *words, *state, *advice;
} failing[FAILURE_COUNT] = {
	[FAILURE_DNS_ERROR] = {"has no address", "dns",
			       "Look at the name and at the name servers (resolvers)."},
	[FAILURE_DNS_TIMEOUT] = {"has no address, as name servers do not answer", "dns",
				 "Look at the name servers (resolvers, dns_timeout)."},
	[FAILURE_ORIGIN_REFUSED] = {"refuses connections", "refused",
				    "Start it, or see whether its address is right."},
	[FAILURE_ORIGIN_UNREACHABLE] = {"cannot be reached", "unreachable",
					"Look at the route to it and at firewalls."},
	[FAILURE_CONNECT_TIMEOUT] = {"does not take connections", "timeout",
				     "Look at its load, at the route to it and at firewalls "
				     "(connect_timeout)."},
	[FAILURE_TLS_CERTIFICATE] = {"has a certificate that cannot be verified", "tls",
				     "Renew it, or name its authority in tls_ca_file."},
	[FAILURE_TLS_PROTOCOL] = {"fails at TLS", "tls", "See whether its port speaks TLS."},
	[FAILURE_TLS_ALERT] = {"fails at TLS", "tls", "Its log may say why it broke off."},
	[FAILURE_TLS_TIMEOUT] = {"fails at TLS", "tls", "See whether its port speaks TLS."},
	[FAILURE_TLS_PLAIN] = {"fails at TLS", "tls", "See whether its port speaks TLS."},
	[FAILURE_PARENT_DOWN] = {"is not reached, as the parent proxy is not", "unreachable",
				 "Look at the parent proxy."},
	[FAILURE_PARENT_TIMEOUT] = {"is not reached, as the parent proxy does not answer",
				    "timeout", "Look at the parent proxy."},
	[FAILURE_PARENT_REFUSED] = {"is not reached, as the parent proxy refuses", "failing",
				    "Look at what the parent proxy allows."},
	[FAILURE_PARENT_AUTHENTICATION] = {"is not reached, as the parent proxy wants a login",
					   "failing", "See the option parent."},
	[FAILURE_ORIGIN_CLOSED] = {"closes connections without an answer", "failing",
				   "Its log may say why."},
	[FAILURE_ORIGIN_TIMEOUT] =
		{"does not answer", "timeout",
		 "Look at its load (first_byte_timeout). If its 204s may be used "
		 "stale meanwhile, let it send stale-if-error."},
	[FAILURE_ORIGIN_WRITE_TIMEOUT] = {"does not take requests", "timeout", "Look at its load."},
	[FAILURE_BAD_RESPONSE] = {"sends what is no HTTP response", "failing",
				  "The log has the line and the byte."},
	[FAILURE_RESPONSE_CUT] = {"breaks responses off", "failing", "Its log may say why."},
	[FAILURE_RESPONSE_BODY_TIMEOUT] = {"stops in the middle of responses", "timeout",
					   "Look at its load (body_timeout)."},
};

static const char *failure_words(enum failure failure)
{
	return failing[failure].words != NULL ? failing[failure].words : "fails";
}

const char *note_failure_state(enum failure failure)
{
	return failing[failure].state != NULL ? failing[failure].state : "failing";
}

const struct recent_error *note_error_of(const struct notes_input *in, const char *host)
{
	for (unsigned i = 0; i < in->error_count; i++)
		if (strncmp(in->errors[i].host, host, SKETCH_NAME_MAX) == 0)
			return &in->errors[i];
	return NULL;
}

static void add_origin(struct found *found, const struct notes_input *in,
		       const struct sketch_row *row, enum note_id id, uint64_t n)
{
	const struct recent_error *error = note_error_of(in, row->name);
	enum failure failure = error != NULL ? error->failure : FAILURE_NONE;
	struct values values = {.host = row->name, .what = failure_words(failure), .n = n};
	struct note *note = add(found, id, &values);

	if (note == NULL)
		return;
	note->advice = failing[failure].advice != NULL ? failing[failure].advice
						       : "Its log, and the proxy's, may say why.";
	snprintf(note->host, sizeof(note->host), "%s", row->name);
	if (error == NULL)
		return;
	note->since_ms = in->wall_ms - (in->now_ms - error->first_ms);
	snprintf(note->uri, sizeof(note->uri), "%s", error->uri);
}

/* Hosts whose clients went without, or those whose clients were served stale. */
static void add_origins(struct found *found, const struct notes_input *in, enum note_id id)
{
	unsigned added = 0;

	for (unsigned i = 0; i < in->hosts->count && added < NOTE_HOSTS_MAX; i++) {
		const struct sketch_row *row = &in->hosts->row[i];
		const uint64_t *of = row->field;
		uint64_t answered = of[SKETCH_HERE] + of[SKETCH_ASKED];
		uint64_t without =
			of[SKETCH_REQUESTS] > answered ? of[SKETCH_REQUESTS] - answered : 0;

		if (without > of[SKETCH_FAILURES])
			without = of[SKETCH_FAILURES];
		if (of[SKETCH_FAILURES] == 0 || (without > 0) != (id == NOTE_ORIGIN_FAILS))
			continue;
		add_origin(found, in, row, id,
			   id == NOTE_ORIGIN_FAILS ? without : of[SKETCH_STALE]);
		added++;
	}
}

/* ---- the service ---------------------------------------------------------------------------- */

static uint64_t places_taken(const struct stats *minute)
{
	return STATS_READ(minute->failure[FAILURE_TOO_MANY_TUNNELS]) +
	       STATS_READ(minute->failure[FAILURE_TOO_MANY_ORIGIN]) +
	       STATS_READ(minute->failure[FAILURE_TOO_MANY_LOOKUPS]) +
	       STATS_READ(minute->failure[FAILURE_TOO_MANY_LOGINS]);
}

static void add_worker_died(struct found *found, const struct notes_input *in)
{
	for (unsigned i = in->event_count; i-- > 0;) {
		const struct event *event = &in->events[i];
		struct note *note;

		if (event->kind != EVENT_WORKER || in->wall_ms - event->wall_ms > NEWS_MS)
			continue;
		note = add(found, NOTE_WORKER_DIED, &(struct values){.text = event->text});
		if (note != NULL)
			note->since_ms = event->wall_ms;
		return;
	}
}

static void add_workers_missing(struct found *found, const struct notes_input *in)
{
	char wanted[16];

	if (in->workers_alive >= in->workers_wanted || in->leaving)
		return;
	snprintf(wanted, sizeof(wanted), "%u", in->workers_wanted);
	add(found, NOTE_WORKERS_MISSING, &(struct values){.n = in->workers_alive, .text = wanted});
}

static void add_reload(struct found *found, const struct notes_input *in)
{
	char line[200];
	struct note *note;

	if (in->reload == NULL || in->reload->ok)
		return;
	snprintf(line, sizeof(line), "%.*s", (int)strcspn(in->reload->text, "\n"),
		 in->reload->text);
	note = add(found, NOTE_RELOAD_REFUSED, &(struct values){.text = line});
	if (note != NULL)
		note->since_ms = in->reload->at_s * 1000;
}

static void add_store(struct found *found, const struct notes_input *in)
{
	struct stats_store minute, hour;
	uint64_t percent;

	stats_store_get(in->minute, &minute);
	stats_store_get(in->hour, &hour);
	add_if_any(found, NOTE_WRITES_DROPPED, minute.cache.dropped);
	percent =
		hour.evictions < EVICTED_MIN ? 0 : 100 * hour.cache.evicted_fresh / hour.evictions;
	if (percent > TOO_SMALL_PERCENT)
		add(found, NOTE_STORE_SMALL, &(struct values){.percent = percent});
}

static uint64_t store_failures(const struct notes_input *in)
{
	struct stats_store minute;

	stats_store_get(in->minute, &minute);
	return minute.failures;
}

static void add_no_lifetime(struct found *found, const struct notes_input *in)
{
	uint64_t kinds[ANSWER_COUNT], percent;

	answer_counts_kinds(&in->hour->answers, kinds);
	if (kinds[ANSWER_FETCHED] < FETCHED_MIN)
		return;
	percent = 100 * STATS_READ(in->hour->reason[REASON_NO_FRESHNESS]) / kinds[ANSWER_FETCHED];
	if (percent > NO_LIFETIME_PERCENT)
		add(found, NOTE_NO_LIFETIME, &(struct values){.percent = percent});
}

unsigned notes_find(const struct notes_input *in, struct note ret_notes[NOTES_MAX])
{
	struct found found = {.notes = ret_notes};

	add_origins(&found, in, NOTE_ORIGIN_FAILS);
	add_if_any(&found, NOTE_CLIENTS_REFUSED, STATS_READ(in->minute->client_refused));
	add_if_any(&found, NOTE_NO_DESCRIPTORS, STATS_READ(in->minute->accept_pauses));
	add_if_any(&found, NOTE_PLACES_TAKEN, places_taken(in->minute));
	add_if_any(&found, NOTE_STORE_FAILS, store_failures(in));
	add_worker_died(&found, in);
	add_workers_missing(&found, in);
	add_origins(&found, in, NOTE_ORIGIN_STALE);
	add_reload(&found, in);
	add_store(&found, in);
	add_if_any(&found, NOTE_LOG_LOST, STATS_READ(in->minute->log_dropped));
	if (in->leaving)
		add(&found, NOTE_LEAVING, &(struct values){0});
	add_no_lifetime(&found, in);
	return found.count;
}
