/*
 * A copy of the store beside it, for after a power failure: data.mdb.copy.
 *
 * The data file itself is never synced while it is in use (files.h), and a sync now and then would
 * not help: a moment later the kernel again has written some pages of a commit and not others. So
 * what is to outlive a power failure is a file of its own, which nobody writes to: a copy, synced
 * under another name and then renamed, so that under its name it is always whole.
 *
 * Behind its last page stands a struct store_copy_end.  It says what the copy is of, and what the
 * steady clock showed when it was made.  Whatever was invalidated since is in it still: so no
 * record of it is used without validation, see restored_ms in store.h.
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

/* What a copy must be to be taken. */
struct store_copy_wanted {
	uint32_t layout, format;
	uint64_t size_max; /* of the pages */
};

/*
 * Is there a whole one?  It is read through.  NULL when it may be taken, else why not; "" when
 * there is none.
 */
const char *store_copy_fault(const struct store_files *files,
			     const struct store_copy_wanted *wanted,
			     struct store_copy_end *ret_end);

/*
 * Put it in the data file's place.  The map of the clock is told first, and synced: who is killed
 * in between, or loses power, does not trust what the copy has.
 */
bool store_copy_take(const struct store_files *files, const struct store_copy_end *end,
		     const struct shared_map *clock_map);

/* Remove what is left of one that was not finished; the copy itself. */
void store_copy_sweep(const struct store_files *files);
void store_copy_remove(const struct store_files *files);

#endif
