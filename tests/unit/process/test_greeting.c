/* LINKS: proxy/process -Wl,--wrap=interfaces_read,--wrap=gateway_origin,--wrap=tls_server_begins_s,--wrap=tls_server_ends_s,--wrap=wall_clock_ms */
/* What is printed when the service is ready, and what it warns of: all of it, as users read it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/version.h"
#include "proxy/front/admin.h"
#include "proxy/front/forward.h"
#include "proxy/process/generation.h"
#include "proxy/process/greeting.h"
#include "proxy/process/interfaces.h"
#include "proxy/stats/notices.h"
#include "tests/support/captured.h"
#include "tests/support/test_conf.h"

enum { NOW_S = 1000000 };

#define SPELLINGS "# both spellings: curl ignores HTTP_PROXY, some programs ignore http_proxy\n"
#define STORE "store: /the/store\n# it holds 0 URIs in 0, and may grow to 256MiB\n"
#define TRY(address)                                                              \
	"# try: curl --noproxy '' -x http://" address " -i http://example.com/\n" \
	"# other programs: cache204 env\n"

static const struct frontend gateway;
static struct listener_address at[5]; /* one more than there is room for */
static struct listener listener = {.at = at};
static struct generation generation;
static struct conf *conf;
static struct captured captured;
static int64_t begins_s, ends_s;
static const char *interfaces[8]; /* "up ADDRESS" or "down ADDRESS" */

struct interface_address *__wrap_interfaces_read(size_t *ret_count, struct diagnostic *error);
const char *__wrap_gateway_origin(const struct frontend *frontend);
int64_t __wrap_tls_server_begins_s(const struct tls_server *server);
int64_t __wrap_tls_server_ends_s(const struct tls_server *server);
int64_t __wrap_wall_clock_ms(void);

struct interface_address *__wrap_interfaces_read(size_t *ret_count, struct diagnostic *error)
{
	struct interface_address *all = calloc(8, sizeof(*all));

	(void)error;
	*ret_count = 0;
	for (size_t i = 0; interfaces[i] != NULL; i++) {
		const char *blank = strchr(interfaces[i], ' ');

		all[i].is_up = interfaces[i][0] == 'u';
		assert_true(address_parse(slice_str(blank + 1), &all[i].address));
		(*ret_count)++;
	}
	if (*ret_count > 0)
		return all;
	free(all);
	return NULL;
}

const char *__wrap_gateway_origin(const struct frontend *frontend)
{
	return frontend == &gateway ? "http://origin.example" : NULL;
}

int64_t __wrap_tls_server_begins_s(const struct tls_server *server)
{
	(void)server;
	return begins_s;
}

int64_t __wrap_tls_server_ends_s(const struct tls_server *server)
{
	(void)server;
	return ends_s;
}

int64_t __wrap_wall_clock_ms(void)
{
	return INT64_C(1000) * NOW_S + 999;
}

