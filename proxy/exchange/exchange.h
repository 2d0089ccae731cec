/*
 * One request and its answer.
 *
 * An exchange begins when a request head was read and ends exactly once, by exchange_end() inside
 * one of the functions below that finish an answer.  It belongs to its client, or, when it has none
 * (a validation in the background, or a fetch that others wait for after its client left), to its
 * fetch.
 *
 * Until exchange_park() its request is a view of the client's buffer; a front end that does not
 * answer before handle() returns parks it, which gives the request memory of its own.
 */
#ifndef PROXY_EXCHANGE_EXCHANGE_H
#define PROXY_EXCHANGE_EXCHANGE_H

#include "cache/cache.h"
#include "conf/conf.h"
#include "proxy/exchange/failure_log.h"
#include "proxy/exchange/sink.h"
#include "proxy/http1/body.h"
#include "proxy/http1/compose.h"
#include "proxy/limits/budgets.h"
#include "proxy/loop/turn.h"
#include "proxy/stats/origin_times.h"
#include "proxy/stats/stats.h"

struct accesslog;
struct env;
struct fetch;
struct inquiry;
struct login;
struct tunnel;

/* What exchanges use and share; all of it outlives them. */
struct exchanges {
	const struct conf *conf;
	struct turn *turn;
	struct cache *cache;
	struct accesslog *accesslog; /* NULL for none */
	struct env *env;             /* of the front ends (loop/env.h) */
	struct exchange *spare;      /* memory of those that have ended, see exchanges_free() */
	uint64_t answered;           /* at once, in the event under way; for client.c */
};

/* Memory that was kept for exchanges to come. */
void exchanges_free(struct exchanges *exchanges);

enum { EXCHANGE_MAGIC = 0x45786368 };

struct exchange {
	uint32_t magic;
	struct exchanges *use;
	struct answer_sink *sink; /* NULL: the answer has no receiver */
	const struct frontend *frontend;
	struct http_request req;
	struct body body;  /* of the request, once its head was read; the client's alone */
	void *memory;      /* of a parked request */
	struct slice user; /* who logged in, credentials.c's; else the subject of the client's
			      certificate, its connection's or in `memory`; empty for none */

	int64_t started_us; /* monotonic: the head was read */
	int64_t age_s;      /* its Age */
	int64_t ttl_s;      /* lifetime left, negative when stale */
	int64_t held_us;    /* that the client did not take what there was; see hold() */
	struct cache_status status_field;
	char *key; /* that it tells, when the target is not written so */
	enum outcome outcome;
	enum failure failure;
	enum reason asked;         /* why its origin is asked, by the first look-up */
	uint16_t status;           /* of the answer; 0 while none was begun */
	bool keep_alive;           /* the answer lets the client's connection live on */
	bool chunked;              /* the content is sent in chunks */
	bool no_wait;              /* waited for another's fetch already */
	bool stored_for;           /* and what that fetched was stored */
	enum failure released_for; /* what it waited for has failed so; it need not wait any more */
	bool from_record;          /* the answer is a stored response: */
	bool held;                 /* the client does not take what there is, now */
	uint8_t listener;          /* that it came by: its row of the statistics */
	uint64_t bytes_in;
	uint64_t bytes_out;
	union address peer;        /* the client's; family 0 when it never had one */
	union address origin;      /* asked; family 0 when none */
	struct origin_times times; /* on the way to it */
	budget_id holder;          /* its holder when it has no client; 0 for none */
	struct cache_key uri_key;  /* of its target, once that was looked up; else all zero */

	struct fetch *fetch;    /* what it waits for or leads */
	int64_t waits_since_ms; /* for that; on the clock of deadlines */
	struct exchange *next_waiter;
	struct exchange **waiter_link; /* in the fetch's list, or of those released; else NULL */
	struct tunnel *tunnel;
	union {
		struct login *login;     /* while its password waits to be verified */
		struct inquiry *inquiry; /* an operator's, while an origin is asked for it */
	};
	struct cache_kept *kept; /* the stored record that is being validated */
};

