/*
 * Messages for tests that need them to be good, out of short texts:
 *
 *	request_of(&message, "GET http://example.com/\n"
 *			     "Accept: a\n");
 *	response_of(&message, "204\n"
 *			      "Date: ...\n");
 *
 * The message keeps a copy of the text; it must not move.  Texts that are no message (heads.h)
 *abort.
 */
#ifndef TESTS_SUPPORT_MESSAGES_H
#define TESTS_SUPPORT_MESSAGES_H

#include "tests/support/heads.h"

enum { MESSAGE_TEXT = 80 << 10 };

struct message {
	char text[MESSAGE_TEXT];
	union {
		struct request_head request;
		struct response_head response;
	};
	struct http_request req;
	struct http_response res;
};

const struct http_request *request_of(struct message *message, const char *text);
const struct http_response *response_of(struct message *message, const char *text);

/* The value of the first line of that name; empty, p NULL, when there is none. */
struct slice value_of(const struct http_response *res, const char *name);

#endif
