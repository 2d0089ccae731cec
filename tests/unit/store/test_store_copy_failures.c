/* LINKS: cache/store tests/doubles/failing_calls.c -Wl,@tests/doubles/failing_calls.wraps */
/*
 * Making a copy, and taking it, with each call failed; and a copy with one field changed.  Another
 * process has the store open while a copy is made of it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#include "cache/store/copy.h"
#include "cache/store/impl.h"
#include "tests/doubles/failing_calls.h"
#include "tests/support/store_fixture.h"

enum {
	KEYS = 200,
	SIZE = 9000,
	PAGE = 4096,
	WALL_S = 1764000000,
	LATEST_MS = 5000000,
	PURGED_MS = 3000,
	REMOVED_MS = 2000,
	COPY_LOOK = 5,  /* so many are of other files */
	CALLS_MAX = 40, /* to be failed, of many */
};

/* ---- the process that has it open ----------------------------------------------------------- */

struct holder {
	pid_t pid;
	int go, done;
};

static void fill(struct store *store, uint64_t turn)
{
	for (uint64_t n = 0; n < KEYS; n++)
		assert_int_equal(put_one(store, n, bytes_of(n, turn, SIZE)), STORE_OK);
}

/* Fills it, then fills it anew whenever it may go on, and closes it when it may not any more. */
static void hold(struct store_fixture *f, int go, int done)
{
	uint64_t turn = 1;
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	store_fixture_open(f);
	store_clock(f->store)->latest_ms = LATEST_MS;
	store_clock(f->store)->purged_ms = PURGED_MS;
	store_clock(f->store)->removed_ms = REMOVED_MS;
	do {
		fill(f->store, turn++);
		if (write(done, "", 1) != 1)
			break;
	} while (read(go, &byte, 1) == 1);
	store_close(f->store);
	_exit(0);
}

static void holder_wait(const struct holder *holder)
{
	char byte;

	assert_int_equal(read(holder->done, &byte, 1), 1);
}

static void holder_start(struct store_fixture *f, struct holder *holder)
{
	int go[2], done[2];

	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(done), 0);
	holder->pid = fork();
	if (holder->pid == 0) {
		close(go[1]);
		close(done[0]);
		hold(f, go[0], done[1]);
	}
	close(go[0]);
	close(done[1]);
	holder->go = go[1];
	holder->done = done[0];
	holder_wait(holder);
}

static void holder_fills(const struct holder *holder)
{
	assert_int_equal(write(holder->go, "", 1), 1);
	holder_wait(holder);
}

static void holder_end(const struct holder *holder)
{
	int status;

	close(holder->go);
	assert_int_equal(waitpid(holder->pid, &status, 0), holder->pid);
	assert_int_equal(status, 0);
	close(holder->done);
}

/* ---- making --------------------------------------------------------------------------------- */

/* 0 when there is none. */
static ino_t inode_of(const struct store_fixture *f, const char *name)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", f->directory, name);
	return stat(path, &st) == 0 ? st.st_ino : 0;
}

