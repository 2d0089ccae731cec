/* Who asked what, and who was answered how; see witness.h. */
#include "tests/support/witness.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/http_fields.h"
#include "tests/support/test_conf.h"
#include "tests/support/wire.h"

enum { NAME_MAX = 32, SEEN_MAX = 64, NOBODY = -1 };

/* What of a request came to which origin. */
struct request {
	struct asked asked;
	unsigned deliveries; /* connections that it was begun on */
};

struct answer {
	struct answered answered;
	const struct fake_peer *origin;
	int request;
};

/* What an origin got so far. */
struct view {
	bool raw;      /* it said something that nobody knows */
	bool bad;      /* what came is no request */
	bool in_body;  /* of the last one seen */
	bool wrong;    /* content that was not asked to be sent */
	bool closing;  /* its last answer ends when the connection does */
	bool connects; /* the last one seen is a CONNECT, to a parent proxy */
	bool changed;  /* speaks another protocol from here on */
	size_t at;     /* bytes read */
	unsigned seen; /* heads */
	unsigned whole;
	unsigned answered;
	int names[SEEN_MAX];
	bool heads[SEEN_MAX]; /* it was HEAD that came */
	uint64_t content;
	struct body body;
};

struct witness {
	struct view views[FAKE_PEERS];
	struct request requests[WITNESS_NAMES];
	struct answer answers[WITNESS_NAMES];
	uint32_t salt; /* this and what follows is cleared for each */
	bool raw_clients;
	bool excused;
	bool wordless;
	bool upgrade;
	bool parent;
	struct conf *conf;
	int request_count, answer_count;
	unsigned view_count;
	struct fake_bytes text;
	struct wire wire;                 /* the message that was read last */
	struct slice tunnelled[SEEN_MAX]; /* what clients said after a CONNECT */
	struct slice returned[SEEN_MAX];  /* and got after its answer */
	unsigned tunnel_count, returned_count;
};

struct witness *witness_new(uint32_t salt)
{
	/* large, and made anew a few hundred times a second */
	static struct witness the_one;
	struct witness *w = &the_one;

	memset(w->views, 0, w->view_count * sizeof(w->views[0]));
	memset(&w->salt, 0, sizeof(*w) - offsetof(struct witness, salt));
	w->salt = salt;
	w->conf = test_conf_new();
	/* what was composed has more than what came */
	w->conf->head_size = 256 << 10;
	w->conf->field_count = PARSE_FIELDS_MAX;
	w->conf->uri_length = 64 << 10;
	return w;
}

void witness_free(struct witness *w)
{
	test_conf_free(w->conf);
	free(w->text.p);
}

void witness_raw_client(struct witness *w)
{
	w->raw_clients = true;
}

static struct view *view_of(struct witness *w, const struct fake_peer *peer)
{
	unsigned index = fake_peer_index(peer);

	if (index >= w->view_count)
		w->view_count = index + 1;
	return &w->views[index];
}

void witness_raw_origin(struct witness *w, const struct fake_peer *origin)
{
	view_of(w, origin)->raw = true;
}

void witness_upgrade(struct witness *w)
{
	w->upgrade = true;
}

void witness_parent(struct witness *w)
{
	w->parent = true;
}

void witness_excuse(struct witness *w)
{
	w->excused = true;
}

void witness_may_be_wordless(struct witness *w)
{
	w->wordless = true;
}

/* ---- names and bodies ----------------------------------------------------------------------- */

static size_t name_write(const struct witness *w, char kind, int n, char to[static NAME_MAX])
{
	return (size_t)snprintf(to, NAME_MAX, "%c%d-%08x", kind, n,
				(w->salt ^ (uint32_t)n * 2654435761U) * 2246822519U);
}

/* The number in a field's value; NOBODY when it is none that was given. */
static int name_read(const struct witness *w, const struct http_fields *fields, const char *field,
		     char kind, int count)
{
	const struct http_field *line = http_fields_named(fields, slice_str(field));
	char text[NAME_MAX], right[NAME_MAX];
	int n;

	if (line == NULL || line->value.n >= NAME_MAX)
		return NOBODY;
	snprintf(text, sizeof(text), "%.*s", SLICE_ARG(line->value));
	if (text[0] != kind || sscanf(text + 1, "%d-", &n) != 1 || n < 0 || n >= count)
		return NOBODY;
	name_write(w, kind, n, right);
	return strcmp(text, right) == 0 ? n : NOBODY;
}

