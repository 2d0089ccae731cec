/* LINKS: proxy/stats */
/* Rows in shared memory: whole, or passed over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/stats/shared_row.h"

enum { SIZE = 61 };

struct shared {
	_Atomic uint64_t row[SHARED_ROW_WORDS(SIZE)];
};

static void fill(char content[SIZE], char with)
{
	memset(content, with, SIZE);
}

static void test_what_was_written_is_read(void **state)
{
	struct shared *shared = shared_map(sizeof(*shared));
	char content[SIZE], read[SIZE + 1];

	(void)state;
	read[SIZE] = '!';
	assert_int_equal(shared_row_read(shared->row, read, SIZE), 0);
	fill(content, 'a');
	shared_row_write(shared->row, 7, content, SIZE);
	assert_int_equal(shared_row_read(shared->row, read, SIZE), 7);
	assert_memory_equal(read, content, SIZE);
	assert_int_equal(read[SIZE], '!');
	assert_int_equal(shared_row_ticket(shared->row), 7);
}

/* Each word of it alone, as a writer that was stopped and goes on would leave it. */
static void test_a_word_of_another_content_is_noticed(void **state)
{
	struct shared *shared = shared_map(sizeof(*shared));
	char content[SIZE], read[SIZE];

	(void)state;
	fill(content, 'a');
	for (size_t i = 0; i < SHARED_ROW_WORDS(SIZE); i++) {
		shared_row_write(shared->row, 7 + i, content, SIZE);
		atomic_fetch_xor_explicit(&shared->row[i], UINT64_C(1) << i, memory_order_relaxed);
		assert_int_equal(shared_row_read(shared->row, read, SIZE), 0);
	}
}

/* A writer in another process never stops writing; one that is killed leaves a row that is not whole. */
static void test_a_reader_never_sees_half_a_row(void **state)
{
	struct shared *shared = shared_map(sizeof(*shared));
	char content[SIZE], read[SIZE];
	unsigned whole = 0;
	pid_t writer = fork();

	(void)state;
	if (writer == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (writer == 0)
		for (uint64_t ticket = 1;; ticket++) {
			fill(content, (char)('a' + ticket % 26));
			shared_row_write(shared->row, ticket, content, SIZE);
		}
	while (whole < 20000) {
		uint64_t ticket = shared_row_read(shared->row, read, SIZE);

		if (ticket == 0)
			continue;
		fill(content, (char)('a' + ticket % 26));
		assert_memory_equal(read, content, SIZE);
		whole++;
	}
	kill(writer, SIGKILL);
	waitpid(writer, NULL, 0);
	fill(content, 'x');
	shared_row_write(shared->row, UINT64_MAX, content, SIZE);
	assert_true(shared_row_read(shared->row, read, SIZE) == UINT64_MAX);
	assert_memory_equal(read, content, SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_written_is_read),
		cmocka_unit_test(test_a_word_of_another_content_is_noticed),
		cmocka_unit_test(test_a_reader_never_sees_half_a_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
