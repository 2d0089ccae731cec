/* LINKS: proxy/process tests/doubles/failing_memory.c -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=reallocarray,--wrap=strdup,--wrap=pipe2,--wrap=fcntl */
/* Generations of a configuration: what a start and a reload make of it, what they refuse, and with what they fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/base/log.h"
#include "proxy/process/generation.h"
#include "tests/doubles/failing_memory.h"
#include "tests/support/store_fixture.h"

enum { SETTINGS_MAX = 8, TEXT_SIZE = 192, FDS = 256, TRIES_MAX = 1000 };

static char directory[64], file[80];
static char texts[SETTINGS_MAX][TEXT_SIZE];
static char *settings[SETTINGS_MAX];
static struct generation_source source = {NULL, settings, 0};
static unsigned shares_left; /* sockets that can be shared */
static bool fails_pipe;

int __wrap_pipe2(int *fds, int flags);
int __real_pipe2(int *fds, int flags);
int __wrap_fcntl(int fd, int command, ...);
int __real_fcntl(int fd, int command, long value);

int __wrap_pipe2(int *fds, int flags)
{
	errno = EMFILE;
	return fails_pipe ? -1 : __real_pipe2(fds, flags);
}

int __wrap_fcntl(int fd, int command, ...)
{
	va_list more;
	long value;

	va_start(more, command);
	value = va_arg(more, long);
	va_end(more);
	if (command == F_DUPFD_CLOEXEC && shares_left-- == 0) {
		errno = EMFILE;
		return -1;
	}
	return __real_fcntl(fd, command, value);
}

/* "DIR" is the directory. */
static void set(const char *text)
{
	const char *at = strstr(text, "DIR");
	char *to = texts[source.setting_count];

	if (at == NULL)
		snprintf(to, TEXT_SIZE, "%s", text);
	else
		snprintf(to, TEXT_SIZE, "%.*s%s%s", (int)(at - text), text, directory, at + 3);
	settings[source.setting_count++] = to;
}

static int open_all(void **state)
{
	char store[80];

	(void)state;
	directory_make(directory, sizeof(directory));
	snprintf(file, sizeof(file), "%s/conf", directory);
	snprintf(store, sizeof(store), "%s/store", directory);
	assert_int_equal(mkdir(store, 0700), 0);
	directory_write(directory, "users",
			"ali:$5$salt$Gcm6FsVtF/Qa77ZKD.iwsJlCVPY0XSMgLJL0Hnww/c1\n");
	directory_write(directory, "token", "0123456789abcdef0123456789abcdef\n");
	source = (struct generation_source){NULL, settings, 0};
	shares_left = UINT32_MAX;
	fails_pipe = false;
	set("store=DIR/store");
	set("listen=127.0.0.1:0");
	set("admin=unix:DIR/admin");
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	directory_remove(directory);
	return 0;
}

static struct conf *load(void)
{
	struct conf *conf = conf_load(source.file, settings, source.setting_count, stderr);

	assert_non_null(conf);
	return conf;
}

static struct generation *begin(void)
{
	struct diagnostic error;
	struct generation *first = generation_first(load(), &error);

	if (first == NULL)
		fail_msg("%s", error.text);
	return first;
}

/* The next after it, or what is said, in static memory. */
static struct generation *follow(const struct generation *now, unsigned slots, char **ret_said)
{
	static char said[2048];
	struct generation_former former = generation_as_former(now, slots);
	FILE *to;
	struct generation *next;

	memset(said, 0, sizeof(said));
	to = fmemopen(said, sizeof(said) - 1, "w");
	next = generation_next(&former, &source, to);
	fclose(to);
	*ret_said = said;
	return next;
}

static unsigned count_open(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < FDS; fd++)
		count += __real_fcntl(fd, F_GETFD, 0) != -1;
	return count;
}

static bool is_listening(int fd)
{
	int on = 0;
	socklen_t size = sizeof(on);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &size) == 0 && on != 0;
}

/* ---- what is made of it --------------------------------------------------------------------- */

static void each_worker_has_sockets_of_its_own(void **state)
{
	struct generation *now;
	struct listener own;

	(void)state;
	set("workers=2");
	now = begin();
	assert_int_equal(now->number, 1);
	assert_int_equal(now->set_count, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(generation_sockets(now, i, &own));
		assert_int_equal(own.count, 2);
		assert_int_equal(own.at[0].fd, now->sets[i].at[0].fd);
		assert_true(is_listening(own.at[0].fd) && is_listening(own.at[1].fd));
		free(own.at);
	}
	assert_int_not_equal(now->sets[0].at[0].fd, now->sets[1].at[0].fd);
	assert_int_equal(now->go[0], -1);
	assert_int_equal(now->go[1], -1);
	generation_free(now, NULL);
}

