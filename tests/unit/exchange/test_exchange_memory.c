/* LINKS: proxy/exchange tests/doubles/counted_memory.c */
/* Where an exchange lives: in the buffer it came in, or parked in memory of its own, and used again. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "proxy/exchange/exchange.h"
#include "tests/doubles/counted_memory.h"
#include "tests/support/messages.h"

static struct exchanges exchanges;
static struct message message;

static void begin(struct exchange *x, char user[static 8])
{
	*x = (struct exchange){
		.use = &exchanges,
		.req = *request_of(&message, "GET http://a.example/path\nX-A: b\n"),
	};
	strcpy(user, "Aladdin");
	x->user = slice_str(user);
}

static void assert_is_whole(const struct exchange *x)
{
	const struct http_field *line = http_fields_named(&x->req.fields, SLICE("X-A"));

	assert_true(slice_eq(x->req.uri.host, SLICE("a.example")));
	assert_true(slice_eq(x->req.uri.path, SLICE("/path")));
	assert_non_null(line);
	assert_true(slice_eq(line->value, SLICE("b")));
	assert_true(slice_eq(x->user, SLICE("Aladdin")));
}

/* What it came in may be used for something else. */
static void one_that_is_parked_has_its_own(void **state)
{
	struct exchange x;
	char user[8];
	void *memory;

	(void)state;
	begin(&x, user);
	assert_is_whole(&x);
	assert_true(exchange_park(&x));
	memset(message.text, '!', sizeof(message.text));
	memset(user, '!', sizeof(user));
	assert_is_whole(&x);
	assert_true(x.user.p > (const char *)x.memory); /* behind the request */
	memory = x.memory;
	assert_true(exchange_park(&x)); /* it is parked */
	assert_ptr_equal(x.memory, memory);
	assert_is_whole(&x);
	free(memory);
}

/* However short its name is. */
static void a_user_is_kept(void **state)
{
	struct exchange x;
	char user[8], name[] = "A";

	(void)state;
	begin(&x, user);
	x.user = slice_str(name);
	assert_true(exchange_park(&x));
	name[0] = '!';
	assert_true(slice_eq(x.user, SLICE("A")));
	free(x.memory);
	begin(&x, user);
	x.user = slice_of(NULL, 0);
	assert_true(exchange_park(&x));
	assert_int_equal(x.user.n, 0);
	free(x.memory);
}

static void without_memory_it_stays_where_it_is(void **state)
{
	struct exchange x;
	char user[8];

	(void)state;
	begin(&x, user);
	if (fail_allocation(0))
		assert_false(exchange_park(&x));
	fail_no_allocation();
	assert_null(x.memory);
	assert_is_whole(&x);
}

/* Each as often as one ends before the next begins. */
static void memory_is_used_again(void **state)
{
	size_t alive = allocations_alive();
	struct exchange *one = calloc(1, sizeof(*one)), *two = calloc(1, sizeof(*two));

	(void)state;
	assert_true(one != NULL && two != NULL);
	one->use = two->use = &exchanges;
	exchange_discard(one);
	exchange_discard(two);
	assert_ptr_equal(exchanges.spare, two);
	exchanges_free(&exchanges);
	assert_null(exchanges.spare);
	assert_int_equal(allocations_alive(), alive);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_is_parked_has_its_own),
		cmocka_unit_test(a_user_is_kept),
		cmocka_unit_test(without_memory_it_stays_where_it_is),
		cmocka_unit_test(memory_is_used_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
