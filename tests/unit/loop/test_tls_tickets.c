/* LINKS: proxy/loop */
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

/* The text, as if it had been written so many periods ago. */
static void age(char text[TICKETS_TEXT], int64_t periods)
{
	char whole[2 * TICKETS_TEXT];
	const char *rest = strchr(text, ' ');
	int64_t period = strtoll(text, NULL, 10);

	if (period < periods)
		skip(); /* the machine was started too short a time ago */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_another_program_goes_on),
		cmocka_unit_test(test_a_key_is_accepted_for_a_period_more),
		cmocka_unit_test(test_wrong_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
