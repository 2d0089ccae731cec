/* LINKS: cache/store */
/*
 * A store whose last user died is opened at once when its file is as the last commit left it, and
 * after a look at every page when it may not be.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/store/files.h"
#include "cache/store/note.h"
#include "tests/support/store_fixture.h"

enum {
	KEYS = 1000,
	VALUE_MAX = 900,
	PAGES = 100, /* of the file in use, at least */
	A_FEW = 20,  /* reads of heads, and LMDB's own */
	DIED = 42,   /* status of a child that ended where it was to */
	DEEP = 50 * 4096 + 4000,
};

/* ---- in place of the C library's ------------------------------------------------------------ */

/* Reads are counted, and a look at a file may be the end. */

static unsigned reads;
static unsigned die_at; /* the n-th look at a file from now, 0 for never */

ssize_t pread(int fd, void *to, size_t size, off_t offset)
{
	reads++;
	return syscall(SYS_pread64, fd, to, size, offset);
}

int fstat(int fd, struct stat *ret_st)
{
	if (die_at > 0 && --die_at == 0)
		_exit(DIED);
	return fstatat(fd, "", ret_st, AT_EMPTY_PATH);
}

/* ---- stores --------------------------------------------------------------------------------- */

static void fill(struct store *store, uint64_t turn)
{
	for (uint64_t n = 0; n < KEYS; n++) {
		struct cache_key key = key_of(n);

		if (n % 100 == 0 && store_begin(store) != STORE_OK)
			_exit(2);
		if (put_in_parts(store, &key, bytes_of(n, turn, VALUE_MAX), NULL, 0) != STORE_OK)
			_exit(3);
		if (n % 100 == 99 && store_commit(store) != STORE_OK)
			_exit(4);
	}
}

/* What a process does with the store before it dies without closing it. */
typedef void (*life)(struct store_fixture *f);

static void live_and_die(struct store_fixture *f, life live, int wanted)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		f->store = store_open(&f->options, &f->notice);
		if (!f->store)
			_exit(1);
		live(f);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, wanted << 8);
}

static void live_filling(struct store_fixture *f)
{
	fill(f->store, 1);
}

static void open_whole(struct store_fixture *f)
{
	reads = 0;
	store_fixture_open(f);
	assert_string_equal(f->notice.text, "");
	for (uint64_t n = 0; n < KEYS; n++)
		assert_in_store(f->store, n, 1);
}

static void assert_opened_quickly(struct store_fixture *f)
{
	open_whole(f);
	assert_in_range(reads, 1, A_FEW);
}

static void assert_opened_with_a_look(struct store_fixture *f)
{
	open_whole(f);
	assert_in_range(reads, PAGES, KEYS);
}

static int64_t changed_ns(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec;
}

