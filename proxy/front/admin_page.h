/* What all pages of the operators' front end have in common. */
#ifndef PROXY_FRONT_ADMIN_PAGE_H
#define PROXY_FRONT_ADMIN_PAGE_H

#include "proxy/base/json_writer.h"
#include "proxy/exchange/exchange.h"
#include "proxy/front/admin_params.h"

/* On every answer, besides no-store. */
#define ADMIN_FIELDS                          \
	"X-Content-Type-Options: nosniff\r\n" \
	"Content-Security-Policy: default-src 'none'\r\n"

/* Begins with the parameters of its target.  False: there was no memory, and the exchange has failed. */
bool admin_read_params(struct exchange *x, struct admin_params *ret_params);

/* An error with ADMIN_FIELDS, and more, in plain text. */
void admin_refuse(struct exchange *x, unsigned status, const char *fields, const char *text);

/* 200 with text from malloc(), which is freed; an error of the proxy for NULL. */
void admin_answer_text(struct exchange *x, const char *content_type, char *text, size_t length);

/* The text that was written, which has ended; an error of the proxy when that failed. */
void admin_answer_json(struct exchange *x, unsigned status, struct json_writer *out);

/* The page that sends a request which changes something, if a page does, is from here. */
bool admin_is_from_own_page(const struct http_request *req);

/* What all workers have counted by now. */
void admin_page_sum(const struct env *env, struct stats *ret_sum);

#endif
