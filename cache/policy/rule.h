/*
 * Which rule of the configuration decides for a URI, and what it makes of options and keys.
 *
 * The first in the file that has a pattern that fits decides alone; conf/pattern.h says what a
 * pattern is.  Hosts are compared in lower case, without a dot at their end, IPv6 in one spelling.
 * Paths are compared as they are written and in the forms of pattern_path_in(): a rule that keeps
 * something out (deny, store = off) fits when one of them does, since no other spelling may avoid
 * it, and any other rule when the written and the plain one do, since no other may obtain it.
 * Pure.
 */
#ifndef CACHE_POLICY_RULE_H
#define CACHE_POLICY_RULE_H

#include "cache/http/fields.h"
#include "cache/http/message.h"
#include "conf/rules.h"

/*
 * The rule for a URI with a path, or NULL.  *ret_any_path, which may be NULL: it is so for every
 * path of the origin.
 */
const struct conf_rule *policy_find_rule(const struct conf_rules *rules, const struct http_uri *uri,
					 bool *ret_any_path);

/*
 * The same of the target of CONNECT: a pattern with a path other than all does not fit, since the
 * path is not known, and of a scheme the default port counts.
 */
const struct conf_rule *policy_find_tunnel_rule(const struct conf_rules *rules,
						const struct http_uri *uri);

/* Decide for a request whose target URI is known: sets req->rule. */
static inline void policy_choose_rule(struct http_request *req, const struct conf *conf)
{
	req->rule = conf->rules == NULL ? NULL
		    : req->form == TARGET_AUTHORITY
			    ? policy_find_tunnel_rule(conf->rules, &req->uri)
			    : policy_find_rule(conf->rules, &req->uri, NULL);
}

/* The options as they are for a request. */
static inline const struct conf *policy_options(const struct http_request *req,
						const struct conf *conf)
{
	return req->rule != NULL ? &req->rule->options : conf;
}

/* The same for a URI in normal form, as records have it. */
const struct conf *policy_uri_options(const struct conf *conf, struct slice normal);

/*
 * Those that lifetimes are found by: the rule's do not count for what may be one user's, an answer
 * to Authorization or with Set-Cookie, which they would make storable or keep for longer than its
 * origin meant.
 */
static inline const struct conf *policy_lifetime_options(const struct http_request *req,
							 const struct http_response *res,
							 const struct conf *conf)
{
	const struct conf *options = policy_options(req, conf);
	bool is_personal = http_has_field(&req->fields, FIELD_AUTHORIZATION) ||
			   http_has_field(&res->fields, FIELD_SET_COOKIE);

	return options->rule != NULL && is_personal ? options->rule->whole : options;
}

/* Whether several URIs have one key under the rule. */
static inline bool rule_joins_keys(const struct conf_rule *rule)
{
	return rule != NULL && rule->query_tag != 0;
}

/*
 * The URI that the key is made of, from the normal form of the target: without the parameters that
 * are no part of it, the others sorted by name where the rule says so, unless they are more than
 * RULE_PARAMETERS_MAX.  Without parameters left there is no ?, either.  `to` has normal.n bytes, and
 * does not overlap; returns the length.
 */
enum { RULE_PARAMETERS_MAX = 128 };
size_t rule_key_uri(const struct conf_rule *rule, struct slice normal, char *to);

/* The same of a URI alone, by the rule for it; `to` has policy_key_uri_max() bytes. */
size_t policy_key_uri_max(const struct http_uri *uri);
struct slice policy_key_uri(const struct conf *conf, const struct http_uri *uri, char *to);

#endif
