/* LINKS: cache/policy */
/* What no message can bring about, and so no vector: records and clocks that should not be. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cache/http/date.h"
#include "cache/policy/lint.h"
#include "cache/policy/policy.h"
#include "cache/policy/rule.h"
#include "tests/support/messages.h"
#include "tests/support/test_conf.h"

static struct message request, response;

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

static void what_was_purged_is_validated(void **state)
{
	struct record_meta meta = {.lifetime_s = 60, .flags = META_PURGED};
	const struct http_clock now = {0};
	const struct conf conf = {0};
	enum reason why = REASON_COUNT;

	(void)state;
	request_of(&request, "GET http://example.com/\n");
	assert_int_equal(policy_reuse(&request.req, &meta, &now, &conf, &why), REUSE_VALIDATE);
	assert_int_equal(why, REASON_PURGED);
	meta.flags = 0;
	assert_int_equal(policy_reuse(&request.req, &meta, &now, &conf, &why), REUSE_FRESH);
	assert_int_equal(why, REASON_NONE);
}

/* What the parser says of a head, and no text of a vector can. */
static void heads_that_are_not_as_they_should_be(void **state)
{
	const struct exchange_times times = {.response = {.wall_s = 784111777}};
	struct conf *conf = test_conf_new();
	struct record_meta meta;
	struct lint lint;
	enum reason why;

	(void)state;
	request_of(&request, "GET http://example.com/\n");
	response_of(&response, "204\nCache-Control: max-age=60\n");
	assert_true(policy_may_store(&request.req, &response.res, &times, conf, &meta, &why));
	assert_int_equal(why, REASON_NONE);
	response.res.framing_trouble = true;
	assert_false(policy_may_store(&request.req, &response.res, &times, conf, &meta, &why));
	assert_int_equal(why, REASON_FRAMING);
	lint_response(&request.req, &response.res, &times, conf, &lint);
	assert_true(lint_has(&lint, LINT_CONTENT));
	assert_false(lint_has(&lint, LINT_LENGTH));
	assert_false(lint_has(&lint, LINT_MENDED));
	response.res.framing_trouble = false;
	response.res.body = BODY_LENGTH;
	assert_false(policy_may_store(&request.req, &response.res, &times, conf, &meta, &why));
	assert_int_equal(why, REASON_FRAMING);
	response.res.body = BODY_NONE;
	response.res.mended = true;
	assert_false(policy_may_store(&request.req, &response.res, &times, conf, &meta, &why));
	assert_int_equal(why, REASON_MENDED);
	lint_response(&request.req, &response.res, &times, conf, &lint);
	assert_true(lint_has(&lint, LINT_MENDED));
	assert_false(lint_has(&lint, LINT_CONTENT));
	test_conf_free(conf);
}

/* Whatever was in its memory before. */
static void a_response_without_names_drops_none(void **state)
{
	static const char *const heads[] = {
		"204\nX: 1\n", "204\nX: 1\nCache-Control: max-age=60\n",
		"204\nX: 1\nCache-Control: private=\"y\", no-cache=\"z\"\n"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct policy_drops drops;

		memset(&drops, 0xff, sizeof(drops));
		for (unsigned k = 0; k < CC_NAMES_MAX; k++)
			drops.no_cache.at[k] = drops.private.at[k] = SLICE("X");
		response_of(&response, heads[i]);
		policy_drops_read(&response.res, &drops);
		assert_false(drops.all);
		assert_false(policy_drops_field(&drops, &response.res.fields.at[0]));
	}
}

/* It confirms no record (RFC 9111 4.3.5). */
static void a_mended_head_updates_nothing(void **state)
{
	struct record_meta meta = {.kind = RECORD_GET, .last_modified_s = HTTP_DATE_INVALID};
	const struct validated record = {&meta, slice_of(NULL, 0), false};
	const struct http_clock now = {0};
	const struct conf conf = {0};

	(void)state;
	request_of(&request, "HEAD http://example.com/\n");
	response_of(&response, "204\n");
	assert_int_equal(policy_validation(&request.req, &record, &response.res, &now, &conf),
			 VALIDATION_UPDATE);
	response.res.mended = true;
	assert_int_equal(policy_validation(&request.req, &record, &response.res, &now, &conf),
			 VALIDATION_REPLACE);
	response.res.mended = false;
	response.res.framing_trouble = true;
	assert_int_equal(policy_validation(&request.req, &record, &response.res, &now, &conf),
			 VALIDATION_REPLACE);
}

static void groups_of_faults(void **state)
{
	static const enum lint_group groups[LINT_COUNT] = {
#define LINT(id, group, level, name, text, section) LINT_GROUP_##group,
#include "cache/policy/lint.def"
#undef LINT
	};
	static const char *const texts[LINT_GROUP_COUNT] = {
#define LINT_GROUP(id, text) text,
#include "cache/policy/lint_groups.def"
#undef LINT_GROUP
	};

	(void)state;
	for (enum lint_group group = 0; group < LINT_GROUP_COUNT; group++) {
		assert_string_equal(lint_group_text(group), texts[group]);
		for (enum lint_id id = 0; id < LINT_COUNT; id++) {
			const struct lint lint = {.found = (uint64_t)1 << id};

			assert_int_equal(lint_has_group(&lint, group), groups[id] == group);
		}
		assert_false(lint_has_group(&(struct lint){0}, group));
		assert_true(lint_has_group(&(struct lint){.found = UINT64_MAX}, group));
	}
}

static void reasons_have_their_texts(void **state)
{
	static const struct {
		const char *token, *meaning, *advice;
	} rows[REASON_COUNT] = {
#define REASON(id, token, where, meaning, advice) {token, meaning, advice},
#include "cache/policy/reasons.def"
#undef REASON
	};

	(void)state;
	for (enum reason reason = 0; reason < REASON_COUNT; reason++) {
		assert_string_equal(reason_token(reason), rows[reason].token);
		assert_string_equal(reason_meaning(reason), rows[reason].meaning);
		if (rows[reason].advice == NULL)
			assert_null(reason_advice(reason));
		else
			assert_string_equal(reason_advice(reason), rows[reason].advice);
	}
}

static void options_of_a_uri_in_normal_form(void **state)
{
	struct conf *conf = test_conf_new();

	(void)state;
	assert_ptr_equal(policy_uri_options(conf, SLICE("http://example.com/")), conf);
	assert_true(test_conf_rules(conf, "rule \"a\" { match = \"example.com/x*\" ttl = 1m }\n"));
	assert_ptr_equal(policy_uri_options(conf, SLICE("http://example.com/")), conf);
	assert_ptr_equal(policy_uri_options(conf, SLICE("http://example.com/x")),
			 &conf->rules->at[0].options);
	assert_ptr_equal(policy_uri_options(conf, SLICE("no URI")), conf);
	assert_ptr_equal(policy_uri_options(conf, SLICE("ftp://example.com/x")), conf);
	test_conf_free(conf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kind_that_is_none),
		cmocka_unit_test(ages),
		cmocka_unit_test(lifetimes),
		cmocka_unit_test(what_was_purged_is_validated),
		cmocka_unit_test(heads_that_are_not_as_they_should_be),
		cmocka_unit_test(a_response_without_names_drops_none),
		cmocka_unit_test(a_mended_head_updates_nothing),
		cmocka_unit_test(groups_of_faults),
		cmocka_unit_test(reasons_have_their_texts),
		cmocka_unit_test(options_of_a_uri_in_normal_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
