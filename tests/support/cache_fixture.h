/* A cache of its own for each test, in a directory of its own, and short words for using it. */
#ifndef TESTS_SUPPORT_CACHE_FIXTURE_H
#define TESTS_SUPPORT_CACHE_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cache/cache.h"
#include "tests/support/messages.h"
#include "tests/support/test_conf.h"

#define FRESH "204\nCache-Control: max-age=60\n"

enum { NOW_S = 784111777, PENDING_MAX = 100, OLD_SIZE = 64 << 10 };

struct fixture {
	struct cache *cache;
	struct conf *conf;
	struct message req;
	struct message res;
	struct cache_lookup lookup;
	char directory[64];
	bool asked_long_ago;            /* what comes was asked for before all invalidations */
	_Alignas(8) char old[OLD_SIZE]; /* a copy of a record */
};

int cache_fixture_setup(void **state);
int cache_fixture_teardown(void **state);
void cache_fixture_open(struct fixture *f);
void cache_fixture_close(struct fixture *f);

/* Times are seconds after NOW_S. */
int64_t at_ms(int64_t s);

enum reason store(struct fixture *f, const char *req, const char *res, int64_t s);
void assert_stored(struct fixture *f, const char *req, const char *res, int64_t s);
const struct cache_lookup *look_up(struct fixture *f, const char *req, int64_t s);

/* A fresh record is found, and its field X has that value. */
void assert_hit(struct fixture *f, const char *req, int64_t s, const char *x);
void assert_miss(struct fixture *f, const char *req, int64_t s);

/* The copy of a record that was found for a request; free() it.  NULL when it is damaged. */
struct cache_kept *kept_of(struct fixture *f, const char *req, struct slice old);

/* Remove the record that was copied. */
void remove_record(struct fixture *f, const char *req, struct slice old);

/* The record of the last look_up(), and that which a request selects, copied to f->old. */
struct slice copy_of_found(struct fixture *f);
struct slice copy_of_record(struct fixture *f, const char *req, int64_t s);
bool freshen(struct fixture *f, const char *req, struct slice old, const char *res_304, int64_t s,
	     struct record_view *ret_record);

#endif
