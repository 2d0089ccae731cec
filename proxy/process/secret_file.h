/* Files that the operator names, read whole: passwords, keys, certificates. */
#ifndef PROXY_PROCESS_SECRET_FILE_H
#define PROXY_PROCESS_SECRET_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "cache/base/diagnostic.h"

/*
 * The text of a regular file of at most `most` bytes, a number of MiB, for secret_file_free().  One
 * that `is_secret` is refused when everybody may read it.  NULL, and `ret_why` says why.
 */
char *secret_file_read(const char *path, size_t most, bool is_secret, size_t *ret_size,
		       struct diagnostic *ret_why);

/* Wipes it as well; NULL is fine. */
void secret_file_free(char *text, size_t size);

#endif
