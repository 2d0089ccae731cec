/* LMDB in memory; see fake_lmdb.h. */
#include "tests/doubles/fake_lmdb.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/store/check.h"
#include "tests/doubles/store_memory.h"
#include "tests/doubles/sure_memory.h"

enum {
	PAGE = 4096,
	TREES = 8, /* the free list, the names, and those named */
	FREE_TREE = 0,
	MAIN_TREE = 1,
	FREED_MAX = 4096,
	LEAF_BYTES = 3000, /* of rows, in a page that is not quite full */
	LEAF_VALUE = 2000, /* longer ones have pages of their own */
	BRANCH_ROWS = 100, /* leaves of a branch */
	PATH_PAGES = 2,    /* that a change touches, beside those of its value */
	FIRST_PAGES = 2,   /* the two heads */
	NAME_SIZE = 32,
	OVERWRITTEN = 0xdd, /* what is left of a loan */
};

#define IMAGE_MAGIC UINT64_C(0x6b736964656b6166)

struct row {
	unsigned refs;
	size_t key_size, size;
	_Alignas(16) char bytes[]; /* the key, padded, then the value */
};

struct tree {
	struct row **rows; /* in order */
	size_t count, room;
};

/* What was committed at one time. */
struct version {
	unsigned refs;
	uint64_t id;
	struct tree trees[TREES];
};

/* A data file. */
struct disk {
	struct disk *next;
	ino_t inode;
	struct version *now;
	char names[TREES][NAME_SIZE];
	bool integer[TREES];
	unsigned tree_count;
	MDB_txn *writing;
	uint64_t high; /* pages ever used */
	struct {
		uint64_t id, pages;
	} freed[FREED_MAX];
	unsigned freed_count;
};

struct MDB_env {
	struct MDB_env *next;
	struct disk *disk;
	unsigned worker;
	bool dead, panic, copies; /* copies: opened to read the whole */
	size_t map_size;
	int fd, lock_fd;
	MDB_txn *readers;
};

/* Memory that a call returned. */
struct loan {
	struct loan *next;
	size_t size;
	_Alignas(16) char bytes[];
};

struct MDB_txn {
	MDB_env *env;
	MDB_txn *next;           /* of its environment's readers */
	MDB_txn *parent, *child; /* that it is nested in, and the other way round */
	MDB_cursor *cursors;
	struct version *version; /* a reader's; NULL between reset and renew */
	bool writes, broken, dirty;
	struct tree trees[TREES];
	uint64_t taken; /* pages */
	struct loan *loans;
};

struct MDB_cursor {
	MDB_cursor *next;
	MDB_txn *txn;
	MDB_dbi tree;
	size_t at;
};

/* Of an image: what mdb_env_copyfd2() writes, whole pages. */
struct image_head {
	uint64_t magic, pages, id, size, sum, tree_count;
	char names[TREES][NAME_SIZE];
	uint64_t integer[TREES];
};

static struct disk *disks;
static MDB_env *envs;
static unsigned worker;
static void (*watch_call)(void), (*watch_wait)(void);
static uint64_t trace;
static unsigned fail_after;
static enum store_result fail_result;
static bool fail_armed;

/* ---- calls ---------------------------------------------------------------------------------- */

void store_memory_watch(void (*call)(void), void (*wait)(void))
{
	watch_call = call;
	watch_wait = wait;
}

void store_memory_fail(unsigned n, enum store_result result)
{
	fail_after = n;
	fail_result = result;
	fail_armed = true;
}

bool store_memory_fail_never(void)
{
	bool happened = !fail_armed;

	fail_armed = false;
	return happened;
}

uint64_t fake_lmdb_trace(void)
{
	return trace;
}

static void note(uint64_t what)
{
	trace = (trace ^ what) * UINT64_C(1099511628211);
}

/* At the beginning of each call, which may be where the worker stops, or is killed. */
static void at_call(unsigned what)
{
	note(what * 16 + worker);
	if (watch_call != NULL)
		watch_call();
}

void fake_lmdb_stop(unsigned what)
{
	at_call(what);
}

/* 0, or what this call fails with. */
static int fails(void)
{
	if (!fail_armed || fail_after-- > 0)
		return 0;
	fail_armed = false;
	return fail_result == STORE_FULL ? MDB_MAP_FULL : EIO;
}

