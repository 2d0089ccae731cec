/* Plays exchanges written as text; see script.h. */
#include "tests/oracle/script.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "conf/units.h"
#include "proxy/front/forward.h"
#include "tests/doubles/fake_worker.h"
#include "tests/oracle/numbers.h"
#include "tests/support/heads.h"
#include "tests/support/test_conf.h"
#include "tests/oracle/witness.h"

enum {
	CLIENTS = 8,
	TEXT_SIZE = 3 << 20,
	SHOWN = 1500,
	LIFE_MS = 3000 * 1000, /* longer than every deadline */
};

struct play {
	const struct script_way *way;
	struct conf *conf;
	struct fake_worker *worker;
	struct witness *witness;
	struct fake_peer *clients[CLIENTS];
	bool whole, holding, loose;
	size_t said; /* bytes of the next line */
};

static struct play play;
static char fault[2 * SHOWN + 500];

static const char *fail(unsigned line, const char *what, struct slice wanted, struct slice got)
{
	snprintf(fault, sizeof(fault), "line %u: %s\nwanted %.*s\ngot    %.*s", line, what,
		 (int)(wanted.n < SHOWN ? wanted.n : SHOWN), wanted.p,
		 (int)(got.n < SHOWN ? got.n : SHOWN), got.p);
	return fault;
}

/* ---- text ----------------------------------------------------------------------------------- */

/* Dates and runs put in, "~" made CRLF; a view of memory that the next call uses again. */
static struct slice expand(struct slice text)
{
	static char expanded[TEXT_SIZE], bytes[TEXT_SIZE];
	size_t n = 0;

	if (!vectors_expand(text, FAKE_START_S, expanded, sizeof(expanded)))
		abort();
	for (const char *at = expanded; *at != '\0' && n < sizeof(bytes) - 2; at++) {
		if (*at == '~')
			bytes[n++] = '\r';
		bytes[n++] = *at == '~' ? '\n' : *at;
	}
	return slice_of(bytes, n);
}

/* "*" in `pattern` is any run of bytes. */
static bool matches(struct slice pattern, struct slice text)
{
	size_t p = 0, t = 0, star = SIZE_MAX, from = 0;

	while (t < text.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			from = t;
		} else if (p < pattern.n && pattern.p[p] == text.p[t]) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++from;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}

static struct slice take_word(struct slice *rest)
{
	struct slice word;
	size_t n = 0;

	*rest = slice_trim(*rest);
	while (n < rest->n && rest->p[n] != ' ')
		n++;
	word = slice_of(rest->p, n);
	*rest = slice_trim(slice_of(rest->p + n, rest->n - n));
	return word;
}

static bool is(struct slice word, const char *text)
{
	return slice_eq(word, slice_str(text));
}

static const char *text_of(struct slice word)
{
	static char text[256];

	snprintf(text, sizeof(text), "%.*s", SLICE_ARG(word));
	return text;
}

static size_t number_of(struct slice word)
{
	int64_t number;

	if (is(word, "all"))
		return SIZE_MAX;
	if (!units_parse_count(text_of(word), &number))
		abort();
	return (size_t)number;
}

static int64_t time_of(struct slice word)
{
	int64_t ms;

	if (!units_parse_duration(text_of(word), &ms))
		abort();
	return ms;
}

/* ---- peers ---------------------------------------------------------------------------------- */

static void settle(void)
{
	if (play.holding)
		return;
	if (!fake_worker_settle(play.worker)) {
		fprintf(stderr, "the loop goes on and on\n");
		abort();
	}
}

/* As the way says how bytes come. */
static void cut_up(struct fake_peer *peer, bool is_origin)
{
	if (play.way->piece == 0 || play.whole)
		return;
	if (is_origin ? play.way->of_origins : play.way->of_clients)
		peer->read_max = peer->send_max = play.way->piece;
}

static unsigned index_of(struct slice actor)
{
	return actor.n > 1 ? (unsigned)(actor.p[1] - '0') : 0;
}

static struct fake_peer *client_at(unsigned index)
{
	if (play.clients[index] == NULL) {
		play.clients[index] = fake_worker_accept(play.worker, &forward_frontend,
							 "127.0.0.1", FAILURE_NONE);
		cut_up(play.clients[index], false);
	}
	return play.clients[index];
}

