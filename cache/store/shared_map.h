/*
 * A small file mapped by several processes, for what they share beside the database.
 *
 * Its head names what it is (magic), the layout (version) and the size; a file that differs is
 * never used.  The file's room is reserved before it is mapped, so that writing to the map cannot
 * meet a full disk, which would be a SIGBUS.  What was not synced may be lost.
 */
#ifndef CACHE_STORE_SHARED_MAP_H
#define CACHE_STORE_SHARED_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct shared_map {
	void *data;  /* 64-byte aligned; NULL when closed */
	size_t size; /* of data */
};

struct shared_map_spec {
	const char *name; /* file name in the directory */
	uint64_t magic;
	uint32_t version;
	size_t size; /* of data; 0 takes the size that the file has (not with `renew`) */
};

enum shared_map_result {
	SHARED_MAP_KEPT,   /* as it was left */
	SHARED_MAP_FRESH,  /* begun anew, all zero */
	SHARED_MAP_WRONG,  /* not what the spec says, and not `renew` */
	SHARED_MAP_FAILED, /* errno says why */
};

/*
 * `directory` is a descriptor.  With `renew` a missing or wrong file is replaced: only when no
 * other process has it mapped.
 */
enum shared_map_result shared_map_open(struct shared_map *map, int directory,
				       const struct shared_map_spec *spec, bool renew);

/* Begin it anew, whatever the file is: only when no other process has it mapped. */
enum shared_map_result shared_map_renew(struct shared_map *map, int directory,
					const struct shared_map_spec *spec);

/* Sync the content to disk; false with errno.  Blocks: not for the event loop. */
bool shared_map_sync(const struct shared_map *map);

void shared_map_close(struct shared_map *map);

#endif