/* Of three workers, when there are two: the first has what waits in the sockets of the third. */
static void sockets_left_over_are_dealt_out(void **state)
{
	struct generation *now, *next;
	struct listener own;
	struct diagnostic error;
	unsigned before = count_open();
	char *said;

	(void)state;
	set("workers=3");
	now = begin();
	set("workers=2");
	next = follow(now, 48, &said);
	assert_string_equal(said, "");
	assert_int_equal(next->number, 2);
	assert_int_equal(next->set_count, 3);
	assert_true(next->go[0] >= 0 && next->go[1] >= 0);
	assert_true(generation_sockets(next, 0, &own));
	assert_int_equal(own.count, 4);
	assert_int_equal(own.at[0].fd, next->sets[0].at[0].fd);
	assert_int_equal(own.at[2].fd, next->sets[2].at[0].fd);
	free(own.at);
	assert_true(generation_sockets(next, 1, &own));
	assert_int_equal(own.count, 2);
	assert_int_equal(own.at[0].fd, next->sets[1].at[0].fd);
	free(own.at);
	assert_true(generation_go(next, &error));
	assert_int_equal(next->go[0], -1);
	assert_int_equal(next->go[1], -1);
	generation_free(now, &next->sets[0]);
	assert_true(is_listening(next->sets[2].at[0].fd));
	generation_free(next, NULL);
	assert_int_equal(count_open(), before);
}

/* A worker keeps its own sockets and the end of the pipe that it waits at; of another generation nothing. */
static void a_worker_closes_the_others(void **state)
{
	struct generation *now, *next;
	struct listener own;
	unsigned before = count_open(), all;
	char *said;

	(void)state;
	set("workers=3");
	now = begin();
	next = follow(now, 48, &said);
	all = count_open();
	assert_true(generation_sockets(next, 1, &own));
	generation_close_others(now, false, &own);
	assert_int_equal(count_open(), all - 6);
	generation_close_others(next, true, &own);
	assert_int_equal(count_open(), before + 3); /* its sockets, and where it waits */
	assert_true(is_listening(own.at[0].fd));
	assert_int_not_equal(__real_fcntl(next->go[0], F_GETFD, 0), -1);
	for (unsigned i = 0; i < own.count; i++)
		close(own.at[i].fd);
	free(own.at);
	close(next->go[0]);
	next->go[0] = next->go[1] = -1;
	assert_int_equal(count_open(), before);
	/* the rest is memory */
	for (unsigned i = 0; i < 3; i++) {
		free(now->sets[i].at);
		free(next->sets[i].at);
	}
	now->set_count = next->set_count = 0;
	generation_free(now, NULL);
	generation_free(next, NULL);
}

/* Of one that is not ours, the pipe is closed on both sides. */
static void a_worker_of_the_generation_in_effect_knows_no_next(void **state)
{
	struct generation *now, *next;
	struct listener own;
	char *said;

	(void)state;
	now = begin();
	next = follow(now, 48, &said);
	assert_true(generation_sockets(now, 0, &own));
	generation_close_others(next, false, &own);
	assert_int_equal(__real_fcntl(next->go[0], F_GETFD, 0), -1);
	assert_int_equal(__real_fcntl(next->go[1], F_GETFD, 0), -1);
	assert_true(is_listening(own.at[0].fd));
	free(own.at);
	next->go[0] = next->go[1] = -1;
	free(next->sets[0].at);
	next->set_count = 0;
	generation_free(next, NULL);
	generation_free(now, NULL);
}

/* The store by default is that of the service, whoever the user is by then. */
static void the_next_stays_with_the_store(void **state)
{
	struct generation *now = begin(), *next;
	char *said;

	(void)state;
	settings[0] = settings[--source.setting_count];
	next = follow(now, 48, &said);
	assert_string_equal(said, "");
	assert_string_equal(next->conf->store, now->conf->store);
	generation_free(next, &now->sets[0]);
	generation_free(now, NULL);
}

/* Files of sockets are of the user that we become, for a reload to remove them. */
static void files_of_sockets_are_of_the_user(void **state)
{
	const struct passwd *nobody = getpwnam("nobody");
	struct generation *now;
	struct stat status;
	char path[80];

	(void)state;
	if (geteuid() != 0 || nobody == NULL)
		skip();
	set("user=nobody");
	set("admin_mode=0640");
	set("listen_mode=0602");
	set("listen=unix:DIR/listen");
	now = begin();
	snprintf(path, sizeof(path), "%s/admin", directory);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_uid, nobody->pw_uid);
	assert_int_equal(status.st_gid, nobody->pw_gid);
	assert_int_equal(status.st_mode & 0777, 0640);
	snprintf(path, sizeof(path), "%s/listen", directory);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_uid, nobody->pw_uid);
	assert_int_equal(status.st_mode & 0777, 0602);
	generation_free(now, NULL);
}

