/*
 * A client as the files that work on it see it: its state, its place among the limits, and its end.
 * client.h is for who accepts connections; requests are client_requests.c's, answers
 * client_sink.c's.
 */
#ifndef PROXY_CLIENT_CLIENT_STATE_H
#define PROXY_CLIENT_CLIENT_STATE_H

#include <assert.h>

#include "proxy/base/buf.h"
#include "proxy/loop/conn.h"
#include "proxy/exchange/exchange.h"
#include "proxy/limits/pace.h"
#include "proxy/http1/parse.h"

enum {
	CLIENT_MAGIC = 0x436c6e74,
	CLIENT_LINGER_MS = 2000, /* read on after the last answer, so that no RST destroys it */
	CLIENT_LINGER_BYTES = 1 << 20,
	CLIENT_LOOK_MS = 300, /* for the first line in a tunnel that may be HTTP */
	CLIENT_REFUSAL_MS =
		2000, /* to send the request that is refused; then again to read the answer */
};

struct parse_memo;
struct tls_server;

/* What clients use, all of which outlives them, and all of them. */
struct clients {
	const struct conf *conf;
	struct turn *turn;
	const struct cache_counts *counts; /* bytes that lookups compared count against the share */
	const struct access *access;
	const struct budgets *budgets;
	struct tls_server *tls; /* NULL when no address has TLS */
	struct exchanges *exchanges;
	struct parse_memo *memo; /* of requests' fields */
	struct client *first;
	bool ending;                                       /* whoever is idle is closed */
	struct http_field lines[PARSE_REQUEST_FIELDS_MAX]; /* of the head that is being handled */
};

struct client {
	struct answer_sink sink; /* of the exchange under way */
	uint32_t magic;
	bool body_paused;  /* until sink_resume() */
	bool held;         /* nothing of the body is taken until sink_let_go() */
	bool fin_received; /* the peer sent FIN */
	bool all_read;     /* the last recv() took all that was there */
	bool said_last;   /* by the request under way, or the last one: it sends nothing after it */
	bool advancing;   /* client_advance() is on the stack */
	bool stalled;     /* requests wait in `in` for room in `out` */
	bool put_off;     /* what is in `in` waits for the next turn */
	bool in_head;     /* a request head has begun: its deadline stands */
	bool looking : 1; /* at the first bytes of a tunnel, what they are: likewise */
	bool look_held : 1; /* that deadline begins when the 200 has been sent */
	bool is_tls : 1;    /* speaks TLS, or is to */
	bool lingering : 1;
	uint8_t listener; /* that it was accepted by: its row of the statistics */
	uint8_t refusal; /* an enum failure: what its first request is answered with, whatever it is */
	struct clients *all;
	const struct frontend *frontend;
	struct conn *conn; /* NULL when closed */
	struct exchange *exchange;
	struct buf in;
	struct buf out;
	struct pace send_pace; /* of what waits to be sent */
	struct pace recv_pace; /* of a request's body */
	struct parse_progress progress;
	union {
		uint32_t requests;
		uint32_t lingered; /* bytes, while it is lingering */
	};
	union address peer;
	struct holding place;        /* of its connection, in the budget of clients or another */
	struct client *next, **link; /* in all->first */
	struct share share;
	int64_t waits_since_us; /* start of the turn that read what was put off; 0 for none */
	struct task resume;     /* go on reading */
	struct task push;       /* send what was composed */
};

/* It and its connection (conn.c) are most of what an idle client takes: README.md says how much. */
_Static_assert(sizeof(struct client) <= 280, "an idle client: 0.49 KiB with its connection");
_Static_assert(FAILURE_COUNT <= UINT8_MAX, "client.refusal");

/* Count traffic of clients: operators' requests are not included. */
#define COUNT_TRAFFIC(client, name, n)                \
	do {                                          \
		if (!(client)->frontend->is_reserved) \
			STATS_ADD(name, n);           \
	} while (0)

static inline struct client *client_of(void *owner)
{
	struct client *client = owner;

	assert(client->magic == CLIENT_MAGIC);
	return client;
}

/*
 * Its first request is answered with the refusal, whatever it asks for: an answer can be
 * understood, a closed connection cannot.  Many at a time are just closed.
 */
void client_refuse(struct client *client, enum failure refusal);

/* Refuse it unless its connection has got a place. */
void client_enter(struct client *client, enum budget_verdict verdict);

/*
 * Close now, without another byte, and with an RST if an answer is not all sent.  The exchange
 * under way is abandoned.
 */
void client_close(struct client *client);

/* The same with an RST, so that a cut answer that ends by closing does not look complete. */
void client_abort(struct client *client);

/* Nothing is asked, under way, or to be sent; what the kernel has of it counts, too. */
bool client_is_idle(const struct client *client);

/* Everything but the socket goes; memory at the end of the turn. */
void client_release(struct client *client);

/* Free it: one that is queued, when its last task is run. */
void client_free_later(struct client *client);

#endif
