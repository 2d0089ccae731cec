/* LINKS: proxy/cli -Wl,--wrap=getaddrinfo_a,--wrap=gai_error,--wrap=gai_suspend,--wrap=freeaddrinfo -Wl,--wrap=monotonic_us,--wrap=free */
/* What --node names: addresses and paths, each once, and the port that is meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/monotonic.h"
#include "proxy/cli/nodes.h"
#include "tests/support/test_conf.h"

static struct nodes nodes;

/* ---- look-ups as a test has them ------------------------------------------------------------ */

enum { STEP_US = 1300001 };

/* Of each name; NULL for those of the C library.  A look-up has its status after so many waits of STEP_US. */
struct answers {
	int begun, status;
	unsigned waits;
	struct addrinfo *found;
};

static const struct answers *answers;
static unsigned waited, freed_lists, freed_lookups;
static struct gaicb *lookups[2];
static unsigned begun;
static int64_t now_us;

int __real_getaddrinfo_a(int mode, struct gaicb *list[], int n, struct sigevent *event);
int __wrap_getaddrinfo_a(int mode, struct gaicb *list[], int n, struct sigevent *event);
int __real_gai_error(struct gaicb *lookup);
int __wrap_gai_error(struct gaicb *lookup);
int __real_gai_suspend(const struct gaicb *const list[], int n, const struct timespec *limit);
int __wrap_gai_suspend(const struct gaicb *const list[], int n, const struct timespec *limit);
void __real_freeaddrinfo(struct addrinfo *list);
void __wrap_freeaddrinfo(struct addrinfo *list);
int64_t __real_monotonic_us(void);
int64_t __wrap_monotonic_us(void);
void __real_free(void *memory);
void __wrap_free(void *memory);

int __wrap_getaddrinfo_a(int mode, struct gaicb *list[], int n, struct sigevent *event)
{
	if (answers == NULL)
		return __real_getaddrinfo_a(mode, list, n, event);
	assert_int_equal(mode, GAI_NOWAIT);
	assert_int_equal(n, 1);
	assert_int_equal(list[0]->ar_request->ai_socktype, SOCK_STREAM);
	assert_true(begun < 2);
	lookups[begun++] = list[0];
	waited = 0;
	return answers->begun;
}

int __wrap_gai_error(struct gaicb *lookup)
{
	if (answers == NULL)
		return __real_gai_error(lookup);
	if (waited < answers->waits)
		return EAI_INPROGRESS;
	lookup->ar_result = answers->found;
	return answers->status;
}

int __wrap_gai_suspend(const struct gaicb *const list[], int n, const struct timespec *limit)
{
	int64_t left_us = INT64_C(1000) * NODES_LOOKUP_MS - now_us;

	if (answers == NULL)
		return __real_gai_suspend(list, n, limit);
	assert_int_equal(n, 1);
	assert_ptr_equal(list[0], lookups[begun - 1]);
	assert_true(left_us > 0);
	assert_int_equal(limit->tv_sec, left_us / 1000000);
	assert_int_equal(limit->tv_nsec, left_us % 1000000 * 1000);
	waited++;
	now_us += left_us < STEP_US ? left_us : STEP_US;
	return EAI_AGAIN;
}

void __wrap_freeaddrinfo(struct addrinfo *list)
{
	if (answers == NULL) {
		__real_freeaddrinfo(list);
		return;
	}
	assert_ptr_equal(list, answers->found);
	freed_lists++;
}

int64_t __wrap_monotonic_us(void)
{
	return answers == NULL ? __real_monotonic_us() : now_us;
}

void __wrap_free(void *memory)
{
	for (unsigned i = 0; i < begun; i++)
		freed_lookups += memory == lookups[i];
	__real_free(memory);
}

/* ---- addresses ------------------------------------------------------------------------------ */

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

/* As found(), with other look-ups than those of the C library. */
static const char *found_with(const struct answers *all, char *const *names, size_t count)
{
	const char *text;

	answers = all;
	now_us = 0;
	begun = freed_lists = freed_lookups = 0;
	text = found("127.0.0.1:7", names, count);
	answers = NULL;
	begun = 0;
	return text;
}

