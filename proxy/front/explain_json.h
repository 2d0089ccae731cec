/* What was found out about a request, as JSON: the shape is in cache204(8). */
#ifndef PROXY_FRONT_EXPLAIN_JSON_H
#define PROXY_FRONT_EXPLAIN_JSON_H

#include "proxy/base/json_writer.h"
#include "proxy/front/explain.h"

enum {
	EXPLAIN_JSON_MAX = 2 << 20,
	EXPLAIN_OTHERS = 16, /* variants shown beside the one that was selected */
};

/* The members of an object that has begun. */
void explain_put(struct json_writer *out, const struct explained *explained);

/*
 * The member "head": its text, with line feeds between the lines, and none at its end.  `lines` may
 * end as they came.
 */
void explain_put_head(struct json_writer *out, struct slice status_line, struct slice lines);

#endif
