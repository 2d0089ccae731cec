/* LINKS: proxy/http1 */
/*
 * The phases of a request one by one, for bench/instructions.py to count.
 *
 *   phases DIRECTORY     (where stores are made)
 *
 * Runs each row of the table at the end a number of times within measured(), and prints a line
 * "NAME TIMES" for each.  Under callgrind, with --toggle-collect=measured --dump-after=measured,
 * the n-th dump is what the n-th line cost.  Nothing depends on the time or on chance, so the same
 * program costs the same in every run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/cache.h"
#include "cache/http/fields.h"
#include "proxy/stats/accesslog_line.h"
#include "proxy/http1/compose.h"
#include "proxy/http1/parse.h"
#include "proxy/http1/response_memo.h"
#include "tests/support/test_conf.h"

enum {
	WALL_S = 784111777, /* Sun, 06 Nov 1994 08:49:37 GMT */
	URIS = 1000,        /* stored for lookups */
	DIGITS = 6,         /* of a URI's number */
	TEXT_SIZE = 1024,
};

/* What a browser sends through a proxy; the digits are the number of the URI. */
static const char request_text[] =
	"GET http://www.example.com/poll/channel?since=000000 HTTP/1.1\r\n"
	"Host: www.example.com\r\n"
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
	"Accept: */*\r\n"
	"Accept-Language: en-GB,en;q=0.5\r\n"
	"Accept-Encoding: gzip, deflate\r\n"
	"Referer: http://www.example.com/channel\r\n"
	"Cookie: session=5f1d7a9c0b3e4862; theme=dark\r\n"
	"Connection: keep-alive\r\n"
	"\r\n";

static const char response_text[] = "HTTP/1.1 204 No Content\r\n"
				    "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
				    "Server: nginx\r\n"
				    "Cache-Control: public, max-age=3600\r\n"
				    "ETag: \"5f1d7a9c\"\r\n"
				    "Vary: Accept-Encoding\r\n"
				    "Connection: keep-alive\r\n"
				    "\r\n";

static const struct http_clock now = {.wall_s = WALL_S, .steady_ms = WALL_S * INT64_C(1000)};

static struct conf *conf;
static struct parse_memo *memo;
static struct response_memo *response_memo;
static struct cache *roomy, *full;
static char request_bytes[sizeof(request_text)], response_bytes[sizeof(response_text)];
static struct http_field request_lines[PARSE_FIELDS_MAX], response_lines[PARSE_FIELDS_MAX];
static struct http_request request;
static struct http_response response;
static struct cache_lookup found;
static struct buf out;

static void fail(const char *what)
{
	fprintf(stderr, "phases: %s\n", what);
	exit(1);
}

static void check(bool right, const char *what)
{
	if (!right)
		fail(what);
}

/* ---- parse ---------------------------------------------------------------------------------- */

/* The request becomes one for this URI, also where it was read before. */
static void ask_for(unsigned uri)
{
	char *last = strchr(request_bytes, '=') + DIGITS;

	for (unsigned i = 0; i < DIGITS; i++, uri /= 10)
		last[-(int)i] = (char)('0' + uri % 10);
}

static void read_request(struct parse_memo *with)
{
	struct parse_progress progress = {0};
	struct parsed parsed;

	request.fields = (struct http_fields){.at = request_lines, .capacity = PARSE_FIELDS_MAX};
	if (parse_request(slice_of(request_bytes, sizeof(request_bytes) - 1), conf, with, &progress,
			  &request, &parsed) != PARSE_DONE)
		fail("a request is refused");
}

static void read_response(struct response_memo *with)
{
	struct parse_progress progress = {0};
	struct parsed parsed;

	response.fields = (struct http_fields){.at = response_lines, .capacity = PARSE_FIELDS_MAX};
	if (parse_response(slice_of(response_bytes, sizeof(response_bytes) - 1),
			   &(struct response_rules){conf, METHOD_GET, NULL, with}, &progress,
			   &response, &parsed) != PARSE_DONE)
		fail("a response is refused");
}

static void run_parse_request(unsigned i)
{
	(void)i;
	read_request(NULL);
}

/* The field lines are those of another request, the target is not. */
static void run_parse_recalled(unsigned i)
{
	(void)i;
	read_request(memo);
}

static void prepare_recalled(void)
{
	for (unsigned uri = 0; uri < 3; uri++) {
		ask_for(uri);
		read_request(memo);
	}
}

static void run_parse_response(unsigned i)
{
	(void)i;
	read_response(NULL);
}

