/* LINKS: cache/policy */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "cache/policy/cache_control.h"
#include "cache/http/fields.h"
#include "tests/support/guarded.h"

enum { LINES_MAX = 8, TEXT_MAX = 512 };

struct head {
	struct http_field lines[LINES_MAX];
	struct http_fields fields;
};

/* Adds the lines of `value`, which are told apart by '\n'; the last one first when `reversed`. */
static void head_init(struct head *head, const char *name, const char *value, bool reversed)
{
	struct slice lines[LINES_MAX];
	size_t count = 0;

	memset(head, 0, sizeof(*head));
	head->fields.at = head->lines;
	head->fields.capacity = LINES_MAX;
	for (;; value++) {
		size_t n = strcspn(value, "\n");

		lines[count++] = guarded(slice_of(value, n));
		value += n;
		if (!*value)
			break;
	}
	for (size_t i = 0; i < count; i++)
		assert_true(http_fields_add(&head->fields, slice_str(name),
					    lines[reversed ? count - 1 - i : i]));
}

static char *print_seconds(char *to, const struct cache_control *control,
			   enum cache_directive directive, const char *name, uint32_t seconds)
{
	if (!cache_control_has(control, directive)) {
		assert_int_equal(seconds, 0);
		return to;
	}
	to += sprintf(to, " %s=", name);
	if (seconds == CC_SECONDS_ANY)
		to += sprintf(to, "any");
	else
		to += sprintf(to, "%u", seconds);
	if ((control->invalid >> directive) & 1)
		to += sprintf(to, "!");
	return to;
}

static char *print_names(char *to, const struct cache_control *control,
			 enum cache_directive directive, const char *name,
			 const struct cache_control_names *names)
{
	if (!cache_control_has(control, directive)) {
		assert_int_equal(names->count, 0);
		assert_false(cache_control_is_unqualified(control, directive));
		return to;
	}
	to += sprintf(to, " %s", name);
	if (cache_control_is_unqualified(control, directive))
		assert_int_equal(names->count, 0);
	else
		assert_int_not_equal(names->count, 0);
	for (uint32_t i = 0; i < names->count; i++)
		to += sprintf(to, "%c%.*s", i ? '+' : ':', SLICE_ARG(names->at[i]));
	return to;
}

/* A struct as text: BROKEN, seconds (! when invalid), names, then the rest in the order of the
 * table. */
static void describe(const struct cache_control *control, char *to)
{
	static const struct {
		enum cache_directive directive;
		const char *name;
	} flags[] = {
		{CC_NO_STORE, "no-store"},
		{CC_MUST_REVALIDATE, "must-revalidate"},
		{CC_PROXY_REVALIDATE, "proxy-revalidate"},
		{CC_ONLY_IF_CACHED, "only-if-cached"},
		{CC_NO_TRANSFORM, "no-transform"},
		{CC_PUBLIC, "public"},
		{CC_IMMUTABLE, "immutable"},
		{CC_MUST_UNDERSTAND, "must-understand"},
	};
	char *start = to;

	*to = 0;
	if (control->broken)
		to += sprintf(to, " BROKEN");
	to = print_seconds(to, control, CC_MAX_AGE, "max-age", control->max_age);
	to = print_seconds(to, control, CC_S_MAXAGE, "s-maxage", control->s_maxage);
	to = print_seconds(to, control, CC_MIN_FRESH, "min-fresh", control->min_fresh);
	to = print_seconds(to, control, CC_MAX_STALE, "max-stale", control->max_stale);
	to = print_seconds(to, control, CC_STALE_WHILE_REVALIDATE, "swr",
			   control->stale_while_revalidate);
	to = print_seconds(to, control, CC_STALE_IF_ERROR, "sie", control->stale_if_error);
	to = print_names(to, control, CC_NO_CACHE, "no-cache", &control->no_cache);
	to = print_names(to, control, CC_PRIVATE, "private", &control->private);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (cache_control_has(control, flags[i].directive))
			to += sprintf(to, " %s", flags[i].name);
	}
	if (to > start)
		memmove(start, start + 1, (size_t)(to - start)); /* the first space */
	assert_int_equal(control->present >> CC_DIRECTIVE_COUNT, 0);
	assert_int_equal((control->invalid | control->unqualified) & ~control->present, 0);
}

