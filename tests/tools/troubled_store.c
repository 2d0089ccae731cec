/*
 * To be preloaded: trouble for the store's calls of LMDB, at random from the seed TROUBLE_SEED and
 * the process id.  One call in TROUBLE_DELAYS waits for up to 2 ms, so that other processes come
 * between any two of them; one write to the data file in TROUBLE_FAILURES fails with EIO, or with the
 * error of number TROUBLE_ERROR.  0, or nothing, for none.  With TROUBLE_WHILE only while there is a
 * file of that name.
 *
 * A symbolic link named TROUBLE_KILL to "PID N" makes one call in N, of those of the store and of what
 * is written, synced or renamed, the last of process PID: as of kill(2), 0 for the caller's own, so
 * that -PID is a whole group.  "PID N commit" is one in N of those that begin or make a commit,
 * "PID N copy" the N-th call of a process about a copy of the store. The first to come so far takes the link away.
 *
 * TROUBLE_LOG names a file to which each write, sync and rename of a file is added as a line: "write
 * PATH TEXT", with the text of small writes, "sync PATH", "rename FROM TO".
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static uint64_t random_next(void)
{
	static uint64_t state;
	static pid_t pid;

	if (pid != getpid()) {
		const char *seed = getenv("TROUBLE_SEED");

		pid = getpid();
		state = (seed != NULL ? strtoull(seed, NULL, 10) : 0) * 0x9e3779b97f4a7c15 +
			(uint64_t)pid;
	}
	state = state * 6364136223846793005 + 1442695040888963407;
	return state >> 33;
}

static int happens(const char *name)
{
	const char *text = getenv(name);
	unsigned long one_in = text ? strtoul(text, NULL, 10) : 0;
	const char *file = getenv("TROUBLE_WHILE");

	if (file != NULL && access(file, F_OK) != 0)
		return 0;
	return one_in > 0 && random_next() % one_in == 0;
}

static void delay(void)
{
	if (happens("TROUBLE_DELAYS"))
		nanosleep(&(struct timespec){0, (long)(random_next() % 2000000)}, NULL);
}

/* ---- the end of a process ------------------------------------------------------------------- */

/* The file of a descriptor, "" for none. */
static void name_of(int fd, char *to, size_t size)
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, to, size - 1);
	to[n > 0 ? n : 0] = '\0';
}

enum call { CALL_OTHER, CALL_COMMIT, CALL_COPY }; /* what it is about */

static void end_perhaps(enum call call)
{
	static unsigned long copy_calls;
	const char *link = getenv("TROUBLE_KILL");
	char text[64], what[8] = "";
	unsigned long n;
	ssize_t length;
	long pid;

	copy_calls += call == CALL_COPY;
	length = link != NULL ? readlink(link, text, sizeof(text) - 1) : -1;
	if (length <= 0)
		return;
	text[length] = '\0';
	if (sscanf(text, "%ld %lu %7s", &pid, &n, what) < 2 || n == 0)
		return;
	if (strcmp(what, "copy") == 0
		    ? call != CALL_COPY || copy_calls != n
		    : (what[0] != '\0' && call != CALL_COMMIT) || random_next() % n != 0)
		return;
	if (unlink(link) == 0)
		kill(pid != 0 ? (pid_t)pid : getpid(), SIGKILL);
}

/* ---- what happens to files ------------------------------------------------------------------ */

static void note(const char *what, const char *path, const char *more, size_t more_n)
{
	const char *log = getenv("TROUBLE_LOG");
	int fd = log != NULL ? open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;

	if (fd < 0)
		return;
	dprintf(fd, "%s %s %.*s\n", what, path, more_n < 256 ? (int)more_n : 0, more);
	close(fd);
}

static void note_fd(const char *what, int fd, const char *more, size_t more_n)
{
	char path[4096];

	if (getenv("TROUBLE_LOG") == NULL)
		return;
	name_of(fd, path, sizeof(path));
	note(what, path, more, more_n);
}

/* Of the file that is mapped there. */
static void note_map(const void *address)
{
	unsigned long from, to, at = (unsigned long)(uintptr_t)address;
	char line[4400], path[4096];
	FILE *maps = getenv("TROUBLE_LOG") != NULL ? fopen("/proc/self/maps", "re") : NULL;

	while (maps != NULL && fgets(line, sizeof(line), maps) != NULL)
		if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %4095s", &from, &to, path) == 3 &&
		    from <= at && at < to)
			note("sync", path, "", 0);
	if (maps != NULL)
		fclose(maps);
}

static enum call call_of(int fd)
{
	char name[4096];

	if (getenv("TROUBLE_KILL") == NULL)
		return CALL_OTHER;
	name_of(fd, name, sizeof(name));
	if (strstr(name, "data.mdb.copy") != NULL)
		return CALL_COPY;
	return strstr(name, "data.mdb") != NULL ? CALL_COMMIT : CALL_OTHER;
}

#define NEXT(type, name) (__extension__(type) dlsym(RTLD_NEXT, name))

