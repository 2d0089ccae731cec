/*
 * One request on a connection to an origin: connect or reuse, send, read the answer, keep or close.
 *
 * A connection is kept only when both messages ended cleanly and nothing is left over; bytes that
 * no request asked for close it, also while it is idle (HAZARDS A2).  A kept one that turns out
 * dead before the first byte of an answer is replaced once, if the request may be repeated (A9).
 */
#ifndef PROXY_ORIGIN_ORIGIN_H
#define PROXY_ORIGIN_ORIGIN_H

#include "proxy/origin/origin_state.h"

/* Both outlive it.  NULL when out of memory. */
struct origins *origins_new(struct dialers *dialers, const struct admission *admission);

/* Connections that are idle are closed. */
void origins_free(struct origins *origins);

/* The request's owner, and how it receives the answer. */
struct origin_asker {
	budget_id holder; /* for whom (budgets.h) */
	bool is_extra;    /* for no client's request: its connection is in no client's place */
	const struct origin_events *events;
	void *context;
};

/*
 * Ask the origin along its route: `head` is a request head composed for it, whose memory is taken
 * over.  NULL with *ret_failure when there is no room.
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
