/* Opening and closing the store: judging the files, reserving room, the maps beside the tables. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cache/base/diagnostic.h"
#include "cache/store/copy.h"
#include "cache/store/impl.h"
#include "cache/store/passing.h"
#include "cache/store/store.h"

enum {
	SLOT_BYTES = 256, /* a visited bit per so many bytes of store; smaller entries share bits */
	VISITED_VERSION = 4,
	CLOCK_VERSION = 2,
	NOTE_VERSION = 2,
	INVALIDATIONS_VERSION = 2,
};

/* What a file of others is set aside as, and numbers from the second on. */
#define FOREIGN "foreign"

#define VISITED_MAGIC UINT64_C(0x6465746973697634)
#define CLOCK_MAGIC UINT64_C(0x6b636f6c63343032)
#define NOTE_MAGIC UINT64_C(0x6465746f6e343032)

#define INVALIDATIONS_MAGIC UINT64_C(0x6c61766e69343032)

static const struct shared_map_spec invalidations_spec = {.name = "invalidations",
							  .magic = INVALIDATIONS_MAGIC,
							  .version = INVALIDATIONS_VERSION,
							  .size = sizeof(struct invalidations)};

const struct shared_map_spec store_clock_spec = {.name = "clock",
						 .magic = CLOCK_MAGIC,
						 .version = CLOCK_VERSION,
						 .size = sizeof(struct store_clock)};

const struct shared_map_spec store_note_spec = {.name = "noted",
						.magic = NOTE_MAGIC,
						.version = NOTE_VERSION,
						.size = sizeof(struct store_note)};

/* Without the map it is unknown which records of the store and its copy may be used. */
static const char invalidations_lost[] = "the times of its invalidations are lost";
static const char clock_lost[] = "the clock of its purges is lost";

static uint64_t page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

/*
 * Of damaged files an operator has the first to look at, and the next are not kept.  Files of others
 * are kept, as many as there are names for.
 */
static const char *kind_to_keep(const struct store *store, const char *kind,
				struct diagnostic *notice)
{
	static const char *const of_others[] = {
		FOREIGN,      FOREIGN ".2", FOREIGN ".3", FOREIGN ".4", FOREIGN ".5",
		FOREIGN ".6", FOREIGN ".7", FOREIGN ".8", FOREIGN ".9",
	};
	bool is_of_others = kind != NULL && strcmp(kind, FOREIGN) == 0;

	for (size_t i = 0; is_of_others && i < sizeof(of_others) / sizeof(of_others[0]); i++)
		if (!store_files_is_aside(&store->files, of_others[i]))
			return of_others[i];
	if (kind == NULL || !store_files_is_aside(&store->files, kind))
		return kind;
	diagnostic_add(notice, "%s/" STORE_DATA_NAME ".%s: is kept from before, so not this time",
		       store->directory, kind);
	return NULL;
}

/* `kind` NULL: the file is useless and is removed. */
static bool discard(struct store *store, const char *kind, struct diagnostic *notice,
		    const char *why)
{
	bool done;

	kind = kind_to_keep(store, kind, notice);
	done = kind != NULL ? store_files_set_aside(&store->files, kind)
			    : store_files_drop(&store->files);
	store->renewed = true;
	if (!done)
		diagnostic_add(notice, "%s/" STORE_DATA_NAME ": %s, and cannot be moved away: %s",
			       store->directory, why, strerror(errno));
	else if (kind != NULL)
		diagnostic_add(notice,
			       "%s/" STORE_DATA_NAME ": %s; set aside as " STORE_DATA_NAME
			       ".%s and begun anew",
			       store->directory, why, kind);
	else
		diagnostic_add(notice, "%s/" STORE_DATA_NAME ": %s; begun anew", store->directory,
			       why);
	return done;
}

/*
 * Does this error end the opening, so that the file is kept as it is?  A failure of the disk that comes at
 * opening after opening does not, so that the service starts in the end.
 */
