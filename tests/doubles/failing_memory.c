/* Memory that runs out; see failing_memory.h. */
#include "tests/doubles/failing_memory.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

static size_t fail_after;
static bool fail_armed, fail_on, fail_happened;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
__attribute__((weak)) void *__wrap_malloc(size_t size);
__attribute__((weak)) void *__wrap_calloc(size_t count, size_t size);
__attribute__((weak)) void *__wrap_realloc(void *memory, size_t size);
__attribute__((weak)) void *__wrap_reallocarray(void *memory, size_t count, size_t size);
__attribute__((weak)) char *__wrap_strdup(const char *text);

void fail_memory(size_t n, bool on)
{
	fail_after = n;
	fail_on = on;
	fail_armed = true;
	fail_happened = false;
}

bool fail_memory_never(void)
{
	bool happened = fail_happened;

	fail_armed = fail_happened = false;
	return happened;
}

bool fail_memory_now(void)
{
	if (!fail_armed)
		return false;
	if (fail_after > 0) {
		fail_after--;
		return false;
	}
	fail_armed = fail_on;
	fail_happened = true;
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fail_memory_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fail_memory_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return fail_memory_now() ? NULL : __real_realloc(memory, size);
}

/* Those that a test may wrap as well. */

void *__wrap_reallocarray(void *memory, size_t count, size_t size)
{
	if (fail_memory_now() || (size > 0 && count > SIZE_MAX / size))
		return NULL;
	return __real_realloc(memory, count * size);
}

char *__wrap_strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = fail_memory_now() ? NULL : __real_malloc(size);

	return copy == NULL ? NULL : memcpy(copy, text, size);
}
