/* LINKS: cache/store */
/* A map beside the store: kept when head and length are what they should be, to the byte, else begun anew or refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/store/shared_map.h"
#include "tests/support/store_fixture.h"

enum { HEAD = 64, SIZE = 100 };

static const struct shared_map_spec spec = {
	.name = "map", .magic = 0x1234567890, .version = 3, .size = SIZE};

static char directory[64];
static int at;

static enum shared_map_result open_map(const struct shared_map_spec *how, bool renew,
				       struct shared_map *map)
{
	return shared_map_open(map, at, how, renew);
}

/* Makes it anew, with 'x' in it. */
static void make_map(void)
{
	struct shared_map map;

	unlinkat(at, "map", 0);
	assert_int_equal(open_map(&spec, true, &map), SHARED_MAP_FRESH);
	assert_int_equal(map.size, SIZE);
	assert_int_equal((uintptr_t)map.data % 64, 0);
	for (size_t i = 0; i < SIZE; i++)
		assert_int_equal(((char *)map.data)[i], 0);
	memset(map.data, 'x', SIZE);
	assert_true(shared_map_sync(&map));
	shared_map_close(&map);
	assert_null(map.data);
	assert_int_equal(map.size, 0);
	shared_map_close(&map); /* once more does nothing */
}

static off_t length_of(const char *name)
{
	struct stat st;

	return fstatat(at, name, &st, 0) == 0 ? st.st_size : -1;
}

/* What is found with and without `renew`, and what is in it then: 'x' of what was kept. */
static void expect(const struct shared_map_spec *how, bool kept, const char *what)
{
	struct shared_map map;

	if (open_map(how, false, &map) != (kept ? SHARED_MAP_KEPT : SHARED_MAP_WRONG))
		fail_msg("%s: not %s", what, kept ? "kept" : "refused");
	assert_true(kept == (map.data != NULL));
	if (kept)
		assert_int_equal(((char *)map.data)[SIZE - 1], 'x');
	shared_map_close(&map);
	if (open_map(how, true, &map) != (kept ? SHARED_MAP_KEPT : SHARED_MAP_FRESH))
		fail_msg("%s: not %s", what, kept ? "kept" : "renewed");
	assert_int_equal(((char *)map.data)[SIZE - 1], kept ? 'x' : 0);
	shared_map_close(&map);
	assert_int_equal(length_of("map.new"), -1);
}

static void test_kept(void **state)
{
	struct shared_map_spec any = spec;
	struct shared_map map;

	(void)state;
	make_map();
	assert_int_equal(length_of("map"), HEAD + SIZE);
	expect(&spec, true, "as it was left");
	any.size = 0;
	assert_int_equal(open_map(&any, false, &map), SHARED_MAP_KEPT);
	assert_int_equal(map.size, SIZE);
	shared_map_close(&map);
}

static void test_other_specs(void **state)
{
	struct shared_map_spec other;

	(void)state;
	make_map();
	other = spec;
	other.magic++;
	expect(&other, false, "another magic");
	make_map();
	other = spec;
	other.version++;
	expect(&other, false, "another version");
	make_map();
	other = spec;
	other.size++;
	expect(&other, false, "a larger size");
	make_map();
	other.size = SIZE - 1;
	assert_int_equal(shared_map_open(&(struct shared_map){0}, at, &other, false),
			 SHARED_MAP_WRONG);
}

static void test_lengths(void **state)
{
	static const off_t lengths[] = {0, 1, HEAD - 1, HEAD, HEAD + SIZE - 1, HEAD + SIZE + 1};
	struct shared_map_spec any = spec;
	struct shared_map map;

	(void)state;
	any.size = 0;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		int fd;

		make_map();
		fd = openat(at, "map", O_RDWR | O_CLOEXEC);
		assert_int_equal(ftruncate(fd, lengths[i]), 0);
		close(fd);
		assert_int_equal(open_map(&any, false, &map), SHARED_MAP_WRONG);
		expect(&spec, false, "another length");
	}
}

/* A head of nothing is of no map, whatever size is asked for. */
static void test_no_data(void **state)
{
	const struct {
		_Alignas(64) uint64_t magic;
		uint64_t size;
		uint32_t version;
	} head = {.magic = spec.magic, .version = spec.version};
	struct shared_map_spec any = spec;
	struct shared_map map;
	int fd = openat(at, "map", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	(void)state;
	any.size = 0;
	assert_int_equal(write(fd, &head, sizeof(head)), HEAD);
	close(fd);
	assert_int_equal(open_map(&any, false, &map), SHARED_MAP_WRONG);
}

static void test_what_is_there_instead(void **state)
{
	struct shared_map map;

	(void)state;
	unlinkat(at, "map", 0);
	assert_int_equal(open_map(&spec, false, &map), SHARED_MAP_WRONG);
	assert_int_equal(length_of("map"), -1);
	assert_int_equal(mkfifoat(at, "map", 0600), 0);
	expect(&spec, false, "a pipe");
	unlinkat(at, "map", 0);
	/* what cannot be opened is told, unless it may be replaced */
	assert_int_equal(symlinkat("map", at, "map"), 0);
	assert_int_equal(open_map(&spec, false, &map), SHARED_MAP_FAILED);
	assert_int_equal(errno, ELOOP);
	assert_int_equal(open_map(&spec, true, &map), SHARED_MAP_FRESH);
	shared_map_close(&map);
	/* and what cannot be made */
	unlinkat(at, "map", 0);
	assert_int_equal(mkdirat(at, "map.new", 0700), 0);
	assert_int_equal(open_map(&spec, true, &map), SHARED_MAP_FAILED);
	assert_int_equal(errno, EISDIR);
	unlinkat(at, "map.new", AT_REMOVEDIR);
	assert_int_equal(mkdirat(at, "map", 0700), 0);
	assert_int_equal(open_map(&spec, true, &map), SHARED_MAP_FAILED);
	assert_int_equal(length_of("map.new"), -1);
	unlinkat(at, "map", AT_REMOVEDIR);
}

/* Who has the old one mapped keeps it. */
static void test_the_old_one_stays(void **state)
{
	struct shared_map_spec other = spec;
	struct shared_map old, map;

	(void)state;
	make_map();
	assert_int_equal(open_map(&spec, false, &old), SHARED_MAP_KEPT);
	other.version++;
	assert_int_equal(open_map(&other, true, &map), SHARED_MAP_FRESH);
	memset(map.data, 'y', SIZE);
	assert_int_equal(((char *)old.data)[SIZE - 1], 'x');
	shared_map_close(&map);
	shared_map_close(&old);
}

static int setup(void **state)
{
	(void)state;
	directory_make(directory, sizeof(directory));
	at = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return at < 0;
}

static int teardown(void **state)
{
	(void)state;
	close(at);
	directory_remove(directory);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_other_specs),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_no_data),
		cmocka_unit_test(test_what_is_there_instead),
		cmocka_unit_test(test_the_old_one_stays),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
