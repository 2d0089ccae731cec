/*
 * Parts of heads, written into room that was reserved: each returns the end of what it wrote.  A
 * composer reserves room once and then only advances, so `at` never passes what was reserved.
 */
#ifndef PROXY_HTTP1_PUT_H
#define PROXY_HTTP1_PUT_H

#include "cache/http/fields.h"
#include "cache/http/message.h"

static inline char *put(char *at, struct slice s)
{
	if (s.n == 0)
		return at;
	memcpy(at, s.p, s.n);
	return at + s.n;
}

#define PUT(at, literal) put((at), SLICE(literal))

static inline char *put_number(char *at, uint64_t n)
{
	char *end = at + 1;

	for (uint64_t rest = n; rest >= 10; rest /= 10)
		end++;
	at = end;
	do {
		*--at = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	return end;
}

static inline char *put_signed(char *at, int64_t n)
{
	if (n < 0)
		*at++ = '-';
	return put_number(at, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
}

static inline char *put_field(char *at, const struct http_field *field)
{
	at = put(at, field->name);
	at = PUT(at, ": ");
	at = put(at, field->value);
	return PUT(at, "\r\n");
}

static inline size_t fields_max(const struct http_fields *fields)
{
	size_t n = 0;

	for (uint32_t i = 0; i < fields->count; i++)
		n += fields->at[i].name.n + fields->at[i].value.n + 4;
	return n;
}

static inline char *put_via(char *at, struct slice pseudonym, unsigned minor)
{
	at = PUT(at, "Via: 1.");
	*at++ = minor == 0 ? '0' : '1';
	*at++ = ' ';
	at = put(at, pseudonym);
	return PUT(at, "\r\n");
}

/* Connection and Upgrade of a message that has one line of it. */
static inline char *put_upgrade(char *at, const struct http_fields *fields)
{
	at = PUT(at, "Connection: Upgrade\r\nUpgrade: ");
	at = put(at, http_fields_first(fields, FIELD_UPGRADE)->value);
	return PUT(at, "\r\n");
}

#endif
