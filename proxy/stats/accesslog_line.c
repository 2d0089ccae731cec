/*
 * Lines of the access log, composed by hand: no formatting library, no allocation, no look at
 * bounds.
 */
#include "proxy/stats/accesslog_line.h"
#include "proxy/stats/accesslog_mask.h"

#include <assert.h>
#include <time.h>

/* Longest texts told of, in bytes as received; the rest is cut and a mark put in its place. */
enum {
	CLIENT_LENGTH = 64,
	METHOD_LENGTH = 64,
	TARGET_LENGTH = 2048,
	ORIGIN_LENGTH = 64,
	USER_LENGTH = 64,
	AGENT_LENGTH = 256,
	TEXT_LENGTH = CLIENT_LENGTH + METHOD_LENGTH + TARGET_LENGTH + ORIGIN_LENGTH + USER_LENGTH +
		      AGENT_LENGTH,
	ESCAPE_LENGTH = 6,   /* of the longest escape of a byte: \u00XX */
	OTHER_LENGTH = 1024, /* keys, names, numbers and marks of a line */
};

static_assert(ESCAPE_LENGTH * TEXT_LENGTH + OTHER_LENGTH <= ACCESSLOG_LINE_LENGTH,
	      "room for a line is room for any line");

#define APPEND(at, literal) append_bytes(at, literal, sizeof(literal) - 1)

static inline char *append_bytes(char *at, const char *bytes, size_t n)
{
	memcpy(at, bytes, n);
	return at + n;
}

static char *append_word(char *at, const char *word)
{
	return append_bytes(at, word, strlen(word));
}

static char *append_number(char *at, uint64_t number)
{
	char digits[20];
	size_t i = sizeof(digits);
	do
		digits[--i] = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	return append_bytes(at, digits + i, sizeof(digits) - i);
}

static char *append_3_digits(char *at, unsigned number)
{
	*at++ = (char)('0' + number / 100 % 10);
	*at++ = (char)('0' + number / 10 % 10);
	*at++ = (char)('0' + number % 10);
	return at;
}

/* Set in some byte of the result if any of the eight is below `least` (1-128) or above 127. */
static inline uint64_t below(uint64_t word, unsigned char least)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	return ((word - ones * least) | word) & ones * 0x80;
}

/*
 * Eight bytes that stand for themselves: printable ASCII from `least` on, but quote and backslash.
 */
static inline bool are_plain(uint64_t word, unsigned char least)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	return !(below(word, least) | below(word ^ ones * '"', 1) | below(word ^ ones * '\\', 1) |
		 below(word ^ ones * 0x7f, 1));
}

static inline bool is_plain(unsigned char c, unsigned char least)
{
	return c >= least && c < 0x7f && c != '"' && c != '\\';
}

typedef char *append_escape(char *at, unsigned char c);

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

/*
 * Most texts have nothing to escape and are short, so eight bytes at a time is all the speed there
 * is.
 */
static inline char *append_text(char *at, struct slice text, unsigned char least,
				append_escape *escape)
{
	uint64_t word;
	for (size_t i = 0; i < text.n;) {
		size_t n = text.n - i < sizeof(word) ? text.n - i : sizeof(word);
		if (n == sizeof(word)) {
			memcpy(&word, text.p + i, sizeof(word));
			if (are_plain(word, least)) {
				at = append_bytes(at, text.p + i, sizeof(word));
				i += sizeof(word);
				continue;
			}
		}
		for (size_t end = i + n; i < end; i++) {
			unsigned char c = (unsigned char)text.p[i];
			if (is_plain(c, least))
				*at++ = (char)c;
			else
				at = escape(at, c);
		}
	}
	return at;
}

