/*
 * What the files of the witness share: what was said, and reading it again.
 */
#ifndef TESTS_ORACLE_WITNESS_IMPL_H
#define TESTS_ORACLE_WITNESS_IMPL_H

#include "tests/oracle/wire.h"
#include "tests/oracle/witness.h"

enum { NAME_MAX = 32, SEEN_MAX = 64, HOMES_MAX = 4, PURGES_MAX = 256, NOBODY = -1 };

/* What of a request came to which origin. */
struct request {
	struct asked asked;
	unsigned deliveries; /* connections that it was begun on */
	int64_t asked_ms;
	int seen_at;     /* answers from here on were given when an origin had it */
	int seen_purges; /* and so were purges from here on begun */
};

struct answer {
	struct answered answered;
	const struct fake_peer *origin;
	int request;
	int known_at;    /* requests from here on were asked when a client had got it; or NOBODY */
	int64_t said_ms; /* NOBODY: not yet, not wholly */
};

/* What one side of a tunnel said to the other, by a CONNECT that is request `name`. */
struct passage {
	struct slice bytes;
	int name;
};

/* What an origin got so far. */
struct view {
	bool raw;      /* it said something that nobody knows */
	bool bad;      /* what came is no request */
	bool in_body;  /* of the last one seen */
	bool wrong;    /* content that was not asked to be sent */
	bool closing;  /* its last answer ends when the connection does */
	bool connects; /* the last one seen is a CONNECT, to a parent proxy */
	bool changed;  /* speaks another protocol from here on */
	size_t at;     /* bytes read */
	unsigned seen; /* heads */
	unsigned whole;
	unsigned answered;
	int names[SEEN_MAX];
	bool heads[SEEN_MAX]; /* it was HEAD that came */
	bool authorized[SEEN_MAX];
	uint64_t content;
	struct body body;
};

struct witness {
	struct view views[FAKE_PEERS];
	struct request requests[WITNESS_NAMES];
	struct answer answers[WITNESS_NAMES];
	uint32_t salt;    /* this and what follows is cleared for each */
	bool raw_clients; /* one of them at least, */
	bool raw_all;     /* or all */
	bool raw_origins;
	bool store_fails;
	bool excused;
	bool wordless;
	bool upgrade;
	bool reads_tunnels;
	bool parent;
	struct conf *conf;
	int request_count, answer_count;
	unsigned view_count;
	struct fake_bytes text;
	struct wire wire;                   /* the message that was read last */
	struct passage tunnelled[SEEN_MAX]; /* what clients said after a CONNECT */
	struct passage returned[SEEN_MAX];  /* and got after its answer */
	unsigned tunnel_count, returned_count;
	int clearing[SEEN_MAX]; /* answers that may invalidate */
	unsigned clearing_count;
	struct {
		struct purged purged;
		int known_at; /* requests from here on were asked when it had been answered; or NOBODY */
	} purges[PURGES_MAX];
	int purge_count;
	struct {
		const char *host, *addresses;
	} homes[HOMES_MAX];
	unsigned home_count;
};

enum reading {
	READ_NOTHING, /* there are no bytes */
	READ_PART,    /* of a head */
	READ_HEAD,
	READ_BAD,
};

/* What a body should be made of; kind 0 for nobody knows. */
struct content {
	char kind;
	int n;
	uint64_t at;
	bool wrong;
};

static inline void skip(struct slice *bytes, size_t n)
{
	if (n > 0)
		*bytes = slice_of(bytes->p + n, bytes->n - n);
}

/* The number in a field's value; NOBODY. */
int witness_name_read(const struct witness *w, const struct http_fields *fields, const char *field,
		      char kind, int count);

/* Did who made this request say bytes of which nothing is known? */
bool witness_is_raw(const struct witness *w, int request);

static inline bool begins(struct slice bytes, struct slice start)
{
	return start.n <= bytes.n && (start.n == 0 || memcmp(bytes.p, start.p, start.n) == 0);
}

/* The number in a name; NOBODY when it is none that was given. */
int witness_name_of(const struct witness *w, struct slice name, char kind, int count);

/* A head at the start of `bytes`, of a response to `method` when that is not NULL: in w->wire. */
enum reading witness_read_head(struct witness *w, struct slice bytes,
			       const enum http_method *method);

/* Returns how many bytes are the body's, BODY_BAD and what it is then in *ret_result. */
size_t witness_read_body(struct witness *w, struct body *body, struct slice bytes,
			 struct content *content, enum body_result *ret_result);

struct view *witness_view(struct witness *w, const struct fake_peer *peer);

/* Read on in what an origin got. */
void witness_see(struct witness *w, const struct fake_peer *origin);

/* Is it the target of a tunnel, whose bytes are no messages? */
bool witness_is_tunnel(const struct fake_peer *origin);

/* What is wrong with what came to an origin, what a tunnel brought back, what came twice; or NULL.
 */
const char *witness_judge_origin(struct witness *w, const struct fake_peer *origin);
const char *witness_judge_returned(struct witness *w, const struct passage *passage);
const char *witness_judge_repeats(const struct witness *w);

#endif