void fake_lmdb_wait(void)
{
	note(1);
	if (watch_wait != NULL)
		watch_wait();
}

void fake_lmdb_be(unsigned of)
{
	worker = of;
}

char *mdb_strerror(int err)
{
	static char map_full[] = "the map is full", not_found[] = "not found", panic[] = "panic",
		    bad[] = "bad transaction";

	switch (err) {
	case MDB_MAP_FULL:
		return map_full;
	case MDB_NOTFOUND:
		return not_found;
	case MDB_PANIC:
		return panic;
	case MDB_BAD_TXN:
		return bad;
	default:
		return strerror(err);
	}
}

/* ---- rows and versions ---------------------------------------------------------------------- */

static size_t value_at(const struct row *row)
{
	return (row->key_size + 15) / 16 * 16;
}

static struct row *row_new(const void *key, size_t key_size, size_t size)
{
	size_t at = (key_size + 15) / 16 * 16;
	struct row *row = sure_memory(NULL, 1, sizeof(*row) + at + size);

	row->refs = 1;
	row->key_size = key_size;
	row->size = size;
	memcpy(row->bytes, key, key_size);
	return row;
}

static void row_drop(struct row *row)
{
	if (--row->refs > 0)
		return;
	memset(row->bytes, OVERWRITTEN, value_at(row) + row->size);
	free(row);
}

static void trees_copy(struct tree *to, const struct tree *from)
{
	for (unsigned i = 0; i < TREES; i++) {
		to[i] = (struct tree){.count = from[i].count, .room = from[i].count + 8};
		to[i].rows = sure_memory(NULL, to[i].room, sizeof(to[i].rows[0]));
		for (size_t n = 0; n < from[i].count; n++) {
			to[i].rows[n] = from[i].rows[n];
			to[i].rows[n]->refs++;
		}
	}
}

static void trees_drop(struct tree *trees)
{
	for (unsigned i = 0; i < TREES; i++) {
		for (size_t n = 0; n < trees[i].count; n++)
			row_drop(trees[i].rows[n]);
		free(trees[i].rows);
		trees[i] = (struct tree){.count = 0};
	}
}

static void version_drop(struct version *version)
{
	if (version == NULL || --version->refs > 0)
		return;
	trees_drop(version->trees);
	free(version);
}

