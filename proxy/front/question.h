/*
 * A request that an operator asks about: /explain?uri=URI&method=GET&header=Name: value.
 *
 * Its text is written as a client would send it, and read by the parser that reads theirs.  So all
 * limits and rules for requests hold for it.
 */
#ifndef PROXY_FRONT_QUESTION_H
#define PROXY_FRONT_QUESTION_H

#include "proxy/base/buf.h"
#include "cache/base/diagnostic.h"
#include "proxy/front/admin_params.h"
#include "proxy/http1/parse.h"

/* From malloc(), in one piece; question_free() releases it. */
struct question {
	struct http_request req; /* with an absolute target; views of `text` */
	bool fetch;              /* &fetch=1: the origin is to be asked as well */
	struct http_field lines[PARSE_REQUEST_FIELDS_MAX];
	struct buf text;
};

/*
 * Read the parameters to their end.  NULL with a line in `error` for whoever asked, when they are
 * not understood or the request would be refused as malformed; with none when there is no memory.
 */
struct question *question_read(struct admin_params *params, const struct conf *conf,
			       struct diagnostic *error);
void question_free(struct question *question);

#endif
