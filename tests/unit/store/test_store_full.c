/* LINKS: cache/store */
/*
 * More than fits: the file stays at its bound, no put fails but one that cannot fit, what was put
 * before is not lost; and a disk, or a reader, that is in the way costs stores and nothing else
 * (HAZARDS S4, S6).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/store_fixture.h"

enum {
	PAGE = 4096,
	VALUE_MAX = 776, /* 400 bytes on average */
};

/* ---- a disk that is full: these stand before the C library's, for LMDB too ------------------ */

static enum {
	DISK_WELL,
	DISK_FULL,
	DISK_FULL_FOR_HEADS, /* LMDB's meta pages, which it writes last */
} disk;

static bool disk_refuses(off_t offset)
{
	if (disk == DISK_WELL || (disk == DISK_FULL_FOR_HEADS && offset >= 2 * PAGE))
		return false;
	errno = ENOSPC;
	return true;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
	return disk_refuses(offset) ? -1 : (ssize_t)syscall(SYS_pwrite64, fd, bytes, size, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	return disk_refuses(2 * PAGE) ? -1 : (ssize_t)syscall(SYS_writev, fd, parts, count);
}

/* ---- floods --------------------------------------------------------------------------------- */

static struct store_usage usage_of(struct store *store)
{
	struct store_usage usage;

	store_usage(store, &usage);
	return usage;
}

static void assert_at_bound(struct store_fixture *f)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/data.mdb", f->directory);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, f->options.size);
	assert_true((uint64_t)st.st_blocks * 512 >= f->options.size);
}

static void put_all(struct store *store, uint64_t from, uint64_t to)
{
	assert_int_equal(store_begin(store), STORE_OK);
	for (uint64_t n = from; n < to; n++) {
		struct cache_key key = key_of(n);

		assert_int_equal(put_in_parts(store, &key, bytes_of(n, 0, VALUE_MAX), NULL, 0),
				 STORE_OK);
	}
	assert_int_equal(store_commit(store), STORE_OK);
}

static uint64_t count_stored(struct store *store, uint64_t from, uint64_t to)
{
	uint64_t count = 0, turn;
	struct slice value;

	for (uint64_t n = from; n < to; n++) {
		struct cache_key key = key_of(n);

		if (store_get(store, &key, &value) != STORE_OK)
			continue;
		assert_true(value_is_of(value, n, &turn));
		count++;
	}
	store_turn_end(store);
	return count;
}

/* Ten times more than fits, in transactions of `batch`. */
static void flood(struct store_fixture *f, uint64_t size, uint64_t batch)
{
	uint64_t keys = size / 80;
	struct store_usage usage;

	f->options.size = size;
	store_fixture_open(f);
	for (uint64_t n = 0; n < keys; n += batch)
		put_all(f->store, n, n + batch);
	usage = usage_of(f->store);
	keys = (keys + batch - 1) / batch * batch;
	print_message("%2u MiB in batches of %3u: %5u of %6u entries, %u%% of the file values\n",
		      (unsigned)(size / MIB), (unsigned)batch, (unsigned)usage.entries,
		      (unsigned)keys, (unsigned)(usage.entries * 400 * 100 / size));
	assert_at_bound(f);
	assert_true(usage.bytes_used <= size);
	assert_int_equal(usage.entries + usage.evictions, keys);
	assert_int_equal(usage.failures, 0);
	/* Trees half full, the reserve, and what stands beside a value leave it a quarter at least.
	 */
	assert_true(usage.entries * 400 >= size / 4);
	assert_int_equal(count_stored(f->store, keys - 100, keys), 100);
	assert_int_equal(count_stored(f->store, 0, keys), usage.entries);
	store_fixture_reopen(f);
	assert_string_equal(f->notice.text, "");
	assert_int_equal(usage_of(f->store).entries, usage.entries);
}

static void test_flood_1_mib(void **state)
{
	flood(*state, MIB, 1);
}

static void test_flood_2_mib(void **state)
{
	flood(*state, 2 * MIB, 500);
}

/* Every length there is: what is taken is whole, what is refused costs nothing else. */
static void test_all_lengths(void **state)
{
	struct store_fixture *f = *state;
	uint64_t full = 0, gone = 0, puts = 1000, turn;

	f->options.size = 4 * MIB;
	store_fixture_open(f);
	for (uint64_t n = 0; n < puts; n++) {
		struct cache_key small = key_of(2 * n), large = key_of(2 * n + 1);
		enum store_result result;
		struct slice value;

		assert_int_equal(store_begin(f->store), STORE_OK);
		assert_int_equal(put_in_parts(f->store, &small, bytes_of(2 * n, 0, 400), NULL, 0),
				 STORE_OK);
		result = put_in_parts(f->store, &large,
				      bytes_of(2 * n + 1, 0, n % 10 ? 5000 : 60000), NULL, 0);
		assert_true(result == STORE_OK || result == STORE_FULL);
		full += result == STORE_FULL;
		assert_int_equal(store_commit(f->store), STORE_OK);
		if (store_get(f->store, &small, &value) == STORE_OK)
			assert_true(value_is_of(value, 2 * n, &turn));
		else
			gone++;
		if (result == STORE_OK) {
			assert_int_equal(store_get(f->store, &large, &value), STORE_OK);
			assert_true(value_is_of(value, 2 * n + 1, &turn));
		}
		store_turn_end(f->store);
	}
	print_message("of %u long values %u found no room, %u put others out at once\n",
		      (unsigned)puts, (unsigned)full, (unsigned)gone);
	assert_true(full < puts / 20);
	assert_true(gone < puts / 20);
	assert_int_equal(usage_of(f->store).failures, 0);
	assert_at_bound(f);
}

