/* Where the store is when the operator does not say, and making it for another user. */
#ifndef PROXY_PROCESS_STORE_DIR_H
#define PROXY_PROCESS_STORE_DIR_H

#include <stdbool.h>
#include <stddef.h>

#include "cache/base/diagnostic.h"

/*
 * The service manager's cache directory ($CACHE_DIRECTORY, the first of them); else, for `root`,
 * /var/cache/cache204; else cache204 in $XDG_CACHE_HOME or ~/.cache.  Nothing is made.  The caller
 * frees it; NULL with a line in `error`.
 */
char *store_dir_default(bool root, struct diagnostic *error);

/*
 * For root before becoming `user`: make the directory when missing, with its parents (which others
 * may pass through), and give it to the user.  One that has an owner other than root, holds
 * anything or may be written by others stays as it is: whether it will do shows when it is opened.
 * False with a line in `error`.
 */
bool store_dir_give(const char *path, const char *user, struct diagnostic *error);

/*
 * Whether a start could have its store there, with nothing made: by whoever asks, or by `user`
 * (empty for the same) when that is root.  False with a line in `error`.
 */
bool store_dir_check(const char *path, const char *user, struct diagnostic *error);

#endif
