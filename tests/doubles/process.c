/* What a process has of the kernel; see process.h. */
#include "tests/doubles/process.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/doubles/failing_memory.h"
#include "tests/doubles/sure_memory.h"

enum { DESCRIPTORS = 1024, MAPS = 256, SYNCED = 64, SLOTS_FIRST = 1 << 12 };

/* Allocations, by address: open addressing. */
struct slot {
	void *memory; /* NULL for free */
	int worker;
};

struct map {
	char *at; /* NULL for none */
	size_t size;
	ino_t inode;
	int worker;
};

/* A file's content when it was last synced. */
struct synced {
	ino_t inode;
	char *bytes;
	size_t size;
};

static struct slot *slots;
static size_t slot_room, slot_count;
static int owners[DESCRIPTORS]; /* of descriptors, the worker and one; 0 for nobody */
static struct map maps[MAPS];
static struct synced synced[SYNCED];
static unsigned synced_count;
static int current = PROCESS_NONE;
static uint64_t random_state;
static void (*lock_wait)(void);

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_reallocarray(void *memory, size_t count, size_t size);
void __real_free(void *memory);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t n);
void *__real_aligned_alloc(size_t alignment, size_t size);
int __real_open(const char *path, int flags, mode_t mode);
int __real_openat(int directory, const char *path, int flags, mode_t mode);
int __real_close(int fd);
int __real_fcntl(int fd, int command, void *argument);
void *__real_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t size);
int __real_msync(void *at, size_t size, int flags);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_reallocarray(void *memory, size_t count, size_t size);
void __wrap_free(void *memory);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t n);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __wrap_open(const char *path, int flags, ...);
int __wrap_openat(int directory, const char *path, int flags, ...);
int __wrap_close(int fd);
int __wrap_fcntl(int fd, int command, ...);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *at, size_t size);
int __wrap_msync(void *at, size_t size, int flags);
ssize_t __wrap_getrandom(void *to, size_t size, unsigned flags);

void process_be(int worker)
{
	current = worker;
}

void process_watch(void (*wait)(void))
{
	lock_wait = wait;
}

/* ---- memory --------------------------------------------------------------------------------- */

/* Of a worker alone: the test's own does not. */
static bool fails(void)
{
	return current != PROCESS_NONE && fail_memory_now();
}

static size_t home_of(const void *memory)
{
	return (size_t)((uintptr_t)memory / 16 * UINT64_C(0x9e3779b97f4a7c15) >> 20) &
	       (slot_room - 1);
}

static void slot_put(void *memory, int worker)
{
	size_t i = home_of(memory);

	while (slots[i].memory != NULL)
		i = (i + 1) & (slot_room - 1);
	slots[i] = (struct slot){memory, worker};
	slot_count++;
}

static void grow(void)
{
	struct slot *old = slots;
	size_t room = slot_room;

	slot_room = room == 0 ? SLOTS_FIRST : 2 * room;
	slots = sure_memory(NULL, slot_room, sizeof(*slots));
	slot_count = 0;
	for (size_t i = 0; i < room; i++)
		if (old[i].memory != NULL)
			slot_put(old[i].memory, old[i].worker);
	__real_free(old);
}

static void *own(void *memory)
{
	if (memory == NULL || current == PROCESS_NONE)
		return memory;
	if (2 * (slot_count + 1) > slot_room)
		grow();
	slot_put(memory, current);
	return memory;
}