static int compare(bool integer, const void *a, size_t a_size, const void *b, size_t b_size)
{
	size_t n = a_size < b_size ? a_size : b_size;
	uint64_t x, y;
	int order;

	if (integer) {
		assert(a_size == sizeof(x) && b_size == sizeof(y));
		memcpy(&x, a, sizeof(x));
		memcpy(&y, b, sizeof(y));
		return (x > y) - (x < y);
	}
	order = memcmp(a, b, n);
	return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

/* The first row at or after the key. */
static size_t tree_find(const struct tree *tree, bool integer, const MDB_val *key, bool *ret_equal)
{
	size_t low = 0, high = tree->count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct row *row = tree->rows[middle];

		if (compare(integer, row->bytes, row->key_size, key->mv_data, key->mv_size) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_equal = low < tree->count &&
		     compare(integer, tree->rows[low]->bytes, tree->rows[low]->key_size,
			     key->mv_data, key->mv_size) == 0;
	return low;
}

static void tree_insert(struct tree *tree, size_t at, struct row *row)
{
	if (tree->count == tree->room) {
		tree->room = 2 * tree->room + 8;
		tree->rows = sure_memory(tree->rows, tree->room, sizeof(tree->rows[0]));
	}
	memmove(tree->rows + at + 1, tree->rows + at, (tree->count - at) * sizeof(tree->rows[0]));
	tree->rows[at] = row;
	tree->count++;
}

static void tree_remove(struct tree *tree, size_t at)
{
	row_drop(tree->rows[at]);
	tree->count--;
	memmove(tree->rows + at, tree->rows + at + 1, (tree->count - at) * sizeof(tree->rows[0]));
}

/* ---- pages ---------------------------------------------------------------------------------- */

static uint64_t own_pages(size_t size)
{
	return size > LEAF_VALUE ? (16 + size + PAGE - 1) / PAGE : 0;
}

static MDB_stat tree_stat(const struct tree *tree)
{
	MDB_stat stat = {.ms_psize = PAGE, .ms_entries = tree->count};
	size_t bytes = 0;

	for (size_t i = 0; i < tree->count; i++) {
		stat.ms_overflow_pages += own_pages(tree->rows[i]->size);
		bytes += 8 + tree->rows[i]->key_size +
			 (own_pages(tree->rows[i]->size) > 0 ? 8 : tree->rows[i]->size);
	}
	stat.ms_leaf_pages = (bytes + LEAF_BYTES - 1) / LEAF_BYTES;
	if (stat.ms_leaf_pages > 1)
		stat.ms_branch_pages = 1 + stat.ms_leaf_pages / BRANCH_ROWS;
	stat.ms_depth = stat.ms_leaf_pages == 0 ? 0 : stat.ms_branch_pages > 0 ? 2 : 1;
	return stat;
}

static uint64_t trees_pages(const struct tree *trees)
{
	uint64_t pages = FIRST_PAGES;

	for (unsigned i = 0; i < TREES; i++) {
		MDB_stat stat = tree_stat(&trees[i]);

		pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
	}
	return pages;
}

static uint64_t oldest_reader(const struct disk *disk)
{
	uint64_t oldest = disk->now->id;

	for (const MDB_env *env = envs; env != NULL; env = env->next)
		for (const MDB_txn *txn = env->readers; txn != NULL; txn = txn->next)
			if (env->disk == disk && txn->version != NULL && txn->version->id < oldest)
				oldest = txn->version->id;
	return oldest;
}

/* Free for the transaction: freed before the oldest reader, and never used. */
static uint64_t free_pages(const struct disk *disk, size_t map_size)
{
	uint64_t oldest = oldest_reader(disk), pages = map_size / PAGE;

	pages = pages > disk->high ? pages - disk->high : 0;
	for (unsigned i = 0; i < disk->freed_count; i++)
		if (disk->freed[i].id < oldest)
			pages += disk->freed[i].pages;
	return pages;
}

/* Take pages for what was changed, and free those that were changed. */
static void pages_commit(struct disk *disk, uint64_t taken, uint64_t before, uint64_t after)
{
	uint64_t oldest = oldest_reader(disk), left;
	unsigned kept = 0;

	if (after > before + taken)
		taken = after - before;
	left = taken;
	for (unsigned i = 0; i < disk->freed_count; i++) {
		uint64_t *pages = &disk->freed[i].pages;

		if (disk->freed[i].id < oldest) {
			uint64_t used = left < *pages ? left : *pages;

			left -= used;
			*pages -= used;
		}
		if (*pages > 0)
			disk->freed[kept++] = disk->freed[i];
	}
	disk->freed_count = kept;
	disk->high += left;
	if (before + taken > after && disk->freed_count < FREED_MAX) {
		disk->freed[disk->freed_count].id = disk->now->id + 1;
		disk->freed[disk->freed_count++].pages = before + taken - after;
	}
}

/* ---- data files ----------------------------------------------------------------------------- */

static struct disk *disk_at(int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return NULL;
	for (struct disk *disk = disks; disk != NULL; disk = disk->next)
		if (disk->inode == st.st_ino)
			return disk;
	return NULL;
}

static bool image_head(int fd, struct image_head *ret_head)
{
	return pread(fd, ret_head, sizeof(*ret_head), 0) == (ssize_t)sizeof(*ret_head) &&
	       ret_head->magic == IMAGE_MAGIC;
}

static uint64_t sum_of(const char *bytes, size_t n)
{
	uint64_t sum = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < n; i++)
		sum = (sum ^ (unsigned char)bytes[i]) * UINT64_C(1099511628211);
	return sum;
}

/* The rows of an image, checked; NULL. */
static char *image_read(int fd, const struct image_head *head)
{
	char *bytes = sure_memory(NULL, 1, head->size + 1);

	if (head->size < (uint64_t)head->pages * PAGE &&
	    pread(fd, bytes, head->size, PAGE) == (ssize_t)head->size &&
	    sum_of(bytes, head->size) == head->sum)
		return bytes;
	free(bytes);
	return NULL;
}

static void disk_load(struct disk *disk, const struct image_head *head, const char *bytes)
{
	const char *at = bytes;

	disk->now->id = head->id;
	disk->tree_count = (unsigned)head->tree_count;
	memcpy(disk->names, head->names, sizeof(disk->names));
	for (unsigned i = 0; i < TREES; i++)
		disk->integer[i] = head->integer[i] != 0;
	while (at < bytes + head->size) {
		uint64_t sizes[3];
		struct row *row;

		memcpy(sizes, at, sizeof(sizes));
		row = row_new(at + sizeof(sizes), sizes[1], sizes[2]);
		memcpy(row->bytes + value_at(row), at + sizeof(sizes) + sizes[1], sizes[2]);
		tree_insert(&disk->now->trees[sizes[0]], disk->now->trees[sizes[0]].count, row);
		at += sizeof(sizes) + sizes[1] + sizes[2];
	}
	disk->high = trees_pages(disk->now->trees);
}

static struct disk *disk_new(int fd)
{
	struct disk *disk = sure_memory(NULL, 1, sizeof(*disk));
	struct image_head head;
	char *bytes = NULL;
	struct stat st;

	if (fstat(fd, &st) != 0)
		abort();
	disk->inode = st.st_ino;
	disk->now = sure_memory(NULL, 1, sizeof(*disk->now));
	disk->now->refs = 1;
	disk->tree_count = MAIN_TREE + 1;
	disk->high = FIRST_PAGES;
	if (image_head(fd, &head))
		bytes = image_read(fd, &head);
	if (bytes != NULL)
		disk_load(disk, &head, bytes);
	free(bytes);
	disk->next = disks;
	disks = disk;
	return disk;
}

bool store_check_head(int fd, struct store_check *ret_check)
{
	const struct disk *disk = disk_at(fd);
	struct image_head head;

	*ret_check = (struct store_check){.why = "it is not a database"};
	if (disk != NULL)
		*ret_check =
			(struct store_check){.pages = disk->high, .transaction = disk->now->id};
	else if (image_head(fd, &head))
		*ret_check = (struct store_check){.pages = head.pages, .transaction = head.id};
	return ret_check->why == NULL;
}

bool store_check_tree(int fd, struct store_check *ret_check)
{
	struct image_head head;
	char *bytes;

	if (!store_check_head(fd, ret_check) || disk_at(fd) != NULL)
		return ret_check->why == NULL;
	bytes = image_head(fd, &head) ? image_read(fd, &head) : NULL;
	if (bytes == NULL)
		ret_check->why = "it is damaged";
	free(bytes);
	return ret_check->why == NULL;
}

const struct store_table_spec store_table_specs[STORE_TABLES] = {
	[STORE_DATA] = {"data", 16, false},
	[STORE_ORDER] = {"order", 8, true},
	[STORE_GROUPS] = {"groups", 32, false},
};

/* ---- environments --------------------------------------------------------------------------- */

int mdb_env_create(MDB_env **ret_env)
{
	MDB_env *env = sure_memory(NULL, 1, sizeof(*env));

	env->worker = worker;
	env->fd = env->lock_fd = -1;
	env->next = envs;
	envs = env;
	*ret_env = env;
	return 0;
}

int mdb_env_set_mapsize(MDB_env *env, size_t size)
{
	env->map_size = size;
	return 0;
}

int mdb_env_set_maxdbs(MDB_env *env, MDB_dbi dbs)
{
	(void)env;
	assert(dbs + 2 <= TREES);
	return 0;
}

int mdb_env_set_maxreaders(MDB_env *env, unsigned readers)
{
	(void)env;
	(void)readers;
	return 0;
}

static int open_file(const char *directory, const char *name, bool make)
{
	char path[4096 + 64];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return open(path, O_RDWR | O_CLOEXEC | (make ? O_CREAT : 0), 0600);
}

int mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode)
{
	bool make = !(flags & MDB_RDONLY);
	int error;

	(void)mode;
	at_call(2);
	error = fails();
	if (error != 0)
		return error;
	env->copies = !make;
	env->lock_fd = open_file(path, "lock.mdb", make);
	env->fd = open_file(path, "data.mdb", make);
	if (env->fd < 0 || env->lock_fd < 0)
		return errno;
	env->disk = disk_at(env->fd);
	if (env->disk == NULL)
		env->disk = disk_new(env->fd);
	return 0;
}

