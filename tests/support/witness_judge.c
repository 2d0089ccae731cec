/* The judgement on what the proxy made of it; see witness.h. */
#include "tests/support/witness_impl.h"

#include <stdio.h>

#include "cache/http_fields.h"

/* What a client said, but for what came before its requests. */
static struct slice said_by(const struct fake_peer *client)
{
	struct slice said = slice_of(client->said.p, client->said.n);

	skip(&said, client->preface < said.n ? client->preface : said.n);
	return said;
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

/* A head that came to an origin is that of the request it names. */
static const char *judge_head(struct witness *w, const struct asked *asked, bool absolute)
{
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
	if (http_fields_named(&req->fields, SLICE("Trailer")) != NULL)
		return "a trailer came as a field";
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
				       : judge_head(w, &w->requests[name].asked,
						    w->parent && !origin->secured);
		if (fault != NULL && !w->raw_clients)
			return fault;
		body_begin(&body, w->wire.req.body, w->wire.req.content_length);
		skip(&rest, w->wire.consumed);
		if (witness_view(w, origin)->changed &&
		    http_has_field(&w->wire.req.fields, FIELD_UPGRADE))
			break;
		length = witness_read_body(w, &body, rest, &content, &result);
		if (result == BODY_DONE && !w->raw_clients &&
		    content.at != w->requests[name].asked.length)
			return "a request's body came cut, and looks whole";
		if (result != BODY_DONE)
			break;
		skip(&rest, length);
	}
	return NULL;
}

static bool begins(struct slice bytes, struct slice start)
{
	return start.n <= bytes.n && (start.n == 0 || memcmp(bytes.p, start.p, start.n) == 0);
}

static const char *judge_target(const struct witness *w, const struct fake_peer *origin)
{
	struct slice got = fake_peer_got(origin);

	for (unsigned i = 0; i < w->tunnel_count; i++)
		if (begins(w->tunnelled[i], got))
			return NULL;
	return got.n == 0 ? NULL : "a tunnel brought its target what no client said";
}

static const char *judge_returned(struct slice returned)
{
	const struct fake_peer *peer;

	for (unsigned i = 0; returned.n > 0 && (peer = fake_peer_connected(i)) != NULL; i++)
		if (witness_is_tunnel(peer) &&
		    begins(slice_of(peer->said.p, peer->said.n), returned))
			return NULL;
	return returned.n == 0 ? NULL : "a tunnel brought its client what no target said";
}

static const char *judge_origin(struct witness *w, const struct fake_peer *origin)
{
	struct view *view = witness_view(w, origin);

	if (witness_is_tunnel(origin))
		return w->tunnel_count < SEEN_MAX ? judge_target(w, origin) : NULL;
	witness_see(w, origin);
	if (view->bad)
		return "what came to an origin is no request";
	if (view->wrong)
		return "a request's body came changed";
	if (!view->raw && view->seen > view->answered + 1)
		return "a request came before the one before it was answered";
	return judge_heads(w, origin);
}

/* ---- clients -------------------------------------------------------------------------------- */

/* A request as its client made it, and how far its answer has been read. */
struct turn {
	bool whole_head, whole;
	int name; /* NOBODY for one that nobody knows */
	enum http_method method;
};

static size_t read_turn(struct witness *w, struct slice said, struct turn *turn)
{
	struct content content = {0};
	enum body_result result;
	struct body body;
	size_t length;

	*turn = (struct turn){.name = NOBODY, .method = METHOD_GET};
	if (witness_read_head(w, said, NULL) != READ_HEAD)
		return 0;
	turn->whole_head = true;
	turn->method = w->wire.req.method;
	turn->name = witness_name_read(w, &w->wire.req.fields, "X-Request", 'r', w->request_count);
	length = w->wire.consumed;
	skip(&said, length);
	body_begin(&body, w->wire.req.body, w->wire.req.content_length);
	length += witness_read_body(w, &body, said, &content, &result);
	turn->whole = result == BODY_DONE;
	return length;
}

static bool may_be_shared(const struct witness *w, const struct answer *answer, unsigned status,
			  const struct asked *asked)
{
	const struct asked *first;

	if (!answer->answered.shareable || (status != 204 && status != 304))
		return false;
	if (answer->request == NOBODY || asked == NULL)
		return w->raw_clients;
	first = &w->requests[answer->request].asked;
	return w->raw_clients ||
	       (strcmp(first->host, asked->host) == 0 && strcmp(first->path, asked->path) == 0 &&
		first->tls == asked->tls);
}

