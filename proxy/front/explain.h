/*
 * What would become of a request now: answered from the store or not, by which record, and why.
 *
 * By the rules that a request meets, in their order (forward_rules.h, cache_peek()); nothing is
 * counted, marked, removed or asked for.
 */
#ifndef PROXY_FRONT_EXPLAIN_H
#define PROXY_FRONT_EXPLAIN_H

#include "cache/policy/lint.h"
#include "proxy/front/forward_rules.h"
#include "proxy/loop/env.h"

enum explain_verdict {
#define VERDICT(id, token, from_store) EXPLAIN_##id,
#include "proxy/front/explain_verdicts.def"
#undef VERDICT
	EXPLAIN_COUNT
};

const char *explain_verdict_token(enum explain_verdict verdict);
bool explain_is_from_store(enum explain_verdict verdict);

struct explained {
	const struct http_request *req;
	const struct env *env;
	const struct conf *options; /* by the rule for it */
	struct http_clock now;
	struct slice gateway; /* "ADDRESS:PORT" of the one for this origin; empty for none */
	bool chosen;          /* it is asked for by way of that */
	enum explain_verdict verdict;
	enum failure refused;       /* with REFUSED */
	enum failure proxy_refuses; /* with a gateway: what clients of the proxy itself get */
	enum reason why;            /* REASON_NONE with HIT */
	enum reason barred;         /* why answers for it are not stored, where that is known */
	bool asked, kept;           /* the origin was asked, and its answer may be stored */
	unsigned status;            /* of the answer, when it is made here; else 0 */
	struct cache_status status_field;
	bool found; /* below is set, with views that end with the turn */
	struct cache_found in_store;
	int64_t age_s, lifetime_s; /* of its record, when it has one */
};

/* `req` has an absolute target, and must outlive *ret_explained. */
void explain(const struct env *env, const struct http_request *req,
	     struct explained *ret_explained);

/* The origin was asked, and this is what is found in its answer. */
void explain_answered(struct explained *explained, const struct http_response *res,
		      const struct lint *lint);

#endif