static bool ends_opening(struct store *store, const char *name, int error,
			 struct diagnostic *notice)
{
	if (!store_error_passes(error) || (error == EIO && !store_note_unread(store->note)))
		return false;
	diagnostic_add(notice, "%s/%s: cannot be read: %s: the store is kept for the next start",
		       store->directory, name, strerror(error));
	return true;
}

/*
 * The data file is lost: replace it with the copy, or start with an empty one.  It is set aside as
 * `kind`, as in discard().
 */
static bool replace(struct store *store, const char *kind, struct diagnostic *notice,
		    const char *why)
{
	struct store_copy_wanted wanted = {store->tables.layout, store->tables.format,
					   store->tables.size - page_size()};
	const char *fault = "";
	struct store_copy_end end;
	char date[32] = "";
	struct tm tm;
	int error = 0;

	if (store->copied)
		fault = store_copy_fault(&store->files, &wanted, &end, &error);
	if (ends_opening(store, STORE_DATA_NAME ".copy", error, notice))
		return false;
	if (fault == NULL && store->invalidations_lost)
		fault = invalidations_lost;
	if (fault != NULL) {
		if (fault[0] != '\0')
			diagnostic_add(notice, "%s/" STORE_DATA_NAME ".copy: %s", store->directory,
				       fault);
		return discard(store, kind, notice, why);
	}
	store->renewed = true;
	kind = kind_to_keep(store, kind, notice);
	if ((kind != NULL && !store_files_set_aside(&store->files, kind)) ||
	    !store_copy_take(&store->files, &end, &store->clock_map)) {
		diagnostic_add(notice, "%s/" STORE_DATA_NAME ": %s, and cannot be replaced: %s",
			       store->directory, why, strerror(errno));
		return false;
	}
	if (gmtime_r(&(time_t){end.wall_s}, &tm) != NULL)
		strftime(date, sizeof(date), "%F %T", &tm);
	diagnostic_add(notice,
		       "%s/" STORE_DATA_NAME ": %s; its copy of %s UTC takes its place, to be "
		       "validated before use",
		       store->directory, why, date);
	return true;
}

/*
 * A map that the disk fails to read is begun anew: at once when nothing is lost with it, else, as the data file,
 * when that comes at opening after opening.
 */
static bool is_begun_anew(struct store *store, const struct shared_map *map, int error)
{
	if (!store->files.first || error != EIO)
		return false;
	return map == &store->note_map || map == &store->visited_map ||
	       !store_note_unread(store->note);
}

static bool map_open(struct store *store, struct shared_map *map,
		     const struct shared_map_spec *spec, struct diagnostic *notice, bool *ret_fresh)
{
	enum shared_map_result result =
		shared_map_open(map, store->files.directory, spec, store->files.first);

	if (result == SHARED_MAP_FAILED && is_begun_anew(store, map, errno))
		result = shared_map_renew(map, store->files.directory, spec);
	*ret_fresh = result == SHARED_MAP_FRESH;
	if (result == SHARED_MAP_KEPT || result == SHARED_MAP_FRESH)
		return true;
	diagnostic_add(notice, "%s/%s: %s", store->directory, spec->name,
		       result == SHARED_MAP_WRONG
			       ? "damaged or of another version, while the store is in use"
			       : strerror(errno));
	return false;
}

/* Whether the file is unchanged since its last user: then checking its head is enough. */
static bool is_as_left(const struct store *store, enum store_left left, int fd)
{
	struct store_check check;

	if (left == STORE_LEFT_CLEAN)
		return !store_note_is_doubted(store->note);
	/*
	 * If the disk was unmounted before pages of the last commits reached it, they are lost
	 * although head and note may agree.
	 */
	return left == STORE_LEFT_RUNNING && store->note_was_cached &&
	       store_check_head(fd, &check) && store_note_holds(store->note, fd, check.transaction);
}

/*
 * Is the data file fit to be opened?  If not it is moved away; false when that failed.  `ret_note` is the note to
 * begin with.
 */
