/* LINKS: proxy/access */
/*
 * The dearest messages that peers can send, phase by phase, beside ordinary ones, for
 * bench/instructions.py to count.
 *
 *   dearest DIRECTORY     (where stores are made)
 *
 * Runs each row of the table at the end a few times within measured(), and prints a line
 * "PHASE TIMES BYTES WHAT" for each; BYTES is what the peers sent for one run.  The n-th dump of
 * callgrind, with --toggle-collect=measured --dump-after=measured, is what the n-th line cost.  All
 * limits are the options' defaults, but that preflights are stored.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/cache.h"
#include "cache/http/fields.h"
#include "proxy/access/access.h"
#include "proxy/stats/accesslog_line.h"
#include "proxy/http1/compose.h"
#include "proxy/http1/parse.h"
#include "tests/support/test_conf.h"

enum {
	WALL_S = 784111777, /* Sun, 06 Nov 1994 08:49:37 GMT */
	HEAD_MAX = 64 << 10,
	LINES = 6, /* kinds of lines in a message, at most */
	TIMES = 8, /* runs of a row, for what differs from one to the next */
	DIRECTORY_MAX = 1024,
};

/*
 * So many lines of `start`, so many of `piece`, `end`.  In what is written '#' is another name each
 * time, '@' the variant.
 */
struct lines {
	unsigned count;
	const char *start, *piece;
	unsigned pieces;
	const char *end;
};

struct row {
	const char *name, *text;
	void (*run)(const struct row *row);
	const char *method;            /* GET when NULL */
	unsigned uri_n;                /* at least so long */
	const char *uri_piece;         /* which then is of these; of "%" when NULL */
	struct lines request[LINES];   /* after Host; those of a browser when there are none */
	struct lines response[LINES];  /* after Date; the same */
	unsigned variants;             /* stored before, '@' is 'a', 'b', ... */
	char asked;                    /* '@' of the message that is counted */
	bool escapes;                  /* in the log, the whole target */
	bool invalidated;              /* something else was, and is not tidied up */
	const struct lines *validated; /* the response stored before, in the place of `response` */
};

struct text {
	char bytes[HEAD_MAX + 1];
	size_t n;
	unsigned names; /* written so far */
	char variant;
};

static const struct http_clock now = {.wall_s = WALL_S, .steady_ms = WALL_S * INT64_C(1000)};

static struct conf *conf;
static struct access *access_rules;
static struct cache *cache;
static struct text request_text, response_text;
static struct http_field request_lines[PARSE_FIELDS_MAX], response_lines[PARSE_FIELDS_MAX];
static char mended[PARSE_MENDED_MAX];
static struct http_request request;
static struct http_response response;
static struct cache_lookup found;
static struct buf out;
static struct cache_kept *kept; /* of the record that is stored */

static void fail(const char *what)
{
	fprintf(stderr, "dearest: %s\n", what);
	exit(1);
}

/* ---- messages ------------------------------------------------------------------------------- */

static void put(struct text *text, char c)
{
	if (text->n == HEAD_MAX)
		fail("a message is longer than a head may be");
	text->bytes[text->n++] = c;
}

/* Three letters, the case of the first as it comes. */
static void put_name(struct text *text)
{
	unsigned n = text->names++;

	put(text, (char)('a' + n % 26));
	put(text, (char)('a' + n / 26 % 26));
	put(text, (char)('a' + n / 676 % 26));
}

static void write_piece(struct text *text, const char *piece)
{
	for (; *piece; piece++) {
		if (*piece == '#')
			put_name(text);
		else
			put(text, *piece == '@' ? text->variant : *piece);
	}
}

static void write_lines(struct text *text, const struct lines *lines)
{
	for (unsigned kind = 0; kind < LINES && lines[kind].count > 0; kind++) {
		for (unsigned line = 0; line < lines[kind].count; line++) {
			write_piece(text, lines[kind].start);
			for (unsigned i = 0; i < lines[kind].pieces; i++)
				write_piece(text, lines[kind].piece);
			write_piece(text, lines[kind].end ? lines[kind].end : "");
			write_piece(text, "\r\n");
		}
	}
	write_piece(text, "\r\n");
}

