/* Calls of the system and of LMDB that fail; see failing_calls.h. */
#include "tests/doubles/failing_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <unistd.h>

/* A copy is read by a thread of its own. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *fail_name;
static unsigned fail_after, fail_left;
static int fail_error;
static bool fail_happened;

void fail_calls(const char *name, unsigned n, unsigned count, int error)
{
	pthread_mutex_lock(&lock);
	fail_name = name;
	fail_after = n;
	fail_left = count;
	fail_error = error;
	fail_happened = false;
	pthread_mutex_unlock(&lock);
}

bool fail_calls_never(void)
{
	bool happened = fail_happened;

	fail_calls(NULL, 0, 0, 0);
	return happened;
}

/* Is the name among those that fail, with bars between them? */
static bool is_named(const char *name)
{
	size_t n = strlen(name);

	for (const char *at = fail_name; at != NULL; at = strchr(at, '|')) {
		at += *at == '|';
		if (strncmp(at, name, n) == 0 && (at[n] == '|' || at[n] == '\0'))
			return true;
	}
	return fail_name == NULL;
}

int fail_calls_now(const char *name)
{
	int error = 0;

	pthread_mutex_lock(&lock);
	if (fail_left > 0 && is_named(name)) {
		if (fail_after > 0) {
			fail_after--;
		} else {
			fail_left--;
			fail_happened = true;
			error = fail_error;
		}
	}
	pthread_mutex_unlock(&lock);
	return error;
}

static bool fails_in_system(const char *name)
{
	int error = fail_calls_now(name);

	if (error != 0)
		errno = error < 0 ? EIO : error;
	return error != 0;
}

/* ---- LMDB: the result is the error ---------------------------------------------------------- */

#define LMDB(name, parameters, arguments)                            \
	int __real_##name parameters;                                \
	int __wrap_##name parameters;                                \
	int __wrap_##name parameters                                 \
	{                                                            \
		int error = fail_calls_now(#name);                   \
		return error != 0 ? error : __real_##name arguments; \
	}

LMDB(mdb_env_create, (MDB_env * *env), (env))
LMDB(mdb_env_set_mapsize, (MDB_env * env, size_t size), (env, size))
LMDB(mdb_env_set_maxdbs, (MDB_env * env, MDB_dbi count), (env, count))
LMDB(mdb_env_set_maxreaders, (MDB_env * env, unsigned count), (env, count))
LMDB(mdb_env_open, (MDB_env * env, const char *path, unsigned flags, mdb_mode_t mode),
     (env, path, flags, mode))
LMDB(mdb_env_stat, (MDB_env * env, MDB_stat *stat), (env, stat))
LMDB(mdb_env_sync, (MDB_env * env, int force), (env, force))
LMDB(mdb_env_get_fd, (MDB_env * env, mdb_filehandle_t *fd), (env, fd))
LMDB(mdb_env_copyfd2, (MDB_env * env, mdb_filehandle_t fd, unsigned flags), (env, fd, flags))
LMDB(mdb_reader_check, (MDB_env * env, int *dead), (env, dead))
LMDB(mdb_txn_begin, (MDB_env * env, MDB_txn *parent, unsigned flags, MDB_txn **txn),
     (env, parent, flags, txn))
LMDB(mdb_txn_renew, (MDB_txn * txn), (txn))
LMDB(mdb_dbi_open, (MDB_txn * txn, const char *name, unsigned flags, MDB_dbi *table),
     (txn, name, flags, table))
LMDB(mdb_stat, (MDB_txn * txn, MDB_dbi table, MDB_stat *stat), (txn, table, stat))
LMDB(mdb_get, (MDB_txn * txn, MDB_dbi table, MDB_val *key, MDB_val *value),
     (txn, table, key, value))
LMDB(mdb_put, (MDB_txn * txn, MDB_dbi table, MDB_val *key, MDB_val *value, unsigned flags),
     (txn, table, key, value, flags))
LMDB(mdb_del, (MDB_txn * txn, MDB_dbi table, MDB_val *key, MDB_val *value),
     (txn, table, key, value))
LMDB(mdb_cursor_open, (MDB_txn * txn, MDB_dbi table, MDB_cursor **cursor), (txn, table, cursor))
LMDB(mdb_cursor_get, (MDB_cursor * cursor, MDB_val *key, MDB_val *value, MDB_cursor_op op),
     (cursor, key, value, op))

int __real_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn)
{
	int error = fail_calls_now("mdb_txn_commit");

	if (error == 0)
		return __real_mdb_txn_commit(txn);
	mdb_txn_abort(txn); /* as LMDB does */
	return error;
}

