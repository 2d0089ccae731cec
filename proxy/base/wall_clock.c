/* The clocks of the world outside; the only file that reads the wall clock. */
#include "proxy/base/wall_clock.h"

#include <time.h>

static int64_t read_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t wall_clock_ms(void)
{
	return read_ms(CLOCK_REALTIME);
}

int64_t boot_clock_ms(void)
{
	return read_ms(CLOCK_BOOTTIME);
}
