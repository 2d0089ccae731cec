/* LINKS: proxy/dns tests/doubles/counted_memory.c */
/* Memory runs out at each place where names are looked up: that question fails, the next does not, and none is lost. */
#include "tests/support/resolver_fixture.h"

#include <ares.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/dns/dns_cache.h"
#include "proxy/dns/dns_channel.h"
#include "proxy/dns/hosts.h"
#include "tests/doubles/counted_memory.h"

enum {
	FAILURES_MAX = 2000, /* more allocations than one step has */
	TURNS_MAX = 1000,    /* of a loop that ticks */
	MANY = 400,          /* names, for which a table must grow more than once */
};

/* ---- c-ares as a whole: in place of the library's ------------------------------------------- */

static int library_uses;
static bool library_fails;

int ares_library_init(int flags)
{
	(void)flags;
	if (library_fails)
		return ARES_ENOTINITIALIZED;
	library_uses++;
	return ARES_SUCCESS;
}

void ares_library_cleanup(void)
{
	library_uses--;
}

/* ---- what is asked -------------------------------------------------------------------------- */

static const struct name_row rows[] = {
	{.name = "web.example", .type = NAME_A, .addresses = "192.0.2.1", .ttl = 60},
	{.name = "web.example", .type = NAME_AAAA, .addresses = "2001:db8::1", .ttl = 60},
	{.name = NULL},
};

/* A step with the n-th allocation failing; false when it needs no more than n. */
static bool fail_in(size_t n, void (*step)(void *context), void *context)
{
	size_t before = allocations_so_far();

	assert_true(n < FAILURES_MAX);
	fail_allocation(n);
	step(context);
	fail_no_allocation();
	return allocations_so_far() - before > n;
}

struct question {
	struct fixture *fixture;
	const char *host;
	struct asked asked;
};

static void start(void *context)
{
	struct question *question = context;

	resolver_fixture_start(question->fixture, question->host, &question->asked);
}

/* What a look-up has that was answered before its end, it gives back when its last server has answered. */
static void wait_for_end(struct fixture *fixture, size_t alive)
{
	for (unsigned turns = 0; allocations_alive() > alive && turns < TURNS_MAX; turns++)
		ev_run(fixture->loop, EVRUN_ONCE);
	assert_true(allocations_alive() <= alive);
}

/* Whatever could not be had: an answer to each, and the whole one to who asks next. */
static void a_question_fails_alone(void **state)
{
	struct question question = {.fixture = *state, .host = "web.example"};
	unsigned failed = 0;
	size_t n = 0, alive = 0;

	resolver_fixture_set(question.fixture, "dns_cache", "0");
	resolver_fixture_open(question.fixture, rows);
	for (bool more = true; more; n++) {
		more = fail_in(n, start, &question);
		resolver_fixture_wait(&question.asked);
		failed += question.asked.failure != FAILURE_NONE;
		if (question.asked.failure != FAILURE_NONE)
			assert_int_equal(question.asked.failure, FAILURE_DNS_ERROR);
		assert_string_equal(resolver_fixture_ask(question.fixture, question.host),
				    "2001:db8::1 192.0.2.1");
		assert_int_equal(question.asked.calls, 1);
		if (n < 2)
			alive = allocations_alive(); /* the loop has what it needs */
		wait_for_end(question.fixture, alive);
	}
	assert_true(failed > 5);
	assert_int_equal(question.asked.failure, FAILURE_NONE); /* of the last, none failed */
}

/* What this machine had no memory for is no answer to keep. */
static void no_memory_is_not_kept(void **state)
{
	struct question question = {.fixture = *state, .host = "web.example"};

	resolver_fixture_open(question.fixture, rows);
	fail_in(0, start, &question);
	assert_int_equal(question.asked.calls, 1);
	assert_int_equal(question.asked.failure, FAILURE_DNS_ERROR);
	assert_string_equal(resolver_fixture_ask(question.fixture, question.host),
			    "2001:db8::1 192.0.2.1");
}

/* Without memory for one more who waits, the look-up goes on for the others. */
static void one_who_waits_fails_alone(void **state)
{
	struct question question = {.fixture = *state, .host = "web.example"};
	struct asked first;

	resolver_fixture_open(question.fixture, rows);
	resolver_fixture_start(question.fixture, question.host, &first);
	fail_in(0, start, &question);
	assert_int_equal(question.asked.calls, 1);
	assert_int_equal(question.asked.failure, FAILURE_TOO_MANY_LOOKUPS);
	resolver_fixture_wait(&first);
	assert_string_equal(first.addresses, "2001:db8::1 192.0.2.1");
}

