/*
 * HAZARDS V3.  A library to be preloaded: the n-th call of a kind fails, is cut short or is late, as a test says while the
 * program runs.
 *
 * FAULTS_PAGE names a file of a page (struct page) that all processes map: it counts the calls of each kind since the
 * test has begun to count, and says which of them goes wrong and how.  So one proxy serves as many cases as the
 * test likes.  tests/faults/page.py is the other side.
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <lmdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* dlsym() gives functions as data, and socket calls take their addresses as a union. */
#pragma GCC diagnostic ignored "-Wpedantic"

/* A kind is a name that the test uses; functions that do the same share one. */
/* clang-format off */
#define KINDS(KIND) \
	KIND(accept) KIND(connect) KIND(socket) KIND(setsockopt) KIND(getsockopt) \
	KIND(bind) KIND(listen) KIND(recv) KIND(send) KIND(read) KIND(write) KIND(pread) \
	KIND(pwrite) KIND(splice) KIND(pipe) KIND(epoll_ctl) KIND(epoll_wait) KIND(poll) \
	KIND(open) KIND(mmap) KIND(memory) KIND(fork) KIND(random) KIND(memfd) \
	KIND(truncate) KIND(allocate) KIND(sync) KIND(flock) KIND(rename) KIND(unlink) \
	KIND(thread) KIND(signalfd) KIND(mdb_env_open) KIND(mdb_txn_begin) \
	KIND(mdb_txn_renew) KIND(mdb_txn_commit) KIND(mdb_dbi_open) KIND(mdb_get) \
	KIND(mdb_put) KIND(mdb_del) KIND(mdb_cursor_open) KIND(mdb_cursor_get) \
	KIND(mdb_reader_check) KIND(mdb_stat) KIND(mdb_env_sync) KIND(mdb_env_copy)
/* clang-format on */

enum kind {
#define KIND(name) KIND_##name,
	KINDS(KIND)
#undef KIND
		KIND_COUNT
};

enum how { FAIL, SHORT, LATE, AFTER }; /* AFTER: it is done, and said to have failed */

enum { NAME_SIZE = 24, KINDS_MAX = 64, FRAMES = 24, BAD_TXNS = 8, LATE_MS = 20 };

_Static_assert((int)KIND_COUNT <= (int)KINDS_MAX, "there is room for the counts");

struct page {
	_Atomic uint32_t counting;
	_Atomic uint32_t kind; /* of those that go wrong */
	_Atomic uint32_t how;
	_Atomic uint32_t error;
	_Atomic uint64_t first, last; /* these calls, from 1 on */
	_Atomic uint32_t pid;         /* of this process alone, 0 for all */
	_Atomic uint32_t happened;    /* how many went wrong */
	_Atomic uint32_t by;          /* which process made the first of them, from where */
	_Atomic uint32_t kind_count;
	_Atomic uint64_t program; /* where the program is loaded */
	_Atomic int64_t live;     /* pieces of memory that are taken */
	_Atomic int64_t clock_s;  /* what the wall clock is ahead of the true one */
	_Atomic uint64_t from[FRAMES];
	_Atomic uint64_t counts[KINDS_MAX];
	char names[KINDS_MAX][NAME_SIZE];
};

static struct page *page;
static uintptr_t program;

/*
 * Callers that are let be.  libev ends the process when memory runs out, and trusts the pipe by which it wakes
 * itself; a sanitizer's own calls are none of the proxy's.
 */
static struct library {
	const char *name;
	uintptr_t begin, end;
} loop = {"/libev.so", 0, 0}, sanitizer = {"/libasan.so", 0, 0};

#define CALLER ((uintptr_t)__builtin_return_address(0))
static bool is_of(const struct library *library, uintptr_t caller)
{
	return caller >= library->begin && caller < library->end;
}

#define NEXT(name)                     \
	static __typeof__(name) *next; \
	if (next == NULL)              \
	next = (__typeof__(next))dlsym(RTLD_NEXT, #name)

static void find(struct library *library, const struct dl_phdr_info *info)
{
	if (strstr(info->dlpi_name, library->name) == NULL)
		return;
	library->begin = info->dlpi_addr;
	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_LOAD)
			library->end = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr +
				       info->dlpi_phdr[i].p_memsz;
}