/* Entries in many groups, and groups dropped, in the smallest store. */
static void test_groups_in_a_small_store(void **state)
{
	struct store_fixture *f = *state;
	struct cache_key groups[20];
	size_t count;

	f->options.size = MIB;
	store_fixture_open(f);
	for (uint64_t n = 0; n < 1500; n++) {
		struct cache_key key = key_of(n);
		enum store_result result;

		for (uint64_t i = 0; i < 20; i++)
			groups[i] = group_of(mix(n * 20 + i) % 50);
		assert_int_equal(store_begin(f->store), STORE_OK);
		result = put_in_parts(f->store, &key, bytes_of(n, 0, 400), groups, mix(n) % 21);
		assert_int_equal(result, STORE_OK);
		if (n % 50 == 49)
			assert_int_equal(drop_members(f->store, groups, 1000, &count), STORE_OK);
		assert_int_equal(store_commit(f->store), STORE_OK);
	}
	for (uint64_t i = 0; i < 50; i++) {
		groups[0] = group_of(i);
		assert_int_equal(store_begin(f->store), STORE_OK);
		assert_int_equal(drop_members(f->store, groups, 1000, &count), STORE_OK);
		assert_int_equal(drop_members(f->store, groups, 1000, &count), STORE_OK);
		assert_int_equal(count, 0);
		assert_int_equal(store_commit(f->store), STORE_OK);
	}
	assert_int_equal(usage_of(f->store).failures, 0);
}

/* Full, emptied, and filled again. */
static void test_drop_everything(void **state)
{
	struct store_fixture *f = *state;

	f->options.size = 2 * MIB;
	store_fixture_open(f);
	for (int turn = 0; turn < 2; turn++) {
		put_all(f->store, 0, 6000);
		assert_int_equal(store_begin(f->store), STORE_OK);
		for (uint64_t n = 0; n < 6000; n++) {
			struct cache_key key = key_of(n);
			enum store_result result = drop_in_parts(f->store, &key);

			assert_true(result == STORE_OK || result == STORE_NOT_FOUND);
		}
		assert_int_equal(store_commit(f->store), STORE_OK);
		assert_int_equal(usage_of(f->store).entries, 0);
		assert_true(usage_of(f->store).bytes_used < 30 * PAGE);
	}
	assert_int_equal(usage_of(f->store).failures, 0);
}

/* ---- in the way ----------------------------------------------------------------------------- */

