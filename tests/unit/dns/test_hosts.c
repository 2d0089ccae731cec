/* LINKS: proxy/dns tests/doubles/failing_calls.c -Wl,@tests/doubles/failing_calls.wraps */
/* The hosts file: its lines, its bounds, and what happens when it changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/base/diagnostic.h"
#include "proxy/dns/hosts.c"
#include "tests/doubles/failing_calls.h"
#include "tests/support/guarded.h"

static char directory[] = "/tmp/test_hosts.XXXXXX";
static char path[64], other_path[64];

static int make_directory(void **state)
{
	(void)state;
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/hosts", directory);
	snprintf(other_path, sizeof(other_path), "%s/others", directory);
	return 0;
}

static int remove_directory(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(directory);
}

static void write_file(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* All addresses of a name, with spaces between; "" for none. */
static const char *found(const struct hosts *hosts, const char *name)
{
	static char text[ADDRESSES_MAX * ADDRESS_TEXT_SIZE];
	struct addresses addresses;

	text[0] = '\0';
	if (!hosts_find(hosts, slice_str(name), &addresses))
		return text;
	assert_true(addresses.count > 0);
	for (unsigned i = 0; i < addresses.count; i++) {
		char one[ADDRESS_TEXT_SIZE];

		address_format(&addresses.at[i], one);
		strcat(text, i > 0 ? " " : "");
		strcat(text, one);
	}
	return text;
}

static void lines_are_read(void **state)
{
	struct hosts *hosts = hosts_parse(SLICE("# comment\n"
						"127.0.0.1\tlocalhost\n"
						"  192.0.2.1   Web.Example.COM  web # the web\n"
						"\n"
						"2001:db8::1 web.example.com.\r\n"
						"192.0.2.2\fweb\v\f\n"
						"192.0.2.9 #nobody\n"
						"#192.0.2.3 gone\n"
						"192.0.2.4 last"));

	(void)state;
	assert_non_null(hosts);
	assert_string_equal(found(hosts, "localhost"), "127.0.0.1");
	assert_string_equal(found(hosts, "web.example.com"), "2001:db8::1 192.0.2.1");
	assert_string_equal(found(hosts, "web"), "192.0.2.1 192.0.2.2");
	assert_string_equal(found(hosts, "last"), "192.0.2.4");
	assert_string_equal(found(hosts, "gone"), "");
	assert_string_equal(found(hosts, "nobody"), "");
	assert_string_equal(found(hosts, "example.com"), "");
	assert_string_equal(found(hosts, "we"), "");
	assert_string_equal(found(hosts, "web.example.comx"), "");
	hosts_free(hosts);
}

static void broken_lines_are_passed_over(void **state)
{
	static const char text[] = "127.1 short\n"
				   "0x7f.0.0.1 hex\n"
				   "fe80::1%lo scoped\n"
				   "example.com name\n"
				   "192.0.2.1 ok a..b b%c 127.1 \x80 -\0- also\n"
				   "\0\n"
				   "192.0.2.2";
	struct hosts *hosts = hosts_parse(slice_of(text, sizeof(text) - 1));

	(void)state;
	assert_non_null(hosts);
	assert_string_equal(found(hosts, "short"), "");
	assert_string_equal(found(hosts, "hex"), "");
	assert_string_equal(found(hosts, "scoped"), "");
	assert_string_equal(found(hosts, "name"), "");
	assert_string_equal(found(hosts, "127.1"), "");
	assert_string_equal(found(hosts, "ok"), "192.0.2.1");
	assert_string_equal(found(hosts, "also"), "192.0.2.1");
	hosts_free(hosts);
}

/* Wherever a text ends, nothing behind it is read. */
static void a_text_may_end_anywhere(void **state)
{
	static const char text[] = "\t192.0.2.1 web www # one\n2001:db8::1 \t web\r\n \n#\n";

	(void)state;
	for (size_t n = 0; n < sizeof(text); n++) {
		struct hosts *hosts = hosts_parse(guarded(slice_of(text, n)));

		assert_non_null(hosts);
		assert_string_equal(found(hosts, "www"), n < 18 ? "" : "192.0.2.1");
		hosts_free(hosts);
		guarded_end();
	}
}