/* The Date is another one each time. */
static void run_response_recalled(unsigned i)
{
	strstr(response_bytes, " GMT")[-1] = (char)('0' + i % 10);
	read_response(response_memo);
}

static void prepare_response_recalled(void)
{
	for (unsigned i = 0; i < 3; i++)
		run_response_recalled(i);
}

/* ---- key, policy ---------------------------------------------------------------------------- */

static void run_key(unsigned i)
{
	static char normal[TEXT_SIZE];
	struct slice uri = slice_of(normal, http_uri_normal(&request.uri, normal));
	struct cache_key key = cache_key_of_uri(uri);

	(void)i;
	check(key.word[0] != 0, "a key is nothing");
}

static struct exchange_times times_of(const struct cache *cache)
{
	return (struct exchange_times){
		.request_steady_ms = now.steady_ms,
		.response = now,
		.asked_at = cache_epoch(cache),
	};
}

static void run_policy_store(unsigned i)
{
	struct exchange_times times = {.request_steady_ms = now.steady_ms, .response = now};
	struct record_meta meta;
	enum reason why;

	(void)i;
	if (!policy_may_store(&request, &response, &times, conf, &meta, &why))
		fail("the policy does not store");
}

static void run_policy_reuse(unsigned i)
{
	enum reason why;

	(void)i;
	if (policy_reuse(&request, found.record.meta, &now, conf, &why) != REUSE_FRESH)
		fail("the policy does not reuse");
}

/* ---- the store ------------------------------------------------------------------------------ */

static void store_one(struct cache *cache, unsigned uri)
{
	struct exchange_times times = times_of(cache);
	enum reason why;

	ask_for(uri);
	if (!cache_store(cache, &request, &response, &times, &why))
		fail(reason_token(why));
}

static void look_up(unsigned uri)
{
	ask_for(uri);
	cache_lookup(roomy, &request, &now, &found);
	if (found.verdict != REUSE_FRESH)
		fail("a lookup finds nothing");
}

static void prepare_lookup(void)
{
	for (unsigned uri = 0; uri < URIS; uri++) {
		store_one(roomy, uri);
		cache_flush(roomy);
	}
	look_up(0);
}

/* Each in a turn of its own: with a view of its own. */
static void run_lookup(unsigned i)
{
	ask_for(i % URIS);
	cache_lookup(roomy, &request, &now, &found);
	cache_turn_end(roomy);
}

/* From a response to what is on disk, two to a transaction as in the loop. */
static void run_put(unsigned i)
{
	store_one(roomy, URIS + i);
	if (i % 2 == 1)
		cache_flush_some(roomy);
}

static void prepare_evict(void)
{
	struct store_usage usage;
	unsigned uri = 0;

	do {
		for (unsigned i = 0; i < 100; i++)
			store_one(full, URIS + uri++);
		cache_flush(full);
		store_usage(cache_store_of(full), &usage);
	} while (usage.evictions < URIS);
}

/* As run_put(), but that something has to go. */
static void run_evict(unsigned i)
{
	store_one(full, i);
	if (i % 2 == 1)
		cache_flush_some(full);
}

static struct cache_kept *kept;

static void prepare_freshen(void)
{
	look_up(0);
	kept = cache_keep(record_bytes(&found.record), found.normal_uri);
	check(kept != NULL, "out of memory");
}

/* A 304 with the fields of the response: the record becomes younger, and is queued. */
static void run_freshen(unsigned i)
{
	struct exchange_times times = times_of(roomy);
	struct http_response confirmed = response;
	struct cache_freshened freshened;

	confirmed.status = 304;
	ask_for(0);
	check(cache_freshen(roomy, &request, kept, &confirmed, &times, &freshened),
	      "a 304 does not freshen");
	if (i % 2 == 1)
		cache_flush_some(roomy);
}

/* A POST that is answered 204, for a URI that is stored. */
static void run_invalidate(unsigned i)
{
	static unsigned next; /* a URI is invalidated once */
	struct exchange_times times = times_of(roomy);
	enum http_method before = request.method;

	(void)i;
	ask_for(next++ % URIS);
	request.method = METHOD_POST;
	check(cache_invalidate(roomy, &request, &response, &times) > 0, "nothing is invalidated");
	request.method = before;
	cache_turn_end(roomy);
}

/* ---- what is sent, and told ----------------------------------------------------------------- */