static int note_library(struct dl_phdr_info *info, size_t size, void *unused)
{
	(void)size;
	(void)unused;
	if (program == 0)
		program = info->dlpi_addr + 1; /* the program comes first */
	find(&loop, info);
	find(&sanitizer, info);
	return 0;
}

__attribute__((constructor)) static void map_page(void)
{
	static const char *const names[] = {
#define KIND(name) #name,
		KINDS(KIND)
#undef KIND
	};
	const char *path = getenv("FAULTS_PAGE");
	int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
	struct page *mapped;
	void *frames[2];

	if (fd < 0)
		return;
	backtrace(frames, 2); /* loads what it needs, which takes memory */
	dl_iterate_phdr(note_library, NULL);
	mapped = mmap(NULL, sizeof(*mapped), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (mapped == MAP_FAILED)
		return;
	for (unsigned i = 0; i < KIND_COUNT; i++)
		snprintf(mapped->names[i], NAME_SIZE, "%s", names[i]);
	atomic_store(&mapped->kind_count, KIND_COUNT);
	page = mapped;
}

static void note(void)
{
	void *frames[FRAMES] = {0};

	if (atomic_fetch_add(&page->happened, 1) > 0)
		return;
	atomic_store(&page->by, (uint32_t)getpid());
	atomic_store(&page->program, program - 1);
	backtrace(frames, FRAMES);
	for (unsigned i = 0; i < FRAMES; i++)
		atomic_store(&page->from[i], (uint64_t)(uintptr_t)frames[i]);
}

/* Whether this call goes wrong.  One that is late has waited then, and goes on as it would. */
static bool wrong(enum kind kind, uintptr_t caller)
{
	static _Thread_local bool within; /* what is called to note it */
	uint64_t n;

	if (page == NULL || within || atomic_load(&page->counting) == 0 ||
	    is_of(&sanitizer, caller))
		return false;
	if (atomic_load(&page->pid) != 0 && atomic_load(&page->pid) != (uint32_t)getpid())
		return false;
	n = atomic_fetch_add(&page->counts[kind], 1) + 1;
	if (kind != (enum kind)atomic_load(&page->kind) || n < atomic_load(&page->first) ||
	    n > atomic_load(&page->last))
		return false;
	within = true;
	note();
	within = false;
	if (atomic_load(&page->how) == LATE) {
		nanosleep(&(struct timespec){0, LATE_MS * 1000000L}, NULL);
		return false;
	}
	errno = (int)atomic_load(&page->error);
	return true;
}

static bool cut(void)
{
	return atomic_load(&page->how) == SHORT;
}

/* ---- calls of the system -------------------------------------------------------------------- */

#define CALL(type, failed, kind, name, parameters, arguments)                \
	type name parameters                                                 \
	{                                                                    \
		NEXT(name);                                                  \
		return wrong(KIND_##kind, CALLER) ? failed : next arguments; \
	}

CALL(int, -1, accept, accept4, (int fd, struct sockaddr *a, socklen_t *n, int flags),
     (fd, a, n, flags))
CALL(int, -1, accept, accept, (int fd, struct sockaddr *a, socklen_t *n), (fd, a, n))
CALL(int, -1, connect, connect, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))
CALL(int, -1, socket, socket, (int domain, int type, int protocol), (domain, type, protocol))
CALL(int, -1, setsockopt, setsockopt, (int fd, int level, int name, const void *value, socklen_t n),
     (fd, level, name, value, n))
CALL(int, -1, getsockopt, getsockopt, (int fd, int level, int name, void *value, socklen_t *n),
     (fd, level, name, value, n))
CALL(int, -1, bind, bind, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))
CALL(int, -1, listen, listen, (int fd, int backlog), (fd, backlog))
CALL(int, -1, pipe, pipe2, (int fds[2], int flags), (fds, flags))
CALL(int, -1, pipe, pipe, (int fds[2]), (fds))
CALL(int, -1, epoll_ctl, epoll_ctl, (int ep, int op, int fd, struct epoll_event *event),
     (ep, op, fd, event))
