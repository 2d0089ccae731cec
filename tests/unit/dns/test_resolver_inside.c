/* LINKS: proxy/dns */
/* A look-up by itself: for what it rings, what comes of it then, and which sockets it has. */
#include "proxy/dns/resolver.c"

#include "tests/support/resolver_fixture.h"

#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { NEVER = INT32_MAX, TIMEOUT_MS = 1000 };

static struct lookup *new_lookup(struct fixture *fixture, const char *name)
{
	enum failure failure;
	struct lookup *lookup = lookup_new(fixture->resolver, slice_str(name), 0, &failure);

	assert_non_null(lookup);
	assert_int_equal(lookup->deadline_ms, deadlines_now_ms() + TIMEOUT_MS);
	return lookup;
}

static void end(struct lookup *lookup)
{
	lookup_remove(lookup);
	lookup_free(lookup);
}

static int setup(void **state)
{
	int wrong = resolver_fixture_setup(state);

	if (wrong == 0)
		resolver_fixture_open(*state, NULL);
	return wrong;
}

/* ---- times ---------------------------------------------------------------------------------- */

/* Times are from now; the channel has asked nothing, and wants no time of its own. */
static void what_it_rings_for(void **state)
{
	static const struct {
		int deadline, answer_by;
		bool is_answered;
		int rings;
	} cases[] = {
		{1000, NEVER, false, 1000}, {1000, 50, false, 50},     {1000, 50, true, 1000},
		{1000, -5, true, 1000},     {1000, 2000, false, 1000}, {40, 50, false, 40},
		{1000, 0, false, 0},        {1000, -5, false, 0},      {1, NEVER, false, 1},
		{0, NEVER, false, 0},       {-7, NEVER, false, 0},
	};
	struct lookup *lookup = new_lookup(*state, "a.test");
	int64_t now_ms = deadlines_now_ms();

	assert_int_equal(dns_channel_retry_ms(&lookup->channel), -1);
	for (size_t i = 0; i < COUNT(cases); i++) {
		lookup->deadline_ms = now_ms + cases[i].deadline;
		lookup->answer_by_ms =
			cases[i].answer_by == NEVER ? INT64_MAX : now_ms + cases[i].answer_by;
		lookup->is_answered = cases[i].is_answered;
		lookup_set_ring(lookup);
		assert_int_equal(lookup->ring.at_ms - now_ms, cases[i].rings);
	}
	end(lookup);
}

/* The next try of a channel comes before all else. */
static void it_rings_for_the_next_try(void **state)
{
	static const struct name_row rows[] = {
		{.name = "a.test", .type = NAME_A, .trick = TRICK_SILENCE},
		{.name = "a.test", .type = NAME_AAAA, .trick = TRICK_SILENCE},
		{.name = NULL},
	};
	struct fixture *fixture = *state;
	struct lookup *lookup;

	name_server_set(fixture->server, rows);
	lookup = new_lookup(fixture, "a.test");
	lookup_ask(lookup);
	assert_true(lookup->had_socket);
	lookup_set_ring(lookup);
	assert_in_range(lookup->ring.at_ms - deadlines_now_ms(), 1, TIMEOUT_MS / 5 + 2);
	lookup->deadline_ms = deadlines_now_ms();
	lookup_set_ring(lookup);
	assert_int_equal(lookup->ring.at_ms, deadlines_now_ms());
	end(lookup);
}

struct told {
	unsigned calls;
	enum failure failure;
	unsigned count;
	const char *why_none;
};

static void done(void *context, enum failure failure, const struct addresses *found)
{
	struct told *told = context;

	told->calls++;
	told->failure = failure;
	told->count = found->count;
	told->why_none = found->why_none;
}

static void set_part(struct dns_part *part, enum dns_status status, int family)
{
	static const char bytes[16] = {10, 0, 0, 1};
	union address address = address_from_bytes(family, bytes);

	*part = (struct dns_part){.status = status};
	if (status == DNS_FOUND)
		dns_part_add(part, &address, 60);
}

