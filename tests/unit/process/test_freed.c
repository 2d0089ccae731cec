/* LINKS: proxy/process tests/doubles/counted_memory.c */
/* What a master makes and forgets with each reload and upgrade leaves no memory behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/process/generation.h"
#include "proxy/process/handover.h"
#include "tests/doubles/counted_memory.h"
#include "tests/support/store_fixture.h"

enum { SETTINGS = 8, TEXT_SIZE = 128, ROUNDS = 3 };

static char directory[64];
static char texts[SETTINGS][TEXT_SIZE], *settings[SETTINGS];
static unsigned setting_count;

static char *new_setting(void)
{
	assert_true(setting_count < SETTINGS);
	settings[setting_count] = texts[setting_count];
	return texts[setting_count++];
}

/* An option that names a file in the directory. */
static void set_path(const char *option, const char *name)
{
	snprintf(new_setting(), TEXT_SIZE, "%s%s/%s", option, directory, name);
}

static int setup(void **state)
{
	static const char *const others[] = {"workers=2", "listen=127.0.0.1:0",
					     "gateway=127.0.0.1:0=http://127.0.0.1:9",
					     "log_level=error"};

	(void)state;
	directory_make(directory, sizeof(directory));
	directory_write(directory, "users",
			"ali:$5$salt$Gcm6FsVtF/Qa77ZKD.iwsJlCVPY0XSMgLJL0Hnww/c1\n");
	directory_write(directory, "token", "0123456789abcdef0123456789abcdef\n");
	set_path("store=", "store");
	set_path("password_file=", "users");
	set_path("admin_token_file=", "token");
	set_path("admin=unix:", "admin");
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		snprintf(new_setting(), TEXT_SIZE, "%s", others[i]);
	assert_int_equal(mkdir(strchr(texts[0], '/'), 0700), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	directory_remove(directory);
	return 0;
}

/* The first round may make what stays, as libraries do; those after it leave nothing. */
static void leaves_nothing(void (*round)(void))
{
	size_t alive;

	round();
	alive = allocations_alive();
	for (unsigned i = 0; i < ROUNDS; i++) {
		round();
		assert_int_equal(allocations_alive(), alive);
	}
}

static void make_generations(void)
{
	struct generation_source source = {NULL, settings, SETTINGS};
	struct conf *conf = conf_load(NULL, settings, SETTINGS, stderr);
	struct diagnostic error;
	struct generation *first = generation_first(conf, &error), *next;
	struct generation_former former;
	struct listener own;

	assert_non_null(first);
	former = generation_as_former(first, 48);
	next = generation_next(&former, &source, stderr);
	assert_non_null(next);
	assert_true(generation_sockets(next, 1, &own));
	free(own.at);
	generation_free(next, &first->sets[0]);
	generation_free(first, NULL);
}

static void generations_are_freed(void **state)
{
	(void)state;
	leaves_nothing(make_generations);
}

/* One that is refused when it has been read. */
static void refuse_generation(void)
{
	char other[TEXT_SIZE];
	char *changed[SETTINGS];
	struct generation_source source = {NULL, changed, SETTINGS};
	struct conf *conf = conf_load(NULL, settings, SETTINGS, stderr);
	struct diagnostic error;
	struct generation *first = generation_first(conf, &error);
	struct generation_former former;
	FILE *nowhere = fopen("/dev/null", "w");

	assert_non_null(first);
	memcpy(changed, settings, sizeof(changed));
	snprintf(other, sizeof(other), "%s-of-another", settings[0]);
	changed[0] = other;
	former = generation_as_former(first, 48);
	assert_null(generation_next(&former, &source, nowhere));
	fclose(nowhere);
	generation_free(first, NULL);
}

static void those_that_are_refused_as_well(void **state)
{
	(void)state;
	leaves_nothing(refuse_generation);
}

/* With a last line, which decides whether it is taken. */
static void take_handover(const char *last)
{
	static const char form[] =
		"cache204-handover 1\nkind 1\npath /p\nversion 1\nwhy \nstore /s\nuser \n"
		"store_size 1\nslots 48\ngeneration 1\nhad_terminal 0\nfailed_for 0\nlock %d\n"
		"report -1\nprogram -1\nwords_in -1\nwords_out -1\nreload_file -1\n"
		"upgrade_file -1\nreload_asked 0\nupgrade_asked 0\ncopier 0\ncopied_s 0\n"
		"tickets keys\nworker 5 1 1 1\nsocket 0 %d 0 0 0 admin unix:/a\n"
		"socket 1 %d 0 0 0 listen 127.0.0.1:80\n%s\n";
	int file = memfd_create("text", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int lock = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int one = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
	    another = fcntl(one, F_DUPFD_CLOEXEC, 0);
	bool whole = strcmp(last, "end") == 0;
	struct handover got;
	struct diagnostic error;
	char number[16];

	dprintf(file, form, lock, one, another, last);
	assert_int_equal(
		fcntl(file, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE),
		0);
	snprintf(number, sizeof(number), "%d", file);
	setenv("CACHE204_HANDOVER", number, 1);
	assert_int_equal(handover_take(&got, &error), whole);
	if (whole)
		handover_free(&got);
	close(lock);
	close(file);
}

static void take_whole(void)
{
	take_handover("end");
}

static void take_half(void)
{
	take_handover("worker 10");
}

static void handovers_are_freed(void **state)
{
	(void)state;
	leaves_nothing(take_whole);
	leaves_nothing(take_half);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(generations_are_freed),
		cmocka_unit_test(those_that_are_refused_as_well),
		cmocka_unit_test(handovers_are_freed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