/* Of "c", "c1", "o"...; NULL when there is none. */
static struct fake_peer *peer_of(struct slice actor, bool *ret_origin)
{
	unsigned index = index_of(actor);
	struct fake_peer *origin;

	*ret_origin = actor.p[0] == 'o';
	if (!*ret_origin)
		return client_at(index);
	origin = fake_peer_connected(index);
	if (origin != NULL) {
		cut_up(origin, true);
		witness_raw_origin(play.witness, origin);
	}
	return origin;
}

static void say(struct fake_peer *peer, bool is_origin, struct slice bytes)
{
	bool pieces = is_origin ? play.way->of_origins : play.way->of_clients;
	size_t piece = play.way->piece > 0 && pieces && !play.whole && !play.holding
			       ? play.way->piece
			       : bytes.n;

	if (play.said > 0)
		bytes = slice_of(bytes.p + play.said, bytes.n - play.said);
	play.said = 0;
	while (bytes.n > 0) {
		size_t n = bytes.n < piece ? bytes.n : piece;

		fake_peer_say(peer, slice_of(bytes.p, n));
		bytes = slice_of(bytes.p + n, bytes.n - n);
		settle();
	}
}

/* By way of a load balancer, whose header is `header`. */
static void come_behind(unsigned index, struct slice header)
{
	struct fake_peer *peer = fake_worker_accept_behind(play.worker, &forward_frontend,
							   "127.0.0.1", FAILURE_NONE);

	play.clients[index] = peer;
	cut_up(peer, false);
	peer->preface = header.n;
	say(peer, false, header);
}

static const char *expect(unsigned line, struct fake_peer *peer, struct slice pattern)
{
	struct slice got = fake_peer_got(peer);
	struct slice rest =
		got.n == 0 ? got : slice_of(got.p + peer->got.done, got.n - peer->got.done);

	peer->got.done = got.n;
	return matches(pattern, rest) ? NULL : fail(line, "other bytes", pattern, rest);
}

/* ---- lines ---------------------------------------------------------------------------------- */

static const char *expect_state(unsigned line, const struct fake_peer *peer, struct slice state)
{
	const char *is_now = peer->got_reset      ? "reset"
			     : peer->conn == NULL ? "closed"
			     : peer->got_end      ? "ended"
						  : "open";

	if (is(state, is_now) || (is(state, "ended") && strcmp(is_now, "closed") == 0))
		return NULL;
	return fail(line, "another state", state, slice_str(is_now));
}

/* False when the verb is none of these. */
static bool peer_does(struct fake_peer *peer, struct slice verb, struct slice rest)
{
	if (is(verb, "fin"))
		fake_peer_end(peer);
	else if (is(verb, "gone"))
		fake_peer_leave(peer);
	else if (is(verb, "rst"))
		fake_peer_reset(peer);
	else if (is(verb, "room"))
		peer->room = number_of(rest);
	else if (is(verb, "takes"))
		peer->send_max = number_of(rest);
	else if (is(verb, "reads"))
		peer->read_max = number_of(rest);
	else if (is(verb, "accept"))
		fake_peer_decide(peer, 0);
	else if (is(verb, "refuse"))
		fake_peer_decide(peer, ECONNREFUSED);
	else
		return false;
	return true;
}

static const char *play_peer(unsigned line, struct slice actor, struct slice verb,
			     struct slice rest)
{
	unsigned index = index_of(actor);
	bool is_origin;
	struct fake_peer *peer;

	if (is(verb, "new"))
		play.clients[index] = NULL;
	if (is(verb, "behind"))
		come_behind(index, expand(rest));
	peer = peer_of(actor, &is_origin);
	if (is(verb, "none") || peer == NULL)
		return play.loose || (is(verb, "none") && peer == NULL)
			       ? NULL
			       : fail(line, "connection", verb, SLICE("the other way"));
	if (is(verb, ">"))
		say(peer, is_origin, expand(rest));
	else if (is(verb, "<"))
		return play.loose ? NULL : expect(line, peer, expand(rest));
	else if (!is(verb, "new") && !is(verb, "behind") && !peer_does(peer, verb, rest))
		return play.loose ? NULL : expect_state(line, peer, verb);
	settle();
	return NULL;
}

