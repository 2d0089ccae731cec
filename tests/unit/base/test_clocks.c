/* LINKS: proxy/base */
/* Clocks: which of the system's each is, and its unit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <time.h>

#include "proxy/base/monotonic.h"
#include "proxy/base/wall_clock.h"

/* The clock that is read: the program's own symbol is taken before that of the library. */
int clock_gettime(clockid_t clock, struct timespec *ret_now)
{
	static const struct {
		clockid_t clock;
		time_t s;
	} clocks[] = {
		{CLOCK_REALTIME, 1939639200}, {CLOCK_MONOTONIC, 5000}, {CLOCK_BOOTTIME, 7000}};

	for (size_t i = 0; i < sizeof(clocks) / sizeof(*clocks); i++)
		if (clocks[i].clock == clock) {
			*ret_now = (struct timespec){.tv_sec = clocks[i].s, .tv_nsec = 999999999};
			return 0;
		}
	return -1;
}

static void each_reads_its_own(void **state)
{
	(void)state;
	assert_int_equal(wall_clock_ms(), 1939639200999);
	assert_int_equal(boot_clock_ms(), 7000999);
	assert_int_equal(monotonic_us(), 5000999999);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_reads_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
