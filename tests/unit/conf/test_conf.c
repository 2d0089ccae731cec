/* LINKS: conf */
/* Configuration as an operator gives it: what is taken, and what is said, where, to what is not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))
#define EXAMPLE "conf/cache204.conf.example"
#define MANUAL "conf/cache204.conf.5"

/* Loads `text` as a file (NULL for none); what was said replaces *ret_errors, FILE for the name. */
static struct conf *load(const char *text, char *const *settings, size_t count, char **ret_errors)
{
	char path[] = "/tmp/test_conf.XXXXXX";
	size_t size;
	FILE *errors;
	struct conf *conf;
	int fd = -1;

	free(*ret_errors);
	errors = open_memstream(ret_errors, &size);
	if (text) {
		fd = mkstemp(path);
		assert_int_equal(write(fd, text, strlen(text)), strlen(text));
		close(fd);
	}
	conf = conf_load(text ? path : NULL, settings, count, errors);
	fclose(errors);
	if (text)
		unlink(path);
	for (char *at = *ret_errors; (at = strstr(at, path));) {
		memcpy(at, "FILE", 4);
		memmove(at + 4, at + strlen(path), strlen(at + strlen(path)) + 1);
	}
	return conf;
}

static char *dump(const struct conf *conf)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	conf_dump(conf, to);
	fclose(to);
	return text;
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
	assert_string_equal(conf->conditional_hit, "304");
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
		{"workers = 2\nworkers = 3\n", "workers = 3\n"},
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

		if (!conf)
			fail_msg("%s: %s", cases[i].text, errors);
		assert_string_equal(errors, "");
		shown = dump(conf);
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
		 "FILE:3: listen: 3128 is not an address with a port; use 127.0.0.1:3128 or "
		 "[::1]:3128\n"},
		{"connect_ports = {443, 70000}",
		 "FILE:1: connect_ports: 70000 is not a port; use 1 to 65535, or * for all\n"},
		{"clients = 10.0.0.0/33",
		 "FILE:1: clients: 10.0.0.0/33 is not a network; use 10.0.0.0/8, fd00::/8 or "
		 "192.0.2.1\n"},
		{"clients = 10.0.0.1/8",
		 "FILE:1: clients: 10.0.0.1/8 has bits beyond its length; use 10.0.0.0/8\n"},
		{"store = \"a\\nb\"",
		 "FILE:1: store: a?b is not a text; use letters, digits and signs, no control "
		 "characters\n"},
		{"workers = 0\n\nmax_ttl = x\nworkers = 3",
		 "FILE:1: workers: 0 is out of bounds; use 1 to 64\n"
		 "FILE:3: max_ttl: x is not a duration; use ms, s, m, h or d\n"},
		{"\nstore_sise = 1GiB",
		 "FILE:2: store_sise: no such option; did you mean store_size?\n"},
		{"xyzzy = 1", "FILE:1: xyzzy: no such option; --help lists them\n"},
		{"store_size = 1 GiB",
		 "FILE:1: store_size: 1 is out of bounds; use 1MiB to 1024GiB\n"
		 "FILE:1: GiB: no such option; a value with a space in it needs quotes\n"},
		{"workers 4", "FILE:1: missing equal sign after option 'workers'\n"},
		{"workers =", "FILE:1: premature end of file\n"},
		{"workers = {4}", "FILE:1: unexpected token '{'\n"},
		{"workers += 4", "FILE:1: attempt to append to non-list option 'workers'\n"},
		{"listen = {\"127.0.0.1:1\"", "FILE:1: premature end of file\n"},
		{"}", "FILE:1: unexpected closing brace\n"},
		{"\nstore = \"/a\n\n", "FILE:2: a string does not end\n"},
		{"\n\nstore = '/a\\'", "FILE:3: a string does not end\n"},
		{"/* */\n/* *", "FILE:2: a comment does not end\n"},
		{"\"=\" = 1", "FILE:1: a value where none belongs\n"},
		{"workers = 4\"=\" = 1", "FILE:1: a value where none belongs\n"},
		{"connect_ports = {443, *}", "FILE:1: * and + need quotes\n"},
		{"store = \"${HOME}\"",
		 "FILE:1: ${ needs single quotes; no variables are put in\n"},
		{"store = ${HOME}", "FILE:1: ${ needs single quotes; no variables are put in\n"},
		{"workers = 1\nlisten = {}", "FILE:2: listen: give at least one address\n"},
		{"listen = {127.0.0.1:1}\nuser = \" listen = \"\n\nlisten\n=\n{ }\ndeny = listen",
		 "FILE:4: listen: give at least one address\n"},
		{"\nadmin = 127.0.0.1:3128",
		 "FILE:2: admin: 127.0.0.1:3128 is listened on twice\n"},
		{"\ngateway = \"127.0.0.1:3128=http://x\"",
		 "FILE:2: gateway: 127.0.0.1:3128=http://x is listened on twice\n"},
		{"gateway = 127.0.0.1:1", "FILE:1: gateway: 127.0.0.1:1 is not a gateway; use "
					  "127.0.0.1:3130=http://host:port\n"},
		{"parent = http://u:secret@proxy",
		 "FILE:1: parent: ...@proxy is not a parent proxy; use http://host:port or "
		 "http://user:password@host:port\n"},
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

