/*
 * The store's directory: locking, the state in which it was left, and what happens to unusable
 * files.
 *
 *	data.mdb lock.mdb   LMDB's own
 *	lock                the locks below
 *	state one line of text: boot id, clean or running, identity of data.mdb
 *	visited clock noted shared maps (shared_map.h)
 *	instance not part of the store: the name of this installation (instance.h)
 *	data.mdb.copy       the last copy (cache/store/copy.h); data.mdb.copy.new while it is made
 *	data.mdb.damaged    the first that was set aside; data.mdb.foreign, data.mdb.foreign.2
 *			    and so on: not known to be ours
 *
 * Locks are open-file-description locks on four bytes of `lock`: SERVICE is held by the one service
 * that may use the directory, and passes to the processes it forks; OPENING while a process opens
 * or closes; USERS is shared by all that have the store open; WRITING is held from the start of a
 * write transaction until its commit has been noted.  The kernel releases the locks of processes
 * that die.
 *
 * The directory or its files may be removed or replaced while processes have them open.  Locks
 * belong to files, not to paths, so `lock` alone would not keep a second service away then: its
 * users lock the data file as well, and store_place tells whether a path still names the files that
 * a process has open.
 */
#ifndef CACHE_STORE_FILES_H
#define CACHE_STORE_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/base/diagnostic.h"

#define STORE_DATA_NAME "data.mdb"

struct store_files {
	int directory; /* descriptors, -1 when closed */
	int lock;
	int data;   /* holds the lock of the data file's users */
	bool first; /* no other process has the store open: files may be checked and replaced */
};

/* Initial value, none open: what is all zero would close descriptor 0. */
#define STORE_FILES_NONE                                \
	{                                               \
		.directory = -1, .lock = -1, .data = -1 \
	}

/* How the last user left the store. */
enum store_left {
	STORE_LEFT_NOTHING,  /* there is no data file */
	STORE_LEFT_UNKNOWN,  /* a data file without our state: may be another program's */
	STORE_LEFT_CLEAN,    /* closed and synced, and untouched since */
	STORE_LEFT_TOUCHED,  /* closed and synced, but the data file has changed since */
	STORE_LEFT_RUNNING,  /* not closed, but the system has stayed up: nothing was lost */
	STORE_LEFT_REBOOTED, /* not closed, and the system went down: commits may be lost */
	STORE_LEFT_UNREAD,   /* not known, as an error that may pass came: see errno */
};

/* The identity of a file's content, without reading it. */
struct store_look {
	uint64_t inode, size;
	int64_t changed_ns; /* its ctime: no program can set it */
};
/* False when fstat() fails, or it is not a regular file. */
bool store_files_look(int fd, struct store_look *ret_look);
bool store_look_eq(const struct store_look *a, const struct store_look *b);

/* The identity of the files that a store's processes share. */
enum { STORE_PLACE_FILES = 7 };
struct store_place {
	struct store_place_file {
		uint64_t device, inode; /* 0 when there is none */
	} files[STORE_PLACE_FILES];
};
/*
 * Whether the path still names these files.  A path that cannot be examined, for lack of memory or
 * permission, does not count as changed.
 */
bool store_files_in_place(const char *directory, const struct store_place *place);
bool store_files_lock_in_place(const char *directory, int lock);

/* The same of an opened directory.  False also when it cannot be examined. */
bool store_files_have_lock(const struct store_files *files, int lock);
bool store_files_place(const struct store_files *files, struct store_place *ret_place);

/*
 * Take the service lock of a directory, which is made when missing.  Returns a descriptor that
 * holds the lock until it and its copies in forked processes are closed; -1 with a notice.
 */
int store_files_lock(const char *directory, struct diagnostic *notice);

/*
 * Open the directory and begin opening the store; waits for processes that are opening or closing
 * it. store_files_opened() ends the opening; store_files_close() undoes both.  False with a notice.
 */
bool store_files_open(struct store_files *files, const char *directory, bool exclusive,
		      struct diagnostic *notice);
bool store_files_opened(struct store_files *files);

/*
 * Instead of store_files_opened(): do not become a user of the store, but keep the directory open.
 */
void store_files_leave(struct store_files *files);

/*
 * Whether another process has the data file open although `lock` says otherwise: then `lock` was
 * replaced.
 */
bool store_files_data_in_use(const struct store_files *files);

/* Take the lock that shows this, until store_files_close(); false when it is not available. */
bool store_files_use_data(struct store_files *files);

/*
 * Whether the kernel still has the first page of a file in memory.  Pages that were written but not
 * yet flushed always are.  If none is, the disk may have been unmounted, perhaps restored to an
 * earlier state, and mounted again.
 */
bool store_files_is_cached(const struct store_files *files, const char *name);

/* Begin closing: waits as above; `first` is then whether this is the last user. */
void store_files_closing(struct store_files *files);
void store_files_close(struct store_files *files);

/*
 * Taken after the database's own lock of writers, so that waits for it are short.  False when it is
 * not available.
 */
bool store_files_writing(const struct store_files *files);
void store_files_written(const struct store_files *files);

/* Only when `first`. */
enum store_left store_files_left(const struct store_files *files);

/*
 * Record, synced to disk, that the store is in use (with `clean_fd` -1) or that it was closed, with
 * what the file of `clean_fd` looks like now.  False when that failed, see errno.
 */
bool store_files_mark(const struct store_files *files, int clean_fd);

/*
 * Move the data file to data.mdb.KIND, or remove it.  False when that failed, see errno.  Whether such
 * a file is there already, which is the one that an operator was told of.
 */
bool store_files_is_aside(const struct store_files *files, const char *kind);
bool store_files_set_aside(const struct store_files *files, const char *kind);
bool store_files_drop(const struct store_files *files);

/* Put the file NAME in the data file's place. */
bool store_files_put(const struct store_files *files, const char *name);

/*
 * Give the data file `fd` exactly *size bytes, and room on disk for all of them.  If the disk is
 * too full *size is reduced; where room cannot be reserved the file is left sparse.  Both with a
 * notice.  False when fewer than `least` bytes are available.
 */
bool store_files_reserve(const struct store_files *files, const char *path, int fd, uint64_t *size,
			 uint64_t least, struct diagnostic *notice);

#endif