static void txn_free(MDB_txn *txn);

static void env_free(MDB_env *env)
{
	MDB_env **at = &envs;

	while (env->readers != NULL)
		txn_free(env->readers);
	while (*at != env)
		at = &(*at)->next;
	*at = env->next;
	free(env);
}

void mdb_env_close(MDB_env *env)
{
	at_call(3);
	assert(env->disk == NULL || env->disk->writing == NULL || env->disk->writing->env != env);
	if (env->fd >= 0)
		close(env->fd);
	if (env->lock_fd >= 0)
		close(env->lock_fd);
	env_free(env);
}

int mdb_env_get_fd(MDB_env *env, mdb_filehandle_t *ret_fd)
{
	*ret_fd = env->fd;
	return env->fd < 0 ? EINVAL : 0;
}

int mdb_env_info(MDB_env *env, MDB_envinfo *ret_info)
{
	at_call(4);
	*ret_info = (MDB_envinfo){.me_last_pgno = env->disk->high - 1,
				  .me_last_txnid = env->disk->now->id};
	return 0;
}

int mdb_env_stat(MDB_env *env, MDB_stat *ret_stat)
{
	*ret_stat = tree_stat(&env->disk->now->trees[MAIN_TREE]);
	return 0;
}

int mdb_env_sync(MDB_env *env, int force)
{
	(void)force;
	at_call(5);
	return env->panic ? MDB_PANIC : fails();
}

