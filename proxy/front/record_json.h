/* What a stored record is, as JSON: the members that all pages have of one. */
#ifndef PROXY_FRONT_RECORD_JSON_H
#define PROXY_FRONT_RECORD_JSON_H

#include "cache/record/record.h"
#include "proxy/base/json_writer.h"

/* Member "answers": which requests it is for. */
void record_put_answers(struct json_writer *out, const struct record_view *record);

/* Member "vary": the request fields that select it, each with its value, or null for absence. */
void record_put_vary(struct json_writer *out, const struct record_view *record);

#endif
