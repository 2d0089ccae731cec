/* LINKS: proxy/http1 -Wl,--wrap=free */
/* Response heads that were read before: recalled they mean what parsing them anew says. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/http1/parse.h"
#include "proxy/http1/response_memo.h"
#include "tests/support/test_conf.h"

#define DATE "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
#define LATER "Date: Mon, 07 Nov 1994 18:50:01 GMT\r\n"

static struct conf *conf;

/* What was read of a head, with room of its own. */
struct answer {
	enum parse_result result;
	struct parsed parsed;
	struct http_response res;
	struct http_field lines[PARSE_FIELDS_MAX];
	char mended[PARSE_MENDED_MAX];
};

static const void *last_freed;

void __real_free(void *memory);
void __wrap_free(void *memory);

void __wrap_free(void *memory)
{
	last_freed = memory;
	__real_free(memory);
}

static int setup(void **state)
{
	*state = response_memo_new();
	conf = test_conf_new();
	return *state == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	response_memo_free(*state);
	assert_ptr_equal(last_freed, *state);
	test_conf_free(conf);
	return 0;
}

static void parse(struct response_memo *memo, enum http_method method, struct slice bytes,
		  struct answer *answer)
{
	struct parse_progress progress = {0};

	answer->res = (struct http_response){
		.fields = {.at = answer->lines, .capacity = PARSE_FIELDS_MAX}};
	answer->parsed = (struct parsed){.failure = FAILURE_NONE};
	answer->result =
		parse_response(bytes, &(struct response_rules){conf, method, answer->mended, memo},
			       &progress, &answer->res, &answer->parsed);
}

static void assert_same_lines(const struct http_fields *a, const struct http_fields *b)
{
	assert_int_equal(a->count, b->count);
	assert_int_equal(a->present, b->present);
	assert_int_equal(a->repeated, b->repeated);
	for (uint32_t i = 0; i < a->count; i++) {
		assert_true(slice_eq(a->at[i].name, b->at[i].name));
		assert_true(slice_eq(a->at[i].value, b->at[i].value));
		assert_int_equal(a->at[i].id, b->at[i].id);
		assert_int_equal(a->at[i].nominated, b->at[i].nominated);
	}
}

/* The head means the same with the memo and without. */
static void check(struct response_memo *memo, enum http_method method, struct slice bytes)
{
	static struct answer with, without;

	parse(memo, method, bytes, &with);
	parse(NULL, method, bytes, &without);
	assert_int_equal(with.result, without.result);
	if (with.result != PARSE_DONE) {
		assert_int_equal(with.parsed.failure, without.parsed.failure);
		return;
	}
	assert_int_equal(with.parsed.consumed, without.parsed.consumed);
	assert_int_equal(with.res.status, without.res.status);
	assert_int_equal(with.res.version_minor, without.res.version_minor);
	assert_int_equal(with.res.keep_alive, without.res.keep_alive);
	assert_int_equal(with.res.framing_trouble, without.res.framing_trouble);
	assert_int_equal(with.res.mended, without.res.mended);
	assert_int_equal(with.res.body, without.res.body);
	assert_int_equal(with.res.content_length, without.res.content_length);
	assert_int_equal(with.res.fields.capacity, PARSE_FIELDS_MAX);
	assert_same_lines(&with.res.fields, &without.res.fields);
}

static bool is_known(struct response_memo *memo, enum http_method method, const char *head)
{
	static struct http_field lines[PARSE_FIELDS_MAX];
	struct http_response res = {.fields = {.at = lines, .capacity = PARSE_FIELDS_MAX}};

	return response_memo_recall(memo, slice_of(head, strlen(head)), method, &res);
}

static void learn(struct response_memo *memo, enum http_method method, const char *head)
{
	for (unsigned i = 0; i < 2; i++) {
		assert_false(is_known(memo, method, head));
		check(memo, method, slice_of(head, strlen(head)));
	}
	assert_true(is_known(memo, method, head));
}

