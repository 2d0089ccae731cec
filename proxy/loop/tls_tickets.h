/*
 * Keys of session tickets (RFC 5077, RFC 8446 4.6.1), with which clients resume their sessions at
 * any worker, after a reload and after an upgrade.
 *
 * They are of the process, and those forked from it: all processes derive the same keys from one
 * secret by the monotonic clock, without a word between them.  A key is made for PERIOD_S seconds,
 * and is accepted for as long again.  Each period's secret is a hash of the one before, which is
 * forgotten: who learns it cannot read sessions of the past.
 */
#ifndef PROXY_LOOP_TLS_TICKETS_H
#define PROXY_LOOP_TLS_TICKETS_H

#include <stdbool.h>

enum {
	TICKETS_PERIOD_S = 3600,
	TICKETS_TEXT = 2 * (2 * 80 + 32) + 32,
};

struct ticket_key {
	unsigned char name[16]; /* in the clear on tickets: which key it is */
	unsigned char cipher[32];
	unsigned char mac[32];
};

/* With a secret of its own; before anything else.  False without random bytes. */
bool tls_tickets_begin(void);

/* What another program needs to go on with the same keys: a line of text.  Wipe it after use. */
void tls_tickets_write(char to[TICKETS_TEXT]);

/* Go on with those of such a text, or begin anew when it is none. */
bool tls_tickets_read(const char *text);

/* Forget what is past; whenever a key is asked for as well. */
void tls_tickets_turn(void);

/* The key for tickets made now. */
const struct ticket_key *tls_tickets_key(void);

/* The key of that name; NULL for none that counts.  *ret_renew: it is not for tickets made now. */
const struct ticket_key *tls_tickets_find(const unsigned char name[16], bool *ret_renew);

#endif