CALL(int, -1, epoll_wait, epoll_wait, (int ep, struct epoll_event *events, int n, int ms),
     (ep, events, n, ms))
CALL(int, -1, poll, poll, (struct pollfd * fds, nfds_t n, int ms), (fds, n, ms))
CALL(void *, MAP_FAILED, mmap, mmap, (void *at, size_t n, int prot, int flags, int fd, off_t from),
     (at, n, prot, flags, fd, from))
CALL(pid_t, -1, fork, fork, (void), ())
CALL(int, -1, memfd, memfd_create, (const char *name, unsigned flags), (name, flags))
CALL(int, -1, truncate, ftruncate, (int fd, off_t size), (fd, size))
CALL(int, -1, allocate, fallocate, (int fd, int mode, off_t at, off_t n), (fd, mode, at, n))
CALL(int, errno, allocate, posix_fallocate, (int fd, off_t at, off_t n), (fd, at, n))
CALL(int, -1, sync, fsync, (int fd), (fd))
CALL(int, -1, sync, fdatasync, (int fd), (fd))
CALL(int, -1, sync, msync, (void *at, size_t n, int flags), (at, n, flags))
CALL(int, -1, flock, flock, (int fd, int operation), (fd, operation))
CALL(int, -1, rename, renameat, (int from, const char *a, int to, const char *b), (from, a, to, b))
CALL(int, -1, unlink, unlinkat, (int fd, const char *path, int flags), (fd, path, flags))
CALL(int, -1, unlink, unlink, (const char *path), (path))
CALL(int, errno, thread, pthread_create,
     (pthread_t * thread, const pthread_attr_t *attributes, void *(*start)(void *), void *of),
     (thread, attributes, start, of))
CALL(int, -1, signalfd, signalfd, (int fd, const sigset_t *mask, int flags), (fd, mask, flags))

static ssize_t random_bytes(void *to, size_t size, unsigned flags)
{
	NEXT(getrandom);
	return next(to, size, flags);
}

ssize_t getrandom(void *to, size_t size, unsigned flags)
{
	if (wrong(KIND_random, CALLER)) {
		if (!cut())
			return -1;
		size = size > 0;
	}
	return random_bytes(to, size, flags);
}

static int open_with(uintptr_t caller, int at, const char *path, int flags, mode_t mode)
{
	static int (*next)(int, const char *, int, ...);

	if (next == NULL)
		next = (__typeof__(next))dlsym(RTLD_NEXT, "openat");
	return wrong(KIND_open, caller) ? -1 : next(at, path, flags, mode);
}

#define MODE_OF(flags, mode)                         \
	do {                                         \
		va_list rest;                        \
		va_start(rest, flags);               \
		if ((flags) & (O_CREAT | O_TMPFILE)) \
			mode = va_arg(rest, mode_t); \
		va_end(rest);                        \
	} while (0)

int open(const char *path, int flags, ...)
{
	mode_t mode = 0;

	MODE_OF(flags, mode);
	return open_with(CALLER, AT_FDCWD, path, flags, mode);
}

int openat(int at, const char *path, int flags, ...)
{
	mode_t mode = 0;

	MODE_OF(flags, mode);
	return open_with(CALLER, at, path, flags, mode);
}

/* ---- the wall clock ------------------------------------------------------------------------- */

