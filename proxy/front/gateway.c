/* Gateways: requests for one origin, by path. */
#include "proxy/front/gateway.h"

#include <stdio.h>
#include <stdlib.h>

#include "cache/policy/rule.h"
#include "proxy/front/forward.h"
#include "proxy/front/forward_rules.h"
#include "proxy/loop/env.h"

struct gateway {
	struct frontend frontend; /* first: an exchange knows its gateway by it */
	struct http_uri origin;   /* a view of `split` */
	struct conf_gateway split;
	char origin_uri[sizeof("https://") + URI_HOST_MAX + sizeof(":65535")];
};

static void gateway_handle(struct exchange *x);
static void gateway_handle_first(struct exchange *x);

static const struct gateway *gateway_of(const struct frontend *frontend)
{
	bool is_one =
		frontend->handle == gateway_handle || frontend->handle == gateway_handle_first;

	return is_one ? (const struct gateway *)frontend : NULL;
}

const char *gateway_origin(const struct frontend *frontend)
{
	const struct gateway *gateway = gateway_of(frontend);

	return gateway == NULL ? NULL : gateway->split.origin;
}

/* The target URI: of the gateway's origin, in whichever form the path came. */
static enum failure complete_target(const struct http_uri *origin, struct http_request *req)
{
	if (req->form == TARGET_ABSOLUTE && !http_uri_same_origin(&req->uri, origin))
		return FAILURE_MISDIRECTED; /* RFC 9110 7.4 */
	/* "*" has an empty path, which is sent on as "*" */
	req->uri = (struct http_uri){
		.scheme = origin->scheme,
		.host = origin->host,
		.port = origin->port,
		.path = req->uri.path,
	};
	req->form = TARGET_ABSOLUTE;
	return FAILURE_NONE;
}

static void gateway_handle(struct exchange *x)
{
	const struct gateway *gateway = gateway_of(x->frontend);
	enum failure failure = gateway_refuses(x->use->env->access, &x->req);

	if (failure == FAILURE_NONE)
		failure = complete_target(&gateway->origin, &x->req);
	if (failure == FAILURE_NONE) {
		policy_choose_rule(&x->req, x->use->conf);
		failure = forward_rule_refuses(&x->req);
	}
	if (failure == FAILURE_NONE)
		forward_admitted(x);
	else
		exchange_fail(x, failure);
}

/* Until a request has come: no other pays for the look. */
static void gateway_handle_first(struct exchange *x)
{
	struct gateway *gateway = (struct gateway *)(uintptr_t)gateway_of(x->frontend);
	struct http_uri asked = x->req.uri;

	gateway->frontend.handle = gateway_handle;
	x->req.uri.scheme = gateway->origin.scheme;
	x->req.uri.host = gateway->origin.host;
	x->req.uri.port = gateway->origin.port;
	forward_announce(x);
	x->req.uri = asked;
	gateway_handle(x);
}

/* As the targets of others are logged: with the port when it does not go without saying. */
static void spell_origin(struct gateway *gateway)
{
	bool secure = gateway->origin.scheme == SCHEME_HTTPS;
	size_t n = (size_t)sprintf(gateway->origin_uri, secure ? "https://" : "http://");

	n += http_uri_authority(&gateway->origin, gateway->origin_uri + n);
	gateway->frontend.origin_uri = slice_of(gateway->origin_uri, n);
}

static bool bind_gateway(struct listener *listener, const char *text, struct diagnostic *error)
{
	struct gateway *gateway = calloc(1, sizeof(*gateway));
	char *addresses[1];
	struct conf_list list = {addresses, 1};

	if (gateway == NULL) {
		diagnostic_set(error, "gateway: out of memory");
		return false;
	}
	gateway->frontend = forward_frontend;
	gateway->frontend.name = "gateway";
	gateway->frontend.handle = gateway_handle_first;
	gateway->frontend.chosen = true;
	gateway->frontend.is_origin = true;
	if (!conf_split_gateway(text, &gateway->split) ||
	    http_uri_parse_absolute(slice_str(gateway->split.origin), &gateway->origin) != URI_OK) {
		diagnostic_set(error, "gateway: %s: not ADDRESS:PORT=URL", text);
		free(gateway);
		return false;
	}
	spell_origin(gateway);
	addresses[0] = gateway->split.listen;
	if (listener_bind(listener, &list, "gateway", &gateway->frontend, error))
		return true;
	free(gateway);
	return false;
}

void gateways_free(struct listener *listener)
{
	for (unsigned i = 0; i < listener->count; i++) {
		const struct gateway *gateway = gateway_of(listener->at[i].frontend);

		listener->at[i].frontend = NULL;
		free((void *)(uintptr_t)gateway);
	}
}

bool gateways_bind(const struct conf *conf, struct listener *listener, struct diagnostic *error)
{
	for (size_t i = 0; i < conf->gateway.count; i++)
		if (!bind_gateway(listener, conf->gateway.at[i], error))
			return false;
	return true;
}