/* One turn of a body: its message's name, and what would be a message if it were not a body. */
static size_t pattern_write(const struct witness *w, char kind, int n, char to[static 256])
{
	char name[NAME_MAX];

	name_write(w, kind, n, name);
	return (size_t)snprintf(to, 256,
				"%s\r\n\r\n0\r\n\r\nGET http://smuggled.test/ HTTP/1.1\r\nHost: "
				"smuggled.test\r\n\r\nHTTP/1.1 204 No Content\r\nSmuggled: yes\r\n"
				"Cache-Control: max-age=60\r\n\r\n",
				name);
}

/* Is this what a body has from `at` on? */
static bool is_pattern(const struct witness *w, char kind, int n, uint64_t at, struct slice bytes)
{
	char pattern[256];
	size_t length = pattern_write(w, kind, n, pattern);

	for (size_t i = 0; i < bytes.n; i++)
		if (bytes.p[i] != pattern[(at + i) % length])
			return false;
	return true;
}

static void add(struct witness *w, const char *text)
{
	fake_bytes_add(&w->text, slice_str(text));
}

static void add_number(struct witness *w, size_t number)
{
	char text[32];

	snprintf(text, sizeof(text), "%zu", number);
	add(w, text);
}

static void add_content(struct witness *w, char kind, int n, size_t at, size_t length)
{
	char pattern[256];
	size_t turn = pattern_write(w, kind, n, pattern);

	while (length > 0) {
		size_t part = turn - at % turn;

		part = part < length ? part : length;
		fake_bytes_add(&w->text, slice_of(pattern + at % turn, part));
		at += part;
		length -= part;
	}
}

static void add_body(struct witness *w, char kind, int n, size_t length, size_t chunk)
{
	if (chunk == 0) {
		add_content(w, kind, n, 0, length);
		return;
	}
	for (size_t at = 0; at < length; at += chunk) {
		size_t part = chunk < length - at ? chunk : length - at;
		char head[32];

		snprintf(head, sizeof(head), "%zx;extension=1\r\n", part);
		add(w, head);
		add_content(w, kind, n, at, part);
		add(w, "\r\n");
	}
	add(w, "0\r\nTrailer: x\r\n\r\n");
}

static void add_name(struct witness *w, const char *field, char kind, int n)
{
	char name[NAME_MAX];

	name_write(w, kind, n, name);
	add(w, field);
	add(w, ": ");
	add(w, name);
	add(w, "\r\n");
}

static void add_framing(struct witness *w, size_t length, size_t chunk)
{
	if (chunk > 0) {
		add(w, "Transfer-Encoding: chunked\r\n");
		return;
	}
	add(w, "Content-Length: ");
	add_number(w, length);
	add(w, "\r\n");
}

struct slice witness_ask(struct witness *w, const struct asked *asked)
{
	bool connect = strcmp(asked->method, "CONNECT") == 0;
	int n = w->request_count;

	w->text.n = 0;
	if (n == WITNESS_NAMES)
		return slice_of("", 0);
	w->requests[w->request_count++] = (struct request){.asked = *asked};
	add(w, asked->method);
	add(w, connect ? " " : asked->tls ? " https://" : " http://");
	add(w, asked->host);
	add(w, connect ? ":443" : asked->path);
	add(w, asked->version == 0 ? " HTTP/1.0\r\nHost: " : " HTTP/1.1\r\nHost: ");
	add(w, asked->host);
	add(w, "\r\n");
	add_name(w, "X-Request", 'r', n);
	add(w, asked->fields);
	if (asked->chunk > 0 || asked->length > 0)
		add_framing(w, asked->length, asked->chunk);
	add(w, "\r\n");
	add_body(w, 'r', n, asked->length, asked->chunk);
	return slice_of(w->text.p, w->text.n);
}

static bool has_no_body(const struct answered *answered, bool head)
{
	return answered->status < 200 || answered->status == 204 || answered->status == 304 || head;
}

