/* What a stored record is, as JSON: the members that all pages have of one. */
#ifndef PROXY_FRONT_RECORD_JSON_H
#define PROXY_FRONT_RECORD_JSON_H

#include "cache/record/record.h"
#include "cache/record/vary.h"
#include "proxy/base/json_writer.h"

/* Member "answers": which requests it is for. */
void record_put_answers(struct json_writer *out, const struct record_view *record);

/*
 * The value of a field that selects a record, as it may be shown: "***" for credentials and cookies
 * of a client, which are not for all who may read the pages (HAZARDS M5).
 */
struct slice record_shown_value(const struct vary_item *item);

/* Member "vary": the request fields that select it, each with its value, or null for absence. */
void record_put_vary(struct json_writer *out, const struct record_view *record);

#endif
