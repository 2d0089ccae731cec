/* LINKS: cache/store tests/doubles/failing_calls.c -Wl,@tests/doubles/failing_calls.wraps */
/* Each call that opening a store makes, failed: whether it opens all the same, and what it says. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/doubles/failing_calls.h"
#include "tests/support/store_fixture.h"

enum {
	NOTICES = 16,
	SAYS_SIZE = 600,
	CALLS_MAX = 60,
};

/*
 * What is said when the first such call fails, the second, and so on; one that says the same as that
 * before it is not repeated.  "+" opens, "-" does not; @ is the directory.
 */
struct opening {
	const char *call;
	const char *says[NOTICES];
};

/* Of any. */
static const struct opening either[] = {
	{"calloc", {"- no memory for the store", "- @: open: no memory"}},
	{"open",
	 {"- store: @: cannot be made or written by this user: EIO",
	  "- @: cannot be written: EIO"}},
	{"F_OFD_SETLKW", {"- @: cannot be locked: EIO"}},
	{"F_DUPFD_CLOEXEC", {"- @: cannot be held: EIO"}},
	{"fsync", {"- @: cannot be written: EIO"}},
	{"ftruncate", {"- @: cannot be written: EIO", "- store: @: no room on disk: EIO"}},
	{"fallocate", {"- store: @: no room on disk: EIO"}},
	{"posix_fallocate", {"+", "- @/clock: EIO", "- @/invalidations: EIO", "+"}},
	{"mdb_env_create", {"- @: open: EIO"}},
	{"mdb_env_set_mapsize", {"- @: open: EIO", "- @: resize: EIO"}},
	{"mdb_env_set_maxdbs", {"- @: open: EIO"}},
	{"mdb_env_set_maxreaders", {"- @: open: EIO"}},
	{"mdb_env_open", {"- @: open: EIO"}},
	{"mdb_reader_check", {"- @: open: EIO"}},
	{"mdb_txn_begin", {"- @: open: EIO"}},
	{"mdb_dbi_open", {"- @: open: EIO"}},
	{"mdb_txn_commit", {"- @: open: EIO"}},
	{"mdb_env_stat", {"- @: open: EIO"}},
	{"mdb_env_get_fd", {"- store: @: no room on disk: Bad file descriptor", "+"}},
};

/* Of a store that is not there yet. */
static const struct opening fresh[] = {
	{"openat",
	 {"- store: @: cannot be made or written by this user: EIO", "+", "- @/clock: EIO",
	  "- @/invalidations: EIO", "+", "- @: cannot be written: EIO", "+",
	  "- @: cannot be held: EIO"}},
	{"F_OFD_SETLK",
	 {"- @: cannot be locked: EIO", "- @: cannot be held: EIO", "- @: cannot be locked: EIO"}},
	{"mkdir", {"+", "- store: @: cannot be made or written by this user: EIO"}},
	{"fstatat",
	 {"- @/state: cannot be read: EIO: the store is kept for the next start",
	  "- @: files were removed or exchanged while the store is in use"}},
	{"pwrite",
	 {"+", "- @/clock: EIO", "- @/invalidations: EIO", "- @: cannot be written: EIO", "+"}},
	{"mmap", {"+", "- @/clock: EIO", "- @/invalidations: EIO", "+"}},
	{"msync", {"- @/invalidations: EIO"}},
	{"renameat", {"+", "- @/clock: EIO", "- @/invalidations: EIO", "+"}},
	{"getrandom", {"- @: open: EIO"}},
	{"mdb_stat", {"- @: open: EIO", "+"}},
	{"mdb_put", {"- @: open: EIO"}},
};

/* Of one that was closed. */
static const struct opening kept[] = {
	{"openat",
	 {"- store: @: cannot be made or written by this user: EIO", "+", "- @/clock: EIO",
	  "- @/invalidations: EIO", "+",
	  "- @/state: cannot be read: EIO: the store is kept for the next start",
	  "- @/data.mdb: cannot be read: EIO: the store is kept for the next start",
	  "- @: cannot be written: EIO", "+", "- @: cannot be held: EIO"}},
	{"F_OFD_SETLK",
	 {"- @: cannot be locked: EIO", "- @: cannot be held: EIO", "- @: cannot be locked: EIO"}},
	{"fstat",
	 {"+", "- @/clock: EIO", "- @/invalidations: EIO",
	  "- @/data.mdb: cannot be read: EIO: the store is kept for the next start", "+"}},
	{"fstatat",
	 {"- @/state: cannot be read: EIO: the store is kept for the next start", "+",
	  "- @: files were removed or exchanged while the store is in use"}},
	{"pwrite", {"- @: cannot be written: EIO"}},
	{"read",
	 {"- @/state: cannot be read: EIO: the store is kept for the next start",
	  "- @: cannot be written: EIO"}},
	{"pread",
	 {"+", "- @/clock: EIO", "- @/invalidations: EIO",
	  "- @/data.mdb: cannot be read: EIO: the store is kept for the next start", "+"}},
	{"mmap", {"+", "- @/clock: EIO", "- @/invalidations: EIO", "+"}},
	{"mdb_stat", {"- @: open: EIO"}},
	{"mdb_get", {"- @: open: EIO"}},
};

