/* LINKS: cache/store */
/*
 * Writers killed at any moment, the holder of the writer's lock among them: what was committed is
 * there and whole, the store is kept, and others go on (HAZARDS S1, S5).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/store_fixture.h"

enum {
	KEYS = 400,
	BATCH_MAX = 20,
	KILLS = 40,
	KILLS_BESIDE = 25,
	PATIENCE_MS = 5000,
};

/* What a writer has done, in memory shared with the test: turns of writing, 0 for never or dropped.
 */
struct progress {
	_Atomic uint64_t committed[KEYS];
	_Atomic uint64_t begun[KEYS]; /* at least as new: may be in the store, too */
	_Atomic uint64_t turn;
};

struct writer {
	pid_t pid;
	int pipe; /* a byte for every commit */
};

static struct progress *progress_new(void)
{
	struct progress *progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(progress != MAP_FAILED);
	return progress;
}

/* A transaction of some puts; every key has only this writer. */
static void write_batch(struct store *store, struct progress *progress, uint64_t from)
{
	uint64_t turn = atomic_fetch_add(&progress->turn, 1) + 1, random = mix(turn ^ from << 32);
	uint64_t count = 1 + random % BATCH_MAX, first = random >> 32;

	if (store_begin(store) != STORE_OK)
		_exit(2);
	for (uint64_t i = 0; i < count; i++) {
		uint64_t n = (first + i * 7) % KEYS;
		struct cache_key key = key_of(from + n);

		atomic_store(&progress->begun[n], turn);
		if (put_in_parts(store, &key, bytes_of(from + n, turn, n % 10 ? 600 : 6000), NULL,
				 0) != STORE_OK)
			_exit(3);
	}
	if (store_commit(store) != STORE_OK)
		_exit(4);
	for (uint64_t i = 0; i < count; i++)
		atomic_store(&progress->committed[(first + i * 7) % KEYS], turn);
}

static void write_for_ever(struct store_fixture *f, struct progress *progress, uint64_t from,
			   int pipe)
{
	struct store *store = store_open(&f->options, &f->notice);

	if (store == NULL || f->notice.text[0] != '\0')
		_exit(1);
	do
		write_batch(store, progress, from);
	while (write(pipe, "", 1) == 1);
	_exit(5);
}

static struct writer writer_start(struct store_fixture *f, struct progress *progress, uint64_t from)
{
	struct writer writer;
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	writer.pid = fork();
	assert_true(writer.pid >= 0);
	if (writer.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		write_for_ever(f, progress, from, ends[1]);
	}
	close(ends[1]);
	writer.pipe = ends[0];
	return writer;
}

/* Wait for so many commits. */
static void writer_wait(const struct writer *writer, uint64_t count)
{
	struct pollfd poll_for = {.fd = writer->pipe, .events = POLLIN};
	char bytes[64];

	while (count > 0) {
		ssize_t n;

		assert_int_equal(poll(&poll_for, 1, PATIENCE_MS), 1);
		n = read(writer->pipe, bytes, count < sizeof(bytes) ? count : sizeof(bytes));
		if (n <= 0)
			fail_msg("the writer has ended");
		count -= (uint64_t)n;
	}
}

static void writer_kill(struct writer *writer)
{
	int status;

	assert_int_equal(kill(writer->pid, SIGKILL), 0);
	assert_int_equal(waitpid(writer->pid, &status, 0), writer->pid);
	assert_true(WIFSIGNALED(status));
	close(writer->pipe);
}

/* A moment that depends on nothing but the seed and the machine. */
static void spin(uint64_t steps)
{
	for (volatile uint64_t i = 0; i < steps; i++)
		;
}

static void assert_whole(struct store *store, const struct progress *progress, uint64_t from)
{
	for (uint64_t n = 0; n < KEYS; n++) {
		struct cache_key key = key_of(from + n);
		uint64_t turn, least = atomic_load(&progress->committed[n]);
		enum store_result result;
		struct slice value;

		result = store_get(store, &key, &value);
		if (result == STORE_NOT_FOUND && least == 0)
			continue;
		assert_int_equal(result, STORE_OK);
		assert_true(value_is_of(value, from + n, &turn));
		assert_in_range(turn, least, atomic_load(&progress->begun[n]));
	}
	store_turn_end(store);
}

/* The only process is killed: the next one finds everything. */
static void test_kill_the_only_one(void **state)
{
	struct store_fixture *f = *state;
	struct progress *progress = progress_new();

	for (uint64_t i = 0; i < KILLS; i++) {
		uint64_t random = mix(i);
		struct writer writer = writer_start(f, progress, 0);

		if (random % 8 != 0)
			writer_wait(&writer, 1 + random % 8);
		spin(random >> 32 & 0x3ffff);
		writer_kill(&writer);
		store_fixture_open(f);
		assert_string_equal(f->notice.text, "");
		assert_whole(f->store, progress, 0);
		if (i % 2 == 0) {
			store_close(f->store);
		} else if (fork() == 0) {
			_exit(0); /* a child that does nothing must not end the store's use */
		} else {
			wait(NULL);
			store_close(f->store);
		}
		f->store = NULL;
	}
	munmap(progress, sizeof(*progress));
}

/* One of two is killed, at times while it holds the lock: the other goes on writing. */
static void test_kill_one_of_two(void **state)
{
	struct store_fixture *f = *state;
	struct progress *one = progress_new(), *two = progress_new();
	struct writer steady = writer_start(f, one, 0);

	writer_wait(&steady, 1);
	for (uint64_t i = 0; i < KILLS_BESIDE; i++) {
		uint64_t random = mix(~i);
		struct writer killed = writer_start(f, two, KEYS);

		writer_wait(&killed, 1 + random % 4);
		spin(random >> 32 & 0x1ffff);
		writer_kill(&killed);
		writer_wait(&steady, 3);
	}
	writer_kill(&steady);
	store_fixture_open(f);
	assert_string_equal(f->notice.text, "");
	assert_whole(f->store, one, 0);
	assert_whole(f->store, two, KEYS);
	munmap(one, sizeof(*one));
	munmap(two, sizeof(*two));
}

/* Killed while it reads: its slot is cleared, and the pages it read are free again. */
static void test_kill_a_reader(void **state)
{
	struct store_fixture *f = *state;
	int ends[2];
	char byte;

	f->options.size = MIB;
	f->options.readers = 1;
	store_fixture_open(f);
	assert_int_equal(put_one(f->store, 1, bytes_of(1, 0, 400)), STORE_OK);
	for (uint64_t i = 0; i < 30; i++) {
		pid_t reader;

		assert_int_equal(pipe(ends), 0);
		reader = fork();
		if (reader == 0) {
			struct store *store = store_open(&f->options, &f->notice);
			struct cache_key key = key_of(i);
			struct slice value;

			if (store == NULL || store_get(store, &key, &value) == STORE_FAILED)
				_exit(1);
			if (write(ends[1], "", 1) == 1)
				pause();
			_exit(2);
		}
		close(ends[1]);
		assert_int_equal(read(ends[0], &byte, 1), 1);
		assert_int_equal(kill(reader, SIGKILL), 0);
		assert_int_equal(waitpid(reader, NULL, 0), reader);
		close(ends[0]);
		store_check_readers(f->store);
		for (uint64_t n = 0; n < 40; n++)
			assert_int_equal(put_one(f->store, n + i, bytes_of(n + i, i, 400)),
					 STORE_OK);
	}
}

#define KILL_TEST(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		KILL_TEST(test_kill_the_only_one),
		KILL_TEST(test_kill_one_of_two),
		KILL_TEST(test_kill_a_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
