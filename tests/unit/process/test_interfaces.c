/* LINKS: proxy/process */
/* The addresses of the machine, as the kernel has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "cache/base/diagnostic.h"
#include "proxy/process/interfaces.h"

static void test_each_has_a_network(void **state)
{
	struct interface_address *interfaces;
	struct diagnostic error = {""};
	size_t count = 0;

	(void)state;
	interfaces = interfaces_read(&count, &error);
	assert_non_null(interfaces);
	assert_string_equal(error.text, "");
	for (size_t i = 0; i < count; i++) {
		const union address *address = &interfaces[i].address;
		bool v4 = address->any.sa_family == AF_INET;

		assert_true(v4 || address->any.sa_family == AF_INET6);
		assert_in_range(interfaces[i].bits, 0, v4 ? 32 : 128);
		if (v4 && address_is_loopback(address))
			assert_in_range(interfaces[i].bits, 8, 32);
	}
	free(interfaces);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_has_a_network),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
