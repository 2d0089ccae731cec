/*
 * A connection to an origin as the files that work on it see it: its state, what to wait for by
 * that state, and the one way out.  origin.h is for who asks; the request is origin.c's, the answer
 * origin_answer.c's.
 */
#ifndef PROXY_ORIGIN_ORIGIN_STATE_H
#define PROXY_ORIGIN_ORIGIN_STATE_H

#include "proxy/http1/body.h"
#include "proxy/loop/conn.h"
#include "proxy/origin/dialer.h"
#include "proxy/limits/pace.h"
#include "proxy/http1/parse.h"
#include "proxy/http1/response_memo.h"
#include "proxy/origin/admission.h"
#include "proxy/origin/pool.h"

/* What they use and share: idle connections, memory for heads. */
struct origins {
	const struct conf *conf;
	struct turn *turn;
	const struct budgets *budgets;
	const struct access *access;
	struct dialers *dialers;
	const struct admission *admission;
	struct pool *pool;
	struct response_memo *memo;
	/* Of the head that is being handled. */
	struct http_field response_lines[PARSE_FIELDS_MAX];
	char response_mended[PARSE_MENDED_MAX];
};

/*
 * What the origin's answer does, in order: interim*, head, content*, end; or failure instead of
 * what is left.  None is called before origin_start() returns.  After end or failure the struct
 * origin is not the asker's any more.  Messages are valid during the call.  What cannot come of the
 * asker's requests may be NULL.
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
	struct pace send_pace; /* of what waits to be sent */
	struct pace recv_pace; /* of the answer's content */
	int64_t sent_us;       /* monotonic: the last bytes of the request were sent */
	int64_t first_us;      /* likewise: the next head began to come; 0 before */
	struct origin_times times;
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

/* Its request is no more at work, and its connection in no place of its own. */
void origin_give_places(struct origin *origin);

/* The one way out: the connection closes, and no event comes any more. */
void origin_release(struct origin *origin);

/* The same, and the asker has its failure. */
void origin_fail(struct origin *origin, enum failure failure);

/* What to wait for, and how long: decided from the state alone. */
void origin_settle(struct origin *origin);

#endif
