/*
 * Lines of the access log, composed by hand: no formatting library, no allocation, no look at
 * bounds.
 */
#include "proxy/stats/accesslog_line.h"

#include <assert.h>

#include "proxy/stats/accesslog_mask.h"
#include "proxy/stats/accesslog_put.h"

enum {
	TEXT_LENGTH = ID_LENGTH + TRACEPARENT_LENGTH + CLIENT_LENGTH + METHOD_LENGTH +
		      TARGET_LENGTH + ORIGIN_LENGTH + USER_LENGTH + AGENT_LENGTH,
	ESCAPE_LENGTH = 6,   /* of the longest escape of a byte: \u00XX */
	OTHER_LENGTH = 1280, /* keys, names, numbers and marks of a line */
};

static_assert(ESCAPE_LENGTH * TEXT_LENGTH + OTHER_LENGTH <= LOG_LINE_LENGTH,
	      "room for a line is room for any line");

static const char hex_digits[] = "0123456789abcdef";

static char *append_json_escape(char *at, unsigned char c)
{
	if (c == '"' || c == '\\') {
		*at++ = '\\';
		*at++ = (char)c;
		return at;
	}
	at = APPEND(at, "\\u00");
	*at++ = hex_digits[c >> 4];
	*at++ = hex_digits[c & 15];
	return at;
}

static char *append_percent_escape(char *at, unsigned char c)
{
	*at++ = '%';
	*at++ = hex_digits[c >> 4];
	*at++ = hex_digits[c & 15];
	return at;
}

/* A cut text ends in U+2026, which no byte of a text can become. */
static char *append_json_text(char *at, struct slice text, size_t length)
{
	*at++ = '"';
	at = append_text(at, cut(text, length), ' ', append_json_escape);
	if (text.n > length)
		at = APPEND(at, "\\u2026");
	*at++ = '"';
	return at;
}

static char *append_squid_text(char *at, struct slice text, size_t length)
{
	if (text.n == 0)
		return APPEND(at, "-");
	at = append_text(at, cut(text, length), ' ' + 1, append_percent_escape);
	return text.n > length ? APPEND(at, "...") : at;
}

/* ---- JSON ----------------------------------------------------------------------------------- */

/* Each member begins with a comma; that of the first becomes the brace. */
#define ALWAYS true
#define IF(condition) (condition)
#define IN_FORMATS(condition) false