/* Of one that was closed: that a file is denied, or is none, does not pass. */
static const struct opening denied[] = {
	{"openat",
	 {"- store: @: cannot be made or written by this user: Permission denied", "+",
	  "+ @/data.mdb: the clock of its purges is lost; begun anew",
	  "+ @/data.mdb: the times of its invalidations are lost; begun anew", "+",
	  "+ @/data.mdb: it is not known to be this cache's; set aside as data.mdb.foreign and "
	  "begun anew",
	  "+ @/data.mdb: it cannot be opened; set aside as data.mdb.damaged and begun anew",
	  "- @: cannot be written: Permission denied", "+",
	  "- @: cannot be held: Permission denied"}},
	{"fstatat",
	 {"+ @/data.mdb: it is not known to be this cache's; set aside as data.mdb.foreign and "
	  "begun anew",
	  "+", "- @: files were removed or exchanged while the store is in use"}},
	{"open", {"- store: @: cannot be made or written by this user: Permission denied", "+"}},
};

/* Each occurrence of a text becomes a shorter one. */
static void put_for(char *text, const char *from, const char *to)
{
	for (char *at = strstr(text, from); at != NULL; at = strstr(at, from)) {
		memmove(at + strlen(to), at + strlen(from), strlen(at + strlen(from)) + 1);
		memcpy(at, to, strlen(to));
		at += strlen(to);
	}
}

/* Opens with the n-th such call failed; false when there are no so many. */
static bool opens(struct store_fixture *f, const struct opening *row, unsigned n, int error,
		  char *ret_says)
{
	fail_calls(row->call, n, 1, error);
	f->store = store_open(&f->options, &f->notice);
	if (!fail_calls_never())
		return false;
	snprintf(ret_says, SAYS_SIZE, "%c%s%s", f->store != NULL ? '+' : '-',
		 f->notice.text[0] != '\0' ? " " : "", f->notice.text);
	put_for(ret_says, f->directory, "@");
	put_for(ret_says, strerror(EIO), "EIO");
	return true;
}

static void make(struct store_fixture *f)
{
	store_fixture_open(f);
	assert_int_equal(put_one(f->store, 1, bytes_of(1, 0, 400)), STORE_OK);
	store_fixture_close(f);
}

static void assert_says(struct store_fixture *f, const struct opening *row, bool is_kept, int error)
{
	char says[SAYS_SIZE], last[SAYS_SIZE] = "";
	unsigned at = 0, n;

	for (n = 0;; n++) {
		bool called;

		assert_in_range(n, 0, CALLS_MAX);
		if (is_kept)
			make(f);
		called = opens(f, row, n, error, says);
		store_fixture_close(f);
		directory_remove(f->directory);
		if (!called)
			break;
		if (n > 0 && strcmp(says, last) == 0)
			continue;
		if (at == NOTICES || row->says[at] == NULL || strcmp(says, row->says[at]) != 0)
			fail_msg("%s %u: \"%s\" instead of \"%s\"", row->call, n, says,
				 at < NOTICES && row->says[at] != NULL ? row->says[at] : "(none)");
		strcpy(last, says);
		at++;
	}
	if (at < NOTICES && row->says[at] != NULL)
		fail_msg("%s: not said: \"%s\"", row->call, row->says[at]);
}

static void assert_all_say(struct store_fixture *f, const struct opening *rows, size_t count,
			   bool is_kept)
{
	for (size_t i = 0; i < count; i++)
		assert_says(f, &rows[i], is_kept, EIO);
	for (size_t i = 0; i < sizeof(either) / sizeof(*either); i++)
		assert_says(f, &either[i], is_kept, EIO);
}

static void test_a_new_one(void **state)
{
	assert_all_say(*state, fresh, sizeof(fresh) / sizeof(*fresh), false);
}

static void test_one_that_is_there(void **state)
{
	assert_all_say(*state, kept, sizeof(kept) / sizeof(*kept), true);
}

static void test_one_that_is_denied(void **state)
{
	for (size_t i = 0; i < sizeof(denied) / sizeof(*denied); i++)
		assert_says(*state, &denied[i], true, EACCES);
}

static int setup(void **state)
{
	struct store_fixture *f;

	store_setup(state);
	f = *state;
	f->options.size = MIB;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_new_one, setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_one_that_is_there, setup, store_teardown),
		cmocka_unit_test_setup_teardown(test_one_that_is_denied, setup, store_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
