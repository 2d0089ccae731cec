/* LINKS: cache/policy */
/* What no message can bring about, and so no vector: records and clocks that should not be. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cache/policy/policy.h"

static void a_kind_that_is_none(void **state)
{
	const struct http_request get = {.method = METHOD_GET}, head = {.method = METHOD_HEAD};

	(void)state;
	for (unsigned kind = RECORD_PREFLIGHT + 1; kind <= UINT8_MAX; kind++) {
		assert_false(policy_kind_serves((enum record_kind)kind, &get));
		assert_false(policy_kind_serves((enum record_kind)kind, &head));
	}
}

/* By value, at the ends of each second: what is reported of a record, and what decides. */
static void ages(void **state)
{
	static const struct {
		uint32_t initial_s;
		int64_t resident_ms, age_s;
	} rows[] = {
		{0, 0, 0},     {0, 1, 0},
		{0, 999, 0},   {0, 1000, 1},
		{0, 1001, 1},  {5, -1, 5},
		{5, -5000, 5}, {5, 1999, 6},
		{5, 2000, 7},  {UINT32_MAX, 1000, (int64_t)UINT32_MAX + 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct record_meta meta = {.initial_age_s = rows[i].initial_s,
						 .response_steady_ms = 100000};
		const struct http_clock now = {.steady_ms = 100000 + rows[i].resident_ms};

		assert_int_equal(policy_age_s(&meta, &now), rows[i].age_s);
	}
}

static void lifetimes(void **state)
{
	static const struct {
		uint32_t lifetime_s;
		int64_t max_ms, capped_s;
	} rows[] = {
		{60, 0, 60},  {60, 59000, 59}, {60, 60000, 60}, {60, 61000, 60},
		{60, 999, 0}, {60, 1, 0},      {60, 59999, 59},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct record_meta meta = {.lifetime_s = rows[i].lifetime_s};
		const struct conf conf = {.max_ttl_ms = rows[i].max_ms};

		assert_int_equal(policy_lifetime_s(&meta, &conf), rows[i].capped_s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kind_that_is_none),
		cmocka_unit_test(ages),
		cmocka_unit_test(lifetimes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
