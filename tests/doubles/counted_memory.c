/* malloc() and its kin, counted. */
#include "tests/doubles/counted_memory.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/doubles/sure_memory.h"

static size_t allocations, alive, failing_allocation = SIZE_MAX;

#ifdef __SANITIZE_ADDRESS__
bool fail_allocation(size_t n)
{
	(void)n;
	return false;
}
#else
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);

/* Is it this one that fails?  Not the doubles'. */
static bool fails(void)
{
	bool is_it = !sure_memory_asks && allocations++ == failing_allocation;

	if (is_it)
		errno = ENOMEM;
	return is_it;
}

static void *made(void *p)
{
	alive += p != NULL;
	return p;
}

void *malloc(size_t size)
{
	return fails() ? NULL : made(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
	return fails() ? NULL : made(__libc_calloc(count, size));
}

void *realloc(void *p, size_t size)
{
	if (fails())
		return NULL;
	return p == NULL ? made(__libc_malloc(size)) : __libc_realloc(p, size);
}

void free(void *p)
{
	alive -= p != NULL;
	__libc_free(p);
}

bool fail_allocation(size_t n)
{
	failing_allocation = allocations + n;
	return true;
}
#endif

size_t allocations_alive(void)
{
	return alive;
}

size_t allocations_so_far(void)
{
	return allocations;
}

void fail_no_allocation(void)
{
	failing_allocation = SIZE_MAX;
}