static void set_name(struct slice rest)
{
	char name[256], addresses[256];

	snprintf(name, sizeof(name), "%s", text_of(take_word(&rest)));
	snprintf(addresses, sizeof(addresses), "%s", text_of(take_word(&rest)));
	for (char *at = addresses; *at != '\0'; at++)
		if (*at == ',')
			*at = ' ';
	fake_resolver_tell(play.worker->resolver, name, addresses, rest.n > 0 ? time_of(rest) : 0);
}

static int connect_of(struct slice word)
{
	return is(word, "ok")        ? 0
	       : is(word, "later")   ? FAKE_CONNECT_UNDECIDED
	       : is(word, "refused") ? ECONNREFUSED
	       : is(word, "timeout") ? ETIMEDOUT
				     : EHOSTUNREACH;
}

static void pass(int64_t ms)
{
	if (!fake_worker_pass(play.worker, ms)) {
		fprintf(stderr, "the loop goes on and on\n");
		abort();
	}
}

static const char *expect_told(unsigned line, struct slice verb, struct slice pattern)
{
	struct slice told = is(verb, "counts") ? numbers_counted()
			    : is(verb, "logs") ? numbers_logged()
					       : numbers_shown();

	if (!matches(pattern, told))
		return fail(line, "told something else", pattern, told);
	numbers_prove();
	return NULL;
}

static const char *play_line(unsigned line, struct slice text)
{
	struct slice rest = text, verb = take_word(&rest), next = rest;

	if (verb.n <= 2 && (verb.p[0] == 'c' || verb.p[0] == 'o')) {
		struct slice what = take_word(&next);

		return play_peer(line, verb, what, next);
	}
	if (is(verb, "counts") || is(verb, "logs") || is(verb, "shows"))
		return play.loose ? NULL : expect_told(line, verb, rest);
	if (is(verb, "connect"))
		fake_conn_connects(connect_of(rest));
	else if (is(verb, "tls"))
		fake_conn_secures(is(rest, "ok")            ? FAILURE_NONE
				  : is(rest, "certificate") ? FAILURE_TLS_CERTIFICATE
							    : FAILURE_TLS_PROTOCOL);
	else if (is(verb, "name"))
		set_name(rest);
	else if (is(verb, "wait"))
		pass(time_of(rest));
	else if (is(verb, "stopped"))
		fake_conn_pass(time_of(rest));
	else if (is(verb, "hold") || is(verb, "go"))
		play.holding = is(verb, "hold");
	else if (is(verb, "down"))
		fake_worker_terminate(play.worker);
	else if (is(verb, "drained"))
		fake_worker_drained(play.worker);
	else
		return fail(line, "what is this?", text, SLICE(""));
	settle();
	return NULL;
}

static void set_rules(struct slice text)
{
	char *copy = strndup(text.p, text.n);

	if (copy == NULL || !test_conf_rules(play.conf, copy))
		abort();
	free(copy);
}

/* Those that are about the whole: options, and what may be done with them. */
static bool play_setting(struct slice text)
{
	struct slice rest = text, verb = take_word(&rest);
	char name[256];

	if (is(verb, "whole")) {
		play.whole = true;
		return true;
	}
	if (!is(verb, "set") && !is(verb, "rules"))
		return false;
	if (play.worker != NULL)
		return true; /* it has them */
	if (is(verb, "rules")) {
		set_rules(rest);
		return true;
	}
	snprintf(name, sizeof(name), "%s", text_of(take_word(&rest)));
	if (!test_conf_set(play.conf, name, text_of(rest)))
		abort();
	return true;
}

/* ---- troubles ------------------------------------------------------------------------------- */

static bool is_client(const struct fake_peer *peer)
{
	return peer->address.any.sa_family == AF_UNSPEC;
}

static void make_trouble(enum script_trouble trouble)
{
	static void (*const does[])(struct fake_peer *) = {fake_peer_end, fake_peer_leave,
							   fake_peer_reset};
	bool clients = trouble <= TROUBLE_CLIENTS_RESET;
	unsigned what = trouble - (clients ? TROUBLE_CLIENTS_END : TROUBLE_ORIGINS_END);
	struct fake_peer *peer;

	play.loose = true;
	play.holding = false;
	if (trouble == TROUBLE_TIME)
		pass(LIFE_MS);
	if (trouble == TROUBLE_DRAIN)
		fake_worker_terminate(play.worker);
	if (trouble < TROUBLE_DRAIN) {
		for (unsigned i = 0; (peer = fake_peer_at(i)) != NULL; i++)
			if (is_client(peer) == clients)
				does[what](peer);
	}
	settle();
}

