/* For tests of the record store: a directory of its own, keys and values that prove themselves. */
#ifndef TESTS_SUPPORT_STORE_FIXTURE_H
#define TESTS_SUPPORT_STORE_FIXTURE_H

#include <stdint.h>

#include "cache/base/diagnostic.h"
#include "cache/store/store.h"

enum {
	MIB = 1 << 20,
};

struct store_fixture {
	char directory[64];
	struct store_options options; /* 8 MiB, format 1 */
	struct store *store;
	struct diagnostic notice; /* of the last fixture_open() */
};

/* Well mixed numbers, the same in every run. */
uint64_t mix(uint64_t n);
struct cache_key key_of(uint64_t n);
struct cache_key group_of(uint64_t n);

/*
 * The value of key `n` in its `turn`-th writing: its length and every byte follow from both.  In
 * static memory, until the next call.  Up to `size_max` bytes, at least 24.
 */
struct slice bytes_of(uint64_t n, uint64_t turn, size_t size_max);

/* Is it whole, and of key `n`?  *ret_turn is which writing. */
bool value_is_of(struct slice value, uint64_t n, uint64_t *ret_turn);

/*
 * Wait until the kernel's clock has gone on since the last change of a file, if there is one: what
 * changes it after that can be told by its ctime, whatever the file system is.
 */
void file_settle(const char *path);

/* A new directory, and cmocka's setup and teardown around that. */
void directory_make(char *to, size_t size);
void directory_remove(const char *directory);

/* A file in it that only we may read. */
void directory_write(const char *directory, const char *name, const char *text);
int store_setup(void **state);
int store_teardown(void **state);

/* Open, expected to succeed; close; close and open again. */
void store_fixture_open(struct store_fixture *f);
/* As if the last failure to read were a second older. */
void store_fixture_second_passes(struct store_fixture *f);

void store_fixture_close(struct store_fixture *f);
void store_fixture_reopen(struct store_fixture *f);

/* The notice of the last opening has this text, and is one line. */
void assert_notice(const struct store_fixture *f, const char *wanted);

/* One put in a transaction of its own. */
enum store_result put_one(struct store *store, uint64_t n, struct slice value);

/* In a transaction: drop up to `limit` members of a group, in parts if need be; how many in
 *ret_count. */
enum store_result drop_members(struct store *store, const struct cache_key *group, size_t limit,
			       size_t *ret_count);

/* In a transaction: put, or drop, in as many parts as it takes. */
enum store_result put_in_parts(struct store *store, const struct cache_key *key, struct slice value,
			       const struct cache_key *groups, size_t group_count);
enum store_result drop_in_parts(struct store *store, const struct cache_key *key);

/* The value of a key is whole in its `turn`-th writing; not there. */
void assert_in_store(struct store *store, uint64_t n, uint64_t turn);
void assert_absent(struct store *store, uint64_t n);

/* A file in the directory: whether it is there, its size. */
bool file_exists(const struct store_fixture *f, const char *name);
uint64_t file_size(const struct store_fixture *f, const char *name);

#endif
