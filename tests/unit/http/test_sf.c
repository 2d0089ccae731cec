/* LINKS: cache/http */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "cache/http/fields.h"
#include "cache/http/sf.h"
#include "tests/support/guarded.h"

enum { LINES_MAX = 8, TEXT_MAX = 512 };

struct head {
	struct http_field lines[LINES_MAX];
	struct http_fields fields;
};

/* A head with other fields around one of the lines of `value`, which are told apart by '\n'. */
static void head_init(struct head *head, const char *name, const char *value)
{
	memset(head, 0, sizeof(*head));
	head->fields.at = head->lines;
	head->fields.capacity = LINES_MAX;
	assert_true(http_fields_add(&head->fields, SLICE("X-Before"), SLICE("(")));
	for (;;) {
		size_t n = strcspn(value, "\n");

		assert_true(http_fields_add(&head->fields, slice_str(name),
					    guarded(slice_of(value, n))));
		assert_true(http_fields_add(&head->fields, SLICE("X-Else"), SLICE("(")));
		if (!value[n])
			return;
		value += n + 1;
	}
}

static size_t print_item(char *to, const struct sf_item *item)
{
	static const char *const letters[] = {"i", "d", "s", "t", "b", "?", "@", "%", "("};

	return (size_t)snprintf(to, TEXT_MAX, "%s%lld[%.*s]", letters[item->type],
				(long long)item->number, SLICE_ARG(item->text));
}

/* What a dictionary or list holds, as text; "INVALID" when it is. */
static void describe(const struct http_fields *fields, const char *name, bool list, char *to)
{
	struct sf_reader reader = sf_reader_of(fields, slice_str(name));
	enum sf_result result;
	struct sf_item item;
	struct slice key = {"", 0};
	char *start = to;

	*to = 0;
	for (;;) {
		result = list ? sf_next_item(&reader, &item) : sf_next_member(&reader, &key, &item);
		if (result != SF_MEMBER)
			break;
		if (to > start)
			*to++ = ' ';
		if (!list)
			to += sprintf(to, "%.*s=", SLICE_ARG(key));
		to += print_item(to, &item);
	}
	if (result == SF_INVALID)
		strcpy(start, "INVALID");
	/* An end stays the end. */
	assert_int_equal(list ? sf_next_item(&reader, &item) : sf_next_member(&reader, &key, &item),
			 result);
}

struct row {
	const char *value;
	const char *wanted;
};

static void check_rows(const struct row *rows, size_t count, bool list)
{
	static const char *const names[] = {"CDN-Cache-Control", "Example-Cache-Control"};

	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < 2; k++) {
			char found[TEXT_MAX];
			struct head head;

			head_init(&head, names[k], rows[i].value);
			describe(&head.fields, names[k], list, found);
			if (strcmp(found, rows[i].wanted) != 0)
				fail_msg("%s: %s, not %s", rows[i].value, found, rows[i].wanted);
			guarded_end();
		}
	}
}

#define CHECK_ROWS(rows, list) check_rows(rows, sizeof(rows) / sizeof((rows)[0]), list)

