/*
 * The rules that a request meets, one by one, each with what it made of it: ["ok", "Age", "42 s of
 * 60 s"].
 */
#ifndef PROXY_FRONT_EXPLAIN_CHECKS_H
#define PROXY_FRONT_EXPLAIN_CHECKS_H

#include "proxy/base/json_writer.h"
#include "proxy/front/explain.h"

/* One row: `kind` is "ok", "no" or "warn". */
void explain_put_check(struct json_writer *out, const char *kind, const char *name,
		       const char *text);

/* The member "checks". */
void explain_put_checks(struct json_writer *out, const struct explained *explained);

#endif
