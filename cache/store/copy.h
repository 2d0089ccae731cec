/*
 * A copy of the store beside it, for after a power failure: data.mdb.copy.
 *
 * The data file itself is never synced while it is in use (files.h), and a periodic sync would not
 * help: a moment later the kernel has again written some pages of a commit and not others.  So the
 * file that survives a power failure is a separate one that is never modified: a copy, synced under
 * a temporary name and then renamed, so that it is always whole.
 *
 * A struct store_copy_end follows its last page.  It identifies the file that was copied, and has
 * the steady clock's time of the copy.  Records that were invalidated later are still in the copy:
 * so none of its records is used without validation, see restored_ms in store.h.
 */
#ifndef CACHE_STORE_COPY_H
#define CACHE_STORE_COPY_H

#include "cache/store/shared_map.h"
#include "cache/store/store.h"
#include "cache/store/files.h"

struct store_copy_end {
	uint64_t magic;
	uint32_t version, layout, format, unused;
	uint64_t size;        /* of the pages before it */
	uint64_t inode;       /* of the file that it is a copy of */
	uint64_t transaction; /* its last */
	int64_t wall_s;
	struct store_clock clock;
};

/* The requirements on a copy. */
struct store_copy_wanted {
	uint32_t layout, format;
	uint64_t size_max; /* of the pages */
};

/*
 * Read the copy through and check it.  NULL when it may be used, else the reason why not; "" when
 * there is none.  `ret_error` is errno when that is the reason, and nothing is known of the copy; else 0.
 */
const char *store_copy_fault(const struct store_files *files,
			     const struct store_copy_wanted *wanted, struct store_copy_end *ret_end,
			     int *ret_error);

/*
 * Put it in the place of the data file.  The clock's map is updated and synced first, so that after
 * a crash or power failure in between the copy's records are not trusted.
 */
bool store_copy_take(const struct store_files *files, const struct store_copy_end *end,
		     const struct shared_map *clock_map);

/* Remove an unfinished copy; remove the copy itself. */
void store_copy_sweep(const struct store_files *files);
void store_copy_remove(const struct store_files *files);

#endif
