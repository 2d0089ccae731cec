/* LINKS: proxy/dns */
/* What name servers said: one answer of A and AAAA, how long it is kept, and how many are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "proxy/dns/dns_answer.h"
#include "proxy/dns/dns_cache.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { DAY_MS = 86400 * 1000, NEGATIVE_MS = 5000 };

static union address address_of(const char *text)
{
	union address address;

	assert_true(address_parse(slice_str(text), &address));
	return address;
}

static struct addresses one_address(const char *text)
{
	return (struct addresses){.count = 1, .at = {address_of(text)}};
}

static struct dns_part part_of(enum dns_status status, const char *address, int ttl_s)
{
	struct dns_part part = {.status = status};
	union address one;

	if (status == DNS_FOUND) {
		one = address_of(address);
		dns_part_add(&part, &one, ttl_s);
	}
	return part;
}

static void one_answer_is_made_of_two(void **state)
{
	enum dns_status F = DNS_FOUND, N = DNS_NO_NAME, O = DNS_NO_ADDRESS, X = DNS_SERVER_FAILED,
			S = DNS_SERVER_SILENT, P = DNS_PENDING, L = DNS_NOBODY_ASKED;
	/* What is told of each, when that is the reason. */
	const char *const why[] = {
		[DNS_NO_NAME] = "no such name (NXDOMAIN)",
		[DNS_NO_ADDRESS] = "the name has no address",
		[DNS_SERVER_FAILED] = "the name servers failed, refused, or cannot be reached",
		[DNS_SERVER_SILENT] = "no name server answered within dns_timeout",
		[DNS_PENDING] = "no name server answered within dns_timeout",
		[DNS_NOBODY_ASKED] = "no socket or no memory to ask a name server with",
	};
	const struct {
		enum dns_status v4;
		enum dns_status v6;
		enum failure failure;
		int64_t keep_ms; /* with a TTL of 60 for A and 90 for AAAA */
		const char *why_none;
	} cases[] = {
		{F, F, FAILURE_NONE, 60000, NULL},
		{F, O, FAILURE_NONE, 60000, NULL},
		{F, N, FAILURE_NONE, 60000, NULL},
		{F, X, FAILURE_NONE, 60000, NULL},
		{F, S, FAILURE_NONE, 60000, NULL},
		{F, P, FAILURE_NONE, 60000, NULL},
		{F, L, FAILURE_NONE, 60000, NULL},
		{O, F, FAILURE_NONE, 90000, NULL},
		{N, F, FAILURE_NONE, 90000, NULL},
		{X, F, FAILURE_NONE, NEGATIVE_MS, NULL},
		{S, F, FAILURE_NONE, NEGATIVE_MS, NULL},
		{P, F, FAILURE_NONE, NEGATIVE_MS, NULL},
		{N, N, FAILURE_DNS_ERROR, NEGATIVE_MS, why[N]},
		{O, O, FAILURE_DNS_ERROR, NEGATIVE_MS, why[O]},
		{N, P, FAILURE_DNS_ERROR, NEGATIVE_MS, why[N]},
		{N, X, FAILURE_DNS_ERROR, NEGATIVE_MS, why[N]},
		{O, S, FAILURE_DNS_TIMEOUT, NEGATIVE_MS, why[S]},
		{O, P, FAILURE_DNS_TIMEOUT, NEGATIVE_MS, why[P]},
		{P, P, FAILURE_DNS_TIMEOUT, NEGATIVE_MS, why[P]},
		{S, S, FAILURE_DNS_TIMEOUT, NEGATIVE_MS, why[S]},
		{P, O, FAILURE_DNS_TIMEOUT, NEGATIVE_MS, why[P]},
		{X, X, FAILURE_DNS_ERROR, NEGATIVE_MS, why[X]},
		{X, S, FAILURE_DNS_ERROR, NEGATIVE_MS, why[X]},
		{S, X, FAILURE_DNS_ERROR, NEGATIVE_MS, why[S]},
		{L, L, FAILURE_DNS_ERROR, 0, why[L]},
		{N, L, FAILURE_DNS_ERROR, 0, why[N]},
		{L, N, FAILURE_DNS_ERROR, 0, why[L]},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct dns_part v4 = part_of(cases[i].v4, "192.0.2.1", 60);
		struct dns_part v6 = part_of(cases[i].v6, "2001:db8::1", 90);
		struct addresses found;

		if (dns_answer(&v6, &v4, &found) != cases[i].failure ||
		    dns_answer_keep_ms(&v6, &v4, NEGATIVE_MS) != cases[i].keep_ms ||
		    (found.count > 0) != (cases[i].failure == FAILURE_NONE))
			fail_msg("case %zu", i);
		assert_int_equal(found.source, FROM_NAME_SERVERS);
		if (cases[i].why_none == NULL)
			assert_null(found.why_none);
		else
			assert_string_equal(found.why_none, cases[i].why_none);
	}
}