/* Allocations before a look-up is in the table of them: its own, and those of its channel. */
static size_t allocations_of_a_channel(const struct fixture *fixture)
{
	struct dns_channel channel = {0};
	struct dns_servers servers = {.count = 0};
	union address address;
	size_t before;

	assert_true(address_parse(SLICE("127.0.0.1"), &address));
	assert_true(dns_servers_add(&servers, &address, 53));
	before = allocations_so_far();
	assert_true(dns_channel_open(&channel, &servers, (int)fixture->conf->dns_timeout_ms, NULL,
				     NULL, NULL));
	before = allocations_so_far() - before;
	dns_channel_close(&channel);
	return before;
}

/* So many that the table of look-ups grows, with and without the memory for that. */
static void many_names_are_looked_up_at_once(void **state)
{
	struct fixture *fixture = *state;
	struct question *questions = calloc(MANY, sizeof(*questions));
	char(*hosts)[32] = calloc(MANY, sizeof(*hosts));
	size_t n;

	assert_true(questions != NULL && hosts != NULL);
	resolver_fixture_set(fixture, "dns_lookups", "2000");
	fixture->descriptors.sockets = 4 * MANY;
	resolver_fixture_open(fixture, rows);
	n = 1 + allocations_of_a_channel(fixture);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(hosts[i], sizeof(hosts[i]), "n%u.example", i);
		questions[i] = (struct question){.fixture = fixture, .host = hosts[i]};
		if (i > 0 && i < MANY * 3 / 4) /* with the first there is a table */
			fail_in(n, start, &questions[i]);
		else
			start(&questions[i]);
	}
	for (unsigned i = 0; i < MANY; i++) {
		resolver_fixture_wait(&questions[i].asked);
		if (questions[i].asked.failure != FAILURE_DNS_ERROR)
			fail_msg("%u: %s", i, failure_name(questions[i].asked.failure));
		assert_int_equal(questions[i].asked.calls, 1);
	}
	assert_string_equal(resolver_fixture_ask(fixture, "web.example"), "2001:db8::1 192.0.2.1");
	free(questions);
	free(hosts);
}

struct opening {
	struct fixture *fixture;
	struct resolver *resolver;
	struct diagnostic error;
};

static void open_resolver(void *context)
{
	struct opening *opening = context;

	opening->resolver =
		resolver_new(opening->fixture->loop, opening->fixture->conf, NULL, &opening->error);
}

static void a_resolver_is_whole_or_says_why_not(void **state)
{
	struct opening opening = {.fixture = *state};
	size_t alive = 0;

	resolver_fixture_set(opening.fixture, "hosts_file", "/etc/hosts");
	for (size_t n = 0; fail_in(n, open_resolver, &opening); n++) {
		/* what c-ares fails with by itself has names of its own */
		if (opening.resolver == NULL && strstr(opening.error.text, "memory") == NULL)
			fail_msg("%zu: %s", n, opening.error.text);
		assert_int_equal(library_uses, opening.resolver != NULL);
		resolver_free(opening.resolver);
		assert_int_equal(library_uses, 0);
		opening.error.text[0] = '\0';
		assert_true(n == 0 || allocations_alive() == alive);
		alive = allocations_alive();
	}
	assert_non_null(opening.resolver);
	resolver_free(opening.resolver);
	library_fails = true;
	open_resolver(&opening);
	library_fails = false;
	assert_null(opening.resolver);
	assert_string_equal(opening.error.text,
			    "resolvers: c-ares cannot start: c-ares library initialization not yet "
			    "performed");
	assert_int_equal(library_uses, 0);
	assert_int_equal(allocations_alive(), alive);
}

static void parse(void *context)
{
	char text[1024] = "";

	for (int i = 0; i < 40; i++)
		sprintf(text + strlen(text), "192.0.2.%d n%d\n", i, i);
	*(struct hosts **)context = hosts_parse(slice_str(text));
}