static const struct lines browser[LINES] = {
	{1, "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
	 NULL, 0, NULL},
	{1, "Accept: */*\r\nAccept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate",
	 NULL, 0, NULL},
	{1, "Referer: http://www.example.com/channel", NULL, 0, NULL},
	{1, "Cookie: session=5f1d7a9c0b3e4862; theme=dark\r\nConnection: keep-alive", NULL, 0,
	 NULL},
};

static const struct lines server[LINES] = {
	{1, "Server: nginx\r\nCache-Control: public, max-age=3600", NULL, 0, NULL},
	{1, "ETag: \"5f1d7a9c\"\r\nVary: Accept-Encoding\r\nConnection: keep-alive", NULL, 0, NULL},
};

static void write_request(const struct row *row, char variant)
{
	request_text.n = request_text.names = 0;
	request_text.variant = variant;
	write_piece(&request_text, row->method ? row->method : "GET");
	write_piece(&request_text, " http://www.example.com/");
	/* another URI for each row */
	for (const char *c = row->text; *c; c++)
		put(&request_text, *c == ' ' ? '-' : *c);
	while (request_text.n < row->uri_n)
		write_piece(&request_text, row->uri_piece ? row->uri_piece : "%");
	write_piece(&request_text, " HTTP/1.1\r\nHost: www.example.com\r\n");
	write_lines(&request_text, row->request[0].count > 0 ? row->request : browser);
}

static void read_request(void)
{
	struct parse_progress progress = {0};
	struct parsed parsed;

	request.fields = (struct http_fields){.at = request_lines, .capacity = PARSE_FIELDS_MAX};
	if (parse_request(slice_of(request_text.bytes, request_text.n), conf, NULL, &progress,
			  &request, &parsed) != PARSE_DONE)
		fail(failure_name(parsed.failure));
}

