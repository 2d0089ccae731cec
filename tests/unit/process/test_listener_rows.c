/* LINKS: proxy/process -Wl,--wrap=gateway_origin */
/* Which addresses of a generation have a row of the statistics, and by which name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/exchange/exchange.h"
#include "proxy/front/gateway.h"
#include "proxy/process/listener_rows.h"

static const struct frontend proxy, gateway, admin = {.is_reserved = true};
static struct listener_address at[2][4];
static struct listener sets[2] = {{.at = at[0]}, {.at = at[1]}};
static struct generation generation = {.sets = sets, .set_count = 2};
static struct listener_names names;

const char *__wrap_gateway_origin(const struct frontend *frontend);

const char *__wrap_gateway_origin(const struct frontend *frontend)
{
	return frontend == &gateway ? "http://origin.test" : NULL;
}

/* A port, or the path of a file. */
static void add(unsigned set, const struct frontend *frontend, const char *address, bool is_tls)
{
	struct listener_address *one = &at[set][sets[set].count++];

	memset(one, 0, sizeof(*one));
	one->frontend = frontend;
	one->is_tls = is_tls;
	if (address[0] == '/') {
		snprintf(one->path, sizeof(one->path), "%s", address);
		return;
	}
	assert_true(address_parse(slice_str("127.0.0.1"), &one->address));
	address_set_port(&one->address, (uint16_t)atoi(address));
}

static void is_row(unsigned row, const char *address, const char *origin)
{
	assert_string_equal(names.at[row].address, address);
	assert_string_equal(names.at[row].origin, origin);
}

static void all_but_operators_have_one_by_name(void **state)
{
	(void)state;
	for (unsigned set = 0; set < 2; set++) {
		add(set, &proxy, "3128", false);
		add(set, &admin, "3129", false);
		add(set, &proxy, "3128", true);
		add(set, &gateway, "/the/socket", false);
	}
	listener_rows_give(&generation, &names);
	assert_int_equal(listener_names_count(&names), 4); /* row 0 is nobody's */
	is_row(1, "127.0.0.1:3128", "");
	is_row(2, "tls:127.0.0.1:3128", "");
	is_row(3, "unix:/the/socket", "http://origin.test");
	for (unsigned set = 0; set < 2; set++) {
		assert_int_equal(at[set][0].row, 1);
		assert_int_equal(at[set][1].row, 0);
		assert_int_equal(at[set][2].row, 2);
		assert_int_equal(at[set][3].row, 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_but_operators_have_one_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
