/* LINKS: conf */
/* Configuration as an operator gives it: what is taken, and what is said, where, to what is not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/base/diagnostic.h"
#include "conf/conf.h"
#include "conf/source.h"
#include "tests/support/test_conf.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))
#define EXAMPLE "conf/cache204.conf.example"
#define MANUAL "conf/cache204.conf.5"

/* Loads `text` as a file (NULL for none); what was said replaces *ret_errors, FILE for the name. */
static struct conf *load_bytes(const char *text, size_t length, char *const *settings, size_t count,
			       char **ret_errors)
{
	char path[] = "/tmp/test_conf.XXXXXX";
	size_t size;
	FILE *errors;
	struct conf *conf;
	int fd = -1;

	free(*ret_errors);
	errors = open_memstream(ret_errors, &size);
	if (text != NULL) {
		fd = mkstemp(path);
		assert_int_equal(write(fd, text, length), length);
		close(fd);
	}
	conf = conf_load(text ? path : NULL, settings, count, errors);
	fclose(errors);
	if (text != NULL)
		unlink(path);
	for (char *at = *ret_errors; (at = strstr(at, path));) {
		memcpy(at, "FILE", 4);
		memmove(at + 4, at + strlen(path), strlen(at + strlen(path)) + 1);
	}
	return conf;
}

static struct conf *load(const char *text, char *const *settings, size_t count, char **ret_errors)
{
	return load_bytes(text, text ? strlen(text) : 0, settings, count, ret_errors);
}

static void test_defaults(void **state)
{
	struct conf *conf = conf_defaults();

	(void)state;
	assert_int_equal(conf->listen.count, 1);
	assert_string_equal(conf->listen.at[0], "127.0.0.1:3128");
	assert_int_equal(conf->workers, 1);
	assert_int_equal(conf->store_size, 256 << 20);
	assert_int_equal(conf->store_interval_ms, 10);
	assert_true(conf->store_set_cookie);
	assert_false(conf->preflight_cache);
	assert_string_equal(conf_choice_word(conf->conditional_hit), "304");
	assert_int_equal(conf->deny.count, 0);
	assert_string_equal(conf->connect_ports.at[0], "443");
	assert_string_equal(conf->parent, "");
	conf_free(conf);
	conf_free(NULL);
}

/* Texts that are taken, and a line of the dump that shows how. */
static void test_good_files(void **state)
{
	static const struct {
		const char *text, *shown;
	} cases[] = {
		{"", "workers = 1\n"},
		{"workers = 4", "workers = 4\n"},
		{"workers=4 store_size=1GiB", "store_size = 1GiB\n"},
		{"workers = 4\r\nstore_size = \"2 GiB\"\r\n", "store_size = 2GiB\n"},
		{"workers\t=\t4\r\n\tstore = /a\t# b\r\n", "store = \"/a\"\n"},
		{"# workers = 2\rworkers = 3\r# workers = 4\r", "workers = 3\n"},
		{"\xef\xbb\xbfworkers = 3", "workers = 3\n"},
		{"workers = 3\n\xef\xbb\xbf# joined\n\xef\xbb\xbfstore = /a", "store = \"/a\"\n"},
		{"store = '/a \"b\" $c\\\\d'", "store = '/a \"b\" $c\\\\d'\n"},
		{"store = \"/a 'b'\"", "store = \"/a 'b'\"\n"},
		{"store = /var/cache/x", "store = \"/var/cache/x\"\n"},
		{"max_ttl = 90s", "max_ttl = 90s\n"},
		{"max_ttl = 0", "max_ttl = 0\n"},
		{"preflight_cache = Yes", "preflight_cache = on\n"},
		{"conditional_hit = 204", "conditional_hit = \"204\"\n"},
		{"listen = {\"127.0.0.1:1\", \"[::1]:2\"}",
		 "listen = {\"127.0.0.1:1\", \"[::1]:2\"}\n"},
		{"listen = 127.0.0.1:9", "listen = {\"127.0.0.1:9\"}\n"},
		{"listen += 127.0.0.1:9", "listen = {\"127.0.0.1:3128\", \"127.0.0.1:9\"}\n"},
		{"admin = {}", "admin = {}\n"},
		{"admin = { }\nadmin += {\"127.0.0.1:9\"}", "admin = {\"127.0.0.1:9\"}\n"},
		{"connect_ports = {443, \"*\"}", "connect_ports = {\"443\", \"*\"}\n"},
		{"deny = {10.0.0.0/8,}", "deny = {\"10.0.0.0/8\"}\n"},
		{"deny = .a\ndeny += .b\ndeny += {.c, .d}",
		 "deny = {\".a\", \".b\", \".c\", \".d\"}\n"},
		{"deny = {.a, .a}", "deny = {\".a\", \".a\"}\n"},
		{"deny =\n{\n.a\n,\n.b }\n", "deny = {\".a\", \".b\"}\n"},
		{"store = /a;b", "store = \"/a;b\"\n"},
		{"store = '/a#b;'# c", "store = \"/a#b;\"\n"},
		{"resolvers = 8.8.8.8", "resolvers = {\"8.8.8.8:53\"}\n"},
		{"resolvers = {::1, \"[::1]\", \"[::1]:54\", 9.9.9.9:5353}",
		 "resolvers = {\"[::1]:53\", \"[::1]:53\", \"[::1]:54\", \"9.9.9.9:5353\"}\n"},
		{"connect_ports = {443, 8000-8999, 9-9}",
		 "connect_ports = {\"443\", \"8000-8999\", \"9-9\"}\n"},
		{"gateway = '127.0.0.1:1=http://a/'", "gateway = {\"127.0.0.1:1=http://a\"}\n"},
		{"parent = http://proxy:8080/", "parent = \"http://proxy:8080\"\n"},
		{"admin_hosts = {prometheus, proxy.example.com}",
		 "admin_hosts = {\"prometheus\", \"proxy.example.com\"}\n"},
		{"listen = 0.0.0.0:3128\nadmin = \"[::]:3128\"", "admin = {\"[::]:3128\"}\n"},
		{"deny = {\"10.0.0.0/8\", # private\n/* a\n */ \".test\" // all\n}",
		 "deny = {\"10.0.0.0/8\", \".test\"}\n"},
		{"# workers = 2\n//workers = 2\n/* workers = 2 */ workers = 3 # 4",
		 "workers = 3\n"},
		{"parent = http://u:p@proxy:8080", "parent = \"http://u:p@proxy:8080\"\n"},
		{"parent = 'http://u:${x}@proxy:8080'", "parent = 'http://u:${x}@proxy:8080'\n"},
		{"gateway = {\"127.0.0.1:1=http://a:1\", \"[::1]:1=https://b\"}",
		 "gateway = {\"127.0.0.1:1=http://a:1\", \"[::1]:1=https://b\"}\n"},
	};
	char *errors = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct conf *conf = load(cases[i].text, NULL, 0, &errors);
		char *shown;

		if (conf == NULL)
			fail_msg("%s: %s", cases[i].text, errors);
		assert_string_equal(errors, "");
		shown = test_conf_dump(conf);
		if (!strstr(shown, cases[i].shown))
			fail_msg("%s: not %s", cases[i].text, cases[i].shown);
		free(shown);
		conf_free(conf);
	}
	free(errors);
}