struct slice witness_answer(struct witness *w, const struct fake_peer *origin,
			    const struct answered *answered)
{
	struct view *view = view_of(w, origin);
	int n = w->answer_count;
	const struct asked *asked = NULL;
	struct answer *answer = &w->answers[n];
	bool head;

	w->text.n = 0;
	if (n == WITNESS_NAMES)
		return slice_of("", 0);
	if (!answered->unasked && !witness_outstanding(w, origin, true, &asked))
		return slice_of("", 0);
	*answer = (struct answer){*answered, origin, NOBODY};
	head = !answered->unasked && view->heads[view->answered];
	if (!answered->unasked)
		answer->request = view->names[view->answered];
	w->answer_count++;
	if (answered->status >= 200 && !answered->unasked)
		view->answered++;
	view->closing |= answered->until_close;
	view->changed |= answered->status == 101 && w->upgrade;
	add(w, answered->version == 0 ? "HTTP/1.0 " : "HTTP/1.1 ");
	add_number(w, answered->status);
	add(w, " Reason\r\n");
	add_name(w, "X-Answer", 'a', n);
	add(w, answered->fields);
	if (has_no_body(answered, head)) {
		add(w, "\r\n");
		return slice_of(w->text.p, w->text.n);
	}
	if (!answered->until_close)
		add_framing(w, answered->length, answered->chunk);
	add(w, "\r\n");
	add_body(w, 'a', n, answered->length, answered->chunk);
	return slice_of(w->text.p, w->text.n);
}

static void skip(struct slice *bytes, size_t n)
{
	if (n > 0)
		*bytes = slice_of(bytes->p + n, bytes->n - n);
}

/* ---- reading messages again ----------------------------------------------------------------- */

enum reading {
	READ_NOTHING, /* there are no bytes */
	READ_PART,    /* of a head */
	READ_HEAD,
	READ_BAD,
};

/* A head at the start of `bytes`, of a response to `method` when that is not NULL. */
static enum reading read_head(struct witness *w, struct slice bytes, const enum http_method *method)
{
	if (bytes.n == 0)
		return READ_NOTHING;
	w->wire.conf = w->conf;
	w->wire.response = method != NULL;
	w->wire.method = method != NULL ? *method : METHOD_GET;
	w->wire.progress = (struct parse_progress){0};
	wire_parse(&w->wire, bytes);
	switch (w->wire.result) {
	case PARSE_DONE:
		return READ_HEAD;
	case PARSE_MORE:
		return READ_PART;
	default:
		return READ_BAD;
	}
}

/* What a body should be made of; kind 0 for nobody knows. */
struct content {
	char kind;
	int n;
	uint64_t at;
	bool wrong;
};

/* Returns how many bytes are the body's, BODY_BAD and what it is then in *ret_result. */
static size_t read_body(struct witness *w, struct body *body, struct slice bytes,
			struct content *content, enum body_result *ret_result)
{
	size_t at = 0, consumed;
	struct slice part;

	do {
		*ret_result =
			body_decode(body, slice_of(bytes.p + at, bytes.n - at), &consumed, &part);
		if (*ret_result == BODY_BAD)
			return at;
		at += consumed;
		content->wrong |= content->kind != 0 &&
				  !is_pattern(w, content->kind, content->n, content->at, part);
		content->at += part.n;
	} while (*ret_result == BODY_MORE && consumed > 0);
	return at;
}

/* ---- origins -------------------------------------------------------------------------------- */

static bool is_tunnel(const struct fake_peer *origin)
{
	return address_port(&origin->address) == 443 && !origin->secured;
}

static void see_head(struct witness *w, struct view *view)
{
	int name = name_read(w, &w->wire.req.fields, "X-Request", 'r', w->request_count);

	view->at += w->wire.consumed;
	view->connects = w->wire.req.method == METHOD_CONNECT;
	view->heads[view->seen] = w->wire.req.method == METHOD_HEAD;
	view->names[view->seen++] = name;
	view->in_body = true;
	view->content = 0;
	body_begin(&view->body, w->wire.req.body, w->wire.req.content_length);
	if (name != NOBODY)
		w->requests[name].deliveries++;
}