static void times_have_bounds(void **state)
{
	static const struct {
		int ttl_s;
		int64_t keep_ms;
	} cases[] = {
		{-1, 1000},        {0, 1000},       {1, 1000},       {2, 2000},
		{86399, 86399000}, {86400, DAY_MS}, {86401, DAY_MS}, {INT32_MAX, DAY_MS},
	};
	struct dns_part none = part_of(DNS_NO_ADDRESS, NULL, 0);
	struct dns_part silent = part_of(DNS_SERVER_SILENT, NULL, 0);
	struct dns_part v6 = part_of(DNS_FOUND, "2001:db8::1", 60);

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct dns_part v4 = part_of(DNS_FOUND, "192.0.2.1", cases[i].ttl_s);

		assert_int_equal(dns_answer_keep_ms(&none, &v4, NEGATIVE_MS), cases[i].keep_ms);
	}
	v6.ttl_s = 86401;
	assert_int_equal(dns_answer_keep_ms(&v6, &none, NEGATIVE_MS), DAY_MS);
	v6.ttl_s = 60;
	/* A denial is believed as long as told, trouble for five minutes. */
	assert_int_equal(dns_answer_keep_ms(&none, &none, 3600000), 3600000);
	assert_int_equal(dns_answer_keep_ms(&none, &silent, 300001), 300000);
	assert_int_equal(dns_answer_keep_ms(&none, &silent, 299999), 299999);
	assert_int_equal(dns_answer_keep_ms(&none, &silent, 0), 0);
	assert_int_equal(dns_answer_keep_ms(&v6, &silent, 0), 1000);
	assert_int_equal(dns_answer_keep_ms(&v6, &silent, 100000), 60000);
}

static void a_part_has_room_for_so_many(void **state)
{
	struct dns_part part = {.status = DNS_PENDING};

	(void)state;
	for (uint8_t i = 0; i <= ADDRESSES_MAX; i++) {
		union address address = address_from_bytes(AF_INET, (uint8_t[]){192, 0, 2, i});

		dns_part_add(&part, &address, 100 - i);
		assert_int_equal(part.count, i < ADDRESSES_MAX ? i + 1 : ADDRESSES_MAX);
	}
	assert_int_equal(part.ttl_s, 100 - ADDRESSES_MAX + 1);
}

static const char *found(struct dns_cache *cache, const char *name, int64_t now_ms)
{
	static char text[ADDRESS_TEXT_SIZE];
	struct addresses addresses;
	enum failure failure;

	if (!dns_cache_find(cache, slice_str(name), now_ms, &failure, &addresses))
		return "";
	if (failure != FAILURE_NONE)
		return failure == FAILURE_DNS_TIMEOUT ? "timeout" : "error";
	address_format(&addresses.at[addresses.count - 1], text);
	return text;
}

static void put(struct dns_cache *cache, const char *name, int64_t until_ms, const char *address)
{
	struct addresses addresses = one_address(address);

	dns_cache_put(cache, slice_str(name), until_ms, FAILURE_NONE, &addresses);
}