#define LOG_TEXT(name, when, slice, length, help) \
	if (when)                                 \
		at = append_json_text(APPEND(at, ",\"" #name "\":"), slice, length);
#define LOG_WORD(name, when, word, help) \
	if (when)                        \
		at = APPEND(append_word(APPEND(at, ",\"" #name "\":\""), word), "\"");
#define LOG_NUMBER(name, when, number, help) \
	if (when)                            \
		at = append_number(APPEND(at, ",\"" #name "\":"), number);
#define LOG_FLAG(name, when, flag, help)                        \
	if (when)                                               \
		at = (flag) ? APPEND(at, ",\"" #name "\":true") \
			    : APPEND(at, ",\"" #name "\":false");
#define LOG_STAMP(name, when, stamp, help)                                                       \
	if (when)                                                                                \
		at = APPEND(accesslog_put_time(stamps, CLOCK_##stamp,                            \
					       APPEND(at, ",\"" #name "\":\""), entry->wall_ms), \
			    "\"");

static char *append_json_line(struct accesslog_stamps *stamps, char *at,
			      const struct accesslog_entry *entry)
{
	char *begin = at;

#include "conf/log_fields.def"
	*begin = '{';
	return APPEND(at, "}");
}

#undef LOG_TEXT
#undef LOG_WORD
#undef LOG_NUMBER
#undef LOG_FLAG
#undef LOG_STAMP

/* ---- Squid native --------------------------------------------------------------------------- */

/* The result codes of Squid that come nearest: for tools that know no others. */
static const char *const squid_outcomes[OUTCOME_COUNT] = {
	[OUTCOME_HIT] = "TCP_HIT",
	[OUTCOME_HIT_304] = "TCP_IMS_HIT",
	[OUTCOME_STALE] = "TCP_STALE_HIT",
	[OUTCOME_VALIDATED] = "TCP_REFRESH_UNMODIFIED",
	[OUTCOME_COLLAPSED] = "TCP_CF_HIT",
	[OUTCOME_MISS] = "TCP_MISS",
	[OUTCOME_BYPASS] = "TCP_MISS",
	[OUTCOME_TUNNEL] = "TCP_TUNNEL",
	[OUTCOME_LOCAL] = "NONE_NONE",
	[OUTCOME_FAILED] = "TCP_MISS",
	[OUTCOME_BACKGROUND] = "TCP_ASYNC_MISS",
};

static const char *squid_failure(enum failure failure)
{
	if (failure == FAILURE_CLIENT_GONE)
		return "TCP_MISS_ABORTED";
	if (failure == FAILURE_CLIENT_TIMEOUT)
		return "TCP_MISS_TIMEDOUT";
	unsigned status = failure_status(failure);
	if (status == 403 || status == 405 || status == 407)
		return "TCP_DENIED";
	/* The rest of 4xx is ours for requests that could not be read or taken. */
	return status / 100 == 4 ? "NONE_NONE" : "TCP_MISS";
}

static const char *squid_code(const struct accesslog_entry *entry)
{
	if (entry->outcome == OUTCOME_STALE && entry->why == REASON_STALE_ERROR)
		return "TCP_REFRESH_FAIL_OLD";
	if (entry->outcome == OUTCOME_FAILED)
		return squid_failure(entry->failure);
	assert(entry->outcome < OUTCOME_COUNT);
	return squid_outcomes[entry->outcome];
}

/* Without the port, and without the brackets of IPv6. */
static struct slice origin_host(struct slice origin)
{
	size_t n = origin.n;
	while (n > 0 && origin.p[n - 1] != ':')
		n--;
	struct slice host = n > 0 ? slice_of(origin.p, n - 1) : origin;
	if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = slice_of(host.p + 1, host.n - 2);
	return host;
}

static char *append_squid_line(struct accesslog_stamps *stamps, char *at,
			       const struct accesslog_entry *entry)
{
	at = accesslog_put_time(stamps, CLOCK_seconds, at, entry->wall_ms);
	at = append_number(APPEND(at, " "), not_negative(entry->elapsed_us) / 1000);
	at = append_squid_text(APPEND(at, " "), entry->client, CLIENT_LENGTH);
	at = append_word(APPEND(at, " "), squid_code(entry));
	at = append_3_digits(APPEND(at, "/"), entry->status);
	at = append_number(APPEND(at, " "), entry->bytes_out);
	at = append_squid_text(APPEND(at, " "), entry->method, METHOD_LENGTH);
	at = append_squid_text(APPEND(at, " "), entry->target, TARGET_LENGTH);
	at = append_squid_text(APPEND(at, " "), entry->user, USER_LENGTH);
	at = append_word(APPEND(at, " "), entry->origin.n ? "HIER_DIRECT/" : "HIER_NONE/");
	at = append_squid_text(at, origin_host(entry->origin), ORIGIN_LENGTH);
	return APPEND(at, " -");
}

/* A path behind the URI of its origin; "*" is all of that (RFC 9110 7.1), any other form a URI. */
static struct slice join(struct slice origin_uri, struct slice target, char *room, size_t size)
{
	char *end = room;

	if (target.n == 0 || (target.p[0] != '/' && !slice_eq(target, SLICE("*"))))
		return target;
	end = append_bytes(end, origin_uri.p, cut(origin_uri, size).n);
	if (target.p[0] == '/')
		end = append_bytes(end, target.p, cut(target, size - (size_t)(end - room)).n);
	return slice_of(room, (size_t)(end - room));
}

/* What is shown of a URI is no more than what there is room for, and one more to see that it is cut. */
char *accesslog_line(struct accesslog_format *format, char *at, struct accesslog_entry *entry)
{
	char room[TARGET_LENGTH + 1], whole[TARGET_LENGTH + 1], referer[REFERER_LENGTH + 1];
	char *end = at;

	entry->target = accesslog_mask(entry->target, entry->target_read, room, sizeof(room));
	if (entry->origin_uri.n > 0)
		entry->target = join(entry->origin_uri, entry->target, whole, sizeof(whole));
	switch (format->form.kind) {
	case LOG_JSON:
		end = append_json_line(&format->stamps, at, entry);
		break;
	case LOG_SQUID:
		end = append_squid_line(&format->stamps, at, entry);
		break;
	case LOG_PARTS:
		entry->referer = accesslog_mask(entry->referer, true, referer, sizeof(referer));
		end = accesslog_format_line(format, at, entry);
		break;
	}
	*end++ = '\n';
	assert(end - at <= LOG_LINE_LENGTH);
	return end;
}
