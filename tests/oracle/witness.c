/* Who asked what, and who was answered how; see witness.h. */
#include "tests/oracle/witness_impl.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/http/fields.h"
#include "tests/oracle/sharing.h"
#include "tests/support/test_conf.h"

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

struct view *witness_view(struct witness *w, const struct fake_peer *peer)
{
	unsigned index = fake_peer_index(peer);

	if (index >= w->view_count)
		w->view_count = index + 1;
	return &w->views[index];
}

void witness_raw_client(struct witness *w, const struct fake_peer *client)
{
	w->raw_clients = true;
	if (client == NULL)
		w->raw_all = true;
	else
		witness_view(w, client)->raw = true;
}

void witness_raw_origin(struct witness *w, const struct fake_peer *origin)
{
	w->raw_origins = true;
	witness_view(w, origin)->raw = true;
}

void witness_home(struct witness *w, const char *host, const char *addresses)
{
	w->homes[w->home_count].host = host;
	w->homes[w->home_count++].addresses = addresses;
}

void witness_store_fails(struct witness *w)
{
	w->store_fails = true;
}

void witness_upgrade(struct witness *w)
{
	w->upgrade = true;
}

void witness_reads_tunnels(struct witness *w)
{
	w->reads_tunnels = true;
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

int witness_name_of(const struct witness *w, struct slice name, char kind, int count)
{
	char text[NAME_MAX], right[NAME_MAX];
	int n;

	if (name.n >= NAME_MAX)
		return NOBODY;
	snprintf(text, sizeof(text), "%.*s", SLICE_ARG(name));
	if (text[0] != kind || sscanf(text + 1, "%d-", &n) != 1 || n < 0 || n >= count)
		return NOBODY;
	name_write(w, kind, n, right);
	return strcmp(text, right) == 0 ? n : NOBODY;
}

int witness_name_read(const struct witness *w, const struct http_fields *fields, const char *field,
		      char kind, int count)
{
	const struct http_field *line = http_fields_named(fields, slice_str(field));

	return line == NULL ? NOBODY : witness_name_of(w, line->value, kind, count);
}

bool witness_is_raw(const struct witness *w, int request)
{
	const struct fake_peer *by;

	if (request == NOBODY || w->raw_all)
		return w->raw_clients;
	by = w->requests[request].asked.by;
	return by != NULL && w->views[fake_peer_index(by)].raw;
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

/* ---- saying --------------------------------------------------------------------------------- */

/* Has a client got this answer's head? */
static bool is_delivered(const struct witness *w, int answer)
{
	const struct fake_peer *peer;
	char name[NAME_MAX];
	size_t length = name_write(w, 'a', answer, name);

	for (unsigned i = 0; (peer = fake_peer_at(i)) != NULL; i++)
		if (peer->address.any.sa_family == AF_UNSPEC && peer->got.n > 0 &&
		    memmem(peer->got.p, peer->got.n, name, length) != NULL)
			return true;
	return false;
}

/* What invalidates has done so when its answer is passed on: requests from here on know of it. */
static void note_clearing(struct witness *w)
{
	for (unsigned i = 0; i < w->clearing_count; i++) {
		struct answer *answer = &w->answers[w->clearing[i]];

		if (answer->known_at == NOBODY && is_delivered(w, w->clearing[i]))
			answer->known_at = w->request_count;
	}
}

/* What has come to origins so far. */
static void see_all(struct witness *w)
{
	struct fake_peer *peer;

	for (unsigned i = 0; (peer = fake_peer_at(i)) != NULL; i++)
		if (peer->address.any.sa_family != AF_UNSPEC && !witness_is_tunnel(peer))
			witness_see(w, peer);
}

int witness_purge_begins(struct witness *w, const struct purged *purged)
{
	see_all(w); /* what is in flight by now was asked for before it */
	if (w->purge_count == PURGES_MAX)
		return NOBODY;
	w->purges[w->purge_count].purged = *purged;
	w->purges[w->purge_count].known_at = NOBODY;
	return w->purge_count++;
}

void witness_purge_ends(struct witness *w, int purge)
{
	if (purge != NOBODY)
		w->purges[purge].known_at = w->request_count;
}

struct slice witness_ask(struct witness *w, const struct asked *asked)
{
	bool connect = strcmp(asked->method, "CONNECT") == 0;
	int n = w->request_count;

	w->text.n = 0;
	if (n == WITNESS_NAMES)
		return slice_of("", 0);
	note_clearing(w);
	w->requests[w->request_count++] =
		(struct request){.asked = *asked, .asked_ms = fake_conn_now_ms()};
	add(w, asked->method);
	add(w, connect ? " " : asked->tls ? " https://" : " http://");
	add(w, asked->host);
	add(w, connect ? ":443" : asked->path);
	add(w, asked->version == 0 ? " HTTP/1.0\r\nHost: " : " HTTP/1.1\r\nHost: ");
	add(w, asked->host);
	add(w, "\r\n");
	add_name(w, "X-Request: ", 'r', n);
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
	struct view *view = witness_view(w, origin);
	int n = w->answer_count;
	const struct asked *asked = NULL;
	struct answer *answer = &w->answers[n];
	bool head;

	w->text.n = 0;
	if (n == WITNESS_NAMES)
		return slice_of("", 0);
	if (!answered->unasked && !witness_outstanding(w, origin, true, &asked))
		return slice_of("", 0);
	*answer = (struct answer){*answered, origin, NOBODY, NOBODY, NOBODY};
	head = !answered->unasked && view->heads[view->answered];
	if (!answered->unasked)
		answer->request = view->names[view->answered];
	if (answer->request != NOBODY && w->clearing_count < SEEN_MAX &&
	    sharing_may_clear(&w->requests[answer->request].asked, answered)) {
		see_all(w);
		w->clearing[w->clearing_count++] = n;
	}
	w->answer_count++;
	if (answered->status >= 200 && !answered->unasked)
		view->answered++;
	view->closing |= answered->until_close;
	view->changed |= answered->status == 101 && w->upgrade;
	add(w, answered->version == 0 ? "HTTP/1.0 " : "HTTP/1.1 ");
	add_number(w, answered->status);
	add(w, " Reason\r\n");
	add_name(w, "X-Answer: ", 'a', n);
	add(w, answered->fields);
	if (sharing_has(answered->fields, "Cache-Control: "))
		add_name(w, "Cache-Control: " SHARING_NAME, 'a', n);
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

void witness_said(struct witness *w, const struct fake_peer *origin)
{
	for (int n = 0; n < w->answer_count; n++)
		if (w->answers[n].origin == origin && w->answers[n].said_ms == NOBODY)
			w->answers[n].said_ms = fake_conn_now_ms();
}

/* ---- reading messages again ----------------------------------------------------------------- */

/* A head at the start of `bytes`, of a response to `method` when that is not NULL. */
enum reading witness_read_head(struct witness *w, struct slice bytes,
			       const enum http_method *method)
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

/* Returns how many bytes are the body's, BODY_BAD and what it is then in *ret_result. */
size_t witness_read_body(struct witness *w, struct body *body, struct slice bytes,
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

bool witness_is_tunnel(const struct fake_peer *origin)
{
	return address_port(&origin->address) == 443 && !origin->secured;
}

static void see_head(struct witness *w, struct view *view)
{
	int name = witness_name_read(w, &w->wire.req.fields, "X-Request", 'r', w->request_count);

	view->at += w->wire.consumed;
	view->connects = w->wire.req.method == METHOD_CONNECT;
	view->heads[view->seen] = w->wire.req.method == METHOD_HEAD;
	view->authorized[view->seen] = http_has_field(&w->wire.req.fields, FIELD_AUTHORIZATION);
	view->names[view->seen++] = name;
	view->in_body = true;
	view->content = 0;
	body_begin(&view->body, w->wire.req.body, w->wire.req.content_length);
	if (name != NOBODY) {
		w->requests[name].deliveries++;
		w->requests[name].seen_at = w->answer_count;
		w->requests[name].seen_purges = w->purge_count;
	}
}

static struct slice rest_of(const struct fake_peer *origin, const struct view *view)
{
	struct slice got = fake_peer_got(origin);

	return got.n == 0 ? got : slice_of(got.p + view->at, got.n - view->at);
}

/* Read on in what an origin got. */
void witness_see(struct witness *w, const struct fake_peer *origin)
{
	struct view *view = witness_view(w, origin);

	/* a tunnel through the parent is seen into when TLS is spoken in it */
	while (!view->bad && !view->changed && view->seen < SEEN_MAX &&
	       (view->in_body || !view->connects || origin->secured)) {
		struct slice rest = rest_of(origin, view);
		struct content content = {0};
		enum body_result result;
		enum reading reading;

		if (!view->in_body) {
			reading = witness_read_head(w, rest, NULL);
			view->bad = reading == READ_BAD;
			if (reading != READ_HEAD)
				return;
			see_head(w, view);
			continue;
		}
		content.n = view->names[view->seen - 1];
		content.kind = content.n == NOBODY || witness_is_raw(w, content.n) ? 0 : 'r';
		content.at = view->content;
		view->at += witness_read_body(w, &view->body, rest, &content, &result);
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
	struct view *view = witness_view(w, origin);

	if (witness_is_tunnel(origin) || view->closing || view->changed)
		return false;
	witness_see(w, origin);
	/* whoever is behind a tunnel that the proxy opened for itself may speak first */
	if (view->connects && view->names[view->seen - 1] == NOBODY)
		return false;
	return view->seen > 0 && view->seen == view->answered && view->at == origin->got.n;
}

bool witness_is_connect(const struct witness *w, const struct fake_peer *origin)
{
	const struct view *view = &w->views[fake_peer_index(origin)];

	return view->connects && view->answered < view->seen;
}

bool witness_is_authorized(const struct witness *w, const struct fake_peer *origin)
{
	const struct view *view = &w->views[fake_peer_index(origin)];

	return view->answered < view->seen && view->authorized[view->answered];
}

bool witness_outstanding(struct witness *w, const struct fake_peer *origin, bool early,
			 const struct asked **ret_asked)
{
	struct view *view = witness_view(w, origin);
	int name;

	*ret_asked = NULL;
	if (witness_is_tunnel(origin))
		return false;
	witness_see(w, origin);
	if (view->answered >= (early ? view->seen : view->whole))
		return false;
	name = view->names[view->answered];
	if (name != NOBODY)
		*ret_asked = &w->requests[name].asked;
	return true;
}
