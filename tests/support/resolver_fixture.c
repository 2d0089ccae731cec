/* A resolver and its name server in one loop. */
#include "tests/support/resolver_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cache/base/diagnostic.h"
#include "proxy/loop/deadline.h"
#include "tests/support/test_conf.h"

static unsigned questions_seen;

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void read_clock(void)
{
	deadlines_advance((int64_t)(now_s() * 1000));
}

/* As the worker's turn begins. */
static void check_cb(struct ev_loop *loop, struct ev_check *check, int events)
{
	(void)loop;
	(void)check;
	(void)events;
	read_clock();
}

/* And as often at least: what is longer counts as time in which nobody could look. */
static void tick_cb(struct ev_loop *loop, struct ev_timer *tick, int events)
{
	(void)loop;
	(void)tick;
	(void)events;
}

int resolver_fixture_setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	if (fixture == NULL)
		return -1;
	fixture->loop = ev_loop_new(EVFLAG_AUTO);
	deadlines_setup(fixture->loop);
	ev_check_init(&fixture->check, check_cb);
	ev_set_priority(&fixture->check, EV_MAXPRI);
	ev_check_start(fixture->loop, &fixture->check);
	ev_unref(fixture->loop); /* it is nothing to wait for */
	ev_timer_init(&fixture->tick, tick_cb, DEADLINE_TURN_MAX_MS / 2000.0,
		      DEADLINE_TURN_MAX_MS / 2000.0);
	ev_timer_start(fixture->loop, &fixture->tick);
	ev_unref(fixture->loop);
	fixture->conf = test_conf_new();
	fixture->descriptors = descriptors_share(4096, 0);
	resolver_fixture_set(fixture, "dns_timeout", "1000ms");
	resolver_fixture_set(fixture, "hosts_file", "");
	questions_seen = 0;
	*state = fixture;
	return fixture->loop ? 0 : -1;
}

int resolver_fixture_teardown(void **state)
{
	struct fixture *fixture = *state;

	resolver_free(fixture->resolver);
	if (fixture->budgets.holdings != NULL) {
		assert_int_equal(holdings_count(fixture->budgets.holdings, 0), 0);
		holdings_unmap(fixture->budgets.holdings);
	}
	if (fixture->server != NULL)
		name_server_free(fixture->server);
	test_conf_free(fixture->conf);
	ev_loop_destroy(fixture->loop);
	free(fixture);
	return 0;
}

void resolver_fixture_set(struct fixture *fixture, const char *option, const char *text)
{
	assert_true(test_conf_set(fixture->conf, option, text));
}

void resolver_fixture_open(struct fixture *fixture, const struct name_row *rows)
{
	static const struct name_row none[] = {{.name = NULL}};
	struct diagnostic error = {""};

	fixture->server = name_server_new(fixture->loop, rows ? rows : none);
	if (fixture->conf->resolvers.count == 0)
		resolver_fixture_set(fixture, "resolvers", name_server_address(fixture->server));
	budgets_init(&fixture->budgets, holdings_map(1, 4096), 0, fixture->conf,
		     &fixture->descriptors);
	fixture->resolver = resolver_new(fixture->loop, fixture->conf, &fixture->budgets, &error);
	if (fixture->resolver == NULL)
		fail_msg("%s", error.text);
}

void resolver_fixture_done(void *context, enum failure failure, const struct addresses *found)
{
	struct asked *asked = context;

	asked->query = NULL;
	asked->calls++;
	asked->failure = failure;
	asked->count = found->count;
	asked->addresses[0] = '\0';
	asked->seconds = now_s() - asked->started;
	assert_int_equal(failure == FAILURE_NONE, found->count > 0);
	for (unsigned i = 0; i < found->count; i++) {
		char text[ADDRESS_TEXT_SIZE];

		assert_int_equal(address_port(&found->at[i]), 0);
		address_format(&found->at[i], text);
		strcat(asked->addresses, i > 0 ? " " : "");
		strcat(asked->addresses, text);
	}
	ev_break(asked->fixture->loop, EVBREAK_ONE);
}

void resolver_fixture_start(struct fixture *fixture, const char *host, struct asked *ret_asked)
{
	struct resolver_query *query;

	memset(ret_asked, 0, sizeof(*ret_asked));
	ret_asked->fixture = fixture;
	ret_asked->started = now_s();
	read_clock();
	query = resolver_start(fixture->resolver, slice_str(host), fixture->holder,
			       resolver_fixture_done, ret_asked);
	assert_int_equal(query == NULL, ret_asked->calls == 1);
	ret_asked->query = query;
}

static void watchdog_cb(struct ev_loop *loop, struct ev_timer *watcher, int events)
{
	(void)loop;
	(void)watcher;
	(void)events;
	fail_msg("no answer in %d seconds", WATCHDOG_S);
}

void resolver_fixture_wait(struct asked *asked)
{
	struct ev_loop *loop = asked->fixture->loop;
	struct ev_timer watchdog;

	ev_timer_init(&watchdog, watchdog_cb, WATCHDOG_S, 0);
	ev_now_update(loop);
	ev_timer_start(loop, &watchdog);
	while (asked->calls == 0)
		ev_run(loop, EVRUN_ONCE);
	ev_timer_stop(loop, &watchdog);
}

static void run_cb(struct ev_loop *loop, struct ev_timer *watcher, int events)
{
	(void)loop;
	(void)events;
	*(bool *)watcher->data = true;
}

void resolver_fixture_run(struct fixture *fixture, double seconds)
{
	struct ev_timer timer;
	bool over = false;

	ev_timer_init(&timer, run_cb, seconds, 0);
	timer.data = &over;
	ev_now_update(fixture->loop);
	ev_timer_start(fixture->loop, &timer);
	while (!over)
		ev_run(fixture->loop, EVRUN_ONCE);
}

const char *resolver_fixture_ask(struct fixture *fixture, const char *host)
{
	static struct asked asked;

	resolver_fixture_start(fixture, host, &asked);
	resolver_fixture_wait(&asked);
	assert_int_equal(asked.calls, 1);
	return asked.failure == FAILURE_NONE ? asked.addresses : failure_name(asked.failure);
}

unsigned resolver_fixture_questions(struct fixture *fixture)
{
	unsigned all = name_server_questions(fixture->server, false) +
		       name_server_questions(fixture->server, true);
	unsigned fresh = all - questions_seen;

	questions_seen = all;
	return fresh;
}