int mdb_reader_check(MDB_env *env, int *ret_dead)
{
	MDB_env *next;

	at_call(6);
	*ret_dead = 0;
	for (MDB_env *other = envs; other != NULL; other = next) {
		next = other->next;
		if (!other->dead || other->disk != env->disk)
			continue;
		for (const MDB_txn *txn = other->readers; txn != NULL; txn = txn->next)
			++*ret_dead;
		env_free(other);
	}
	return 0;
}

int mdb_reader_list(MDB_env *env, MDB_msg_func *func, void *context)
{
	char line[64];

	func("    pid     thread     txnid\n", context);
	for (const MDB_env *other = envs; other != NULL; other = other->next)
		for (const MDB_txn *txn = other->readers; txn != NULL; txn = txn->next) {
			if (other->disk != env->disk)
				continue;
			if (txn->version == NULL)
				snprintf(line, sizeof(line), "%10u %x -\n", other->worker, 0U);
			else
				snprintf(line, sizeof(line), "%10u %x %llu\n", other->worker, 0U,
					 (unsigned long long)txn->version->id);
			func(line, context);
		}
	return 0;
}

/* ---- transactions --------------------------------------------------------------------------- */

static void loans_end(MDB_txn *txn)
{
	struct loan *next;

	for (struct loan *loan = txn->loans; loan != NULL; loan = next) {
		next = loan->next;
		memset(loan->bytes, OVERWRITTEN, loan->size);
		free(loan);
	}
	txn->loans = NULL;
}

static MDB_val lend(MDB_txn *txn, const void *bytes, size_t size)
{
	struct loan *loan = sure_memory(NULL, 1, sizeof(*loan) + size);

	loan->size = size;
	memcpy(loan->bytes, bytes, size);
	loan->next = txn->loans;
	txn->loans = loan;
	return (MDB_val){.mv_size = size, .mv_data = loan->bytes};
}

static void txn_free(MDB_txn *txn)
{
	MDB_txn **at = &txn->env->readers;

	if (txn->child != NULL)
		txn_free(txn->child);
	if (txn->parent != NULL)
		txn->parent->child = NULL;
	while (txn->cursors != NULL)
		mdb_cursor_close(txn->cursors);
	loans_end(txn);
	version_drop(txn->version);
	if (txn->writes)
		trees_drop(txn->trees);
	while (*at != NULL && *at != txn)
		at = &(*at)->next;
	if (*at != NULL)
		*at = txn->next;
	free(txn);
}

static void view_now(MDB_txn *txn)
{
	txn->version = txn->env->disk->now;
	txn->version->refs++;
}

static int begin_nested(MDB_env *env, MDB_txn *parent, MDB_txn **ret_txn)
{
	MDB_txn *txn = sure_memory(NULL, 1, sizeof(*txn));

	txn->env = env;
	txn->parent = parent;
	parent->child = txn;
	txn->writes = true;
	txn->taken = parent->taken;
	trees_copy(txn->trees, parent->trees);
	*ret_txn = txn;
	return 0;
}