/* For whom it holds what it holds. */
budget_id exchange_holder(const struct exchange *x);

/* Who handles a listener's requests. */
struct frontend {
	const char *name;
	/*
	 * Operators': gets through when clients are at their limits, and is not counted or logged
	 * as traffic.
	 */
	bool is_reserved;
	bool chosen;    /* the operator chose the destination: address rules do not apply */
	bool is_origin; /* to its clients: those of HTTP/1.0 may ask for a connection to be kept */
	bool is_inside; /* its requests came in a tunnel that is read as HTTP (inside.h) */
	bool behind;    /* a load balancer that the operator named may stand before it */
	struct slice origin_uri; /* of its one origin, as "http://a.test:8080"; empty for none */
	/* A whole request head: answer, fail, or park and answer later. */
	void (*handle)(struct exchange *x);
	/*
	 * Content of the request's body, decoded; false: enough for now, wait for
	 * exchange_resume().
	 */
	bool (*body)(struct exchange *x, struct slice content);
	void (*body_end)(struct exchange *x);
	/* Look a parked request up anew, after the fetch it waited for; it does not wait again. */
	void (*again)(struct exchange *x);
	/* The answer's content has drained: more may come. */
	void (*drained)(struct exchange *x);
	/*
	 * Stop the work for this exchange, which the caller ends or fails next.  True: the client
	 * is gone, but others wait for the work, and it keeps the exchange, without a client, to
	 * its end.
	 */
	bool (*cancel)(struct exchange *x);
};

/*
 * A new exchange for a client's request, or, without a sink, for nobody's.  NULL when out of
 * memory.
 */
struct exchange *exchange_new(struct exchanges *use, struct answer_sink *sink,
			      const struct frontend *frontend);

/* What the log tells of it. */
static inline struct failure_subject exchange_subject(const struct exchange *x)
{
	return (struct failure_subject){&x->req, &x->peer, &x->origin, x->use->turn->now_ms};
}

/* Memory to compose an answer into. */
static inline struct buf *exchange_out(struct exchange *x)
{
	return x->sink->kind->out(x->sink);
}

/* Go on with the content of the request, if it has a client still. */
static inline void exchange_resume(struct exchange *x)
{
	if (x->sink != NULL)
		x->sink->kind->resume(x->sink);
}

/* Give the request memory of its own.  False when out of memory (then fail it). */
bool exchange_park(struct exchange *x);

/* Keep a copy of the record found, for a validation.  False when out of memory. */
bool exchange_keep_record(struct exchange *x, const struct cache_lookup *found);

/*
 * Answer from a record: 204, or 304 when the client's condition asks for it.  Ends the exchange.
 * False, and nothing was done, when the record's bytes were taken back since it was looked up
 * (cache/base/view.h): they may be another's by now, and the exchange goes on as if there were no
 * record.
 */
bool exchange_answer_record(struct exchange *x, const struct record_view *record);

/* Pass a response on: interim ones, then head, content and end, which ends the exchange. */
void exchange_pass_interim(struct exchange *x, const struct http_response *res);
void exchange_pass_head(struct exchange *x, const struct http_response *res);
bool exchange_pass_content(struct exchange *x, struct slice content); /* false: wait for drained */
void exchange_pass_end(struct exchange *x);

/* The client has taken all that was passed on: more may come. */
void exchange_drained(struct exchange *x);

/* Answer with an error made here; when the head was sent already, cut the connection.  Ends it. */
void exchange_fail(struct exchange *x, enum failure failure);

/* An answer of our own.  Ends the exchange. */
void exchange_answer_local(struct exchange *x, unsigned status, const char *content_type,
			   struct slice extra, struct slice content);

/* Give back one that never became an exchange: its request head is not whole. */
void exchange_discard(struct exchange *x);

/* Its client left.  Ends the exchange unless a fetch goes on without a client. */
void exchange_abandon(struct exchange *x);

/* End without an answer to anybody: count and log, free.  For clientless ones, and tunnels. */
void exchange_end(struct exchange *x);

#endif