/* Change a byte, or none, and set the time of that back; until the kernel's clock has gone on. */
static void touch(const struct store_fixture *f, const char *name, off_t at, char change)
{
	struct timespec times[2];
	struct stat before;
	char path[256], byte;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", f->directory, name);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &before), 0);
	times[0] = before.st_atim;
	times[1] = before.st_mtim;
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= change;
	do {
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		assert_int_equal(futimens(fd, times), 0);
	} while (changed_ns(fd) ==
		 (int64_t)before.st_ctim.tv_sec * 1000000000 + before.st_ctim.tv_nsec);
	close(fd);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void test_untouched_after_death(void **state)
{
	struct store_fixture *f = *state;

	live_and_die(f, live_filling, 0);
	assert_opened_quickly(f);
}

/* As after a mount; false where files are in memory alone. */
static bool drop_from_memory(const struct store_fixture *f, const char *name)
{
	struct store_files files = {.directory = open(f->directory, O_RDONLY | O_DIRECTORY)};
	int fd = openat(files.directory, name, O_RDWR);
	bool is = store_files_is_cached(&files, name);

	assert_true(is && fd >= 0);
	/* the kernel may have the page in hand at the first of them */
	for (int i = 0; i < 100 && is; i++) {
		assert_int_equal(fsync(fd), 0);
		assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
		is = store_files_is_cached(&files, name);
	}
	close(fd);
	close(files.directory);
	return !is;
}

/* The volume may have been put back to an earlier state, of which head and note agree. */
static void test_mounted_anew_after_death(void **state)
{
	struct store_fixture *f = *state;

	directory_remove(f->directory);
	strcpy(f->directory, "/var/tmp/cache204-store-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	live_and_die(f, live_filling, 0);
	if (!drop_from_memory(f, "noted"))
		skip(); /* the teardown removes it */
	assert_opened_with_a_look(f);
}

static void live_reading(struct store_fixture *f)
{
	for (uint64_t n = 0; n < KEYS; n++)
		assert_in_store(f->store, n, 1);
}

static void live_in_a_transaction(struct store_fixture *f)
{
	struct cache_key key = key_of(1);

	if (store_begin(f->store) != STORE_OK ||
	    put_in_parts(f->store, &key, bytes_of(1, 2, VALUE_MAX), NULL, 0) != STORE_OK)
		_exit(2);
}

static void live_aborting(struct store_fixture *f)
{
	live_in_a_transaction(f);
	store_abort(f->store);
	if (store_begin(f->store) != STORE_OK || store_commit(f->store) != STORE_OK)
		_exit(2);
}

/* Nor does dying again and again, whatever they did that left the file as it was. */
static void test_death_after_death(void **state)
{
	struct store_fixture *f = *state;
	const life lives[] = {live_filling, live_reading, live_in_a_transaction, live_aborting,
			      live_reading};

	for (size_t i = 0; i < sizeof(lives) / sizeof(*lives); i++) {
		live_and_die(f, lives[i], 0);
		assert_opened_quickly(f);
		if (i % 2 == 0)
			store_fixture_close(f);
		else
			live_and_die(f, live_reading, 0); /* beside this one */
		store_fixture_close(f);
	}
}

static void test_touched_after_death(void **state)
{
	struct store_fixture *f = *state;

	live_and_die(f, live_filling, 0);
	touch(f, "data.mdb", DEEP, 0);
	assert_opened_with_a_look(f);
}

static void assert_damage_found(struct store_fixture *f)
{
	store_fixture_open(f);
	if (!strstr(f->notice.text, "damaged page; set aside"))
		fail_msg("notice \"%s\"", f->notice.text);
	assert_absent(f->store, 1);
}

static void test_damaged_after_death(void **state)
{
	struct store_fixture *f = *state;

	live_and_die(f, live_filling, 0);
	touch(f, "data.mdb", 50 * 4096, 1); /* the page's own number */
	assert_damage_found(f);
}

static void live_touched(struct store_fixture *f)
{
	fill(f->store, 1);
	touch(f, "data.mdb", DEEP, 0);
	fill(f->store, 1);
}

/* What was committed after it does not hide it. */
static void test_touched_while_in_use(void **state)
{
	struct store_fixture *f = *state;

	live_and_die(f, live_touched, 0);
	assert_opened_with_a_look(f);
	store_fixture_close(f);
	assert_opened_quickly(f);
}

/* Not even a clean end. */
static void test_touched_while_in_use_and_closed(void **state)
{
	struct store_fixture *f = *state;

	store_fixture_open(f);
	live_touched(f);
	store_fixture_close(f);
	assert_opened_with_a_look(f);
}

static void live_until_the_note(struct store_fixture *f)
{
	fill(f->store, 1);
	if (store_begin(f->store) != STORE_OK)
		_exit(2);
	for (uint64_t n = 0; n < KEYS; n += 10) {
		struct cache_key key = key_of(n);

		if (put_in_parts(f->store, &key, bytes_of(n, 1, VALUE_MAX), NULL, 0) != STORE_OK)
			_exit(3);
	}
	die_at = 1;
	store_commit(f->store);
}

static void test_death_between_write_and_note(void **state)
{
	struct store_fixture *f = *state;

	live_and_die(f, live_until_the_note, DIED);
	assert_opened_with_a_look(f);
	store_fixture_close(f);
	live_and_die(f, live_reading, 0);
	assert_opened_quickly(f);
}

/* The writer after it cannot know whose writes it finds. */
static void test_death_between_write_and_note_beside_another(void **state)
{
	struct store_fixture *f = *state;

	store_fixture_open(f);
	live_and_die(f, live_until_the_note, DIED);
	assert_int_equal(put_one(f->store, 1, bytes_of(1, 1, VALUE_MAX)), STORE_OK);
	store_fixture_close(f);
	assert_opened_with_a_look(f);
}

static void live_beside(struct store_fixture *f)
{
	pid_t other = fork();
	int status;

	if (other == 0) {
		struct store *store = store_open(&f->options, &f->notice);

		if (store == NULL)
			_exit(1);
		for (unsigned i = 0; i < 5; i++)
			fill(store, 1);
		_exit(0);
	}
	for (unsigned i = 0; i < 5; i++)
		fill(f->store, 1);
	if (waitpid(other, &status, 0) != other || status != 0)
		_exit(5);
}

/* Two that write at the same time never take each other for somebody else. */
static void test_two_writers(void **state)
{
	struct store_fixture *f = *state;

	live_and_die(f, live_beside, 0);
	assert_opened_quickly(f);
}

static void live_with_a_fault(struct store_fixture *f)
{
	fill(f->store, 1);
	store_doubt(f->store);
	fill(f->store, 1);
}

static void test_doubt_lasts_until_a_look(void **state)
{
	struct store_fixture *f = *state;

	live_and_die(f, live_with_a_fault, 0);
	assert_opened_with_a_look(f);
	store_fixture_close(f);
	live_and_die(f, live_filling, 0);
	assert_opened_quickly(f);
}

/* Whatever the note says: the slow way, nothing worse. */
/* The file is sound, and processes crash: with few commits in between it is to be blamed. */
static void test_crashes_are_counted(void **state)
{
	const struct {
		uint32_t crashes;
		uint64_t acquitted, transaction;
		uint32_t kept;
		bool good;
	} rows[] = {
		{0, 0, 5000, 0, true},
		{1, 0, 5, 1, true},
		{1, 0, 5000, 1, true},
		{2, 4000, 5000, 2, true},
		{3, 4000, 5000, 3, false},
		{3, 3999, 5000, 1, true},
		{3, 5000, 5000, 3, false},
		{3, 5001, 5000, 1, true}, /* another file */
		{3, 0, 5000, 1, true},    /* it had many commits, and was not looked at */
		{UINT32_MAX, 5000, 5000, UINT32_MAX, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct store_note note = {
			.crashes = rows[i].crashes, .doubted = 1, .acquitted = rows[i].acquitted};
		struct store_note next;

		assert_int_equal(store_note_acquit(&note, rows[i].transaction, &next),
				 rows[i].good);
		assert_int_equal(next.crashes, rows[i].kept);
		assert_int_equal(next.acquitted, rows[i].crashes > 0 ? rows[i].transaction : 0);
		assert_false(store_note_is_doubted(&next));
		assert_int_equal(next.taken, 0);
	}
}

/* Openings without a crash in between do not make it a crash of late. */
static void test_crashes_are_forgotten(void **state)
{
	struct store_note note = {.crashes = 2, .acquitted = 4000}, next;

	(void)state;
	assert_true(store_note_acquit(&note, 4600, &next));
	assert_int_equal(next.crashes, 2);
	assert_int_equal(next.acquitted, 4000);
	assert_true(store_note_acquit(&next, 5000, &note));
	assert_int_equal(note.crashes, 2);
	assert_true(store_note_acquit(&note, 5001, &next));
	assert_int_equal(next.crashes, 0);
	assert_int_equal(next.acquitted, 0);
	store_note_crash(&note);
	assert_true(store_note_acquit(&note, 5001, &next));
	assert_int_equal(next.crashes, 1);
	assert_int_equal(next.acquitted, 5001);
}

static void test_a_crash_is_doubt(void **state)
{
	struct store_note note = {.crashes = 1};

	(void)state;
	store_note_crash(&note);
	assert_int_equal(note.crashes, 2);
	assert_true(store_note_is_doubted(&note));
}

static void test_note_is_rubbish(void **state)
{
	struct store_fixture *f = *state;
	const off_t end = 64 + (off_t)sizeof(struct store_note);
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/noted", f->directory);
	for (uint64_t seed = 0; seed < 10; seed++) {
		live_and_die(f, live_filling, 0);
		fd = open(path, O_WRONLY);
		assert_true(fd >= 0);
		for (off_t at = seed % 2 ? 64 : 0; at < end; at += 8)
			assert_int_equal(pwrite(fd, &(uint64_t){mix(seed + (uint64_t)at)}, 8, at),
					 8);
		close(fd);
		assert_opened_with_a_look(f);
		store_fixture_close(f);
	}
	live_and_die(f, live_filling, 0);
	assert_int_equal(truncate(path, 70), 0);
	assert_opened_with_a_look(f);
	store_fixture_close(f);
	live_and_die(f, live_filling, 0);
	assert_int_equal(unlink(path), 0);
	assert_opened_with_a_look(f);
}

#define NOTE_TEST(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		NOTE_TEST(test_untouched_after_death),
		NOTE_TEST(test_mounted_anew_after_death),
		NOTE_TEST(test_death_after_death),
		NOTE_TEST(test_touched_after_death),
		NOTE_TEST(test_damaged_after_death),
		NOTE_TEST(test_touched_while_in_use),
		NOTE_TEST(test_touched_while_in_use_and_closed),
		NOTE_TEST(test_death_between_write_and_note),
		NOTE_TEST(test_death_between_write_and_note_beside_another),
		NOTE_TEST(test_two_writers),
		NOTE_TEST(test_doubt_lasts_until_a_look),
		NOTE_TEST(test_note_is_rubbish),
		cmocka_unit_test(test_crashes_are_counted),
		cmocka_unit_test(test_crashes_are_forgotten),
		cmocka_unit_test(test_a_crash_is_doubt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
