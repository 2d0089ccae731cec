/* LINKS: proxy/page tests/doubles/failing_memory.c -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc -Wl,--wrap=EVP_Digest */
/* The operator's page: what is sent of its files, and a policy with the hashes of just that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "proxy/page/page.h"
#include "tests/doubles/failing_memory.h"

static unsigned digests, failing_digest;

int __real_EVP_Digest(const void *data, size_t count, unsigned char *md, unsigned *size,
		      const EVP_MD *type, ENGINE *engine);
int __wrap_EVP_Digest(const void *data, size_t count, unsigned char *md, unsigned *size,
		      const EVP_MD *type, ENGINE *engine);

int __wrap_EVP_Digest(const void *data, size_t count, unsigned char *md, unsigned *size,
		      const EVP_MD *type, ENGINE *engine)
{
	return ++digests == failing_digest ? 0
					   : __real_EVP_Digest(data, count, md, size, type, engine);
}

/* What is between two tags, of which there is one each. */
static struct slice between(struct slice text, const char *open, const char *close)
{
	const char *begin = memmem(text.p, text.n, open, strlen(open)), *end;

	assert_non_null(begin);
	begin += strlen(open);
	end = memmem(begin, (size_t)(text.p + text.n - begin), close, strlen(close));
	assert_non_null(end);
	return slice_of(begin, (size_t)(end - begin));
}

static void check_hash(const char *policy, const char *directive, struct slice text)
{
	unsigned char bytes[EVP_MAX_MD_SIZE], base64[64];
	char expected[128];
	unsigned n;

	assert_int_equal(EVP_Digest(text.p, text.n, bytes, &n, EVP_sha256(), NULL), 1);
	EVP_EncodeBlock(base64, bytes, (int)n);
	snprintf(expected, sizeof(expected), "%s 'sha256-%s';", directive, (char *)base64);
	assert_non_null(strstr(policy, expected));
}

/* Nothing of a failure is kept: it is made by the next call that can. */
static void test_failures(void **state)
{
	struct slice document = {0};
	const char *policy = NULL;

	(void)state;
	fail_memory(0, false);
	assert_false(page_get(&document, &policy));
	assert_true(fail_memory_never());
	for (failing_digest = 1; failing_digest <= 2; failing_digest++) {
		digests = 0;
		assert_false(page_get(&document, &policy));
	}
	failing_digest = 0;
	assert_null(document.p);
	assert_null(policy);
}

static void test_document(void **state)
{
	struct slice document, again, script;
	const char *policy, *same;

	(void)state;
	assert_true(page_get(&document, &policy));
	assert_true(page_get(&again, &same));
	assert_ptr_equal(document.p, again.p);
	assert_int_equal(document.n, again.n);
	assert_ptr_equal(policy, same);
	assert_memory_equal(document.p, "<!doctype html>\n", 16);
	assert_memory_equal(document.p + document.n - 10, "</script>\n", 10);
	script = between(document, "<script>", "</script>");
	check_hash(policy, "style-src", between(document, "<style>", "</style>"));
	check_hash(policy, "script-src", script);
	assert_memory_equal(script.p, "\"use strict\";\nconst REASONS = new Map([\n", 40);
	assert_null(memmem(document.p, document.n, "\n ", 2));
	assert_null(memmem(document.p, document.n, "\n\n", 2));
	assert_null(memmem(document.p, document.n, "\n/*", 3));
	assert_string_equal(
		strstr(policy, "img-src"),
		"img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
		"frame-ancestors 'none'; require-trusted-types-for 'script'; "
		"trusted-types 'none'");
	assert_memory_equal(policy, "default-src 'none'; script-src 'sha256-", 39);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_document),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
