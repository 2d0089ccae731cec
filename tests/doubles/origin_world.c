/* What connectors, dialers and origins use; see origin_world.h. */
#include "tests/doubles/origin_world.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "proxy/base/monotonic.h"
#include "tests/doubles/counted_memory.h"
#include "tests/doubles/fake_conn.h"
#include "tests/doubles/fake_resolver.h"
#include "tests/doubles/sure_memory.h"
#include "tests/support/test_conf.h"

struct origin_world world;

static size_t alive; /* allocations, before the world was there */

/* ---- clocks, and what the kernel says ------------------------------------------------------- */

int64_t monotonic_us(void)
{
	return (fake_conn_now_ms() + 1) * 1000;
}

/* Of connections that are none: the near end's address, which is also the far end's if it is here. */
int getsockname(int fd, __SOCKADDR_ARG address, socklen_t *__restrict length)
{
	union address here;

	(void)fd;
	assert_true(*length >= sizeof(here));
	assert_true(address_parse(world.is_own ? SLICE("10.0.0.1") : SLICE("192.0.2.1"), &here));
	memcpy(address.__sockaddr__, &here, sizeof(here));
	return 0;
}

/* ---- life ----------------------------------------------------------------------------------- */

void world_share_out(void)
{
	budgets_init(&world.budgets, world.holdings, 0, world.conf, &world.descriptors);
}

void world_set(const char *options)
{
	struct diagnostic error = {""};
	union address own = {.any.sa_family = AF_UNSPEC};

	access_free(world.access);
	routes_free(world.routes);
	assert_true(test_conf_set_all(world.conf, options));
	assert_true(address_parse(SLICE("0.0.0.0"), &own));
	address_set_port(&own, 3128);
	world_share_out();
	world.access = access_new(
		world.conf, &(struct access_place){.listeners = &own, .listener_count = 1}, &error);
	world.routes = routes_new(world.conf, &error);
	assert_string_equal(error.text, "");
	world.admission = admission_new(world.conf, world.access, world.routes);
	world.dialers.connectors.access = world.access;
	world.dialers.routes = world.routes;
}

int world_open(void **state)
{
	struct diagnostic error = {""};

	(void)state;
	localtime(&(time_t){0}); /* the C library keeps the zone, which lines of the log ask for */
	alive = allocations_alive();
	world = (struct origin_world){.conf = test_conf_new(),
				      .descriptors = descriptors_share(4096, 0)};
	world.holdings = holdings_map(1, 4096);
	turn_init(&world.turn);
	world.turn.in =
		(struct scratch){.block = sure_memory(NULL, SCRATCH_SIZE, 1), .size = SCRATCH_SIZE};
	fake_conn_connects(0);
	world.resolver = resolver_new(NULL, world.conf, &world.budgets, &error);
	world.dialers.connectors = (struct connectors){
		.conf = world.conf,
		.turn = &world.turn,
		.budgets = &world.budgets,
		.resolver = world.resolver,
	};
	world_set("connect_timeout=1s;allow=10.0.0.0/8");
	return 0;
}

int world_close(void **state)
{
	(void)state;
	turn_free_all();
	assert_int_equal(holdings_count(world.holdings, 0), 0);
	assert_int_equal(fake_conn_open(), 0);
	assert_null(world.turn.in.borrower);
	fake_conn_forget();
	holdings_unmap(world.holdings);
	resolver_free(world.resolver);
	access_free(world.access);
	routes_free(world.routes);
	test_conf_free(world.conf);
	free(world.turn.in.block);
	assert_int_equal(allocations_alive(), alive);
	return 0;
}

/* ---- turns and time ------------------------------------------------------------------------- */

/* One turn; false when nothing was to be done in it. */
static bool one_turn(void)
{
	bool any;

	world.turn.now_ms = fake_conn_now_ms();
	turn_begin(&world.turn);
	any = fake_conn_turn(false) || world.turn.soon.count + world.turn.due > 0;
	any |= turn_end(&world.turn);
	turn_free_all();
	return any;
}

void world_settle(void)
{
	for (unsigned i = 0; one_turn(); i++)
		assert_true(i < 1000);
}

void world_pass(int64_t ms)
{
	for (int64_t end = fake_conn_now_ms() + ms; fake_conn_now_ms() < end;) {
		int64_t next = fake_conn_next_ms();

		if (next <= fake_conn_now_ms())
			next = fake_conn_now_ms() + 1;
		next = next < end ? next : end;
		next -= fake_conn_now_ms();
		fake_conn_pass(next);
		world.turn.now_ms = fake_conn_now_ms();
		fake_resolver_advance(world.resolver, next);
		world_settle();
	}
}