static void test_items(void **state)
{
	static const struct row rows[] = {
		/* integers */
		{"0", "i0[]"},
		{"-0", "i0[]"},
		{"42", "i42[]"},
		{"-42", "i-42[]"},
		{"007", "i7[]"},
		{"999999999999999", "i999999999999999[]"},
		{"-999999999999999", "i-999999999999999[]"},
		{"1000000000000000", "INVALID"},
		{"0000000000000001", "INVALID"},
		{"99999999999999999999999999", "INVALID"},
		{"-", "INVALID"},
		{"--1", "INVALID"},
		{"+1", "INVALID"},
		{"- 1", "INVALID"},
		{"1a", "INVALID"},
		{"0x10", "INVALID"},
		/* decimals, in thousandths */
		{"1.5", "d1500[]"},
		{"-1.25", "d-1250[]"},
		{"1.125", "d1125[]"},
		{"1.0", "d1000[]"},
		{"999999999999.999", "d999999999999999[]"},
		{"1.", "INVALID"},
		{".5", "INVALID"},
		{"1.1234", "INVALID"},
		{"1.12345678901234567890", "INVALID"},
		{"1000000000000.1", "INVALID"},
		{"1.2.3", "INVALID"},
		{"1.-2", "INVALID"},
		/* strings */
		{"\"\"", "s0[]"},
		{"\"a b\"", "s0[a b]"},
		{"\" !~\"", "s0[ !~]"},
		{"\"a,b;c=(d)\"", "s0[a,b;c=(d)]"},
		{"\"\\\"\\\\\"", "s0[\\\"\\\\]"},
		{"\"", "INVALID"},
		{"\"a", "INVALID"},
		{"\"a\\\"", "INVALID"},
		{"\"a\\", "INVALID"},
		{"\"\\a\"", "INVALID"},
		{"\"a\tb\"", "INVALID"},
		{"\"\x7f\"", "INVALID"},
		{"\"\xc3\xa9\"", "INVALID"},
		{"\"a\"b", "INVALID"},
		{"'a'", "INVALID"},
		{"\"a\" \"b\"", "INVALID"},
		/* tokens */
		{"a", "t0[a]"},
		{"*", "t0[*]"},
		{"A/b:c", "t0[A/b:c]"},
		{"foo123", "t0[foo123]"},
		{"a!#$%&'*+-.^_`|~", "t0[a!#$%&'*+-.^_`|~]"},
		{"a=b", "INVALID"},
		{"a@b", "INVALID"},
		{"_a", "INVALID"},
		{"!", "INVALID"},
		{"a\x80", "INVALID"},
		/* byte sequences */
		{"::", "b0[]"},
		{":aGVsbG8=:", "b0[aGVsbG8=]"},
		{":aGVsbG8:", "b0[aGVsbG8]"},
		{":aGk=:", "b0[aGk=]"},
		{":YQ==:", "b0[YQ==]"},
		{":+/AZaz09:", "b0[+/AZaz09]"},
		{":", "INVALID"},
		{":aGk=", "INVALID"},
		{":a:", "INVALID"},
		{":aGk==:", "INVALID"},
		{":YQ=:", "INVALID"},
		{":=:", "INVALID"},
		{":Y=Q=:", "INVALID"},
		{":a b:", "INVALID"},
		{":-_==:", "INVALID"},
		{":YQ===:", "INVALID"},
		{":YWJj====:", "INVALID"},
		{":YWJj=:", "INVALID"},
		/* booleans */
		{"?1", "?1[]"},
		{"?0", "?0[]"},
		{"?", "INVALID"},
		{"?2", "INVALID"},
		{"?T", "INVALID"},
		{"?11", "INVALID"},
		{"?1.0", "INVALID"},
		/* dates */
		{"@0", "@0[]"},
		{"@1659578233", "@1659578233[]"},
		{"@-1", "@-1[]"},
		{"@", "INVALID"},
		{"@1.5", "INVALID"},
		{"@x", "INVALID"},
		{"@1000000000000000", "INVALID"},
		/* display strings */
		{"%\"\"", "%0[]"},
		{"%\" !~\"", "%0[ !~]"},
		{"%\"%ef%bf%bf%df%bf%c2%80\"", "%0[%ef%bf%bf%df%bf%c2%80]"},
		{"%\"%f1%80%80%80%f3%bf%bf%bf\"", "%0[%f1%80%80%80%f3%bf%bf%bf]"},
		{"%\"%e1%80%80%ec%bf%bf%ee%bf%bf\"", "%0[%e1%80%80%ec%bf%bf%ee%bf%bf]"},
		{"%\"%09\"", "%0[%09]"},
		{"%\"This is %c3%a9\"", "%0[This is %c3%a9]"},
		{"%\"%f0%9f%98%80\"", "%0[%f0%9f%98%80]"},
		{"%\"%22%25\"", "%0[%22%25]"},
		{"%\"%00\"", "%0[%00]"},
		{"%\"%ed%9f%bf%ee%80%80\"", "%0[%ed%9f%bf%ee%80%80]"},
		{"%\"%f4%8f%bf%bf\"", "%0[%f4%8f%bf%bf]"},
		{"%\"%e0%a0%80\"", "%0[%e0%a0%80]"},
		{"%", "INVALID"},
		{"%a", "INVALID"},
		{"%\"", "INVALID"},
		{"%\"a", "INVALID"},
		{"%\"%", "INVALID"},
		{"%\"%\"", "INVALID"},
		{"%\"%c\"", "INVALID"},
		{"%\"%C3%A9\"", "INVALID"},
		/* a byte between the two of one character */
		{"%\"%c3A%a9\"", "INVALID"},
		{"%\"%e2%82A%ac\"", "INVALID"},
		{"%\"%zz\"", "INVALID"},
		{"%\"\xc3\xa9\"", "INVALID"},
		{"%\"%c3\"", "INVALID"},
		{"%\"%c3x\"", "INVALID"},
		{"%\"%a9\"", "INVALID"},
		{"%\"%c0%80\"", "INVALID"},
		{"%\"%c1%bf\"", "INVALID"},
		{"%\"%e0%9f%bf\"", "INVALID"},
		{"%\"%ed%a0%80\"", "INVALID"},
		{"%\"%f0%8f%bf%bf\"", "INVALID"},
		{"%\"%f4%90%80%80\"", "INVALID"},
		{"%\"%f5%80%80%80\"", "INVALID"},
		{"%\"%ff\"", "INVALID"},
		{"%\"%ff", "INVALID"},
		{"%\"\x01", "INVALID"},
		{"%\"%c3x", "INVALID"},
		{"\"\x01", "INVALID"},
		{"\"\\a", "INVALID"},
		{"%\"%f0%9f%98\"", "INVALID"},
		{"%\"a\tb\"", "INVALID"},
		/* nothing of the sort */
		{"=", "INVALID"},
		{"#", "INVALID"},
		{"{}", "INVALID"},
		{"\x80", "INVALID"},
	};

	(void)state;
	CHECK_ROWS(rows, true);
}