static void compose(unsigned status)
{
	struct cache_status field = {.hit = true, .ttl_s = 3600};
	struct delivery delivery = {.keep_alive = true, .client_minor = 1};

	if (!compose_record(&out, conf, &(struct record_answer){&found.record, status, 12}, &field,
			    &delivery))
		fail("out of memory");
	buf_consume(&out, buf_length(&out));
}

static void run_compose_204(unsigned i)
{
	(void)i;
	compose(204);
}

static void run_compose_304(unsigned i)
{
	(void)i;
	compose(304);
}

static void run_compose_request(unsigned i)
{
	static const struct request_form form;

	(void)i;
	check(compose_request(&out, conf, &request, &form), "out of memory");
	buf_consume(&out, buf_length(&out));
}

static void run_compose_response(unsigned i)
{
	struct cache_status field = {.fwd = FWD_URI_MISS, .fwd_status = 204, .stored = true};
	struct delivery delivery = {.keep_alive = true, .client_minor = 1};

	(void)i;
	check(compose_response(&out, conf, &response, &field, &delivery, WALL_S), "out of memory");
	buf_consume(&out, buf_length(&out));
}

static void prepare_compose(void)
{
	static char block[64 << 10];

	buf_borrow(&out, block, sizeof(block));
	look_up(0);
}

static void run_log(unsigned i)
{
	static char line[LOG_LINE_LENGTH];
	static struct accesslog_format format = {.form.kind = LOG_JSON};
	struct accesslog_entry entry = {
		.wall_ms = now.steady_ms,
		.elapsed_us = 1234,
		.client = SLICE("192.0.2.17"),
		.client_port = 40000,
		.method = SLICE("GET"),
		.target = request.target,
		.target_read = true,
		.status = 204,
		.bytes_in = sizeof(request_bytes) - 1,
		.bytes_out = 300,
		.outcome = OUTCOME_HIT,
		.user_agent = http_fields_first(&request.fields, FIELD_USER_AGENT)->value,
	};

	(void)i;
	check(accesslog_line(&format, line, &entry) > line, "no line is written");
}

/* --------------------------------------------------------------------------------------------- */

struct phase {
	const char *name;
	unsigned times;
	void (*run)(unsigned i);
	void (*prepare)(void); /* may be NULL */
};

static const struct phase phases[] = {
	{"parse-request", 100, run_parse_request, NULL},
	{"parse-recalled", 100, run_parse_recalled, prepare_recalled},
	{"parse-response", 100, run_parse_response, NULL},
	{"answer-recalled", 100, run_response_recalled, prepare_response_recalled},
	{"key", 100, run_key, NULL},
	{"lookup", URIS, run_lookup, prepare_lookup},
	{"policy-store", 100, run_policy_store, NULL},
	{"policy-reuse", 100, run_policy_reuse, NULL},
	{"compose-204", 100, run_compose_204, prepare_compose},
	{"compose-304", 100, run_compose_304, NULL},
	{"compose-request", 100, run_compose_request, NULL},
	{"compose-response", 100, run_compose_response, NULL},
	{"put", 400, run_put, NULL},
	{"freshen", 400, run_freshen, prepare_freshen},
	{"evict", 400, run_evict, prepare_evict},
	{"log", 100, run_log, NULL},
	{"invalidate", 400, run_invalidate, NULL},
};

__attribute__((noinline)) static void measured(const struct phase *phase)
{
	for (unsigned i = 0; i < phase->times; i++)
		phase->run(i);
}

static struct cache *open_cache(const char *below, const char *name, const char *size)
{
	struct conf *its = test_conf_new();
	char directory[TEXT_SIZE];
	struct diagnostic notice;
	struct cache *cache;

	snprintf(directory, sizeof(directory), "%s/%s", below, name);
	if (!test_conf_set(its, "store", directory) || !test_conf_set(its, "store_size", size))
		fail("an option is not known");
	cache = cache_open(its, CACHE_LOCK_TAKE, &notice);
	if (cache == NULL)
		fail(notice.text);
	return cache;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		fail("usage: phases DIRECTORY");
	conf = test_conf_new();
	memo = parse_memo_new();
	response_memo = response_memo_new();
	roomy = open_cache(argv[1], "roomy", "16MiB");
	full = open_cache(argv[1], "full", "1MiB");
	memcpy(request_bytes, request_text, sizeof(request_text));
	memcpy(response_bytes, response_text, sizeof(response_text));
	read_request(NULL);
	read_response(NULL);
	for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
		const struct phase *phase = &phases[i];

		if (phase->prepare)
			phase->prepare();
		phase->run(0);
		measured(phase);
		printf("%s %u\n", phase->name, phase->times);
	}
	return 0;
}