/* One writes at a time. */
static int begin_writing(MDB_env *env, MDB_txn *txn)
{
	while (env->disk->writing != NULL)
		fake_lmdb_wait();
	env->disk->writing = txn;
	txn->writes = true;
	trees_copy(txn->trees, env->disk->now->trees);
	return 0;
}

int mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **ret_txn)
{
	MDB_txn *txn;
	int error;

	*ret_txn = NULL;
	at_call(7);
	error = env->panic ? MDB_PANIC : fails();
	if (error != 0)
		return error;
	if (parent != NULL)
		return begin_nested(env, parent, ret_txn);
	txn = sure_memory(NULL, 1, sizeof(*txn));
	txn->env = env;
	*ret_txn = txn;
	if (!(flags & MDB_RDONLY))
		return begin_writing(env, txn);
	txn->next = env->readers;
	env->readers = txn;
	view_now(txn);
	return 0;
}

size_t mdb_txn_id(MDB_txn *txn)
{
	return txn->writes ? txn->env->disk->now->id + 1 : txn->version->id;
}

void mdb_txn_reset(MDB_txn *txn)
{
	if (txn == NULL)
		return;
	loans_end(txn);
	version_drop(txn->version);
	txn->version = NULL;
}

int mdb_txn_renew(MDB_txn *txn)
{
	int error;

	at_call(8);
	error = txn->env->panic ? MDB_PANIC : fails();
	if (error != 0)
		return error;
	assert(txn->version == NULL);
	view_now(txn);
	return 0;
}

void mdb_txn_abort(MDB_txn *txn)
{
	if (txn == NULL)
		return;
	at_call(9);
	if (txn->writes && txn->parent == NULL)
		txn->env->disk->writing = NULL;
	txn_free(txn);
}

static void commit_nested(MDB_txn *txn)
{
	struct tree trees[TREES];
	MDB_txn *parent = txn->parent;

	loans_end(parent);
	memcpy(trees, parent->trees, sizeof(trees));
	memcpy(parent->trees, txn->trees, sizeof(trees));
	memcpy(txn->trees, trees, sizeof(trees));
	parent->taken = txn->taken;
	parent->dirty |= txn->dirty;
	txn_free(txn);
}

static void commit_changes(MDB_txn *txn)
{
	struct disk *disk = txn->env->disk;
	struct version *version = sure_memory(NULL, 1, sizeof(*version));

	version->refs = 1;
	version->id = disk->now->id + 1;
	pages_commit(disk, txn->taken, trees_pages(disk->now->trees), trees_pages(txn->trees));
	memcpy(version->trees, txn->trees, sizeof(version->trees));
	txn->writes = false; /* they are the version's */
	version_drop(disk->now);
	disk->now = version;
}

int mdb_txn_commit(MDB_txn *txn)
{
	struct disk *disk = txn->env->disk;
	int error;

	at_call(10);
	error = txn->broken ? MDB_BAD_TXN : fails();
	if (txn->parent != NULL && error == 0) {
		commit_nested(txn);
		return 0;
	}
	if (error == EIO && txn->parent == NULL)
		txn->env->panic = disk->now->id % 2; /* pages, or the head, could not be written */
	if (txn->parent == NULL)
		disk->writing = NULL;
	if (error == 0 && txn->dirty)
		commit_changes(txn);
	txn_free(txn);
	return error;
}

/* ---- rows ----------------------------------------------------------------------------------- */

static struct tree *tree_of(MDB_txn *txn, MDB_dbi dbi)
{
	assert(dbi < TREES);
	return txn->writes ? &txn->trees[dbi] : &txn->version->trees[dbi];
}

/* Pages that a change of so many takes, or MDB_MAP_FULL. */
static int take_pages(MDB_txn *txn, uint64_t pages)
{
	if (txn->broken)
		return MDB_BAD_TXN;
	if (free_pages(txn->env->disk, txn->env->map_size) < txn->taken + pages) {
		txn->broken = true;
		return MDB_MAP_FULL;
	}
	txn->taken += pages;
	txn->dirty = true;
	return 0;
}

static int change_fails(MDB_txn *txn, unsigned what)
{
	int error;

	at_call(what);
	assert(txn->writes);
	loans_end(txn);
	error = fails();
	txn->broken |= error != 0;
	return error;
}

