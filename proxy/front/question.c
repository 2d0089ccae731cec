/* A request that an operator asks about, written and read as a client's. */
#include "proxy/front/question.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/log.h"
#include "proxy/http1/parse_fault.h"

/* The parameters as they come. */
struct asked {
	struct slice uri, method;
	struct buf lines; /* field lines */
	bool has_uri, has_method, has_host, fetch;
};

static bool refuse(struct diagnostic *error, const char *text)
{
	diagnostic_set(error, "%s", text);
	return false;
}

/* Neither ends a line nor a word of the start line. */
static bool is_one_word(struct slice text)
{
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] <= ' ' || text.p[i] == 0x7f)
			return false;
	return text.n > 0;
}

static bool add_line(struct asked *asked, struct slice line, struct diagnostic *error)
{
	const char *colon = memchr(line.p, ':', line.n);
	struct slice name = slice_of(line.p, colon != NULL ? (size_t)(colon - line.p) : 0);

	if (!http_is_token(name) || memchr(line.p, '\r', line.n) != NULL ||
	    memchr(line.p, '\n', line.n) != NULL)
		return refuse(error, "header: write it as Name: value, on one line");
	asked->has_host |= slice_ieq(name, SLICE("Host"));
	return buf_append(&asked->lines, line) && buf_append(&asked->lines, SLICE("\r\n"));
}

static bool read_one(struct asked *asked, struct slice name, struct slice value,
		     struct diagnostic *error)
{
	char quoted[64];

	if (slice_eq(name, SLICE("header")))
		return add_line(asked, value, error);
	if (slice_eq(name, SLICE("uri")) && !asked->has_uri) {
		asked->uri = value;
		asked->has_uri = true;
	} else if (slice_eq(name, SLICE("method")) && !asked->has_method) {
		asked->method = value;
		asked->has_method = true;
	} else if (slice_eq(name, SLICE("fetch")) &&
		   (slice_eq(value, SLICE("1")) || slice_eq(value, SLICE("0")))) {
		asked->fetch = value.p[0] == '1';
	} else {
		diagnostic_set(
			error,
			"%s: not a parameter, given twice, or of another value: they are uri, "
			"method, header (any number) and fetch=1",
			log_quote(name.p, name.n, quoted, sizeof(quoted)));
		return false;
	}
	return true;
}

static bool check_uri(struct slice uri, struct diagnostic *error)
{
	struct http_uri parsed;

	switch (is_one_word(uri) ? http_uri_parse_absolute(uri, &parsed) : URI_BAD) {
	case URI_OK:
		return true;
	case URI_USERINFO:
		return refuse(error, "uri: has a user before the host: proxies refuse that");
	case URI_FRAGMENT:
		return refuse(error, "uri: has a fragment (#), which is never sent: write %23 for "
				     "the character, or leave it out");
	case URI_BAD_SCHEME:
		return refuse(error, "uri: the scheme may be http or https");
	case URI_NO_PORT:
	case URI_BAD:
		break;
	}
	return refuse(error,
		      "uri: not an absolute http or https URI, with spaces and controls written "
		      "as %20 and the like");
}

static bool read_all(struct admin_params *params, struct asked *asked, struct diagnostic *error)
{
	struct slice name, value;

	*asked = (struct asked){.method = SLICE("GET")};
	while (admin_params_next(params, &name, &value))
		if (!read_one(asked, name, value, error))
			return false;
	if (params->bad)
		return refuse(error, "a parameter is not encoded as in a form: % needs two "
				     "hexadecimal digits behind it");
	if (!asked->has_uri)
		return refuse(error, "say which URI: /explain?uri=http://example.com/");
	if (!is_one_word(asked->method))
		return refuse(error, "method: not a method");
	return check_uri(asked->uri, error);
}

/* The head as a client would send it. */
static bool write_text(const struct asked *asked, struct buf *text)
{
	return buf_append(text, asked->method) && buf_append(text, SLICE(" ")) &&
	       buf_append(text, asked->uri) && buf_append(text, SLICE(" HTTP/1.1\r\n")) &&
	       (asked->has_host || buf_append(text, SLICE("Host: _\r\n"))) &&
	       buf_append(text, buf_waiting(&asked->lines)) && buf_append(text, SLICE("\r\n"));
}

static bool parse(struct question *question, const struct conf *conf, struct diagnostic *error)
{
	struct slice text = buf_waiting(&question->text);
	struct parse_progress progress = {0};
	struct parsed parsed = {.failure = FAILURE_BAD_REQUEST};
	char fault[PARSE_FAULT_SIZE];

	question->req.fields =
		(struct http_fields){.at = question->lines, .capacity = PARSE_REQUEST_FIELDS_MAX};
	if (parse_request(text, conf, NULL, &progress, &question->req, &parsed) != PARSE_DONE) {
		parse_fault_request(text, parsed.failure, fault);
		diagnostic_set(error, "such a request is answered %u: %s%s%s",
			       failure_status(parsed.failure), failure_sentence(parsed.failure),
			       fault[0] != '\0' ? " " : "", fault);
		return false;
	}
	/* its URI is an absolute one, which CONNECT cannot have */
	assert(question->req.form == TARGET_ABSOLUTE);
	return true;
}

struct question *question_read(struct admin_params *params, const struct conf *conf,
			       struct diagnostic *error)
{
	struct question *question = malloc(sizeof(*question));
	struct asked asked = {0};
	bool ok = question != NULL;

	error->text[0] = '\0';
	if (ok) {
		question->text = (struct buf){0};
		question->req = (struct http_request){0};
		ok = read_all(params, &asked, error) && write_text(&asked, &question->text) &&
		     parse(question, conf, error);
		question->fetch = asked.fetch;
	}
	buf_free(&asked.lines);
	if (ok)
		return question;
	question_free(question);
	return NULL;
}

void question_free(struct question *question)
{
	if (question != NULL)
		buf_free(&question->text);
	free(question);
}