/* An answer that an origin gave: to whom? */
static const char *judge_name(const struct witness *w, const struct turn *turn, int name,
			      unsigned status)
{
	const struct answer *answer = &w->answers[name];
	const struct asked *asked = turn->name == NOBODY ? NULL : &w->requests[turn->name].asked;

	if (answer->answered.unasked)
		return "a client got what no request had asked for";
	if (answer->request == NOBODY && turn->name == NOBODY)
		return NULL;
	if (answer->request != turn->name && !may_be_shared(w, answer, status, asked))
		return "a client got what another was answered";
	return NULL;
}

/* The content of an answer that an origin gave, as the client has it. */
static const char *judge_content(struct witness *w, int name, const struct content *content,
				 bool whole)
{
	const struct answer *answer = &w->answers[name];
	const struct fake_peer *origin = answer->origin;

	if (w->views[fake_peer_index(origin)].raw)
		return NULL;
	if (content->wrong)
		return "an answer's content came changed";
	if (!whole || content->at == answer->answered.length)
		return NULL;
	if (answer->answered.until_close && origin->ended && origin->error == 0)
		return NULL;
	return "an answer came cut, and looks whole";
}

/* Is it a good reason that a request stayed without an answer? */
static bool is_excused(const struct witness *w, const struct fake_peer *client,
		       const struct turn *turn)
{
	return w->excused || (w->wordless && client->got.n == 0) || !turn->whole ||
	       client->error != 0 || client->gone || client->got_reset || client->room != SIZE_MAX;
}

struct state {
	struct slice said, got; /* what is left */
	bool over;              /* no more answers can follow */
};

/* Interim responses that come before the final one. */
static const char *pass_interim(struct witness *w, struct state *state, const struct turn *turn,
				enum reading *ret_reading)
{
	int name;

	for (;;) {
		*ret_reading = witness_read_head(w, state->got, &turn->method);
		if (*ret_reading == READ_BAD)
			return "what a client got is no response";
		if (*ret_reading != READ_HEAD || w->wire.res.status >= 200)
			return NULL;
		if (w->wire.res.status == 101) {
			state->over = true;
			state->got.n = 0;
			*ret_reading = READ_NOTHING;
			return w->upgrade ? NULL : "the protocol was changed";
		}
		name = witness_name_read(w, &w->wire.res.fields, "X-Answer", 'a', w->answer_count);
		if (!turn->whole_head)
			return "an interim response without a request";
		if (name != NOBODY && w->answers[name].request != turn->name)
			return "a client got another's interim response";
		skip(&state->got, w->wire.consumed);
	}
}

static const char *judge_body(struct witness *w, struct state *state,
			      const struct fake_peer *client, int name)
{
	const struct http_response res = w->wire.res;
	struct content content = {.kind = name == NOBODY ? 0 : 'a', .n = name};
	enum body_result result;
	struct body body;
	bool whole;

	body_begin(&body, res.body, res.content_length);
	skip(&state->got, witness_read_body(w, &body, state->got, &content, &result));
	if (result == BODY_BAD)
		return "a body that a client got has no right framing";
	whole = result == BODY_DONE || (res.body == BODY_UNTIL_CLOSE && client->got_end &&
					!client->got_reset && !client->gone && client->error == 0);
	state->over = !res.keep_alive || result != BODY_DONE;
	if (name == NOBODY || res.body == BODY_NONE)
		return NULL;
	return judge_content(w, name, &content, whole);
}

/* From here on both ways are one: judged with the target. */
static void note_returned(struct witness *w, struct state *state)
{
	if (w->returned_count < SEEN_MAX)
		w->returned[w->returned_count++] = state->got;
	state->over = true;
	state->got.n = 0;
}