/* What is known when it rings: who waits is told, or waits on; and whether it is over. */
static void what_comes_of_it(void **state)
{
	static const struct {
		enum dns_status v4, v6;
		int deadline, answer_by; /* from now */
		bool is_told, is_over;
		enum failure failure;
		unsigned count;
	} cases[] = {
		/* both have come */
		{DNS_FOUND, DNS_FOUND, 100, 50, true, true, FAILURE_NONE, 2},
		{DNS_NO_NAME, DNS_NO_NAME, 100, NEVER, true, true, FAILURE_DNS_ERROR, 0},
		{DNS_NO_ADDRESS, DNS_FOUND, 100, NEVER, true, true, FAILURE_NONE, 1},
		/* nothing, yet or at all */
		{DNS_PENDING, DNS_PENDING, 1, NEVER, false, false, FAILURE_NONE, 0},
		{DNS_PENDING, DNS_PENDING, 0, NEVER, true, true, FAILURE_DNS_TIMEOUT, 0},
		{DNS_PENDING, DNS_FOUND, 1, NEVER, false, false, FAILURE_NONE, 0},
		{DNS_PENDING, DNS_FOUND, 0, NEVER, true, true, FAILURE_NONE, 1},
		/* AAAA is late, or it is not yet */
		{DNS_FOUND, DNS_PENDING, 100, 1, false, false, FAILURE_NONE, 0},
		{DNS_FOUND, DNS_PENDING, 100, 0, true, false, FAILURE_NONE, 1},
		{DNS_NO_ADDRESS, DNS_PENDING, 100, NEVER, false, false, FAILURE_NONE, 0},
		/* the name is not there: AAAA says nothing else */
		{DNS_NO_NAME, DNS_PENDING, 100, 1, false, false, FAILURE_NONE, 0},
		{DNS_NO_NAME, DNS_PENDING, 100, 0, true, true, FAILURE_DNS_ERROR, 0},
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct lookup *lookup = new_lookup(fixture, "a.test");
		int64_t now_ms = deadlines_now_ms();
		struct told told = {.calls = 0};

		assert_non_null(lookup_join(lookup, done, &told));
		set_part(&lookup->v4, cases[i].v4, AF_INET);
		set_part(&lookup->v6, cases[i].v6, AF_INET6);
		lookup->deadline_ms = now_ms + cases[i].deadline;
		lookup->answer_by_ms =
			cases[i].answer_by == NEVER ? INT64_MAX : now_ms + cases[i].answer_by;
		lookup_rung(lookup);
		assert_int_equal(told.calls, cases[i].is_told);
		assert_int_equal(told.failure, cases[i].failure);
		assert_int_equal(told.count, cases[i].count);
		assert_int_equal(fixture->resolver->lookups == NULL, cases[i].is_over);
		if (!cases[i].is_over) {
			assert_int_equal(lookup->is_answered, cases[i].is_told);
			assert_int_equal(lookup->is_unwanted, cases[i].is_told);
			assert_ptr_equal(fixture->resolver->unwanted,
					 cases[i].is_told ? lookup : NULL);
			end(lookup);
		}
		assert_null(fixture->resolver->unwanted);
		known_names_free(fixture->resolver->known);
		fixture->resolver->known = known_names_new(fixture->conf, NULL);
	}
}

/* Answered without AAAA, it waits on: for that, and for the end; whether or not somebody waits. */
static void what_was_answered_waits_on(void **state)
{
	struct fixture *fixture = *state;

	for (unsigned waiters = 0; waiters < 2; waiters++) {
		struct lookup *lookup = new_lookup(fixture, "a.test");
		struct told told = {.calls = 0};

		set_part(&lookup->v4, DNS_FOUND, AF_INET);
		lookup_advance(lookup);
		assert_int_equal(lookup->answer_by_ms, deadlines_now_ms() + RESOLVER_AAAA_WAIT_MS);
		assert_int_equal(lookup->ring.at_ms, lookup->answer_by_ms);
		lookup->answer_by_ms = deadlines_now_ms();
		if (waiters > 0)
			lookup_join(lookup, done, &told);
		else
			query_unlink(lookup_join(lookup, done, &told)); /* cancelled */
		lookup_rung(lookup);
		assert_int_equal(told.calls, waiters);
		assert_true(lookup->is_answered && lookup->is_unwanted);
		assert_int_equal(lookup->ring.at_ms, lookup->deadline_ms);
		lookup_rung(lookup); /* to ask again */
		assert_int_equal(told.calls, waiters);
		assert_int_equal(lookup->ring.at_ms, lookup->deadline_ms);
		assert_ptr_equal(fixture->resolver->unwanted, lookup);
		set_part(&lookup->v6, DNS_FOUND, AF_INET6);
		lookup_rung(lookup);
		assert_null(fixture->resolver->lookups);
		assert_null(fixture->resolver->unwanted);
		assert_int_equal(told.calls, waiters);
		assert_string_equal(resolver_fixture_ask(fixture, "a.test"), "a00:1:: 10.0.0.1");
		known_names_free(fixture->resolver->known);
		fixture->resolver->known = known_names_new(fixture->conf, NULL);
	}
}

