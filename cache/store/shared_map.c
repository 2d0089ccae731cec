/* A mapped file shared by processes; its magic, version and size are checked. */
#include "cache/store/shared_map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/store/passing.h"

enum { READ_WHOLE_MAX = 64 << 20 };

/* One cache line, so that the data after it is aligned. */
struct shared_map_head {
	_Alignas(64) uint64_t magic;
	uint64_t size; /* of the data */
	uint32_t version;
};

static bool shared_map_is(const struct shared_map_head *head, const struct shared_map_spec *spec,
			  off_t length)
{
	return head->magic == spec->magic && head->version == spec->version &&
	       (spec->size == 0 || head->size == spec->size) && head->size > 0 &&
	       length >= (off_t)sizeof(*head) && head->size == (uint64_t)length - sizeof(*head);
}

static enum shared_map_result shared_map_take(struct shared_map *map, int fd, size_t size,
					      enum shared_map_result result)
{
	char *base = mmap(NULL, sizeof(struct shared_map_head) + size, PROT_READ | PROT_WRITE,
			  MAP_SHARED, fd, 0);

	if (base == MAP_FAILED)
		return SHARED_MAP_FAILED;
	map->data = base + sizeof(struct shared_map_head);
	map->size = size;
	return result;
}

static enum shared_map_result shared_map_try(struct shared_map *map, int fd,
					     const struct shared_map_spec *spec)
{
	struct shared_map_head head;
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) != 0)
		return SHARED_MAP_FAILED;
	if (!S_ISREG(st.st_mode))
		return SHARED_MAP_WRONG;
	n = pread(fd, &head, sizeof(head), 0);
	if (n < 0)
		return SHARED_MAP_FAILED;
	if (n != (ssize_t)sizeof(head) || !shared_map_is(&head, spec, st.st_size))
		return SHARED_MAP_WRONG;
	/* The file may have come from a copy that left holes. */
	errno = posix_fallocate(fd, 0, st.st_size);
	if (errno != 0)
		return SHARED_MAP_FAILED;
	return shared_map_take(map, fd, head.size, SHARED_MAP_KEPT);
}

/* Create it under another name first, so that a process with the old file mapped keeps it. */
enum shared_map_result shared_map_renew(struct shared_map *map, int directory,
					const struct shared_map_spec *spec)
{
	struct shared_map_head head;
	enum shared_map_result result = SHARED_MAP_FAILED;
	char fresh[64];
	int fd, error;

	/* and what fills it up: the file gets no bytes of the stack */
	memset(&head, 0, sizeof(head));
	head.magic = spec->magic;
	head.size = spec->size;
	head.version = spec->version;
	snprintf(fresh, sizeof(fresh), "%s.new", spec->name);
	fd = openat(directory, fresh, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return SHARED_MAP_FAILED;
	errno = posix_fallocate(fd, 0, (off_t)(sizeof(head) + spec->size));
	if (errno == 0 && pwrite(fd, &head, sizeof(head), 0) == (ssize_t)sizeof(head) &&
	    renameat(directory, fresh, directory, spec->name) == 0)
		result = shared_map_take(map, fd, spec->size, SHARED_MAP_FRESH);
	error = errno;
	if (result == SHARED_MAP_FAILED)
		unlinkat(directory, fresh, 0);
	close(fd);
	errno = error;
	return result;
}

/*
 * A page that the disk fails to read is a SIGBUS later.  True where the kernel cannot say (before 5.14), and
 * of a map that would take long to be read whole: that of a store of more than 128 GiB.
 */
static bool shared_map_is_readable(const struct shared_map *map)
{
	return map->size > READ_WHOLE_MAX ||
	       madvise((char *)map->data - sizeof(struct shared_map_head),
		       sizeof(struct shared_map_head) + map->size, MADV_POPULATE_READ) == 0 ||
	       (errno != EFAULT && errno != EIO);
}

enum shared_map_result shared_map_open(struct shared_map *map, int directory,
				       const struct shared_map_spec *spec, bool renew)
{
	enum shared_map_result result = SHARED_MAP_WRONG;
	int fd = openat(directory, spec->name, O_RDWR | O_NONBLOCK | O_CLOEXEC), error;

	*map = (struct shared_map){0};
	if (fd >= 0) {
		result = shared_map_try(map, fd, spec);
		error = errno;
		close(fd);
		errno = error;
		if (result == SHARED_MAP_KEPT && renew && !shared_map_is_readable(map)) {
			shared_map_close(map);
			errno = EIO;
			return SHARED_MAP_FAILED;
		}
	} else if (errno != ENOENT && (!renew || store_error_passes(errno))) {
		return SHARED_MAP_FAILED;
	}
	return result == SHARED_MAP_WRONG && renew ? shared_map_renew(map, directory, spec)
						   : result;
}

bool shared_map_sync(const struct shared_map *map)
{
	return msync((char *)map->data - sizeof(struct shared_map_head),
		     sizeof(struct shared_map_head) + map->size, MS_SYNC) == 0;
}

void shared_map_close(struct shared_map *map)
{
	if (map->data != NULL)
		munmap((char *)map->data - sizeof(struct shared_map_head),
		       sizeof(struct shared_map_head) + map->size);
	*map = (struct shared_map){0};
}