static int setup(void **state)
{
	(void)state;
	conf = test_conf_new();
	assert_true(test_conf_set_all(conf, "store=/the/store;store_size=256MiB"));
	listener.count = 0;
	memset(interfaces, 0, sizeof(interfaces));
	unsetenv("no_proxy");
	unsetenv("NO_PROXY");
	notices_set_store(0, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	test_conf_free(conf);
	return 0;
}

/* An address with a port, or the path of a file. */
static struct listener_address *add(const struct frontend *frontend, const char *name)
{
	struct listener_address *one = &at[listener.count++];
	const char *colon = strrchr(name, ':');

	*one = (struct listener_address){.frontend = frontend, .fd = -1};
	if (name[0] == '/') {
		snprintf(one->path, sizeof(one->path), "%s", name);
		one->address = address_unix();
		return one;
	}
	if (name[0] == '[')
		assert_true(address_parse(slice_of(name + 1, (size_t)(colon - name) - 2),
					  &one->address));
	else
		assert_true(address_parse(slice_of(name, (size_t)(colon - name)), &one->address));
	address_set_port(&one->address, (uint16_t)atoi(colon + 1));
	return one;
}

/* What stands behind the last is none of ours, though it could be reached. */
static void add_behind(const struct frontend *frontend)
{
	add(frontend, "192.0.2.250:9");
	listener.count--;
}

/* The last line has the version: this file may have been compiled when the working copy had another commit. */
static void prints(const char *expected)
{
	static const char last[] = "cache204 " CACHE204_VERSION;
	char *end;

	add_behind(&forward_frontend);
	captured_begin(&captured, false);
	greeting_print(conf, &listener);
	captured_end(&captured);
	end = strstr(captured.out, "\ncache204 ");
	assert_non_null(end);
	assert_memory_equal(end + 1, last, strcspn(last, "+"));
	assert_string_equal(strchr(end + sizeof("cache204 "), ' '), " ready\n");
	end[1] = '\0';
	assert_string_equal(captured.out, expected);
	captured_free(&captured);
}

/* Lines of the log, without the time. */
static void warns_of(const char *expected)
{
	char text[4096] = "";
	size_t n = 0;

	generation = (struct generation){
		.conf = conf, .sets = &listener, .set_count = 1, .tls = generation.tls};
	captured_begin(&captured, false);
	greeting_warn(&generation);
	captured_end(&captured);
	for (char *line = strtok(captured.err, "\n"); line != NULL; line = strtok(NULL, "\n"))
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s\n",
				      strstr(line, "cache204: ") + strlen("cache204: "));
	captured_free(&captured);
	assert_string_equal(text, expected);
}

static void warns(const char *expected)
{
	add_behind(&forward_frontend);
	warns_of(expected);
	add_behind(&admin_frontend);
	warns_of(expected);
}

static void an_address_can_be_pasted(void **state)
{
	(void)state;
	add(&forward_frontend, "127.0.0.1:3128");
	add(&admin_frontend, "127.0.0.1:3129");
	add(&gateway, "127.0.0.1:80");
	add(&gateway, "127.0.0.1:443")->is_tls = true;
	prints("export http_proxy=http://127.0.0.1:3128 HTTP_PROXY=http://127.0.0.1:3128\n"
	       "stats: http://127.0.0.1:3129/stats\n"
	       "gateway: http://127.0.0.1:80 -> http://origin.example\n"
	       "gateway: https://127.0.0.1:443 -> http://origin.example\n" SPELLINGS STORE TRY(
		       "127.0.0.1:3128"));
}

static void a_proxy_with_tls_needs_a_name(void **state)
{
	(void)state;
	add(&forward_frontend, "127.0.0.1:3128")->is_tls = true;
	prints("proxy: https://127.0.0.1:3128\n"
	       "# by a name that its certificate has: export http_proxy=https://NAME:3128 "
	       "HTTP_PROXY=https://NAME:3128\n" SPELLINGS STORE
	       "# try: curl --noproxy '' -x https://NAME:3128 -i http://example.com/\n"
	       "# other programs: cache204 env\n");
}

static void a_file_is_for_curl(void **state)
{
	(void)state;
	add(&forward_frontend, "/run/it's");
	add(&admin_frontend, "/run/admin");
	add(&gateway, "/run/gateway");
	prints("proxy: curl --unix-socket '/run/it'\\''s' --request-target http://example.com/ "
	       "http://example.com/\n"
	       "stats: curl --unix-socket '/run/admin' http://localhost/stats\n"
	       "gateway: curl --unix-socket '/run/gateway' http://localhost/ -> "
	       "http://origin.example\n" STORE);
}

