/* LINKS: proxy/process */
/* Which lists of clients make an open proxy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "proxy/process/open_proxy.h"

static void test_rows(void **state)
{
	static const struct {
		const char *first, *second, *found;
	} rows[] = {
		{"127.0.0.0/8", "::1", NULL},
		{"10.0.0.0/8", "192.168.0.0/16", NULL},
		{"fd00::/8", "fc00::/7", NULL},
		{"fe80::/10", "192.0.2.1", NULL},
		{"2001:db8::/32", "8.0.0.0/8", NULL},
		{"0.0.0.0/0", "10.0.0.0/8", "0.0.0.0/0"},
		{"10.0.0.0/8", "::/0", "::/0"},
		{"0.0.0.0/1", "128.0.0.0/1", "0.0.0.0/1"},
		{"127.0.0.1", "128.0.0.0/7", "128.0.0.0/7"},
		{"2000::/3", "::1", "2000::/3"},
		{"2a00::/12", "::1", "2a00::/12"},
		{"::ffff:0:0/96", "::1", "::ffff:0:0/96"},
		{"::/1", "::1", "::/1"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char first[64], second[64], *texts[] = {first, second};
		struct conf_list list = {texts, 2};
		const char *found;

		strcpy(first, rows[i].first);
		strcpy(second, rows[i].second);
		print_message("%s %s\n", first, second);
		found = open_proxy_clients(&list);
		if (rows[i].found == NULL)
			assert_null(found);
		else
			assert_string_equal(found, rows[i].found);
	}
}

static void test_empty(void **state)
{
	struct conf_list none = {NULL, 0};

	(void)state;
	assert_null(open_proxy_clients(&none));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
