/* LINKS: proxy/peers.c proxy/address.c proxy/descriptors.c */
/* Connections by client address, and how descriptors are shared out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "proxy/descriptors.h"
#include "proxy/peers.h"

static union address address_of(const char *text)
{
	union address address;

	assert_true(address_parse(slice_str(text), &address));
	return address;
}

static bool enter(struct peers *peers, const char *text)
{
	union address address = address_of(text);

	return peers_enter(peers, &address);
}

static void leave(struct peers *peers, const char *text)
{
	union address address = address_of(text);

	peers_leave(peers, &address);
}

static void test_each_address_has_its_own(void **state)
{
	struct peers *peers = peers_new(2);

	(void)state;
	assert_true(enter(peers, "192.0.2.1"));
	assert_true(enter(peers, "192.0.2.1"));
	assert_false(enter(peers, "192.0.2.1"));
	assert_true(enter(peers, "192.0.2.2"));
	leave(peers, "192.0.2.1");
	assert_true(enter(peers, "192.0.2.1"));
	assert_false(enter(peers, "192.0.2.1"));
	leave(peers, "192.0.2.1");
	leave(peers, "192.0.2.1");
	leave(peers, "192.0.2.2");
	assert_true(enter(peers, "192.0.2.1")); /* and is given back by peers_free() */
	peers_free(peers);
}

static void test_what_is_one_client(void **state)
{
	struct peers *peers = peers_new(1);

	(void)state;
	assert_true(enter(peers, "192.0.2.1"));
	assert_false(enter(peers, "::ffff:192.0.2.1"));
	assert_true(enter(peers, "2001:db8::1"));
	assert_false(enter(peers, "2001:db8::ffff:ffff:ffff:ffff"));
	assert_true(enter(peers, "2001:db8:0:1::1"));
	/* no IPv4 address is one of the /64 that begins with its bytes */
	assert_true(enter(peers, "c000:201::1"));
	peers_free(peers);
}

static void test_many(void **state)
{
	struct peers *peers = peers_new(1);
	char text[32];

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 5000; i++) {
			snprintf(text, sizeof(text), "10.0.%u.%u", i >> 8, i & 255);
			assert_true(enter(peers, text));
		}
		for (unsigned i = 0; i < 5000; i++) {
			snprintf(text, sizeof(text), "10.0.%u.%u", i >> 8, i & 255);
			assert_false(enter(peers, text));
			leave(peers, text);
		}
	}
	peers_free(peers);
}

/* Clients at work with an origin each, those refused, and idle origins: all fit. */
static void test_descriptors_suffice(void **state)
{
	(void)state;
	for (uint64_t limit = 64; limit < 2000000; limit += limit / 3) {
		struct descriptors share = descriptors_share(limit);

		assert_true(share.clients >= 10);
		assert_true(share.refusals >= 2 && share.refusals <= 256);
		assert_true(share.origins_idle >= 2);
		assert_true(2 * (uint64_t)share.clients + share.refusals + share.origins_idle +
				    32 <=
			    limit);
	}
	assert_true(descriptors_share(0).clients > 0);
	assert_true(descriptors_share(UINT64_MAX).clients > 1000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_address_has_its_own),
		cmocka_unit_test(test_what_is_one_client),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_descriptors_suffice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