static bool judge(struct store *store, struct store_note *ret_note, struct diagnostic *notice)
{
	enum store_left left = store_files_left(&store->files);
	struct store_check check = {.why = "it cannot be opened"};
	bool good = false;
	int fd;

	*ret_note = (struct store_note){0};
	/*
	 * With the clock a purge of everything is lost.  After a power failure the copy has a clock of its own; else
	 * it is as if the invalidation times were lost, at a later start, too, if this one fails.
	 */
	if (store->clock_lost && left != STORE_LEFT_REBOOTED) {
		store->invalidations_lost = true;
		/* relaxed: no other process has the store open */
		atomic_store_explicit(&store_invalidations(store)->last, 0, memory_order_relaxed);
	}
	store->renewed = left == STORE_LEFT_NOTHING;
	if (left == STORE_LEFT_NOTHING)
		return true;
	if (left == STORE_LEFT_UNREAD) {
		check = (struct store_check){.why = "how it was left cannot be read",
					     .error = errno};
		return !ends_opening(store, "state", check.error, notice) &&
		       replace(store, "damaged", notice, check.why);
	}
	if (left == STORE_LEFT_UNKNOWN)
		return discard(store, FOREIGN, notice, "it is not known to be this cache's");
	if (left == STORE_LEFT_REBOOTED)
		return replace(store, NULL, notice, "the system went down while it was in use");
	fd = openat(store->files.directory, STORE_DATA_NAME, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0) {
		good = is_as_left(store, left, fd) ? store_check_head(fd, &check)
						   : store_check_tree(fd, &check);
		close(fd);
	} else {
		check.error = errno;
	}
	if (ends_opening(store, STORE_DATA_NAME, check.error, notice))
		return false;
	if (good && !store_note_acquit(store->note, check.transaction, ret_note)) {
		*ret_note = (struct store_note){0};
		good = false;
		check.why = "processes that use it die again and again";
	}
	if (!good)
		return replace(store, "damaged", notice, check.why);
	if (check.pages >= store->tables.size / page_size())
		return discard(store, NULL, notice, "it is larger than it may be");
	return true;
}

static bool data_reserve(struct store *store, struct diagnostic *notice)
{
	uint64_t least = tables_pages(&store->tables) * page_size(), size = store->tables.size;

	if (least < STORE_SIZE_MIN)
		least = STORE_SIZE_MIN;
	if (!store_files_reserve(&store->files, store->directory, tables_fd(&store->tables), &size,
				 least, notice))
		return false;
	if (tables_resize(&store->tables, size) == STORE_OK)
		return true;
	diagnostic_add(notice, "%s: %s", store->directory, store->tables.error.text);
	return false;
}

/* NULL for none. */
static const char *reason_to_discard(const struct store *store, enum tables_opened opened)
{
	if (opened == TABLES_OTHER_FORMAT)
		return "it is of another version";
	return opened == TABLES_OPENED && store->invalidations_lost && !store->renewed
		       ? (store->clock_lost ? clock_lost : invalidations_lost)
		       : NULL;
}

static bool invalidations_begin(struct store *store, struct diagnostic *notice)
{
	if (!store->renewed) {
		invalidation_recover(store_invalidations(store));
		return true;
	}
	invalidation_begin_life(store_invalidations(store));
	/* Sync it, so that epochs are not given out a second time after a power failure. */
	if (shared_map_sync(&store->invalidations_map))
		return true;
	diagnostic_add(notice, "%s/invalidations: %s", store->directory, strerror(errno));
	return false;
}

/* For the first process: check the files, and replace them if necessary. */
static bool open_first(struct store *store, struct diagnostic *notice)
{
	enum tables_opened opened;
	struct store_note note;
	const char *why;

	if (store_files_data_in_use(&store->files)) {
		diagnostic_add(notice,
			       "%s: its lock was removed while another service uses this store",
			       store->directory);
		return false;
	}
	store_copy_sweep(&store->files);
	if (!store->copied)
		store_copy_remove(&store->files);
	if (!judge(store, &note, notice))
		return false;
	if (store->invalidations_lost)
		store_copy_remove(&store->files);
	*store->note = note;
	if (!store_files_mark(&store->files, -1)) {
		diagnostic_add(notice, "%s: cannot be written: %s", store->directory,
			       strerror(errno));
		return false;
	}
	opened = tables_open(&store->tables);
	why = reason_to_discard(store, opened);
	if (why != NULL) {
		tables_close(&store->tables);
		if (!discard(store, NULL, notice, why))
			return false;
		opened = tables_open(&store->tables);
	}
	if (opened != TABLES_OPENED) {
		diagnostic_add(notice, "%s: %s", store->directory, store->tables.error.text);
		return false;
	}
	if (!data_reserve(store, notice) || !invalidations_begin(store, notice))
		return false;
	store_note_take(store->note, tables_fd(&store->tables),
			tables_last_transaction(&store->tables));
	return true;
}