/* The answer to one request, or to what is none. */
static const char *judge_turn(struct witness *w, struct state *state,
			      const struct fake_peer *client, const struct turn *turn)
{
	enum reading reading;
	const char *fault = pass_interim(w, state, turn, &reading);
	unsigned status = w->wire.res.status;
	int name;

	if (fault != NULL)
		return fault;
	if (reading != READ_HEAD && state->over)
		return NULL;
	if (reading != READ_HEAD) {
		state->over = true;
		state->got.n = 0;
		if (reading == READ_NOTHING && turn->whole_head && !is_excused(w, client, turn))
			return "a request was not answered";
		return NULL;
	}
	skip(&state->got, w->wire.consumed);
	if (!turn->whole_head && (status < 400 || w->wire.res.keep_alive))
		return "what is no request was answered like one";
	name = witness_name_read(w, &w->wire.res.fields, "X-Answer", 'a', w->answer_count);
	if (http_fields_named(&w->wire.res.fields, SLICE("Smuggled")) != NULL ||
	    http_fields_named(&w->wire.res.fields, SLICE("Trailer")) != NULL)
		return "content came as a field";
	fault = name == NOBODY ? NULL : judge_name(w, turn, name, status);
	if (fault != NULL)
		return fault;
	if (turn->method == METHOD_CONNECT && status < 300) {
		note_returned(w, state);
		return NULL;
	}
	/* a head that was never whole is not known to be that of a HEAD */
	if (turn->method == METHOD_HEAD && status >= 400 && !w->wire.res.keep_alive) {
		state->over = true;
		state->got.n = 0;
		return NULL;
	}
	return judge_body(w, state, client, name);
}

/* What a client said after each CONNECT, whatever became of that. */
static void note_tunnels(struct witness *w, const struct fake_peer *client)
{
	struct slice said = said_by(client);
	struct turn turn;

	do {
		skip(&said, read_turn(w, said, &turn));
		if (turn.whole_head && turn.method == METHOD_CONNECT && w->tunnel_count < SEEN_MAX)
			w->tunnelled[w->tunnel_count++] = said;
	} while (turn.whole && said.n > 0);
}

static const char *judge_client(struct witness *w, const struct fake_peer *client)
{
	struct state state = {
		.said = said_by(client),
		.got = fake_peer_got(client),
	};

	for (;;) {
		struct turn turn;
		size_t length = read_turn(w, state.said, &turn);
		bool more = state.said.n > 0;
		const char *fault;

		skip(&state.said, length);
		if (!more)
			break;
		fault = judge_turn(w, &state, client, &turn);
		if (fault != NULL)
			return fault;
		if (state.over || !turn.whole)
			break;
	}
	return state.got.n == 0 ? NULL : "a client got more than the answers to its requests";
}

/* ---- judging -------------------------------------------------------------------------------- */

static bool is_client(const struct fake_peer *peer)
{
	return peer->address.any.sa_family == AF_UNSPEC;
}

const char *witness_judge(struct witness *w)
{
	const struct fake_peer *peer;
	const char *fault = NULL;

	w->tunnel_count = w->returned_count = 0;
	for (unsigned i = 0; fault == NULL && (peer = fake_peer_at(i)) != NULL; i++) {
		if (!is_client(peer))
			continue;
		note_tunnels(w, peer);
		fault = judge_client(w, peer);
	}
	for (unsigned i = 0; fault == NULL && (peer = fake_peer_at(i)) != NULL; i++)
		fault = is_client(peer) ? NULL : judge_origin(w, peer);
	for (unsigned i = 0; fault == NULL && !w->parent && i < w->returned_count; i++)
		fault = judge_returned(w->returned[i]);
	for (int n = 0; fault == NULL && n < w->request_count; n++)
		if (w->requests[n].deliveries > 1 && !may_repeat(&w->requests[n].asked) &&
		    !w->raw_clients)
			fault = "a request was sent twice";
	return fault;
}

unsigned witness_status(struct witness *w, const struct fake_peer *client, unsigned index,
			bool *ret_own)
{
	struct state state = {
		.said = said_by(client),
		.got = fake_peer_got(client),
	};

	for (unsigned i = 0; state.said.n > 0; i++) {
		enum reading reading;
		struct turn turn;

		skip(&state.said, read_turn(w, state.said, &turn));
		if (pass_interim(w, &state, &turn, &reading) != NULL || reading != READ_HEAD)
			return 0;
		*ret_own = http_fields_named(&w->wire.res.fields, SLICE("Proxy-Status")) != NULL;
		skip(&state.got, w->wire.consumed);
		if (i == index)
			return w->wire.res.status;
		judge_body(w, &state, client, NOBODY);
		if (state.over)
			return 0;
	}
	return 0;
}
