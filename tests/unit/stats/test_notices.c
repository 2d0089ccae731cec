/* LINKS: proxy/stats */
/* What is told once: over processes, and with room for so many hosts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/stats/notices.h"

/* Whether a process of its own is the first. */
static bool first_elsewhere(bool (*is_first)(void))
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		_exit(is_first() ? 1 : 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status) == 1;
}

static bool one_tunnel(void)
{
	return notices_first_tunnel(slice_str("one.example"), 443);
}

static int begin(void **state)
{
	(void)state;
	return notices_share() ? 0 : -1;
}

static void test_request(void **state)
{
	(void)state;
	assert_true(first_elsewhere(notices_first_request));
	assert_false(notices_first_request());
	assert_false(first_elsewhere(notices_first_request));
}

static void test_host_and_port(void **state)
{
	(void)state;
	assert_true(one_tunnel());
	assert_false(one_tunnel());
	assert_false(first_elsewhere(one_tunnel));
	assert_true(notices_first_tunnel(slice_str("one.example"), 444));
	assert_true(notices_first_tunnel(slice_str("two.example"), 443));
	assert_true(notices_first_tunnel(slice_str(""), 443));
	assert_false(notices_first_tunnel(slice_str(""), 443));
}

/* However many come, what is remembered is bounded, and each is told at most once. */
static void test_bound(void **state)
{
	unsigned told = 0;

	(void)state;
	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 0; i < 10 * NOTICES_HOSTS; i++) {
			char name[32];

			snprintf(name, sizeof(name), "host%u.example", i);
			told += notices_first_tunnel(slice_str(name), 443);
		}
	assert_in_range(told, NOTICES_HOSTS / 2, NOTICES_HOSTS);
}

static void test_store(void **state)
{
	uint64_t uris = 1, bytes = 1;

	(void)state;
	notices_get_store(&uris, &bytes);
	assert_int_equal(uris + bytes, 0);
	notices_set_store(7, 4096);
	notices_get_store(&uris, &bytes);
	assert_int_equal(uris, 7);
	assert_int_equal(bytes, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_request, begin),
		cmocka_unit_test_setup(test_host_and_port, begin),
		cmocka_unit_test_setup(test_bound, begin),
		cmocka_unit_test_setup(test_store, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