/* ---- calls ---------------------------------------------------------------------------------- */

struct asks_more {
	struct resolver *resolver;
	struct lookup *lookup;
	struct told more;
};

static void ask_more(void *context, enum failure failure, const struct addresses *found)
{
	struct asks_more *asks = context;

	(void)failure, (void)found;
	assert_true(asks->lookup->is_told);
	assert_null(asks->resolver->unwanted);
	assert_null(resolver_start(asks->resolver, SLICE("b.test"), 0, done, &asks->more));
}

/* One that is being told of is not dropped to make room for what is asked meanwhile. */
static void it_stays_while_it_is_told(void **state)
{
	struct fixture *fixture = *state;
	struct lookup *lookup = new_lookup(fixture, "a.test");
	struct asks_more asks = {.resolver = fixture->resolver, .lookup = lookup};
	uint64_t dropped = stats->lookups_dropped;

	fixture->budgets.limit[BUDGET_LOOKUPS].here = 1;
	assert_non_null(lookup_join(lookup, ask_more, &asks));
	set_part(&lookup->v4, DNS_FOUND, AF_INET);
	lookup->answer_by_ms = deadlines_now_ms();
	lookup_rung(lookup); /* without AAAA, which it waits for */
	assert_int_equal(asks.more.calls, 1);
	assert_int_equal(asks.more.failure, FAILURE_TOO_MANY_LOOKUPS);
	assert_ptr_equal(fixture->resolver->unwanted, lookup);
	assert_int_equal(stats->lookups_dropped, dropped);
	/* afterwards it is */
	assert_non_null(resolver_start(fixture->resolver, SLICE("b.test"), 0, done, &asks.more));
	assert_int_equal(stats->lookups_dropped, dropped + 1);
	assert_null(fixture->resolver->unwanted);
}

/* Without a socket it has ended before it was waited for. */
static void it_may_end_at_once(void **state)
{
	struct fixture *fixture = *state;
	struct told told = {.calls = 0};

	fixture->budgets.limit[BUDGET_SOCKETS].here = 0;
	assert_null(resolver_start(fixture->resolver, SLICE("a.test"), 0, done, &told));
	assert_int_equal(told.calls, 1);
	assert_int_equal(told.failure, FAILURE_DNS_ERROR);
	assert_string_equal(told.why_none, "no socket or no memory to ask a name server with");
	assert_null(fixture->resolver->lookups);
}

/* What is known without a name server: its addresses, or why there are none. */
static void what_is_not_asked_for(void **state)
{
	static const char *const special = "names in .invalid and .onion are not looked up";
	static const struct {
		const char *host;
		unsigned count;
		const char *why_none;
	} cases[] = {
		{"a.onion", 0, special}, {"invalid", 0, special}, {"localhost", 2, NULL},
		{"10.0.0.1", 1, NULL},   {"[::1]", 1, NULL},      {"0x7f.1", 0, "not a host name"},
	};
	struct fixture *fixture = *state;
	uint64_t hits = stats->dns_cache_hits;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct told told = {.calls = 0};

		assert_null(resolver_start(fixture->resolver, slice_str(cases[i].host), 0, done,
					   &told));
		assert_int_equal(told.calls, 1);
		assert_int_equal(told.failure,
				 cases[i].count > 0 ? FAILURE_NONE : FAILURE_DNS_ERROR);
		assert_int_equal(told.count, cases[i].count);
		assert_string_equal(told.why_none != NULL ? told.why_none : "",
				    cases[i].why_none != NULL ? cases[i].why_none : "");
	}
	assert_int_equal(stats->dns_cache_hits - hits, 3);
}

