/* What explicit_bzero() clears, looked at first. */
#include "tests/doubles/cleared_memory.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

static const char *secret;
static unsigned cleared;

void cleared_count(const char *wanted)
{
	secret = wanted;
	cleared = 0;
}

unsigned cleared_so_far(void)
{
	unsigned count = cleared;

	cleared = 0;
	return count;
}

static void clear(char *bytes, size_t n)
{
	cleared += secret != NULL && memmem(bytes, n, secret, strlen(secret)) != NULL;
	memset(bytes, 0, n);
}

/* These stand before the C library's: the second is the first in a hardened build. */
void explicit_bzero(void *bytes, size_t n)
{
	clear(bytes, n);
}

void __explicit_bzero_chk(void *bytes, size_t n, size_t room);
void __explicit_bzero_chk(void *bytes, size_t n, size_t room)
{
	assert(n <= room);
	clear(bytes, n);
}