static struct slice rest_of(const struct fake_peer *origin, const struct view *view)
{
	struct slice got = fake_peer_got(origin);

	return got.n == 0 ? got : slice_of(got.p + view->at, got.n - view->at);
}

/* What a client said, but for what came before its requests. */
static struct slice said_by(const struct fake_peer *client)
{
	struct slice said = slice_of(client->said.p, client->said.n);

	skip(&said, client->preface < said.n ? client->preface : said.n);
	return said;
}

/* Read on in what an origin got. */
static void see(struct witness *w, const struct fake_peer *origin)
{
	struct view *view = view_of(w, origin);

	/* a tunnel through the parent is seen into when TLS is spoken in it */
	while (!view->bad && !view->changed && view->seen < SEEN_MAX &&
	       (view->in_body || !view->connects || origin->secured)) {
		struct slice rest = rest_of(origin, view);
		struct content content = {0};
		enum body_result result;
		enum reading reading;

		if (!view->in_body) {
			reading = read_head(w, rest, NULL);
			view->bad = reading == READ_BAD;
			if (reading != READ_HEAD)
				return;
			see_head(w, view);
			continue;
		}
		content.n = view->names[view->seen - 1];
		content.kind = content.n == NOBODY || w->raw_clients ? 0 : 'r';
		content.at = view->content;
		view->at += read_body(w, &view->body, rest, &content, &result);
		view->content = content.at;
		view->wrong |= content.wrong;
		view->bad = result == BODY_BAD;
		if (result != BODY_DONE)
			return;
		view->in_body = false;
		view->whole++;
	}
}

bool witness_is_idle(struct witness *w, const struct fake_peer *origin)
{
	struct view *view = view_of(w, origin);

	if (is_tunnel(origin) || view->closing || view->changed)
		return false;
	see(w, origin);
	return view->seen > 0 && view->seen == view->answered && view->at == origin->got.n;
}

bool witness_is_connect(const struct witness *w, const struct fake_peer *origin)
{
	const struct view *view = &w->views[fake_peer_index(origin)];

	return view->connects && view->answered < view->seen;
}

bool witness_outstanding(struct witness *w, const struct fake_peer *origin, bool early,
			 const struct asked **ret_asked)
{
	struct view *view = view_of(w, origin);
	int name;

	*ret_asked = NULL;
	if (is_tunnel(origin))
		return false;
	see(w, origin);
	if (view->answered >= (early ? view->seen : view->whole))
		return false;
	name = view->names[view->answered];
	if (name != NOBODY)
		*ret_asked = &w->requests[name].asked;
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

	while (read_head(w, rest, NULL) == READ_HEAD) {
		int name = name_read(w, &w->wire.req.fields, "X-Request", 'r', w->request_count);
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
		if (view_of(w, origin)->changed &&
		    http_has_field(&w->wire.req.fields, FIELD_UPGRADE))
			break;
		length = read_body(w, &body, rest, &content, &result);
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
		if (is_tunnel(peer) && begins(slice_of(peer->said.p, peer->said.n), returned))
			return NULL;
	return returned.n == 0 ? NULL : "a tunnel brought its client what no target said";
}

static const char *judge_origin(struct witness *w, const struct fake_peer *origin)
{
	struct view *view = view_of(w, origin);

	if (is_tunnel(origin))
		return w->tunnel_count < SEEN_MAX ? judge_target(w, origin) : NULL;
	see(w, origin);
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
	if (read_head(w, said, NULL) != READ_HEAD)
		return 0;
	turn->whole_head = true;
	turn->method = w->wire.req.method;
	turn->name = name_read(w, &w->wire.req.fields, "X-Request", 'r', w->request_count);
	length = w->wire.consumed;
	skip(&said, length);
	body_begin(&body, w->wire.req.body, w->wire.req.content_length);
	length += read_body(w, &body, said, &content, &result);
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
		*ret_reading = read_head(w, state->got, &turn->method);
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
		name = name_read(w, &w->wire.res.fields, "X-Answer", 'a', w->answer_count);
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
	skip(&state->got, read_body(w, &body, state->got, &content, &result));
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
	name = name_read(w, &w->wire.res.fields, "X-Answer", 'a', w->answer_count);
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
