/*
 * What is decided of a request before any origin is asked, as far as that is a function of what is
 * known: for the front ends, and for explain, which tells what they would do.  Pure.
 */
#ifndef PROXY_FRONT_FORWARD_RULES_H
#define PROXY_FRONT_FORWARD_RULES_H

#include "cache/cache.h"
#include "proxy/access/access.h"
#include "proxy/http1/compose.h"

/* May clients of the proxy, or of a gateway, ask for this at all?  Of an absolute target. */
enum failure forward_refuses(const struct access *access, const struct http_request *req);
enum failure gateway_refuses(const struct access *access, const struct http_request *req);

/* May anybody ask for this, by the rule for its URI?  Part of both. */
enum failure forward_rule_refuses(const struct http_request *req);

/* RFC 9110 7.6.2: TRACE and OPTIONS stop here when Max-Forwards says so. */
bool forward_stops_here(const struct http_request *req);

/* Why the origin is asked although it was looked up. */
enum forward_reason forward_reason_of(const struct cache_lookup *lookup);

/* As if there were no record. */
void forward_forget_record(const struct http_request *req, const struct http_clock *now,
			   const struct conf *conf, struct cache_lookup *lookup);

/* The same of one that this client may not see: a miss, which brings another in its place. */
void forward_hide_record(const struct http_request *req, const struct http_clock *now,
			 const struct conf *conf, struct cache_lookup *lookup);

#endif
