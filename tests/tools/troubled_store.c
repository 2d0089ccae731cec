/*
 * To be preloaded: trouble for the store's calls of LMDB, at random from the seed TROUBLE_SEED and
 * the process id.  One call in TROUBLE_DELAYS waits for up to 2 ms, so that other processes come
 * between any two of them; one write to the data file in TROUBLE_FAILURES fails with EIO.  0, or
 * nothing, for none.  With TROUBLE_WHILE only while there is a file of that name.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <lmdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

#define NEXT(type, name) ((type)dlsym(RTLD_NEXT, name))

#define DELAYED(name, parameters, arguments)                   \
	int name parameters                                    \
	{                                                      \
		static int(*next) parameters;                  \
		int rc;                                        \
                                                               \
		if (!next)                                     \
			next = NEXT(int(*) parameters, #name); \
		delay();                                       \
		rc = next arguments;                           \
		delay();                                       \
		return rc;                                     \
	}

DELAYED(mdb_txn_begin, (MDB_env * env, MDB_txn *parent, unsigned flags, MDB_txn **txn),
	(env, parent, flags, txn))
DELAYED(mdb_txn_renew, (MDB_txn * txn), (txn))
DELAYED(mdb_txn_commit, (MDB_txn * txn), (txn))
DELAYED(mdb_get, (MDB_txn * txn, MDB_dbi dbi, MDB_val *key, MDB_val *data), (txn, dbi, key, data))
DELAYED(mdb_put, (MDB_txn * txn, MDB_dbi dbi, MDB_val *key, MDB_val *data, unsigned flags),
	(txn, dbi, key, data, flags))
DELAYED(mdb_del, (MDB_txn * txn, MDB_dbi dbi, MDB_val *key, MDB_val *data), (txn, dbi, key, data))
DELAYED(mdb_cursor_get, (MDB_cursor * cursor, MDB_val *key, MDB_val *data, MDB_cursor_op op),
	(cursor, key, data, op))

/* Once it is open, only LMDB writes at an offset. */
static int write_fails(void)
{
	if (!happens("TROUBLE_FAILURES"))
		return 0;
	errno = EIO;
	return 1;
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at)
{
	static ssize_t (*next)(int, const void *, size_t, off_t);

	if (!next)
		next = NEXT(ssize_t(*)(int, const void *, size_t, off_t), "pwrite");
	return write_fails() ? -1 : next(fd, bytes, n, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
	static ssize_t (*next)(int, const struct iovec *, int, off_t);

	if (!next)
		next = NEXT(ssize_t(*)(int, const struct iovec *, int, off_t), "pwritev");
	return write_fails() ? -1 : next(fd, parts, count, at);
}

static int is_data_file(int fd)
{
	static const char name[] = "/data.mdb";
	char link[64], path[4096];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path));
	return n >= (ssize_t)strlen(name) &&
	       memcmp(path + n - strlen(name), name, strlen(name)) == 0;
}

/* Without pwritev() LMDB writes several pages at once by this; others write to sockets and logs. */
ssize_t writev(int fd, const struct iovec *parts, int count)
{
	static ssize_t (*next)(int, const struct iovec *, int);

	if (!next)
		next = NEXT(ssize_t(*)(int, const struct iovec *, int), "writev");
	return is_data_file(fd) && write_fails() ? -1 : next(fd, parts, count);
}
