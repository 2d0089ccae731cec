/* The store's directory: locks, the mark of how it was left, files set aside, room on disk. */
#include "cache/store/files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cache/base/decimal.h"
#include "cache/store/file_system.h"
#include "cache/store/passing.h"

enum store_lock_byte {
	LOCK_SERVICE,
	LOCK_OPENING,
	LOCK_USERS,
	LOCK_WRITING,
};

enum {
	STATE_VERSION = 1,
	PATH_SIZE = 4096 + 64,
	STATE_SIZE_MAX = 256,
	BOOT_ID_SIZE = 40,
	RESERVE_UNIT = 1 << 20, /* what a shrunk store's size is a multiple of */
};

#define STATE_NAME "cache204-store"

struct store_state {
	char boot[BOOT_ID_SIZE];
	bool clean;
	struct store_look look; /* of the data file, when clean */
};

static int lock_set(int fd, enum store_lock_byte byte, short type, bool wait)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
	int result;

	do
		result = fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock);
	while (result != 0 && errno == EINTR);
	return result;
}

/* The directory and its missing parents. */
static int directory_open(const char *path)
{
	char part[4096];
	size_t n = strlen(path);
	int fd, why = 0;

	if (n == 0 || n >= sizeof(part)) {
		errno = n == 0 ? ENOENT : ENAMETOOLONG;
		return -1;
	}
	for (size_t i = 1; i <= n; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		/*
		 * An existing directory may be reported in several ways: whether it is usable is
		 * checked below.
		 */
		if (mkdir(part, 0700) != 0 && errno != EEXIST && errno != EISDIR && why == 0)
			why = errno;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* "no such file" would be the consequence: why it could not be made is the cause */
	if (fd < 0 && errno == ENOENT && why != 0)
		errno = why;
	return fd;
}

static int lock_open(int directory)
{
	return openat(directory, "lock", O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0600);
}

static bool lock_failed(const char *path, struct diagnostic *notice)
{
	diagnostic_add(notice, "%s: cannot be locked: %s", path, strerror(errno));
	return false;
}

/* By another process, or did the call fail? */
static bool is_held(int error)
{
	return error == EAGAIN || error == EACCES;
}

static bool lock_service(int lock, const char *path, struct diagnostic *notice)
{
	if (lock_set(lock, LOCK_SERVICE, F_WRLCK, false) == 0)
		return true;
	if (!is_held(errno))
		return lock_failed(path, notice);
	diagnostic_add(notice,
		       "%s: another service uses this store: give this one a store of its own",
		       path);
	return false;
}

static bool files_open_both(struct store_files *files, const char *path, struct diagnostic *notice)
{
	struct diagnostic why;

	*files = (struct store_files)STORE_FILES_NONE;
	files->directory = directory_open(path);
	if (files->directory >= 0 &&
	    file_system_check(files->directory, path, &why) == FILE_SYSTEM_NETWORK) {
		diagnostic_add(notice, "%s", why.text);
		return false;
	}
	if (files->directory >= 0)
		files->lock = lock_open(files->directory);
	if (files->lock >= 0)
		return true;
	diagnostic_add(notice, "store: %s: cannot be made or written by this user: %s", path,
		       strerror(errno));
	return false;
}

int store_files_lock(const char *path, struct diagnostic *notice)
{
	struct store_files files;
	int lock = -1;

	/* Use a number above the standard streams, even if these were closed. */
	if (files_open_both(&files, path, notice) && lock_service(files.lock, path, notice)) {
		lock = fcntl(files.lock, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
		if (lock < 0)
			lock_failed(path, notice);
	}
	store_files_close(&files);
	return lock;
}

bool store_files_open(struct store_files *files, const char *path, bool exclusive,
		      struct diagnostic *notice)
{
	if (!files_open_both(files, path, notice))
		return false;
	if (exclusive && !lock_service(files->lock, path, notice))
		return false;
	if (lock_set(files->lock, LOCK_OPENING, F_WRLCK, true) != 0)
		return lock_failed(path, notice);
	files->first = lock_set(files->lock, LOCK_USERS, F_WRLCK, false) == 0;
	if (!files->first && !is_held(errno))
		return lock_failed(path, notice);
	return true;
}

bool store_files_opened(struct store_files *files)
{
	return lock_set(files->lock, LOCK_USERS, F_RDLCK, true) == 0 &&
	       lock_set(files->lock, LOCK_OPENING, F_UNLCK, false) == 0;
}

void store_files_leave(struct store_files *files)
{
	close(files->lock);
	files->lock = -1;
}

void store_files_closing(struct store_files *files)
{
	files->first = lock_set(files->lock, LOCK_OPENING, F_WRLCK, true) == 0 &&
		       lock_set(files->lock, LOCK_USERS, F_WRLCK, false) == 0;
}

bool store_files_writing(const struct store_files *files)
{
	return lock_set(files->lock, LOCK_WRITING, F_WRLCK, true) == 0;
}

void store_files_written(const struct store_files *files)
{
	lock_set(files->lock, LOCK_WRITING, F_UNLCK, false);
}

void store_files_close(struct store_files *files)
{
	if (files->data >= 0)
		close(files->data);
	if (files->lock >= 0)
		close(files->lock);
	if (files->directory >= 0)
		close(files->directory);
	*files = (struct store_files)STORE_FILES_NONE;
}

/* ---- what a path names ---------------------------------------------------------------------- */

static const char *const place_names[STORE_PLACE_FILES] = {
	"lock", STORE_DATA_NAME, "lock.mdb", "visited", "clock", "noted", "invalidations",
};

static struct store_place_file place_of(const struct stat *st)
{
	return (struct store_place_file){st->st_dev, st->st_ino};
}

static bool place_file_eq(const struct store_place_file *a, const struct store_place_file *b)
{
	return a->device == b->device && a->inode == b->inode;
}

bool store_files_place(const struct store_files *files, struct store_place *ret_place)
{
	struct stat st;

	*ret_place = (struct store_place){0};
	for (size_t i = 0; i < STORE_PLACE_FILES; i++) {
		if (fstatat(files->directory, place_names[i], &st, 0) != 0)
			return false;
		ret_place->files[i] = place_of(&st);
	}
	return true;
}

/* These errors show that the file is missing or another one; others say nothing about it. */
static bool names_file(const char *directory, const char *name, const struct store_place_file *file)
{
	struct store_place_file found;
	char path[PATH_SIZE];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	if (stat(path, &st) != 0)
		return errno != ENOENT && errno != ENOTDIR && errno != ELOOP;
	found = place_of(&st);
	return place_file_eq(&found, file);
}

bool store_files_in_place(const char *directory, const struct store_place *place)
{
	for (size_t i = 0; i < STORE_PLACE_FILES; i++)
		if (!names_file(directory, place_names[i], &place->files[i]))
			return false;
	return true;
}

static bool place_of_fd(int fd, struct store_place_file *ret_file)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return false;
	*ret_file = place_of(&st);
	return true;
}

bool store_files_lock_in_place(const char *directory, int lock)
{
	struct store_place_file file;

	return place_of_fd(lock, &file) && names_file(directory, "lock", &file);
}

bool store_files_have_lock(const struct store_files *files, int lock)
{
	struct store_place_file file, own;

	return place_of_fd(lock, &file) && place_of_fd(files->lock, &own) &&
	       place_file_eq(&file, &own);
}

bool store_files_is_cached(const struct store_files *files, const char *name)
{
	int fd = openat(files->directory, name, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	void *page = fd < 0 ? MAP_FAILED : mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);
	unsigned char resident = 0;
	bool cached = page != MAP_FAILED && mincore(page, 1, &resident) == 0 && resident & 1;

	if (page != MAP_FAILED)
		munmap(page, 1);
	if (fd >= 0)
		close(fd);
	return cached;
}

static int data_open(const struct store_files *files)
{
	return openat(files->directory, STORE_DATA_NAME, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

bool store_files_data_in_use(const struct store_files *files)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	int fd = data_open(files);
	bool used;

	if (fd < 0)
		return false;
	used = fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
	close(fd);
	return used;
}

/*
 * The kernel closes the descriptors of a dead process in ascending order.  When `lock` is free the
 * data file must be free, too, so that must be the lower descriptor.
 */
bool store_files_use_data(struct store_files *files)
{
	int lock;

	files->data = data_open(files);
	if (files->data < 0 || lock_set(files->data, 0, F_RDLCK, false) != 0)
		return false;
	lock = fcntl(files->lock, F_DUPFD_CLOEXEC, files->data + 1);
	if (lock < 0)
		return false;
	close(files->lock);
	files->lock = lock;
	return true;
}

/* A short text of a file, which is closed; negative with errno. */
static ssize_t text_read(int fd, char *to, size_t size)
{
	ssize_t n = fd < 0 ? -1 : read(fd, to, size - 1);
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	to[n > 0 ? n : 0] = '\0';
	return n;
}

/*
 * "-" when the system has none: then a store that was not closed is never kept.  False with errno when that is
 * not known now.
 */
static bool boot_id(char *to)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	bool known = text_read(fd, to, BOOT_ID_SIZE) >= 0 || !store_error_passes(errno);

	to[strcspn(to, " \n")] = '\0';
	if (to[0] == '\0')
		strcpy(to, "-");
	return known;
}

/* The words of the line; the last one shows that it is complete. */
enum state_word {
	WORD_NAME,
	WORD_VERSION,
	WORD_BOOT = 3,
	WORD_CLEAN = 5,
	WORD_INODE = 7,
	WORD_SIZE,
	WORD_CHANGED,
	WORD_END,
	STATE_WORDS,
};

static bool number_of(const char *word, uint64_t *ret_number)
{
	return decimal_read(slice_str(word), UINT64_MAX, ret_number);
}

static bool state_parse(char *text, struct store_state *ret_state)
{
	char *words[STATE_WORDS] = {NULL};
	uint64_t version, clean, changed;
	size_t count = 0;

	text[strcspn(text, "\n")] = '\0';
	while (text != NULL && count < STATE_WORDS)
		words[count++] = strsep(&text, " ");
	if (text != NULL || count != STATE_WORDS || strcmp(words[WORD_NAME], STATE_NAME) != 0 ||
	    strcmp(words[WORD_END], ".") != 0 || strlen(words[WORD_BOOT]) >= BOOT_ID_SIZE ||
	    !number_of(words[WORD_VERSION], &version) || version != STATE_VERSION ||
	    !number_of(words[WORD_CLEAN], &clean) || clean > 1 ||
	    !number_of(words[WORD_INODE], &ret_state->look.inode) ||
	    !number_of(words[WORD_SIZE], &ret_state->look.size) ||
	    !number_of(words[WORD_CHANGED], &changed))
		return false;
	strcpy(ret_state->boot, words[WORD_BOOT]);
	ret_state->clean = clean == 1;
	ret_state->look.changed_ns = (int64_t)changed;
	return true;
}

static bool look_of(const struct stat *st, struct store_look *ret_look)
{
	ret_look->inode = st->st_ino;
	ret_look->size = (uint64_t)st->st_size;
	ret_look->changed_ns = (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec;
	return S_ISREG(st->st_mode);
}

bool store_files_look(int fd, struct store_look *ret_look)
{
	struct stat st;

	return fstat(fd, &st) == 0 && look_of(&st, ret_look);
}

bool store_look_eq(const struct store_look *a, const struct store_look *b)
{
	return a->inode == b->inode && a->size == b->size && a->changed_ns == b->changed_ns;
}

static enum store_left left_unknown(int error)
{
	return store_error_passes(error) ? STORE_LEFT_UNREAD : STORE_LEFT_UNKNOWN;
}

enum store_left store_files_left(const struct store_files *files)
{
	struct store_state was, now;
	char text[STATE_SIZE_MAX];
	struct stat st;
	int fd;

	if (fstatat(files->directory, STORE_DATA_NAME, &st, 0) != 0)
		return errno == ENOENT ? STORE_LEFT_NOTHING : left_unknown(errno);
	fd = openat(files->directory, "state", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (text_read(fd, text, sizeof(text)) < 0)
		return left_unknown(errno);
	if (!state_parse(text, &was) || !look_of(&st, &now.look))
		return STORE_LEFT_UNKNOWN;
	if (was.clean)
		return store_look_eq(&was.look, &now.look) ? STORE_LEFT_CLEAN : STORE_LEFT_TOUCHED;
	if (!boot_id(now.boot))
		return STORE_LEFT_UNREAD;
	if (strcmp(now.boot, "-") == 0 || strcmp(now.boot, was.boot) != 0)
		return STORE_LEFT_REBOOTED;
	return STORE_LEFT_RUNNING;
}

/*
 * Overwritten in place: a write cut short by a power failure leaves a line that does not parse, and
 * a store without a valid state is not trusted.
 */
bool store_files_mark(const struct store_files *files, int clean_fd)
{
	struct store_state state = {.clean = clean_fd >= 0};
	char text[STATE_SIZE_MAX];
	bool done;
	int fd, n;

	if (clean_fd >= 0 && !store_files_look(clean_fd, &state.look))
		return false;
	if (!boot_id(state.boot) && !state.clean)
		return false;
	n = snprintf(text, sizeof(text),
		     STATE_NAME " %d boot %s clean %d data %" PRIu64 " %" PRIu64 " %" PRId64 " .\n",
		     STATE_VERSION, state.boot, state.clean, state.look.inode, state.look.size,
		     state.look.changed_ns);
	fd = openat(files->directory, "state", O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	done = pwrite(fd, text, (size_t)n, 0) == n && ftruncate(fd, n) == 0 && fsync(fd) == 0;
	close(fd);
	return done && fsync(files->directory) == 0;
}

static bool unlink_all(const struct store_files *files, const char *const *names)
{
	for (; *names != NULL; names++)
		if (unlinkat(files->directory, *names, 0) != 0 && errno != ENOENT)
			return false;
	return true;
}

struct aside_name {
	char text[64];
};

static struct aside_name aside_name(const char *kind)
{
	struct aside_name name;

	snprintf(name.text, sizeof(name.text), STORE_DATA_NAME ".%s", kind);
	return name;
}

bool store_files_is_aside(const struct store_files *files, const char *kind)
{
	struct stat st;

	return fstatat(files->directory, aside_name(kind).text, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

bool store_files_set_aside(const struct store_files *files, const char *kind)
{
	static const char *const lock[] = {"lock.mdb", NULL};
	struct aside_name name = aside_name(kind);

	return renameat(files->directory, STORE_DATA_NAME, files->directory, name.text) == 0 &&
	       unlink_all(files, lock);
}

bool store_files_drop(const struct store_files *files)
{
	static const char *const both[] = {STORE_DATA_NAME, "lock.mdb", NULL};

	return unlink_all(files, both);
}

bool store_files_put(const struct store_files *files, const char *name)
{
	static const char *const lock[] = {"lock.mdb", NULL};

	return unlink_all(files, lock) &&
	       renameat(files->directory, name, files->directory, STORE_DATA_NAME) == 0;
}

/* How much the disk still has for this file, in whole units, less one for the other files. */
static uint64_t room_for(int fd)
{
	struct statvfs disk;
	struct stat st;
	uint64_t room;

	if (fstatvfs(fd, &disk) != 0 || fstat(fd, &st) != 0)
		return 0;
	room = (uint64_t)st.st_blocks * 512 + (uint64_t)disk.f_bavail * disk.f_frsize;
	room -= room % RESERVE_UNIT;
	return room > RESERVE_UNIT ? room - RESERVE_UNIT : 0;
}

/*
 * Not posix_fallocate(): without support by the file system it writes to each block, for minutes.
 */
static int reserve(int fd, uint64_t size)
{
	int result;

	if (ftruncate(fd, (off_t)size) != 0)
		return errno;
	do
		result = fallocate(fd, 0, 0, (off_t)size);
	while (result != 0 && errno == EINTR);
	return result == 0 ? 0 : errno;
}

bool store_files_reserve(const struct store_files *files, const char *path, int fd, uint64_t *size,
			 uint64_t least, struct diagnostic *notice)
{
	int error = reserve(fd, *size);

	if (error == ENOSPC && unlinkat(files->directory, STORE_DATA_NAME ".damaged", 0) == 0)
		error = reserve(fd, *size);
	if (error == ENOSPC || error == EDQUOT) {
		uint64_t room = room_for(fd);

		if (room < least || room >= *size)
			room = least;
		diagnostic_add(notice,
			       "store: %s: no room on disk for %" PRIu64 " KiB, using %" PRIu64
			       " KiB: make room, or lower store_size",
			       path, *size / 1024, room / 1024);
		*size = room;
		error = reserve(fd, room);
	}
	if (error == EOPNOTSUPP || error == ENOSYS) {
		diagnostic_add(notice,
			       "store: %s: the file system cannot reserve room: what does not "
			       "fit on disk will not be stored",
			       path);
		return true;
	}
	if (error != 0)
		diagnostic_add(notice, "store: %s: no room on disk: %s", path, strerror(error));
	return error == 0;
}
