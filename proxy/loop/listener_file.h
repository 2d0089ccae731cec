/*
 * The file of a listening Unix socket (unix(7)): made with its permissions, in the place of one
 * that a process that died has left, and removed again.  One that a process listens on is never
 * taken away.
 */
#ifndef PROXY_LOOP_LISTENER_FILE_H
#define PROXY_LOOP_LISTENER_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "cache/base/diagnostic.h"

/* Permissions of such a file, and to whom it is given: -1 for who makes it. */
struct listener_owner {
	unsigned mode;
	uid_t uid;
	gid_t gid;
};

/*
 * Which file it is: another may have its path by now.  While its socket is open no other file can
 * have the number, as that holds it.
 */
struct listener_file {
	dev_t device;
	ino_t number;
};

/*
 * A socket that is bound to `path`, and listens: so that others can tell it from one that was left
 * behind.  It does not block, and is closed on exec.  -1 with why in `error`.
 */
int listener_file_bind(const char *path, const struct listener_owner *owner, int backlog,
		       struct listener_file *ret_file, struct diagnostic *error);

/* Whether `path` is that file still. */
bool listener_file_is_there(const char *path, const struct listener_file *file);

/* Give it other permissions, if it is there still; false with errno. */
bool listener_file_set_mode(const char *path, const struct listener_file *file, unsigned mode);

/* Remove it, if it is there still. */
void listener_file_remove(const char *path, const struct listener_file *file);

#endif
