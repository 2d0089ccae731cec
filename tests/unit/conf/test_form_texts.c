/* LINKS: conf */
/* What the text of an option may be, form by form, at the ends of each; and what a gateway's parts are. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/form_texts.h"

/* Runs of a letter that are as long as a label, a name or a path may be, and one longer. */
#define L9 "aaaaaaaaa"
#define L63 L9 L9 L9 L9 L9 L9 L9
#define P107 "/" L63 L9 L9 L9 L9 "aaaaaaa"
#define LABELS_253 L63 "." L63 "." L63 "." L9 L9 L9 L9 L9 L9 "aaaaaaa"

struct form {
	bool (*is)(const char *text);
	const char *good[12], *bad[16];
};

static const struct form forms[] = {
	{text_is_any, {"", "a b", "\xc3\xa4", "~"}, {"a\tb", "\x7f", "a\n", "\x1f"}},
	{text_is_token, {"a", "Z9", "!#$%&'*+-.^_`|~"}, {"", "a b", "a:", "\xc3\xa4", "a,b"}},
	{text_is_token_or_nothing, {"", "X-Id"}, {"X Id", "a:"}},
	{text_is_log_format,
	 {"json", "squid", "combined", "$status"},
	 {"xml", "$none", "$", "$status\n"}},
	{text_is_path, {"/a", "/a b", P107}, {"", "/", "a", "./a", "/a\tb", P107 "a"}},
	{text_is_listen,
	 {"127.0.0.1:1", "[::1]:65535", "0.0.0.0:0", "unix:/a"},
	 {"unix:a", "unix:", "unix:/", "a:1", "127.0.0.1", "127.0.0.1:65536", "tls:127.0.0.1:1"}},
	{text_is_tls_listen,
	 {"127.0.0.1:1", "tls:127.0.0.1:1", "tls:[::1]:1", "unix:/a"},
	 {"tls:unix:/a", "tls:", "tls:tls:127.0.0.1:1", "a:1"}},
	{text_is_sender, {"unix:", "10.0.0.0/8", "::1"}, {"unix", "unix:/a", "a.test"}},
	{text_is_mode,
	 {"600", "0600", "777", "000", "0000"},
	 {"", "60", "1600", "00600", "0608", "0600 ", "u+x", "07777"}},
	{text_is_resolver,
	 {"192.0.2.1", "192.0.2.1:5353", "::1", "[::1]", "[::1]:53"},
	 {"a.test", "192.0.2.1:0", "192.0.2.1:", "192.0.2", "[::1", "::1]:53", ""}},
	{text_is_network, {"10.0.0.0/8", "10.0.0.1", "fd00::/8"}, {"10.0.0.0/33", "10.0.0", ""}},
	{text_is_port, {"1", "65535", "8000-8999", "*"}, {"0", "65536", "9-8", "a", "", "1-"}},
	{text_is_host,
	 {"a", "a.test", "a-b_c.test", "1a", "1.a", "a.1b", L63, LABELS_253},
	 {"", ".", "a..b", ".a", "a.", "1.2", "a.1", "a b", "a:1", L63 "a", LABELS_253 "a",
	  "\xe4"}},
	{text_is_destination,
	 {"a.test", ".a.test", "10.0.0.0/8", "::1"},
	 {"..a", ".", "", "a.test:80", ".10.0.0.1", "*.a.test"}},
	{text_is_parent,
	 {"", "http://p:1", "HTTP://p.test:65535/", "http://10.0.0.1:1", "http://[::1]:1",
	  "http://u:p@p:1", "http://u:@p:1", "http://u:%40%25@p:1", "http://u:a@b@p:00080"},
	 {"p:1", "https://p:1", "http://p", "http://p:0", "http://p:65536", "http://:1",
	  "http://p:1/a", "http://p:1//", "http://u@p:1", "http://:p@p:1", "http://u:%4@p:1",
	  "http://u:%4g@p:1", "http://u:%0a@p:1", "http://p:000080", "http://10.0.0.1:0"}},
	{text_is_gateway,
	 {"127.0.0.1:1=http://a.test", "127.0.0.1:1=https://a.test:1/", "[::1]:1=HTTPS://a.test",
	  "tls:127.0.0.1:1=http://10.0.0.1", "unix:/a=http://a.test", "unix:/a=b=http://a.test",
	  "127.0.0.1:1=http://a.test@unix:/b", "127.0.0.1:1=http://a.test/@unix:/b",
	  "127.0.0.1:1=http://[::1]", "unix:/a=http://a.test@unix:/b=c"},
	 {"127.0.0.1:1", "=http://a.test", "127.0.0.1:1=", "127.0.0.1:1=a.test",
	  "127.0.0.1:1=ftp://a.test", "127.0.0.1:1=http://", "127.0.0.1:1=http://a.test/b",
	  "127.0.0.1:1=http://a.test//", "127.0.0.1:1=http://a.test:0",
	  "127.0.0.1:1=http://a.test@unix:", "127.0.0.1:1=http://a.test@unix:b",
	  "127.0.0.1:1=http://a.test@unix:/", "a=http://a.test", "127.0.0.1:1=http://u:p@a.test",
	  "127.0.0.1:1=http://a.test@unix:" P107 "a"}},
	{text_is_rule_parent,
	 {"none", "NONE", "direct", "Direct", "http://p:1"},
	 {"", "no", "p:1", "nones"}},
	{text_is_query_name,
	 {"a", "*", "utm_*", "\xc3\xa4", "!", "a.b[c]"},
	 {"", "a*b", "**", "a=", "a&b", "a?", "a#", "a b", "\x7f", "a\t"}},
};

