/* LINKS: proxy/loop tests/doubles/failing_calls.c -Wl,@tests/doubles/failing_calls.wraps -Wl,--wrap=monotonic_us */
/* Keys of session tickets: the same for all who have the secret, and gone after their time. */
#include "proxy/loop/tls_tickets.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "proxy/base/monotonic.h"
#include "tests/doubles/failing_calls.h"

enum { PERIOD = 1000 }; /* it is now */

static int64_t now_s;

int64_t __real_monotonic_us(void);
int64_t __wrap_monotonic_us(void);
int64_t __wrap_monotonic_us(void)
{
	return now_s * 1000000;
}

static int setup(void **state)
{
	(void)state;
	now_s = PERIOD * TICKETS_PERIOD_S;
	return 0;
}

/* The text, as if it had been written so many periods ago. */
static void age(char text[TICKETS_TEXT], int64_t periods)
{
	char whole[2 * TICKETS_TEXT];
	const char *rest = strchr(text, ' ');
	int64_t period = strtoll(text, NULL, 10);

	snprintf(whole, sizeof(whole), "%" PRId64 "%s", period - periods, rest);
	assert_true(strlen(whole) < TICKETS_TEXT);
	memcpy(text, whole, strlen(whole) + 1);
}

static void test_another_program_goes_on(void **state)
{
	char text[TICKETS_TEXT];
	struct ticket_key first;
	bool renew;

	(void)state;
	assert_true(tls_tickets_begin());
	first = *tls_tickets_key();
	assert_ptr_equal(tls_tickets_find(first.name, &renew), tls_tickets_key());
	assert_false(renew);
	tls_tickets_write(text);
	assert_true(tls_tickets_begin());
	assert_null(tls_tickets_find(first.name, &renew));
	assert_true(tls_tickets_read(text));
	assert_memory_equal(tls_tickets_key(), &first, sizeof(first));
}

static void test_a_key_is_accepted_for_a_period_more(void **state)
{
	char text[TICKETS_TEXT], again[TICKETS_TEXT];
	struct ticket_key first, second;
	bool renew;

	(void)state;
	assert_true(tls_tickets_begin());
	first = *tls_tickets_key();
	tls_tickets_write(text);
	age(text, 1);
	assert_true(tls_tickets_read(text));
	second = *tls_tickets_key();
	assert_memory_not_equal(&second, &first, sizeof(first));
	assert_memory_equal(tls_tickets_find(first.name, &renew), &first, sizeof(first));
	assert_true(renew);

	/* Who comes to it by a longer way has the same keys. */
	tls_tickets_write(again);
	age(text, 1);
	assert_true(tls_tickets_read(text));
	assert_null(tls_tickets_find(first.name, &renew));
	assert_memory_equal(tls_tickets_find(second.name, &renew), &second, sizeof(second));
	assert_true(renew);
	tls_tickets_write(text);
	assert_string_not_equal(text, again);
}

static void test_wrong_texts(void **state)
{
	static const char *const texts[] = {"", "x", "1", "1 00", "99999999999 00", "-1 00"};
	char text[TICKETS_TEXT];
	struct ticket_key first;
	bool renew;

	(void)state;
	assert_true(tls_tickets_begin());
	first = *tls_tickets_key();
	tls_tickets_write(text);
	text[strlen(text) - 1] = '\0';
	assert_true(tls_tickets_read(text));
	assert_null(tls_tickets_find(first.name, &renew));
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		first = *tls_tickets_key();
		assert_true(tls_tickets_read(texts[i]));
		assert_null(tls_tickets_find(first.name, &renew));
	}
}

