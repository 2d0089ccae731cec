/* The judgement on what the proxy made of it; see witness.h. */
#include "tests/oracle/witness_impl.h"

#include <ctype.h>
#include <stdio.h>

#include "cache/http/fields.h"
#include "tests/doubles/fake_worker.h"
#include "tests/oracle/sharing.h"

/* What a client said, but for what came before its requests. */
static struct slice said_by(const struct fake_peer *client)
{
	struct slice said = slice_of(client->said.p, client->said.n);

	skip(&said, client->preface < said.n ? client->preface : said.n);
	return said;
}

/* ---- clients -------------------------------------------------------------------------------- */

/* A request as its client made it, and how far its answer has been read. */
struct answer_turn {
	bool whole_head, whole;
	int name; /* NOBODY for one that nobody knows */
	enum http_method method;
};

static size_t read_turn(struct witness *w, struct slice said, struct answer_turn *turn)
{
	struct content content = {0};
	enum body_result result;
	struct body body;
	size_t length;

	*turn = (struct answer_turn){.name = NOBODY, .method = METHOD_GET};
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

/* Which answer it is that was read; NOBODY.  A 304 made of a stored one has not all its fields. */
static int answer_named(const struct witness *w)
{
	const struct http_fields *fields = &w->wire.res.fields;
	int name = witness_name_read(w, fields, "X-Answer", 'a', w->answer_count);

	for (unsigned i = 0; name == NOBODY && i < fields->count; i++) {
		struct slice value = fields->at[i].value;

		if (begins(value, SLICE(SHARING_NAME))) {
			skip(&value, sizeof(SHARING_NAME) - 1);
			name = witness_name_of(w, value, 'a', w->answer_count);
		}
	}
	return name;
}

/* How long before this request the origin gave the answer, as far as the proxy can know. */
static int64_t age_of(const struct witness *w, int name, int request)
{
	int64_t said_ms = w->answers[name].said_ms;
	int64_t age_ms = w->requests[request].asked_ms - said_ms - fake_wall_lost_ms();

	return said_ms == NOBODY || age_ms < 0 ? 0 : age_ms / 1000;
}

static int64_t number_of(struct slice value)
{
	int64_t number = 0;

	for (size_t i = 0; i < value.n && isdigit((unsigned char)value.p[i]); i++)
		number = 10 * number + value.p[i] - '0';
	return number;
}

/* It says that it is as old as it is, and as its origin said. */
static const char *judge_age(const struct witness *w, const struct answer *answer, int64_t age_s)
{
	const struct http_field *age = http_fields_named(&w->wire.res.fields, SLICE("Age"));
	int64_t least_s = age_s + number_of(sharing_value(answer->answered.fields, "Age"));

	return (age == NULL ? 0 : number_of(age->value)) + 1 < least_s
		       ? "an answer says that it is younger than it is"
		       : NULL;
}

/*
 * Was this answer asked for before an invalidation, and the other request made when somebody had
 * been told of that?
 */
static bool is_cleared(const struct witness *w, int name, int other)
{
	const struct answer *answer = &w->answers[name];

	for (unsigned i = 0; i < w->clearing_count && !w->store_fails; i++) {
		const struct answer *clearing = &w->answers[w->clearing[i]];

		/* a POST's own is of the state after it */
		if (answer != clearing && w->requests[answer->request].seen_at <= w->clearing[i] &&
		    clearing->known_at != NOBODY && clearing->known_at <= other &&
		    sharing_clears(&w->requests[clearing->request].asked, &clearing->answered,
				   &w->requests[answer->request].asked, &answer->answered))
			return true;
	}
	return false;
}

/* Was it asked for before a purge of it, and the other request made when that had been answered? */
static bool is_purged(const struct witness *w, int name, int other)
{
	const struct answer *answer = &w->answers[name];
	const struct request *first = &w->requests[answer->request];

	for (int i = 0; i < w->purge_count && !w->store_fails; i++)
		if (first->seen_purges <= i && w->purges[i].known_at != NOBODY &&
		    w->purges[i].known_at <= other &&
		    sharing_purges(&w->purges[i].purged, &first->asked, &answer->answered))
			return true;
	return false;
}

/* An answer that was given to another. */
static const char *judge_shared(const struct witness *w, const struct answer_turn *turn, int name,
				unsigned status)
{
	const struct answer *answer = &w->answers[name];
	int64_t age_s;
	const char *fault;

	if (witness_is_raw(w, answer->request) || witness_is_raw(w, turn->name))
		return answer->answered.shareable ? NULL : "a client got what is not to be shared";
	if (answer->request == NOBODY || turn->name == NOBODY)
		return "a client got what another was answered";
	age_s = age_of(w, name, turn->name);
	fault = sharing_fault(&w->requests[answer->request].asked, &answer->answered,
			      &w->requests[turn->name].asked, status, age_s);
	if (fault == NULL)
		fault = judge_age(w, answer, age_s);
	if (fault == NULL && is_cleared(w, name, turn->name))
		fault = "a client got what had been invalidated";
	if (fault == NULL && is_purged(w, name, turn->name))
		fault = "a client got what had been purged";
	return fault;
}

/* An answer that an origin gave: to whom, and is it as it was given? */
static const char *judge_name(const struct witness *w, const struct answer_turn *turn, int name,
			      unsigned status)
{
	const struct answer *answer = &w->answers[name];
	bool shared = answer->request != turn->name;
	const char *fault = NULL;

	if (answer->answered.unasked)
		return "a client got what no request had asked for";
	if (shared)
		fault = judge_shared(w, turn, name, status);
	if (fault != NULL || w->views[fake_peer_index(answer->origin)].raw ||
	    answer->request == NOBODY)
		return fault;
	if (status != answer->answered.status &&
	    (status != 304 || answer->answered.status != 204) &&
	    (status != 204 || answer->answered.status != 304))
		return "an answer came with another status";
	/* what is confirmed or updated has fields of two answers, a 304 has not all */
	if (status != answer->answered.status ||
	    strcmp(w->requests[answer->request].asked.method, "HEAD") == 0)
		return NULL;
	return sharing_fields_fault(&answer->answered, &w->wire.res.fields, shared);
}

/* An answer without a name is the proxy's own, unless the name was not to be passed on. */
static const char *judge_own(const struct witness *w, const struct answer_turn *turn,
			     unsigned status)
{
	if (w->raw_origins || witness_is_raw(w, turn->name) || turn->name == NOBODY ||
	    status >= 400 || turn->method == METHOD_CONNECT || turn->method == METHOD_OPTIONS)
		return NULL;
	for (int n = 0; n < w->answer_count; n++)
		if (w->answers[n].request == turn->name &&
		    sharing_has(w->answers[n].answered.fields, "Connection: X-Answer"))
			return NULL;
	return "an answer came that nobody gave";
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
		       const struct answer_turn *turn)
{
	return w->excused || (w->wordless && client->got.n == 0) || !turn->whole ||
	       client->error != 0 || client->gone || client->got_reset || client->killed ||
	       client->room != SIZE_MAX;
}

struct state {
	struct slice said, got; /* what is left */
	bool over;              /* no more answers can follow */
	size_t foreign;         /* bytes at the end that are another protocol's */
};

/* No messages from here on. */
static void begin_foreign(struct state *state)
{
	state->foreign = state->got.n;
	state->over = true;
	state->got.n = 0;
}

/* Interim responses that come before the final one. */
static const char *pass_interim(struct witness *w, struct state *state,
				const struct answer_turn *turn, enum reading *ret_reading)
{
	int name;

	for (;;) {
		*ret_reading = witness_read_head(w, state->got, &turn->method);
		if (*ret_reading == READ_BAD)
			return "what a client got is no response";
		if (*ret_reading != READ_HEAD || w->wire.res.status >= 200)
			return NULL;
		if (w->wire.res.status == 101) {
			begin_foreign(state);
			*ret_reading = READ_NOTHING;
			return w->upgrade ? NULL : "the protocol was changed";
		}
		name = answer_named(w);
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
static void note_returned(struct witness *w, struct state *state, int name)
{
	if (w->returned_count < SEEN_MAX)
		w->returned[w->returned_count++] = (struct passage){state->got, name};
	begin_foreign(state);
}

/* Is it an answer that this client may be given to this request, whoever gave it? */
static const char *judge_kind(const struct witness *w, const struct fake_peer *client,
			      const struct answer_turn *turn, int name, unsigned status)
{
	const struct request *request = &w->requests[turn->name == NOBODY ? 0 : turn->name];

	if (client->refused && (name != NOBODY || status < 400))
		return "a client that is refused was answered";
	if (turn->name == NOBODY)
		return NULL;
	if (client->refused && request->deliveries > 0)
		return "the request of a client that is refused came to an origin";
	if (status == 304 && !witness_is_raw(w, turn->name) &&
	    !sharing_has(request->asked.fields, "If-None-Match") &&
	    !sharing_has(request->asked.fields, "If-Modified-Since"))
		return "a 304 came to a client that has nothing";
	return NULL;
}

/* The answer to one request, or to what is none. */
static const char *judge_turn(struct witness *w, struct state *state,
			      const struct fake_peer *client, const struct answer_turn *turn)
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
	name = answer_named(w);
	if (http_fields_named(&w->wire.res.fields, SLICE("Smuggled")) != NULL ||
	    http_fields_named(&w->wire.res.fields, SLICE("Trailer")) != NULL)
		return "content came as a field";
	fault = name == NOBODY ? judge_own(w, turn, status) : judge_name(w, turn, name, status);
	if (fault == NULL)
		fault = judge_kind(w, client, turn, name, status);
	if (fault != NULL)
		return fault;
	if (turn->method == METHOD_CONNECT && status < 300) {
		note_returned(w, state, turn->name);
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
	struct answer_turn turn;

	do {
		skip(&said, read_turn(w, said, &turn));
		if (turn.whole_head && turn.method == METHOD_CONNECT && w->tunnel_count < SEEN_MAX)
			w->tunnelled[w->tunnel_count++] = (struct passage){said, turn.name};
	} while (turn.whole && said.n > 0);
}

/* ---- leaks ---------------------------------------------------------------------------------- */

/* What a client asked. */
struct questions {
	int names[SEEN_MAX];
	unsigned count;
};

static bool may_have(const struct witness *w, const struct questions *questions, int name)
{
	const struct answer *answer = &w->answers[name];

	if (answer->answered.unasked)
		return false;
	if (w->views[fake_peer_index(answer->origin)].raw)
		return true;
	for (unsigned i = 0; i < questions->count; i++)
		if (answer->request == questions->names[i] ||
		    (answer->answered.shareable &&
		     (witness_is_raw(w, answer->request) ||
		      strcmp(w->requests[questions->names[i]].asked.host,
			     w->requests[answer->request].asked.host) == 0)))
			return true;
	return false;
}

/* The name of an answer whose "-" stands at `at`; NOBODY. */
static int name_around(const struct witness *w, struct slice bytes, size_t at)
{
	enum { AFTER = 9 }; /* "-" and the digits of the salt */
	size_t start = at;

	while (start > 0 && isdigit((unsigned char)bytes.p[start - 1]))
		start--;
	if (start == 0 || bytes.n - at < AFTER)
		return NOBODY;
	return witness_name_of(w, slice_of(bytes.p + start - 1, at + AFTER - (start - 1)), 'a',
			       w->answer_count);
}

/* No byte of another's answer, wherever it stands. */
static const char *judge_leaks(const struct witness *w, struct slice got,
			       const struct questions *questions)
{
	int name, known = NOBODY;

	for (size_t at = 0; at < got.n; at++) {
		const char *dash = memchr(got.p + at, '-', got.n - at);

		if (dash == NULL)
			break;
		at = (size_t)(dash - got.p);
		name = name_around(w, got, at);
		if (name != known && name != NOBODY && !may_have(w, questions, name))
			return "a client got bytes of another's answer";
		known = name;
	}
	return NULL;
}

/* A client that says what nobody knows may have asked for anything. */
static const char *judge_all(struct witness *w, const struct fake_peer *client, size_t foreign)
{
	struct slice got = fake_peer_got(client);
	struct questions questions = {.count = 0};
	struct slice said = said_by(client);
	struct answer_turn turn;

	if (w->raw_all || w->views[fake_peer_index(client)].raw)
		return NULL;
	do {
		skip(&said, read_turn(w, said, &turn));
		if (turn.name != NOBODY && questions.count < SEEN_MAX)
			questions.names[questions.count++] = turn.name;
	} while (turn.whole && said.n > 0);
	return questions.count == SEEN_MAX
		       ? NULL
		       : judge_leaks(w, slice_of(got.p, got.n - foreign), &questions);
}

static const char *judge_client(struct witness *w, const struct fake_peer *client)
{
	struct state state = {
		.said = said_by(client),
		.got = fake_peer_got(client),
	};

	for (;;) {
		struct answer_turn turn;
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
	if (state.got.n > 0)
		return "a client got more than the answers to its requests";
	return judge_all(w, client, state.foreign);
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
		fault = is_client(peer) ? NULL : witness_judge_origin(w, peer);
	for (unsigned i = 0; fault == NULL && !w->parent && i < w->returned_count; i++)
		fault = witness_judge_returned(w, &w->returned[i]);
	if (fault == NULL)
		fault = witness_judge_repeats(w);
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
		struct answer_turn turn;

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