/* Texts that are refused, and all that is said. */
static void test_bad_files(void **state)
{
	static const struct {
		const char *text, *errors;
	} cases[] = {
		{"store_size = \"12 XB\"",
		 "FILE:1: store_size: 12 XB is not a size; use B, KiB, MiB or GiB\n"},
		{"\n\nstore_size = 1KiB\n",
		 "FILE:3: store_size: 1KiB is out of bounds; use 1MiB to 1024GiB\n"},
		{"# one\n/* two\n three */\nworkers = 65 # four",
		 "FILE:4: workers: 65 is out of bounds; use 1 to 64\n"},
		{"workers = 99999999999999999999",
		 "FILE:1: workers: 99999999999999999999 is out of bounds; use 1 to 64\n"},
		{"deny = {.a, /* \n\n */ .b}\nworkers = 999",
		 "FILE:4: workers: 999 is out of bounds; use 1 to 64\n"},
		{"store = \"/a\nb\"\nworkers = 999",
		 "FILE:2: store: /a?b is not a text; use letters, digits and signs, no control "
		 "characters\nFILE:3: workers: 999 is out of bounds; use 1 to 64\n"},
		{"rule a { match = 'a.example\n' }\nworkers = 999",
		 "FILE:1: match: a.example? is not a pattern; use example.com, .example.com, "
		 "http://example.com/path* or */path*\n"
		 "FILE:3: workers: 999 is out of bounds; use 1 to 64\n"},
		{"workers = 1\r\nworkers = 999\r\n",
		 "FILE:2: workers: set in line 1 already; remove one of the two\n"},
		{"# a\r\r\nworkers = 999\n",
		 "FILE:3: workers: 999 is out of bounds; use 1 to 64\n"},
		{"gateway = \"127.0.0.1:1=http://a@unix:x\"",
		 "FILE:1: gateway: unix:x has no absolute path; use unix:/path\n"},
		{"gateway = \"127.0.0.1:1=http://a@unix:@x\"",
		 "FILE:1: gateway: unix:@x is an abstract name, which every process of the machine "
		 "may use; use a path, whose file has permissions\n"},
		{"parent = \"http://u:@proxy\"",
		 "FILE:1: parent: ...@proxy has no port; use http://host:port\n"},
		{"rule \"\" { deny = {.a, .b}\n }\nworkers = 999",
		 "FILE:1: rule: its name has 1 to 64 bytes\n"
		 "FILE:3: workers: 999 is out of bounds; use 1 to 64\n"},
		{"rule a ttl = 1h x = { y }\nworkers = 999",
		 "FILE:1: rule: no { behind its name\nFILE:1: }: a } without its {\n"
		 "FILE:2: workers: 999 is out of bounds; use 1 to 64\n"},
		{"rule a ttl = 1h\nworkers = 999",
		 "FILE:1: rule: no { behind its name\n"
		 "FILE:2: workers: 999 is out of bounds; use 1 to 64\n"},
		{"rule \"a$\" { match = { a, b } ttl = {1h} }\nrule b { match = c workers = 1 }\n"
		 "workers = 999",
		 "FILE:1: rule: its name has a control character, quote, backslash or $ in it\n"
		 "FILE:2: workers: no option of rules; it stands outside of them, for all "
		 "requests\n"
		 "FILE:3: workers: 999 is out of bounds; use 1 to 64\n"},
		{"workers = many", "FILE:1: workers: many is not a number; use digits\n"},
		{"workers = \"\"", "FILE:1: workers: \"\" is not a number; use digits\n"},
		{"max_ttl = 60", "FILE:1: max_ttl: 60 is not a duration; use ms, s, m, h or d\n"},
		{"preflight_cache = 1",
		 "FILE:1: preflight_cache: 1 is not a switch; use on or off\n"},
		{"conditional_hit = 200",
		 "FILE:1: conditional_hit: 200 is not a choice; use one of 304|204\n"},
		{"conditional_hit = 30",
		 "FILE:1: conditional_hit: 30 is not a choice; use one of 304|204\n"},
		{"listen = {\n  \"127.0.0.1:1\",\n  \"3128\"\n}",
		 "FILE:3: listen: 3128 has no address; use 127.0.0.1:3128 for this machine alone, "
		 "0.0.0.0:3128 and [::]:3128 for all\n"},
		{"connect_ports = {443, 70000}",
		 "FILE:1: connect_ports: 70000 is not a port; use 1 to 65535, a range as "
		 "8000-8999, or * for all\n"},
		{"clients = 10.0.0.0/33", "FILE:1: clients: 10.0.0.0/33 is not a network; use "
					  "10.0.0.0/8, fd00::/8 or 192.0.2.1\n"},
		{"clients = 10.0.0.1/8",
		 "FILE:1: clients: 10.0.0.1/8 has bits beyond its length; use 10.0.0.0/8\n"},
		{"store = \"a\\nb\"", "FILE:1: store: a?b is not a text; use letters, digits and "
				      "signs, no control characters\n"},
		{"workers = 0\n\nmax_ttl = x\nworkers = 3",
		 "FILE:1: workers: 0 is out of bounds; use 1 to 64\n"
		 "FILE:3: max_ttl: x is not a duration; use ms, s, m, h or d\n"
		 "FILE:4: workers: set in line 1 already; remove one of the two\n"},
		{"\nstore_sise = 1GiB",
		 "FILE:2: store_sise: no such option; did you mean store_size?\n"},
		{"xyzzy = 1", "FILE:1: xyzzy: no such option; --help lists them\n"},
		{"store_size = 1 GiB", "FILE:1: store_size: more than one value; a value with a "
				       "space in it needs quotes\n"},
		{"workers 4", "FILE:1: workers: no = between name and value; use workers = ...\n"},
		{"workers =", "FILE:1: workers: no value\n"},
		{"workers = {4}", "FILE:1: workers: no list; braces are for lists\n"},
		{"workers += 4", "FILE:1: workers: += is for lists; use =\n"},
		{"listen = {\"127.0.0.1:1\"", "FILE:1: listen: a { without its }\n"},
		{"}", "FILE:1: }: a } without its {\n"},
		{"\nstore = \"/a\n\n", "FILE:2: a string does not end\n"},
		{"\n\nstore = '/a\\'", "FILE:3: a string does not end\n"},
		{"/* */\n/* *", "FILE:2: a comment does not end\n"},
		{"\"=\" = 1", "FILE:1: \"=\": a name stands without quotes; use name = value\n"},
		{"workers = 4\"=\" = 1",
		 "FILE:1: workers: more than one value; a value with a space in it needs quotes\n"},
		{"connect_ports = {443, *}",
		 "FILE:1: connect_ports: * needs quotes, for the * in it\n"},
		{"store = \"${HOME}\"",
		 "FILE:1: store: ${ needs single quotes; no variables are put in\n"},
		{"store = ${HOME}",
		 "FILE:1: store: ${ needs single quotes; no variables are put in\n"},
		{"workers = 1\nlisten = {}", "FILE:2: listen: give at least one address\n"},
		{"\nuser = \" listen = \"\n\nlisten\n=\n{ }\ndeny = listen",
		 "FILE:4: listen: give at least one address\n"},
		{"\nadmin = 127.0.0.1:3128",
		 "FILE:2: admin: 127.0.0.1:3128 is listened on twice\n"},
		{"\ngateway = \"127.0.0.1:3128=http://x\"",
		 "FILE:2: gateway: 127.0.0.1:3128 is listened on twice\n"},
		{"gateway = 127.0.0.1:1", "FILE:1: gateway: 127.0.0.1:1 is not a gateway; use "
					  "127.0.0.1:3130=http://host:port\n"},
		{"parent = http://u:secret@proxy",
		 "FILE:1: parent: ...@proxy has no port; use http://host:port\n"},
		{"listen = {\"[::1]:1\", \"[0::1]:1\"}",
		 "FILE:1: listen: [0::1]:1 is listened on twice\n"},
		{"head_size = 4KiB",
		 "FILE:1: head_size: a head_size of 4KiB cannot hold a uri_length of 8KiB\n"},
		{"uri_length = 16KiB\n\nhead_size = 8KiB",
		 "FILE:3: head_size: a head_size of 8KiB cannot hold a uri_length of 16KiB\n"},
	};
	char *errors = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct conf *conf = load(cases[i].text, NULL, 0, &errors);

		if (conf)
			fail_msg("%s: taken", cases[i].text);
		assert_string_equal(errors, cases[i].errors);
	}
	free(errors);
}