/* libfaketime has a semaphore that a killed process may hold for ever. */
int clock_gettime(clockid_t clock, struct timespec *ret)
{
	int rc;

	NEXT(clock_gettime);
	rc = next(clock, ret);
	if (page != NULL && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		ret->tv_sec += atomic_load_explicit(&page->clock_s, memory_order_relaxed);
	return rc;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
	int rc;

	NEXT(gettimeofday);
	rc = next(ret, zone);
	if (page != NULL)
		ret->tv_sec += atomic_load_explicit(&page->clock_s, memory_order_relaxed);
	return rc;
}

/* ---- bytes: cut short, they are one --------------------------------------------------------- */

#define BYTES(kind, name, parameters, arguments)                           \
	ssize_t name parameters                                            \
	{                                                                  \
		NEXT(name);                                                \
		if (!is_of(&loop, CALLER) && wrong(KIND_##kind, CALLER)) { \
			if (!cut())                                        \
				return -1;                                 \
			n = n > 0;                                         \
		}                                                          \
		return next arguments;                                     \
	}

BYTES(recv, recv, (int fd, void *to, size_t n, int flags), (fd, to, n, flags))
BYTES(recv, recvfrom,
      (int fd, void *to, size_t n, int flags, struct sockaddr *restrict a,
       socklen_t *restrict length),
      (fd, to, n, flags, a, length))
/* A datagram goes as a whole or not at all. */
static size_t least(int fd, size_t n)
{
	int type = SOCK_STREAM;
	socklen_t length = sizeof(type);

	NEXT(getsockopt);
	next(fd, SOL_SOCKET, SO_TYPE, &type, &length);
	return type == SOCK_DGRAM ? n : n > 0;
}

#define SENT(name, parameters, arguments)       \
	ssize_t name parameters                 \
	{                                       \
		NEXT(name);                     \
		if (wrong(KIND_send, CALLER)) { \
			if (!cut())             \
				return -1;      \
			n = least(fd, n);       \
		}                               \
		return next arguments;          \
	}

SENT(send, (int fd, const void *from, size_t n, int flags), (fd, from, n, flags))
SENT(sendto,
     (int fd, const void *from, size_t n, int flags, const struct sockaddr *a, socklen_t length),
     (fd, from, n, flags, a, length))
/* What is written to a pipe at once, and is no longer than this, is never cut (POSIX, write). */
static size_t least_of_file(int fd, size_t n)
{
	struct stat st;

	return n <= PIPE_BUF && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) ? n : n > 0;
}

#define FILES(name, parameters, arguments)                                 \
	ssize_t name parameters                                            \
	{                                                                  \
		NEXT(name);                                                \
		if (!is_of(&loop, CALLER) && wrong(KIND_##name, CALLER)) { \
			if (!cut())                                        \
				return -1;                                 \
			n = least_of_file(fd, n);                          \
		}                                                          \
		return next arguments;                                     \
	}

FILES(read, (int fd, void *to, size_t n), (fd, to, n))
FILES(write, (int fd, const void *from, size_t n), (fd, from, n))
BYTES(pread, pread, (int fd, void *to, size_t n, off_t at), (fd, to, n, at))
BYTES(pwrite, pwrite, (int fd, const void *from, size_t n, off_t at), (fd, from, n, at))
BYTES(splice, splice, (int from, off_t *a, int to, off_t *b, size_t n, unsigned flags),
      (from, a, to, b, n, flags))

#define PARTS(kind, name, one, parameters, list, count, arguments, arguments_of_one)     \
	ssize_t name parameters                                                          \
	{                                                                                \
		NEXT(name);                                                              \
		if (!wrong(KIND_##kind, CALLER))                                         \
			return next arguments;                                           \
		for (size_t i = 0; cut() && i < (size_t)(count); i++) {                  \
			static __typeof__(one) *one_next;                                \
			if (one_next == NULL)                                            \
				one_next = (__typeof__(one_next))dlsym(RTLD_NEXT, #one); \
			if ((list)[i].iov_len > 0)                                       \
				return one_next arguments_of_one;                        \
		}                                                                        \
		return -1;                                                               \
	}

PARTS(send, sendmsg, send, (int fd, const struct msghdr *m, int flags), m->msg_iov, m->msg_iovlen,
      (fd, m, flags), (fd, m->msg_iov[i].iov_base, 1, flags))
PARTS(write, writev, write, (int fd, const struct iovec *v, int n), v, n, (fd, v, n),
      (fd, v[i].iov_base, 1))
PARTS(pwrite, pwritev, pwrite, (int fd, const struct iovec *v, int n, off_t at), v, n,
      (fd, v, n, at), (fd, v[i].iov_base, 1, at))
PARTS(recv, recvmsg, recv, (int fd, struct msghdr *m, int flags), m->msg_iov, m->msg_iovlen,
      (fd, m, flags), (fd, m->msg_iov[i].iov_base, 1, flags))

/* ---- memory --------------------------------------------------------------------------------- */

/* What dlsym() itself asks for before the real functions are known. */
static _Alignas(16) char early[16384];
static size_t early_used;

static bool is_early(const void *memory)
{
	return (const char *)memory >= early && (const char *)memory < early + sizeof(early);
}

static void *early_memory(size_t size)
{
	void *memory = early + early_used;

	size = (size + 15) & ~(size_t)15;
	if (early_used + size > sizeof(early))
		return NULL;
	early_used += size;
	return memory;
}

static void *(*real_malloc)(size_t), *(*real_calloc)(size_t, size_t),
	*(*real_realloc)(void *, size_t);
static void (*real_free)(void *);

static bool memory_known(void)
{
	static bool asking;

	if (real_free != NULL)
		return true;
	if (asking)
		return false;
	asking = true;
	real_malloc = (__typeof__(real_malloc))dlsym(RTLD_NEXT, "malloc");
	real_calloc = (__typeof__(real_calloc))dlsym(RTLD_NEXT, "calloc");
	real_realloc = (__typeof__(real_realloc))dlsym(RTLD_NEXT, "realloc");
	real_free = (__typeof__(real_free))dlsym(RTLD_NEXT, "free");
	asking = false;
	return true;
}

static void *taken(void *memory)
{
	if (page != NULL && memory != NULL)
		atomic_fetch_add_explicit(&page->live, 1, memory_order_relaxed);
	return memory;
}

void *malloc(size_t size)
{
	if (!memory_known())
		return early_memory(size);
	return !is_of(&loop, CALLER) && wrong(KIND_memory, CALLER) ? NULL
								   : taken(real_malloc(size));
}

void *calloc(size_t count, size_t size)
{
	if (!memory_known())
		return early_memory(count * size);
	return !is_of(&loop, CALLER) && wrong(KIND_memory, CALLER)
		       ? NULL
		       : taken(real_calloc(count, size));
}

void *realloc(void *memory, size_t size)
{
	void *grown;

	if (!memory_known() || is_early(memory))
		return NULL;
	grown = !is_of(&loop, CALLER) && wrong(KIND_memory, CALLER) ? NULL
								    : real_realloc(memory, size);
	return memory == NULL ? taken(grown) : grown;
}

void *reallocarray(void *memory, size_t count, size_t size)
{
	void *grown;

	if (!memory_known() || is_early(memory))
		return NULL;
	grown = !is_of(&loop, CALLER) && wrong(KIND_memory, CALLER)
			? NULL
			: real_realloc(memory, count * size);
	return memory == NULL ? taken(grown) : grown;
}

void *aligned_alloc(size_t alignment, size_t size)
{
	NEXT(aligned_alloc);
	return !is_of(&loop, CALLER) && wrong(KIND_memory, CALLER) ? NULL
								   : taken(next(alignment, size));
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
	int rc;

	NEXT(posix_memalign);
	if (!is_of(&loop, CALLER) && wrong(KIND_memory, CALLER))
		return ENOMEM;
	rc = next(ret, alignment, size);
	if (rc == 0)
		taken(*ret);
	return rc;
}

void free(void *memory)
{
	if (memory == NULL || !memory_known() || is_early(memory))
		return;
	if (page != NULL)
		atomic_fetch_sub_explicit(&page->live, 1, memory_order_relaxed);
	real_free(memory);
}

/* ---- LMDB: a transaction in which something failed can only be aborted ---------------------- */

static MDB_txn *bad[BAD_TXNS];

static int spoil(MDB_txn *txn)
{
	for (unsigned i = 0; i < BAD_TXNS; i++)
		if (bad[i] == NULL || bad[i] == txn) {
			bad[i] = txn;
			break;
		}
	return errno;
}

static bool is_bad(const MDB_txn *txn)
{
	for (unsigned i = 0; i < BAD_TXNS; i++)
		if (bad[i] == txn && txn != NULL)
			return true;
	return false;
}

static void forget(const MDB_txn *txn)
{
	for (unsigned i = 0; i < BAD_TXNS; i++)
		if (bad[i] == txn)
			bad[i] = NULL;
}

/* The numbers of LMDB's own errors are negative. */
#define ERROR ((int)atomic_load(&page->error))

#define LMDB(kind, name, parameters, arguments)                             \
	int name parameters                                                 \
	{                                                                   \
		NEXT(name);                                                 \
		return wrong(KIND_##kind, CALLER) ? ERROR : next arguments; \
	}

#define LMDB_CHANGE(name, parameters, arguments)                                          \
	int name parameters                                                               \
	{                                                                                 \
		NEXT(name);                                                               \
		if (is_bad(txn))                                                          \
			return MDB_BAD_TXN;                                               \
		return wrong(KIND_##name, CALLER) ? (spoil(txn), ERROR) : next arguments; \
	}

LMDB(mdb_env_open, mdb_env_open, (MDB_env * env, const char *path, unsigned flags, mdb_mode_t mode),
     (env, path, flags, mode))
LMDB(mdb_txn_begin, mdb_txn_begin, (MDB_env * env, MDB_txn *parent, unsigned flags, MDB_txn **txn),
     (env, parent, flags, txn))
LMDB(mdb_txn_renew, mdb_txn_renew, (MDB_txn * txn), (txn))
LMDB(mdb_dbi_open, mdb_dbi_open, (MDB_txn * txn, const char *name, unsigned flags, MDB_dbi *dbi),
     (txn, name, flags, dbi))
LMDB(mdb_get, mdb_get, (MDB_txn * txn, MDB_dbi dbi, MDB_val *key, MDB_val *data),
     (txn, dbi, key, data))
LMDB(mdb_cursor_open, mdb_cursor_open, (MDB_txn * txn, MDB_dbi dbi, MDB_cursor **cursor),
     (txn, dbi, cursor))
LMDB(mdb_cursor_get, mdb_cursor_get,
     (MDB_cursor * cursor, MDB_val *key, MDB_val *data, MDB_cursor_op op), (cursor, key, data, op))
LMDB(mdb_reader_check, mdb_reader_check, (MDB_env * env, int *dead), (env, dead))
LMDB(mdb_stat, mdb_stat, (MDB_txn * txn, MDB_dbi dbi, MDB_stat *stat), (txn, dbi, stat))
LMDB(mdb_stat, mdb_env_info, (MDB_env * env, MDB_envinfo *stat), (env, stat))
LMDB(mdb_env_sync, mdb_env_sync, (MDB_env * env, int force), (env, force))
LMDB(mdb_env_copy, mdb_env_copyfd2, (MDB_env * env, int fd, unsigned flags), (env, fd, flags))
LMDB_CHANGE(mdb_put, (MDB_txn * txn, MDB_dbi dbi, MDB_val *key, MDB_val *data, unsigned flags),
	    (txn, dbi, key, data, flags))
LMDB_CHANGE(mdb_del, (MDB_txn * txn, MDB_dbi dbi, MDB_val *key, MDB_val *data),
	    (txn, dbi, key, data))

void mdb_txn_abort(MDB_txn *txn)
{
	NEXT(mdb_txn_abort);
	forget(txn);
	next(txn);
}

int mdb_txn_commit(MDB_txn *txn)
{
	NEXT(mdb_txn_commit);
	if (is_bad(txn)) {
		mdb_txn_abort(txn);
		return MDB_BAD_TXN;
	}
	if (!wrong(KIND_mdb_txn_commit, CALLER))
		return next(txn);
	if (atomic_load(&page->how) != AFTER)
		mdb_txn_abort(txn);
	else
		next(txn);
	return ERROR;
}
