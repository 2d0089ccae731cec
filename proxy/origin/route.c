/* Routes: directly, or by way of the parent proxy. */
#include "proxy/origin/route.h"

#include <stdio.h>
#include <stdlib.h>

#include "cache/base/ascii.h"
#include "cache/base/decimal.h"
#include "conf/rules.h"
#include "proxy/base/hostname.h"
#include "proxy/access/destinations.h"

/* The origin of a gateway that is reached by a Unix socket. */
struct near {
	struct conf_gateway split;
	struct http_uri origin; /* a view of it */
};

/* A parent, and the bytes of it. */
struct way {
	struct parent parent;
	char *host, *authorization;
};

struct routes {
	struct near *near;
	size_t near_count;
	struct way way; /* of the option */
	struct way *of_rules;
	uint32_t rule_count;
	struct rules *no_proxy;
};

/* "user:password" of a URL, escapes undone (conf/forms.c has checked them), in place. */
static size_t unescape(char *text, size_t n)
{
	size_t to = 0;

	for (size_t i = 0; i < n; i++) {
		if (text[i] == '%' && i + 2 < n) {
			text[to++] = (char)(ascii_hex(text[i + 1]) * 16 + ascii_hex(text[i + 2]));
			i += 2;
		} else {
			text[to++] = text[i];
		}
	}
	return to;
}

/* RFC 4648 4; `to` has room for 4 * (n + 2) / 3 bytes.  Returns the length. */
static size_t base64(const char *from, size_t n, char *to)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = (const unsigned char *)from;
	char *at = to;

	for (size_t i = 0; i < n; i += 3) {
		uint32_t bits = (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) |
				(i + 2 < n ? p[i + 2] : 0);

		*at++ = digits[bits >> 18];
		*at++ = digits[bits >> 12 & 63];
		*at++ = i + 1 < n ? digits[bits >> 6 & 63] : '=';
		*at++ = i + 2 < n ? digits[bits & 63] : '=';
	}
	return (size_t)(at - to);
}

/* Basic credentials (RFC 7617). */
static bool set_authorization(struct way *way, const char *userinfo, size_t n)
{
	char *plain = strndup(userinfo, n);
	size_t room = sizeof("Basic ") + 4 * (n + 2) / 3;
	size_t length;

	way->authorization = malloc(room);
	if (plain == NULL || way->authorization == NULL) {
		free(plain);
		return false;
	}
	memcpy(way->authorization, "Basic ", 6);
	length = 6 + base64(plain, unescape(plain, n), way->authorization + 6);
	way->parent.authorization = slice_of(way->authorization, length);
	explicit_bzero(plain, n);
	free(plain);
	return true;
}

/* http://[user:password@]host:port, as conf/forms.c has checked. */
static bool set_parent(struct way *way, const char *text)
{
	const char *rest = text + sizeof("http://") - 1;
	const char *at, *colon;

	if (text[0] == '\0')
		return true;
	at = strrchr(rest, '@');
	if (at != NULL && !set_authorization(way, rest, (size_t)(at - rest)))
		return false;
	rest = at != NULL ? at + 1 : rest;
	colon = strrchr(rest, ':');
	way->host = strndup(rest, (size_t)(colon - rest));
	if (way->host == NULL)
		return false;
	way->parent.host = slice_str(way->host);
	way->parent.port = (uint16_t)decimal_take(slice_str(colon + 1), UINT16_MAX).number;
	return true;
}

static bool set_parents_of_rules(struct routes *routes, const struct conf_rules *rules)
{
	if (rules == NULL)
		return true;
	routes->of_rules = calloc(rules->count, sizeof(*routes->of_rules));
	if (routes->of_rules == NULL)
		return false;
	routes->rule_count = rules->count;
	for (uint32_t i = 0; i < rules->count; i++) {
		const struct conf_rule *rule = &rules->at[i];
		struct way *way = &routes->of_rules[i];

		if (!rule_goes_direct(rule) && !set_parent(way, rule->parent))
			return false;
		way->parent.number = (uint16_t)(i + 1);
	}
	return true;
}

static bool set_near(struct routes *routes, const struct conf_list *gateways)
{
	routes->near = calloc(gateways->count + 1, sizeof(*routes->near));
	for (size_t i = 0; routes->near != NULL && i < gateways->count; i++) {
		struct near *near = &routes->near[routes->near_count];

		if (conf_split_gateway(gateways->at[i], &near->split) &&
		    near->split.socket[0] != '\0' &&
		    http_uri_parse_absolute(slice_str(near->split.origin), &near->origin) == URI_OK)
			routes->near_count++;
	}
	return routes->near != NULL;
}

struct routes *routes_new(const struct conf *conf, struct diagnostic *error)
{
	struct routes *routes = calloc(1, sizeof(*routes));

