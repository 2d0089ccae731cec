/* LINKS: proxy/http1 */
/*
 * A request head, whole and in pieces, and with field lines that were read before: the verdict is
 * the same.  What was accepted, http-parser takes as it stands, request line and all, and composed
 * and parsed again it asks for the same (HAZARDS R0.4, V1).
 */
#include <stdio.h>
#include <stdlib.h>

#define http_method http_parser_method
#include <http_parser.h>
#undef http_method

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
	confs[1]->uri_length = 64;
	/* what was composed has more than what was asked */
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

/* The parser is shown another request line in the proxy: that takes none that it would refuse. */
static void require_parser(const struct wire *wire, struct slice bytes)
{
	static const http_parser_settings settings;
	http_parser parser;

	if (wire->req.method > METHOD_CONNECT)
		return; /* it knows a list of methods only */
	http_parser_init(&parser, HTTP_REQUEST);
	if (http_parser_execute(&parser, &settings, bytes.p, wire->consumed) != wire->consumed ||
	    HTTP_PARSER_ERRNO(&parser) != HPE_OK)
		require("http-parser's opinion", bytes);
}

static void compose_and_parse(const struct http_request *req, const struct request_form *form)
{
	static struct wire sent;
	struct buf out = {0};

	if (!compose_request(&out, confs[0], req, form))
		abort();
	sent.conf = roomy;
	sent.progress = (struct parse_progress){0};
	wire_parse(&sent, buf_waiting(&out));
	if (sent.result != PARSE_DONE || sent.consumed != buf_length(&out))
		require("parsing again", buf_waiting(&out));
	require(wire_request_differs(req, form, &sent.req), buf_waiting(&out));
	buf_free(&out);
}

static void pass_on(const struct http_request *req)
{
	static const struct record_view record = {
		.etag = {"\"e\"", 3},
		.last_modified = {"Sun, 06 Nov 1994 08:00:00 GMT", 29},
	};
	static const struct request_form forms[] = {
		{.validate = NULL},
		{.validate = &record},
		{.absolute = true, .unconditional = true, .max_forwards = "1"},
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		compose_and_parse(req, &forms[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct wire wire;
	struct slice bytes = slice_of((const char *)data, size);

	if (roomy == NULL)
		prepare();
	if (size > SIZE_MAX_FUZZED)
		return 0;
	for (size_t i = 0; i < sizeof(confs) / sizeof(confs[0]); i++) {
		wire.conf = confs[i];
		wire.progress = (struct parse_progress){0};
		wire_parse(&wire, bytes);
		require(wire_pieces_differ(&wire, bytes, 1, size > SLOW_MAX ? 61 : 1), bytes);
		require(wire_pieces_differ(&wire, bytes, size / 2, 7), bytes);
		if (wire.result == PARSE_DONE)
			require_parser(&wire, bytes);
		if (wire.result == PARSE_DONE && wire.req.form == TARGET_ABSOLUTE &&
		    wire.req.uri.scheme == SCHEME_HTTP)
			pass_on(&wire.req);
	}
	return 0;
}