/* A process that ends when the test does. */
static pid_t process_start(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

static pid_t reader_start(struct store_fixture *f, uint64_t n)
{
	int ends[2];
	pid_t reader;
	char byte;

	assert_int_equal(pipe(ends), 0);
	reader = process_start();
	if (reader == 0) {
		struct store *store = store_open(&f->options, &f->notice);
		struct cache_key key = key_of(n);
		struct slice value;

		if (store != NULL && store_get(store, &key, &value) == STORE_OK &&
		    write(ends[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	close(ends[0]);
	return reader;
}

/*
 * A reader that keeps its view keeps all pages of it: nothing can be stored, but what is there is
 * served, something can still be dropped, nothing fails, and when the reader is gone all is well.
 */
static void test_stuck_reader(void **state)
{
	struct store_fixture *f = *state;
	uint64_t full = 0, stored = 0, dropped = 0;
	pid_t reader;

	f->options.size = 4 * MIB;
	store_fixture_open(f);
	put_all(f->store, 0, 12000);
	reader = reader_start(f, 11999);
	for (uint64_t n = 20000; n < 24000; n++)
		if (put_one(f->store, n, bytes_of(n, 0, VALUE_MAX)) == STORE_FULL)
			full++;
		else
			stored++;
	print_message("with a stuck reader %u were stored, %u not\n", (unsigned)stored,
		      (unsigned)full);
	assert_true(full > 1000);
	assert_true(count_stored(f->store, 0, 24000) > 1000);
	for (uint64_t n = 0; n < 24000 && dropped == 0; n++) {
		struct cache_key key = key_of(n);

		assert_int_equal(store_begin(f->store), STORE_OK);
		dropped += drop_in_parts(f->store, &key) == STORE_OK;
		assert_int_equal(store_commit(f->store), STORE_OK);
	}
	assert_int_equal(dropped, 1);
	assert_int_equal(usage_of(f->store).failures, 0);
	kill(reader, SIGKILL);
	waitpid(reader, NULL, 0);
	store_check_readers(f->store);
	/* All that is old was visited just now: what is new goes first, but it comes in. */
	for (uint64_t n = 30000; n < 31000; n++) {
		assert_int_equal(put_one(f->store, n, bytes_of(n, 0, VALUE_MAX)), STORE_OK);
		assert_in_store(f->store, n, 0);
	}
	assert_at_bound(f);
}

static void test_disk_full(void **state)
{
	struct store_fixture *f = *state;
	struct cache_key key = key_of(200);

	store_fixture_open(f);
	put_all(f->store, 0, 100);
	for (int kind = DISK_FULL; kind <= DISK_FULL_FOR_HEADS; kind++) {
		uint64_t failures = usage_of(f->store).failures;

		disk = kind;
		for (int i = 0; i < 5; i++) {
			(void)store_begin(f->store);
			(void)put_in_parts(f->store, &key, bytes_of(200, 0, 400), NULL, 0);
			assert_int_equal(store_commit(f->store), STORE_FAILED);
			assert_non_null(strstr(store_error(f->store), "No space left"));
			/* What is stored is read all the same, at once. */
			assert_int_equal(count_stored(f->store, 0, 100), 100);
		}
		assert_int_equal(usage_of(f->store).failures, failures + 5);
		disk = DISK_WELL;
		assert_int_equal(put_one(f->store, 200 + (uint64_t)kind, bytes_of(1, 0, 400)),
				 STORE_OK);
		assert_absent(f->store, 200);
		assert_int_equal(count_stored(f->store, 0, 100), 100);
	}
	store_fixture_reopen(f);
	assert_string_equal(f->notice.text, "");
	assert_int_equal(count_stored(f->store, 0, 100), 100);
}

/* ---- two writers ---------------------------------------------------------------------------- */

struct shared {
	_Atomic uint64_t commits;
	_Atomic bool stop;
};

static void write_until_stopped(struct store_fixture *f, struct shared *shared)
{
	struct store *store = store_open(&f->options, &f->notice);

	if (store == NULL)
		_exit(1);
	for (uint64_t n = 100000; !atomic_load(&shared->stop); n += 50) {
		if (store_begin(store) != STORE_OK)
			_exit(2);
		for (uint64_t i = n; i < n + 50; i++) {
			struct cache_key key = key_of(i);
			enum store_result result =
				put_in_parts(store, &key, bytes_of(i, 0, VALUE_MAX), NULL, 0);

			if (result != STORE_OK && result != STORE_FULL)
				_exit(3);
		}
		if (store_commit(store) != STORE_OK)
			_exit(4);
		atomic_fetch_add(&shared->commits, 1);
	}
	store_close(store);
	_exit(0);
}

/* Both write into a full store, and neither keeps the other out. */
static void test_two_writers(void **state)
{
	struct store_fixture *f = *state;
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t mine = 0, full = 0;
	int status;
	pid_t other;

	f->options.size = 2 * MIB;
	other = process_start();
	if (other == 0)
		write_until_stopped(f, shared);
	store_fixture_open(f);
	while (atomic_load(&shared->commits) < 100 || mine < 100) {
		assert_int_equal(store_begin(f->store), STORE_OK);
		for (uint64_t i = mine * 50; i < mine * 50 + 50; i++) {
			struct cache_key key = key_of(i);

			full += put_in_parts(f->store, &key, bytes_of(i, 0, VALUE_MAX), NULL, 0) ==
				STORE_FULL;
		}
		assert_int_equal(store_commit(f->store), STORE_OK);
		assert_true(mine++ < 20000);
	}
	print_message("%u transactions of 50 beside %u of another, %u puts dropped\n",
		      (unsigned)mine, (unsigned)atomic_load(&shared->commits), (unsigned)full);
	assert_true(full <= mine * 50 / 10);
	atomic_store(&shared->stop, true);
	assert_int_equal(waitpid(other, &status, 0), other);
	assert_int_equal(status, 0);
	assert_int_equal(usage_of(f->store).failures, 0);
	assert_int_equal(
		count_stored(f->store, 0, mine * 50) +
			count_stored(f->store, 100000, 100000 + 50 * atomic_load(&shared->commits)),
		usage_of(f->store).entries);
	assert_at_bound(f);
	munmap(shared, sizeof(*shared));
}

static int teardown(void **state)
{
	disk = DISK_WELL;
	return store_teardown(state);
}

#define FULL_TEST(name) cmocka_unit_test_setup_teardown(name, store_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FULL_TEST(test_flood_1_mib),     FULL_TEST(test_flood_2_mib),
		FULL_TEST(test_all_lengths),     FULL_TEST(test_groups_in_a_small_store),
		FULL_TEST(test_drop_everything), FULL_TEST(test_stuck_reader),
		FULL_TEST(test_disk_full),       FULL_TEST(test_two_writers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