static void answers_are_found_until_their_time(void **state)
{
	struct dns_cache *cache = dns_cache_new(10);
	struct addresses none = {.count = 0};

	(void)state;
	put(cache, "a", 1000, "192.0.2.1");
	dns_cache_put(cache, SLICE("b"), 2000, FAILURE_DNS_TIMEOUT, &none);
	assert_string_equal(found(cache, "a", 0), "192.0.2.1");
	assert_string_equal(found(cache, "b", 0), "timeout");
	assert_string_equal(found(cache, "c", 0), "");
	assert_string_equal(found(cache, "aa", 0), "");
	assert_string_equal(found(cache, "a", 999), "192.0.2.1");
	assert_string_equal(found(cache, "a", 1000), "");
	assert_string_equal(found(cache, "b", 1000), "timeout");
	put(cache, "b", 3000, "2001:db8::1");
	assert_string_equal(found(cache, "b", 2500), "2001:db8::1");
	dns_cache_free(cache);
}

/* Whatever was in the place of it before. */
static void all_of_an_answer_is_found(void **state)
{
	struct dns_cache *cache = dns_cache_new(10);
	struct addresses none = {.why_none = "why"}, answer = {.source = FROM_HERE, .count = 3};
	enum failure failure = FAILURE_NONE;

	(void)state;
	dns_cache_put(cache, SLICE("a"), 1000, FAILURE_DNS_ERROR, &none);
	assert_true(dns_cache_find(cache, SLICE("a"), 0, &failure, &answer));
	assert_int_equal(failure, FAILURE_DNS_ERROR);
	assert_int_equal(answer.source, FROM_NAME_SERVERS);
	assert_int_equal(answer.count, 0);
	assert_string_equal(answer.why_none, "why");
	put(cache, "b", 1000, "192.0.2.1");
	assert_true(dns_cache_find(cache, SLICE("b"), 0, &failure, &answer));
	assert_int_equal(failure, FAILURE_NONE);
	assert_int_equal(answer.count, 1);
	assert_null(answer.why_none);
	dns_cache_free(cache);
}

static void the_one_not_asked_for_longest_goes_first(void **state)
{
	struct dns_cache *cache = dns_cache_new(3);

	(void)state;
	put(cache, "a", 1000, "192.0.2.1");
	put(cache, "b", 1000, "192.0.2.2");
	put(cache, "c", 1000, "192.0.2.3");
	assert_string_equal(found(cache, "a", 0), "192.0.2.1");
	put(cache, "d", 1000, "192.0.2.4");
	assert_string_equal(found(cache, "b", 0), "");
	assert_string_equal(found(cache, "a", 0), "192.0.2.1");
	assert_string_equal(found(cache, "c", 0), "192.0.2.3");
	put(cache, "c", 1000, "192.0.2.33"); /* in its own place */
	assert_string_equal(found(cache, "d", 0), "192.0.2.4");
	assert_string_equal(found(cache, "c", 0), "192.0.2.33");
	dns_cache_free(cache);
}

static void a_flood_of_names_stays_in_bounds(void **state)
{
	enum { MAX = 100 };
	struct dns_cache *cache = dns_cache_new(MAX);
	char name[32];
	int kept = 0;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "h%d.example", i);
		put(cache, name, 1000, "192.0.2.1");
	}
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "h%d.example", i);
		kept += found(cache, name, 0)[0] != '\0';
	}
	assert_int_equal(kept, MAX);
	assert_string_equal(found(cache, "h4900.example", 0), "192.0.2.1");
	assert_string_equal(found(cache, "h4899.example", 0), "");
	dns_cache_free(cache);
}

static void with_no_room_nothing_is_kept(void **state)
{
	struct dns_cache *cache = dns_cache_new(0);

	(void)state;
	put(cache, "a", 1000, "192.0.2.1");
	assert_string_equal(found(cache, "a", 0), "");
	dns_cache_free(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_answer_is_made_of_two),
		cmocka_unit_test(times_have_bounds),
		cmocka_unit_test(a_part_has_room_for_so_many),
		cmocka_unit_test(answers_are_found_until_their_time),
		cmocka_unit_test(all_of_an_answer_is_found),
		cmocka_unit_test(the_one_not_asked_for_longest_goes_first),
		cmocka_unit_test(a_flood_of_names_stays_in_bounds),
		cmocka_unit_test(with_no_room_nothing_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
