/*
 * The store's directory: who may use it, how it was left, and what becomes of files that are of no
 * use.
 *
 *	data.mdb lock.mdb   LMDB's own
 *	lock                the locks below
 *	state               one line of text: boot id, clean or running, what data.mdb looked like
 *	visited clock noted shared maps (shared_map.h)
 *	instance            not the store's: the name of this installation (instance.h)
 *	data.mdb.copy       the last copy (cache/store/copy.h); data.mdb.copy.new while it is made
 *	data.mdb.damaged    set aside, one at most; data.mdb.foreign likewise
 *
 * Locks are open-file-description locks on four bytes of `lock`: SERVICE is held by the one service
 * that may use the directory, and passes to the processes it forks; OPENING while a process opens
 * or closes; USERS is shared by all that have the store open; WRITING is held from the begin of a
 * write transaction until after its commit was noted.  The kernel drops the locks of the dead.
 *
 * A path may come to name other files while processes have these open: somebody removes the
 * directory, one of its files, or puts another in its place.  Locks are of files, not of paths, so
 * `lock` alone would not keep a second service away then: the data file is locked by its users as
 * well, and store_place tells whether a path still names what a process has open.
 */
#ifndef CACHE_STORE_FILES_H
#define CACHE_STORE_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_DATA_NAME "data.mdb"

struct store_files {
	int directory; /* descriptors, -1 when closed */
	int lock;
	int data;   /* holds the lock of the data file's users */
	bool first; /* nobody else has the store open: the files may be judged and replaced */
};

/* How the last user left the store. */
enum store_left {
	STORE_LEFT_NOTHING,  /* there is no data file */
	STORE_LEFT_UNKNOWN,  /* a data file without a state of ours: not known to be this cache's */
	STORE_LEFT_CLEAN,    /* closed and synced, and untouched since */
	STORE_LEFT_TOUCHED,  /* closed and synced, but the data file is not as it was */
	STORE_LEFT_RUNNING,  /* not closed, but the system has stayed up: nothing was lost */
	STORE_LEFT_REBOOTED, /* not closed, and the system went down: anything may be lost */
};

/* How a file looks from outside. */
struct store_look {
	uint64_t inode, size;
	int64_t changed_ns; /* its ctime: no program can set it */
};
/* False when that cannot be told, or it is no regular file. */
bool store_files_look(int fd, struct store_look *ret_look);
bool store_look_eq(const struct store_look *a, const struct store_look *b);

/* The files that a store's processes share: what a path names, to be compared. */
enum { STORE_PLACE_FILES = 7 };
struct store_place {
	struct store_place_file {
		uint64_t device, inode; /* 0 when there is none */
	} files[STORE_PLACE_FILES];
};
/*
 * What a path names now.  Only what is known counts as changed, not a path that cannot be looked at
 * for want of memory or rights.
 */
bool store_files_in_place(const char *directory, const struct store_place *place);
bool store_files_lock_in_place(const char *directory, int lock);

/* What an opened directory has.  False when that cannot be told, or is not so. */
bool store_files_have_lock(const struct store_files *files, int lock);
bool store_files_place(const struct store_files *files, struct store_place *ret_place);

/* One line about what went wrong or was done; the first wins the room. */
struct store_notice {
	char *text;
	size_t size;
};
void store_notice_add(const struct store_notice *notice, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Take the service lock of a directory, which is made when missing.  Returns a descriptor that
 * holds the lock until it and its copies in forked processes are closed; -1 with a notice.
 */
int store_files_lock(const char *directory, const struct store_notice *notice);

/*
 * Open the directory and begin opening the store; waits for others that are opening or closing it.
 * store_files_opened() ends that; store_files_close() undoes both.  False with a notice.
 */
bool store_files_open(struct store_files *files, const char *directory, bool exclusive,
		      const struct store_notice *notice);
bool store_files_opened(struct store_files *files);

/* Instead of store_files_opened(): no user of the store, but the directory stays open. */
void store_files_leave(struct store_files *files);

/*
 * Whether the data file of the directory is open in another process, although `lock` says that
 * there is none: that file was exchanged, then.
 */
bool store_files_data_in_use(const struct store_files *files);

/* Hold the lock that tells this, until store_files_close(); false when it cannot be had. */
bool store_files_use_data(struct store_files *files);

/*
 * Whether the kernel still has the first page of a file in memory.  What processes have written and
 * the kernel has not yet brought to the disk is there: so a file of which nothing is may come from
 * a disk that was taken away, maybe put back to an earlier state, and mounted again.
 */
bool store_files_is_cached(const struct store_files *files, const char *name);

/* Begin closing: waits as above; `first` is then whether this is the last user. */
void store_files_closing(struct store_files *files);
void store_files_close(struct store_files *files);

/*
 * Taken after the database's own lock of writers, so that nobody waits for it long.  False when it
 * cannot be had.
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

/* Move the data file to data.mdb.KIND, or remove it.  False when that failed, see errno. */
bool store_files_set_aside(const struct store_files *files, const char *kind);
bool store_files_drop(const struct store_files *files);

/* Put the file NAME in the data file's place. */
bool store_files_put(const struct store_files *files, const char *name);

/*
 * Give the data file `fd` exactly *size bytes, and room on disk for all of them.  On a disk too
 * full *size comes back smaller; where room cannot be reserved the file is left sparse.  Both with
 * a notice. False when not even `least` bytes are to be had.
 */
bool store_files_reserve(const struct store_files *files, const char *path, int fd, uint64_t *size,
			 uint64_t least, const struct store_notice *notice);

#endif
