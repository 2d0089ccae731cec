/*
 * Message heads out of text, as the proxy's parser would hand them to the rules: framing fields are
 * read, options of Connection nominate.  Unlike messages.h, what is no head is reported, not fatal.
 *
 *	GET http://example.com/ [HTTP/1.0]		204 [HTTP/1.0]
 *	Accept: a					Date: ...
 *
 * Lines end with "\n".  The messages are views of `text`, and of the struct's own lines.
 */
#ifndef TESTS_SUPPORT_HEADS_H
#define TESTS_SUPPORT_HEADS_H

#include "cache/http/message.h"

enum { HEAD_LINES = 256 };

struct request_head {
	struct http_field lines[HEAD_LINES];
	struct http_request req;
};

struct response_head {
	struct http_field lines[HEAD_LINES];
	struct http_response res;
};

bool request_head_parse(struct slice text, struct request_head *ret_head);
bool response_head_parse(struct slice text, struct response_head *ret_head);

/* Take the first line off *rest; false at its end. */
bool heads_take_line(struct slice *rest, struct slice *ret_line);

#endif
