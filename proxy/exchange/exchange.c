/* One request and its answer: composing, passing on, failing, and the one place where it ends. */
#include "proxy/exchange/exchange.h"

#include <assert.h>
#include <stdlib.h>

#include "cache/http/fields.h"
#include "cache/policy/rule.h"
#include "proxy/exchange/shown.h"
#include "proxy/base/cause.h"
#include "proxy/loop/conn.h"
#include "proxy/stats/last_uris.h"
#include "proxy/stats/accesslog.h"
#include "proxy/stats/sketch.h"
#include "proxy/stats/accesslog_ids.h"
#include "proxy/base/monotonic.h"
#include "proxy/base/wall_clock.h"

enum { ORIGIN_URI_MAX = sizeof("http://") + URI_HOST_MAX + sizeof(":65535") };

/* ---- counting ------------------------------------------------------------------------------- */

static void count_reason(const struct exchange *x, enum reason why)
{
	STATS_ADD(reason[why], 1);
	last_uris_note(why, &x->req.uri);
}

/* Of a 204 that was fetched: what became of it. */
static void count_fetched(const struct exchange *x)
{
	enum reason why = x->status_field.why;

	count_reason(x, x->asked);
	if (x->status_field.stored)
		STATS_ADD(answers_stored, 1);
	else if (reason_is_at(why, REASON_AT_STORE))
		count_reason(x, why);
	else
		STATS_ADD(answers_not_storable, 1); /* `asked` is why */
}

/* Of all but fresh hits. */
static void count_reasons(const struct exchange *x, enum answer_kind answer)
{
	switch (answer) {
	case ANSWER_STALE:
		STATS_ADD(reason[x->status_field.why], 1);
		break;
	case ANSWER_CONFIRMED:
		count_reason(x, x->asked);
		break;
	case ANSWER_FETCHED:
		count_fetched(x);
		break;
	case ANSWER_FRESH:
	case ANSWER_SHARED:
	case ANSWER_OTHER:
	case ANSWER_FAILED:
	case ANSWER_COUNT:
		break;
	}
}

static void count_answer(const struct exchange *x, enum status_row row)
{
	struct listener_counts *listener = &stats->listeners[x->listener];
	enum answer_kind answer = answer_of(x->outcome, row);

	STATS_BUMP(listener->answer[answer], 1);
	if (x->outcome != OUTCOME_TUNNEL) {
		STATS_BUMP(listener->bytes_in, x->bytes_in);
		STATS_BUMP(listener->bytes_out, x->bytes_out);
	}
	if (answer != ANSWER_FRESH)
		count_reasons(x, answer);
}

/* Once each, with its outcome decided.  Operators' are not counted as traffic. */
static void count(const struct exchange *x)
{
	enum status_row row;

	if (x->frontend->is_reserved)
		return;
	STATS_ADD(exchanges, -1);
	row = status_row_of(x->status);
	STATS_ADD(answers.at[row][x->outcome], 1);
	if (x->outcome != OUTCOME_BACKGROUND)
		count_answer(x, row);
	if (x->failure != FAILURE_NONE)
		STATS_ADD(failure[x->failure], 1);
}

/* ---- ending --------------------------------------------------------------------------------- */

static bool is_fresh_hit(const struct exchange *x)
{
	return x->outcome == OUTCOME_HIT || x->outcome == OUTCOME_HIT_304;
}

static bool is_hit(const struct exchange *x)
{
	return is_fresh_hit(x) || x->outcome == OUTCOME_STALE;
}

static struct slice value_of(const struct http_field *line)
{
	return line == NULL ? slice_of("", 0) : line->value;
}

/* That which the request has, if it is to have one, or a new one. */
static struct slice id_of(const struct exchange *x, char room[static ACCESSLOG_NEW_ID])
{
	const char *name = x->use->conf->request_id_field;
	struct slice id = slice_of("", 0);

	if (name[0] != '\0')
		id = value_of(http_fields_named(&x->req.fields, slice_str(name)));
	return accesslog_id_is_usable(id) ? id : accesslog_new_id(x->use->accesslog, room);
}