static void each_form_takes_and_refuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		const struct form *form = &forms[i];

		for (size_t n = 0; n < 12 && form->good[n] != NULL; n++)
			if (!form->is(form->good[n]))
				fail_msg("form %zu refuses \"%s\"", i, form->good[n]);
		for (size_t n = 0; n < 16 && form->bad[n] != NULL; n++)
			if (form->is(form->bad[n]))
				fail_msg("form %zu takes \"%s\"", i, form->bad[n]);
	}
}

static void names_of_queries_have_a_limit(void **state)
{
	char name[257];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[255] = '\0';
	assert_true(text_is_query_name(name));
	name[255] = 'a';
	name[256] = '\0';
	assert_false(text_is_query_name(name));
}

static void a_gateway_has_its_parts(void **state)
{
	static const struct {
		const char *text, *listen, *origin, *socket;
	} cases[] = {
		{"127.0.0.1:1=http://a.test", "127.0.0.1:1", "http://a.test", ""},
		{"tls:[::1]:1=https://a.test:1", "tls:[::1]:1", "https://a.test:1", ""},
		{"tls:[::1]:1=https://a.test/", "tls:[::1]:1", "https://a.test", ""},
		{"unix:/a=b=http://a.test", "unix:/a=b", "http://a.test", ""},
		{"unix:/a=HTTP://a.test@unix:/c=d", "unix:/a", "HTTP://a.test", "/c=d"},
		{"127.0.0.1:1=http://a.test/@unix:/b", "127.0.0.1:1", "http://a.test", "/b"},
		{"127.0.0.1:1=http://a.test//", "127.0.0.1:1", "http://a.test//", ""},
		{"a=/", "a", "/", ""},
	};
	struct conf_gateway gateway;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_true(conf_split_gateway(cases[i].text, &gateway));
		assert_string_equal(gateway.listen, cases[i].listen);
		assert_string_equal(gateway.origin, cases[i].origin);
		assert_string_equal(gateway.socket, cases[i].socket);
	}
	assert_false(conf_split_gateway("127.0.0.1:1", &gateway));
	assert_false(conf_split_gateway("=http://a.test", &gateway));
	assert_false(conf_split_gateway("a=", &gateway));
	assert_false(conf_split_gateway("a=http://a.test@unix:", &gateway));
	assert_false(conf_split_gateway("a=http://a.test@unix:" P107 "a", &gateway));
	assert_true(conf_split_gateway("a=http://a.test@unix:" P107, &gateway));
}

static void a_port_is_added_to_a_name_server(void **state)
{
	char to[UNITS_HOST + 9];

	(void)state;
	assert_true(text_add_resolver_port("192.0.2.1", to));
	assert_string_equal(to, "192.0.2.1:53");
	assert_true(text_add_resolver_port("::1", to));
	assert_string_equal(to, "[::1]:53");
	assert_true(text_add_resolver_port("[::1]", to));
	assert_string_equal(to, "[::1]:53");
	assert_false(text_add_resolver_port("192.0.2.1:53", to));
	assert_false(text_add_resolver_port("a.test", to));
}

static void modes_are_octal(void **state)
{
	(void)state;
	assert_int_equal(conf_mode("0640"), 0640);
	assert_int_equal(conf_mode("777"), 0777);
}

static void what_is_shown_is_short_and_without_controls(void **state)
{
	char shown[FORM_SHOWN];

	(void)state;
	assert_string_equal(form_show("", shown), "\"\"");
	assert_string_equal(form_show("a\x01"
				      "b\x7f~",
				      shown),
			    "a?b?~");
	assert_string_equal(form_show(L63 "b", shown), L63 "b");
	assert_string_equal(form_show(L63 "bc", shown), L63 "b...");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_form_takes_and_refuses),
		cmocka_unit_test(names_of_queries_have_a_limit),
		cmocka_unit_test(a_gateway_has_its_parts),
		cmocka_unit_test(a_port_is_added_to_a_name_server),
		cmocka_unit_test(modes_are_octal),
		cmocka_unit_test(what_is_shown_is_short_and_without_controls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
