/*
 * One request on a connection to an origin: connect or reuse, send, read the answer, keep or close.
 *
 * A connection is kept only when both messages ended cleanly and nothing is left over; bytes that
 * no request asked for close it, also while it is idle (HAZARDS A2).  A kept one that turns out
 * dead before the first byte of an answer is replaced once, if the request may be repeated (A9).
 */
#ifndef PROXY_ORIGIN_ORIGIN_H
#define PROXY_ORIGIN_ORIGIN_H

#include "proxy/http1/body.h"
#include "proxy/loop/conn.h"
#include "proxy/origin/dialer.h"
#include "proxy/limits/pace.h"
#include "proxy/http1/parse.h"
#include "proxy/origin/admission.h"
#include "proxy/origin/pool.h"

struct origins; /* what they use and share: idle connections, memory for heads */

/* Both outlive it.  NULL when out of memory. */
struct origins *origins_new(struct dialers *dialers, const struct admission *admission);

/* Connections that are idle are closed. */
void origins_free(struct origins *origins);

/*
 * What the origin's answer does, in order: interim*, head, content*, end; or failure instead of
 * what is left.  None is called before origin_start() returns.  After end or failure the struct
 * origin is not the asker's any more.  Messages are valid during the call.
 */
struct origin_events {
	void (*interim)(void *context, const struct http_response *res);
	/*
	 * Instead of all else, of a request that asked for another protocol: 101.  The connection
	 * is the asker's now, to be owned in this call, and `early` what came after the head.
	 */
	void (*switched)(void *context, const struct http_response *res, struct conn *conn,
			 struct slice early);
	void (*head)(void *context, const struct http_response *res);
	bool (*content)(void *context,
			struct slice content); /* false: pause until origin_resume() */
	void (*end)(void *context);
	void (*failure)(void *context, enum failure failure);
	void (*drained)(void *context); /* more request content may be sent */
};

struct origin {
	uint32_t magic;
	bool closed;
	bool reused;
	bool repeatable; /* the request may be sent again (HAZARDS A9) */
	bool got_bytes;  /* of the answer */
	bool request_done;
	bool upgrade; /* the request asks for another protocol */
	bool chunked; /* the request's content */
	bool head_done;
	bool mended;  /* a head of the answer was not by the grammar */
	bool keep;    /* the answer allows the connection to live on */
	bool paused;  /* the asker takes no content now */
	bool put_off; /* what is in `in` waits for the next turn */
	bool wants_drained;
	uint8_t interims;
	enum http_method method;
	struct origins *use;
	struct conn *conn; /* NULL before it is connected */
	struct dialer *dialer;
	struct pool_host *host;
	const struct origin_events *events; /* NULL when idle */
	void *context;
	struct buf request; /* the head, kept until an answer begins */
	size_t request_sent;
	struct buf connect; /* head for the parent, when a tunnel leads to the origin */
	struct buf out;     /* request content */
	struct buf in;
	struct body body;
	struct pace taking;    /* of what waits to be sent */
	struct pace giving;    /* of the answer's content */
	int64_t head_until_ms; /* monotonic, of the next head; 0 before the request was sent */
	struct parse_progress progress;
	union address address;
	uint32_t admission; /* of what comes from there: admission.h */
	struct pool_idle idle;
	struct share share;
	struct holding at_work; /* of the request under way, at this origin */
	struct holding spare;   /* of the connection, when it is in no client's place */
	budget_id holder;       /* who asked last */
	struct task resume;
	struct route route; /* its host is part of the key */
	char key[ROUTE_KEY_MAX];
};

/* Who asks, and what is done with the answer. */
struct origin_asker {
	budget_id holder; /* for whom (budgets.h) */
	bool is_extra;    /* for no client's request: its connection is in no client's place */
	const struct origin_events *events;
	void *context;
};

/*
 * Ask by way of `route`: `head` is a request head composed for it, whose memory is taken over.
 * NULL with *ret_failure when there is no room.
 */
struct origin *origin_start(struct origins *origins, const struct http_request *req,
			    const struct route *route, struct buf *head,
			    const struct origin_asker *asker, enum failure *ret_failure);

/* Content of the request.  False: enough waits to be sent, hold back until drained. */
bool origin_send(struct origin *origin, struct slice content);
void origin_send_end(struct origin *origin);

/* Go on with the answer's content. */
void origin_resume(struct origin *origin);

/* Is there something to read of it, or room to send?  Asks the kernel. */
bool origin_has_event(const struct origin *origin);

/* Forget the question; the connection closes.  No event comes any more. */
void origin_cancel(struct origin *origin);

#endif
