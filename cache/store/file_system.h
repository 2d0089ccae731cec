/*
 * What kind of file system a store's directory is on.  LMDB's locks and memory maps work between
 * the processes of one machine, and only where the file system shares their pages: on a network
 * file system two machines could write to one file without noticing each other.
 */
#ifndef CACHE_STORE_FILE_SYSTEM_H
#define CACHE_STORE_FILE_SYSTEM_H

#include <stddef.h>
#include <stdint.h>

#include "cache/base/diagnostic.h"

enum file_system_fit {
	FILE_SYSTEM_LOCAL,
	FILE_SYSTEM_NETWORK, /* no store may be there */
	FILE_SYSTEM_UNKNOWN, /* it may be either */
};

/* The name, a constant, is for messages; empty for a local one. */
struct file_system {
	enum file_system_fit fit;
	const char *name;
};

/* Of a type as statfs(2) has it.  Pure. */
struct file_system file_system_of_type(uint32_t type);

/*
 * Of an open directory; local when the system does not say.  `text` is one line on what that means
 * for a store at `path`, empty when it may be there.
 */
enum file_system_fit file_system_check(int directory, const char *path, struct diagnostic *text);

#endif