/* The first that other machines can reach: up, of the family, not of this machine or of a zone. */
static void other_machines_have_an_address(void **state)
{
	static const char *const all[] = {"down 10.0.0.9", "up 127.0.0.1", "up fe80::1",
					  "up 2606::7",    "up 10.0.0.7",  "up 10.0.0.8"};

	(void)state;
	memcpy(interfaces, all, sizeof(all));
	add(&forward_frontend, "0.0.0.0:3128");
	add(&admin_frontend, "[::]:3129");
	prints("export http_proxy=http://127.0.0.1:3128 HTTP_PROXY=http://127.0.0.1:3128\n"
	       "# from other machines: http://10.0.0.7:3128\n"
	       "stats: http://[::1]:3129/stats\n"
	       "# from other machines: http://[2606::7]:3129\n" SPELLINGS STORE TRY(
		       "127.0.0.1:3128"));
	interfaces[4] = NULL; /* no other of version 4 */
	listener.count = 1;
	prints("export http_proxy=http://127.0.0.1:3128 "
	       "HTTP_PROXY=http://127.0.0.1:3128\n" SPELLINGS STORE TRY("127.0.0.1:3128"));
	interfaces[0] = NULL; /* they cannot be read */
	prints("export http_proxy=http://127.0.0.1:3128 "
	       "HTTP_PROXY=http://127.0.0.1:3128\n" SPELLINGS STORE TRY("127.0.0.1:3128"));
}

static void no_proxy_is_warned_of(void **state)
{
	char expected[512];

	(void)state;
	setenv("no_proxy", "example.com,localhost", 1);
	setenv("NO_PROXY", "example.com", 1);
	prints("# warning: no_proxy has localhost here: clients with the same do not use the proxy "
	       "for this machine; unset it to try\n" STORE);
	unsetenv("no_proxy");
	setenv("NO_PROXY", "*", 1);
	snprintf(expected, sizeof(expected),
		 "# warning: NO_PROXY has * here: clients with the same do not use the proxy for "
		 "this machine; unset it to try\n%s",
		 STORE);
	prints(expected);
}

/* One is one; small sizes are in KiB, larger ones in MiB. */
static void the_store_is_told_in_round_numbers(void **state)
{
	static const struct {
		uint64_t uris, bytes;
		const char *text;
	} rows[] = {
		{1, 1023, "1 URI in 0"},
		{2, 1024, "2 URIs in 1KiB"},
		{12345, (UINT64_C(10) << 20) - 1, "12345 URIs in 10239KiB"},
		{12345, UINT64_C(10) << 20, "12345 URIs in 10MiB"},
		{12345, (UINT64_C(11) << 20) - 1, "12345 URIs in 10MiB"},
		{12345, UINT64_C(2) << 30, "12345 URIs in 2GiB"},
	};
	char expected[512];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		notices_set_store(rows[i].uris, rows[i].bytes);
		snprintf(expected, sizeof(expected),
			 "store: /the/store\n# it holds %s, and may grow to 256MiB\n",
			 rows[i].text);
		prints(expected);
	}
}

/* The first address of the proxy is the one to try, not one of another front end, nor a file. */
static void what_to_try_is_the_proxy(void **state)
{
	(void)state;
	add(&admin_frontend, "127.0.0.1:1");
	add(&forward_frontend, "/run/proxy");
	add(&forward_frontend, "[::1]:3");
	prints("stats: http://127.0.0.1:1/stats\n"
	       "proxy: curl --unix-socket '/run/proxy' --request-target http://example.com/ "
	       "http://example.com/\n"
	       "export http_proxy=http://[::1]:3 HTTP_PROXY=http://[::1]:3\n" SPELLINGS STORE TRY(
		       "[::1]:3"));
}

static void nothing_to_warn_of(void **state)
{
	(void)state;
	add(&forward_frontend, "127.0.0.1:3128");
	add(&admin_frontend, "127.0.0.1:3129");
	warns("");
}

static void pages_without_a_token_are_warned_of(void **state)
{
	(void)state;
	add(&admin_frontend, "127.0.0.1:3128");
	add(&admin_frontend, "0.0.0.0:3129");
	add(&admin_frontend, "192.0.2.1:3130");
	warns("warning: admin: other machines may reach 0.0.0.0:3129, which asks for no token: "
	      "they "
	      "may read the statistics, and change nothing (403 for POST); give it an "
	      "admin_token_file, or keep it to 127.0.0.1 or a Unix socket\n"
	      "warning: admin: other machines may reach 192.0.2.1:3130, which asks for no token: "
	      "they may read the statistics, and change nothing (403 for POST); give it an "
	      "admin_token_file, or keep it to 127.0.0.1 or a Unix socket\n");
	assert_true(test_conf_set_all(conf, "admin_token_file=/dev/null"));
	warns("");
}

