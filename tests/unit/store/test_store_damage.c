/* LINKS: cache/store */
/*
 * Files that are damaged, foreign, or were left behind when the system went down: the store starts
 * anew with one line that says so, or keeps what is whole, and never crashes (HAZARDS S3).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/store_fixture.h"

enum {
	KEYS = 300,
	PAGE = 4096,
	GARBLED = 120,
};

/* ---- a disk as the test wants it: these stand before the C library's ------------------------ */

static int fallocate_error;
static uint64_t fallocate_room = UINT64_MAX;

int fallocate(int fd, int mode, off_t offset, off_t length)
{
	if (fallocate_error != 0 && (uint64_t)(offset + length) > fallocate_room) {
		errno = fallocate_error;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

int fstatvfs(int fd, struct statvfs *ret_disk)
{
	(void)fd;
	*ret_disk = (struct statvfs){.f_frsize = PAGE, .f_bavail = fallocate_room / PAGE};
	return 0;
}

/* ---- files ---------------------------------------------------------------------------------- */

static int file_open(const struct store_fixture *f, const char *name, int flags)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", f->directory, name);
	if (flags & (O_WRONLY | O_RDWR))
		file_settle(path);
	fd = open(path, flags | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	return fd;
}

static void file_write(const struct store_fixture *f, const char *name, const void *bytes,
		       size_t size)
{
	int fd = file_open(f, name, O_WRONLY | O_CREAT | O_TRUNC);

	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
}

static size_t file_read(const struct store_fixture *f, const char *name, void *to, size_t size)
{
	int fd = file_open(f, name, O_RDONLY);
	ssize_t n = read(fd, to, size);

	close(fd);
	assert_true(n >= 0);
	return (size_t)n;
}

static void file_truncate(const struct store_fixture *f, const char *name, uint64_t size)
{
	int fd = file_open(f, name, O_WRONLY);

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	close(fd);
}

static void file_remove(const struct store_fixture *f, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", f->directory, name);
	assert_int_equal(unlink(path), 0);
}

/* Replace each `from` in a small file by `to`, of the same length. */
static void file_replace(const struct store_fixture *f, const char *name, const char *from,
			 const char *to)
{
	static char bytes[8 * MIB];
	size_t size = file_read(f, name, bytes, sizeof(bytes));
	char *at = memmem(bytes, size, from, strlen(from));

	assert_non_null(at);
	for (; at; at = memmem(at, size - (size_t)(at - bytes), from, strlen(from)))
		memcpy(at, to, strlen(to));
	file_write(f, name, bytes, size);
}

static void boot_id_change(const struct store_fixture *f)
{
	char state[256], *at;
	size_t size = file_read(f, "state", state, sizeof(state) - 1);

	state[size] = '\0';
	at = strstr(state, "boot ");
	assert_non_null(at);
	at[5] = at[5] == '0' ? '1' : '0';
	file_write(f, "state", state, size);
}

/* ---- stores --------------------------------------------------------------------------------- */

/* Some values in leaves, some in overflow pages, with groups. */
static void fill(struct store_fixture *f)
{
	struct cache_key groups[2] = {group_of(1), group_of(2)};

	assert_int_equal(store_begin(f->store), STORE_OK);
	for (uint64_t n = 0; n < KEYS; n++) {
		struct cache_key key = key_of(n);

		assert_int_equal(put_in_parts(f->store, &key, bytes_of(n, 0, n % 20 ? 500 : 9000),
					      groups, n % 3),
				 STORE_OK);
	}
	assert_int_equal(store_commit(f->store), STORE_OK);
}

static void made(struct store_fixture *f)
{
	store_fixture_open(f);
	assert_string_equal(f->notice.text, "");
	fill(f);
}

static void closed(struct store_fixture *f)
{
	made(f);
	store_fixture_close(f);
}

static uint64_t entries_of(struct store_fixture *f)
{
	struct store_usage usage;

	store_usage(f->store, &usage);
	return usage.entries;
}

static void assert_works(struct store_fixture *f)
{
	fill(f);
	for (uint64_t n = 0; n < KEYS; n++)
		assert_in_store(f->store, n, 0);
}

/* Opened with that notice, empty, and at work; the next time there is nothing to say. */
static void assert_begun_anew(struct store_fixture *f, const char *wanted)
{
	store_fixture_open(f);
	assert_notice(f, wanted);
	assert_notice(f, "begun anew");
	assert_int_equal(entries_of(f), 0);
	assert_works(f);
	store_fixture_reopen(f);
	assert_string_equal(f->notice.text, "");
	assert_int_equal(entries_of(f), KEYS);
}

static void assert_kept(struct store_fixture *f)
{
	store_fixture_open(f);
	assert_string_equal(f->notice.text, "");
	assert_int_equal(entries_of(f), KEYS);
	for (uint64_t n = 0; n < KEYS; n++)
		assert_in_store(f->store, n, 0);
}

/* ---- damage --------------------------------------------------------------------------------- */

static void test_truncated(void **state)
{
	struct store_fixture *f = *state;
	const uint64_t sizes[] = {0, 1, 100, PAGE, PAGE + 150, 2 * PAGE, 3 * PAGE, 20 * PAGE + 7};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		closed(f);
		file_truncate(f, "data.mdb", sizes[i]);
		assert_begun_anew(f, sizes[i] == 0    ? "empty"
				     : sizes[i] < 152 ? "not an LMDB file"
						      : "truncated");
		assert_int_equal(file_size(f, "data.mdb.damaged"), sizes[i]);
		assert_int_equal(file_size(f, "data.mdb"), f->options.size);
		store_fixture_close(f);
		directory_remove(f->directory);
	}
}

/* Only the room that was reserved is gone: it is reserved again. */
static void test_truncated_beyond_use(void **state)
{
	struct store_fixture *f = *state;

	closed(f);
	file_truncate(f, "data.mdb", 4 * MIB);
	assert_kept(f);
	assert_int_equal(file_size(f, "data.mdb"), f->options.size);
}

/* Whatever is done to a store whose file was garbled, nothing crashes. */
static void use_all(struct store_fixture *f)
{
	struct cache_key group = group_of(1);
	struct slice value;
	size_t count;

	for (uint64_t n = 0; n < KEYS; n++) {
		struct cache_key key = key_of(n);

		(void)store_get(f->store, &key, &value);
	}
	for (uint64_t n = 0; n < KEYS; n += 10) {
		if (store_begin(f->store) != STORE_OK)
			continue;
		for (uint64_t i = n; i < n + 10; i++) {
			struct cache_key key = key_of(i % 3 ? i : i + KEYS);

			(void)put_in_parts(f->store, &key, bytes_of(i, 1, 600), NULL, 0);
			key = key_of(i + 5);
			(void)drop_in_parts(f->store, &key);
		}
		(void)store_commit(f->store);
	}
	if (store_begin(f->store) == STORE_OK) {
		(void)drop_members(f->store, &group, KEYS, &count);
		(void)store_commit(f->store);
	}
}

static void garble(char *bytes, size_t size, uint64_t seed)
{
	unsigned kind = seed % 3, count = kind == 2 ? 1 : 1 + mix(seed) % 40;

	for (unsigned i = 0; i < count; i++) {
		uint64_t random = mix(seed * 1000 + i);
		size_t at = random % (size - PAGE);

		if (kind == 0)
			bytes[at] ^= (char)(1 << (random >> 32 & 7)); /* a bit */
		else if (kind == 1)
			bytes[at / PAGE * PAGE + random % 64] = (char)(random >> 40); /* heads */
		else
			memset(bytes + at, (int)(random >> 40), PAGE / 2);
	}
}

static void test_garbled(void **state)
{
	struct store_fixture *f = *state;
	size_t size, used = 130 * PAGE;
	char *good = malloc(2 * MIB), *bad = malloc(2 * MIB), mark[256];
	unsigned damaged = 0;
	size_t mark_size;

	f->options.size = 2 * MIB;
	closed(f);
	size = file_read(f, "data.mdb", good, 2 * MIB);
	mark_size = file_read(f, "state", mark, sizeof(mark));
	for (uint64_t seed = 0; seed < GARBLED; seed++) {
		memcpy(bad, good, size);
		garble(bad, used, seed);
		file_write(f, "data.mdb", bad, size);
		file_write(f, "state", mark, mark_size);
		store_fixture_open(f);
		damaged += f->notice.text[0] != '\0';
		if (f->notice.text[0] != '\0')
			assert_notice(f, "begun anew");
		use_all(f);
		store_fixture_close(f);
	}
	print_message("of %u garbled files %u were set aside\n", GARBLED, damaged);
	assert_in_range(damaged, GARBLED / 4, GARBLED - 1);
	free(good);
	free(bad);
}

static void test_foreign_file(void **state)
{
	struct store_fixture *f = *state;
	char text[] = "somebody's shopping list\n", found[sizeof(text)];

	file_write(f, "data.mdb", text, sizeof(text));
	assert_begun_anew(f, "not known to be this cache's");
	assert_int_equal(file_read(f, "data.mdb.foreign", found, sizeof(found)), sizeof(text));
	assert_string_equal(found, text);
}

/* What others have lost here, they can have back: not of a few files only the first, or the last. */
static void test_foreign_files(void **state)
{
	struct store_fixture *f = *state;
	char text[8] = "", found[sizeof(text)], name[32];

	for (unsigned i = 1; i <= 10; i++) {
		snprintf(text, sizeof(text), "file %u", i);
		if (i > 1)
			file_remove(f, "state");
		file_write(f, "data.mdb", text, sizeof(text));
		assert_begun_anew(
			f, i < 10 ? "not known to be this cache's; set aside"
				  : "data.mdb.foreign: is kept from before, so not this time");
		store_fixture_close(f);
	}
	for (unsigned i = 1; i <= 9; i++) {
		snprintf(text, sizeof(text), "file %u", i);
		snprintf(name, sizeof(name), i == 1 ? "data.mdb.foreign" : "data.mdb.foreign.%u",
			 i);
		assert_int_equal(file_read(f, name, found, sizeof(found)), sizeof(text));
		assert_string_equal(found, text);
	}
}

static void test_foreign_instead_of_ours(void **state)
{
	struct store_fixture *f = *state;
	char *bytes = calloc(1, MIB);

	closed(f);
	file_write(f, "data.mdb", bytes, MIB);
	assert_begun_anew(f, "not an LMDB file");
	assert_int_equal(file_size(f, "data.mdb.damaged"), MIB);
	free(bytes);
}

/* LMDB's file, and whole, but with a table of another program. */
static void test_foreign_table(void **state)
{
	struct store_fixture *f = *state;

	f->options.size = 2 * MIB;
	closed(f);
	file_replace(f, "data.mdb", "order", "offer");
	assert_begun_anew(f, "not ours");
}

static void test_not_a_file(void **state)
{
	struct store_fixture *f = *state;
	char path[256];

	snprintf(path, sizeof(path), "%s/data.mdb", f->directory);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_begun_anew(f, "not known to be this cache's");
	store_fixture_close(f);
	snprintf(path, sizeof(path), "%s/data.mdb.foreign", f->directory);
	assert_int_equal(rmdir(path), 0);
	file_remove(f, "data.mdb");
	snprintf(path, sizeof(path), "%s/data.mdb", f->directory);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_begun_anew(f, "not known to be this cache's");
}

static void test_state_lost(void **state)
{
	struct store_fixture *f = *state;

	closed(f);
	file_remove(f, "state");
	assert_begun_anew(f, "not known to be this cache's");
	store_fixture_close(f);
	file_write(f, "state", "cache204-store 1 boot x clean", 29);
	assert_begun_anew(f, "not known to be this cache's");
}

/* ---- how it was left ------------------------------------------------------------------------ */

/* As if the process had been killed: the state says that it runs. */
static void left_running(struct store_fixture *f)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		f->store = store_open(&f->options, &f->notice);
		if (f->store)
			fill(f);
		_exit(f->store ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void test_killed_process_keeps(void **state)
{
	struct store_fixture *f = *state;

	left_running(f);
	assert_kept(f);
}

static void test_killed_and_garbled(void **state)
{
	struct store_fixture *f = *state;

	f->options.size = 2 * MIB;
	left_running(f);
	file_replace(f, "data.mdb", "order", "offer");
	assert_begun_anew(f, "not ours");
}

static void test_unclean_boot_drops(void **state)
{
	struct store_fixture *f = *state;

	left_running(f);
	boot_id_change(f);
	assert_begun_anew(f, "system went down");
	assert_false(file_exists(f, "data.mdb.damaged"));
}

static void test_clean_boot_keeps(void **state)
{
	struct store_fixture *f = *state;

	closed(f);
	boot_id_change(f);
	assert_kept(f);
}

/* The file was copied back: it is looked through, and is good. */
static void test_touched_is_checked(void **state)
{
	struct store_fixture *f = *state;
	char *bytes = malloc(8 * MIB);
	size_t size;

	closed(f);
	size = file_read(f, "data.mdb", bytes, 8 * MIB);
	file_remove(f, "data.mdb");
	file_write(f, "data.mdb", bytes, size);
	assert_kept(f);
	free(bytes);
}

static void test_data_file_removed(void **state)
{
	struct store_fixture *f = *state;

	closed(f);
	file_remove(f, "data.mdb");
	store_fixture_open(f);
	assert_string_equal(f->notice.text, "");
	assert_int_equal(entries_of(f), 0);
	assert_works(f);
}

/* ---- the files beside ----------------------------------------------------------------------- */

static void test_maps_damaged(void **state)
{
	struct store_fixture *f = *state;
	char rubbish[3000];

	memset(rubbish, 0xa5, sizeof(rubbish));
	made(f);
	store_clock(f->store)->lead_ms = 5;
	store_fixture_close(f);
	file_write(f, "visited", rubbish, sizeof(rubbish));
	file_write(f, "lock.mdb", rubbish, sizeof(rubbish));
	assert_kept(f);
	assert_int_equal(store_clock(f->store)->lead_ms, 5);
	store_fixture_close(f);
	file_truncate(f, "visited", 100);
	file_truncate(f, "lock.mdb", 3);
	assert_kept(f);
	store_fixture_close(f);
	/* what was purged, and how old records are, is not known without it */
	file_write(f, "clock", rubbish, 10);
	store_fixture_open(f);
	assert_notice(f, "the clock of its purges is lost; begun anew");
	assert_int_equal(entries_of(f), 0);
	assert_int_equal(store_clock(f->store)->lead_ms, 0);
}

/* With rubbish for bits, slots and hand the store evicts something else, and that is all. */
static void test_visited_bits_are_rubbish(void **state)
{
	struct store_fixture *f = *state;
	uint64_t size;
	char *bytes;

	f->options.size = MIB;
	store_fixture_open(f);
	store_fixture_close(f);
	size = file_size(f, "visited");
	bytes = malloc(size);
	assert_int_equal(file_read(f, "visited", bytes, size), size);
	memset(bytes + 72, 0xff, size - 72); /* all but the head and the bound */
	file_write(f, "visited", bytes, size);
	free(bytes);
	store_fixture_open(f);
	for (uint64_t n = 0; n < 2000; n++)
		assert_int_equal(put_one(f->store, n, bytes_of(n, 0, 900)), STORE_OK);
	assert_in_store(f->store, 1999, 0);
}

/* ---- sizes ---------------------------------------------------------------------------------- */

static void test_smaller_bound(void **state)
{
	struct store_fixture *f = *state;

	closed(f);
	f->options.size = 2 * MIB;
	assert_kept(f);
	assert_int_equal(file_size(f, "data.mdb"), 2 * MIB);
	for (uint64_t n = 0; n < 4000; n++)
		assert_int_equal(put_one(f->store, n, bytes_of(n, 0, 500)), STORE_OK);
	store_fixture_close(f);
	f->options.size = MIB;
	assert_begun_anew(f, "larger than it may be");
	assert_int_equal(file_size(f, "data.mdb"), MIB);
}

static void test_larger_bound(void **state)
{
	struct store_fixture *f = *state;

	closed(f);
	f->options.size = 16 * MIB;
	assert_kept(f);
	assert_int_equal(file_size(f, "data.mdb"), 16 * MIB);
}

static void test_disk_too_full(void **state)
{
	struct store_fixture *f = *state;
	struct store_usage usage;

	fallocate_error = ENOSPC;
	fallocate_room = 4 * MIB;
	store_fixture_open(f);
	assert_notice(f, "no room on disk for 8192 KiB, using 3072 KiB");
	store_usage(f->store, &usage);
	assert_int_equal(usage.bytes_size, 3 * MIB);
	assert_int_equal(file_size(f, "data.mdb"), 3 * MIB);
	assert_works(f);
	for (uint64_t n = 0; n < 10000; n++)
		assert_int_equal(put_one(f->store, n, bytes_of(n, 0, 900)), STORE_OK);
	assert_int_equal(file_size(f, "data.mdb"), 3 * MIB);
}

/* A damaged file that was set aside is less worth than room for the store. */
static void test_disk_full_of_damage(void **state)
{
	struct store_fixture *f = *state;

	closed(f);
	file_truncate(f, "data.mdb", 20 * PAGE);
	fallocate_error = ENOSPC;
	fallocate_room = 2 * MIB;
	store_fixture_open(f);
	assert_notice(f, "truncated");
	assert_notice(f, "no room on disk");
	assert_false(file_exists(f, "data.mdb.damaged"));
}

static void test_no_room_at_all(void **state)
{
	struct store_fixture *f = *state;

	fallocate_error = ENOSPC;
	fallocate_room = 1000;
	assert_null(store_open(&f->options, &f->notice));
	assert_notice(f, "no room on disk: ");
}

static void test_room_cannot_be_reserved(void **state)
{
	struct store_fixture *f = *state;

	fallocate_error = EOPNOTSUPP;
	fallocate_room = 0;
	store_fixture_open(f);
	assert_notice(f, "cannot reserve room");
	assert_int_equal(file_size(f, "data.mdb"), f->options.size);
	assert_works(f);
}

static int teardown(void **state)
{
	fallocate_error = 0;
	fallocate_room = UINT64_MAX;
	return store_teardown(state);
}

/* ---- who may open it ------------------------------------------------------------------------ */

/* Run in a process of its own, as nobody when this is root; 0 when it went well. */
static int as_nobody(struct store_fixture *f, const char *wanted)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
			_exit(2);
		f->store = store_open(&f->options, &f->notice);
		_exit(!f->store && strstr(f->notice.text, wanted) ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void test_read_only_directory(void **state)
{
	struct store_fixture *f = *state;

	assert_int_equal(chmod(f->directory, 0555), 0);
	assert_int_equal(as_nobody(f, "Permission denied"), 0);
	assert_int_equal(chmod(f->directory, 0700), 0);
	assert_int_equal(as_nobody(f, f->directory), geteuid() == 0 ? 0 : 1 << 8);
}

static void test_no_directory(void **state)
{
	struct store_fixture *f = *state;
	char path[128];

	snprintf(path, sizeof(path), "%s/state/store", f->directory);
	file_write(f, "state", "x", 1);
	f->options.directory = path;
	assert_null(store_open(&f->options, &f->notice));
	assert_notice(f, "Not a directory");
	snprintf(path, sizeof(path), "%s/a/b", f->directory);
	store_fixture_open(f);
	assert_string_equal(f->notice.text, "");
	store_fixture_close(f);
	directory_remove(path);
	path[strlen(path) - 2] = '\0';
	directory_remove(path);
}

/* While one process has it open, another gets what the first decided on, and judges nothing. */
static void second(struct store_fixture *f, const char *wanted, bool opens)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		struct store *store = store_open(&f->options, &f->notice);
		bool good = (store != NULL) == opens && strstr(f->notice.text, wanted);
		struct store_usage usage;

		if (good && store != NULL) {
			store_usage(store, &usage);
			good = usage.entries == KEYS && usage.bytes_size == 8 * MIB &&
			       put_one(store, 1, bytes_of(1, 1, 400)) == STORE_OK;
			store_close(store);
		}
		_exit(good ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void test_second_process(void **state)
{
	struct store_fixture *f = *state;

	made(f);
	second(f, "", true);
	assert_in_store(f->store, 1, 1);
	f->options.size = 16 * MIB;
	second(f, "another size", true);
	f->options.format = 2;
	second(f, "another version", false);
	assert_int_equal(entries_of(f), KEYS);
	assert_in_store(f->store, 2, 0);
}

#define DAMAGE_TEST(name) cmocka_unit_test_setup_teardown(name, store_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DAMAGE_TEST(test_truncated),
		DAMAGE_TEST(test_truncated_beyond_use),
		DAMAGE_TEST(test_garbled),
		DAMAGE_TEST(test_foreign_file),
		DAMAGE_TEST(test_foreign_files),
		DAMAGE_TEST(test_foreign_instead_of_ours),
		DAMAGE_TEST(test_foreign_table),
		DAMAGE_TEST(test_not_a_file),
		DAMAGE_TEST(test_state_lost),
		DAMAGE_TEST(test_killed_process_keeps),
		DAMAGE_TEST(test_killed_and_garbled),
		DAMAGE_TEST(test_unclean_boot_drops),
		DAMAGE_TEST(test_clean_boot_keeps),
		DAMAGE_TEST(test_touched_is_checked),
		DAMAGE_TEST(test_data_file_removed),
		DAMAGE_TEST(test_maps_damaged),
		DAMAGE_TEST(test_visited_bits_are_rubbish),
		DAMAGE_TEST(test_smaller_bound),
		DAMAGE_TEST(test_larger_bound),
		DAMAGE_TEST(test_disk_too_full),
		DAMAGE_TEST(test_disk_full_of_damage),
		DAMAGE_TEST(test_no_room_at_all),
		DAMAGE_TEST(test_room_cannot_be_reserved),
		DAMAGE_TEST(test_read_only_directory),
		DAMAGE_TEST(test_no_directory),
		DAMAGE_TEST(test_second_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