/* All addresses of a kind that is known, each with the port, and what a look-up holds is given back. */
static void test_found(void **state)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = {{{0x20, 1, 0x0d, 0xb8}}}};
	struct addrinfo list[] = {
		{.ai_addr = (struct sockaddr *)&v4, .ai_addrlen = sizeof(v4), .ai_next = &list[1]},
		{.ai_addr = NULL, .ai_addrlen = 4096, .ai_next = &list[2]},
		{.ai_addr = (struct sockaddr *)&v6, .ai_addrlen = sizeof(v6), .ai_next = &list[3]},
		{.ai_addr = (struct sockaddr *)&v4, .ai_addrlen = sizeof(v4)},
	};
	char *name = "a.example:5";

	(void)state;
	for (unsigned waits = 0; waits < 4; waits++) {
		struct answers all = {.waits = waits, .found = list};

		assert_string_equal(found_with(&all, &name, 1), "192.0.2.1:5 [2001:db8::]:5");
		assert_int_equal(waited, waits);
		assert_int_equal(freed_lists, 1);
		assert_int_equal(freed_lookups, 1);
	}
}

static void test_too_many_found(void **state)
{
	static struct sockaddr_in at[NODES_ADDRESSES_MAX + 1];
	static struct addrinfo list[NODES_ADDRESSES_MAX + 1];
	struct answers all = {.found = list};
	char *name = "a.example", expected[64];

	(void)state;
	for (size_t i = 0; i <= NODES_ADDRESSES_MAX; i++) {
		at[i].sin_family = AF_INET;
		at[i].sin_addr.s_addr = htonl(0xc0000200 + (uint32_t)i);
		list[i].ai_addr = (struct sockaddr *)&at[i];
		list[i].ai_addrlen = sizeof(at[i]);
		list[i].ai_next = i < NODES_ADDRESSES_MAX ? &list[i + 1] : NULL;
	}
	snprintf(expected, sizeof(expected), "--node: more than %d addresses", NODES_ADDRESSES_MAX);
	assert_string_equal(found_with(&all, &name, 1), expected);
	assert_int_equal(freed_lists, 1);
	assert_int_equal(freed_lookups, 1);
	list[NODES_ADDRESSES_MAX - 1].ai_next = NULL;
	found_with(&all, &name, 1);
	assert_int_equal(nodes.count, NODES_ADDRESSES_MAX);
}

/* A look-up that goes on keeps its memory; one that has failed does not. */
static void test_not_found(void **state)
{
	static const struct {
		struct answers all;
		unsigned freed;
	} rows[] = {
		{{.begun = EAI_AGAIN}, 1},
		{{.status = EAI_NONAME}, 1},
		{{.status = EAI_FAIL, .waits = 3}, 1},
		{{.waits = 100}, 0},
	};
	char *name = "a.example", expected[128];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct answers *all = &rows[i].all;
		int status = all->begun != 0 ? all->begun : all->status;

		snprintf(expected, sizeof(expected), "--node a.example: no address is found: %s",
			 status == 0 ? "no answer in time" : gai_strerror(status));
		assert_string_equal(found_with(all, &name, 1), expected);
		assert_int_equal(freed_lists, 0);
		assert_int_equal(freed_lookups, rows[i].freed);
		if (rows[i].freed == 0)
			__real_free(lookups[0]);
	}
}

/* The time is that of all names together. */
static void test_time_of_all_names(void **state)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201)};
	struct addrinfo list = {.ai_addr = (struct sockaddr *)&v4, .ai_addrlen = sizeof(v4)};
	struct answers all = {.waits = 3, .found = &list};
	char *names[] = {"a.example", "b.example"};

	(void)state;
	assert_string_equal(found_with(&all, names, 2),
			    "--node b.example: no address is found: no answer in time");
	assert_int_equal(freed_lists, 1);
	assert_int_equal(freed_lookups, 1);
	assert_int_equal(now_us, INT64_C(1000) * NODES_LOOKUP_MS);
	__real_free(lookups[1]);
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
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_too_many_found),
		cmocka_unit_test(test_not_found),
		cmocka_unit_test(test_time_of_all_names),
		cmocka_unit_test(test_each_once),
		cmocka_unit_test(test_failures_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