static void write_response(const struct lines *lines, const char *status, char variant)
{
	response_text.n = response_text.names = 0;
	response_text.variant = variant;
	write_piece(&response_text, status);
	write_piece(&response_text, "\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
	write_lines(&response_text, lines[0].count > 0 ? lines : server);
}

/* As it comes from who sends byte by byte. */
static void read_request_in_bytes(void)
{
	struct parse_progress progress = {0};
	enum parse_result result = PARSE_MORE;
	struct parsed parsed;

	for (size_t n = 1; result == PARSE_MORE && n <= request_text.n; n++) {
		request.fields =
			(struct http_fields){.at = request_lines, .capacity = PARSE_FIELDS_MAX};
		result = parse_request(slice_of(request_text.bytes, n), conf, NULL, &progress,
				       &request, &parsed);
	}
	if (result != PARSE_DONE)
		fail("a request in bytes is refused");
}

static void read_response(void)
{
	struct parse_progress progress = {0};
	struct parsed parsed;

	response.fields = (struct http_fields){.at = response_lines, .capacity = PARSE_FIELDS_MAX};
	if (parse_response(slice_of(response_text.bytes, response_text.n),
			   &(struct response_rules){conf, METHOD_GET, mended, NULL}, &progress,
			   &response, &parsed) != PARSE_DONE)
		fail(failure_name(parsed.failure));
}

/* ---- phases --------------------------------------------------------------------------------- */

static struct exchange_times times_now(void)
{
	return (struct exchange_times){
		.request_steady_ms = now.steady_ms,
		.response = now,
		.asked_at = cache_epoch(cache),
	};
}

/* With what is decided by the head alone. */
static void run_request(const struct row *row)
{
	(void)row;
	read_request();
	if (access_request(access_rules, &request) != FAILURE_NONE)
		fail("access is denied");
}

static void run_request_in_bytes(const struct row *row)
{
	(void)row;
	read_request_in_bytes();
}

static void run_response(const struct row *row)
{
	(void)row;
	read_response();
}

static void run_key(const struct row *row)
{
	static char normal[HEAD_MAX];
	struct slice uri = slice_of(normal, http_uri_normal(&request.uri, normal));

	(void)row;
	if (cache_key_of_uri(uri).word[0] == 0)
		fail("a key is nothing");
}

static void run_lookup(const struct row *row)
{
	(void)row;
	cache_lookup(cache, &request, &now, &found);
	cache_turn_end(cache);
}

/* All that the rules say from a request to the answer to it, of a record with this ETag. */
static void run_policy(const struct row *row)
{
	const struct record_meta old = {
		.response_steady_ms = now.steady_ms,
		.lifetime_s = 60,
		.flags = META_HAS_ETAG,
	};
	const struct http_field *etag = http_fields_first(&response.fields, FIELD_ETAG);
	struct slice tag = etag ? etag->value : slice_of(NULL, 0);
	struct exchange_times times = times_now();
	struct record_meta meta;
	enum reason why;

	(void)row;
	policy_is_lookup(&request, conf, &why);
	policy_reuse(&request, &old, &now, conf, &why);
	policy_not_modified(&request, &old, tag, &now);
	policy_may_wait(&request);
	policy_validation(&request, &(struct validated){&old, tag, false}, &response, &now, conf);
	policy_invalidates(&request, &response);
	policy_may_store(&request, &response, &times, conf, &meta, &why);
}

static void store(const struct row *row)
{
	struct exchange_times times = times_now();
	enum reason why;

	if (!cache_store(cache, &request, &response, &times, &why)) {
		fprintf(stderr, "dearest: %s: %s\n", row->text, reason_token(why));
		exit(1);
	}
	cache_flush(cache);
}

/* From a response to what is on disk. */
static void run_put(const struct row *row)
{
	store(row);
}

static void run_freshen(const struct row *row)
{
	struct exchange_times times = times_now();
	struct cache_freshened freshened;

	(void)row;
	if (!cache_freshen(cache, &request, kept, &response, &times, &freshened))
		fail("a record is not freshened");
	cache_flush(cache);
}

static void run_invalidate(const struct row *row)
{
	struct exchange_times times = times_now();

	(void)row;
	cache_invalidate(cache, &request, &response, &times);
}

static void done_with_output(bool right)
{
	if (!right)
		fail("out of memory");
	buf_consume(&out, buf_length(&out));
}

static void run_compose_record(const struct row *row)
{
	struct cache_status field = {.hit = true, .ttl_s = 3600};
	struct delivery delivery = {.keep_alive = true, .client_minor = 1};

	(void)row;
	done_with_output(compose_record(&out, conf, &(struct record_answer){&kept->record, 204, 12},
					&field, &delivery));
}

static void run_compose_request(const struct row *row)
{
	struct request_form form = {0};

	(void)row;
	done_with_output(compose_request(&out, conf, &request, &form));
}

static void run_compose_response(const struct row *row)
{
	struct cache_status field = {.fwd = FWD_URI_MISS};
	struct delivery delivery = {.keep_alive = true, .client_minor = 1};

	(void)row;
	done_with_output(compose_response(&out, conf, &response, &field, &delivery, WALL_S));
}

static void run_log(const struct row *row)
{
	static char line[LOG_LINE_LENGTH];
	static struct accesslog_format format = {.form.kind = LOG_JSON};
	const struct http_field *agent = http_fields_first(&request.fields, FIELD_USER_AGENT);
	static char odd[HEAD_MAX];
	struct accesslog_entry entry = {
		.wall_ms = now.steady_ms,
		.elapsed_us = 1234,
		.client = SLICE("192.0.2.17"),
		.client_port = 40000,
		.method = request.method_name,
		.target = row->escapes ? slice_of(odd, request.target.n) : request.target,
		.target_read = true,
		.status = 204,
		.bytes_in = request_text.n,
		.bytes_out = 300,
		.outcome = OUTCOME_HIT,
		.user_agent = agent->value,
	};

	if (accesslog_line(&format, line, &entry) == line)
		fail("no line is written");
}

/* ---- the table ------------------------------------------------------------------------------ */

/* In a row: kinds of lines. */
#define LINES_OF(count, text)            \
	{                                \
		count, text, NULL, 0, "" \
	}
#define LISTS_OF(count, start, piece, pieces, end) \
	{                                          \
		count, start, piece, pieces, end   \
	}
#define FRESH LINES_OF(1, "Cache-Control: max-age=60")

#define ROW(phase, what, ...) {.name = #phase, .text = what, .run = run_##phase, __VA_ARGS__},
static const struct row rows[] = {
#include "bench/micro/dearest.def"
};
#undef ROW

/* What is stored before the row is counted; its record is kept for whoever wants a copy. */
static void store_variants(const struct row *row)
{
	const struct lines *lines = row->validated ? row->validated : row->response;

	for (unsigned i = 0; i < (row->variants > 0 ? row->variants : 1); i++) {
		char variant = (char)('a' + i);

		write_request(row, variant);
		read_request();
		write_response(lines, "HTTP/1.1 204 No Content", variant);
		read_response();
		store(row);
	}
	cache_lookup(cache, &request, &now, &found);
	if (!found.has_record)
		fail("what was stored is not found");
	free(kept);
	kept = cache_keep(found.record.bytes, found.normal_uri);
	if (!kept)
		fail("a record is damaged");
	cache_turn_end(cache);
}

/* So that lookups have marks to heed. */
static void invalidate_another(void)
{
	static const struct row other = {.text = "another", .method = "POST"};
	struct exchange_times times = times_now();

	write_request(&other, 'a');
	read_request();
	write_response(server, "HTTP/1.1 204 No Content", 'a');
	read_response();
	cache_invalidate(cache, &request, &response, &times);
}

static bool needs_store(const struct row *row)
{
	return row->run == run_lookup || row->run == run_freshen ||
	       row->run == run_compose_record || row->run == run_put;
}

static void prepare(const struct row *row)
{
	char asked = row->asked ? row->asked : 'a';

	if (needs_store(row))
		store_variants(row);
	if (row->invalidated)
		invalidate_another();
	write_request(row, asked);
	read_request();
	write_response(row->response,
		       row->run == run_freshen ? "HTTP/1.1 304 Not Modified"
					       : "HTTP/1.1 204 No Content",
		       asked);
	read_response();
}

/* What comes from peers for one run: what is stored came at another time. */
static size_t bytes_of(const struct row *row)
{
	if (row->run == run_compose_record)
		return kept->record.bytes.n; /* copied as they are */
	if (row->run == run_request || row->run == run_request_in_bytes || row->run == run_lookup ||
	    row->run == run_compose_request || row->run == run_compose_record ||
	    row->run == run_log)
		return request_text.n;
	if (row->run == run_key)
		return request.target.n;
	if (row->run == run_response || row->run == run_compose_response)
		return response_text.n;
	return request_text.n + response_text.n;
}

__attribute__((noinline)) static void measured(const struct row *row)
{
	for (unsigned i = 0; i < TIMES; i++)
		row->run(row);
}

static void open_all(const char *below)
{
	char directory[DIRECTORY_MAX];
	struct diagnostic notice;

	conf = test_conf_new();
	snprintf(directory, sizeof(directory), "%s/dearest", below);
	if (!test_conf_set(conf, "store", directory) ||
	    !test_conf_set(conf, "preflight_cache", "on"))
		fail("an option is not known");
	cache = cache_open(conf, CACHE_LOCK_TAKE, &notice);
	if (!cache)
		fail(notice.text);
	access_rules = access_new(conf, &(struct access_place){.listener_count = 0}, &notice);
	if (!access_rules)
		fail(notice.text);
}

int main(int argc, char **argv)
{
	static char block[256 << 10];

	if (argc != 2)
		fail("usage: dearest DIRECTORY");
	open_all(argv[1]);
	buf_borrow(&out, block, sizeof(block));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];

		prepare(row);
		row->run(row);
		measured(row);
		printf("%s %u %zu %s\n", row->name, TIMES, bytes_of(row), row->text);
		fflush(stdout);
	}
	return 0;
}
