/*
 * Who asked what, and who was answered how: the messages of a test's clients and origins, with
 * names in them that tell what belongs to what, and the judgement on what the proxy made of them.
 *
 * Requests have a field X-Request, answers a field X-Answer, with a name that no input can guess;
 * bodies are made of that name and of what looks like messages.  What was sent is read again by
 * the proxy's own parser, from the bytes at the far ends (fake_conn.h).
 */
#ifndef TESTS_ORACLE_WITNESS_H
#define TESTS_ORACLE_WITNESS_H

#include "proxy/http1/body.h"
#include "proxy/http1/parse.h"
#include "tests/doubles/fake_conn.h"

enum {
	WITNESS_NAMES = 1024, /* requests and answers, each, at most */
	WITNESS_NONE = -1,
};

struct asked {
	const char *method;
	const char *host, *path; /* of an absolute-form target; host alone for CONNECT */
	const char *fields;      /* whole lines, more */
	size_t length;           /* of the body */
	size_t chunk; /* 0: told by Content-Length if there is one, else chunks so long */
	bool tls;     /* https */
	int version;  /* 0: HTTP/1.0 */
	const struct fake_peer *by;
};

struct answered {
	unsigned status;
	const char *fields;
	bool shareable;     /* others may be given it, */
	int fresh_s;        /* for so long, */
	int stale_s;        /* for so long after that by its own leave, */
	bool strict;        /* by nobody else's, */
	const char *secret; /* without this field */
	bool unasked;       /* said without a request */
	bool until_close;
	size_t length;
	size_t chunk;
	int version;
};

struct witness;

/* Names are made with `salt`.  There is one at a time. */
struct witness *witness_new(uint32_t salt);
void witness_free(struct witness *witness);

/* The bytes of a request, valid until the next call.  Empty when names are used up. */
struct slice witness_ask(struct witness *witness, const struct asked *asked);

/*
 * The oldest request that came to an origin, whole unless `early`, and was not answered; false for
 * none.  NULL in *ret_asked: nobody knows it.
 */
bool witness_outstanding(struct witness *witness, const struct fake_peer *origin, bool early,
			 const struct asked **ret_asked);

/* What waits for an answer is a CONNECT, to the parent. */
bool witness_is_connect(const struct witness *witness, const struct fake_peer *origin);

/* And came with a password: a validation in the background has not that of who caused it. */
bool witness_is_authorized(const struct witness *witness, const struct fake_peer *origin);

/* Everything that an origin was asked, some of it at least, was answered. */
bool witness_is_idle(struct witness *witness, const struct fake_peer *origin);

/* The bytes of an answer to it.  Empty when there is none (and it is not unasked). */
struct slice witness_answer(struct witness *witness, const struct fake_peer *origin,
			    const struct answered *answered);

/* All of an origin's answers are on their way, from now on. */
void witness_said(struct witness *witness, const struct fake_peer *origin);

/*
 * Somebody says bytes of which nothing is known: less can be told of what comes of them.  NULL is
 * every client.
 */
void witness_raw_client(struct witness *witness, const struct fake_peer *client);
void witness_raw_origin(struct witness *witness, const struct fake_peer *origin);

/* The proxy passes a change of protocol on: what follows is nobody's business. */
void witness_upgrade(struct witness *witness);

/* What follows CONNECT may be requests to the proxy, or pass as it is, whatever the port. */
void witness_reads_tunnels(struct witness *witness);

/* The addresses of a host begin with this text, and no other host has such. */
void witness_home(struct witness *witness, const char *host, const char *addresses);

/*
 * An operator begins a purge of a host, of what begins so (`path` of its http URIs), or of a group of
 * it; NULL for not given, all NULL for everything.  Returns a number, to be told when it is answered:
 * requests from then on get nothing that an origin was asked for before it began.
 */
struct purged {
	const char *host, *path, *group;
};
int witness_purge_begins(struct witness *witness, const struct purged *purged);
void witness_purge_ends(struct witness *witness, int purge);

/* The store may fail to remove what it should. */
void witness_store_fails(struct witness *witness);

/* All requests go to a parent proxy. */
void witness_parent(struct witness *witness);

/* There are troubles that may leave requests without an answer. */
void witness_excuse(struct witness *witness);

/* There is little room for those who are to be told no: the rest of them is closed without a word.
 */
void witness_may_be_wordless(struct witness *witness);

/* When all connections are closed: NULL, or what the proxy did that it must not. */
const char *witness_judge(struct witness *witness);

/*
 * Final status of the n-th answer that a client got; 0 when there is none.  *ret_own: the proxy
 * made it for a failure.
 */
unsigned witness_status(struct witness *witness, const struct fake_peer *client, unsigned index,
			bool *ret_own);

#endif