/* Nothing says any more that pages are kept for a copy. */
static void assert_no_reader(const struct store_fixture *f)
{
	int directory = open(f->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct shared_map map;

	assert_int_equal(shared_map_open(&map, directory, &store_note_spec, false),
			 SHARED_MAP_KEPT);
	assert_int_equal(((struct store_note *)map.data)->copying, 0);
	shared_map_close(&map);
	close(directory);
}

static const struct making {
	const char *call;
	unsigned n, count;
	int error;
	const char *notice; /* NULL: it is made all the same */
} makings[] = {
	{"aligned_alloc", 0, 1, ENOMEM, "no memory for a copy of the store"},
	{"open", 0, 1, EMFILE, "cannot be made or written by this user: Too many open files"},
	{"F_OFD_SETLKW", 0, 1, ENOLCK, "cannot be locked: No locks available"},
	/* what is asked for the copy that is there already */
	{"openat", 2, 1, EIO, NULL},
	{"pread", 0, 1, EIO, NULL},
	{"pread", 1, 1, EIO, NULL},
	/* the file */
	{"openat", 3, 1, EROFS, "data.mdb.copy: cannot be made: Read-only file system"},
	{"fallocate", 0, 1, ENOSPC, "data.mdb.copy: no room on disk: No space left on device"},
	{"fallocate", 0, 1, EDQUOT, "data.mdb.copy: no room on disk: Disk quota exceeded"},
	{"fallocate", 0, 1, EFBIG, "data.mdb.copy: no room on disk: File too large"},
	{"fallocate", 0, 1, EOPNOTSUPP, NULL},
	{"F_GETFL", 0, 1, EIO, NULL},
	{"F_GETFL", 1, 1, EIO, NULL},
	{"F_SETFL", 0, 1, EINVAL, NULL},
	/* the reader */
	{"openat", 4, 1, EIO, "data.mdb.copy: the store's note cannot be read: Input/output error"},
	{"mmap", 0, 1, ENOMEM, "data.mdb.copy: the store's note cannot be read: Cannot allocate"},
	{"calloc", 0, 1, ENOMEM, "data.mdb.copy: Cannot allocate memory"},
	{"mdb_env_create", 0, 1, ENOMEM, "data.mdb.copy: Cannot allocate memory"},
	{"mdb_env_set_mapsize", 0, 1, EINVAL, "data.mdb.copy: Invalid argument"},
	{"mdb_env_open", 0, 1, EIO, "data.mdb.copy: Input/output error"},
	{"mdb_reader_check", 0, 1, EIO, "data.mdb.copy: Input/output error"},
	{"pipe2", 0, 1, EMFILE, "data.mdb.copy: Too many open files"},
	{"pthread_create", 0, 1, EAGAIN, "data.mdb.copy: Resource temporarily unavailable"},
	{"mdb_env_copyfd2", 0, 1, MDB_READERS_FULL, "data.mdb.copy: MDB_READERS_FULL"},
	/* reading and writing */
	{"read", 0, 1, EIO, "data.mdb.copy: the store cannot be read: Input/output error"},
	{"read", 3, 1, EIO, "data.mdb.copy: the store cannot be read: Input/output error"},
	{"read", 0, 9, EINTR, NULL},
	{"read", 0, 3, FAIL_SHORT, NULL},
	{"pwrite", 0, 1, EINVAL, NULL}, /* the page cache is not to be bypassed there */
	{"pwrite", 0, 2, EINVAL, "data.mdb.copy: cannot be written: Invalid argument"},
	{"pwrite", 1, 5, EINTR, NULL},
	{"pwrite", 0, 2, FAIL_SHORT, NULL},
	{"pwrite", 0, 1, ENOSPC, "data.mdb.copy: cannot be written: No space left on device"},
	{"pwrite", 1, 1, EIO, "data.mdb.copy: cannot be written: Input/output error"},
	{"pwrite", 2, 1, ENOSPC, "data.mdb.copy: cannot be written: No space left on device"},
	/* its end */
	{"openat", 5, 1, EIO, "data.mdb.copy: the clock of the store cannot be read: Input/output"},
	{"mmap", 1, 1, ENOMEM,
	 "data.mdb.copy: the clock of the store cannot be read: Cannot alloc"},
	{"ftruncate", 0, 1, EIO, "data.mdb.copy: cannot be written: Input/output error"},
	{"fsync", 0, 1, EIO, "data.mdb.copy: cannot be written: Input/output error"},
	{"fsync", 1, 1, EIO, "data.mdb.copy: cannot be written: Input/output error"},
	{"renameat", 0, 1, EIO, "data.mdb.copy: cannot be written: Input/output error"},
};

static void made_as(struct store_fixture *f, const struct holder *holder, const struct making *row)
{
	ino_t before = inode_of(f, "data.mdb.copy");
	enum store_result result;

	holder_fills(holder);
	fail_calls(row->call, row->n, row->count, row->error);
	result = store_copy(&f->options, WALL_S, &f->notice);
	if (!fail_calls_never())
		fail_msg("%s %u is not called", row->call, row->n);
	if (result != (row->notice != NULL ? STORE_FAILED : STORE_OK))
		fail_msg("%s %u: %d, \"%s\"", row->call, row->n, result, f->notice.text);
	if (row->notice != NULL) {
		assert_notice(f, row->notice);
		assert_null(strstr(f->notice.text, "; ")); /* what follows from it is not said */
	} else {
		assert_string_equal(f->notice.text, "");
	}
	if (row->notice == NULL)
		assert_true(inode_of(f, "data.mdb.copy") != before);
	else if (strcmp(row->call, "fsync") != 0) /* the second is behind the new name */
		assert_int_equal(inode_of(f, "data.mdb.copy"), before);
	assert_false(file_exists(f, "data.mdb.copy.new"));
	assert_no_reader(f);
}

static int lowest_descriptor(void)
{
	int fd = dup(STDIN_FILENO);

	assert_true(fd > STDERR_FILENO);
	close(fd);
	return fd;
}

static void test_making(void **state)
{
	struct store_fixture *f = *state;
	struct holder holder;
	int lowest;

	holder_start(f, &holder);
	lowest = lowest_descriptor();
	assert_int_equal(store_copy(&f->options, WALL_S, &f->notice), STORE_OK);
	for (size_t i = 0; i < sizeof(makings) / sizeof(*makings); i++) {
		made_as(f, &holder, &makings[i]);
		assert_int_equal(lowest_descriptor(), lowest);
	}
	assert_int_equal(store_copy(&f->options, WALL_S, &f->notice), STORE_OK);
	assert_int_equal(store_copy(&f->options, WALL_S, &f->notice), STORE_NOT_FOUND);
	holder_end(&holder);
}

/* Without a data file, or without a look at it, there is nothing to be copied. */
static void test_nothing_to_make(void **state)
{
	static const char *const calls[] = {"openat", "fstat"};
	struct store_fixture *f = *state;
	struct holder holder;

	holder_start(f, &holder);
	for (size_t i = 0; i < 2; i++) {
		fail_calls(calls[i], i == 0, 1, EIO);
		assert_int_equal(store_copy(&f->options, WALL_S, &f->notice), STORE_NOT_FOUND);
		assert_true(fail_calls_never());
		assert_string_equal(f->notice.text, "");
		assert_false(file_exists(f, "data.mdb.copy"));
	}
	holder_end(&holder);
	assert_int_equal(store_copy(&f->options, WALL_S, &f->notice), STORE_NOT_FOUND);
}

/* The maps of another version, or damaged. */
static void test_maps_of_another_kind(void **state)
{
	static const char *const maps[] = {"noted", "clock"};
	static const char *const wanted[] = {
		"data.mdb.copy: the store's note cannot be read: it is damaged or of another "
		"version",
		"data.mdb.copy: the clock of the store cannot be read: it is damaged or of another "
		"version"};
	struct store_fixture *f = *state;
	struct holder holder;
	char path[256];

	holder_start(f, &holder);
	for (size_t i = 0; i < 2; i++) {
		char was, other = 'x';
		int fd;

		snprintf(path, sizeof(path), "%s/%s", f->directory, maps[i]);
		fd = open(path, O_RDWR | O_CLOEXEC);
		assert_int_equal(pread(fd, &was, 1, 0), 1);
		assert_int_equal(pwrite(fd, &other, 1, 0), 1);
		assert_int_equal(store_copy(&f->options, WALL_S, &f->notice), STORE_FAILED);
		assert_notice(f, wanted[i]);
		assert_false(file_exists(f, "data.mdb.copy"));
		assert_int_equal(pwrite(fd, &was, 1, 0), 1);
		close(fd);
	}
	holder_end(&holder);
}

static void test_cleaning(void **state)
{
	struct store_fixture *f = *state;
	struct holder holder;
	int directory, fd;
	struct shared_map map;

	store_copy_clean("/nowhere");                   /* and nothing happens */
	assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0); /* of others, and stays open */
	holder_start(f, &holder);
	directory = open(f->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = openat(directory, "data.mdb.copy.new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	close(fd);
	assert_int_equal(shared_map_open(&map, directory, &store_note_spec, false),
			 SHARED_MAP_KEPT);
	((struct store_note *)map.data)->copying = 1;
	fail_calls("mmap", 0, 1, ENOMEM);
	store_copy_clean(f->directory);
	assert_true(fail_calls_never());
	assert_false(file_exists(f, "data.mdb.copy.new"));
	assert_int_equal(((struct store_note *)map.data)->copying, 1);
	store_copy_clean(f->directory);
	assert_int_equal(((struct store_note *)map.data)->copying, 0);
	assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0);
	shared_map_close(&map);
	close(directory);
	holder_end(&holder);
}

/* ---- taking --------------------------------------------------------------------------------- */

/* A store with a copy of it, closed. */
static void make(struct store_fixture *f)
{
	struct holder holder;

	directory_remove(f->directory);
	holder_start(f, &holder);
	assert_int_equal(store_copy(&f->options, WALL_S, &f->notice), STORE_OK);
	holder_end(&holder);
}

static void end_change(struct store_fixture *f, size_t at, const void *to, size_t size)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/data.mdb.copy", f->directory);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(
		pwrite(fd, to, size,
		       (off_t)(file_size(f, "data.mdb.copy") - sizeof(struct store_copy_end) + at)),
		size);
	close(fd);
}