/* Take it out, and move those up that it kept from their places. */
static void disown(const void *memory)
{
	size_t mask = slot_room - 1, i, j;

	if (memory == NULL || slot_room == 0)
		return;
	i = home_of(memory);
	while (slots[i].memory != memory) {
		if (slots[i].memory == NULL)
			return;
		i = (i + 1) & mask;
	}
	for (j = (i + 1) & mask; slots[j].memory != NULL; j = (j + 1) & mask) {
		size_t home = home_of(slots[j].memory);

		if (((j - home) & mask) >= ((j - i) & mask)) {
			slots[i] = slots[j];
			i = j;
		}
	}
	slots[i].memory = NULL;
	slot_count--;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : own(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : own(__real_calloc(count, size));
}

void *__wrap_realloc(void *memory, size_t size)
{
	void *moved;

	if (fails())
		return NULL;
	disown(memory);
	moved = __real_realloc(memory, size);
	if (moved == NULL)
		abort();
	return own(moved);
}

void *__wrap_reallocarray(void *memory, size_t count, size_t size)
{
	void *moved;

	if (!sure_memory_asks && fails())
		return NULL;
	disown(memory);
	moved = __real_reallocarray(memory, count, size);
	if (moved == NULL)
		abort();
	return sure_memory_asks ? moved : own(moved);
}

void __wrap_free(void *memory)
{
	disown(memory);
	__real_free(memory);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : own(__real_strdup(text));
}

char *__wrap_strndup(const char *text, size_t n)
{
	return fails() ? NULL : own(__real_strndup(text, n));
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return fails() ? NULL : own(__real_aligned_alloc(alignment, size));
}

/* ---- descriptors ---------------------------------------------------------------------------- */

static int own_fd(int fd)
{
	assert(fd < DESCRIPTORS);
	if (fd >= 0)
		owners[fd] = current + 1;
	return fd;
}

int __wrap_open(const char *path, int flags, ...)
{
	va_list more;
	mode_t mode = 0;

	va_start(more, flags);
	if (flags & O_CREAT)
		mode = (mode_t)va_arg(more, int);
	va_end(more);
	return own_fd(__real_open(path, flags, mode));
}

int __wrap_openat(int directory, const char *path, int flags, ...)
{
	va_list more;
	mode_t mode = 0;

	va_start(more, flags);
	if (flags & O_CREAT)
		mode = (mode_t)va_arg(more, int);
	va_end(more);
	return own_fd(__real_openat(directory, path, flags, mode));
}

int __wrap_close(int fd)
{
	if (fd >= 0 && fd < DESCRIPTORS)
		owners[fd] = 0;
	return __real_close(fd);
}

/* Who holds a lock that is waited for is in this program, too. */
int __wrap_fcntl(int fd, int command, ...)
{
	va_list more;
	void *argument;
	int result;

	va_start(more, command);
	argument = va_arg(more, void *);
	va_end(more);
	if (command == F_DUPFD_CLOEXEC || command == F_DUPFD)
		return own_fd(__real_fcntl(fd, command, argument));
	if (command != F_OFD_SETLKW || lock_wait == NULL)
		return __real_fcntl(fd, command, argument);
	while ((result = __real_fcntl(fd, F_OFD_SETLK, argument)) != 0 &&
	       (errno == EAGAIN || errno == EACCES))
		lock_wait();
	return result;
}

/* ---- maps ----------------------------------------------------------------------------------- */

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
	void *map = __real_mmap(at, size, protection, flags, fd, offset);
	struct stat st;
	unsigned i = 0;

	if (map == MAP_FAILED || fd < 0 || fstat(fd, &st) != 0)
		return map;
	while (i < MAPS && maps[i].at != NULL)
		i++;
	assert(i < MAPS);
	maps[i] = (struct map){map, size, st.st_ino, current};
	return map;
}

int __wrap_munmap(void *at, size_t size)
{
	for (unsigned i = 0; i < MAPS; i++)
		if (maps[i].at == at)
			maps[i].at = NULL;
	return __real_munmap(at, size);
}

static struct synced *synced_of(ino_t inode, bool make)
{
	for (unsigned i = 0; i < synced_count; i++)
		if (synced[i].inode == inode)
			return &synced[i];
	if (!make)
		return NULL;
	assert(synced_count < SYNCED);
	synced[synced_count] = (struct synced){.inode = inode};
	return &synced[synced_count++];
}

int __wrap_msync(void *at, size_t size, int flags)
{
	for (unsigned i = 0; i < MAPS; i++) {
		struct synced *file;

		if (maps[i].at != at)
			continue;
		file = synced_of(maps[i].inode, true);
		file->bytes = sure_memory(file->bytes, size, 1);
		file->size = size;
		memcpy(file->bytes, at, size);
	}
	return __real_msync(at, size, flags);
}

void process_lose(const char *path)
{
	int fd = __real_open(path, O_RDWR | O_CLOEXEC, 0);
	const struct synced *file;
	struct stat st;

	if (fd < 0)
		return;
	if (fstat(fd, &st) != 0)
		abort();
	for (unsigned i = 0; i < MAPS; i++)
		assert(maps[i].at == NULL || maps[i].inode != st.st_ino);
	file = synced_of(st.st_ino, false);
	if (ftruncate(fd, 0) != 0 || ftruncate(fd, st.st_size) != 0 ||
	    (file != NULL && pwrite(fd, file->bytes, file->size, 0) != (ssize_t)file->size))
		abort();
	__real_close(fd);
}

/* ---- lives ---------------------------------------------------------------------------------- */

ssize_t __wrap_getrandom(void *to, size_t size, unsigned flags)
{
	unsigned char *bytes = to;

	(void)flags;
	for (size_t i = 0; i < size; i++) {
		random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
		bytes[i] = (unsigned char)(random_state >> 56);
	}
	return (ssize_t)size;
}

/* Descriptors in ascending order, as the kernel closes them. */
void process_die(int worker)
{
	for (int fd = 0; fd < DESCRIPTORS; fd++)
		if (owners[fd] == worker + 1)
			__wrap_close(fd);
	for (unsigned i = 0; i < MAPS; i++)
		if (maps[i].at != NULL && maps[i].worker == worker)
			__wrap_munmap(maps[i].at, maps[i].size);
	for (size_t i = 0; i < slot_room; i++)
		while (slots[i].memory != NULL && slots[i].worker == worker)
			__wrap_free(slots[i].memory); /* another may move up to this place */
	/* those that moved over the end of the table */
	for (size_t i = 0; i < slot_room; i++)
		assert(slots[i].memory == NULL || slots[i].worker != worker);
}

void process_reset(void)
{
	for (unsigned i = 0; i < synced_count; i++)
		__real_free(synced[i].bytes);
	synced_count = 0;
	random_state = 1;
	current = PROCESS_NONE;
	fail_memory_never();
}