static struct slice traceparent_of(const struct http_fields *fields)
{
	const struct http_field *line = http_fields_first(fields, FIELD_TRACEPARENT);

	/* one of several is none (W3C Trace Context 3.2) */
	if (line == NULL || http_fields_next(fields, line) != NULL)
		return slice_of("", 0);
	return accesslog_traceparent(line->value);
}

static const char *protocol_of(const struct http_request *req)
{
	if (req->method_name.n == 0)
		return NULL;
	return req->version_minor == 0 ? "HTTP/1.0" : "HTTP/1.1";
}

/* What goes before a path: of a gateway, or of the authority that a tunnel is to. */
static struct slice origin_uri_of(const struct exchange *x, char room[static ORIGIN_URI_MAX])
{
	size_t n = sizeof("http://") - 1;

	if (!x->frontend->is_inside || x->req.uri.host.n == 0)
		return x->frontend->origin_uri;
	memcpy(room, "http://", n);
	return slice_of(room, n + http_uri_authority(&x->req.uri, room + n));
}

static void write_log(const struct exchange *x, int64_t elapsed_us)
{
	char client[ADDRESS_TEXT_SIZE], origin[ADDRESS_TEXT_SIZE], id[ACCESSLOG_NEW_ID];
	char origin_uri[ORIGIN_URI_MAX];
	struct accesslog *log = x->use->accesslog;
	uint8_t fwd = x->status_field.fwd;
	struct accesslog_entry entry = {
		.elapsed_us = elapsed_us,
		.held_us = x->held_us,
		.id = id_of(x, id),
		.traceparent = traceparent_of(&x->req.fields),
		.client = slice_of(client, address_format(&x->peer, client)),
		.client_port = address_port(&x->peer),
		.method = x->req.method_name,
		.target = x->req.target,
		.target_read = x->req.target_read,
		.origin_uri = origin_uri_of(x, origin_uri),
		.in_tunnel = x->frontend->is_inside,
		.protocol = protocol_of(&x->req),
		.status = x->status,
		.bytes_in = x->bytes_in,
		.bytes_out = x->bytes_out,
		.outcome = x->outcome,
		.failure = x->failure,
		.fwd = fwd == FWD_NONE ? NULL : compose_forward_word(fwd),
		.why = x->status_field.why,
		.stored = x->status_field.stored,
		.from_record = x->from_record,
		.age_s = x->age_s,
		.ttl_s = x->ttl_s,
		.origin = slice_of(origin, x->origin.any.sa_family == AF_UNSPEC
						   ? 0
						   : address_format_port(&x->origin, origin)),
		.times = x->times,
		.user = x->user,
		.user_agent = value_of(http_fields_first(&x->req.fields, FIELD_USER_AGENT)),
		.sample = is_fresh_hit(x) ? accesslog_sample(log) : 1,
	};

	if (accesslog_shows_referer(log))
		entry.referer = value_of(http_fields_named(&x->req.fields, SLICE("Referer")));
	entry.wall_ms = wall_clock_ms();
	accesslog_write(log, &entry);
}

/* What is answered at once is measured by client.c, for all requests of an event together. */
static void measure(const struct exchange *x)
{
	bool log = x->peer.any.sa_family != AF_UNSPEC && x->use->accesslog != NULL &&
		   (!is_fresh_hit(x) || accesslog_takes_hit(x->use->accesslog));
	bool hit = is_hit(x), at_once = hit && x->memory == NULL && x->sink != NULL;
	int64_t elapsed_us = 0;

	if (log || !at_once)
		elapsed_us = monotonic_us() - x->started_us - x->held_us;
	if (at_once)
		x->use->answered++;
	else if (hit)
		histogram_add(&stats->hit_latency, (uint64_t)elapsed_us, 1);
	else if (x->outcome != OUTCOME_TUNNEL && x->outcome != OUTCOME_LOCAL)
		histogram_add(&stats->miss_latency, (uint64_t)elapsed_us, 1);
	if (log)
		write_log(x, elapsed_us);
}

