/* The judgement on what came to origins, and by tunnels; see witness.h. */
#include "tests/oracle/witness_impl.h"

#include <stdio.h>

#include "cache/http/fields.h"
#include "tests/oracle/sharing.h"

/* Is it one of the host's addresses?  A parent's is nobody's. */
static bool is_home(const struct witness *w, const char *host, const struct fake_peer *origin)
{
	char text[ADDRESS_TEXT_SIZE];

	address_format(&origin->address, text);
	for (unsigned i = 0; i < w->home_count && !w->parent; i++) {
		const char *addresses = w->homes[i].addresses;
		bool lives_here = strncmp(text, addresses, strlen(addresses)) == 0;

		if (lives_here != (strcmp(w->homes[i].host, host) == 0))
			return false;
	}
	return true;
}

/* Is the target that of the request, in the form for an origin or for a parent? */
static bool is_target(const struct asked *asked, const struct http_request *req, bool absolute)
{
	char target[256];

	snprintf(target, sizeof(target), "%s%s%s", absolute ? "http://" : "",
		 absolute ? asked->host : "", asked->path);
	return req->form == (absolute ? TARGET_ABSOLUTE : TARGET_ORIGIN) &&
	       slice_eq(req->target, slice_str(target));
}

static bool is_field(const struct asked *asked, const struct http_request *req, const char *name)
{
	const struct http_field *field = http_fields_named(&req->fields, slice_str(name));

	return slice_eq(sharing_value(asked->fields, name),
			field == NULL ? slice_of("", 0) : field->value);
}

/* A validation in the background: without what lets just this client in. */
static bool may_be_background(const struct witness *w, const struct http_request *req)
{
	if ((req->method != METHOD_GET && req->method != METHOD_HEAD) ||
	    http_has_field(&req->fields, FIELD_AUTHORIZATION))
		return false;
	for (int n = 0; n < w->answer_count; n++)
		if (w->answers[n].answered.stale_s > 0)
			return true;
	return false;
}

/* A head that came to an origin is that of the request it names. */
static const char *judge_head(struct witness *w, const struct fake_peer *origin,
			      const struct asked *asked)
{
	bool absolute = w->parent && !origin->secured;
	const struct http_request *req = &w->wire.req;
	const struct http_field *host = http_fields_first(&req->fields, FIELD_HOST);

	/* a stale record is validated by GET for a HEAD, too */
	if (!slice_eq(req->method_name, slice_str(asked->method)) &&
	    !(req->method == METHOD_GET && strcmp(asked->method, "HEAD") == 0))
		return "a request came with another method";
	if (!is_target(asked, req, absolute))
		return "a request came with another target";
	if (host == NULL || !slice_eq(host->value, slice_str(asked->host)))
		return "a request came with another host";
	if (!is_home(w, asked->host, origin))
		return "a request came to another host";
	if (http_fields_named(&req->fields, SLICE("Trailer")) != NULL)
		return "a trailer came as a field";
	if ((!is_field(asked, req, "Authorization") && !may_be_background(w, req)) ||
	    !is_field(asked, req, "X-Vary"))
		return "a request came with another's field, or without its own";
	return NULL;
}

static bool may_repeat(const struct asked *asked)
{
	const char *method = asked->method;

	return asked->length == 0 && asked->chunk == 0 &&
	       (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ||
		strcmp(method, "OPTIONS") == 0 || strcmp(method, "PUT") == 0 ||
		strcmp(method, "DELETE") == 0);
}

/* All heads once more, each against its request. */
static const char *judge_heads(struct witness *w, const struct fake_peer *origin)
{
	struct slice rest = fake_peer_got(origin);

	while (witness_read_head(w, rest, NULL) == READ_HEAD) {
		int name = witness_name_read(w, &w->wire.req.fields, "X-Request", 'r',
					     w->request_count);
		struct content content = {.n = name};
		enum body_result result;
		struct body body;
		const char *fault;
		size_t length;

		if (w->parent && w->wire.req.method == METHOD_CONNECT) {
			skip(&rest, w->wire.consumed);
			if (!origin->secured)
				break;
			continue;
		}
		fault = name == NOBODY ? "a request came that nobody made"
				       : judge_head(w, origin, &w->requests[name].asked);
		if (fault != NULL && !witness_is_raw(w, name))
			return fault;
		body_begin(&body, w->wire.req.body, w->wire.req.content_length);
		skip(&rest, w->wire.consumed);
		if (witness_view(w, origin)->changed &&
		    http_has_field(&w->wire.req.fields, FIELD_UPGRADE))
			break;
		length = witness_read_body(w, &body, rest, &content, &result);
		if (result == BODY_DONE && !witness_is_raw(w, name) &&
		    content.at != w->requests[name].asked.length)
			return "a request's body came cut, and looks whole";
		if (result != BODY_DONE)
			break;
		skip(&rest, length);
	}
	return NULL;
}

/* Does the passage lead to this target? */
static bool is_passage(const struct witness *w, const struct passage *passage,
		       const struct fake_peer *target)
{
	return witness_is_raw(w, passage->name) ||
	       is_home(w, w->requests[passage->name].asked.host, target);
}

static const char *judge_target(const struct witness *w, const struct fake_peer *origin)
{
	struct slice got = fake_peer_got(origin);

	for (unsigned i = 0; i < w->tunnel_count; i++)
		if (begins(w->tunnelled[i].bytes, got) && is_passage(w, &w->tunnelled[i], origin))
			return NULL;
	return got.n == 0 ? NULL : "a tunnel brought its target what no client said";
}

const char *witness_judge_returned(struct witness *w, const struct passage *passage)
{
	struct slice returned = passage->bytes;
	const enum http_method method = METHOD_GET;
	const struct fake_peer *peer;

	for (unsigned i = 0; returned.n > 0 && (peer = fake_peer_connected(i)) != NULL; i++)
		if ((witness_is_tunnel(peer) || w->reads_tunnels) &&
		    begins(slice_of(peer->said.p, peer->said.n), returned) &&
		    is_passage(w, passage, peer))
			return NULL;
	if (w->reads_tunnels && witness_read_head(w, returned, &method) != READ_BAD)
		return NULL;
	return returned.n == 0 ? NULL : "a tunnel brought its client what no target said";
}

const char *witness_judge_origin(struct witness *w, const struct fake_peer *origin)
{
	struct view *view = witness_view(w, origin);

	if (witness_is_tunnel(origin))
		return w->tunnel_count < SEEN_MAX ? judge_target(w, origin) : NULL;
	if (w->reads_tunnels && judge_target(w, origin) == NULL)
		return NULL;
	witness_see(w, origin);
	if (view->bad)
		return "what came to an origin is no request";
	if (view->wrong)
		return "a request's body came changed";
	if (!view->raw && view->seen > view->answered + 1)
		return "a request came before the one before it was answered";
	return judge_heads(w, origin);
}

const char *witness_judge_repeats(const struct witness *w)
{
	for (int n = 0; n < w->request_count; n++)
		if (w->requests[n].deliveries > 1 && !may_repeat(&w->requests[n].asked) &&
		    !witness_is_raw(w, n))
			return "a request was sent twice";
	return NULL;
}