/* ---- the system: errno, and a result that says so ------------------------------------------- */

#define SYSTEM(type, failed, name, parameters, arguments)                           \
	type __real_##name parameters;                                              \
	type __wrap_##name parameters;                                              \
	type __wrap_##name parameters                                               \
	{                                                                           \
		return fails_in_system(#name) ? (failed) : __real_##name arguments; \
	}

SYSTEM(void *, NULL, calloc, (size_t count, size_t size), (count, size))
SYSTEM(void *, NULL, aligned_alloc, (size_t alignment, size_t size), (alignment, size))
SYSTEM(int, -1, fallocate, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size))
SYSTEM(int, errno, posix_fallocate, (int fd, off_t at, off_t size), (fd, at, size))
SYSTEM(int, -1, fstat, (int fd, struct stat *st), (fd, st))
SYSTEM(int, -1, fstatat, (int at, const char *name, struct stat *st, int flags),
       (at, name, st, flags))
SYSTEM(int, -1, fstatvfs, (int fd, struct statvfs *disk), (fd, disk))
SYSTEM(int, -1, fsync, (int fd), (fd))
SYSTEM(int, -1, ftruncate, (int fd, off_t size), (fd, size))
SYSTEM(int, -1, getrlimit, (__rlimit_resource_t of, struct rlimit *limit), (of, limit))
SYSTEM(ssize_t, -1, getrandom, (void *to, size_t size, unsigned flags), (to, size, flags))
SYSTEM(int, -1, mincore, (void *at, size_t size, unsigned char *resident), (at, size, resident))
SYSTEM(int, -1, mkdir, (const char *path, mode_t mode), (path, mode))
SYSTEM(void *, MAP_FAILED, mmap, (void *at, size_t size, int how, int flags, int fd, off_t from),
       (at, size, how, flags, fd, from))
SYSTEM(int, -1, msync, (void *at, size_t size, int flags), (at, size, flags))
SYSTEM(int, -1, pipe2, (int ends[2], int flags), (ends, flags))
SYSTEM(ssize_t, -1, pread, (int fd, void *to, size_t size, off_t at), (fd, to, size, at))
SYSTEM(int, errno, pthread_create,
       (pthread_t * thread, const pthread_attr_t *how, void *(*run)(void *), void *argument),
       (thread, how, run, argument))
SYSTEM(void *, NULL, reallocarray, (void *memory, size_t count, size_t size), (memory, count, size))
SYSTEM(int, -1, renameat, (int from, const char *name, int to, const char *as),
       (from, name, to, as))
SYSTEM(int, -1, stat, (const char *path, struct stat *st), (path, st))
SYSTEM(int, -1, unlinkat, (int at, const char *name, int flags), (at, name, flags))

/* ---- the same of sockets and of their files ------------------------------------------------- */

SYSTEM(int, -1, bind, (int fd, const struct sockaddr *at, socklen_t size), (fd, at, size))
SYSTEM(int, -1, chmod, (const char *path, mode_t mode), (path, mode))
SYSTEM(int, -1, connect, (int fd, const struct sockaddr *to, socklen_t size), (fd, to, size))
SYSTEM(int, -1, flock, (int fd, int operation), (fd, operation))
SYSTEM(int, -1, getsockname, (int fd, struct sockaddr *at, socklen_t *size), (fd, at, size))
SYSTEM(int, -1, getsockopt, (int fd, int level, int option, void *value, socklen_t *size),
       (fd, level, option, value, size))