static void test_lists(void **state)
{
	static const struct row rows[] = {
		{"", ""},
		{"  ", ""},
		{"  a", "t0[a]"},
		{"a\n  b", "t0[a] t0[b]"},
		{"\ta", "INVALID"},
		{"a\n\tb", "INVALID"},
		{"a, b", "t0[a] t0[b]"},
		{"a,b", "t0[a] t0[b]"},
		{"a \t,\t b", "t0[a] t0[b]"},
		{"\"a\", \"b\"", "s0[a] s0[b]"},
		{"a\nb", "t0[a] t0[b]"},
		{"a, b\nc", "t0[a] t0[b] t0[c]"},
		{"a,", "INVALID"},
		{",a", "INVALID"},
		{",", "INVALID"},
		{"a,,b", "INVALID"},
		{"a, ,b", "INVALID"},
		{"a b", "INVALID"},
		{"a;", "INVALID"},
		{"a, b,", "INVALID"},
		/* an empty line among others leaves a comma with nothing beside it */
		{"a\n", "INVALID"},
		{"\na", "INVALID"},
		{"\n", "INVALID"},
		{"a\n\nb", "INVALID"},
		{"a,\nb", "INVALID"},
		{"a\n,b", "INVALID"},
		/* nothing but the list goes on in the next line */
		{"\"a\nb\"", "INVALID"},
		{"(a\nb)", "INVALID"},
		{"a;\nb", "INVALID"},
		/* parameters */
		{"a;b", "t0[a]"},
		{"a;b=1;c=\"x,y\", d", "t0[a] t0[d]"},
		{"a; b=?0;  c", "t0[a]"},
		{"a;*=1;_=1", "INVALID"},
		{"a;b_-.*9=:YQ==:", "t0[a]"},
		{"a;b;b=2", "t0[a]"},
		{"a ;b", "INVALID"},
		{"a;b =1", "INVALID"},
		{"a;b= 1", "INVALID"},
		{"a;B", "INVALID"},
		{"a;1", "INVALID"},
		{"a;\tb", "INVALID"},
		{"a;b=", "INVALID"},
		{"a;b=(c)", "INVALID"},
		{"a;;b", "INVALID"},
		{"a;b=\"", "INVALID"},
		/* inner lists */
		{"()", "(0[]"},
		{"(  )", "(0[  ]"},
		{"(a)", "(0[a]"},
		{"(a b)", "(0[a b]"},
		{"( a  \"b)\" 1.5 )", "(0[ a  \"b)\" 1.5 ]"},
		{"(a;x b;y=1);z, (c)", "(0[a;x b;y=1] (0[c]"},
		{"(a);q=1, b", "(0[a] t0[b]"},
		{"(", "INVALID"},
		{")", "INVALID"},
		{"(a", "INVALID"},
		{"(a b", "INVALID"},
		{"(a,b)", "INVALID"},
		{"(a\tb)", "INVALID"},
		{"((a))", "INVALID"},
		{"(a(b))", "INVALID"},
		{"(a)b", "INVALID"},
		{"(\"a\"\"b\")", "INVALID"},
		{"(a;)", "INVALID"},
		{"(a=b)", "INVALID"},
	};

	(void)state;
	CHECK_ROWS(rows, true);
}