static void an_empty_text_has_no_names(void **state)
{
	struct hosts *hosts = hosts_parse(slice_of(NULL, 0));

	(void)state;
	assert_non_null(hosts);
	assert_string_equal(found(hosts, "localhost"), "");
	hosts_free(hosts);
}

static void a_name_has_no_more_addresses_than_there_is_room_for(void **state)
{
	char text[1024] = "";
	struct addresses addresses;
	struct hosts *hosts;

	(void)state;
	for (int i = 0; i <= ADDRESSES_MAX; i++)
		sprintf(text + strlen(text), "192.0.2.%d many\n2001:db8::%d many\n", i, i);
	hosts = hosts_parse(slice_str(text));
	assert_non_null(hosts);
	assert_true(hosts_find(hosts, SLICE("many"), &addresses));
	assert_int_equal(addresses.count, ADDRESSES_MAX);
	assert_int_equal(addresses.at[0].any.sa_family, AF_INET6);
	assert_int_equal(addresses.at[1].any.sa_family, AF_INET);
	hosts_free(hosts);
}

static void a_changed_file_is_read_again(void **state)
{
	struct hosts_file *file;
	struct diagnostic error = {""};

	(void)state;
	write_file("192.0.2.1 web\n");
	file = hosts_file_open(path, &error);
	assert_non_null(file);
	assert_string_equal(found(hosts_file_current(file, 0), "web"), "192.0.2.1");
	write_file("192.0.2.22 web\n");
	assert_string_equal(found(hosts_file_current(file, HOSTS_CHECK_MS - 1), "web"),
			    "192.0.2.1");
	assert_string_equal(found(hosts_file_current(file, HOSTS_CHECK_MS), "web"), "192.0.2.22");
	unlink(path);
	assert_string_equal(found(hosts_file_current(file, 2 * HOSTS_CHECK_MS), "web"), "");
	write_file("192.0.2.3 web\n");
	assert_string_equal(found(hosts_file_current(file, 3 * HOSTS_CHECK_MS), "web"),
			    "192.0.2.3");
	/* another file in its place, of the same length */
	assert_int_equal(rename(path, other_path), 0);
	write_file("192.0.2.4 web\n");
	assert_string_equal(found(hosts_file_current(file, 4 * HOSTS_CHECK_MS), "web"),
			    "192.0.2.4");
	assert_int_equal(rename(other_path, path), 0);
	assert_string_equal(found(hosts_file_current(file, 5 * HOSTS_CHECK_MS), "web"),
			    "192.0.2.3");
	hosts_file_close(file);
}

/* Neither gone nor to be read: a link that leads to itself. */
static void what_was_read_stays_when_the_path_goes_bad(void **state)
{
	struct hosts_file *file;
	struct diagnostic error = {""};

	(void)state;
	write_file("192.0.2.1 web\n");
	file = hosts_file_open(path, &error);
	assert_non_null(file);
	unlink(path);
	assert_int_equal(symlink(path, path), 0);
	assert_string_equal(found(hosts_file_current(file, HOSTS_CHECK_MS), "web"), "192.0.2.1");
	hosts_file_close(file);
	assert_null(hosts_file_open(path, &error));
	assert_non_null(strstr(error.text, strerror(ELOOP)));
	unlink(path);
}

static void what_was_read_stays_when_the_file_goes_bad(void **state)
{
	struct hosts_file *file;
	struct diagnostic error = {""};

	(void)state;
	write_file("192.0.2.1 web\n");
	file = hosts_file_open(path, &error);
	assert_non_null(file);
	assert_int_equal(truncate(path, HOSTS_SIZE_MAX + 1), 0);
	assert_string_equal(found(hosts_file_current(file, HOSTS_CHECK_MS), "web"), "192.0.2.1");
	write_file("192.0.2.2 web\n");
	assert_string_equal(found(hosts_file_current(file, 2 * HOSTS_CHECK_MS), "web"),
			    "192.0.2.2");
	hosts_file_close(file);
}