static void the_log_is_as_the_option_says(void **state)
{
	static const struct {
		const char *option;
		bool has_info, has_debug;
	} levels[] = {
		{"log_level=error", false, false},
		{"log_level=info", true, false},
		{"log_level=debug", true, true},
	};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct conf *conf;

		set(levels[i].option);
		conf = load();
		generation_set_log_level(conf);
		assert_true(log_has(LOG_LEVEL_WARNING));
		assert_int_equal(log_has(LOG_LEVEL_INFO), levels[i].has_info);
		assert_int_equal(log_has(LOG_LEVEL_DEBUG), levels[i].has_debug);
		conf_free(conf);
	}
	log_set_level(LOG_LEVEL_INFO);
}

/* ---- what is refused ------------------------------------------------------------------------ */

/* A line for each, with the place of the option where that is known. */
static void each_file_that_will_not_do_has_its_line(void **state)
{
	char said[2048] = "", expected[2048];
	struct conf *conf;
	FILE *to;

	(void)state;
	directory_write(directory, "conf",
			"tls_ca_file = \"/nowhere/ca\"\nclients = {\"192.0.2.0/24\"}\n");
	source.file = file;
	set("hosts_file=DIR"); /* one that is not there is empty */
	set("access_log=/nowhere/log");
	conf = load();
	to = fmemopen(said, sizeof(said), "w");
	assert_false(generation_check_files(conf, to));
	fclose(to);
	conf_free(conf);
	snprintf(expected, sizeof(expected), "%s:1: tls_ca_file: /nowhere/ca: ", file);
	assert_memory_equal(said, "-o access_log: /nowhere/log: cannot be opened", 45);
	assert_non_null(strstr(said, expected));
	snprintf(expected, sizeof(expected), "\n-o hosts_file: %s: ", directory);
	assert_non_null(strstr(said, expected));

	source.setting_count = 3;
	directory_write(directory, "conf", "hosts_file = \"\"\n");
	conf = load();
	assert_true(generation_check_files(conf, stderr));
	conf_free(conf);
}

static void what_takes_a_restart_is_refused(void **state)
{
	struct generation *now = begin(), *next;
	unsigned slots = conf_worker_slots(now->conf), before = count_open();
	char *said, expected[512];

	(void)state;
	set("store=DIR/other");
	set("store_size=1GiB");
	set("user=nobody");
	next = follow(now, slots - 1, &said);
	assert_null(next);
	snprintf(expected, sizeof(expected),
		 "store: %s/other: a service that runs cannot leave %s/store: restart\n"
		 "store_size: a service that runs cannot change it: restart\n"
		 "user: nobody: a service that runs cannot change it: restart\n"
		 "workers: a service that runs has no room for so many: restart\n",
		 directory, directory);
	assert_string_equal(said, expected);
	source.setting_count = 3;
	next = follow(now, slots, &said); /* as many as there is room for */
	assert_non_null(next);
	generation_free(next, &now->sets[0]);
	assert_int_equal(count_open(), before);
	generation_free(now, NULL);
}

static void secrets_that_cannot_be_read_are_refused(void **state)
{
	struct generation *now = begin();
	struct diagnostic error;
	struct conf *conf;
	char *said;

	(void)state;
	set("password_file=DIR/none");
	assert_null(follow(now, 48, &said));
	assert_non_null(strstr(said, "-o password_file: "));
	set("password_file=DIR/users");
	set("admin_token_file=DIR/none");
	assert_null(follow(now, 48, &said));
	assert_non_null(strstr(said, "-o admin_token_file: "));
	conf = load();
	assert_null(generation_first(conf, &error));
	assert_non_null(strstr(error.text, "-o admin_token_file: "));
	conf_free(conf);
	source.setting_count -= 1;
	set("tls_certificate=DIR/none");
	set("listen=tls:127.0.0.1:0");
	set("tls_key=DIR/none");
	assert_null(follow(now, 48, &said));
	assert_non_null(strstr(said, "tls_certificate: "));
	generation_free(now, NULL);
}

/* ---- what fails ----------------------------------------------------------------------------- */