static struct slice cut(struct slice text, size_t length)
{
	return slice_of(text.p, text.n < length ? text.n : length);
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

static void make_stamp(struct accesslog_stamp *stamp, time_t second)
{
	struct tm tm;
	size_t n = 0;
	if (stamp->squid)
		n = (size_t)(append_number(stamp->text, (uint64_t)second) - stamp->text);
	else if (gmtime_r(&second, &tm) != NULL)
		n = strftime(stamp->text, sizeof(stamp->text), "%Y-%m-%dT%H:%M:%S", &tm);
	stamp->length = n;
	stamp->second = second;
}

static char *append_time(struct accesslog_stamp *stamp, char *at, int64_t wall_ms)
{
	int64_t ms = wall_ms < 0 ? 0 : wall_ms;
	if (stamp->length == 0 || stamp->second != ms / 1000)
		make_stamp(stamp, ms / 1000);
	at = append_bytes(at, stamp->text, stamp->length);
	*at++ = '.';
	return append_3_digits(at, (unsigned)(ms % 1000));
}

static uint64_t elapsed_us(const struct accesslog_entry *entry)
{
	return entry->elapsed_us < 0 ? 0 : (uint64_t)entry->elapsed_us;
}

static uint64_t held_us(const struct accesslog_entry *entry)
{
	return entry->held_us < 0 ? 0 : (uint64_t)entry->held_us;
}

/* ---- JSON ----------------------------------------------------------------------------------- */

/*
 * Fields after `time`, in their order.  WORD and FLAG are text of ours; TEXT is a peer's, escaped
 * and cut to a length.  OPTIONAL ones are left out when there is nothing to tell.
 */
#define JSON_FIELDS(TEXT, OPTIONAL_TEXT, NUMBER, OPTIONAL_NUMBER, WORD, OPTIONAL_WORD, FLAG)   \
	TEXT("client", entry->client, CLIENT_LENGTH)                                           \
	NUMBER("client_port", entry->client_port)                                              \
	TEXT("method", entry->method, METHOD_LENGTH)                                           \
	TEXT("target", entry->target, TARGET_LENGTH)                                           \
	NUMBER("status", entry->status)                                                        \
	NUMBER("elapsed_us", elapsed_us(entry))                                                \
	OPTIONAL_NUMBER("held_us", held_us(entry))                                             \
	NUMBER("bytes_in", entry->bytes_in)                                                    \
	NUMBER("bytes_out", entry->bytes_out)                                                  \
	WORD("outcome", outcome_name(entry->outcome))                                          \
	OPTIONAL_WORD("failure", entry->failure != FAILURE_NONE, failure_name(entry->failure)) \
	OPTIONAL_WORD("reason", entry->why != REASON_NONE, reason_token(entry->why))           \
	FLAG("stored", entry->stored)                                                          \
	OPTIONAL_TEXT("origin", entry->origin, ORIGIN_LENGTH)                                  \
	OPTIONAL_TEXT("user", entry->user, USER_LENGTH)                                        \
	OPTIONAL_TEXT("user_agent", entry->user_agent, AGENT_LENGTH)

#define JSON_TEXT(key, slice, length) \
	at = append_json_text(APPEND(at, ",\"" key "\":"), slice, length);
#define JSON_OPTIONAL_TEXT(key, slice, length) \
	if ((slice).n > 0)                     \
	JSON_TEXT(key, slice, length)
#define JSON_NUMBER(key, number) at = append_number(APPEND(at, ",\"" key "\":"), number);
#define JSON_OPTIONAL_NUMBER(key, number) \
	if ((number) > 0)                 \
	JSON_NUMBER(key, number)
#define JSON_WORD(key, word) at = APPEND(append_word(APPEND(at, ",\"" key "\":\""), word), "\"");
#define JSON_OPTIONAL_WORD(key, condition, word) \
	if (condition)                           \
	JSON_WORD(key, word)
#define JSON_FLAG(key, flag) at = append_word(APPEND(at, ",\"" key "\":"), flag ? "true" : "false");

static char *append_json_line(struct accesslog_stamp *stamp, char *at,
			      const struct accesslog_entry *entry)
{
	at = APPEND(at, "{\"time\":\"");
	at = append_time(stamp, at, entry->wall_ms);
	at = APPEND(at, "Z\"");
	JSON_FIELDS(JSON_TEXT, JSON_OPTIONAL_TEXT, JSON_NUMBER, JSON_OPTIONAL_NUMBER, JSON_WORD,
		    JSON_OPTIONAL_WORD, JSON_FLAG)
	return APPEND(at, "}\n");
}

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

static char *append_squid_line(struct accesslog_stamp *stamp, char *at,
			       const struct accesslog_entry *entry)
{
	at = append_time(stamp, at, entry->wall_ms);
	at = append_number(APPEND(at, " "), elapsed_us(entry) / 1000);
	at = append_squid_text(APPEND(at, " "), entry->client, CLIENT_LENGTH);
	at = append_word(APPEND(at, " "), squid_code(entry));
	at = append_3_digits(APPEND(at, "/"), entry->status);
	at = append_number(APPEND(at, " "), entry->bytes_out);
	at = append_squid_text(APPEND(at, " "), entry->method, METHOD_LENGTH);
	at = append_squid_text(APPEND(at, " "), entry->target, TARGET_LENGTH);
	at = append_squid_text(APPEND(at, " "), entry->user, USER_LENGTH);
	at = append_word(APPEND(at, " "), entry->origin.n ? "HIER_DIRECT/" : "HIER_NONE/");
	at = append_squid_text(at, origin_host(entry->origin), ORIGIN_LENGTH);
	return APPEND(at, " -\n");
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

char *accesslog_line(struct accesslog_stamp *stamp, char *at, const struct accesslog_entry *entry)
{
	/* One more, so that what is cut is seen to be. */
	char room[TARGET_LENGTH + 1], whole[TARGET_LENGTH + 1];
	struct accesslog_entry shown = *entry;
	char *end;

	shown.target = accesslog_mask(entry->target, entry->target_read, room, sizeof(room));
	if (entry->origin_uri.n > 0)
		shown.target = join(entry->origin_uri, shown.target, whole, sizeof(whole));
	end = stamp->squid ? append_squid_line(stamp, at, &shown)
			   : append_json_line(stamp, at, &shown);
	assert(end - at <= ACCESSLOG_LINE_LENGTH);
	return end;
}