static uint32_t slots_for(uint64_t size)
{
	uint64_t slots = size / SLOT_BYTES;

	if (slots < EVICT_SLOTS_MIN)
		slots = EVICT_SLOTS_MIN;
	return slots < UINT32_MAX ? (uint32_t)slots : UINT32_MAX;
}

static size_t visited_size(uint64_t size)
{
	return sizeof(struct store_shared) + evict_words(slots_for(size)) * sizeof(uint64_t);
}

/* Opened by the first process with the size it decided on, by others to learn that size. */
static bool visited_open(struct store *store, struct diagnostic *notice, bool *ret_fresh)
{
	struct shared_map_spec spec = {
		.name = "visited", .magic = VISITED_MAGIC, .version = VISITED_VERSION};
	struct shared_map *map = &store->visited_map;

	if (store->files.first)
		spec.size = visited_size(store->tables.size);
	if (!map_open(store, map, &spec, notice, ret_fresh))
		return false;
	store->shared = map->data;
	if (store->files.first)
		store->shared->bound = store->tables.size;
	if (map->size < sizeof(*store->shared) || map->size != visited_size(store->shared->bound)) {
		diagnostic_add(notice, "%s/visited: damaged, while the store is in use",
			       store->directory);
		return false;
	}
	store->bits.words = (void *)(store->shared + 1);
	store->bits.slots = slots_for(store->shared->bound);
	return true;
}

/* Whether the directory has the files that all processes of the store are to have open. */
static bool place_check(struct store *store, struct diagnostic *notice)
{
	if (store_files_place(&store->files, &store->place) &&
	    memcmp(&store->place, &store->shared->place, sizeof(store->place)) == 0)
		return true;
	diagnostic_add(notice, "%s: files were removed or exchanged while the store is in use",
		       store->directory);
	return false;
}

/* Check the place before LMDB opens, and possibly creates, any file, and again afterwards. */
static bool open_next(struct store *store, struct diagnostic *notice)
{
	enum tables_opened opened;
	bool fresh;

	if (!visited_open(store, notice, &fresh) || !place_check(store, notice))
		return false;
	if (store->tables.size != store->shared->bound)
		diagnostic_add(notice, "%s: in use with another size, which it keeps",
			       store->directory);
	store->tables.size = store->shared->bound;
	opened = tables_open(&store->tables);
	if (opened == TABLES_OPENED)
		return place_check(store, notice);
	diagnostic_add(notice, "%s: %s", store->directory,
		       opened == TABLES_OTHER_FORMAT ? "in use with another version"
						     : store->tables.error.text);
	return false;
}

/* The maps with one struct each: the first process creates them anew if necessary. */
static bool small_maps_open(struct store *store, struct diagnostic *notice)
{
	bool fresh;

	store->note_was_cached = store_files_is_cached(&store->files, store_note_spec.name);
	if (!map_open(store, &store->note_map, &store_note_spec, notice, &fresh))
		return false;
	store->note = store->note_map.data;
	if (fresh) /* the old one may have said so */
		store_note_doubt(store->note);
	if (!map_open(store, &store->clock_map, &store_clock_spec, notice, &store->clock_lost) ||
	    !map_open(store, &store->invalidations_map, &invalidations_spec, notice,
		      &store->invalidations_lost))
		return false;
	/* Each life has epochs above 0: one that has not begun is of a start that failed, and they are lost. */
	if (store->files.first && invalidation_now(store_invalidations(store)) == 0)
		store->invalidations_lost = true;
	return true;
}

