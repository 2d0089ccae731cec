/* What was found out about a request, as sentences for people.  Pure. */
#ifndef PROXY_FRONT_EXPLAIN_TEXT_H
#define PROXY_FRONT_EXPLAIN_TEXT_H

#include "conf/rule.h"
#include "proxy/front/explain.h"

enum { EXPLAIN_SENTENCE = 1024, EXPLAIN_SOURCE = 160 };

/* "A request now is answered from the store, fresh for 18 s more." */
const char *explain_sentence(const struct explained *explained, char to[static EXPLAIN_SENTENCE]);

/* The rule for it, as "by rule tiles, line 12: ttl = 1h"; empty without one. */
enum { EXPLAIN_RULE = RULE_NAME_MAX + RULE_TEXT + 40 };
const char *explain_rule(const struct explained *explained, char to[static EXPLAIN_RULE]);

/* Where the lifetime of its record comes from: "max-age=60 in Cache-Control"; "" for no lifetime. */
const char *explain_lifetime_source(const struct explained *explained,
				    const struct http_fields *fields,
				    char to[static EXPLAIN_SOURCE]);

/* The same of its time when the origin fails; "" for none. */
const char *explain_error_source(const struct explained *explained, char to[static EXPLAIN_SOURCE]);

/* "5 min 3 s", for a check. */
enum { EXPLAIN_SPAN = 48 };
const char *explain_span(int64_t seconds, char to[static EXPLAIN_SPAN]);

#endif
