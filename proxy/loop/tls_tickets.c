/* Keys of session tickets, derived by each process from a secret that all have from the first. */
#include "proxy/loop/tls_tickets.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "cache/base/ascii.h"
#include "proxy/base/monotonic.h"

enum { SECRET = 32 };

/* Of the process; a copy in each that is forked. */
static struct {
	int64_t period;              /* of `now`, counted from the start of the machine */
	struct ticket_key now, past; /* of this period and the one before */
	unsigned char next[SECRET];  /* the secret of the following period */
} keys;

static int64_t period_now(void)
{
	return monotonic_us() / 1000000 / TICKETS_PERIOD_S;
}

static void derive(const unsigned char secret[SECRET], const char *what, unsigned char to[64])
{
	unsigned n = 64;

	HMAC(EVP_sha512(), secret, SECRET, (const unsigned char *)what, strlen(what), to, &n);
}

/* The keys of the period that a secret is of, and the secret after it in its place. */
static void take_period(unsigned char secret[SECRET], struct ticket_key *to)
{
	unsigned char bytes[64];

	derive(secret, "ticket keys", bytes);
	memcpy(to->cipher, bytes, sizeof(to->cipher));
	memcpy(to->mac, bytes + sizeof(to->cipher), sizeof(to->mac));
	derive(secret, "ticket name", bytes);
	memcpy(to->name, bytes, sizeof(to->name));
	derive(secret, "next secret", bytes);
	memcpy(secret, bytes, SECRET);
	explicit_bzero(bytes, sizeof(bytes));
}

bool tls_tickets_begin(void)
{
	if (getrandom(keys.next, SECRET, 0) != SECRET)
		return false;
	keys.period = period_now();
	take_period(keys.next, &keys.past); /* no ticket has it */
	take_period(keys.next, &keys.now);
	return true;
}

void tls_tickets_turn(void)
{
	for (int64_t now = period_now(); keys.period < now; keys.period++) {
		keys.past = keys.now;
		take_period(keys.next, &keys.now);
	}
}

const struct ticket_key *tls_tickets_key(void)
{
	tls_tickets_turn();
	return &keys.now;
}

const struct ticket_key *tls_tickets_find(const unsigned char name[16], bool *ret_renew)
{
	tls_tickets_turn();
	*ret_renew = memcmp(name, keys.now.name, sizeof(keys.now.name)) != 0;
	if (!*ret_renew)
		return &keys.now;
	return memcmp(name, keys.past.name, sizeof(keys.past.name)) == 0 ? &keys.past : NULL;
}

/* ---- from one program to the next ----------------------------------------------------------- */

static char *write_hex(char *to, const void *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to += sprintf(to, "%02x", ((const unsigned char *)bytes)[i]);
	return to;
}

static bool read_hex(const char **from, void *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++, *from += 2) {
		int high = ascii_hex((*from)[0]), low = high < 0 ? -1 : ascii_hex((*from)[1]);

		if (low < 0)
			return false;
		((unsigned char *)bytes)[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

void tls_tickets_write(char to[TICKETS_TEXT])
{
	to += sprintf(to, "%" PRId64 " ", keys.period);
	to = write_hex(to, &keys.now, sizeof(keys.now));
	to = write_hex(to, &keys.past, sizeof(keys.past));
	write_hex(to, keys.next, SECRET);
}

bool tls_tickets_read(const char *text)
{
	int digits = 0;

	if (sscanf(text, "%" SCNd64 " %n", &keys.period, &digits) != 1)
		return tls_tickets_begin();
	text += digits;
	if (read_hex(&text, &keys.now, sizeof(keys.now)) &&
	    read_hex(&text, &keys.past, sizeof(keys.past)) && read_hex(&text, keys.next, SECRET) &&
	    *text == '\0' && keys.period <= period_now() && keys.period >= 0)
		return true;
	return tls_tickets_begin();
}