/* The directory must be the one that the service has locked, not a replacement. */
static bool files_open(struct store *store, const struct store_options *options,
		       struct diagnostic *notice)
{
	if (!store_files_open(&store->files, store->directory, options->exclusive, notice))
		return false;
	if (options->exclusive || options->lock == 0 ||
	    store_files_have_lock(&store->files, options->lock))
		return true;
	diagnostic_add(notice, "%s: was removed or exchanged while the service uses it",
		       store->directory);
	return false;
}

static bool place_note(struct store *store, struct diagnostic *notice)
{
	if (store->files.first && store_files_place(&store->files, &store->place))
		store->shared->place = store->place;
	if (!place_check(store, notice))
		return false;
	if (store_files_use_data(&store->files))
		return true;
	diagnostic_add(notice, "%s: cannot be held: %s", store->directory, strerror(errno));
	return false;
}

static bool open_all(struct store *store, const struct store_options *options,
		     struct diagnostic *notice)
{
	struct store_usage usage;
	bool fresh = false;

	if (!files_open(store, options, notice) || !small_maps_open(store, notice))
		return false;
	if (store->files.first ? !open_first(store, notice) || !visited_open(store, notice, &fresh)
			       : !open_next(store, notice))
		return false;
	if (!place_note(store, notice))
		return false;
	store_room_init(&store->room, store->tables.size, (uint32_t)page_size());
	if (fresh) {
		store_usage(store, &usage);
		evict_reset(&store->shared->evict, usage.entries);
	}
	if (store_files_opened(&store->files))
		return true;
	diagnostic_add(notice, "%s: cannot be locked: %s", store->directory, strerror(errno));
	return false;
}

static void release(struct store *store)
{
	tables_close(&store->tables);
	shared_map_close(&store->visited_map);
	shared_map_close(&store->clock_map);
	shared_map_close(&store->note_map);
	shared_map_close(&store->invalidations_map);
	store_files_close(&store->files);
	free(store);
}

struct store *store_open(const struct store_options *options, struct diagnostic *notice)
{
	struct store *store = calloc(1, sizeof(*store));

	diagnostic_clear(notice);
	if (store == NULL) {
		diagnostic_add(notice, "no memory for the store");
		return NULL;
	}
	store->files = (struct store_files)STORE_FILES_NONE;
	store->tables = (struct tables){.directory = store->directory,
					.size = options->size - options->size % page_size(),
					.readers = options->readers,
					.layout = STORE_VALUE_LAYOUT,
					.format = options->format};
	store->copied = options->copied;
	snprintf(store->directory, sizeof(store->directory), "%s", options->directory);
	if (store->tables.size < STORE_SIZE_MIN)
		diagnostic_add(notice, "%s: a store needs 1 MiB: raise store_size",
			       store->directory);
	else if (open_all(store, options, notice))
		return store;
	release(store);
	return NULL;
}

int store_lock(const char *directory, struct diagnostic *notice)
{
	diagnostic_clear(notice);
	return store_files_lock(directory, notice);
}

bool store_lock_in_place(const char *directory, int lock)
{
	return store_files_lock_in_place(directory, lock);
}

bool store_in_place(const struct store *store)
{
	return store_files_in_place(store->directory, &store->place);
}

void store_close(struct store *store)
{
	int data = -1;

	if (store == NULL)
		return;
	store_abort(store);
	store_files_closing(&store->files);
	/*
	 * Sync the clock, too: otherwise, after a power failure, purged records would come back and
	 * restored records would be trusted.
	 */
	if (store->files.first && tables_sync(&store->tables) == STORE_OK &&
	    shared_map_sync(&store->clock_map) && shared_map_sync(&store->invalidations_map))
		data = fcntl(tables_fd(&store->tables), F_DUPFD_CLOEXEC, 0);
	tables_close(&store->tables);
	/* If this fails, the next opening has to check the file, or after a reboot to drop it. */
	if (data >= 0) {
		(void)store_files_mark(&store->files, data);
		close(data);
	}
	release(store);
}
