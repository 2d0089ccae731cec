/* LINKS: proxy/process */
/* Which values of no_proxy keep requests for this machine away from the proxy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proxy/process/no_proxy.h"

static void test_loopback(void **state)
{
	static const struct {
		const char *list, *host;
	} rows[] = {
		{"", ""},
		{" , ,", ""},
		{"example.com,.internal,10.0.0.0/8", ""},
		{"localhost.example.com", ""},
		{"notlocalhost", ""},
		{"127.0.0.1.example.com", ""},
		{"128.0.0.0/8", ""},
		{"2001:db8::/32", ""},
		{"[2001:db8::1]:80", ""},
		{"127.0.0.2", ""},
		{"127.0.0.0/33", ""},
		{":80", ""},
		{"[", ""},
		{"localhost", "localhost"},
		{"a.example,LocalHost", "LocalHost"},
		{".localhost", ".localhost"},
		{"localhost:8080", "localhost"},
		{"127.0.0.1", "127.0.0.1"},
		{"127.0.0.1:8080", "127.0.0.1"},
		{"example.com, 127.0.0.0/8 ,::1", "127.0.0.0/8"},
		{"example.com ::1", "::1"},
		{"[::1]", "::1"},
		{"[::1]:8080", "::1"},
		{"::/0", "::/0"},
		{"0.0.0.0/0", "0.0.0.0/0"},
		{"*", "*"},
		{"example.com\t*", "*"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice host = no_proxy_loopback(rows[i].list);

		print_message("%s\n", rows[i].list);
		assert_int_equal(host.n, strlen(rows[i].host));
		assert_memory_equal(host.p, rows[i].host, host.n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loopback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