/* As after a power failure: that it was closed is not known. */
static void open_after_boot(struct store_fixture *f)
{
	char path[256], state[256] = "";
	int fd;
	ssize_t n;
	char *at;

	snprintf(path, sizeof(path), "%s/state", f->directory);
	fd = open(path, O_RDWR | O_CLOEXEC);
	n = read(fd, state, sizeof(state) - 1);
	at = strstr(state, "clean 1");
	assert_non_null(at);
	at[6] = '0';
	assert_int_equal(pwrite(fd, state, (size_t)n, 0), n);
	close(fd);
	fail_calls("open", 1, 1, ENOENT); /* which boot this is */
	f->store = store_open(&f->options, &f->notice);
	assert_true(fail_calls_never());
}

/* What no check lets pass. */
static void head_garble(struct store_fixture *f)
{
	static const char nothing[2 * PAGE];
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/data.mdb", f->directory);
	file_settle(path);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, nothing, sizeof(nothing), 0), sizeof(nothing));
	close(fd);
}

#define END(member) \
	offsetof(struct store_copy_end, member), sizeof(((struct store_copy_end *)0)->member)

static void test_each_field(void **state)
{
	struct store_fixture *f = *state;
	static const struct {
		size_t at, size;
		int64_t to;
		const char *fault; /* NULL: it is taken */
	} rows[] = {
		{END(magic), 0, "it is not whole"},
		{END(version), 0, "it is not whole"},
		{END(version), 2, "it is not whole"},
		{END(size), 0, "it is not whole"},
		{END(size), 10 * PAGE, "it is not whole"},
		{END(layout), 0, "it is of another version"},
		{END(format), 7, "it is of another version"},
		{END(clock.latest_ms), INT64_MIN / 2, "it is not whole"},
		{END(clock.latest_ms), INT64_MIN / 2 + 1, NULL},
		{END(clock.latest_ms), INT64_MAX / 2, "it is not whole"},
		{END(clock.latest_ms), INT64_MAX / 2 - 1, NULL},
		{END(unused), 5, NULL},
		{END(inode), 5, NULL},
		{END(transaction), 5, NULL},
		{END(wall_s), 0, NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		make(f);
		end_change(f, rows[i].at, &rows[i].to, rows[i].size);
		open_after_boot(f);
		assert_non_null(f->store);
		assert_notice(f, rows[i].fault != NULL ? "begun anew" : "takes its place");
		if (rows[i].fault != NULL) {
			assert_notice(f, rows[i].fault);
			assert_absent(f->store, 1);
		} else {
			assert_in_store(f->store, 1, 1);
		}
		store_fixture_close(f);
	}
}

/* In the place of a copy is what none is: it is not waited for, and not looked for elsewhere. */
static void test_not_a_file(void **state)
{
	struct store_fixture *f = *state;
	char path[256], other[300];

	snprintf(path, sizeof(path), "%s/data.mdb.copy", f->directory);
	snprintf(other, sizeof(other), "%s.other", path);
	for (unsigned is_link = 0; is_link < 2; is_link++) {
		make(f);
		assert_int_equal(rename(path, other), 0);
		assert_int_equal(is_link ? symlink(other, path) : mkfifo(path, 0600), 0);
		open_after_boot(f);
		assert_notice(f, "the system went down while it was in use; begun anew");
		assert_int_equal(strstr(f->notice.text, "copy: it is not whole") != NULL, !is_link);
		assert_absent(f->store, 1);
		store_fixture_close(f);
	}
}

/* Whatever of the four the clock had before, what is in the copy is not newer than it. */
static void test_the_clock(void **state)
{
	static const struct {
		int64_t latest_ms, purged_ms; /* of the map */
		int64_t latest_now_ms, purged_now_ms;
	} rows[] = {
		{LATEST_MS + 5000, PURGED_MS + 1, LATEST_MS + 5000, PURGED_MS + 1},
		{LATEST_MS + 5000, PURGED_MS - 1, LATEST_MS + 5000, PURGED_MS},
		{LATEST_MS + 1001, PURGED_MS, LATEST_MS + 1001, PURGED_MS},
		{LATEST_MS + 1000, PURGED_MS, LATEST_MS + 1001, PURGED_MS},
		{LATEST_MS, PURGED_MS, LATEST_MS + 1001, PURGED_MS},
		{LATEST_MS - 1, 0, LATEST_MS + 1001, PURGED_MS},
		{0, PURGED_MS + 9, LATEST_MS + 1001, PURGED_MS + 9},
	};
	struct store_fixture *f = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct store_clock *clock;

		make(f);
		store_fixture_open(f);
		clock = store_clock(f->store);
		clock->latest_ms = rows[i].latest_ms;
		clock->purged_ms = rows[i].purged_ms;
		clock->removed_ms = rows[i].purged_ms;
		store_fixture_close(f);
		open_after_boot(f);
		assert_notice(f, "its copy of 2025-11-24 16:00:00 UTC takes its place");
		clock = store_clock(f->store);
		assert_int_equal(clock->latest_ms, rows[i].latest_now_ms);
		assert_int_equal(clock->purged_ms, rows[i].purged_now_ms);
		assert_int_equal(clock->removed_ms, REMOVED_MS);
		assert_int_equal(clock->restored_ms, LATEST_MS + 1000);
		store_fixture_close(f);
	}
}

