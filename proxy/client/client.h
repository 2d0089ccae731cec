/*
 * A client's connection: reads requests, one at a time, and sends answers in their order.
 *
 * While an exchange is under way, what the client sends ahead is kept up to HIGH_WATER bytes, then
 * not read.  client.c owns the connection and the buffers; the exchange under way is its own until
 * it ends.
 */
#ifndef PROXY_CLIENT_CLIENT_H
#define PROXY_CLIENT_CLIENT_H

#include "proxy/http1/body.h"
#include "proxy/base/buf.h"
#include "proxy/loop/conn.h"
#include "proxy/exchange/exchange.h"
#include "proxy/limits/pace.h"
#include "proxy/http1/parse.h"

enum {
	CLIENT_LINGER_MS = 2000, /* read on after the last answer, so that no RST destroys it */
	CLIENT_LINGER_BYTES = 1 << 20,
	CLIENT_REFUSAL_MS = 2000, /* to say what is refused and be told so; if it did not, again */
};

struct parse_memo;

/* What clients use, all of which outlives them, and all of them. */
struct clients {
	const struct conf *conf;
	struct turn *turn;
	const struct cache_counts *counts; /* how much lookups go through is a part of a turn */
	const struct access *access;
	const struct budgets *budgets;
	struct exchanges *exchanges;
	struct parse_memo *memo; /* of requests' fields */
	struct client *first;
	struct http_field lines[PARSE_REQUEST_FIELDS_MAX]; /* of the head that is being handled */
};

struct client {
	struct answer_sink sink; /* of the exchange under way */
	uint32_t magic;
	bool body_paused; /* until sink_resume() */
	bool held;        /* nothing of the body is taken until sink_let_go() */
	bool ended;       /* the peer sent FIN */
	bool lingering;
	bool advancing; /* client_advance() is on the stack */
	bool stalled;   /* requests wait in `in` for room in `out` */
	bool put_off;   /* what is in `in` waits for the next turn */
	bool in_head;   /* a request head has begun: its deadline stands */
	struct clients *all;
	const struct frontend *frontend;
	enum failure refusal; /* what its first request is answered with, whatever it is */
	struct conn *conn;    /* NULL when closed */
	struct exchange *exchange;
	struct buf in;
	struct buf out;
	struct body body;
	struct pace taking; /* of what waits to be sent */
	struct pace giving; /* of a request's body */
	struct parse_progress progress;
	uint32_t requests;
	uint32_t lingered;
	union address peer;
	struct holding place;        /* of its connection, in the budget of clients or another */
	struct client *next, **link; /* in all->first */
	struct share share;
	int64_t waits_since_us; /* start of the turn that read what was put off; 0 for none */
	struct task resume;     /* go on reading */
	struct task push;       /* send what was composed */
};

/*
 * Takes over an accepted socket; counts and closes it when that is not possible.  A `refusal` other
 * than FAILURE_NONE is what the client's first request is answered with, if it makes one soon.
 */
void client_new(struct clients *clients, const struct frontend *frontend, int fd,
		const union address *peer, enum failure refusal);

/*
 * The same behind a load balancer: the connection must begin with a header of the PROXY protocol,
 * and is the client's that this tells, if that one may use the proxy.
 */
void client_new_behind(struct clients *clients, const struct frontend *frontend, int fd,
		       const union address *sender, enum failure refusal);

/* The proxy goes down: no more requests, idle ones close. */
void clients_drain(struct clients *clients);

/*
 * Close all now, without another byte, and with an RST where an answer is not all sent.  Exchanges
 * under way are abandoned.
 */
void clients_close(struct clients *clients);

#endif