/* Each of what tells one state of a file from another. */
static void any_change_is_seen(void **state)
{
	const struct stat seen = {.st_dev = 1,
				  .st_ino = 2,
				  .st_size = 3,
				  .st_ctim = {.tv_sec = 4, .tv_nsec = 5},
				  .st_mtim = {.tv_sec = 6}};
	struct stat now[6];

	(void)state;
	for (unsigned i = 0; i < 6; i++)
		now[i] = seen;
	now[0].st_mtim.tv_sec++; /* but for that one */
	now[1].st_dev++;
	now[2].st_ino++;
	now[3].st_size++;
	now[4].st_ctim.tv_sec++;
	now[5].st_ctim.tv_nsec++;
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(is_same_state(&now[i], &seen), i == 0);
}

/* The lowest descriptor that is free: it stays the same when none is left open. */
static int free_descriptor(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

/* As it opens, and later: what was read before stays. */
static void what_cannot_be_read_is_told(void **state)
{
	static const char *const calls[] = {"fstat", "read", "open"};
	int free_before = free_descriptor();
	struct hosts_file *file;
	struct diagnostic error = {""};

	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		write_file("192.0.2.1 web\n");
		fail_calls(calls[i], 0, 1, EIO);
		assert_null(hosts_file_open(path, &error));
		assert_true(fail_calls_never());
		assert_non_null(strstr(error.text, strerror(EIO)));
		file = hosts_file_open(path, &error);
		assert_non_null(file);
		unlink(path);
		write_file("192.0.2.22 web\n");
		fail_calls(calls[i], 0, 1, EIO);
		assert_string_equal(found(hosts_file_current(file, 0), "web"), "192.0.2.1");
		assert_true(fail_calls_never());
		hosts_file_close(file);
		assert_int_equal(free_descriptor(), free_before);
	}
}

static void a_file_may_be_so_large(void **state)
{
	struct hosts_file *file;
	struct diagnostic error = {""};

	(void)state;
	for (int more = -1; more <= 1; more++) {
		write_file("192.0.2.1 web\n");
		assert_int_equal(truncate(path, HOSTS_SIZE_MAX + more), 0);
		file = hosts_file_open(path, &error);
		if (more > 0) {
			assert_null(file);
			assert_non_null(strstr(error.text, path));
			assert_non_null(strstr(error.text, "File too large"));
		} else {
			assert_non_null(file);
			assert_string_equal(found(hosts_file_current(file, 0), "web"), "192.0.2.1");
			hosts_file_close(file);
		}
	}
}

static void no_file_is_an_empty_one(void **state)
{
	struct hosts_file *file;
	struct diagnostic error = {""};

	(void)state;
	unlink(path);
	file = hosts_file_open(path, &error);
	assert_non_null(file);
	assert_string_equal(found(hosts_file_current(file, 0), "web"), "");
	hosts_file_close(file);
}

static void only_a_regular_file_is_read(void **state)
{
	struct diagnostic error = {""};

	(void)state;
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_null(hosts_file_open(path, &error));
	assert_non_null(strstr(error.text, "not a regular file"));
	unlink(path);
	assert_null(hosts_file_open(directory, &error));
	assert_null(hosts_file_open("/dev/zero", &error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_read),
		cmocka_unit_test(broken_lines_are_passed_over),
		cmocka_unit_test(a_text_may_end_anywhere),
		cmocka_unit_test(an_empty_text_has_no_names),
		cmocka_unit_test(a_name_has_no_more_addresses_than_there_is_room_for),
		cmocka_unit_test(a_changed_file_is_read_again),
		cmocka_unit_test(what_was_read_stays_when_the_file_goes_bad),
		cmocka_unit_test(what_was_read_stays_when_the_path_goes_bad),
		cmocka_unit_test(any_change_is_seen),
		cmocka_unit_test(what_cannot_be_read_is_told),
		cmocka_unit_test(a_file_may_be_so_large),
		cmocka_unit_test(no_file_is_an_empty_one),
		cmocka_unit_test(only_a_regular_file_is_read),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
