/* LINKS: proxy/http1 */
/*
 * What our parser makes of messages, for make differential: reads cases from stdin, prints a verdict for each.
 *
 * A case is a line "request LENGTH", "response LENGTH" (to GET) or "response-head LENGTH" (to HEAD), then so many bytes.  A verdict
 * is a line: "more", "reject why=NAME", or "accept" with end= (bytes that belong to the message, body included),
 * close=1 where the end of the connection ends it, version=, keep=, mended=, method= and target= or status=, body=, a
 * field=NAME:VALUE for each line, and sent= for what the proxy passes on.  Bytes are in hex, numbers decimal.
 */
#include <stdio.h>
#include <stdlib.h>

#include "proxy/http1/body.h"
#include "tests/oracle/wire.h"
#include "tests/support/test_conf.h"

enum { CASE_MAX = 60 << 10 };

struct content {
	struct buf bytes;
	enum body_result result;
	size_t consumed;
	bool padded;
};

static void append(struct buf *to, struct slice bytes)
{
	if (!buf_append(to, bytes))
		abort();
}

static void print_bytes(const char *name, struct slice bytes)
{
	printf(" %s=", name);
	for (size_t i = 0; i < bytes.n; i++)
		printf("%02x", (unsigned char)bytes.p[i]);
}

static void print_fields(const struct http_fields *fields)
{
	for (uint32_t i = 0; i < fields->count; i++) {
		print_bytes("field", fields->at[i].name);
		putchar(':');
		for (size_t j = 0; j < fields->at[i].value.n; j++)
			printf("%02x", (unsigned char)fields->at[i].value.p[j]);
	}
}

/* `bytes` is all there is: a body that lasts until close is whole. */
static void read_content(struct content *to, enum http_body kind, uint64_t length, bool may_pad,
			 struct slice bytes)
{
	struct body body;
	struct slice run;
	size_t consumed;

	*to = (struct content){.result = BODY_MORE};
	if (kind == BODY_NONE) {
		to->result = BODY_DONE;
		return;
	}
	body_begin(&body, kind, length);
	body.may_pad = may_pad;
	do {
		to->result =
			body_decode(&body, slice_of(bytes.p + to->consumed, bytes.n - to->consumed),
				    &consumed, &run);
		to->consumed += consumed;
		append(&to->bytes, run);
	} while (to->result == BODY_MORE && consumed > 0);
	to->padded = body.padded;
	if (kind == BODY_UNTIL_CLOSE)
		to->result = BODY_DONE;
}

/* As the proxy frames it: by chunks of its own, or as it is. */
static void send_content(struct buf *to, bool chunked, struct slice content)
{
	char head[CHUNK_HEAD_MAX];

	if (!chunked) {
		append(to, content);
		return;
	}
	if (content.n > 0) {
		append(to, slice_of(head, compose_chunk_head(head, content.n)));
		append(to, content);
		append(to, SLICE("\r\n"));
	}
	append(to, SLICE("0\r\n\r\n"));
}

static void send_request(struct buf *to, const struct wire *wire, struct slice content)
{
	static const struct request_form form = {.validate = NULL};

	if (wire->req.form != TARGET_ABSOLUTE || wire->req.uri.scheme != SCHEME_HTTP)
		return;
	if (!compose_request(to, wire->conf, &wire->req, &form))
		abort();
	send_content(to, wire->req.body == BODY_CHUNKED, content);
}

static void send_response(struct buf *to, const struct wire *wire, struct slice content)
{
	static const struct cache_status status = {.fwd = FWD_URI_MISS};
	struct delivery delivery = {
		.keep_alive = true, .client_minor = 1, .head_only = wire->method == METHOD_HEAD};
	bool sent;

	if (wire->res.status == 101)
		return;
	if (wire->res.status < 200) {
		sent = compose_interim(to, wire->conf, &wire->res);
	} else {
		delivery.keep_alive = !compose_needs_close(&wire->res, &delivery);
		sent = compose_response(to, wire->conf, &wire->res, &status, &delivery, 784111777);
	}
	if (!sent)
		abort();
	send_content(to, compose_is_chunked(&wire->res, &delivery), content);
}

static void print_accepted(const struct wire *wire, const struct content *content)
{
	struct slice bytes = buf_waiting(&content->bytes);
	enum http_body kind = wire->response ? wire->res.body : wire->req.body;
	struct buf sent = {0};

	printf("accept end=%zu close=%d version=%d keep=%d mended=%d",
	       wire->consumed + content->consumed, kind == BODY_UNTIL_CLOSE,
	       wire->response ? wire->res.version_minor : wire->req.version_minor,
	       wire->response ? wire->res.keep_alive && !content->padded : wire->req.keep_alive,
	       wire->response && wire->res.mended);
	if (wire->response) {
		printf(" status=%d", wire->res.status);
		send_response(&sent, wire, bytes);
	} else {
		print_bytes("method", wire->req.method_name);
		print_bytes("target", wire->req.target);
		send_request(&sent, wire, bytes);
	}
	print_bytes("body", bytes);
	print_fields(wire->response ? &wire->res.fields : &wire->req.fields);
	if (buf_length(&sent) > 0)
		print_bytes("sent", buf_waiting(&sent));
	putchar('\n');
	buf_free(&sent);
}

static void judge(struct wire *wire, struct slice bytes)
{
	struct content content;

	wire->progress = (struct parse_progress){0};
	wire_parse(wire, bytes);
	if (wire->result == PARSE_FAILED) {
		printf("reject why=%s\n", failure_name(wire->failure));
		return;
	}
	if (wire->result == PARSE_MORE) {
		puts("more");
		return;
	}
	read_content(&content, wire->response ? wire->res.body : wire->req.body,
		     wire->response ? wire->res.content_length : wire->req.content_length,
		     wire->response, slice_of(bytes.p + wire->consumed, bytes.n - wire->consumed));
	if (content.result == BODY_DONE)
		print_accepted(wire, &content);
	else
		puts(content.result == BODY_BAD ? "reject why=body" : "more");
	buf_free(&content.bytes);
}

/* In memory of exactly its size, so that a sanitizer sees an overrun.  False at the end of the input. */
static bool next_case(struct wire *wire)
{
	char kind[16];
	size_t n;
	char *bytes;

	if (scanf("%15s %zu", kind, &n) != 2)
		return false;
	if (n > CASE_MAX || getchar() != '\n')
		abort();
	bytes = malloc(n > 0 ? n : 1);
	if (bytes == NULL || fread(bytes, 1, n, stdin) != n)
		abort();
	wire->response = kind[2] == 's';
	wire->method = strcmp(kind, "response-head") == 0 ? METHOD_HEAD : METHOD_GET;
	judge(wire, slice_of(bytes, n));
	free(bytes);
	return true;
}

int main(void)
{
	static struct wire wire;
	struct conf *conf = test_conf_new();

	wire.conf = conf;
	while (next_case(&wire))
		fflush(stdout);
	test_conf_free(conf);
	return 0;
}
