/* A cache for tests. */
#include "tests/support/cache_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cache/base/diagnostic.h"

int64_t at_ms(int64_t s)
{
	return (NOW_S + s) * 1000;
}

void cache_fixture_open(struct fixture *f)
{
	struct diagnostic notice = {""};

	f->cache = cache_open(f->conf, CACHE_LOCK_NONE, &notice);
	if (!f->cache)
		fail_msg("cache_open: %s", notice.text);
	assert_string_equal(notice.text, "");
}

void cache_fixture_close(struct fixture *f)
{
	cache_close(f->cache);
	f->cache = NULL;
}

int cache_fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->directory, "/tmp/cache204-test-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	f->conf = test_conf_new();
	assert_true(test_conf_set(f->conf, "store", f->directory));
	assert_true(test_conf_set(f->conf, "store_size", "8MiB"));
	assert_true(test_conf_set(f->conf, "store_pending", "100"));
	assert_true(test_conf_set(f->conf, "store_interval", "0"));
	cache_fixture_open(f);
	*state = f;
	return 0;
}

static void remove_directory(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;

	while (directory != NULL && (entry = readdir(directory))) {
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(directory), entry->d_name, 0);
	}
	if (directory != NULL)
		closedir(directory);
	rmdir(path);
}

int cache_fixture_teardown(void **state)
{
	struct fixture *f = *state;

	if (f->cache)
		cache_fixture_close(f);
	remove_directory(f->directory);
	test_conf_free(f->conf);
	free(f);
	return 0;
}

static struct exchange_times times_at(const struct fixture *f, int64_t s)
{
	return (struct exchange_times){at_ms(s),
				       {.wall_s = NOW_S + s, .steady_ms = at_ms(s)},
				       f->asked_long_ago ? 0 : cache_epoch(f->cache),
				       0,
				       0};
}

enum reason store(struct fixture *f, const char *req, const char *res, int64_t s)
{
	struct exchange_times times = times_at(f, s);
	enum reason why = REASON_COUNT;
	bool stored = cache_store(f->cache, request_of(&f->req, req), response_of(&f->res, res),
				  &times, &why);

	assert_int_equal(stored, why == REASON_NONE);
	return why;
}

void assert_stored(struct fixture *f, const char *req, const char *res, int64_t s)
{
	assert_int_equal(store(f, req, res, s), REASON_NONE);
}

const struct cache_lookup *look_up(struct fixture *f, const char *req, int64_t s)
{
	struct http_clock now = {.wall_s = NOW_S + s, .steady_ms = at_ms(s)};

	cache_lookup(f->cache, request_of(&f->req, req), &now, &f->lookup);
	return &f->lookup;
}

void assert_hit(struct fixture *f, const char *req, int64_t s, const char *x)
{
	struct http_field lines[RECORD_FIELDS_MAX];
	struct http_response res = {.fields = {.at = lines, .capacity = RECORD_FIELDS_MAX}};
	struct slice value;

	look_up(f, req, s);
	assert_true(f->lookup.uri_known);
	assert_true(f->lookup.has_record);
	assert_int_equal(f->lookup.verdict, REUSE_FRESH);
	assert_true(record_to_response(&f->lookup.record, &res));
	value = value_of(&res, "X");
	assert_int_equal(value.n, strlen(x));
	assert_memory_equal(value.p, x, value.n);
}

void assert_miss(struct fixture *f, const char *req, int64_t s)
{
	look_up(f, req, s);
	assert_false(f->lookup.has_record);
	assert_int_equal(f->lookup.verdict, REUSE_MISS);
}

struct slice copy_of_record(struct fixture *f, const char *req, int64_t s)
{
	look_up(f, req, s);
	return copy_of_found(f);
}

struct slice copy_of_found(struct fixture *f)
{
	struct slice bytes = f->lookup.record.bytes;

	assert_true(f->lookup.has_record);
	assert_true(bytes.n <= sizeof(f->old));
	memcpy(f->old, bytes.p, bytes.n);
	return slice_of(f->old, bytes.n);
}

struct cache_kept *kept_of(struct fixture *f, const char *req, struct slice old)
{
	const struct http_uri *uri = &request_of(&f->req, req)->uri;
	char normal[4096];

	assert_true(http_uri_normal_max(uri) <= sizeof(normal));
	return cache_keep(old, slice_of(normal, http_uri_normal(uri, normal)));
}

bool freshen(struct fixture *f, const char *req, struct slice old, const char *res_304, int64_t s,
	     struct record_view *ret_record)
{
	struct exchange_times times = times_at(f, s);
	struct cache_kept *kept = kept_of(f, req, old);
	struct cache_freshened fresh;
	bool done = kept != NULL && cache_freshen(f->cache, &f->req.req, kept,
						  response_of(&f->res, res_304), &times, &fresh);

	if (done)
		*ret_record = fresh.record;
	free(kept);
	return done;
}

void remove_record(struct fixture *f, const char *req, struct slice old)
{
	struct cache_kept *kept = kept_of(f, req, old);

	if (kept != NULL)
		cache_remove(f->cache, &kept->key, &kept->record);
	free(kept);
}
