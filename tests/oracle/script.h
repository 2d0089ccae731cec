/* clang-format off */
/*
 * Plays the exchanges of tests/exchanges/: what clients and origins say, and what they must get,
 * over fake connections.  A block of text (vectors.h) is a test; "~" is CRLF, and on a line of what
 * is expected "*" is anything:
 *
 *	# the next one is a hit			title: what holds
 *	set max_ttl 30s				an option, before all else
 *	rules rule "a" { ... }			rules, all in one line, behind the options
 *	whole					bytes do not come in pieces here: it would be another case
 *	c > GET http://a.test/ HTTP/1.1~...	client c (or c1, c2) says
 *	o < GET / HTTP/1.1~*			the origin connection made first (then o1, o2) got,
 *						since the last such line, exactly
 *	o > HTTP/1.1 204 No Content~~		it says
 *	c fin | gone | rst			FIN; FIN, and reads no more; RST
 *	c open | ended | closed | reset		what the proxy did with the connection
 *	c room 10 | takes 5 | reads 7		bytes that it takes from now on, all for any number;
 *						of one call to send; of one call to receive
 *	c new					another connection of that client
 *	c behind PROXY TCP4 ...~		another, by way of a load balancer that says this
 *	o none					no such connection was made
 *	connect ok | later | refused | unreachable | timeout	how connects end from now on
 *	o accept | refuse			how one ends that was for later
 *	tls ok | certificate | protocol		how handshakes end
 *	name a.test 10.0.0.1 100ms		addresses of a name, commas between, and when
 *	hold | go				events of the lines between come in one turn
 *	wait 30s				time passes
 *	stopped 30s				the same, without a turn of the loop in it
 *	down | drained				the proxy is told to end; its time is over
 *	counts requests=1 answer.204.hit=1	all numbers that have changed since the last such line, see
 *						numbers.h
 *	logs {"time":*				the lines of the access log since then
 *	shows a.test requests=1 ...		hosts, URLs and the last errors
 *
 * Names: a.test and b.test have an address each.  In the end time passes until all must be closed.
 */
/* clang-format on */
#ifndef TESTS_ORACLE_SCRIPT_H
#define TESTS_ORACLE_SCRIPT_H

#include "tests/oracle/schedule.h"
#include "tests/support/vectors.h"

/* What else happens. */
enum script_trouble {
	TROUBLE_NONE,
	TROUBLE_CLIENTS_END,
	TROUBLE_CLIENTS_LEAVE,
	TROUBLE_CLIENTS_RESET,
	TROUBLE_ORIGINS_END,
	TROUBLE_ORIGINS_LEAVE,
	TROUBLE_ORIGINS_RESET,
	TROUBLE_DRAIN,
	TROUBLE_TIME, /* nobody says anything more */
	TROUBLE_COUNT
};

struct script_way {
	size_t piece; /* bytes said, read and sent at once; 0 for any number */
	bool of_clients, of_origins;
	enum script_trouble trouble;
	unsigned after; /* so many lines, and bytes of the next one; nothing is expected then */
	size_t bytes;
	const struct schedule_trouble *failing; /* NULL for nothing; nothing is expected else */
	bool *happened;                         /* whether that has failed */
};

/*
 * NULL when it came out as written, and nothing is left over; else what did not.  *ret_lines is how
 * many lines there are.
 */
const char *script_play(const struct vector *vector, const struct script_way *way,
			unsigned *ret_lines);

/* The bytes that line `line` says, 0 when it says none. */
size_t script_says(const struct vector *vector, unsigned line);

#endif