/* ---- sockets -------------------------------------------------------------------------------- */

/* Each has a watcher of its own, one more has none, and all places are given back. */
static void as_many_sockets_as_there_is_room_for(void **state)
{
	struct fixture *fixture = *state;
	struct lookup *lookup = new_lookup(fixture, "a.test");
	int fds[DNS_SOCKETS_MAX + 1][2];

	assert_false(lookup->had_socket);
	for (unsigned i = 0; i < COUNT(fds); i++) {
		assert_int_equal(pipe(fds[i]), 0);
		assert_true(admit_socket(lookup));
		watch_socket(lookup, fds[i][0], true, false);
		assert_int_equal(budget_used(&fixture->budgets, BUDGET_SOCKETS, 0), i + 1);
	}
	assert_true(lookup->had_socket);
	assert_false(lookup_look(lookup));
	for (unsigned i = 0; i < DNS_SOCKETS_MAX; i++) {
		assert_int_equal(lookup->watchers[i].fd, fds[i][0]);
		assert_int_equal(lookup->watchers[i].events & (EV_READ | EV_WRITE), EV_READ);
		assert_ptr_equal(lookup->watchers[i].data, lookup);
		assert_true(ev_is_active(&lookup->watchers[i]));
		assert_int_equal(write(fds[i][1], "a", 1), 1);
		assert_true(lookup_look(lookup));
		assert_int_equal(read(fds[i][0], &(char){0}, 1), 1);
	}
	/* another thing to wait for, on the watcher it has */
	watch_socket(lookup, fds[3][0], true, true);
	assert_int_equal(lookup->watchers[3].events & (EV_READ | EV_WRITE), EV_READ | EV_WRITE);
	assert_int_equal(write(fds[3][1], "a", 1), 1);
	assert_true(lookup_look(lookup));
	watch_socket(lookup, fds[3][0], false, true);
	assert_false(lookup_look(lookup)); /* no pipe is written to at this end */
	assert_int_equal(lookup->watchers[3].events & (EV_READ | EV_WRITE), EV_WRITE);
	assert_int_equal(budget_used(&fixture->budgets, BUDGET_SOCKETS, 0), COUNT(fds));
	/* closed, its watcher is for the next one */
	watch_socket(lookup, fds[3][0], false, false);
	assert_int_equal(lookup->watchers[3].fd, -1);
	assert_false(ev_is_active(&lookup->watchers[3]));
	assert_true(admit_socket(lookup));
	watch_socket(lookup, fds[3][0], true, false);
	assert_int_equal(lookup->watchers[3].fd, fds[3][0]);
	for (unsigned i = 0; i < COUNT(fds); i++) {
		watch_socket(lookup, fds[i][0], false, false);
		assert_int_equal(budget_used(&fixture->budgets, BUDGET_SOCKETS, 0),
				 COUNT(fds) - 1 - i);
		close(fds[i][0]);
		close(fds[i][1]);
	}
	end(lookup);
}

/* ---- names ---------------------------------------------------------------------------------- */

static void the_last_labels_of_a_name(void **state)
{
	static const struct {
		const char *name;
		unsigned labels;
		const char *last;
	} cases[] = {
		{"www.a.test", 1, "test"},
		{"www.a.test", 2, "a.test"},
		{"www.a.test", 3, "www.a.test"},
		{"www.a.test", 4, "www.a.test"},
		{"test", 2, "test"},
		{"a.b.c.d", 3, "b.c.d"},
		{"", 2, ""},
		{".test", 1, "test"},
		{".test", 2, ".test"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct slice last = last_labels(slice_str(cases[i].name), cases[i].labels);

		assert_true(slice_eq(last, slice_str(cases[i].last)));
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, resolver_fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_it_rings_for),
		TEST(it_rings_for_the_next_try),
		TEST(what_comes_of_it),
		TEST(what_was_answered_waits_on),
		TEST(it_stays_while_it_is_told),
		TEST(it_may_end_at_once),
		TEST(what_is_not_asked_for),
		TEST(as_many_sockets_as_there_is_room_for),
		cmocka_unit_test(the_last_labels_of_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