static void an_open_proxy_is_warned_of(void **state)
{
	static const char text[] =
		"warning: listen: an open proxy: whoever reaches 192.0.2.1:3128 may use it, as "
		"clients has 0.0.0.0/0 and there is no password_file; name your networks in "
		"clients, or give it a password_file\n";

	(void)state;
	add(&forward_frontend, "127.0.0.1:3127");
	add(&gateway, "192.0.2.1:80");
	add(&forward_frontend, "192.0.2.1:3128");
	warns("");
	assert_true(test_conf_set_all(conf, "clients=192.0.2.0/24,0.0.0.0/0"));
	warns(text);
	at[2].is_tls = true;
	warns(text);
	assert_true(test_conf_set_all(conf, "password_file=/dev/null"));
	warns("");
}

static void passwords_in_the_clear_are_warned_of(void **state)
{
	(void)state;
	assert_true(test_conf_set_all(conf, "password_file=/dev/null"));
	add(&forward_frontend, "127.0.0.1:3127");
	add(&forward_frontend, "192.0.2.1:3128");
	add(&gateway, "192.0.2.1:80");
	warns("warning: listen: passwords come to 192.0.2.1:3128 in the clear, for all on the way "
	      "to "
	      "read: let clients speak TLS, with listen = tls:192.0.2.1:3128, tls_certificate and "
	      "tls_key\n");
	at[1].is_tls = true;
	warns("");
}

static void certificates_have_their_time(void **state)
{
	static char server; /* in place of one, whose address alone is handed on */

	(void)state;
	assert_true(test_conf_set_all(conf, "tls_certificate=/dev/null"));
	generation.tls = (void *)&server;
	begins_s = NOW_S;
	ends_s = NOW_S + 1;
	warns("");
	ends_s = NOW_S;
	warns("error: tls_certificate: /dev/null: has expired: clients that look refuse it; put a "
	      "new "
	      "one there, and reload\n");
	ends_s = NOW_S + 2;
	begins_s = NOW_S + 1;
	warns("error: tls_certificate: /dev/null: is not valid yet, by this machine's clock\n");
	generation.tls = NULL;
	warns("");
}

static void files_that_a_reload_needs_are_tried(void **state)
{
	static const char *const options[] = {"tls_certificate", "tls_key", "tls_client_ca",
					      "password_file", "admin_token_file"};
	char setting[64], expected[512];

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		snprintf(setting, sizeof(setting), "%s=/nowhere/x", options[i]);
		assert_true(test_conf_set_all(conf, setting));
		snprintf(expected, sizeof(expected),
			 "error: %s: /nowhere/x: was read at the start, and cannot be read by the "
			 "user that the service is now: a reload or an upgrade will be refused (No "
			 "such file or directory); let a group of that user read it\n",
			 options[i]);
		warns(expected);
		snprintf(setting, sizeof(setting), "%s=/dev/null", options[i]);
		assert_true(test_conf_set_all(conf, setting));
		warns("");
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_address_can_be_pasted),
		TEST(a_proxy_with_tls_needs_a_name),
		TEST(a_file_is_for_curl),
		TEST(other_machines_have_an_address),
		TEST(no_proxy_is_warned_of),
		TEST(the_store_is_told_in_round_numbers),
		TEST(what_to_try_is_the_proxy),
		TEST(nothing_to_warn_of),
		TEST(pages_without_a_token_are_warned_of),
		TEST(an_open_proxy_is_warned_of),
		TEST(passwords_in_the_clear_are_warned_of),
		TEST(certificates_have_their_time),
		TEST(files_that_a_reload_needs_are_tried),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