struct setting_case {
	const char *settings[3];
	const char *expected; /* a line of the dump, or all that is said */
};

static size_t settings_of(const struct setting_case *one, char **settings)
{
	size_t count = 0;

	while (count < 3 && one->settings[count]) {
		settings[count] = strdup(one->settings[count]);
		count++;
	}
	return count;
}

static void check_settings(const char *text, const struct setting_case *one, bool good)
{
	char *settings[3], *errors = NULL, *shown = NULL;
	size_t count = settings_of(one, settings);
	struct conf *conf = load(text, settings, count, &errors);

	if ((conf != NULL) != good)
		fail_msg("%s: %s", one->settings[0], errors);
	if (good) {
		shown = dump(conf);
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
		{{"workers ="}, "-o workers : no such option; did you mean workers?\n"},
		{{"workers=0", "max_ttl=1"},
		 "-o workers: 0 is out of bounds; use 1 to 64\n"
		 "-o max_ttl: 1 is not a duration; use ms, s, m, h or d\n"},
		{{"deny=.a,,b"},
		 "-o deny: \"\" is not a destination; use example.com, .example.com or "
		 "10.0.0.0/8\n"},
		{{"listen="}, "-o listen: give at least one address\n"},
		{{"admin=127.0.0.1:3128"}, "-o admin: 127.0.0.1:3128 is listened on twice\n"},
		{{"uri_length=16KiB"},
		 "-o uri_length: a head_size of 8KiB cannot hold a uri_length of 16KiB\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		check_settings("head_size = 8KiB", &cases[i], false);
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
	first = dump(conf);
	conf_free(conf);
	conf = load(first, NULL, 0, &errors);
	assert_string_equal(errors, "");
	second = dump(conf);
	assert_string_equal(first, second);
	assert_string_equal(conf->store, "it's a \"$dir\\x${y}");
	assert_non_null(strstr(second, "password"));
	conf_free(conf);
	free(first);
	free(second);
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
	expected = dump(conf);
	conf_free(conf);
	conf = conf_load(EXAMPLE, NULL, 0, to);
	fclose(to);
	assert_string_equal(errors, "");
	shown = dump(conf);
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
	assert_non_null(strstr(text, "  listen (list of ADDRESS:PORT; default 127.0.0.1:3128)\n"));
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
		cmocka_unit_test(test_defaults),      cmocka_unit_test(test_good_files),
		cmocka_unit_test(test_bad_files),     cmocka_unit_test(test_good_settings),
		cmocka_unit_test(test_bad_settings),  cmocka_unit_test(test_unreadable_file),
		cmocka_unit_test(test_many_errors),   cmocka_unit_test(test_dump_loads),
		cmocka_unit_test(test_example),       cmocka_unit_test(test_help),
		cmocka_unit_test(test_split_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