static const char *const heads[] = {
	"HTTP/1.1 204 No Content\r\n" DATE "Cache-Control: no-store\r\nX-One: 1\r\n\r\n",
	"HTTP/1.1 204 No Content\r\nServer: a\r\nContent-Length: 5\r\n" DATE "\r\n",
	"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nContent-Length: 17 \r\n" DATE
	"Connection: x-one, close\r\nX-One: 1\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\t\r\n" DATE "Vary: a\r\nVary: b\r\n\r\n",
	"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" DATE "\r\n",
	"HTTP/1.1 503 Service Unavailable\r\n" DATE DATE "\r\n",
	"HTTP/1.1 404 Not Found\r\nX-One: 1234567890\r\n\r\n",
	"HTTP/1.1 204 No Content\r\nConnection: date\r\n" DATE "\r\n",
};

/* Each byte exchanged for each other one, after the head was learnt. */
static void test_each_byte_counts(void **state)
{
	static const enum http_method methods[] = {METHOD_GET, METHOD_HEAD};
	char copy[1024];

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		size_t n = strlen(heads[i]);

		for (size_t at = 0; at < n; at++) {
			for (int byte = 0; byte < 256; byte++) {
				struct response_memo *memo = *state;
				enum http_method method = methods[byte % 2];

				/* a change that is read twice would be learnt in its place */
				if (!is_known(memo, method, heads[i])) {
					check(memo, method, slice_of(heads[i], n));
					check(memo, method, slice_of(heads[i], n));
				}
				memcpy(copy, heads[i], n);
				copy[at] = (char)byte;
				check(memo, method, slice_of(copy, n));
			}
		}
	}
}

static void test_another_date_is_the_same_head(void **state)
{
	static const char later[] =
		"HTTP/1.1 204 No Content\r\n" LATER "Cache-Control: no-store\r\nX-One: 1\r\n\r\n";
	static struct answer answer;

	learn(*state, METHOD_GET, heads[0]);
	assert_true(is_known(*state, METHOD_GET, later));
	check(*state, METHOD_GET, slice_of(later, sizeof(later) - 1));
	parse(*state, METHOD_GET, slice_of(later, sizeof(later) - 1), &answer);
	assert_true(slice_eq(http_fields_first(&answer.res.fields, FIELD_DATE)->value,
			     SLICE("Mon, 07 Nov 1994 18:50:01 GMT")));
	assert_true(is_known(*state, METHOD_GET, heads[0]));
}

/* As many lines as can be kept; each stays as it is when another date takes the place of the first. */
static void test_the_most_lines(void **state)
{
	char head[800] = "HTTP/1.1 204 No Content\r\n" DATE, later[800];
	size_t n = strlen(head);

	for (unsigned i = 1; i < 24; i++)
		n += (size_t)snprintf(head + n, sizeof(head) - n, "X-%u: %u\r\n", i, i);
	snprintf(head + n, sizeof(head) - n, "\r\n");
	strcpy(later, head);
	memcpy(strstr(later, "Date"), LATER, strlen(LATER));
	learn(*state, METHOD_GET, head);
	for (unsigned i = 0; i < 3; i++) {
		check(*state, METHOD_GET, slice_str(i % 2 == 0 ? later : head));
		assert_true(is_known(*state, METHOD_GET, later));
	}
}

/* Learnt with two dates, one each time. */
static void test_dates_do_not_keep_a_head_from_being_learnt(void **state)
{
	static const char later[] =
		"HTTP/1.1 404 Not Found\r\nServer: nginx/1.22.1\r\n" LATER "\r\n";
	static const char head[] = "HTTP/1.1 404 Not Found\r\nServer: nginx/1.22.1\r\n" DATE "\r\n";

	check(*state, METHOD_GET, slice_of(head, sizeof(head) - 1));
	assert_false(is_known(*state, METHOD_GET, later));
	check(*state, METHOD_GET, slice_of(later, sizeof(later) - 1));
	assert_true(is_known(*state, METHOD_GET, head));
}

