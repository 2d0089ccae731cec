/*
 * A library to preload: LMDB's map can be read only while a transaction of the process is open.
 *
 * A view that is read after it has ended ends the process then, with the address and the way to it
 * on stderr; otherwise it might read another record's bytes, and be none the wiser.  LMDB reads the
 * two heads of the file at any time, so these stay readable.
 */
#include <dlfcn.h>
#include <execinfo.h>
#include <lmdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	HEADS = 2, /* pages */
	TXNS = 16, /* open at once: a reader, a writer, one within it, a copy's */
	FRAMES = 32,
	EXIT_READ = 99,
};

static struct {
	pthread_mutex_t lock;
	char *map; /* NULL: none */
	size_t size;
	bool opening; /* what is mapped now is the map */
	const void *open[TXNS];
	unsigned copies; /* under way: they have transactions of their own */
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *real(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	if (found == NULL)
		abort();
	return found;
}

#define REAL(name) ((__typeof__(&(name)))(uintptr_t)real(#name))

/* ---- the map -------------------------------------------------------------------------------- */

static bool any_open(void)
{
	for (unsigned i = 0; i < TXNS; i++)
		if (state.open[i] != NULL)
			return true;
	return state.copies > 0;
}

static void protect(void)
{
	size_t heads = HEADS * (size_t)sysconf(_SC_PAGESIZE);

	if (state.map != NULL && state.size > heads &&
	    mprotect(state.map + heads, state.size - heads, any_open() ? PROT_READ : PROT_NONE))
		abort();
}

static void lock(void)
{
	pthread_mutex_lock(&state.lock);
}

static void unlock(void)
{
	protect();
	pthread_mutex_unlock(&state.lock);
}

static void copies_add(int n)
{
	lock();
	state.copies += (unsigned)n;
	unlock();
}

/* Forget a transaction, which may have been forgotten already; NULL for none. */
static void forget(const void *txn)
{
	for (unsigned i = 0; i < TXNS && txn != NULL; i++)
		if (state.open[i] == txn)
			state.open[i] = NULL;
}

static void txn_closed(const void *txn)
{
	lock();
	forget(txn);
	unlock();
}

/* What is to be open is open while the call itself runs, so that it may read. */
static void txn_opened(const void *txn)
{
	unsigned i = 0;

	lock();
	state.copies--;
	forget(txn);
	while (txn != NULL && state.open[i] != NULL)
		if (++i == TXNS)
			abort();
	state.open[i] = txn != NULL ? txn : state.open[i];
	unlock();
}

static void set_opening(bool opening)
{
	lock();
	state.opening = opening;
	unlock();
}

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
	void *map = REAL(mmap)(at, size, protection, flags, fd, offset);

	/* the lock file is mapped for writing */
	if (state.opening && fd >= 0 && protection == PROT_READ && map != MAP_FAILED) {
		state.map = map;
		state.size = size;
	}
	return map;
}

int munmap(void *at, size_t size)
{
	if (at == state.map)
		state.map = NULL;
	return REAL(munmap)(at, size);
}

int mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode)
{
	int rc;

	set_opening(true);
	rc = REAL(mdb_env_open)(env, path, flags, mode);
	set_opening(false);
	return rc;
}

int mdb_env_set_mapsize(MDB_env *env, size_t size)
{
	int rc;

	set_opening(true);
	rc = REAL(mdb_env_set_mapsize)(env, size);
	set_opening(false);
	return rc;
}

/* ---- transactions --------------------------------------------------------------------------- */

int mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **ret_txn)
{
	int rc;

	copies_add(1);
	rc = REAL(mdb_txn_begin)(env, parent, flags, ret_txn);
	txn_opened(rc == 0 ? *ret_txn : NULL);
	return rc;
}

int mdb_txn_renew(MDB_txn *txn)
{
	int rc;

	copies_add(1);
	rc = REAL(mdb_txn_renew)(txn);
	txn_opened(rc == 0 ? txn : NULL);
	return rc;
}

void mdb_txn_reset(MDB_txn *txn)
{
	REAL(mdb_txn_reset)(txn);
	txn_closed(txn);
}

void mdb_txn_abort(MDB_txn *txn)
{
	REAL(mdb_txn_abort)(txn);
	txn_closed(txn);
}

int mdb_txn_commit(MDB_txn *txn)
{
	int rc = REAL(mdb_txn_commit)(txn);

	txn_closed(txn);
	return rc;
}

int mdb_env_copyfd2(MDB_env *env, mdb_filehandle_t fd, unsigned flags)
{
	int rc;

	copies_add(1);
	rc = REAL(mdb_env_copyfd2)(env, fd, flags);
	copies_add(-1);
	return rc;
}

/* ---- faults --------------------------------------------------------------------------------- */

static void on_fault(int number, siginfo_t *info, void *context)
{
	char *at = info->si_addr;
	void *frames[FRAMES];
	char line[120];
	int n;

	(void)context;
	if (state.map == NULL || at < state.map || at >= state.map + state.size) {
		signal(number, SIG_DFL);
		if (info->si_code <= 0)
			raise(number); /* sent, and not to be met again by going on */
		return;
	}
	n = snprintf(line, sizeof(line),
		     "map_shim: byte %zu of the map is read in no transaction\n",
		     (size_t)(at - state.map));
	if (write(STDERR_FILENO, line, (size_t)n) == n)
		backtrace_symbols_fd(frames, backtrace(frames, FRAMES), STDERR_FILENO);
	_exit(EXIT_READ);
}

/* The proxy's own handler, when it has done its part, goes on to this one. */
__attribute__((constructor)) static void watch_faults(void)
{
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
	void *frame;

	backtrace(&frame, 1); /* loads what it needs, which a handler may not */
	sigaction(SIGSEGV, &action, NULL);
}