/* What one program writes, another one reads, perhaps of another version: the text and what follows from it. */
static void test_a_text_and_the_keys_after_it(void **state)
{
	static const char wanted[] =
		"ddbdd30256377434b3680e2bc8d83bcd"
		"a485a76fb62fd908da22cb2966042fb6f62ee88c2b744d6d32d2e91fc9046cf4"
		"00d2b250592638a8b78f4de586f6d744"
		"6143a3e1e60198bd4512cceec7427713";
	char text[TICKETS_TEXT], again[TICKETS_TEXT], found[2 * sizeof(struct ticket_key) + 1];
	const struct ticket_key *key;
	char *to = text;
	bool renew;

	(void)state;
	to += sprintf(to, "%d ", PERIOD - 1);
	for (size_t i = 0; i < 2 * sizeof(struct ticket_key); i++)
		to += sprintf(to, "%02x", (unsigned)(i + 96));
	for (unsigned i = 0; i < 32; i++)
		to += sprintf(to, "%02x", i);
	assert_true(tls_tickets_read(text));
	tls_tickets_write(again);
	assert_string_equal(again, text);
	key = tls_tickets_key();
	for (size_t i = 0; i < sizeof(*key); i++)
		sprintf(found + 2 * i, "%02x", ((const unsigned char *)key)[i]);
	assert_string_equal(found, wanted);
	assert_ptr_equal(tls_tickets_find(key->name, &renew), key);
	assert_false(renew);
	assert_int_equal(
		tls_tickets_find((const unsigned char *)"`abcdefghijklmno", &renew)->mac[31],
		96 + 79);
	assert_true(renew);
	tls_tickets_write(text);
	sprintf(again, "%d %s", PERIOD, wanted);
	assert_memory_equal(text, again, strlen(again));
	assert_string_equal(text + strlen(text) - 64,
			    "d488e83919b029f10e6345b2559d175103a299c9ceeb564c1f2e98eb91e445fe");
}

/* To the second when the next period begins. */
static void test_when_keys_turn(void **state)
{
	struct ticket_key first;

	(void)state;
	assert_true(tls_tickets_begin());
	first = *tls_tickets_key();
	now_s += TICKETS_PERIOD_S - 1;
	assert_memory_equal(tls_tickets_key(), &first, sizeof(first));
	now_s += 1;
	assert_memory_not_equal(tls_tickets_key(), &first, sizeof(first));
}

/* Is a text taken, or are there keys that it does not have? */
static bool takes(const char *text, const struct ticket_key *key)
{
	bool renew;

	assert_true(tls_tickets_read(text));
	return tls_tickets_find(key->name, &renew) != NULL;
}

static void test_texts_with_one_fault(void **state)
{
	static const size_t places[] = {0,          1,      2 * 80 - 1,  2 * 80,
					4 * 80 - 1, 4 * 80, 4 * 80 + 62, 4 * 80 + 63};
	char text[TICKETS_TEXT], wrong[TICKETS_TEXT + 8];
	struct ticket_key key;
	size_t hex;

	(void)state;
	assert_true(tls_tickets_begin());
	key = *tls_tickets_key();
	tls_tickets_write(text);
	assert_true(takes(text, &key));
	hex = strlen(text) - 2 * (2 * 80 + 32);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		strcpy(wrong, text);
		wrong[hex + places[i]] = 'g';
		assert_false(takes(wrong, &key));
	}
	strcpy(wrong, text);
	strcat(wrong, "0");
	assert_false(takes(wrong, &key));
	snprintf(wrong, sizeof(wrong), "%d %s", PERIOD + 1, text + hex);
	assert_false(takes(wrong, &key));
	snprintf(wrong, sizeof(wrong), "-1 %s", text + hex);
	assert_false(takes(wrong, &key));
	now_s = 0;
	snprintf(wrong, sizeof(wrong), "0 %s", text + hex);
	assert_true(takes(wrong, &key));
}

static void test_no_random_bytes(void **state)
{
	(void)state;
	fail_calls("getrandom", 0, 1, EIO);
	assert_false(tls_tickets_begin());
	fail_calls("getrandom", 0, 1, EIO);
	assert_false(tls_tickets_read("x"));
	assert_true(fail_calls_never());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_another_program_goes_on, setup),
		cmocka_unit_test_setup(test_a_key_is_accepted_for_a_period_more, setup),
		cmocka_unit_test_setup(test_wrong_texts, setup),
		cmocka_unit_test_setup(test_a_text_and_the_keys_after_it, setup),
		cmocka_unit_test_setup(test_when_keys_turn, setup),
		cmocka_unit_test_setup(test_texts_with_one_fault, setup),
		cmocka_unit_test_setup(test_no_random_bytes, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
