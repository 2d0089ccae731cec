/* The hosts file (hosts(5)): addresses for names, known without asking anybody. */
#ifndef PROXY_DNS_HOSTS_H
#define PROXY_DNS_HOSTS_H

#include "cache/base/diagnostic.h"
#include "proxy/base/address.h"

enum {
	HOSTS_SIZE_MAX =
		4 * 1024 * 1024, /* a larger file is refused: it is read between two events */
	HOSTS_CHECK_MS = 1000,   /* look at the file for changes no more often */
};

/* The names of a file; owns what it points to. */
struct hosts;

/*
 * Lines of an address and names, "#" to the end of the line a comment.  A line whose first word is
 * no numeric address (address_parse()) is passed over, and so is a word that is no host name.  NULL
 * when out of memory.
 */
struct hosts *hosts_parse(struct slice text);
void hosts_free(struct hosts *hosts);

/* All addresses of a name in normal form, IPv6 and IPv4 in turn.  False when it has none. */
bool hosts_find(const struct hosts *hosts, struct slice name, struct addresses *ret_found);

/* A file that is read again when it has changed. */
struct hosts_file;

/*
 * Read it.  No file is an empty one.  NULL with a message in `error` when it cannot be read, is no
 * regular file, or too large.
 */
struct hosts_file *hosts_file_open(const char *path, struct diagnostic *error);
void hosts_file_close(struct hosts_file *file);

/*
 * What it says now, valid until the next call.  Costs a stat() when HOSTS_CHECK_MS have passed.
 * When the file has become unreadable or too large, what was read before stays.  `now_ms` is
 * monotonic.
 */
const struct hosts *hosts_file_current(struct hosts_file *file, int64_t now_ms);

#endif
