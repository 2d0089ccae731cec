/* LINKS: proxy/process */
/* Stores on file systems of a network: refused wherever a store is opened, locked or checked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cache/store/file_system.h"
#include "cache/store/store.h"
#include "proxy/process/store_dir.h"

enum { NFS = 0x6969, TMPFS = 0x01021994, EXT4 = 0xef53, OVERLAY = 0x794c7630, FUSE = 0x65735546 };

static uint32_t type; /* that each directory is of */
static bool fails;
static char directory[] = "/tmp/file_system.XXXXXX", path[200];
static struct diagnostic text;

/* In place of the system's: there is no network here. */
int fstatfs(int fd, struct statfs *is)
{
	(void)fd;
	if (fails)
		return -1;
	memset(is, 0, sizeof(*is));
	is->f_type = (__typeof__(is->f_type))(int32_t)type; /* as a 32-bit system extends it */
	return 0;
}

static const char *in_test(const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void test_types(void **state)
{
	static const struct {
		uint32_t type;
		enum file_system_fit fit;
	} rows[] = {
		{NFS, FILE_SYSTEM_NETWORK},        {0xff534d42, FILE_SYSTEM_NETWORK},
		{0xfe534d42, FILE_SYSTEM_NETWORK}, {0x01021997, FILE_SYSTEM_NETWORK},
		{0x00c36400, FILE_SYSTEM_NETWORK}, {FUSE, FILE_SYSTEM_UNKNOWN},
		{EXT4, FILE_SYSTEM_LOCAL},         {TMPFS, FILE_SYSTEM_LOCAL},
		{OVERLAY, FILE_SYSTEM_LOCAL},      {0, FILE_SYSTEM_LOCAL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		type = rows[i].type;
		assert_int_equal(file_system_of_type(type).fit, rows[i].fit);
		assert_int_equal(file_system_check(0, "/x", &text), rows[i].fit);
		assert_int_equal(text.text[0] == '\0', rows[i].fit == FILE_SYSTEM_LOCAL);
	}
	fails = true;
	assert_int_equal(file_system_check(0, "/x", &text), FILE_SYSTEM_LOCAL);
	fails = false;
}

static bool opens(const char *name)
{
	struct store_options options = {.directory = in_test(name), .size = 1 << 20, .readers = 2};
	struct store *store = store_open(&options, &text);

	if (store != NULL)
		store_close(store);
	return store != NULL;
}

static bool locks(const char *name)
{
	int lock = store_lock(in_test(name), &text);

	if (lock >= 0)
		close(lock);
	return lock >= 0;
}

static bool passes_check(const char *name)
{
	return store_dir_check(in_test(name), "", &text);
}

/* Each way to a store, for one that is there and one that is to be made. */
static void test_every_way(void **state)
{
	static bool (*const ways[])(const char *) = {passes_check, opens, locks};
	static const char *const names[] = {"there", "new", "new/below"};

	(void)state;
	type = EXT4;
	assert_true(opens("there"));
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]) * 3; i++) {
		char expected[300];

		type = NFS;
		assert_false(ways[i / 3](names[i % 3]));
		snprintf(expected, sizeof(expected), "store: %s: is on NFS, ", path);
		assert_memory_equal(text.text, expected, strlen(expected));
		type = FUSE;
		assert_true(ways[i / 3](names[i % 3]));
		type = TMPFS;
		assert_true(ways[i / 3](names[i % 3]));
	}
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(directory) == NULL;
}

static int teardown(void **state)
{
	char command[100];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", directory);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_every_way),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