/* A part of the line, then the trouble. */
static void break_off(struct slice text)
{
	struct slice rest = text, actor = take_word(&rest), verb = take_word(&rest);
	bool is_origin;

	if (is(verb, ">") && play.way->bytes > 0) {
		struct fake_peer *peer = peer_of(actor, &is_origin);
		struct slice bytes = expand(rest);

		if (bytes.n > play.way->bytes)
			bytes.n = play.way->bytes;
		if (peer != NULL) {
			say(peer, is_origin, bytes);
			play.said = bytes.n;
		}
	}
	make_trouble(play.way->trouble);
}

/* ---- a play --------------------------------------------------------------------------------- */

static bool next_line(struct slice *rest, struct slice *ret_line)
{
	while (heads_take_line(rest, ret_line)) {
		*ret_line = slice_trim(*ret_line);
		if (ret_line->n > 0 && ret_line->p[0] != '#')
			return true;
	}
	return false;
}

static const char *play_lines(struct slice rest, unsigned *ret_lines)
{
	const struct script_way *way = play.way;
	const char *wrong = NULL;
	unsigned lines = 0;
	struct slice line;

	while (wrong == NULL && next_line(&rest, &line)) {
		if (way->trouble != TROUBLE_NONE && lines == way->after)
			break_off(line);
		if (!play_setting(line))
			wrong = play_line(lines, line);
		if (wrong == NULL)
			wrong = fake_worker_fault(play.worker);
		lines++;
	}
	*ret_lines = lines;
	return wrong;
}

static void begin(struct slice text, const struct script_way *way)
{
	struct slice whole = text, line;

	memset(&play, 0, sizeof(play));
	play.way = way;
	play.conf = test_conf_new();
	test_conf_set(play.conf, "store", "script");
	test_conf_set(play.conf, "store_size", "1MiB");
	while (next_line(&text, &line) && play_setting(line))
		;
	play.worker = fake_worker_new(play.conf);
	if (memmem(whole.p, whole.n, "\ncounts", strlen("\ncounts")) != NULL)
		play.worker->exchanges.accesslog = numbers_begin(play.conf->access_log_format);
	play.witness = witness_new(0);
	witness_raw_client(play.witness, NULL);
	witness_excuse(play.witness);
	if (play.conf->upgrade)
		witness_upgrade(play.witness);
	if (play.conf->parent[0] != '\0')
		witness_parent(play.witness);
	if (play.conf->tunnel_http.count > 0)
		witness_reads_tunnels(play.witness);
	fake_resolver_tell(play.worker->resolver, "a.test", "10.1.0.1", 0);
	fake_resolver_tell(play.worker->resolver, "b.test", "10.2.0.1", 0);
	if (way->failing == NULL)
		return;
	play.loose = true;
	if (way->failing->of_store)
		witness_store_fails(play.witness);
	way->failing->arm(way->failing->n);
}

static const char *end(const char *wrong)
{
	const struct schedule_trouble *failing = play.way->failing;
	const char *left;

	if (failing != NULL)
		*play.way->happened = failing->disarm();
	play.holding = false;
	settle();
	pass(LIFE_MS);
	left = fake_worker_leftover(play.worker);
	if (wrong == NULL && left != NULL)
		wrong = fail(0, "left over", SLICE("nothing"), slice_str(left));
	if (wrong == NULL)
		wrong = witness_judge(play.witness);
	fake_worker_free(play.worker);
	numbers_end();
	witness_free(play.witness);
	test_conf_free(play.conf);
	return wrong;
}

const char *script_play(const struct vector *vector, const struct script_way *way,
			unsigned *ret_lines)
{
	begin(vector->text, way);
	return end(play_lines(vector->text, ret_lines));
}

size_t script_says(const struct vector *vector, unsigned wanted)
{
	struct slice rest = vector->text, line;

	for (unsigned i = 0; next_line(&rest, &line); i++) {
		struct slice text = line;

		take_word(&text);
		if (i == wanted && is(take_word(&text), ">"))
			return expand(text).n;
	}
	return 0;
}
