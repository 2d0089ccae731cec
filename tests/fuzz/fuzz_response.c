/* LINKS: proxy/http1 */
/*
 * A response head to GET and to HEAD, whole and in pieces: the verdict is the same.  What was
 * accepted, composed for each kind of client and parsed again, says the same (HAZARDS R0.4, V1).
 * A mended head is one that needs no mending: our pass and http-parser agree on it, and so on the
 * message (A7).
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/test_conf.h"
#include "tests/oracle/wire.h"

enum { SIZE_MAX_FUZZED = 60 << 10, SLOW_MAX = 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct conf *confs[2], *roomy;

static void prepare(void)
{
	confs[0] = test_conf_new();
	/* limits that short inputs meet */
	confs[1] = test_conf_new();
	confs[1]->head_size = 256;
	confs[1]->field_count = 8;
	/* what was composed has more than what came */
	roomy = test_conf_new();
	roomy->head_size = 79 << 10;
	roomy->field_count = PARSE_FIELDS_MAX;
}

static void require(const char *difference, struct slice bytes)
{
	if (difference == NULL)
		return;
	fprintf(stderr, "%s differs:\n%.*s\n", difference, SLICE_ARG(bytes));
	abort();
}

static bool compose(struct buf *out, const struct http_response *res, struct delivery *delivery,
		    bool *ret_chunked)
{
	static const struct cache_status status = {.fwd = FWD_URI_MISS, .fwd_status = 999};

	*ret_chunked = compose_is_chunked(res, delivery);
	if (res->status < 200) {
		delivery->keep_alive = true;
		return compose_interim(out, confs[0], res);
	}
	if (compose_needs_close(res, delivery))
		delivery->keep_alive = false;
	return compose_response(out, confs[0], res, &status, delivery, 784111777);
}

static void compose_and_parse(const struct wire *got, struct delivery delivery)
{
	static struct wire sent;
	struct buf out = {0};
	bool chunked;

	if (!compose(&out, &got->res, &delivery, &chunked))
		abort();
	sent.conf = roomy;
	sent.response = true;
	sent.method = got->method;
	sent.progress = (struct parse_progress){0};
	wire_parse(&sent, buf_waiting(&out));
	if (sent.result != PARSE_DONE || sent.consumed != buf_length(&out))
		require("parsing again", buf_waiting(&out));
	if (chunked != (sent.res.body == BODY_CHUNKED))
		require("chunked", buf_waiting(&out));
	require(wire_response_differs(&got->res, &delivery, &sent.res), buf_waiting(&out));
	buf_free(&out);
}

/* The text that was read in the place of the head. */
static void check_mended(const struct wire *got, struct slice bytes)
{
	static struct wire again;
	const char *end = memmem(got->mended, sizeof(got->mended), "\r\n\r\n", 4);
	struct slice text;

	if (end == NULL)
		require("the end of the mended head", bytes);
	text = slice_of(got->mended, (size_t)(end - got->mended) + 4);
	again.conf = roomy;
	again.response = true;
	again.method = got->method;
	again.progress = (struct parse_progress){0};
	wire_parse(&again, text);
	if (again.result != PARSE_DONE || again.consumed != text.n || again.res.mended)
		require("the mended head", bytes);
	if (again.res.status != got->res.status || again.res.body != got->res.body ||
	    again.res.content_length != got->res.content_length ||
	    again.res.fields.count != got->res.fields.count)
		require("the message of the mended head", bytes);
}

static void run(struct slice bytes, const struct conf *conf, enum http_method method)
{
	static const struct delivery deliveries[] = {
		{.keep_alive = true, .client_minor = 1},
		{.client_minor = 1},
		{.client_minor = 0},
	};
	static struct wire got;

	got.conf = conf;
	got.response = true;
	got.method = method;
	got.progress = (struct parse_progress){0};
	got.mended[0] = '\0';
	wire_parse(&got, bytes);
	require(wire_pieces_differ(&got, bytes, 1, bytes.n > SLOW_MAX ? 61 : 1), bytes);
	require(wire_pieces_differ(&got, bytes, bytes.n / 2, 7), bytes);
	if (got.result != PARSE_DONE)
		return;
	if (got.res.mended && got.res.status <= 599)
		check_mended(&got, bytes);
	for (size_t i = 0; i < sizeof(deliveries) / sizeof(deliveries[0]); i++)
		compose_and_parse(&got, deliveries[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = slice_of((const char *)data, size);

	if (roomy == NULL)
		prepare();
	if (size > SIZE_MAX_FUZZED)
		return 0;
	for (size_t i = 0; i < sizeof(confs) / sizeof(confs[0]); i++) {
		run(bytes, confs[i], METHOD_GET);
		run(bytes, confs[i], METHOD_HEAD);
	}
	return 0;
}