struct row {
	const char *value;
	const char *wanted;
};

/* One row, with its lines in the order written or the other way round. */
static void check_lines(const struct row *row, bool reversed)
{
	struct cache_control control;
	char found[TEXT_MAX];
	struct head head;

	memset(&control, 0xaa, sizeof(control));
	head_init(&head, "cache-control", row->value, reversed);
	cache_control_parse(&head.fields, FIELD_CACHE_CONTROL, &control);
	describe(&control, found);
	if (strcmp(found, row->wanted) != 0)
		fail_msg("%s%s: %s, not %s", row->value, reversed ? " (reversed)" : "", found,
			 row->wanted);
	guarded_end();
}

static void check_rows(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		check_lines(&rows[i], false);
		check_lines(&rows[i], true);
	}
}

#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof((rows)[0]))

static void test_each_directive(void **state)
{
	static const struct row rows[] = {
		{"", ""},
		{"max-age=60", "max-age=60"},
		{"s-maxage=60", "s-maxage=60"},
		{"min-fresh=60", "min-fresh=60"},
		{"max-stale=60", "max-stale=60"},
		{"max-stale", "max-stale=any"},
		{"stale-while-revalidate=60", "swr=60"},
		{"stale-if-error=60", "sie=60"},
		{"no-store", "no-store"},
		{"no-cache", "no-cache"},
		{"private", "private"},
		{"must-revalidate", "must-revalidate"},
		{"proxy-revalidate", "proxy-revalidate"},
		{"only-if-cached", "only-if-cached"},
		{"no-transform", "no-transform"},
		{"public", "public"},
		{"immutable", "immutable"},
		{"must-understand", "must-understand"},
		/* in any case, in any list syntax, over any lines */
		{"NO-STORE", "no-store"},
		{"No-Store,MAX-age=1", "max-age=1 no-store"},
		{",, ,no-store ,\t, public,", "no-store public"},
		{"public\nno-store", "no-store public"},
		{"\nno-store\n", "no-store"},
		{"public,\n,no-store", "no-store public"},
		/* others */
		{"foo", ""},
		{"foo=bar", ""},
		{"foo=\"b,a;r\"", ""},
		{"no-storex", ""},
		{"xno-store", ""},
		{"no_store", ""},
		{"max-age-x=1", ""},
		{"nostore", ""},
		{"foo=a/b@c?d=(e)", ""},
		{"community=\"UCI\", no-store", "no-store"},
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void test_seconds(void **state)
{
	static const struct row rows[] = {
		{"max-age=0", "max-age=0"},
		{"max-age=0060", "max-age=60"},
		{"max-age=00000000000000000000000000000000000060", "max-age=60"},
		{"max-age=\"60\"", "max-age=60"},
		{"max-age=\"0060\"", "max-age=60"},
		{"max-age=\"6\\0\"", "max-age=60"},
		{"max-age=\"\\6\\0\"", "max-age=60"},
		{"max-age=\"6\\\\\"", "max-age=0!"},
		{"max-age=\"6\\\"\"", "max-age=0!"},
		{"max-age=\"6\\\"", "BROKEN max-age=0!"},
		{"max-age=2147483647", "max-age=2147483647"},
		{"max-age=2147483648", "max-age=2147483648"},
		{"max-age=2147483649", "max-age=2147483648"},
		{"max-age=4294967295", "max-age=2147483648"},
		{"max-age=4294967296", "max-age=2147483648"},
		{"max-age=4294967297", "max-age=2147483648"},
		{"max-age=18446744073709551615", "max-age=2147483648"},
		{"max-age=18446744073709551617", "max-age=2147483648"},
		{"max-age=99999999999999999999999999999999999", "max-age=2147483648"},
		{"max-age=\"99999999999999999999999999999999999\"", "max-age=2147483648"},
		/* what nobody can read is stale */
		{"max-age", "max-age=0!"},
		{"max-age=", "max-age=0!"},
		{"max-age=\"\"", "max-age=0!"},
		{"max-age=-1", "max-age=0!"},
		{"max-age=-0", "max-age=0!"},
		{"max-age=+60", "max-age=0!"},
		{"max-age=60.0", "max-age=0!"},
		{"max-age=60.5", "max-age=0!"},
		{"max-age=1e3", "max-age=0!"},
		{"max-age=0x60", "max-age=0!"},
		{"max-age='60'", "max-age=0!"},
		{"max-age=60a", "max-age=0!"},
		{"max-age=a60", "max-age=0!"},
		{"max-age=abc", "max-age=0!"},
		{"max-age=\" 60\"", "max-age=0!"},
		{"max-age=\"60 \"", "max-age=0!"},
		{"max-age=\"60,70\"", "max-age=0!"},
		{"max-age=\"-60\"", "max-age=0!"},
		{"max-age==60", "max-age=0!"},
		{"max-age=60\x80", "max-age=0!"},
		{"s-maxage=x", "s-maxage=0!"},
		{"max-age=x, s-maxage=y", "max-age=0! s-maxage=0!"},
		{"stale-while-revalidate", "swr=0!"},
		{"stale-while-revalidate=-1", "swr=0!"},
		{"stale-if-error=1.5", "sie=0!"},
		{"max-stale=", "max-stale=0!"},
		{"max-stale=x", "max-stale=0!"},
		{"max-stale=\"\"", "max-stale=0!"},
		/* a client that asks for freshness gets it when it is unclear how much */
		{"min-fresh", "min-fresh=2147483648!"},
		{"min-fresh=x", "min-fresh=2147483648!"},
		{"min-fresh=0", "min-fresh=0"},
		/* of two the stricter, in both orders */
		{"max-age=60\nmax-age=1", "max-age=1"},
		{"max-age=60, max-age=60", "max-age=60"},
		{"max-age=60, MAX-AGE=1\nmax-age=30", "max-age=1"},
		{"max-age=60\nmax-age=x", "max-age=0!"},
		{"max-age=60\nmax-age", "max-age=0!"},
		{"max-age=0\nmax-age=60", "max-age=0"},
		{"s-maxage=60\ns-maxage=10", "s-maxage=10"},
		{"max-age=1\ns-maxage=60", "max-age=1 s-maxage=60"},
		{"min-fresh=60\nmin-fresh=1", "min-fresh=60"},
		{"min-fresh=60\nmin-fresh=x", "min-fresh=2147483648!"},
		{"max-stale\nmax-stale=60", "max-stale=60"},
		{"max-stale=60\nmax-stale=30", "max-stale=30"},
		{"max-stale\nmax-stale", "max-stale=any"},
		{"max-stale\nmax-stale=x", "max-stale=0!"},
		{"stale-if-error=60\nstale-if-error=5", "sie=5"},
		{"stale-while-revalidate=60\nstale-while-revalidate=5", "swr=5"},
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void test_names(void **state)
{
	static const struct row rows[] = {
		{"private=\"X-A\"", "private:X-A"},
		{"no-cache=\"X-A\"", "no-cache:X-A"},
		{"private=\" a ,, b,c \"", "private:a+b+c"},
		{"no-cache=\"a\", private=\"b\"", "no-cache:a private:b"},
		{"private=\"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16\"",
		 "private:1+2+3+4+5+6+7+8+9+10+11+12+13+14+15+16"},
		/* too many */
		{"private=\"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17\"", "private"},
		{"no-cache=\"1,2,3,4,5,6,7,8,9,10,11,12\"\nno-cache=\"13,14,15,16,17\"",
		 "no-cache"},
		/* unqualified anywhere, in both orders */
		{"private=\"a\"\nprivate", "private"},
		{"no-cache\nno-cache=\"a\"", "no-cache"},
		{"private\nno-cache=\"a\"", "no-cache:a private"},
		/* not a list of names between quotes: the stricter reading */
		{"private=a", "private"},
		{"no-cache=Set-Cookie", "no-cache"},
		{"private=", "private"},
		{"private=\"\"", "private"},
		{"private=\" , \"", "private"},
		{"private=\"a b\"", "private"},
		{"private=\"a\\b\"", "private"},
		{"private=\"a, \\\"b\\\"\"", "private"},
		{"private=\"a;b\"", "private"},
		{"private='a'", "private"},
		{"no-cache=\"a:\"", "no-cache"},
		{"private=\"a, =\"", "private"},
		{"private=\"a\xc3\xa9\"", "private"},
	};

	(void)state;
	CHECK_ROWS(rows);
	check_lines(&(struct row){"private=\"a\"\nprivate=\"b\"", "private:a+b"}, false);
	check_lines(&(struct row){"private=\"a\"\nprivate=\"b\"", "private:b+a"}, true);
}

static void test_odd_arguments(void **state)
{
	static const struct row rows[] = {
		/* still forbid */
		{"no-store=foo", "no-store"},
		{"no-store=\"x\"", "no-store"},
		{"no-store=", "no-store"},
		{"no-store=0", "no-store"},
		{"no-store=false", "no-store"},
		{"must-revalidate=1", "must-revalidate"},
		{"proxy-revalidate=1", "proxy-revalidate"},
		{"only-if-cached=x", "only-if-cached"},
		{"no-transform=\"\"", "no-transform"},
		/* but do not allow */
		{"public=foo", ""},
		{"public=", ""},
		{"public=\"\"", ""},
		{"immutable=1", ""},
		{"must-understand=x, no-store", "no-store"},
		{"public=1\npublic", "public"},
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void test_quoted_directives_do_not_count(void **state)
{
	static const struct row rows[] = {
		{"ext=\"max-age=3600\", max-age=1", "max-age=1"},
		{"max-age=1, ext=\"max-age=3600\"", "max-age=1"},
		{"ext=\"max-age=3600\"", ""},
		{"ext=\"a, max-age=3600, b\"", ""},
		{"ext=\"a\\\", no-store, \\\"\"", ""},
		{"ext=\"max-age=3600\", max-age=\"1\"", "max-age=1"},
		{"private=\"no-store, max-age\", max-age=5", "max-age=5 private:no-store+max-age"},
		{"ext=\"public, x\", no-store", "no-store"},
		{"ext=\"\\\\\", no-store", "no-store"},
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void test_broken(void **state)
{
	static const struct row rows[] = {
		/* a quoted string that is not closed */
		{"ext=\"", "BROKEN"},
		{"ext=\"max-age=60", "BROKEN"},
		{"max-age=60, ext=\"a, no-store", "BROKEN max-age=60"},
		{"max-age=\"60", "BROKEN max-age=0!"},
		{"private=\"a, b", "BROKEN private"},
		{"no-cache=\"a\\\"", "BROKEN no-cache"},
		{"public, ext=\"a\nb\"", "BROKEN public"},
		{"ext=\"a\\", "BROKEN"},
		/* ';' for ',' */
		{"max-age=60; no-store", "BROKEN max-age=0!"},
		{"max-age=60;no-store", "BROKEN max-age=0!"},
		{"no-store; max-age=60", "BROKEN no-store"},
		{"no-store;", "BROKEN no-store"},
		{"private; max-age=60", "BROKEN private"},
		{"public; max-age=60", "BROKEN"},
		{"foo=bar; no-store", "BROKEN"},
		{"foo=\"bar\"; no-store", "BROKEN"},
		{";", "BROKEN"},
		{"max-age=60, ;", "BROKEN max-age=60"},
		{"private=\"a\";x", "BROKEN private"},
		/* no comma at all, or white space where there is none */
		{"no-store max-age=60", "BROKEN no-store"},
		{"max-age=60 no-store", "BROKEN max-age=0!"},
		{"public no-store", "BROKEN"},
		{"foo no-store", "BROKEN"},
		{"foo=bar no-store", "BROKEN"},
		{"foo=\"bar\" no-store", "BROKEN"},
		{"max-age =60", "BROKEN max-age=0!"},
		{"max-age= 60", "BROKEN max-age=0!"},
		{"max-age\t=60", "BROKEN max-age=0!"},
		{"max-age: 60", "BROKEN max-age=0!"},
		{"private =\"a\"", "BROKEN private"},
		/* quotes where there are none */
		{"\"no-store\"", "BROKEN"},
		{"no\"-store", "BROKEN"},
		{"no-store\"\"", "BROKEN no-store"},
		{"max-age=6\"0\"", "BROKEN max-age=0!"},
		{"max-age=\"6\"0", "BROKEN max-age=0!"},
		{"max-age=\"60\"\"70\"", "BROKEN max-age=0!"},
		{"private=\"a\"b", "BROKEN private"},
		{"foo=\"a\"\"b\"", "BROKEN"},
		/* no name */
		{"=60", "BROKEN"},
		{"=", "BROKEN"},
		{"@no-store", "BROKEN"},
		{"(no-store)", "BROKEN"},
		{"no-store\x80", "BROKEN no-store"},
	};

	(void)state;
	CHECK_ROWS(rows);
}

static void test_absent_and_other_fields(void **state)
{
	struct cache_control control;
	struct head head;
	char found[TEXT_MAX];

	(void)state;
	head_init(&head, "Pragma", "no-cache, no-store", false);
	memset(&control, 0xaa, sizeof(control));
	cache_control_parse(&head.fields, FIELD_CACHE_CONTROL, &control);
	describe(&control, found);
	assert_string_equal(found, "");
	cache_control_parse(&head.fields, FIELD_PRAGMA, &control);
	describe(&control, found);
	assert_string_equal(found, "no-cache no-store");
	guarded_end();
}

static void test_names_field(void **state)
{
	struct cache_control control;
	struct head head;

	(void)state;
	head_init(&head, "Cache-Control", "private=\"X-A, set-cookie\"", false);
	cache_control_parse(&head.fields, FIELD_CACHE_CONTROL, &control);
	assert_true(cache_control_names_field(&control.private, SLICE("x-a")));
	assert_true(cache_control_names_field(&control.private, SLICE("Set-Cookie")));
	assert_false(cache_control_names_field(&control.private, SLICE("X-AB")));
	assert_false(cache_control_names_field(&control.private, SLICE("X")));
	assert_false(cache_control_names_field(&control.no_cache, SLICE("X-A")));
	guarded_end();
}

static void test_targeted(void **state)
{
	static const struct row rows[] = {
		{"max-age=60", "max-age=60"},
		{"max-age=60, no-store", "max-age=60 no-store"},
		{"max-age=60\ns-maxage=5", "max-age=60 s-maxage=5"},
		{"no-store", "no-store"},
		{"no-store=?1", "no-store"},
		{"no-store;x=1", "no-store"},
		{"max-age=60;x", "max-age=60"},
		{"public, immutable, must-understand", "public immutable must-understand"},
		{"must-revalidate, proxy-revalidate, no-transform, only-if-cached",
		 "must-revalidate proxy-revalidate only-if-cached no-transform"},
		{"stale-while-revalidate=1, stale-if-error=2, min-fresh=3, max-stale=4",
		 "min-fresh=3 max-stale=4 swr=1 sie=2"},
		{"max-stale", "max-stale=any"},
		{"no-cache, private", "no-cache private"},
		{"private=\"a, b\", no-cache=\"c\"", "no-cache:c private:a+b"},
		{"private=\"\"", "private"},
		{"private=\"a b\"", "private"},
		{"private=\"\\\"a\\\"\"", "private"},
		{"max-age=999999999999999", "max-age=2147483648"},
		{"max-age=2147483647", "max-age=2147483647"},
		{"max-age=-1", "max-age=0!"},
		{"min-fresh=-1", "min-fresh=2147483648!"},
		{"foo", ""},
		{"foo=(a b);c", ""},
		/* of another type than the directive takes: ignored, the rest counts */
		{"max-age=\"60\", no-store", "no-store"},
		{"max-age=60.0, public", "public"},
		{"max-age=x", ""},
		{"max-age", ""},
		{"max-age=?0", ""},
		{"max-age=@60", ""},
		{"max-age=(60)", ""},
		{"max-age=:YQ==:", ""},
		{"max-age=%\"60\"", ""},
		{"max-stale=?0", ""},
		{"no-store=?0", ""},
		{"no-store=1", ""},
		{"no-store=\"x\"", ""},
		{"no-store=foo", ""},
		{"private=?0", ""},
		{"private=a", ""},
		{"private=1", ""},
		{"private=(a)", ""},
		{"no-cache=%\"a\"", ""},
		{"public=1", ""},
		/* of several with one key the last one counts */
		{"max-age=0, min-fresh=0", "max-age=0 min-fresh=0"},
		{"max-age=60, max-age=70", "max-age=70"},
		{"max-age=70, max-age=60", "max-age=60"},
		{"max-age=60, max-age=\"x\"", ""},
		{"max-age=-1, max-age=60", "max-age=60"},
		{"no-store, no-store=?0", ""},
		{"no-store=?0\nno-store", "no-store"},
		{"private, private=\"a\"", "private:a"},
		{"private=\"a\", private=\"b\"", "private:b"},
		{"private=\"a\", private", "private"},
		{"private=\"a\", private=?0", ""},
		/* not a dictionary, or an empty one: as if it were not there */
		{"", NULL},
		{"Max-Age=60", NULL},
		{"max-age=60, NO-STORE", NULL},
		{"max-age=60;", NULL},
		{"no-store; max-age=60,", NULL},
		{"max-age=", NULL},
		{"no-store, ext=\"", NULL},
		{"no-store,", NULL},
		{"no-store,,max-age=1", NULL},
		{"max-age =60", NULL},
		{"max-age='60'", NULL},
		{"no-store, @@@", NULL},
		{"max-age=1\n", NULL},
		{"max-age=1000000000000000", NULL},
		{"private=\"a\\b\"", NULL},
	};
	static const char *const names[] = {"CDN-Cache-Control", "Example-Cache-Control"};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) * 2; i++) {
		const struct row *row = &rows[i / 2];
		struct cache_control control;
		char found[TEXT_MAX];
		struct head head;
		bool ok;

		memset(&control, 0xaa, sizeof(control));
		head_init(&head, names[i % 2], row->value, false);
		ok = cache_control_from_sf(&head.fields, slice_str(names[i % 2]), &control);
		describe(&control, found);
		if (ok != !!row->wanted)
			fail_msg("%s: %s", row->value, ok ? "taken" : "ignored");
		if (strcmp(found, row->wanted ? row->wanted : "") != 0)
			fail_msg("%s: %s, not %s", row->value, found, row->wanted);
		guarded_end();
	}
}

static void test_targeted_absent(void **state)
{
	struct cache_control control;
	struct head head;

	(void)state;
	head_init(&head, "Cache-Control", "max-age=60", false);
	assert_false(cache_control_from_sf(&head.fields, SLICE("CDN-Cache-Control"), &control));
	assert_false(cache_control_from_sf(&head.fields, SLICE("Example"), &control));
	assert_int_equal(control.present, 0);
	assert_true(cache_control_from_sf(&head.fields, SLICE("cache-control"), &control));
	guarded_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_directive),
		cmocka_unit_test(test_seconds),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_odd_arguments),
		cmocka_unit_test(test_quoted_directives_do_not_count),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_absent_and_other_fields),
		cmocka_unit_test(test_names_field),
		cmocka_unit_test(test_targeted),
		cmocka_unit_test(test_targeted_absent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