static int put_row(MDB_txn *txn, MDB_dbi dbi, const MDB_val *key, struct row *row)
{
	struct tree *tree = tree_of(txn, dbi);
	bool equal;
	size_t at = tree_find(tree, txn->env->disk->integer[dbi], key, &equal);

	if (equal)
		tree_remove(tree, at);
	tree_insert(tree, at, row);
	return 0;
}

int mdb_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data, unsigned flags)
{
	struct row *row;
	int error = change_fails(txn, 11);

	if (error == 0)
		error = take_pages(txn, PATH_PAGES + own_pages(data->mv_size));
	if (error != 0)
		return error;
	if (flags & MDB_APPEND) {
		struct tree *tree = tree_of(txn, dbi);
		bool equal;

		if (tree_find(tree, txn->env->disk->integer[dbi], key, &equal) < tree->count)
			return MDB_KEYEXIST;
	}
	row = row_new(key->mv_data, key->mv_size, data->mv_size);
	if (flags & MDB_RESERVE)
		data->mv_data = row->bytes + value_at(row);
	else
		memcpy(row->bytes + value_at(row), data->mv_data, data->mv_size);
	return put_row(txn, dbi, key, row);
}

int mdb_del(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data)
{
	struct tree *tree = tree_of(txn, dbi);
	int error = change_fails(txn, 12);
	bool equal;
	size_t at;

	(void)data;
	if (error == 0)
		error = take_pages(txn, PATH_PAGES);
	if (error != 0)
		return error;
	at = tree_find(tree, txn->env->disk->integer[dbi], key, &equal);
	if (!equal)
		return MDB_NOTFOUND;
	tree_remove(tree, at);
	return 0;
}

int mdb_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *ret_data)
{
	const struct tree *tree;
	int error;
	bool equal;
	size_t at;

	at_call(13);
	error = fails();
	if (error != 0)
		return error == MDB_MAP_FULL ? MDB_CORRUPTED : error;
	tree = tree_of(txn, dbi);
	at = tree_find(tree, txn->env->disk->integer[dbi], key, &equal);
	if (!equal)
		return MDB_NOTFOUND;
	*ret_data =
		lend(txn, tree->rows[at]->bytes + value_at(tree->rows[at]), tree->rows[at]->size);
	return 0;
}

int mdb_stat(MDB_txn *txn, MDB_dbi dbi, MDB_stat *ret_stat)
{
	*ret_stat = tree_stat(tree_of(txn, dbi));
	return 0;
}

int mdb_dbi_open(MDB_txn *txn, const char *name, unsigned flags, MDB_dbi *ret_dbi)
{
	struct disk *disk = txn->env->disk;
	struct row *row;
	unsigned i = MAIN_TREE + 1;

	*ret_dbi = MAIN_TREE;
	if (name == NULL)
		return 0;
	while (i < disk->tree_count && strcmp(disk->names[i], name) != 0)
		i++;
	*ret_dbi = i;
	if (i < disk->tree_count)
		return 0;
	if (!(flags & MDB_CREATE) || i == TREES)
		return MDB_NOTFOUND;
	snprintf(disk->names[i], NAME_SIZE, "%s", name);
	disk->integer[i] = (flags & MDB_INTEGERKEY) != 0;
	disk->tree_count++;
	row = row_new(name, strlen(name), 48);
	txn->dirty = true;
	return put_row(txn, MAIN_TREE, &(MDB_val){row->key_size, row->bytes}, row);
}

int mdb_cursor_open(MDB_txn *txn, MDB_dbi dbi, MDB_cursor **ret_cursor)
{
	MDB_cursor *cursor;
	int error;

	at_call(14);
	error = fails();
	if (error != 0)
		return error == MDB_MAP_FULL ? MDB_CORRUPTED : error;
	cursor = sure_memory(NULL, 1, sizeof(*cursor));
	cursor->txn = txn;
	cursor->next = txn->cursors;
	txn->cursors = cursor;
	cursor->tree = dbi;
	*ret_cursor = cursor;
	return 0;
}

void mdb_cursor_close(MDB_cursor *cursor)
{
	MDB_cursor **at = &cursor->txn->cursors;

	while (*at != cursor)
		at = &(*at)->next;
	*at = cursor->next;
	free(cursor);
}