/*
 * The client is slow to read, and the origin is not read meanwhile: this time counts as the
 * client's.  While it lasts, the start time is subtracted from held_us.
 */
static void hold(struct exchange *x)
{
	if (!x->held)
		x->held_us -= monotonic_us();
	x->held = true;
}

static void release(struct exchange *x)
{
	if (x->held)
		x->held_us += monotonic_us();
	x->held = false;
}

/* What its client got; of a validation in the background, those who were answered before it. */
static unsigned status_told(const struct exchange *x)
{
	if (x->outcome == OUTCOME_BACKGROUND)
		return 204;
	return x->status == failure_status(x->failure) ? x->status : 0;
}

/* The origin was asked, in vain. */
static bool asked_in_vain(const struct exchange *x)
{
	return failure_is_error(x->failure) ||
	       (x->outcome == OUTCOME_STALE && x->status_field.why == REASON_STALE_ERROR);
}

/* In the sketch of hosts and URLs: most hits by the key alone. */
static void show(const struct exchange *x)
{
	bool here = is_hit(x) || x->outcome == OUTCOME_COLLAPSED,
	     stale = x->outcome == OUTCOME_STALE;
	struct sketch_event event;

	if (x->outcome <= OUTCOME_HIT_304 && sketch_hit(&x->uri_key, x->bytes_out, false))
		return;
	if (stale && !asked_in_vain(x) && sketch_hit(&x->uri_key, x->bytes_out, true))
		return;
	event = (struct sketch_event){
		.is_request = x->outcome != OUTCOME_BACKGROUND,
		.here = here,
		.stale = stale,
		.asked =
			x->failure == FAILURE_NONE && !here && x->origin.any.sa_family != AF_UNSPEC,
		.failed = asked_in_vain(x),
		.bytes = x->bytes_out,
		.first_byte_us = x->times.first_byte_us,
	};
	shown_count(&event, &x->uri_key, &x->req);
}

_Static_assert(OUTCOME_HIT < OUTCOME_HIT_304 && OUTCOME_HIT_304 == 1, "fresh hits come first");

static void tell_failure(const struct exchange *x)
{
	struct failure_subject subject = exchange_subject(x);

	failure_log(&subject, x->failure);
	if (!x->frontend->is_reserved)
		shown_error(&subject, x->failure, status_told(x));
}

void exchange_end(struct exchange *x)
{
	struct answer_sink *sink = x->sink;
	bool keep_alive = x->keep_alive;

	assert(x->magic == EXCHANGE_MAGIC && x->waiter_link == NULL);
	if (x->failure != FAILURE_NONE && x->outcome != OUTCOME_BACKGROUND)
		x->outcome = OUTCOME_FAILED;
	count(x);
	release(x);
	if (!x->frontend->is_reserved) {
		measure(x);
		show(x);
	}
	if (x->failure != FAILURE_NONE)
		tell_failure(x);
	free(x->kept);
	if (x->key != NULL)
		free(x->key);
	x->magic = 0;
	/* Events of this turn may still refer to a parked one; a fetch or a tunnel does not. */
	if (x->memory != NULL) {
		assert(x->fetch == NULL && x->tunnel == NULL);
		turn_free(x->memory);
		turn_free(x);
	} else {
		exchange_discard(x);
	}
	if (sink != NULL)
		sink->kind->ended(sink, keep_alive);
}

void exchange_abandon(struct exchange *x)
{
	if (x->failure == FAILURE_NONE)
		x->failure = FAILURE_CLIENT_GONE;
	/* The front end may let a fetch go on for those who wait. */
	if (x->frontend->cancel(x))
		x->sink = NULL;
	else
		exchange_end(x);
}

/* ---- answers -------------------------------------------------------------------------------- */

/* Whether the connection can live on after an answer that begins now. */
static bool may_keep_alive(const struct exchange *x)
{
	return !x->sink->last && !x->sink->reading_body && !x->use->turn->draining;
}

static struct delivery delivery_of(const struct exchange *x)
{
	return (struct delivery){
		.keep_alive = x->keep_alive,
		.client_minor = x->req.version_minor,
		.head_only = x->req.method == METHOD_HEAD,
	};
}

