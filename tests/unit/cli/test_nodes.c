/* LINKS: proxy/cli */
/* What --node names: addresses and paths, each once, and the port that is meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/cli/nodes.h"
#include "tests/support/test_conf.h"

static struct nodes nodes;

/* Places as text, "a b", or what is wrong. */
static const char *found(const char *admin, char *const *names, size_t count)
{
	static char text[64 * 1024];
	struct arguments arguments = {.node_count = count};
	struct conf *conf = conf_load(NULL, NULL, 0, stderr);
	struct diagnostic error;

	assert_non_null(conf);
	assert_true(test_conf_set(conf, "admin", admin));
	for (size_t i = 0; i < count; i++)
		arguments.nodes[i] = names[i];
	text[0] = '\0';
	if (!nodes_find(&arguments, conf, &nodes, &error))
		snprintf(text, sizeof(text), "%s", error.text);
	else
		for (size_t i = 0; i < nodes.count; i++) {
			char name[PLACE_NAME];

			place_name(&nodes.at[i], name);
			strcat(strcat(text, i == 0 ? "" : " "), name);
		}
	conf_free(conf);
	return text;
}

static void test_places(void **state)
{
	static const struct {
		const char *node, *place;
	} rows[] = {
		{"192.0.2.1", "192.0.2.1:7"},
		{"192.0.2.1:1", "192.0.2.1:1"},
		{"192.0.2.1:65535", "192.0.2.1:65535"},
		{"::1", "[::1]:7"},
		{"[::1]", "[::1]:7"},
		{"[2001:db8::2]:80", "[2001:db8::2]:80"},
		{"unix:/run/x", "unix:/run/x"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *node = (char *)(uintptr_t)rows[i].node;

		assert_string_equal(found("127.0.0.1:7", &node, 1), rows[i].place);
	}
}

static void test_what_is_none(void **state)
{
	static const char *const rows[] = {
		"",           "192.0.2.1:0",  "192.0.2.1:65536",
		"192.0.2.1:", "192.0.2.1:1x", "192.0.2.1:x",
		":80",        "[]",           "[::1]:",
		"[::1]:0",    "[]:80",
	};
	char expected[128];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *node = (char *)(uintptr_t)rows[i];

		snprintf(expected, sizeof(expected),
			 "--node %s: not an address or a name, with or without :PORT", node);
		assert_string_equal(found("127.0.0.1:7", &node, 1), expected);
	}
}

/* A name of 299 bytes would be looked up. */
static void test_too_long(void **state)
{
	char node[301], *name = node;

	(void)state;
	memset(node, 'a', 300);
	node[300] = '\0';
	assert_non_null(strstr(found("127.0.0.1:7", &name, 1), ": not an address or a name"));
}

/* The first admin address that has a port which is known. */
static void test_ports(void **state)
{
	static const struct {
		const char *admin, *place;
	} rows[] = {
		{"127.0.0.1:7,127.0.0.1:8", "192.0.2.1:7"},
		{"unix:/x,127.0.0.1:0,[::1]:9", "192.0.2.1:9"},
		{"unix:/a-path-of-more-than-sixty-four-bytes/"
		 "with-a-colon-and-a-number:80,127.0.0.1:5",
		 "192.0.2.1:5"},
		{"unix:/x", "192.0.2.1:3129"},
		{"", "192.0.2.1:3129"},
	};
	char node[] = "192.0.2.1", *name = node;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(found(rows[i].admin, &name, 1), rows[i].place);
}

/* By the C library, whatever it has more of it. */
static void test_name(void **state)
{
	char *name = "localhost:5";

	(void)state;
	assert_non_null(strstr(found("127.0.0.1:7", &name, 1), "127.0.0.1:5"));
}

static void test_each_once(void **state)
{
	char *names[] = {"192.0.2.2",   "192.0.2.1:7", "unix:/x",
			 "192.0.2.2:7", "unix:/x",     "192.0.2.2:8"};

	(void)state;
	assert_string_equal(found("127.0.0.1:7", names, 6),
			    "192.0.2.2:7 192.0.2.1:7 unix:/x 192.0.2.2:8");
	names[2] = "";
	assert_string_equal(found("127.0.0.1:7", names, 6),
			    "--node : not an address or a name, with or without :PORT");
}

/* ---- work ----------------------------------------------------------------------------------- */

struct work {
	int status[3];
	bool dies[3];
};

static int work_at(void *context, const struct place *place)
{
	const struct work *work = context;
	size_t i = (size_t)(address_port(&place->address) - 1);

	if (work->dies[i])
		abort();
	return work->status[i];
}

/* Its status is that of a process: 1 and 2 are failures, and so is an end without one. */
static void test_failures_are_counted(void **state)
{
	static const struct {
		struct work work;
		size_t failed;
	} rows[] = {
		{{.status = {0, 0, 0}}, 0},
		{{.status = {1, 0, 0}}, 1},
		{{.status = {0, 2, 1}}, 2},
		{{.dies = {true, false, true}}, 2},
	};
	char *names[] = {"192.0.2.1:1", "192.0.2.1:2", "192.0.2.1:3"};

	(void)state;
	found("", names, 3);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct work work = rows[i].work;

		assert_int_equal(nodes_do(&nodes, work_at, &work), rows[i].failed);
	}
	nodes.count = 0;
	assert_int_equal(nodes_do(&nodes, work_at, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_what_is_none),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_each_once),
		cmocka_unit_test(test_failures_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