/* What nobody means that way, and what other programs would take: refused with the right word. */
static void test_traps_in_files(void **state)
{
	static const struct {
		const char *text, *errors;
	} cases[] = {
		{"xx = 1\n"
		 "yy = {2, 3}\n"
		 "zz { a = 1 }\n"
		 "workers = 999\n",
		 "FILE:1: xx: no such option; --help lists them\n"
		 "FILE:2: yy: no such option; --help lists them\n"
		 "FILE:3: zz: no such option, and there are no sections; use name = value\n"
		 "FILE:4: workers: 999 is out of bounds; use 1 to 64\n"},
		{"workers: 4",
		 "FILE:1: workers: no = between name and value, but a colon; use workers = ...\n"},
		{"workers:4",
		 "FILE:1: workers: no = between name and value, but a colon; use workers = ...\n"},
		{"workers := 4",
		 "FILE:1: workers: no = between name and value, but a colon; use workers = ...\n"},
		{"gateway: \"127.0.0.1:1=http://a\"",
		 "FILE:1: gateway: no = between name and value, but a colon; use gateway = ...\n"},
		{"worker: 4", "FILE:1: worker:: no such option; did you mean workers?\n"},
		{"workers == 4", "FILE:1: workers: one = is enough\n"},
		{"workers 4;", "FILE:1: workers: no = between name and value; use workers = ...\n"},
		{"listen {127.0.0.1:1}",
		 "FILE:1: listen: no = between name and value; use listen = ...\n"},
		{"[workers]\n"
		 "workers = 4",
		 "FILE:1: [workers]: there are no sections; use name = value\n"},
		{"{\"workers\": 4,\n"
		 "\"store\": \"/a\"}",
		 "FILE:1: {: no name stands before it; use name = value\n"
		 "FILE:2: \"store\": a name stands without quotes; use name = value\n"},
		{"Workers = 4", "FILE:1: Workers: no such option; did you mean workers?\n"},
		{"store-size = 1GiB",
		 "FILE:1: store-size: no such option; did you mean store_size?\n"},
		{"workers\xc2\xa0= 4", "FILE:1: workers\xc2\xa0: no such option; the name has a "
				       "no-break space (U+00A0) in it\n"},
		{"set workers = 4", "FILE:1: set: no such option; --help lists them\n"},
		{"= 4", "FILE:1: =: no name stands before it; use name = value\n"},
		{", 4", "FILE:1: ,: no name stands before it; use name = value\n"},
		{"workers", "FILE:1: workers: no value\n"},
		{"include(\"/a\")", "FILE:1: include(: no such option; --help lists them\n"},
		{"listen = 127.0.0.1:1\n"
		 "\n"
		 "listen = 127.0.0.1:2\n",
		 "FILE:3: listen: set in line 1 already; use += to add to that, or one list for "
		 "both\n"},
		{"deny += .a\n"
		 "deny = .b",
		 "FILE:2: deny: set in line 1 already; use += to add to that, or one list for "
		 "both\n"},
		{"workers = 2\n"
		 "workers = 3\n"
		 "workers = 3",
		 "FILE:2: workers: set in line 1 already; remove one of the two\n"
		 "FILE:3: workers: set in line 1 already; remove one of the two\n"},
		{"store =\n"
		 "workers = 4\n",
		 "FILE:1: store: no value; use \"\" for an empty text\n"},
		{"deny =\n"
		 "\n"
		 "store = /a",
		 "FILE:1: deny: no value; use {} for an empty list\n"},
		{"workers = ", "FILE:1: workers: no value\n"},
		{"workers = 4;", "FILE:1: workers: no ; belongs at the end of a line\n"},
		{"store = /a;", "FILE:1: store: no ; belongs at the end of a line\n"},
		{"store = /a ;", "FILE:1: store: no ; belongs at the end of a line\n"},
		{"deny = {.a};", "FILE:1: ;: no ; belongs at the end of a line\n"},
		{"store = /a\\\n"
		 "b",
		 "FILE:1: store: no line goes on in the next one by a backslash; a value with one "
		 "at its end needs quotes\n"
		 "FILE:2: b: no such option; --help lists them\n"},
		{"store = /a b",
		 "FILE:1: store: more than one value; a value with a space in it needs quotes\n"},
		{"max_ttl = 5 s",
		 "FILE:1: max_ttl: more than one value; a value with a space in it needs quotes\n"},
		{"listen = 127.0.0.1:1, 127.0.0.1:2", "FILE:1: listen: more than one value; a list "
						      "stands in braces, with commas: {a, b}\n"},
		{"listen = 127.0.0.1:1 127.0.0.1:2", "FILE:1: listen: more than one value; a list "
						     "stands in braces, with commas: {a, b}\n"},
		{"listen = [\"127.0.0.1:1\"]", "FILE:1: listen: a list stands in braces: {a, b}\n"},
		{"listen = [ 127.0.0.1:1 ]", "FILE:1: listen: a list stands in braces: {a, b}\n"},
		{"deny = [.a]", "FILE:1: deny: a list stands in braces: {a, b}\n"},
		{"listen = [::1]", "FILE:1: listen: [::1] has no port; use [::1]:PORT\n"},
		{"workers = {4}", "FILE:1: workers: no list; braces are for lists\n"},
		{"workers = 4 }", "FILE:1: }: a } without its {\n"},
		{"deny = {.a,, .b}", "FILE:1: deny: an empty member; there is a comma too many\n"},
		{"deny = {, .a}", "FILE:1: deny: an empty member; there is a comma too many\n"},
		{"deny = {,}", "FILE:1: deny: an empty member; there is a comma too many\n"},
		{"deny = {.a .b}", "FILE:1: deny: no comma between two members of a list\n"},
		{"deny = {{.a}}", "FILE:1: deny: braces within braces\n"},
		{"deny = {.a\n"
		 "workers = 99\n"
		 "max_ttl = 5",
		 "FILE:1: deny: a { without its }\n"
		 "FILE:2: workers: 99 is out of bounds; use 1 to 64\n"
		 "FILE:3: max_ttl: 5 is not a duration; use ms, s, m, h or d\n"},
		{"deny = {.a, .b", "FILE:1: deny: a { without its }\n"},
		{"gateway = 127.0.0.1:1=http://a",
		 "FILE:1: gateway: a value with = in it needs quotes\n"},
		{"gateway = {\n"
		 "  127.0.0.1:1=http://a\n"
		 "}\n"
		 "workers = 99",
		 "FILE:2: gateway: a value with = in it needs quotes\n"
		 "FILE:4: workers: 99 is out of bounds; use 1 to 64\n"},
		{"store = /a#b", "FILE:1: store: /a#b needs quotes, for the # in it\n"},
		{"parent = http://u:p#w@proxy:1",
		 "FILE:1: parent: a value with # in it needs quotes\n"},
		{"parent = http://u:p w@proxy:1",
		 "FILE:1: parent: more than one value; a value with a space in it needs quotes\n"},
		{"store = /a*b", "FILE:1: store: /a*b needs quotes, for the * in it\n"},
		{"store = (/a)", "FILE:1: store: (/a) needs quotes, for the ( in it\n"},
		{"workers = \xe2\x80\x9c"
		 "4\xe2\x80\x9d",
		 "FILE:1: workers: the value has a curved quote (U+201C) in it\n"},
		{"store = /a\xc2\xa0"
		 "b",
		 "FILE:1: store: the value has a no-break space (U+00A0) in it\n"},
		{"store = \"/a\\0b\"",
		 "FILE:1: store: a NUL character ends the text; leave it out\n"},
		{"store = \"/a\\x00b\"",
		 "FILE:1: store: a NUL character ends the text; leave it out\n"},
		{"store = \"a\\8\"", "FILE:1: bad escape sequence '\\8'\n"},
		{"store = \"/a\tb\"", "FILE:1: store: /a?b is not a text; use letters, digits and "
				      "signs, no control characters\n"},
		{"\"/a\"", "FILE:1: \": a value where a name belongs\n"},
		{"store_size = 16MB", "FILE:1: store_size: 16MB is not a size; use 16MiB\n"},
		{"store_size = \"16 mb\"", "FILE:1: store_size: 16 mb is not a size; use 16MiB\n"},
		{"store_size = 1.5GiB",
		 "FILE:1: store_size: 1.5GiB is not a size; use B, KiB, MiB or GiB\n"},
		{"max_ttl = 5min", "FILE:1: max_ttl: 5min is not a duration; use 5m\n"},
		{"max_ttl = 5S", "FILE:1: max_ttl: 5S is not a duration; use 5s\n"},
		{"max_ttl = -5s", "FILE:1: max_ttl: -5s is not a duration; use ms, s, m, h or d\n"},
		{"workers = +4", "FILE:1: workers: +4 needs quotes, for the + in it\n"},
		{"workers = 4k", "FILE:1: workers: 4k is not a number; use digits\n"},
		{"max_ttl = \"\"",
		 "FILE:1: max_ttl: \"\" is not a duration; use ms, s, m, h or d\n"},
		{"log_level = DEBUG",
		 "FILE:1: log_level: DEBUG is not a choice; use one of error|info|debug\n"},
		{"upgrade = \"\"", "FILE:1: upgrade: \"\" is not a switch; use on or off\n"},
		{"listen = 3128", "FILE:1: listen: 3128 has no address; use 127.0.0.1:3128 for "
				  "this machine alone, 0.0.0.0:3128 and [::]:3128 for all\n"},
		{"listen = :3128", "FILE:1: listen: :3128 has no address; use 127.0.0.1:3128 for "
				   "this machine alone, 0.0.0.0:3128 and [::]:3128 for all\n"},
		{"listen = '*:3128'",
		 "FILE:1: listen: *:3128 has no address; use 127.0.0.1:3128 for this machine "
		 "alone, 0.0.0.0:3128 and [::]:3128 for all\n"},
		{"listen = 127.0.0.1",
		 "FILE:1: listen: 127.0.0.1 has no port; use 127.0.0.1:PORT\n"},
		{"listen = ::1:3128", "FILE:1: listen: ::1:3128 is IPv6 without brackets; use "
				      "[ADDRESS]:PORT, as [::1]:3128\n"},
		{"listen = '[::1]'", "FILE:1: listen: [::1] has no port; use [::1]:PORT\n"},
		{"listen = localhost:3128", "FILE:1: listen: localhost:3128 has a name; use the "
					    "address in digits, as 127.0.0.1:3128\n"},
		{"listen = http://127.0.0.1:3128",
		 "FILE:1: listen: http://127.0.0.1:3128 is a URL; use an address with a port, as "
		 "127.0.0.1:3128\n"},
		{"listen = 127.0.0.1:8000-8999", "FILE:1: listen: 127.0.0.1:8000-8999 has a range "
						 "of ports; use one address for each\n"},
		{"listen = 127.0.0.1:65536",
		 "FILE:1: listen: 127.0.0.1:65536 is not an address "
		 "with a port; use 127.0.0.1:3128, [::1]:3128 or unix:/run/cache204/proxy.sock\n"},
		{"listen = \"\"", "FILE:1: listen: \"\" is not an address with a port; use "
				  "127.0.0.1:3128, [::1]:3128 or "
				  "unix:/run/cache204/proxy.sock\n"},
		{"listen = 0.0.0.0:5\n"
		 "admin = 127.0.0.1:5",
		 "FILE:2: admin: 127.0.0.1:5 is listened on twice, for 0.0.0.0:5 has it too\n"},
		{"listen = '[::1]:5'\n"
		 "admin = '[::]:5'",
		 "FILE:2: admin: [::1]:5 is listened on twice, for [::]:5 has it too\n"},
		{"listen = 0.0.0.0:5\n"
		 "gateway = \"127.0.0.1:5=http://a\"",
		 "FILE:2: gateway: 127.0.0.1:5 is listened on twice, for 0.0.0.0:5 has it too\n"},
		{"resolvers = 8.8.8",
		 "FILE:1: resolvers: 8.8.8 is not the address of a name server; use 192.0.2.53, "
		 "192.0.2.53:53 or [2001:db8::53]:53\n"},
		{"resolvers = 8.8.8.8:0",
		 "FILE:1: resolvers: 8.8.8.8:0 is not the address of a name server; use "
		 "192.0.2.53, 192.0.2.53:53 or [2001:db8::53]:53\n"},
		{"resolvers = dns.example", "FILE:1: resolvers: dns.example is a name; use the "
					    "address of the name server, as 192.0.2.53\n"},
		{"resolvers = dns.example:53", "FILE:1: resolvers: dns.example:53 is a name; use "
					       "the address of the name server, as 192.0.2.53\n"},
		{"resolvers = {8.8.8.8, \"\"}",
		 "FILE:1: resolvers: \"\" is not the address of a name server; use 192.0.2.53, "
		 "192.0.2.53:53 or [2001:db8::53]:53\n"},
		{"connect_ports = 8999-8000",
		 "FILE:1: connect_ports: 8999-8000 is not a range within "
		 "1-65535, lower port first\n"},
		{"connect_ports = 8000-70000",
		 "FILE:1: connect_ports: 8000-70000 is not a port; use 1 to 65535, a range as "
		 "8000-8999, or * for all\n"},
		{"connect_ports = 0-5",
		 "FILE:1: connect_ports: 0-5 is not a range within 1-65535, lower port first\n"},
		{"connect_ports = 443-", "FILE:1: connect_ports: 443- is not a port; use 1 to "
					 "65535, a range as 8000-8999, or * for all\n"},
		{"connect_ports = 8000:8999", "FILE:1: connect_ports: 8000:8999 is not a port; use "
					      "1 to 65535, a range as 8000-8999, or * for all\n"},
		{"connect_ports = '80,443'",
		 "FILE:1: connect_ports: 80,443 is several; use one text for each\n"},
		{"connect_ports = https", "FILE:1: connect_ports: https is not a port; use 1 to "
					  "65535, a range as 8000-8999, or * for all\n"},
		{"connect_ports = 0443", "FILE:1: connect_ports: 0443 is not a port; use 1 to "
					 "65535, a range as 8000-8999, or * for all\n"},
		{"allow_ports = -25", "FILE:1: allow_ports: -25 is not a port; use 1 to 65535, a "
				      "range as 8000-8999, or * for all\n"},
		{"gateway = '127.0.0.1:1=http://a/path'",
		 "FILE:1: gateway: http://a/path has a path, but a gateway is for a whole origin; "
		 "leave out what follows the host and port\n"},
		{"gateway = '127.0.0.1:1=https://a?q'",
		 "FILE:1: gateway: https://a?q has a path, but a gateway is for a whole origin; "
		 "leave out what follows the host and port\n"},
		{"gateway = '127.0.0.1:1=a:80'",
		 "FILE:1: gateway: a:80 has no scheme; begin it with http://\n"},
		{"gateway = '127.0.0.1:1=ftp://a'",
		 "FILE:1: gateway: ftp://a is neither of http nor of https\n"},
		{"gateway = '127.0.0.1:1=http://u:secret@a'",
		 "FILE:1: gateway: ...@a has a user; leave that out, as clients send their own\n"},
		{"gateway = '127.0.0.1:1'", "FILE:1: gateway: 127.0.0.1:1 is not a gateway; use "
					    "127.0.0.1:3130=http://host:port\n"},
		{"gateway = '3130=http://a'",
		 "FILE:1: gateway: 3130 has no address; use 127.0.0.1:3130 for this machine alone, "
		 "0.0.0.0:3130 and [::]:3130 for all\n"},
		{"gateway = 'http://a'", "FILE:1: gateway: http://a is not a gateway; use "
					 "127.0.0.1:3130=http://host:port\n"},
		{"parent = proxy:8080",
		 "FILE:1: parent: proxy:8080 has no scheme; begin it with http://\n"},
		{"parent = http://proxy",
		 "FILE:1: parent: http://proxy has no port; use http://host:port\n"},
		{"parent = https://proxy:8080",
		 "FILE:1: parent: https://proxy:8080 is not of http, which a parent is asked over; "
		 "use http://host:port\n"},
		{"parent = http://proxy:8080/path", "FILE:1: parent: http://proxy:8080/path has a "
						    "path; leave out what follows the port\n"},
		{"parent = http://u:sec%ret@proxy:8080",
		 "FILE:1: parent: ...@proxy:8080 has a user and password that cannot be read; use "
		 "user:password, with %40 for @ and %25 for %\n"},
		{"parent = u:secret@proxy:8080",
		 "FILE:1: parent: ...@proxy:8080 has no scheme; begin it with http://\n"},
		{"parent = socks5://proxy:1080",
		 "FILE:1: parent: socks5://proxy:1080 is not of http, which a parent is asked "
		 "over; use http://host:port\n"},
		{"clients = all",
		 "FILE:1: clients: all is not a network; use 0.0.0.0/0 and ::/0 for all\n"},
		{"clients = '*'",
		 "FILE:1: clients: * is not a network; use 0.0.0.0/0 and ::/0 for all\n"},
		{"clients = 10.0.0.0/255.0.0.0",
		 "FILE:1: clients: 10.0.0.0/255.0.0.0 has a netmask; use 10.0.0.0/8\n"},
		{"clients = 10.0.0.0-10.0.0.9",
		 "FILE:1: clients: 10.0.0.0-10.0.0.9 is not a network; use addresses in digits, as "
		 "10.0.0.0/8\n"},
		{"clients = 10.0.0.1:80",
		 "FILE:1: clients: 10.0.0.1:80 has a port; use 10.0.0.1\n"},
		{"clients = example.com", "FILE:1: clients: example.com is not a network; use "
					  "addresses in digits, as 10.0.0.0/8\n"},
		{"clients = 10",
		 "FILE:1: clients: 10 is not a network; use 10.0.0.0/8, fd00::/8 or 192.0.2.1\n"},
		{"deny = '*.example.com'", "FILE:1: deny: *.example.com has a *; use .example.com "
					   "for a name and all below it\n"},
		{"deny = '*'",
		 "FILE:1: deny: * is not a destination; use 0.0.0.0/0 and ::/0 for all\n"},
		{"deny = http://example.com/a",
		 "FILE:1: deny: http://example.com/a is a URL; use the host alone: example.com\n"},
		{"deny = http://u:secret@example.com/",
		 "FILE:1: deny: ...@example.com/ is not a destination; use example.com, "
		 ".example.com or 10.0.0.0/8\n"},
		{"deny = example.com:443",
		 "FILE:1: deny: example.com:443 has a port; use the host alone: example.com\n"},
		{"deny = example.com.",
		 "FILE:1: deny: example.com. has a dot at its end; use example.com\n"},
		{"deny = .", "FILE:1: deny: . is not a destination; use example.com, .example.com "
			     "or 10.0.0.0/8\n"},
		{"deny = ''", "FILE:1: deny: \"\" is not a destination; use example.com, "
			      ".example.com or 10.0.0.0/8\n"},
		{"admin_hosts = .example.com",
		 "FILE:1: admin_hosts: .example.com is a domain; use the names themselves\n"},
		{"admin_hosts = '*.example.com'",
		 "FILE:1: admin_hosts: *.example.com is a domain; use the names themselves\n"},
		{"admin_hosts = 192.0.2.1", "FILE:1: admin_hosts: 192.0.2.1 is an address, which "
					    "needs no entry; use a name\n"},
		{"admin_hosts = example.com:80", "FILE:1: admin_hosts: example.com:80 has a port; "
						 "use the host alone: example.com\n"},
		{"admin_hosts = \"a b\"", "FILE:1: admin_hosts: a b is not a host name; use "
					  "proxy.example.com, without a port\n"},
	};
	char *errors = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct conf *conf = load(cases[i].text, NULL, 0, &errors);

		if (conf != NULL)
			fail_msg("%s: taken", cases[i].text);
		assert_string_equal(errors, cases[i].errors);
	}
	free(errors);
}