/* The key of an answer's Cache-Status, when the operator wants it sent: most targets can be one. */
static void tell_key(struct exchange *x)
{
	if (!x->use->conf->cache_status_key || x->req.uri.host.n == 0 ||
	    x->req.form != TARGET_ABSOLUTE)
		return;
	x->status_field.key = x->req.uri.normal;
	if (x->req.uri.normal.n == 0 && x->key == NULL)
		x->key = malloc(http_uri_normal_max(&x->req.uri));
	if (x->key != NULL)
		x->status_field.key = slice_of(x->key, http_uri_normal(&x->req.uri, x->key));
}

/* Out of memory, no answer can be composed: close the connection. */
static void out_of_memory(struct exchange *x)
{
	x->failure = FAILURE_INTERNAL;
	x->keep_alive = false;
	x->sink->kind->abort(x->sink);
}

/* The answer is whole in the client's buffer. */
static void answered(struct exchange *x, unsigned status, size_t length)
{
	x->status = (uint16_t)status;
	x->bytes_out += length;
	exchange_end(x);
}

static const struct conf *options_of(const struct exchange *x)
{
	return policy_options(&x->req, x->use->conf);
}

/* For the log. */
static void note_record(struct exchange *x, const struct record_meta *meta, int64_t age_s)
{
	x->from_record = true;
	x->age_s = age_s;
	x->ttl_s = x->status_field.hit ? x->status_field.ttl_s
				       : policy_lifetime_s(meta, options_of(x)) - age_s;
}

bool exchange_answer_record(struct exchange *x, const struct record_view *record)
{
	const struct exchanges *use = x->use;
	const struct record_meta *meta;
	struct delivery delivery;
	unsigned status = 204;
	struct buf *out;
	int64_t age_s;
	size_t before;

	if (!record_is_current(record)) {
		STATS_ADD(views_ended, 1);
		return false;
	}
	if (x->sink == NULL) {
		exchange_end(x);
		return true;
	}
	meta = record_meta(record);
	age_s = policy_age_s(meta, &use->turn->now);
	if (use->conf->conditional_hit == CONF_CONDITIONAL_HIT_304 &&
	    policy_not_modified(&x->req, meta, record_etag(record), &use->turn->now))
		status = 304;
	if (x->outcome == OUTCOME_HIT && status == 304)
		x->outcome = OUTCOME_HIT_304;
	if (x->status_field.fwd == FWD_NONE) {
		x->status_field.hit = true;
		x->status_field.ttl_s = policy_lifetime_s(meta, options_of(x)) - age_s;
	}
	note_record(x, meta, age_s);
	x->keep_alive = may_keep_alive(x);
	tell_key(x);
	delivery = delivery_of(x);
	out = exchange_out(x);
	before = buf_length(out);
	if (!compose_record(out, use->conf, &(struct record_answer){record, status, age_s},
			    &x->status_field, &delivery))
		out_of_memory(x);
	else
		answered(x, status, buf_length(out) - before);
	return true;
}

void exchange_answer_local(struct exchange *x, unsigned status, const char *content_type,
			   struct slice extra, struct slice content)
{
	struct delivery delivery;
	struct buf *out = exchange_out(x);
	size_t before = buf_length(out);

	x->outcome = OUTCOME_LOCAL;
	x->keep_alive = may_keep_alive(x);
	delivery = delivery_of(x);
	if (!compose_local(out, &(struct local_answer){status, content_type, extra, content},
			   &delivery, x->use->turn->now.wall_s))
		out_of_memory(x);
	else
		answered(x, status, buf_length(out) - before);
}

/*
 * Whether the client may send what belongs to the request that was refused, on the word of somebody
 * else or without waiting: bytes for a tunnel, of another protocol, or a body that it was not asked
 * to send (HAZARDS F10).
 */
static bool may_send_more(const struct exchange *x)
{
	return x->req.method == METHOD_CONNECT || x->req.expect_continue ||
	       http_has_field(&x->req.fields, FIELD_UPGRADE);
}