/* One page of the store is for the file's growth: a copy of all others is taken, not one of more. */
static void test_as_large_as_it_may_be(void **state)
{
	struct store_fixture *f = *state;

	for (unsigned less = 0; less < 2; less++) {
		f->options.size = 8 * MIB;
		make(f);
		f->options.size = file_size(f, "data.mdb.copy") / PAGE * PAGE + (1 - less) * PAGE;
		open_after_boot(f);
		assert_non_null(f->store);
		assert_notice(f, less ? "it is larger than it may be" : "takes its place");
		store_fixture_close(f);
	}
}

/* What fails once while the copy is read is told, and costs neither the file nor the copy. */
static void test_it_cannot_be_read(void **state)
{
	static const char *const calls[] = {"openat", "fstat", "pread", "calloc"};
	static const unsigned least[] = {1, 2, 30, 1};
	struct store_fixture *f = *state;

	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		unsigned told = 0;
		bool called = true;

		for (unsigned n = 0; called && n < CALLS_MAX; n++) {
			if (!file_exists(f, "data.mdb.copy")) {
				make(f);
				head_garble(f);
			}
			fail_calls(calls[i], n, 1, ENOMEM);
			f->store = store_open(&f->options, &f->notice);
			called = fail_calls_never();
			told += f->store == NULL &&
				strstr(f->notice.text,
				       "data.mdb.copy: cannot be read: Cannot "
				       "allocate memory: the store is kept") != NULL;
			if (f->store != NULL)
				assert_in_store(f->store, 1, 1);
			store_fixture_close(f);
		}
		assert_in_range(told, least[i], CALLS_MAX);
		directory_remove(f->directory);
	}
}

