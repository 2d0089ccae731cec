/* LINKS: proxy/front tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/store_memory.c */
/* Gateways: what is asked of their origin, what is refused, and how they are bound. */
#include "tests/support/worker_fixture.h"

#include <string.h>
#include <unistd.h>

#include "proxy/front/forward.h"
#include "proxy/front/gateway.h"

static struct worker_fixture f;
static struct listener listener;

/* These gateways, and rules. */
static void open_with(const char *options, const char *rules)
{
	struct diagnostic error = {""};

	worker_fixture_open(&f, &forward_frontend, options);
	assert_true(test_conf_rules(f.conf, rules));
	listener = (struct listener){.count = 0};
	assert_true(gateways_bind(f.conf, &listener, &error));
}

static int setup(void **state)
{
	(void)state;
	open_with("gateway=127.0.0.1:0=http://10.0.0.1,127.0.0.1:0=http://10.0.0.2:8080", "");
	return 0;
}

static int teardown(void **state)
{
	int failed = worker_fixture_close(state); /* clients of theirs end first */

	gateways_free(&listener);
	listener_close(&listener);
	return failed;
}

static struct fake_peer *client_at(unsigned index)
{
	return fake_worker_accept(f.worker, listener.at[index].frontend, FAKE_LISTEN, FAILURE_NONE);
}

/* What a client of the first one gets. */
static const char *ask(const char *head)
{
	struct fake_peer *client = client_at(0);

	worker_fixture_say(&f, client, head);
	return worker_fixture_got(&f, client);
}

static void assert_got(struct fake_peer *origin, const char *start)
{
	assert_int_equal(strncmp(worker_fixture_got(&f, origin), start, strlen(start)), 0);
}

static void its_origin_is_asked(void **state)
{
	struct fake_peer *client = client_at(0), *origin;

	(void)state;
	/* the first request takes another way in than those that follow */
	for (unsigned i = 0; i < 3; i++) {
		worker_fixture_say(&f, client, "GET /x?y HTTP/1.1\r\nHost: any.test\r\n\r\n");
		origin = fake_peer_connected(0);
		assert_non_null(origin);
		assert_got(origin, "GET /x?y HTTP/1.1\r\nHost: 10.0.0.1\r\n");
		worker_fixture_say(&f, origin, "HTTP/1.1 204 No Content\r\n\r\n");
		assert_non_null(strstr(worker_fixture_got(&f, client), "HTTP/1.1 204 "));
	}
	assert_int_equal(stats->requests, 3);
	client = client_at(1);
	worker_fixture_say(&f, client, "OPTIONS * HTTP/1.1\r\nHost: any.test\r\n\r\n");
	origin = fake_peer_connected(1);
	assert_non_null(origin);
	assert_got(origin, "OPTIONS * HTTP/1.1\r\nHost: 10.0.0.2:8080\r\n");
}

/* Who asks an origin in HTTP/1.0 may keep the connection. */
static void it_is_an_origin_to_clients(void **state)
{
	struct fake_peer *client = client_at(0);

	(void)state;
	worker_fixture_say(&f, client, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	worker_fixture_say(&f, fake_peer_connected(0), "HTTP/1.1 204 No Content\r\n\r\n");
	assert_non_null(strstr(worker_fixture_got(&f, client), "Connection: keep-alive"));
	assert_false(client->got_end);
}

static void of_another_origin_is_misdirected(void **state)
{
	(void)state;
	assert_non_null(strstr(ask("GET http://10.0.0.2/ HTTP/1.1\r\nHost: x\r\n\r\n"), " 421 "));
	assert_non_null(strstr(ask("GET https://10.0.0.1/ HTTP/1.1\r\nHost: x\r\n\r\n"), " 421 "));
	ask("GET / HTTP/1.1\r\nHost: x\r\nVia: 1.1 cache204\r\n\r\n");
	assert_int_equal(stats->failure[FAILURE_LOOP], 1);
	assert_null(fake_peer_connected(0));
	assert_int_equal(stats->failure[FAILURE_MISDIRECTED], 2);
	ask("GET http://10.0.0.1:80/z HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_non_null(fake_peer_connected(0));
}

static void some_methods_are_none(void **state)
{
	(void)state;
	ask("TRACE / HTTP/1.1\r\nHost: x\r\n\r\n");
	ask("CONNECT 10.0.0.1:443 HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_int_equal(stats->failure[FAILURE_DENIED_METHOD], 2);
	assert_null(fake_peer_connected(0));
}

static void its_rules_are_of_the_whole_uri(void **state)
{
	teardown(state);
	open_with("gateway=127.0.0.1:0=http://10.0.0.1",
		  "rule \"no\" { match = \"http://10.0.0.1/no*\" deny = on }\n");
	assert_non_null(strstr(ask("GET /no/x HTTP/1.1\r\nHost: x\r\n\r\n"), " 403 "));
	assert_int_equal(stats->failure[FAILURE_DENIED_RULE], 1);
	ask("GET /yes HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_non_null(fake_peer_connected(0));
}

static void its_frontend(void **state)
{
	const struct frontend *first = listener.at[0].frontend, *second = listener.at[1].frontend;

	(void)state;
	assert_int_equal(listener.count, 2);
	assert_string_equal(gateway_origin(first), "http://10.0.0.1");
	assert_string_equal(gateway_origin(second), "http://10.0.0.2:8080");
	assert_null(gateway_origin(&forward_frontend));
	assert_string_equal(first->name, "gateway");
	assert_true(first->chosen && first->is_origin && !first->is_reserved);
	assert_true(slice_eq(first->origin_uri, SLICE("http://10.0.0.1")));
	assert_true(slice_eq(second->origin_uri, SLICE("http://10.0.0.2:8080")));
	teardown(state);
	open_with("gateway=127.0.0.1:0=https://10.0.0.1,127.0.0.1:0=https://10.0.0.1:80", "");
	assert_true(slice_eq(listener.at[0].frontend->origin_uri, SLICE("https://10.0.0.1")));
	assert_true(slice_eq(listener.at[1].frontend->origin_uri, SLICE("https://10.0.0.1:80")));
}

static void what_cannot_be_bound(void **state)
{
	static const char *const wrong[] = {"gateway=127.0.0.1:0", "gateway=127.0.0.1:0=x",
					    "gateway=127.0.0.1:0=ftp://a",
					    "gateway=192.0.2.1:81=http://a"};
	struct diagnostic error;

	(void)state;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct listener none = {.count = 0};
		struct conf *conf = test_conf_new();

		error.text[0] = '\0';
		assert_true(test_conf_set_all(conf, wrong[i]));
		assert_false(gateways_bind(conf, &none, &error));
		assert_non_null(
			strstr(error.text, i < 3 ? "not ADDRESS:PORT=URL" : "192.0.2.1:81"));
		gateways_free(&none);
		listener_close(&none);
		test_conf_free(conf);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(its_origin_is_asked),
		TEST(it_is_an_origin_to_clients),
		TEST(of_another_origin_is_misdirected),
		TEST(some_methods_are_none),
		TEST(its_rules_are_of_the_whole_uri),
		TEST(its_frontend),
		TEST(what_cannot_be_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