/* The head is out already: what follows must not look like a clean end. */
static void cut(struct exchange *x)
{
	bool told_by_close = !x->chunked && x->req.version_minor == 0;

	x->keep_alive = false;
	if (told_by_close)
		x->sink->kind->abort(x->sink);
	else
		exchange_end(x); /* sends what waits, then FIN before the promised end */
}

void exchange_fail(struct exchange *x, enum failure failure)
{
	struct failure_answer answer = {failure, cause_fault()};
	struct cache_status told;
	struct delivery delivery;
	struct buf *out;
	size_t before;

	x->failure = failure;
	if (x->sink == NULL) {
		exchange_end(x);
		return;
	}
	if (x->status != 0 || failure_status(failure) == 0) {
		cut(x);
		return;
	}
	x->keep_alive = may_keep_alive(x) && failure_status(failure) != 400 && !may_send_more(x);
	tell_key(x);
	told = x->status_field;
	/* Do not reveal to a refused client that others were allowed to go there (HAZARDS X7). */
	if (told.why == REASON_ADMISSION)
		told.why = REASON_NONE;
	delivery = delivery_of(x);
	out = exchange_out(x);
	before = buf_length(out);
	if (!compose_failure(out, x->use->conf, &answer, &told, &delivery,
			     x->use->turn->now.wall_s))
		out_of_memory(x);
	else
		answered(x, failure_status(failure), buf_length(out) - before);
}

/* ---- passing on ----------------------------------------------------------------------------- */

void exchange_pass_interim(struct exchange *x, const struct http_response *res)
{
	/* RFC 9110 15.2: none to HTTP/1.0; 100 only to those who wait for it (HAZARDS A8) */
	if (x->sink == NULL || x->req.version_minor == 0 ||
	    (res->status == 100 && !x->req.expect_continue))
		return;
	if (compose_interim(exchange_out(x), x->use->conf, res))
		x->sink->kind->push(x->sink);
}

void exchange_pass_head(struct exchange *x, const struct http_response *res)
{
	struct delivery delivery = delivery_of(x);
	struct buf *out;
	size_t before;

	x->status = res->status;
	if (x->sink == NULL)
		return;
	x->keep_alive = may_keep_alive(x) && !compose_needs_close(res, &delivery);
	tell_key(x);
	delivery.keep_alive = x->keep_alive;
	x->chunked = compose_is_chunked(res, &delivery);
	out = exchange_out(x);
	before = buf_length(out);
	if (!compose_response(out, x->use->conf, res, &x->status_field, &delivery,
			      x->use->turn->now.wall_s)) {
		x->sink->kind->abort(x->sink);
		return;
	}
	x->bytes_out += buf_length(out) - before;
	if (compose_needs_close(res, &delivery))
		x->sink->kind->unfinished(x->sink);
	/* Content is likely to be at hand: the head goes out with it, or with the end. */
	if (res->body != BODY_NONE)
		x->sink->kind->push(x->sink);
}

bool exchange_pass_content(struct exchange *x, struct slice content)
{
	char head[CHUNK_HEAD_MAX];
	struct iovec parts[3];
	int count_parts = 0;

	if (x->sink == NULL)
		return true;
	if (x->chunked)
		parts[count_parts++] =
			iovec_of(slice_of(head, compose_chunk_head(head, content.n)));
	parts[count_parts++] = iovec_of(content);
	if (x->chunked)
		parts[count_parts++] = iovec_of(SLICE("\r\n"));
	for (int i = 0; i < count_parts; i++)
		x->bytes_out += parts[i].iov_len;
	if (x->sink->kind->send(x->sink, parts, count_parts))
		return true;
	hold(x);
	return false;
}

void exchange_drained(struct exchange *x)
{
	release(x);
	x->frontend->drained(x);
}

void exchange_pass_end(struct exchange *x)
{
	if (x->sink != NULL && x->chunked) {
		if (!buf_append(exchange_out(x), SLICE("0\r\n\r\n"))) {
			out_of_memory(x);
			return;
		}
		x->bytes_out += 5;
	}
	exchange_end(x);
}