	if (routes == NULL || !set_parent(&routes->way, conf->parent) ||
	    !set_parents_of_rules(routes, conf->rules)) {
		diagnostic_set(error, "parent: out of memory");
		routes_free(routes);
		return NULL;
	}
	if (!set_near(routes, &conf->gateway)) {
		diagnostic_set(error, "gateway: out of memory");
		routes_free(routes);
		return NULL;
	}
	routes->no_proxy = rules_new(&conf->no_proxy, "no_proxy", error);
	if (routes->no_proxy == NULL) {
		routes_free(routes);
		return NULL;
	}
	return routes;
}

static void free_way(struct way *way)
{
	if (way->authorization != NULL)
		explicit_bzero(way->authorization, way->parent.authorization.n);
	free(way->authorization);
	free(way->host);
}

void routes_free(struct routes *routes)
{
	if (routes == NULL)
		return;
	free_way(&routes->way);
	for (uint32_t i = 0; i < routes->rule_count; i++)
		free_way(&routes->of_rules[i]);
	free(routes->of_rules);
	free(routes->near);
	rules_free(routes->no_proxy);
	free(routes);
}

const struct parent *routes_parent(const struct routes *routes)
{
	return &routes->way.parent;
}

/*
 * What names this machine would be taken by the parent to name its own, and the same URL would mean
 * two places.
 */
static bool is_this_machine(struct slice host)
{
	union address address;
	char name[HOSTNAME_MAX];

	if (!address_parse(host, &address))
		return hostname_is_within(slice_of(name, hostname_normal(host, name)),
					  SLICE("localhost"));
	address = address_unmapped(&address);
	return address_is_loopback(&address) || address_is_wildcard(&address);
}

static bool has_no_proxy(const struct routes *routes, struct slice host)
{
	union address address;

	if (address_parse(host, &address))
		return rules_have_address(routes->no_proxy, &address);
	return rules_have_name(routes->no_proxy, host);
}

/* NULL for directly. */
static const struct parent *parent_for(const struct routes *routes, const struct http_request *req)
{
	const struct conf_rule *rule = req->rule;
	bool by_rule = rule != NULL && RULE_HAS(rule, parent);
	const struct parent *parent =
		by_rule ? &routes->of_rules[rule->index].parent : &routes->way.parent;

	if (parent->host.n == 0 || is_this_machine(req->uri.host) ||
	    (!by_rule && has_no_proxy(routes, req->uri.host)))
		return NULL;
	return parent;
}

/*
 * What the look-up would say that the parent makes in our place.  Addresses were judged with the
 * request.
 */
static enum failure judge_unresolved(struct slice host)
{
	char name[HOSTNAME_MAX];
	union address address;

	if (address_parse(host, &address) || hostname_normal(host, name) > 0)
		return FAILURE_NONE;
	return FAILURE_DNS_ERROR;
}

/* One origin has one way, whichever gateway it is asked for by.  NULL for its host. */
static const char *socket_to(const struct routes *routes, const struct http_uri *uri)
{
	for (size_t i = 0; i < routes->near_count; i++)
		if (http_uri_same_origin(&routes->near[i].origin, uri))
			return routes->near[i].split.socket;
	return NULL;
}

enum failure route_find(const struct routes *routes, const struct http_request *req, bool chosen,
			struct route *ret_route)
{
	bool connects = req->method == METHOD_CONNECT;

	*ret_route = (struct route){
		.host = req->uri.host,
		.port = req->uri.port,
		.tls = !connects && req->uri.scheme == SCHEME_HTTPS,
		.chosen = chosen,
		.socket = chosen ? socket_to(routes, &req->uri) : NULL,
	};
	if (ret_route->socket != NULL)
		return FAILURE_NONE;
	ret_route->parent = parent_for(routes, req);
	ret_route->tunnel = ret_route->parent != NULL && (connects || ret_route->tls);
	return ret_route->parent != NULL ? judge_unresolved(ret_route->host) : FAILURE_NONE;
}

/* Before the number of a rule's parent; no port has it. */
enum { PARENT_MARK = '@' };

/* A letter for each way that no other way's connections may serve. */
static char way_of(const struct route *route)
{
	if (route->parent != NULL)
		return route->tunnel ? 't' : 'p';
	if (route->socket != NULL)
		return route->tls ? 'U' : 'u';
	/* What the operator chose may lead where others may not go (HAZARDS T6). */
	if (route->chosen)
		return route->tls ? 'S' : 'H';
	return route->tls ? 's' : 'h';
}

struct slice route_key(const struct route *route, char to[static ROUTE_KEY_MAX])
{
	bool absolute = route->parent != NULL && !route->tunnel;
	struct slice host = absolute ? route->parent->host : route->host;
	uint16_t port = absolute ? route->parent->port : route->port;
	size_t n = 0;

	to[n++] = way_of(route);
	ascii_write_lower(host, to + n);
	n += host.n;
	to[n++] = ':';
	n += http_port_write(port, to + n);
	if (route->tunnel && route->parent->number > 0) {
		to[n++] = PARENT_MARK;
		n += http_port_write(route->parent->number, to + n);
	}
	return slice_of(to, n);
}

struct slice route_key_host(struct slice key)
{
	const char *colon = memrchr(key.p, ':', key.n);

	return slice_of(key.p + 1, (size_t)(colon - key.p) - 1);
}