/* With a disk that goes on failing the store is begun anew in the end. */
static void test_it_can_never_be_read(void **state)
{
	struct store_fixture *f = *state;
	unsigned n = 0;

	make(f);
	head_garble(f);
	do {
		store_fixture_second_passes(f);
		fail_calls("fstat", COPY_LOOK, 1, EIO);
		f->store = store_open(&f->options, &f->notice);
		assert_true(fail_calls_never());
		assert_int_equal(f->store == NULL,
				 strstr(f->notice.text, "copy: cannot be read: ") != NULL);
	} while (f->store == NULL && n++ < STORE_UNREAD_MAX);
	assert_int_equal(n, STORE_UNREAD_MAX);
	assert_notice(f, "data.mdb.copy: it cannot be read");
	assert_notice(f, "set aside as data.mdb.damaged and begun anew");
}

static void test_it_cannot_be_taken(void **state)
{
	struct store_fixture *f = *state;
	static const struct {
		const char *call;
		unsigned n;
		bool is_gone; /* the data file, by then */
	} rows[] = {{"renameat", 0, false},
		    {"unlinkat", 1, true},
		    {"msync", 0, true},
		    {"unlinkat", 2, true},
		    {"renameat", 1, true}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		make(f);
		head_garble(f);
		fail_calls(rows[i].call, rows[i].n, 1, EIO);
		assert_null(store_open(&f->options, &f->notice));
		assert_true(fail_calls_never());
		assert_notice(f,
			      "it is not an LMDB file, and cannot be replaced: Input/output error");
		assert_int_equal(file_exists(f, "data.mdb"), !rows[i].is_gone);
		assert_true(file_exists(f, "data.mdb.copy"));
		store_fixture_open(f);
		if (!rows[i].is_gone) {
			assert_notice(f, "takes its place");
			assert_in_store(f->store, 1, 1);
		} else {
			assert_string_equal(f->notice.text, "");
			assert_absent(f->store, 1);
		}
		store_fixture_close(f);
	}
}

