/*
 * The receiver of an exchange's answer: a client's connection, as far as exchanges know it.
 *
 * client.c implements it.  A sink lives at least as long as the exchange under way, which is told
 * by `cancel` of its front end (exchange.h) when its client leaves, and has none from then on.
 */
#ifndef PROXY_EXCHANGE_SINK_H
#define PROXY_EXCHANGE_SINK_H

#include <stdbool.h>

#include "proxy/base/buf.h"
#include "proxy/limits/budgets.h"
#include "proxy/loop/conn.h"

struct answer_sink;
struct exchange;
struct inside;

enum { SINK_PARTS_MAX = 3 }; /* of one send() */

/* A client's connection that is its client's no more. */
struct sink_detached {
	struct conn *conn;
	struct holding place; /* among the clients */
	struct buf early;     /* what the client sent ahead */
	struct buf unsent;    /* what was composed for it, and waits */
	bool fin_received;    /* the client sent FIN */
	bool whole;           /* nothing of these was lost for want of memory */
};

struct answer_sink_kind {
	/* Memory to compose into.  It is sent by push(), or when the exchange has ended. */
	struct buf *(*out)(struct answer_sink *sink);

	/* The exchange under way has ended, its answer is whole in out(). */
	void (*ended)(struct answer_sink *sink, bool keep_alive);

	/* What was composed goes out before the turn ends, with what may be added until then. */
	void (*push)(struct answer_sink *sink);

	/* Send content at once as far as it goes, keeping the rest.  False when enough waits. */
	bool (*send)(struct answer_sink *sink, const struct iovec *parts, int count);

	/*
	 * Only closing will tell that the answer under way is whole: until then, see
	 * conn_unfinished().
	 */
	void (*unfinished)(struct answer_sink *sink);

	/*
	 * Close with an RST, for an answer whose end must not look like one.  The exchange under
	 * way is abandoned.
	 */
	void (*abort)(struct answer_sink *sink);

	/* Go on before the turn ends, with a request's content that was paused. */
	void (*resume)(struct answer_sink *sink);

	/*
	 * Of the request just read, take no byte of its body until it is let go, whatever resumes;
	 * let_go() does nothing when another exchange is under way by then.
	 */
	void (*hold)(struct answer_sink *sink);
	void (*let_go)(struct answer_sink *sink, const struct exchange *x);

	/*
	 * The exchange under way is a tunnel that was answered, and its first bytes tell what it
	 * is: look at them, then tunnel_read() or tunnel_pass().  Takes `inside` over.
	 */
	void (*look)(struct answer_sink *sink, struct inside *inside);

	/*
	 * Hand the connection over, to be owned in this call.  The sink is gone; the exchange is
	 * the caller's.
	 */
	void (*detach)(struct answer_sink *sink, struct sink_detached *ret_detached);
};

/* Embedded in its implementation. */
struct answer_sink {
	const struct answer_sink_kind *kind;
	bool last;         /* no request is read after the one under way; exchanges may set it */
	bool reading_body; /* of the request under way: its end has not come */
	struct inside *inside; /* of a tunnel that is read as HTTP, or may be; else NULL */
};

#endif
