/* For tests of the record store; see store_fixture.h. */
#include "tests/support/store_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum {
	VALUE_HEAD = 24, /* n, turn, length */
};

uint64_t mix(uint64_t n)
{
	n += UINT64_C(0x9e3779b97f4a7c15);
	n = (n ^ (n >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	n = (n ^ (n >> 27)) * UINT64_C(0x94d049bb133111eb);
	return n ^ (n >> 31);
}

struct cache_key key_of(uint64_t n)
{
	return (struct cache_key){{mix(2 * n), mix(2 * n + 1)}};
}

struct cache_key group_of(uint64_t n)
{
	return key_of(~n);
}

static void value_fill(uint64_t seed, char *to, size_t size)
{
	for (size_t i = 0; i < size; i += sizeof(seed), seed += UINT64_C(0x0101010101010101))
		memcpy(to + i, &seed, size - i < sizeof(seed) ? size - i : sizeof(seed));
}

struct slice bytes_of(uint64_t n, uint64_t turn, size_t size_max)
{
	static char value[4 * MIB];
	uint64_t seed = mix(n ^ mix(turn));
	uint64_t head[3] = {n, turn, VALUE_HEAD + seed % (size_max - VALUE_HEAD + 1)};

	memcpy(value, head, sizeof(head));
	value_fill(seed, value + VALUE_HEAD, head[2] - VALUE_HEAD);
	return slice_of(value, head[2]);
}

bool value_is_of(struct slice value, uint64_t n, uint64_t *ret_turn)
{
	static char wanted[4 * MIB];
	uint64_t head[3];

	if (value.n < sizeof(head) || (uintptr_t)value.p % 8 != 0)
		return false;
	memcpy(head, value.p, sizeof(head));
	if (head[0] != n || head[2] != value.n)
		return false;
	*ret_turn = head[1];
	value_fill(mix(n ^ mix(head[1])), wanted, value.n - VALUE_HEAD);
	return memcmp(wanted, value.p + VALUE_HEAD, value.n - VALUE_HEAD) == 0;
}

void file_settle(const char *path)
{
	struct timespec now;
	struct stat file;

	if (stat(path, &file) != 0)
		return;
	do {
		assert_int_equal(clock_gettime(CLOCK_REALTIME_COARSE, &now), 0);
	} while (now.tv_sec == file.st_ctim.tv_sec && now.tv_nsec <= file.st_ctim.tv_nsec);
}

/* In memory where there is room: a test opens and closes stores, which syncs, hundreds of times. */
void directory_make(char *to, size_t size)
{
	struct statvfs disk;
	bool memory = statvfs("/dev/shm", &disk) == 0 && access("/dev/shm", W_OK) == 0 &&
		      (uint64_t)disk.f_bavail * disk.f_frsize >= 256 * MIB;

	snprintf(to, size, "%s/cache204-store-XXXXXX", memory ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(to));
}

void directory_write(const char *directory, const char *name, const char *text)
{
	char path[128];
	FILE *to;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	to = fopen(path, "w");
	assert_non_null(to);
	fputs(text, to);
	fclose(to);
	assert_int_equal(chmod(path, 0600), 0);
}

void directory_remove(const char *directory)
{
	DIR *dir = opendir(directory);
	struct dirent *file;

	if (dir == NULL)
		return;
	while ((file = readdir(dir)) != NULL)
		if (unlinkat(dirfd(dir), file->d_name, 0) != 0)
			unlinkat(dirfd(dir), file->d_name, AT_REMOVEDIR);
	closedir(dir);
	rmdir(directory);
}

int store_setup(void **state)
{
	struct store_fixture *f = calloc(1, sizeof(*f));

	directory_make(f->directory, sizeof(f->directory));
	f->options = (struct store_options){
		.directory = f->directory, .size = 8 * MIB, .readers = 4, .format = 1};
	*state = f;
	return 0;
}

int store_teardown(void **state)
{
	struct store_fixture *f = *state;

	store_close(f->store);
	directory_remove(f->directory);
	free(f);
	return 0;
}

void store_fixture_open(struct store_fixture *f)
{
	f->store = store_open(&f->options, &f->notice);
	if (!f->store)
		fail_msg("store_open: %s", f->notice.text);
}

void store_fixture_second_passes(struct store_fixture *f)
{
	enum { UNREAD = 64 + 12, A_SECOND = 1 << 8 };
	uint32_t unread;
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/noted", f->directory);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pread(fd, &unread, sizeof(unread), UNREAD), sizeof(unread));
	if (unread != 0)
		unread -= A_SECOND;
	assert_int_equal(pwrite(fd, &unread, sizeof(unread), UNREAD), sizeof(unread));
	close(fd);
}

void store_fixture_close(struct store_fixture *f)
{
	store_close(f->store);
	f->store = NULL;
}

void store_fixture_reopen(struct store_fixture *f)
{
	store_fixture_close(f);
	store_fixture_open(f);
}

void assert_notice(const struct store_fixture *f, const char *wanted)
{
	if (strstr(f->notice.text, wanted) == NULL)
		fail_msg("notice \"%s\" does not say \"%s\"", f->notice.text, wanted);
	assert_null(strchr(f->notice.text, '\n'));
}

/* The next part, when the last is full or there was a try before. */
static enum store_result begin_part(struct store *store, unsigned tries)
{
	return tries > 0 || store_part_is_done(store) ? store_renew(store) : STORE_OK;
}

enum store_result put_in_parts(struct store *store, const struct cache_key *key, struct slice value,
			       const struct cache_key *groups, size_t group_count)
{
	enum store_result result = STORE_PART_FULL;

	for (unsigned parts = 0; parts < 100; parts++) {
		result = begin_part(store, parts);
		if (result != STORE_OK)
			return result;
		result = store_put(store, key, value, groups, group_count);
		if (result != STORE_PART_FULL)
			return result;
	}
	fail_msg("a put never ends");
	return STORE_FAILED;
}

enum store_result drop_in_parts(struct store *store, const struct cache_key *key)
{
	enum store_result result = STORE_PART_FULL;

	for (unsigned parts = 0; parts < 100; parts++) {
		result = begin_part(store, parts);
		if (result != STORE_OK)
			return result;
		result = store_drop(store, key);
		if (result != STORE_PART_FULL)
			return result;
	}
	fail_msg("a drop never ends");
	return STORE_FAILED;
}

enum store_result drop_members(struct store *store, const struct cache_key *group, size_t limit,
			       size_t *ret_count)
{
	struct cache_key cursor = {{0, 0}}, key;
	enum store_result result = STORE_OK;

	for (*ret_count = 0; *ret_count < limit; ++*ret_count) {
		do
			result = store_group_next(store, group, &cursor, &key);
		while (result == STORE_PART_FULL);
		if (result == STORE_OK)
			result = drop_in_parts(store, &key);
		if (result != STORE_OK)
			break;
	}
	return result == STORE_NOT_FOUND ? STORE_OK : result;
}

enum store_result put_one(struct store *store, uint64_t n, struct slice value)
{
	struct cache_key key = key_of(n);
	enum store_result result;

	assert_int_equal(store_begin(store), STORE_OK);
	result = put_in_parts(store, &key, value, NULL, 0);
	assert_int_equal(store_commit(store), STORE_OK);
	return result;
}

void assert_in_store(struct store *store, uint64_t n, uint64_t turn)
{
	struct cache_key key = key_of(n);
	uint64_t found = ~turn;
	struct slice value;

	assert_int_equal(store_get(store, &key, &value), STORE_OK);
	assert_true(value_is_of(value, n, &found));
	assert_int_equal(found, turn);
	store_turn_end(store);
}

void assert_absent(struct store *store, uint64_t n)
{
	struct cache_key key = key_of(n);
	struct slice value;

	assert_int_equal(store_get(store, &key, &value), STORE_NOT_FOUND);
	store_turn_end(store);
}

static bool file_stat(const struct store_fixture *f, const char *name, struct stat *ret_stat)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", f->directory, name);
	return stat(path, ret_stat) == 0;
}

bool file_exists(const struct store_fixture *f, const char *name)
{
	struct stat st;

	return file_stat(f, name, &st);
}

uint64_t file_size(const struct store_fixture *f, const char *name)
{
	struct stat st;

	return file_stat(f, name, &st) ? (uint64_t)st.st_size : 0;
}