static void an_address_in_use_is_told(void **state)
{
	static const char *const options[] = {"listen", "admin", "gateway"};
	struct generation *now = begin();
	struct diagnostic error;
	char text[64];
	struct conf *conf;
	unsigned before = count_open();

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		snprintf(text, sizeof(text), "%s=127.0.0.1:%u%s", options[i],
			 address_port(&now->sets[0].at[0].address),
			 i == 2 ? "=http://127.0.0.1:9" : "");
		source.setting_count = 3;
		set("admin=");
		set(text);
		conf = load();
		assert_null(generation_first(conf, &error));
		assert_non_null(strstr(error.text, "Address already in use"));
		conf_free(conf);
		assert_int_equal(count_open(), before);
	}
	generation_free(now, NULL);
}

/* No pipe, and no socket shared: nothing of it stays open, and those in use are as they were. */
static void the_next_may_fail_for_descriptors(void **state)
{
	struct generation *now, *next;
	unsigned before, failures = 0;
	char *said;

	(void)state;
	set("workers=3");
	now = begin();
	set("workers=2");
	before = count_open();
	fails_pipe = true;
	assert_null(follow(now, 48, &said));
	assert_string_equal(said, "cannot make a pipe: Too many open files\n");
	fails_pipe = false;
	for (unsigned n = 0; n < 20; n++) {
		shares_left = n;
		next = follow(now, 48, &said);
		if (shares_left <= n)
			n = 20; /* all could be shared */
		if (next == NULL)
			failures++;
		else
			generation_free(next, &now->sets[0]);
		assert_true(next != NULL || strlen(said) > 0);
		assert_int_equal(count_open(), before);
	}
	assert_in_range(failures, 2, 10);
	shares_left = UINT32_MAX;
	for (unsigned i = 0; i < 3; i++)
		assert_true(is_listening(now->sets[i].at[0].fd));
	generation_free(now, NULL);
}

/* With everything that takes memory. */
static void set_all(void)
{
	set("password_file=DIR/users");
	set("admin_token_file=DIR/token");
	set("gateway=127.0.0.1:0=http://127.0.0.1:9");
	set("workers=2");
}

static void the_first_may_fail_for_memory(void **state)
{
	unsigned before, failures = 0, n = 0;
	bool failed;

	(void)state;
	set_all();
	before = count_open();
	do {
		struct conf *conf = load();
		struct diagnostic error = {""};
		struct generation *first;

		fail_memory(n++, false);
		first = generation_first(conf, &error);
		failed = fail_memory_never();
		if (first != NULL)
			generation_free(first, NULL);
		else
			conf_free(conf);
		assert_true(first != NULL || (failed && error.text[0] != '\0'));
		assert_int_equal(count_open(), before);
		failures += first == NULL;
	} while (failed && n < TRIES_MAX);
	assert_in_range(failures, 8, n);
}

static void the_next_may_fail_for_memory(void **state)
{
	struct generation *now;
	unsigned before, failures = 0, n = 0;
	bool failed;

	(void)state;
	set("workers=3");
	now = begin();
	source.setting_count--;
	set_all();
	before = count_open();
	do {
		struct generation *next;
		char *said;

		fail_memory(n++, false);
		next = follow(now, 48, &said);
		failed = fail_memory_never();
		generation_free(next, &now->sets[0]);
		if ((next == NULL) != (said[0] != '\0') || (next == NULL && !failed))
			fail_msg("failure %u: '%s'", n, said);
		assert_int_equal(count_open(), before);
		failures += next == NULL;
	} while (failed && n < TRIES_MAX);
	assert_in_range(failures, 20, n);
	generation_free(now, NULL);
}

static void sockets_of_a_worker_may_have_no_memory(void **state)
{
	struct generation *now = begin();
	struct listener own;

	(void)state;
	fail_memory(0, true);
	assert_false(generation_sockets(now, 0, &own));
	assert_true(fail_memory_never());
	free(own.at);
	generation_free(now, NULL);
	generation_free(NULL, NULL);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, open_all, close_all)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_worker_has_sockets_of_its_own),
		TEST(sockets_left_over_are_dealt_out),
		TEST(a_worker_closes_the_others),
		TEST(a_worker_of_the_generation_in_effect_knows_no_next),
		TEST(the_next_stays_with_the_store),
		TEST(files_of_sockets_are_of_the_user),
		TEST(the_log_is_as_the_option_says),
		TEST(each_file_that_will_not_do_has_its_line),
		TEST(what_takes_a_restart_is_refused),
		TEST(secrets_that_cannot_be_read_are_refused),
		TEST(an_address_in_use_is_told),
		TEST(the_next_may_fail_for_descriptors),
		TEST(the_first_may_fail_for_memory),
		TEST(the_next_may_fail_for_memory),
		TEST(sockets_of_a_worker_may_have_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