static void hosts_are_whole_or_none(void **state)
{
	struct addresses found;
	struct hosts *hosts = NULL;
	size_t alive = allocations_alive(), n = 0;

	(void)state;
	for (; fail_in(n, parse, &hosts); n++) {
		assert_null(hosts);
		assert_int_equal(allocations_alive(), alive);
	}
	assert_true(n >= 4); /* the names grew twice at least */
	assert_true(hosts_find(hosts, SLICE("n39"), &found));
	hosts_free(hosts);
	assert_int_equal(allocations_alive(), alive);
}

static void look(void *context)
{
	static int64_t now_ms;

	hosts_file_current(context, now_ms += HOSTS_CHECK_MS);
}

/* A changed file that cannot be read stays unread until it changes again. */
static void the_hosts_file_that_was_read_stays(void **state)
{
	char path[] = "/tmp/test_dns_memory.XXXXXX";
	int fd = mkstemp(path);
	struct diagnostic error = {""};
	struct addresses found;
	struct hosts_file *file;
	size_t n = 0, alive = 0;

	(void)state;
	assert_true(fd >= 0);
	file = hosts_file_open(path, &error);
	assert_non_null(file);
	assert_int_equal(dprintf(fd, "192.0.2.1 web\n"), 14);
	while (fail_in(n, look, file)) {
		assert_false(hosts_find(hosts_file_current(file, 0), SLICE("web"), &found));
		assert_true(n == 0 || allocations_alive() == alive);
		alive = allocations_alive();
		assert_int_equal(dprintf(fd, "\n"), 1);
		n++;
	}
	assert_true(n >= 4);
	assert_true(hosts_find(hosts_file_current(file, 0), SLICE("web"), &found));
	/* what was read before is given back */
	alive = allocations_alive();
	assert_int_equal(dprintf(fd, "\n"), 1);
	look(file);
	assert_int_equal(allocations_alive(), alive);
	hosts_file_close(file);
	close(fd);
	unlink(path);
}

struct put {
	struct dns_cache *cache;
	char name[16];
};

static void put(void *context)
{
	const struct addresses none = {.why_none = "no such name (NXDOMAIN)"};
	const struct put *put = context;

	dns_cache_put(put->cache, slice_str(put->name), INT64_MAX, FAILURE_DNS_ERROR, &none);
}

/* Of each name that is put the second allocation fails, if it has one: when the table grows. */
static void an_answer_is_kept_or_forgotten(void **state)
{
	size_t alive = allocations_alive();
	struct put one = {.cache = dns_cache_new(MANY)};
	struct addresses found;
	enum failure failure;
	unsigned forgotten = 0, kept = 0;

	(void)state;
	assert_non_null(one.cache);
	fail_allocation(0);
	dns_cache_free(dns_cache_new(MANY)); /* there is none, then */
	fail_no_allocation();
	for (size_t n = 0; fail_in(n, put, &one); n++)
		assert_false(dns_cache_find(one.cache, SLICE(""), 0, &failure, &found));
	for (unsigned i = 0; i < MANY; i++) {
		bool has_failed;

		snprintf(one.name, sizeof(one.name), "n%u", i);
		has_failed = fail_in(1, put, &one);
		assert_int_equal(
			dns_cache_find(one.cache, slice_str(one.name), 0, &failure, &found),
			!has_failed);
		forgotten += has_failed;
		kept += !has_failed;
	}
	assert_true(forgotten > 0 && kept > 0);
	put(&one);
	assert_true(dns_cache_find(one.cache, slice_str(one.name), 0, &failure, &found));
	assert_int_equal(failure, FAILURE_DNS_ERROR);
	assert_string_equal(found.why_none, "no such name (NXDOMAIN)");
	dns_cache_free(one.cache);
	assert_int_equal(allocations_alive(), alive);
}

int main(void)
{
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, resolver_fixture_setup, resolver_fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_question_fails_alone),
		TEST(no_memory_is_not_kept),
		TEST(one_who_waits_fails_alone),
		TEST(many_names_are_looked_up_at_once),
		TEST(a_resolver_is_whole_or_says_why_not),
		cmocka_unit_test(hosts_are_whole_or_none),
		cmocka_unit_test(the_hosts_file_that_was_read_stays),
		cmocka_unit_test(an_answer_is_kept_or_forgotten),
	};

	if (!fail_allocation(0)) {
		puts("skipped: a sanitizer has memory of its own");
		return 0;
	}
	fail_no_allocation();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
