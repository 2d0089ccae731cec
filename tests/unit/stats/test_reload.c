/* LINKS: proxy/stats */
/* The result of a reload, written by one process and read by others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/stats/reload.h"

static void the_first_is_good(void **state)
{
	int file;
	struct reload *reload = reload_map(&file);
	struct reload_result result;

	(void)state;
	assert_non_null(reload);
	assert_true(reload_read(reload, &result));
	assert_true(result.ok);
	assert_int_equal(result.generation, 1);
	assert_int_equal(result.answered, 0);
	assert_int_equal(result.at_s, 0);
	assert_string_equal(result.text, "");
}

static void each_asker_has_a_ticket(void **state)
{
	int file;
	struct reload *reload = reload_map(&file);
	struct reload_result result = {.answered = 2, .generation = 7, .text = "a\nb\n"}, read;

	(void)state;
	assert_int_equal(reload_ask(reload), 1);
	assert_int_equal(reload_ask(reload), 2);
	assert_int_equal(reload_asked(reload), 2);
	reload_answer(reload, &result);
	assert_true(reload_read(reload, &read));
	assert_memory_equal(&read, &result, sizeof(read));
}

/* Whatever was written elsewhere before. */
static void each_word_is_read(void **state)
{
	int files[2];
	struct reload *one = reload_map(&files[0]), *other = reload_map(&files[1]);
	struct reload_result first, second, read;

	(void)state;
	memset(&first, 1, sizeof(first));
	memset(&second, 0, sizeof(second));
	reload_answer(one, &first);
	reload_answer(other, &second);
	assert_true(reload_read(one, &read));
	assert_memory_equal(&read, &first, sizeof(read));
	assert_true(reload_read(other, &read));
	assert_memory_equal(&read, &second, sizeof(read));
}

/* By the program before and the one that takes over, or by that alone where it is another thing. */
static void it_is_shared_with_another_program(void **state)
{
	int file, other = -1, same;
	struct reload *reload = reload_map(&file), *again;
	struct reload_result result = {.answered = 2, .generation = 7, .text = "a\n"}, read;

	(void)state;
	same = dup(file);
	again = reload_map_again(&same, 5);
	reload_answer(reload, &result);
	assert_int_equal(reload_ask(again), 1);
	assert_int_equal(reload_asked(reload), 1);
	assert_true(reload_read(again, &read));
	assert_memory_equal(&read, &result, sizeof(read));

	again = reload_map_again(&other, 5);
	assert_true(other >= 0);
	assert_int_equal(reload_asked(again), 5);
	assert_int_equal(ftruncate(other, 100), 0);
	again = reload_map_again(&other, 6);
	assert_int_equal(reload_ask(again), 7);
	*(uint64_t *)reload = 99; /* the layout */
	again = reload_map_again(&file, 8);
	assert_int_equal(reload_ask(again), 9);
	assert_int_equal(reload_asked(reload), 1);
}

/* All of a result is of one letter, and the number of that. */
static void write_letter(struct reload *reload, unsigned letter)
{
	struct reload_result result = {.answered = letter, .generation = letter, .at_s = letter};

	memset(result.text, (int)letter, sizeof(result.text) - 1);
	reload_answer(reload, &result);
}

static void none_is_read_in_the_middle(void **state)
{
	int file;
	struct reload *reload = reload_map(&file);
	unsigned seen = 0;
	pid_t pid;

	(void)state;
	write_letter(reload, 'a');
	pid = fork();
	if (pid == 0)
		for (unsigned letter = 'a';; letter = letter == 'z' ? 'a' : letter + 1)
			write_letter(reload, letter);
	assert_true(pid > 0);
	for (unsigned i = 0; i < 20000; i++) {
		struct reload_result result;

		if (!reload_read(reload, &result))
			continue;
		seen++;
		assert_int_equal(result.generation, result.answered);
		assert_int_equal((uint64_t)result.at_s, result.answered);
		for (size_t at = 0; at < sizeof(result.text) - 1; at += 97)
			assert_int_equal((unsigned char)result.text[at], result.answered);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_true(seen > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_is_good),
		cmocka_unit_test(each_asker_has_a_ticket),
		cmocka_unit_test(each_word_is_read),
		cmocka_unit_test(it_is_shared_with_another_program),
		cmocka_unit_test(none_is_read_in_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