struct setting_case {
	const char *settings[4];
	const char *expected; /* a line of the dump, or all that is said */
};

static size_t settings_of(const struct setting_case *one, char **settings)
{
	size_t count = 0;

	while (count < 4 && one->settings[count]) {
		settings[count] = strdup(one->settings[count]);
		count++;
	}
	return count;
}

static void check_settings(const char *text, const struct setting_case *one, bool good)
{
	char *settings[4], *errors = NULL, *shown = NULL;
	size_t count = settings_of(one, settings);
	struct conf *conf = load(text, settings, count, &errors);

	if ((conf != NULL) != good)
		fail_msg("%s: %s", one->settings[0], errors);
	if (good) {
		shown = test_conf_dump(conf);
		if (!strstr(shown, one->expected))
			fail_msg("%s: not %s", one->settings[0], one->expected);
	} else {
		assert_string_equal(errors, one->expected);
	}
	for (size_t i = 0; i < count; i++)
		free(settings[i]);
	free(errors);
	free(shown);
	conf_free(conf);
}

/* Settings stand over the file, and a later one over an earlier one. */
static void test_good_settings(void **state)
{
	static const struct setting_case cases[] = {
		{{"workers=4"}, "workers = 4\n"},
		{{"workers=4", "workers=5"}, "workers = 5\n"},
		{{"store_size=12 MiB"}, "store_size = 12MiB\n"},
		{{"store=/a=b,c"}, "store = \"/a=b,c\"\n"},
		{{"store="}, "store = \"\"\n"},
		{{"listen=127.0.0.1:1,[::1]:2"}, "listen = {\"127.0.0.1:1\", \"[::1]:2\"}\n"},
		{{"listen= 127.0.0.1:1 ,\t[::1]:2 "}, "listen = {\"127.0.0.1:1\", \"[::1]:2\"}\n"},
		{{"admin="}, "admin = {}\n"},
		{{"deny=.a", "deny=.b"}, "deny = {\".b\"}\n"},
		{{"deny+=.a"}, "deny = {\".c\", \".a\"}\n"},
		{{"deny += {.a, }", "deny+='.b'"}, "deny = {\".c\", \".a\", \".b\"}\n"},
		{{"deny = {}"}, "deny = {}\n"},
		{{"deny={.a,.b}"}, "deny = {\".a\", \".b\"}\n"},
		{{"deny = { \".a\" , '.b' }\r\n"}, "deny = {\".a\", \".b\"}\n"},
		{{"gateway={127.0.0.1:1=http://a/}"}, "gateway = {\"127.0.0.1:1=http://a\"}\n"},
		{{" workers = 4 \r"}, "workers = 4\n"},
		{{"workers='4'"}, "workers = 4\n"},
		{{"store=\"/a b \""}, "store = \"/a b \"\n"},
		{{"store = /a b "}, "store = \"/a b\"\n"},
		{{"store=\"/a\\\"\\\\\""}, "store = '/a\"\\\\'\n"},
		{{"store='/a\\x\\''"}, "store = '/a\\\\x\\''\n"},
		{{"store=/a'b\"#;"}, "store = '/a\\'b\"#;'\n"},
		{{"store=\"\""}, "store = \"\"\n"},
		{{"store='/a\xc2\xa0z'"}, "store = \"/a\xc2\xa0z\"\n"},
		{{"resolvers=8.8.8.8,::1"}, "resolvers = {\"8.8.8.8:53\", \"[::1]:53\"}\n"},
		{{"connect_ports=443,8000-8999"}, "connect_ports = {\"443\", \"8000-8999\"}\n"},
		{{"listen=127.0.0.1:3129", "admin=127.0.0.1:3128"},
		 "admin = {\"127.0.0.1:3128\"}\n"},
		{{"listen=127.0.0.1:0", "admin=127.0.0.1:0"}, "admin = {\"127.0.0.1:0\"}\n"},
		{{"head_size=1KiB", "uri_length=1KiB"}, "head_size = 1KiB\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		check_settings("workers = 3\ndeny = .c\n", &cases[i], true);
}

static void test_bad_settings(void **state)
{
	static const struct setting_case cases[] = {
		{{"workers"}, "-o workers: no value; use -o name=value\n"},
		{{""}, "-o \"\": no value; use -o name=value\n"},
		{{"=1"}, "-o \"\": no such option; --help lists them\n"},
		{{"worker=1"}, "-o worker: no such option; did you mean workers?\n"},
		{{"workers ="}, "-o workers: \"\" is not a number; use digits\n"},
		{{"workers=0", "max_ttl=1"},
		 "-o workers: 0 is out of bounds; use 1 to 64\n"
		 "-o max_ttl: 1 is not a duration; use ms, s, m, h or d\n"},
		{{"deny=.a,,b"}, "-o deny: an empty member; there is a comma too many\n"},
		{{"listen="}, "-o listen: give at least one address\n"},
		{{"admin=127.0.0.1:3128"}, "-o admin: 127.0.0.1:3128 is listened on twice\n"},
		{{"uri_length=16KiB"},
		 "-o uri_length: a head_size of 8KiB cannot hold a uri_length of 16KiB\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		check_settings("head_size = 8KiB", &cases[i], false);
}

/* Slips on the command line. */
static void test_traps_in_settings(void **state)
{
	static const struct setting_case cases[] = {
		{{"workers: 4"}, "-o workers: no = between name and value; use -o workers=...\n"},
		{{"workers:4"}, "-o workers: no = between name and value; use -o workers=...\n"},
		{{"workers 4"}, "-o workers: no = between name and value; use -o workers=...\n"},
		{{"gateway: 127.0.0.1:1=http://a"},
		 "-o gateway: no = between name and value; use -o gateway=...\n"},
		{{"listen"}, "-o listen: no value; use -o name=value\n"},
		{{"rule a=b"},
		 "-o rule: a rule stands in a file, as rule \"name\" { match = \"example.com\" ... "
		 "}; -o is for plain options\n"},
		{{"rule\"a\"=b"},
		 "-o rule: a rule stands in a file, as rule \"name\" { match = \"example.com\" ... "
		 "}; -o is for plain options\n"},
		{{"rules=b"}, "-o rules: no such option; --help lists them\n"},
		{{"listen=unix:/a", "admin=unix:/a"}, "-o listen: unix:/a is listened on twice\n"},
		{{"workers =0"}, "-o workers: 0 is out of bounds; use 1 to 64\n"},
		{{"workers+=4"}, "-o workers: += is for lists; use =\n"},
		{{"workers={4}"}, "-o workers: no list; braces are for lists\n"},
		{{"workers=[4]"}, "-o workers: [4] is not a number; use digits\n"},
		{{"workers=4;"}, "-o workers: 4; is not a number; use digits\n"},
		{{"workers='4"}, "-o workers: a string does not end\n"},
		{{"store=\"/a"}, "-o store: a string does not end\n"},
		{{"store=\"/a\" b"}, "-o store: text behind the closing quote\n"},
		{{"store=\"/a\\tb\""},
		 "-o store: in double quotes a backslash stands before \" or \\ only; use single "
		 "quotes\n"},
		{{"store=/a\nb"},
		 "-o store: /a?b is not a text; use letters, digits and signs, no control "
		 "characters\n"},
		{{"listen={127.0.0.1:1"}, "-o listen: a { without its }\n"},
		{{"listen=127.0.0.1:1}"},
		 "-o listen: 127.0.0.1:1} is not an address with a port; use 127.0.0.1:3128, "
		 "[::1]:3128 or unix:/run/cache204/proxy.sock\n"},
		{{"listen=[127.0.0.1:1,127.0.0.1:2]"},
		 "-o listen: [127.0.0.1:1 is not an address; a list stands in braces: {a, b}\n"
		 "-o listen: 127.0.0.1:2] is not an address with a port; use 127.0.0.1:3128, "
		 "[::1]:3128 or unix:/run/cache204/proxy.sock\n"},
		{{"listen={}"}, "-o listen: give at least one address\n"},
		{{"listen="}, "-o listen: give at least one address\n"},
		{{"listen={127.0.0.1:1,,}"},
		 "-o listen: an empty member; there is a comma too many\n"},
		{{"listen=127.0.0.1:1,"},
		 "-o listen: an empty member; there is a comma too many\n"},
		{{"deny=,"}, "-o deny: an empty member; there is a comma too many\n"},
		{{"deny=.a,\"\""},
		 "-o deny: \"\" is not a destination; use example.com, .example.com or "
		 "10.0.0.0/8\n"},
		{{"max_ttl=5 sec"}, "-o max_ttl: 5 sec is not a duration; use 5s\n"},
		{{"max_ttl="}, "-o max_ttl: \"\" is not a duration; use ms, s, m, h or d\n"},
		{{"nosuch=1", "worker=1", "=", "max_tll=5s"},
		 "-o nosuch: no such option; --help lists them\n"
		 "-o worker: no such option; did you mean workers?\n"
		 "-o \"\": no such option; --help lists them\n"
		 "-o max_tll: no such option; did you mean max_ttl?\n"},
		{{"listen=\xe2\x80\x9c"
		  "127.0.0.1:1\xe2\x80\x9d"},
		 "-o listen: an invisible space or a curved quote is in it; if that is meant, put "
		 "quotes around the value\n"},
		{{"store=/a\xc2\xa0"
		  "b"},
		 "-o store: an invisible space or a curved quote is in it; if that is meant, put "
		 "quotes around the value\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		check_settings(NULL, &cases[i], false);
}

/* Bytes that are no text at all. */
static void test_other_encodings(void **state)
{
	static const struct {
		const char *bytes;
		size_t length;
		const char *errors;
	} cases[] = {
		{"\xff\xfew\0=\0", 6, "FILE: is in UTF-16; save it as UTF-8\n"},
		{"\xfe\xff\0w\0=", 6, "FILE: is in UTF-16; save it as UTF-8\n"},
		{"w\0=\0", 4, "FILE: has a NUL byte; save it as text in UTF-8\n"},
		{"workers = 4\n\0", 13, "FILE: has a NUL byte; save it as text in UTF-8\n"},
	};
	char *errors = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		assert_null(load_bytes(cases[i].bytes, cases[i].length, NULL, 0, &errors));
		assert_string_equal(errors, cases[i].errors);
	}
	free(errors);
}

static void test_unreadable_file(void **state)
{
	char *errors = NULL, *huge = malloc((1 << 20) + 2);
	size_t size;
	FILE *to = open_memstream(&errors, &size);

	(void)state;
	assert_null(conf_load("/nonexistent/x.conf", NULL, 0, to));
	assert_null(conf_load("/tmp", NULL, 0, to));
	assert_null(conf_load("/dev/zero", NULL, 0, to));
	fclose(to);
	assert_string_equal(errors, "/nonexistent/x.conf: No such file or directory\n"
				    "/tmp: Is a directory\n"
				    "/dev/zero: larger than 1MiB\n");
	memset(huge, '\n', (1 << 20) + 1);
	huge[(1 << 20) + 1] = '\0';
	assert_null(load(huge, NULL, 0, &errors));
	huge[1 << 20] = '\0';
	conf_free(load(huge, NULL, 0, &errors));
	assert_string_equal(errors, "");
	free(huge);
	free(errors);
}

/* What is executed later, by an upgrade, does not get it. */
static void test_a_source_is_not_inherited(void **state)
{
	FILE *file = conf_source_open(EXAMPLE);

	(void)state;
	assert_non_null(file);
	assert_int_equal(fcntl(fileno(file), F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(fileno(file), F_GETFL) & O_NONBLOCK, 0);
	fclose(file);
	assert_null(conf_source_open("/nonexistent/x.conf"));
}

/* An error in each of many lines is not a flood. */
static void test_many_errors(void **state)
{
	char text[14 * 100 + 1] = "", *errors = NULL;
	size_t lines = 0;

	(void)state;
	for (int i = 0; i < 100; i++)
		strcat(text, "workers = 999\n");
	assert_null(load(text, NULL, 0, &errors));
	for (const char *at = errors; (at = strchr(at, '\n')); at++)
		lines++;
	assert_int_equal(lines, 51);
	assert_non_null(strstr(errors, "FILE: 50 errors more\n"));
	free(errors);
}

/* What is dumped loads to the same, from any state of the options. */
static void test_dump_loads(void **state)
{
	static char *settings[] = {
		"listen=127.0.0.1:1,[::1]:2",
		"admin=",
		"workers=64",
		"store=it's a \"$dir\\x${y}",
		"store_size=3MiB",
		"max_ttl=1500ms",
		"store_set_cookie=off",
		"parent=http://u:p'\"\\@proxy:1",
		"connect_ports=*",
		"deny=.a,10.0.0.0/8,b",
		"access_log_format=squid",
	};
	char *errors = NULL;
	struct conf *conf = load(NULL, settings, COUNT_OF(settings), &errors);
	char *first, *second;

	(void)state;
	assert_string_equal(errors, "");
	first = test_conf_dump(conf);
	conf_free(conf);
	conf = load(first, NULL, 0, &errors);
	assert_string_equal(errors, "");
	second = test_conf_dump(conf);
	assert_string_equal(first, second);
	assert_memory_equal(
		first,
		"# The options of cache204 in effect; as a file it has the same effect.\n"
		"# It has the password of the parent proxy: let nobody else read it (mode "
		"0600).\n\n# ",
		150);
	assert_string_equal(conf->store, "it's a \"$dir\\x${y}");
	assert_non_null(strstr(second, "password"));
	conf_free(conf);
	free(first);
	free(second);
	free(errors);
}

/* What is found wrong later, at the start say, is told with its place: that of the setting last. */
static void test_places(void **state)
{
	static char *settings[] = {"admin=127.0.0.1:9"};
	static const struct {
		const char *text, *placed;
		bool has_place;
	} rows[] = {
		{"workers: too many", ":2: workers: too many", true},
		{"admin: in use", "-o admin: in use", true},
		{"store: full", "store: full", false},
		{"nothing of ours", "nothing of ours", false},
	};
	char *errors = NULL;
	struct conf *conf = load("# one\nworkers = 4\n", settings, 1, &errors);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct diagnostic message;
		const char *shown = message.text;

		diagnostic_set(&message, "%s", rows[i].text);
		assert_int_equal(conf_place(conf, &message), rows[i].has_place);
		if (rows[i].placed[0] == ':') {
			assert_memory_equal(shown, conf->file, strlen(conf->file));
			shown += strlen(conf->file);
		}
		assert_string_equal(shown, rows[i].placed);
	}
	conf_free(conf);
	free(errors);
}

/* The sample is whole: each option is in it, with its default, so that it changes nothing. */
static void test_example(void **state)
{
	char *errors = NULL, *shown, *expected, *names;
	struct conf *conf = conf_defaults();
	size_t size;
	FILE *to = open_memstream(&errors, &size), *example = fopen(EXAMPLE, "r");

	(void)state;
	assert_non_null(example);
	expected = test_conf_dump(conf);
	conf_free(conf);
	conf = conf_load(EXAMPLE, NULL, 0, to);
	fclose(to);
	assert_string_equal(errors, "");
	shown = test_conf_dump(conf);
	assert_string_equal(shown, expected);
	conf_free(conf);

	names = calloc(1, 1 << 16);
	names[0] = '\n';
	assert_in_range(fread(names + 1, 1, (1 << 16) - 2, example), 1, (1 << 16) - 3);
	fclose(example);
	for (char *line = strtok(expected, "\n"); line; line = strtok(NULL, "\n")) {
		char wanted[256];

		if (line[0] == '#')
			continue;
		snprintf(wanted, sizeof(wanted), "\n%s\n", line);
		if (!strstr(names, wanted))
			fail_msg("not in %s: %s", EXAMPLE, line);
	}
	free(names);
	free(shown);
	free(expected);
	free(errors);
}

/* An option's first line of help, "  name (kind; default)", heads its entry in the manual. */
static void check_manual(const char *line)
{
	const char *name = line + 2, *kind = strchr(line, '(');
	char wanted[300], found[300];
	FILE *manual = fopen(MANUAL, "r");
	bool there = false;

	assert_non_null(manual);
	snprintf(wanted, sizeof(wanted), ".It Ic %.*sPq %.*s\n", (int)(kind - name), name,
		 (int)strlen(kind) - 2, kind + 1);
	while (!there && fgets(found, sizeof(found), manual))
		there = strcmp(found, wanted) == 0;
	fclose(manual);
	if (!there)
		fail_msg("not in %s: %s", MANUAL, wanted);
}

static void test_help(void **state)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	(void)state;
	conf_help(to);
	fclose(to);
	assert_non_null(strstr(text, "  store_size (size, 1MiB to 1024GiB; default 256MiB)\n"));
	assert_non_null(strstr(
		text,
		"  listen (list of [tls:]ADDRESS:PORT or unix:/path; default 127.0.0.1:3128)\n"));
	assert_non_null(strstr(text, "  conditional_hit (304|204; default 304)\n"));
	assert_non_null(strstr(text, "  preflight_cache (on|off; default off)\n"));
	assert_non_null(strstr(text, "  parent (URL; default empty)\n"));
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (line[2] != ' ')
			check_manual(line);
	free(text);
}

static void test_split_address(void **state)
{
	char host[46];
	uint16_t port;

	(void)state;
	assert_true(conf_split_address("[::1]:3128", host, &port));
	assert_string_equal(host, "::1");
	assert_int_equal(port, 3128);
	assert_false(conf_split_address("::1", host, &port));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_good_files),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_traps_in_files),
		cmocka_unit_test(test_traps_in_settings),
		cmocka_unit_test(test_other_encodings),
		cmocka_unit_test(test_good_settings),
		cmocka_unit_test(test_bad_settings),
		cmocka_unit_test(test_unreadable_file),
		cmocka_unit_test(test_a_source_is_not_inherited),
		cmocka_unit_test(test_many_errors),
		cmocka_unit_test(test_dump_loads),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_split_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