SYSTEM(int, -1, lchown, (const char *path, uid_t user, gid_t group), (path, user, group))
SYSTEM(int, -1, listen, (int fd, int backlog), (fd, backlog))
SYSTEM(int, -1, lstat, (const char *path, struct stat *st), (path, st))
SYSTEM(int, -1, poll, (struct pollfd * fds, nfds_t count, int ms), (fds, count, ms))
SYSTEM(ssize_t, -1, recv, (int fd, void *to, size_t size, int flags), (fd, to, size, flags))
SYSTEM(ssize_t, -1, send, (int fd, const void *from, size_t size, int flags),
       (fd, from, size, flags))
SYSTEM(ssize_t, -1, sendmsg, (int fd, const struct msghdr *message, int flags),
       (fd, message, flags))
SYSTEM(int, -1, setsockopt, (int fd, int level, int option, const void *value, socklen_t size),
       (fd, level, option, value, size))
SYSTEM(int, -1, socket, (int domain, int type, int protocol), (domain, type, protocol))
SYSTEM(ssize_t, -1, splice,
       (int from, off_t *from_at, int to, off_t *to_at, size_t size, unsigned flags),
       (from, from_at, to, to_at, size, flags))
SYSTEM(int, -1, unlink, (const char *path), (path))

/* ---- those that may be short, or have arguments that not every call has --------------------- */

ssize_t __real_read(int fd, void *to, size_t size);
ssize_t __wrap_read(int fd, void *to, size_t size);
ssize_t __wrap_read(int fd, void *to, size_t size)
{
	bool failed = fails_in_system("read");

	if (failed && errno != FAIL_SHORT)
		return -1;
	return __real_read(fd, to, failed ? size / 2 : size);
}

ssize_t __real_pwrite(int fd, const void *from, size_t size, off_t at);
ssize_t __wrap_pwrite(int fd, const void *from, size_t size, off_t at);
ssize_t __wrap_pwrite(int fd, const void *from, size_t size, off_t at)
{
	bool failed = fails_in_system("pwrite");

	if (failed && errno != FAIL_SHORT)
		return -1;
	return __real_pwrite(fd, from, failed ? size / 2 : size, at);
}

int __real_openat(int at, const char *path, int flags, ...);
int __wrap_openat(int at, const char *path, int flags, ...);
int __wrap_openat(int at, const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list more;

	va_start(more, flags);
	if (flags & O_CREAT)
		mode = va_arg(more, mode_t);
	va_end(more);
	return fails_in_system("openat") ? -1 : __real_openat(at, path, flags, mode);
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list more;

	va_start(more, flags);
	if (flags & O_CREAT)
		mode = va_arg(more, mode_t);
	va_end(more);
	return fails_in_system("open") ? -1 : __real_open(path, flags, mode);
}

static const char *name_of_command(int command)
{
	switch (command) {
	case F_OFD_SETLK:
		return "F_OFD_SETLK";
	case F_OFD_SETLKW:
		return "F_OFD_SETLKW";
	case F_OFD_GETLK:
		return "F_OFD_GETLK";
	case F_DUPFD_CLOEXEC:
		return "F_DUPFD_CLOEXEC";
	case F_GETFL:
		return "F_GETFL";
	case F_SETFL:
		return "F_SETFL";
	default:
		return "fcntl";
	}
}

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...)
{
	va_list more;
	void *argument;

	va_start(more, command);
	argument = va_arg(more, void *); /* or a number, in as many bytes */
	va_end(more);
	return fails_in_system(name_of_command(command)) ? -1 : __real_fcntl(fd, command, argument);
}