/* A record of the free list is the number of pages that a transaction freed. */
static int free_get(MDB_cursor *cursor, MDB_val *key, MDB_val *data)
{
	const struct disk *disk = cursor->txn->env->disk;
	size_t id, pages;

	if (cursor->at >= disk->freed_count)
		return MDB_NOTFOUND;
	id = disk->freed[cursor->at].id;
	pages = disk->freed[cursor->at].pages;
	*key = lend(cursor->txn, &id, sizeof(id));
	*data = lend(cursor->txn, &pages, sizeof(pages));
	return 0;
}

int mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *data, MDB_cursor_op op)
{
	const struct tree *tree;
	const struct row *row;
	bool equal;

	at_call(15);
	tree = tree_of(cursor->txn, cursor->tree);
	if (op == MDB_FIRST)
		cursor->at = 0;
	else if (op == MDB_NEXT)
		cursor->at++;
	else if (op == MDB_LAST)
		cursor->at = tree->count == 0 ? 0 : tree->count - 1;
	else if (op == MDB_SET_RANGE)
		cursor->at =
			tree_find(tree, cursor->txn->env->disk->integer[cursor->tree], key, &equal);
	else
		abort();
	if (cursor->tree == FREE_TREE)
		return free_get(cursor, key, data);
	if (cursor->at >= tree->count)
		return MDB_NOTFOUND;
	row = tree->rows[cursor->at];
	*key = lend(cursor->txn, row->bytes, row->key_size);
	*data = lend(cursor->txn, row->bytes + value_at(row), row->size);
	return 0;
}

/* ---- copies --------------------------------------------------------------------------------- */

static void add(struct slice *to, const void *bytes, size_t n)
{
	char *all = sure_memory((char *)(uintptr_t)to->p, to->n + n, 1);

	memcpy(all + to->n, bytes, n);
	*to = slice_of(all, to->n + n);
}

static bool write_all(int fd, const char *from, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, from, size);

		if (n < 0)
			return false;
		from += n;
		size -= (size_t)n;
	}
	return true;
}

/* By another thread, while the one that reads does nothing else: so without a call to watch. */
int mdb_env_copyfd2(MDB_env *env, mdb_filehandle_t fd, unsigned flags)
{
	const struct disk *disk = env->disk;
	struct image_head head = {
		.magic = IMAGE_MAGIC, .id = disk->now->id, .tree_count = disk->tree_count};
	struct slice rows = {NULL, 0};
	char *image;
	bool done;

	(void)flags;
	memcpy(head.names, disk->names, sizeof(head.names));
	for (unsigned i = 0; i < TREES; i++) {
		head.integer[i] = disk->integer[i];
		for (size_t n = 0; n < disk->now->trees[i].count; n++) {
			const struct row *row = disk->now->trees[i].rows[n];
			uint64_t sizes[3] = {i, row->key_size, row->size};

			add(&rows, sizes, sizeof(sizes));
			add(&rows, row->bytes, row->key_size);
			add(&rows, row->bytes + value_at(row), row->size);
		}
	}
	head.size = rows.n;
	head.sum = sum_of(rows.p, rows.n);
	head.pages = 1 + (rows.n + PAGE) / PAGE;
	image = sure_memory(NULL, head.pages, PAGE);
	memcpy(image, &head, sizeof(head));
	memcpy(image + PAGE, rows.p, rows.n);
	done = write_all(fd, image, head.pages * PAGE);
	free(image);
	free((char *)(uintptr_t)rows.p);
	return done ? 0 : EPIPE;
}

/* ---- deaths --------------------------------------------------------------------------------- */

/* Whose process is gone, so is its transaction. */
static void writing_lost(const MDB_env *env)
{
	MDB_txn *txn = env->disk != NULL ? env->disk->writing : NULL;

	if (txn == NULL || txn->env != env)
		return;
	env->disk->writing = NULL;
	txn_free(txn);
}

void fake_lmdb_die(unsigned who)
{
	for (MDB_env *env = envs; env != NULL; env = env->next)
		if (env->worker == who && !env->dead) {
			env->dead = true;
			writing_lost(env);
		}
}

void fake_lmdb_lose(void)
{
	while (envs != NULL) {
		writing_lost(envs);
		env_free(envs);
	}
}

void store_memory_forget(void)
{
	struct disk *next;

	fake_lmdb_lose();
	for (struct disk *disk = disks; disk != NULL; disk = next) {
		next = disk->next;
		version_drop(disk->now);
		free(disk);
	}
	disks = NULL;
	trace = 0;
}
