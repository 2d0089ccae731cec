/* A copy of all tables, as LMDB writes one of a moment. */
#include "cache/store/tables.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

struct tables_copy {
	MDB_env *env;
	pthread_t thread;
	int from, to; /* a pipe */
	int rc;
};

/*
 * Not compacted: compacting would read pages in the order of keys, which is random on the disk, and
 * gains nothing when the store is full.
 */
static void *copy_run(void *argument)
{
	struct tables_copy *copy = argument;
	sigset_t pipe;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, NULL);
	copy->rc = mdb_env_copyfd2(copy->env, copy->to, 0);
	close(copy->to);
	return NULL;
}

/*
 * LMDB writes the heads while it holds the lock of writers.  A pipe has room for them, so this is
 * fast; writing to a file could wait for the disk.
 */
static int copy_begin(struct tables_copy *copy, const char *directory, uint64_t size)
{
	int rc = mdb_env_create(&copy->env), pipe[2], dead;

	if (rc == 0)
		rc = mdb_env_set_mapsize(copy->env, size);
	if (rc == 0)
		rc = mdb_env_open(copy->env, directory, MDB_RDONLY | MDB_NOTLS, 0600);
	if (rc == 0)
		rc = mdb_reader_check(copy->env, &dead);
	if (rc == 0 && pipe2(pipe, O_CLOEXEC) != 0)
		rc = errno;
	if (rc != 0)
		return rc;
	copy->from = pipe[0];
	copy->to = pipe[1];
	rc = pthread_create(&copy->thread, NULL, copy_run, copy);
	if (rc != 0) {
		close(copy->from);
		close(copy->to);
	}
	return rc;
}

static void copy_free(struct tables_copy *copy)
{
	if (copy->env != NULL)
		mdb_env_close(copy->env);
	free(copy);
}

struct tables_copy *tables_copy_begin(const char *directory, uint64_t size, int *ret_from,
				      struct diagnostic *error)
{
	struct tables_copy *copy = calloc(1, sizeof(*copy));
	int rc = copy != NULL ? copy_begin(copy, directory, size) : ENOMEM;

	if (rc == 0) {
		*ret_from = copy->from;
		return copy;
	}
	diagnostic_set(error, "%s", mdb_strerror(rc));
	if (copy != NULL)
		copy_free(copy);
	return NULL;
}

bool tables_copy_end(struct tables_copy *copy, struct diagnostic *error)
{
	int rc;

	close(copy->from);
	pthread_join(copy->thread, NULL);
	rc = copy->rc;
	if (rc != 0)
		diagnostic_set(error, "%s", mdb_strerror(rc));
	copy_free(copy);
	return rc == 0;
}
