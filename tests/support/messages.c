/* Messages for tests, out of texts that are known to be good. */
#include "tests/support/messages.h"

#include <stdio.h>
#include <stdlib.h>

#include "cache/http/fields.h"

static struct slice keep(struct message *message, const char *text)
{
	size_t n = strlen(text);

	if (n >= MESSAGE_TEXT)
		abort();
	memcpy(message->text, text, n + 1);
	return slice_of(message->text, n);
}

static void refuse(const char *text)
{
	fprintf(stderr, "not a message: %s\n", text);
	abort();
}

const struct http_request *request_of(struct message *message, const char *text)
{
	if (!request_head_parse(keep(message, text), &message->request))
		refuse(text);
	message->req = message->request.req;
	return &message->req;
}

const struct http_response *response_of(struct message *message, const char *text)
{
	if (!response_head_parse(keep(message, text), &message->response))
		refuse(text);
	message->res = message->response.res;
	return &message->res;
}

struct slice value_of(const struct http_response *res, const char *name)
{
	const struct http_field *line = http_fields_named(&res->fields, slice_str(name));

	return line ? line->value : slice_of(NULL, 0);
}
