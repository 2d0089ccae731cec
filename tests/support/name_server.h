/*
 * A name server on loopback, UDP and TCP on one port, in the loop of the test: answers by script,
 * well or badly.
 */
#ifndef TESTS_SUPPORT_NAME_SERVER_H
#define TESTS_SUPPORT_NAME_SERVER_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

enum { NAME_A = 1, NAME_AAAA = 28 };

/* What is wrong with an answer. */
enum name_trick {
	TRICK_NONE,
	TRICK_SILENCE,          /* none at all */
	TRICK_TRUNCATED,        /* empty with TC over UDP, right over TCP */
	TRICK_TCP_SILENCE,      /* TC over UDP, none at all over TCP */
	TRICK_TCP_CUT,          /* TC over UDP; over TCP the connection ends in the middle */
	TRICK_GARBAGE,          /* bytes that are no message */
	TRICK_EMPTY_FIRST,      /* a datagram of no bytes, then the right one */
	TRICK_WRONG_ID_FIRST,   /* a lie under another id, then the right one */
	TRICK_WRONG_NAME_FIRST, /* a lie to another question, then the right one */
	TRICK_FOREIGN_FIRST,    /* a lie from another port, then the right one */
	TRICK_CUT_RECORD,       /* ends within a record */
	TRICK_POINTER_LOOP,     /* a name that points to itself */
	TRICK_CNAME,            /* an alias, kept `cname_ttl` seconds, then the addresses */
	TRICK_CNAME_ONLY,       /* an alias, and nothing for it */
};

/* What is said to a question.  The first row that fits is taken; without one the name does not
 * exist. */
struct name_row {
	const char *name;
	int type;              /* NAME_A or NAME_AAAA */
	const char *addresses; /* with spaces between; NULL for none */
	uint32_t ttl;
	unsigned rcode;
	enum name_trick trick;
	uint32_t cname_ttl;
	unsigned delay_ms;
};

struct name_server;

/* `rows` ends with a row without name, and stays valid. */
struct name_server *name_server_new(struct ev_loop *loop, const struct name_row *rows);
void name_server_free(struct name_server *server);

/* Other rows from now on. */
void name_server_set(struct name_server *server, const struct name_row *rows);

/* "127.0.0.1:PORT", valid as long as the server. */
const char *name_server_address(const struct name_server *server);

/* Questions that came in over UDP, or over TCP. */
unsigned name_server_questions(const struct name_server *server, bool tcp);

#endif