#define DELAYED(name, parameters, arguments, call)             \
	int name parameters                                    \
	{                                                      \
		static int(*next) parameters;                  \
		int rc;                                        \
                                                               \
		if (!next)                                     \
			next = NEXT(int(*) parameters, #name); \
		delay();                                       \
		end_perhaps(call);                             \
		rc = next arguments;                           \
		end_perhaps(call);                             \
		delay();                                       \
		return rc;                                     \
	}

DELAYED(mdb_txn_begin, (MDB_env * env, MDB_txn *parent, unsigned flags, MDB_txn **txn),
	(env, parent, flags, txn), CALL_OTHER)
DELAYED(mdb_txn_renew, (MDB_txn * txn), (txn), CALL_OTHER)
DELAYED(mdb_txn_commit, (MDB_txn * txn), (txn), CALL_COMMIT)
DELAYED(mdb_get, (MDB_txn * txn, MDB_dbi dbi, MDB_val *key, MDB_val *data), (txn, dbi, key, data),
	CALL_OTHER)
DELAYED(mdb_put, (MDB_txn * txn, MDB_dbi dbi, MDB_val *key, MDB_val *data, unsigned flags),
	(txn, dbi, key, data, flags), CALL_OTHER)
DELAYED(mdb_del, (MDB_txn * txn, MDB_dbi dbi, MDB_val *key, MDB_val *data), (txn, dbi, key, data),
	CALL_OTHER)
DELAYED(mdb_cursor_get, (MDB_cursor * cursor, MDB_val *key, MDB_val *data, MDB_cursor_op op),
	(cursor, key, data, op), CALL_OTHER)

/* Once it is open, only LMDB, and who makes a copy, writes at an offset. */
static int write_fails(void)
{
	const char *error = getenv("TROUBLE_ERROR");

	if (!happens("TROUBLE_FAILURES"))
		return 0;
	errno = error != NULL ? atoi(error) : EIO;
	return 1;
}

/* A call about a file, which may be the last before it is made, or after. */
#define ENDING(type, name, parameters, arguments, fd, fails, noted) \
	type name parameters                                        \
	{                                                           \
		static type(*next) parameters;                      \
		enum call call = call_of(fd);                       \
		type rc;                                            \
                                                                    \
		if (!next)                                          \
			next = NEXT(type(*) parameters, #name);     \
		end_perhaps(call);                                  \
		rc = (fails) ? -1 : next arguments;                 \
		noted;                                              \
		end_perhaps(call);                                  \
		return rc;                                          \
	}

ENDING(ssize_t, pwrite, (int fd, const void *bytes, size_t n, off_t at), (fd, bytes, n, at), fd,
       write_fails(), note_fd("write", fd, bytes, n))
ENDING(ssize_t, pwritev, (int fd, const struct iovec *parts, int count, off_t at),
       (fd, parts, count, at), fd, write_fails(), note_fd("write", fd, "", 0))
ENDING(int, fsync, (int fd), (fd), fd, 0, note_fd("sync", fd, "", 0))
ENDING(int, fdatasync, (int fd), (fd), fd, 0, note_fd("sync", fd, "", 0))
ENDING(int, msync, (void *at, size_t n, int flags), (at, n, flags), -1, 0, note_map(at))
ENDING(int, ftruncate, (int fd, off_t size), (fd, size), fd, 0, note_fd("write", fd, "", 0))
ENDING(int, fallocate, (int fd, int mode, off_t at, off_t n), (fd, mode, at, n), fd, 0,
       note_fd("write", fd, "", 0))
ENDING(int, posix_fallocate, (int fd, off_t at, off_t n), (fd, at, n), fd, 0, (void)0)

int renameat(int from_directory, const char *from, int to_directory, const char *to)
{
	static int (*next)(int, const char *, int, const char *);
	enum call call = strstr(from, "data.mdb.copy") != NULL ? CALL_COPY : CALL_OTHER;
	int rc;

	if (!next)
		next = NEXT(int (*)(int, const char *, int, const char *), "renameat");
	end_perhaps(call);
	rc = next(from_directory, from, to_directory, to);
	note("rename", from, to, strlen(to));
	end_perhaps(call);
	return rc;
}

static int is_data_file(int fd)
{
	static const char name[] = "/data.mdb";
	char path[4096];
	size_t n;

	name_of(fd, path, sizeof(path));
	n = strlen(path);
	return n >= strlen(name) && strcmp(path + n - strlen(name), name) == 0;
}

/* Without pwritev() LMDB writes several pages at once by this; others write to sockets and logs. */
ssize_t writev(int fd, const struct iovec *parts, int count)
{
	static ssize_t (*next)(int, const struct iovec *, int);
	int is_data = is_data_file(fd);
	ssize_t n;

	if (!next)
		next = NEXT(ssize_t(*)(int, const struct iovec *, int), "writev");
	if (is_data)
		end_perhaps(CALL_COMMIT);
	n = is_data && write_fails() ? -1 : next(fd, parts, count);
	if (is_data)
		note_fd("write", fd, "", 0);
	if (is_data)
		end_perhaps(CALL_COMMIT);
	return n;
}