static void test_dates_that_are_not_passed_over(void **state)
{
	static const char *const others[] = {
		"Date: Sun, 06 Nov 1994 08:49:37 GM\n\r\n",
		"Date:  Sun, 06 Nov 1994 08:49:37 GM\r\n",
		"Date: Sun, 06 Nov 1994 08:49:37 GM \r\n",
		"Date: Sun, 06 Nov 1994\r\n 08:49:37 \r\n",
		"Date: Sun, 06 Nov 1994\r\nA: 08:49:3\r\n",
		"Date: Sun, 06 Nov 1994 08:49\r\n\r\n GMT\r\n",
	};
	char head[1024];

	learn(*state, METHOD_GET, heads[0]);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		int n = snprintf(head, sizeof(head),
				 "HTTP/1.1 204 No Content\r\n%sCache-Control: no-store\r\n"
				 "X-One: 1\r\n\r\n",
				 others[i]);

		assert_false(is_known(*state, METHOD_GET, head));
		check(*state, METHOD_GET, slice_of(head, (size_t)n));
	}
}

static void test_the_method_counts(void **state)
{
	learn(*state, METHOD_GET, heads[2]);
	assert_false(is_known(*state, METHOD_HEAD, heads[2]));
	check(*state, METHOD_HEAD, slice_of(heads[2], strlen(heads[2])));
	assert_true(is_known(*state, METHOD_POST, heads[2]) ==
		    is_known(*state, METHOD_GET, heads[2]));
}

static void test_what_was_mended_or_refused_is_not_kept(void **state)
{
	static const char *const bad[] = {
		"HTTP/1.1 204 No Content\r\nServer : nginx/1.22.1\r\n" DATE "\r\n",
		"HTTP/1.1 700 Beyond Them All\r\nServer: nginx/1.22.1\r\n" DATE "\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n" DATE "\r\n",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (unsigned times = 0; times < 3; times++)
			check(*state, METHOD_GET, slice_of(bad[i], strlen(bad[i])));
		assert_false(is_known(*state, METHOD_GET, bad[i]));
	}
}

/* A head of `lines` lines of 20 bytes, `length` bytes of value in the last one. */
static size_t make_head(char *to, unsigned lines, size_t length)
{
	size_t n = (size_t)sprintf(to, "HTTP/1.1 204 No Content\r\n");

	for (unsigned i = 1; i < lines; i++)
		n += (size_t)sprintf(to + n, "X-Line-%02u: 12345678\r\n", i);
	n += (size_t)sprintf(to + n, "X-Last: ");
	memset(to + n, 'x', length);
	n += length;
	n += (size_t)sprintf(to + n, "\r\n\r\n");
	return n;
}

static void test_limits(void **state)
{
	static const struct {
		unsigned lines;
		size_t length;
		bool kept;
	} cases[] = {
		{23, 1, true},  {24, 1, true},  {25, 1, false},
		{1, 986, true}, {1, 987, true}, {1, 988, false},
	};
	static char head[2048];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = make_head(head, cases[i].lines, cases[i].length);

		for (unsigned times = 0; times < 3; times++)
			check(*state, METHOD_GET, slice_of(head, n));
		assert_int_equal(is_known(*state, METHOD_GET, head), cases[i].kept);
	}
}

/* The array of the caller may be shorter than the lines that are known. */
static void test_room_for_lines(void **state)
{
	struct http_field lines[3];
	struct http_response res = {.fields = {.at = lines, .capacity = 2}};

	learn(*state, METHOD_GET, heads[0]);
	assert_false(response_memo_recall(*state, slice_str(heads[0]), METHOD_GET, &res));
	res.fields.capacity = 3;
	assert_true(response_memo_recall(*state, slice_str(heads[0]), METHOD_GET, &res));
	assert_int_equal(res.fields.count, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_byte_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_another_date_is_the_same_head, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_the_most_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dates_do_not_keep_a_head_from_being_learnt,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_dates_that_are_not_passed_over, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_the_method_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_was_mended_or_refused_is_not_kept, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_room_for_lines, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
