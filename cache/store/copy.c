/* Copies of the store, for after a power failure: making one, and taking it. */
#include "cache/store/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/base/diagnostic.h"
#include "cache/store/impl.h"

#define COPY_NAME STORE_DATA_NAME ".copy"
#define UNFINISHED_NAME COPY_NAME ".new"
#define COPY_MAGIC UINT64_C(0x79706f6334303263)

enum {
	COPY_VERSION = 1,
	CHUNK = 1 << 20,
	/* How much the clocks of two processes may differ when they store at the same time. */
	CLOCK_SLACK_MS = 1000,
};

static uint64_t page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* ---- the end of a copy ---------------------------------------------------------------------- */

static int copy_open(const struct store_files *files)
{
	return openat(files->directory, COPY_NAME, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
}

/* False with errno, 0 when that is not the cause. */
static bool end_read(int fd, struct store_copy_end *ret_end)
{
	struct store_look look;
	off_t at;

	errno = 0;
	if (!store_files_look(fd, &look) || look.size < sizeof(*ret_end))
		return false;
	at = (off_t)(look.size - sizeof(*ret_end));
	return pread(fd, ret_end, sizeof(*ret_end), at) == (ssize_t)sizeof(*ret_end) &&
	       ret_end->magic == COPY_MAGIC && ret_end->version == COPY_VERSION &&
	       ret_end->size == (uint64_t)at && ret_end->clock.latest_ms > INT64_MIN / 2 &&
	       ret_end->clock.latest_ms < INT64_MAX / 2;
}

/* ---- making one ----------------------------------------------------------------------------- */

struct copying {
	const struct store_options *options;
	struct diagnostic *notice;
	struct store_files files;
	struct store_copy_end end;
	struct shared_map note_map;
	struct store_note *note;
	int to;       /* the file that is being made */
	char *buffer; /* CHUNK */
};

static bool failed(const struct copying *copying, const char *what)
{
	diagnostic_add(copying->notice, "%s/" COPY_NAME ": %s: %s", copying->options->directory,
		       what, strerror(errno));
	return false;
}

/* Determine what will be copied, and whether there is such a copy already. */
static bool is_needed(struct copying *copying, uint64_t *ret_size)
{
	struct store_copy_end last;
	struct store_look look;
	struct store_check check = {0};
	int data = openat(copying->files.directory, STORE_DATA_NAME, O_RDONLY | O_CLOEXEC);
	int copy = copy_open(&copying->files);
	bool known = data >= 0 && store_files_look(data, &look), needed = known;

	/*
	 * The check may fail because the file is being written to at this moment: then a copy is
	 * needed.
	 */
	if (known && store_check_head(data, &check) && copy >= 0 && end_read(copy, &last))
		needed = last.inode != look.inode || last.transaction != check.transaction;
	copying->end.inode = known ? look.inode : 0;
	*ret_size = check.pages * page_size();
	if (data >= 0)
		close(data);
	if (copy >= 0)
		close(copy);
	return needed;
}

/*
 * Bypass the page cache where possible: dirty pages count against all processes, so that the writes
 * of workers could have to wait for the disk.
 */
static bool file_begin(struct copying *copying, uint64_t size)
{
	int directory = copying->files.directory, flags;

	copying->to = openat(directory, UNFINISHED_NAME,
			     O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (copying->to < 0)
		return failed(copying, "cannot be made");
	if (fallocate(copying->to, 0, 0, (off_t)(size + sizeof(copying->end))) != 0 &&
	    (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
		return failed(copying, "no room on disk");
	flags = fcntl(copying->to, F_GETFL);
	if (flags >= 0)
		(void)fcntl(copying->to, F_SETFL, flags | O_DIRECT);
	return true;
}

static void use_page_cache(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		(void)fcntl(fd, F_SETFL, flags & ~O_DIRECT);
}

/* Some file systems accept the flag, but then fail every write. */
static bool write_all(int fd, const char *from, size_t size, uint64_t at)
{
	bool again = true;

	while (size > 0) {
		ssize_t n = pwrite(fd, from, size, (off_t)at);

		if (n < 0 && errno == EINVAL && again) {
			use_page_cache(fd);
			again = false;
		} else if (n < 0 && errno != EINTR) {
			return false;
		} else if (n > 0) {
			from += n;
			at += (uint64_t)n;
			size -= (size_t)n;
		}
	}
	return true;
}

/* As much as there is, up to `size`; less only at the end.  Negative when that fails. */
static ssize_t read_all(int fd, char *to, size_t size)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n = read(fd, to + got, size - got);

		if (n < 0 && errno != EINTR)
			return -1;
		if (n == 0)
			break;
		if (n > 0)
			got += (size_t)n;
	}
	return (ssize_t)got;
}

/* Writers signal when they need the pages that this copy keeps. */
static bool gives_way(const struct copying *copying)
{
	if (!atomic_load_explicit(&copying->note->give_way, memory_order_relaxed))
		return false;
	diagnostic_add(copying->notice,
		       "%s/" COPY_NAME ": given up, too many removals wait for room",
		       copying->options->directory);
	return true;
}

static bool pump(struct copying *copying, int from)
{
	ssize_t n;

	while ((n = read_all(from, copying->buffer, CHUNK)) > 0) {
		if (!write_all(copying->to, copying->buffer, (size_t)n, copying->end.size))
			return failed(copying, "cannot be written");
		copying->end.size += (uint64_t)n;
		if (gives_way(copying))
			return false;
	}
	return n == 0 || failed(copying, "the store cannot be read");
}

static bool map_open(struct copying *copying, struct shared_map *map,
		     const struct shared_map_spec *spec, const char *what)
{
	enum shared_map_result result = shared_map_open(map, copying->files.directory, spec, false);

	if (result == SHARED_MAP_KEPT)
		return true;
	diagnostic_add(copying->notice, "%s/" COPY_NAME ": %s cannot be read: %s",
		       copying->options->directory, what,
		       result == SHARED_MAP_WRONG ? "it is damaged or of another version"
						  : strerror(errno));
	return false;
}

/* Read after the copy, so that no record in it was received later. */
static bool clock_note(struct copying *copying)
{
	struct shared_map map;

	if (!map_open(copying, &map, &store_clock_spec, "the clock of the store"))
		return false;
	memcpy(&copying->end.clock, map.data, sizeof(copying->end.clock));
	shared_map_close(&map);
	return true;
}

/* Write the end after the pages, sync the file, and give it its name. */
static bool file_end(struct copying *copying)
{
	struct store_copy_end *end = &copying->end;
	int directory = copying->files.directory;
	struct store_check check;

	use_page_cache(copying->to);
	if (!store_check_head(copying->to, &check) || check.pages * page_size() != end->size) {
		errno = EIO;
		return failed(copying, check.why != NULL ? check.why : "it is not whole");
	}
	end->transaction = check.transaction;
	if (!clock_note(copying))
		return false;
	if (!write_all(copying->to, (const char *)end, sizeof(*end), end->size) ||
	    ftruncate(copying->to, (off_t)(end->size + sizeof(*end))) != 0 ||
	    fsync(copying->to) != 0 ||
	    renameat(directory, UNFINISHED_NAME, directory, COPY_NAME) != 0 ||
	    fsync(directory) != 0)
		return failed(copying, "cannot be written");
	(void)posix_fadvise(copying->to, 0, 0, POSIX_FADV_DONTNEED);
	return true;
}

/*
 * Tell writers that pages are kept, before the reader that keeps them is in LMDB's table: so this
 * store must not be reordered after that.
 */
static bool reading_begin(struct copying *copying)
{
	if (!map_open(copying, &copying->note_map, &store_note_spec, "the store's note"))
		return false;
	copying->note = copying->note_map.data;
	atomic_store_explicit(&copying->note->give_way, 0, memory_order_relaxed);
	atomic_store_explicit(&copying->note->copying, 1, memory_order_seq_cst);
	return true;
}

static void reading_end(struct copying *copying)
{
	atomic_store_explicit(&copying->note->copying, 0, memory_order_relaxed);
	shared_map_close(&copying->note_map);
}

static bool copy_make(struct copying *copying, uint64_t size)
{
	const struct store_options *options = copying->options;
	struct diagnostic error = {""};
	struct tables_copy *copy;
	bool done, read_well;
	int from;

	if (!file_begin(copying, size) || !reading_begin(copying))
		return false;
	copy = tables_copy_begin(options->directory, options->size, &from, &error);
	store_files_leave(&copying->files);
	done = copy != NULL && pump(copying, from);
	read_well = copy != NULL && tables_copy_end(copy, &error);
	reading_end(copying);
	/* After giving up here, a failure of the other end means nothing. */
	if (copy == NULL || (done && !read_well))
		diagnostic_add(copying->notice, "%s/" COPY_NAME ": %s", options->directory,
			       error.text);
	return done && read_well && file_end(copying);
}

enum store_result store_copy(const struct store_options *options, int64_t wall_s,
			     struct diagnostic *notice)
{
	struct copying copying = {.options = options,
				  .notice = notice,
				  .end = {.magic = COPY_MAGIC,
					  .version = COPY_VERSION,
					  .layout = STORE_VALUE_LAYOUT,
					  .format = options->format,
					  .wall_s = wall_s},
				  .files = STORE_FILES_NONE,
				  .to = -1,
				  .buffer = aligned_alloc(page_size(), CHUNK)};
	enum store_result result = STORE_FAILED;
	uint64_t size;

	diagnostic_clear(notice);
	if (copying.buffer == NULL)
		diagnostic_add(notice, "no memory for a copy of the store");
	else if (store_files_open(&copying.files, options->directory, false, notice)) {
		/* Without another process there is no one who has checked the file. */
		if (copying.files.first || !is_needed(&copying, &size))
			result = STORE_NOT_FOUND;
		else if (copy_make(&copying, size))
			result = STORE_OK;
		if (result == STORE_FAILED)
			store_copy_sweep(&copying.files);
	}
	if (copying.to >= 0)
		close(copying.to);
	store_files_close(&copying.files);
	free(copying.buffer);
	return result;
}

/* ---- taking it ------------------------------------------------------------------------------ */

const char *store_copy_fault(const struct store_files *files,
			     const struct store_copy_wanted *wanted, struct store_copy_end *ret_end,
			     int *ret_error)
{
	int fd = copy_open(files);
	struct store_check check = {0};

	*ret_error = fd < 0 && errno != ENOENT ? errno : 0;
	if (fd < 0)
		return "";
	if (!end_read(fd, ret_end))
		check = (struct store_check){.why = "it is not whole", .error = errno};
	else if (ret_end->layout != wanted->layout || ret_end->format != wanted->format)
		check.why = "it is of another version";
	else if (ret_end->size > wanted->size_max)
		check.why = "it is larger than it may be";
	else if (store_check_tree(fd, &check) && check.pages * page_size() != ret_end->size)
		check.why = "it is not whole";
	close(fd);
	*ret_error = check.error;
	return check.why;
}

bool store_copy_take(const struct store_files *files, const struct store_copy_end *end,
		     const struct shared_map *clock_map)
{
	struct store_clock *clock = clock_map->data;
	int64_t purged_ms =
		clock->purged_ms > end->clock.purged_ms ? clock->purged_ms : end->clock.purged_ms;

	/* After a power failure the clock may be older than what is in the copy. */
	if (clock->latest_ms < end->clock.latest_ms)
		*clock = end->clock;
	clock->purged_ms = purged_ms;
	clock->removed_ms = end->clock.removed_ms; /* what was purged since is still in the copy */
	clock->restored_ms = end->clock.latest_ms + CLOCK_SLACK_MS;
	if (clock->latest_ms <= clock->restored_ms)
		clock->latest_ms = clock->restored_ms + 1;
	/*
	 * on disk before the copy has its new name: after a power failure between the two it would
	 * pass for a file that nothing was lost of
	 */
	return shared_map_sync(clock_map) && store_files_put(files, COPY_NAME);
}

static void remove_name(const struct store_files *files, const char *name)
{
	(void)unlinkat(files->directory, name, 0);
}

void store_copy_sweep(const struct store_files *files)
{
	remove_name(files, UNFINISHED_NAME);
}

void store_copy_remove(const struct store_files *files)
{
	remove_name(files, COPY_NAME);
}

void store_copy_clean(const char *directory)
{
	struct store_files files = STORE_FILES_NONE;
	struct shared_map map = {0};

	files.directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (files.directory >= 0) {
		store_copy_sweep(&files);
		if (shared_map_open(&map, files.directory, &store_note_spec, false) ==
		    SHARED_MAP_KEPT)
			atomic_store_explicit(&((struct store_note *)map.data)->copying, 0,
					      memory_order_relaxed);
		shared_map_close(&map);
	}
	store_files_close(&files);
}