static void test_dictionaries(void **state)
{
	static const struct row rows[] = {
		{"", ""},
		{"a", "a=?1[]"},
		{"max-age=60, no-store", "max-age=i60[] no-store=?1[]"},
		{"a=1,b=2\nc=3", "a=i1[] b=i2[] c=i3[]"},
		{"a=1, a=2", "a=i1[] a=i2[]"},
		{"a;x=1, b;y", "a=?1[] b=?1[]"},
		{"a=?0, b=?1;x", "a=?0[] b=?1[]"},
		{"*a.b_c-9=x", "*a.b_c-9=t0[x]"},
		{"a=(1 2), b=()", "a=(0[1 2] b=(0[]"},
		{"a=\"x\\\"y\", b=:YQ==:, c=@1, d=%\"z\", e=1.5",
		 "a=s0[x\\\"y] b=b0[YQ==] c=@1[] d=%0[z] e=d1500[]"},
		{"a=1 , b", "a=i1[] b=?1[]"},
		{"a=1 ,\tb", "a=i1[] b=?1[]"},
		{"A", "INVALID"},
		{"Max-Age=60", "INVALID"},
		{"max-Age=60", "INVALID"},
		{"1=a", "INVALID"},
		{"=a", "INVALID"},
		{"a=", "INVALID"},
		{"a =1", "INVALID"},
		{"a= 1", "INVALID"},
		{"a=1;", "INVALID"},
		{"a=1,", "INVALID"},
		{",a=1", "INVALID"},
		{"a=1,,b", "INVALID"},
		{"a=1; b=2, C", "INVALID"},
		{"a=1 b=2", "INVALID"},
		{"a=1;b=2;C", "INVALID"},
		{"\"a\"=1", "INVALID"},
		{"a=@@@", "INVALID"},
		{"max-age=60;;", "INVALID"},
		{"a=1\n", "INVALID"},
		{"a=\n1", "INVALID"},
		{"a b", "INVALID"},
		{"a=1, b=\"", "INVALID"},
		{"a=(1", "INVALID"},
		{"private=x@y", "INVALID"},
	};

	(void)state;
	CHECK_ROWS(rows, false);
}

static void test_absent_field(void **state)
{
	struct head head;
	char found[TEXT_MAX];

	(void)state;
	head_init(&head, "Vary", "a");
	describe(&head.fields, "Cache-Groups", true, found);
	assert_string_equal(found, "");
	describe(&head.fields, "X-Absent", false, found);
	assert_string_equal(found, "");
	guarded_end();
}

static void test_name_in_any_case(void **state)
{
	struct head head;
	char found[TEXT_MAX];

	(void)state;
	head_init(&head, "example-CACHE-control", "a\nb");
	describe(&head.fields, "Example-Cache-Control", true, found);
	assert_string_equal(found, "t0[a] t0[b]");
	guarded_end();
}

static void test_strings(void **state)
{
	static const struct {
		const char *value;
		bool valid;
		size_t count;
	} rows[] = {
		{"", true, 0},
		{"\"a\"", true, 1},
		{"\"a\", \"B\";x=1, \"c d\"", true, 3},
		{"\"a\"\n\"b\"", true, 2},
		{"\"a\", \"b\", \"c\", \"d\", \"e\"", true, 5},
		{"a", false, 0},
		{"\"a\", b", false, 0},
		{"\"a\", (\"b\")", false, 0},
		{"\"a\", 1", false, 0},
		{"\"a\" \"b\"", false, 0},
		{"\"a\",", false, 0},
		{"\"a\", \"b", false, 0},
		{"\"a\", %\"b\"", false, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice found[3] = {{NULL, 0}, {NULL, 0}, SLICE("untouched")};
		size_t count = 99;
		struct head head;

		head_init(&head, "Cache-Groups", rows[i].value);
		assert_int_equal(
			sf_read_strings(&head.fields, SLICE("Cache-Groups"), found, 2, &count),
			rows[i].valid);
		assert_int_equal(count, rows[i].count);
		if (count >= 2) {
			assert_true(slice_eq(found[0], SLICE("a")));
			assert_true(slice_ieq(found[1], SLICE("b")));
		}
		assert_true(slice_eq(found[2], SLICE("untouched")));
		guarded_end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_items),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_dictionaries),
		cmocka_unit_test(test_absent_field),
		cmocka_unit_test(test_name_in_any_case),
		cmocka_unit_test(test_strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
