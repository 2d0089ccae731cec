/* Bytes before a page that nobody may read. */
#include "tests/support/guarded.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { COPIES_MAX = 4096 };

/* A copy has the end of `size` bytes, behind which is the page that cannot be read. */
static struct {
	char *at;
	size_t size;
} copies[COPIES_MAX];
static size_t used;

static void map(size_t i, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (copies[i].at != NULL)
		munmap(copies[i].at, copies[i].size + page);
	copies[i].size = (size / page + 1) * page;
	copies[i].at = mmap(NULL, copies[i].size + page, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (copies[i].at == MAP_FAILED ||
	    mprotect(copies[i].at + copies[i].size, page, PROT_NONE) != 0)
		abort();
}

struct slice guarded(struct slice bytes)
{
	size_t i = used++;
	char *to;

	if (i == COPIES_MAX)
		abort();
	if (copies[i].at == NULL || copies[i].size < bytes.n)
		map(i, bytes.n);
	to = copies[i].at + copies[i].size - bytes.n;
	if (bytes.n > 0)
		memcpy(to, bytes.p, bytes.n);
	return slice_of(to, bytes.n);
}

struct slice guarded_str(const char *text)
{
	return guarded(slice_str(text));
}

void guarded_fields(struct http_fields *fields)
{
	struct slice lines =
		slice_of((const char *)fields->at, fields->count * sizeof(*fields->at));

	fields->at = (void *)(uintptr_t)guarded(lines).p;
	fields->capacity = fields->count;
	for (uint32_t i = 0; i < fields->count; i++) {
		fields->at[i].name = guarded(fields->at[i].name);
		fields->at[i].value = guarded(fields->at[i].value);
	}
}

void guarded_end(void)
{
	used = 0;
}