/* Nor can the file be moved away, without a copy. */
static void test_it_cannot_be_discarded(void **state)
{
	struct store_fixture *f = *state;

	f->options.copied = false;
	store_fixture_open(f);
	store_fixture_close(f);
	head_garble(f);
	fail_calls("renameat", 0, 1, EIO);
	assert_null(store_open(&f->options, &f->notice));
	assert_true(fail_calls_never());
	assert_notice(f, "it is not an LMDB file, and cannot be moved away: Input/output error");
	store_fixture_open(f);
	assert_notice(f, "set aside as data.mdb.damaged and begun anew");
	store_fixture_close(f);
	/* or removed: one of another version is of no use to anybody */
	f->options.format++;
	fail_calls("unlinkat", 2, 1, EIO);
	assert_null(store_open(&f->options, &f->notice));
	assert_true(fail_calls_never());
	assert_notice(f, "it is of another version, and cannot be moved away: Input/output error");
	store_fixture_open(f);
	assert_notice(f, "it is of another version; begun anew");
}

/* The first that was set aside is what an operator was told of: no later one takes its place. */
static void test_the_first_is_kept(void **state)
{
	struct store_fixture *f = *state;
	ino_t first;

	make(f);
	first = inode_of(f, "data.mdb");
	head_garble(f);
	store_fixture_open(f);
	assert_notice(f, "takes its place");
	store_fixture_close(f);
	for (unsigned copied = 0; copied < 2; copied++) {
		f->options.copied = copied;
		if (copied) {
			struct holder holder;

			holder_start(f, &holder);
			assert_int_equal(store_copy(&f->options, WALL_S, &f->notice), STORE_OK);
			holder_end(&holder);
		}
		head_garble(f);
		store_fixture_open(f);
		assert_notice(f, "data.mdb.damaged: is kept from before, so not this time; ");
		assert_notice(f, copied ? "takes its place" : "it is not an LMDB file; begun anew");
		assert_int_equal(inode_of(f, "data.mdb.damaged"), first);
		store_fixture_close(f);
	}
}

static int setup(void **state)
{
	struct store_fixture *f;

	fail_calls_never();
	store_setup(state);
	f = *state;
	f->options.copied = true;
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, store_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_making),
		TEST(test_nothing_to_make),
		TEST(test_maps_of_another_kind),
		TEST(test_cleaning),
		TEST(test_each_field),
		TEST(test_not_a_file),
		TEST(test_the_clock),
		TEST(test_as_large_as_it_may_be),
		TEST(test_it_cannot_be_read),
		TEST(test_it_can_never_be_read),
		TEST(test_it_cannot_be_taken),
		TEST(test_it_cannot_be_discarded),
		TEST(test_the_first_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
