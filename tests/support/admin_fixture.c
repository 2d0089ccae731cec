/* The operators' front end over a worker without a loop; see admin_fixture.h. */
#include "tests/support/admin_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "proxy/front/admin.h"
#include "proxy/front/forward.h"
#include "proxy/stats/in_flight.h"
#include "proxy/stats/last_uris.h"
#include "proxy/stats/recent_errors.h"
#include "proxy/stats/reload.h"
#include "proxy/stats/service.h"
#include "proxy/stats/sketch.h"

static struct admin_fixture *opened;

/* Anew for each test: there is no way back for one in use, and a service gives nothing of it back. */
static void map(struct stats_service *service)
{
	int file;

	assert_true(stats_service_map(service, 1));
	assert_true(last_uris_share());
	service->reload = reload_map(&file);
	service->upgrade = reload_map(&file);
	assert_non_null(service->reload);
	assert_non_null(service->upgrade);
}

void admin_fixture_open(struct admin_fixture *f, const char *options)
{
	int ends[2];

	*f = (struct admin_fixture){.master = -1};
	worker_fixture_open(&f->world, &forward_frontend, options);
	map(&f->service);
	f->service.started_us = f->world.worker->turn.now_us;
	f->service.started_ms = (int64_t)FAKE_START_S * 1000;
	f->service.alive = f->service.used = 1;
	f->service.blocks = f->world.worker->env.service->blocks;
	sketch_attach(f->service.sketch, 0);
	recent_errors_attach(f->service.errors, 0);
	in_flight_attach(f->service.in_flight, 0);
	store_counts_begin(&f->counts, f->world.worker->cache);
	assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	f->master = ends[0];
	f->world.worker->env.to_master = ends[1];
	f->world.worker->env.service = &f->service;
	f->world.worker->env.counts = &f->counts;
	f->world.worker->env.admin_token = &f->token;
	opened = f;
}

int admin_fixture_close(void **state)
{
	int wishes = opened->world.worker->env.to_master;

	worker_fixture_close(state);
	close(wishes);
	close(opened->master);
	return 0;
}

struct fake_peer *admin_fixture_connect(struct admin_fixture *f, const char *from)
{
	return fake_worker_accept(f->world.worker, &admin_frontend, from, FAILURE_NONE);
}

/* The peer says it, and no more. */
static const char *say_all(struct admin_fixture *f, struct fake_peer *peer, const char *head)
{
	fake_peer_say(peer, slice_str(head));
	fake_peer_say(peer, SLICE("\r\n"));
	fake_peer_end(peer);
	worker_fixture_settle(&f->world);
	return worker_fixture_got(&f->world, peer);
}

const char *admin_fixture_send(struct admin_fixture *f, const char *from, const char *head)
{
	return say_all(f, admin_fixture_connect(f, from), head);
}

const char *admin_fixture_ask(struct admin_fixture *f, const char *method, const char *target)
{
	char head[4096];

	snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: 127.0.0.1:3129\r\n", method, target);
	return admin_fixture_send(f, "127.0.0.1", head);
}

const char *admin_fixture_expect(struct admin_fixture *f, const char *method, const char *target,
				 unsigned status)
{
	const char *text = admin_fixture_ask(f, method, target);
	char start[32];

	snprintf(start, sizeof(start), "HTTP/1.1 %u ", status);
	if (strncmp(text, start, strlen(start)) != 0)
		fail_msg("%s %s: not %u: %s", method, target, status, text);
	text = strstr(text, "\r\n\r\n");
	assert_non_null(text);
	return text + 4;
}

/* The one that was asked last, of what it has not answered yet. */
static struct fake_peer *asked_origin(struct admin_fixture *f)
{
	struct fake_peer *asked = NULL, *peer;

	for (unsigned i = 0; (peer = fake_peer_connected(i)) != NULL; i++)
		if (peer->got.n > peer->got.done)
			asked = peer;
	assert_non_null(asked);
	worker_fixture_got(&f->world, asked);
	return asked;
}

void admin_fixture_fetch(struct admin_fixture *f, const char *uri, const char *lines,
			 const char *answer)
{
	struct fake_peer *client =
		fake_worker_accept(f->world.worker, &forward_frontend, FAKE_LISTEN, FAILURE_NONE);
	char text[4096];

	snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", uri, lines);
	worker_fixture_say(&f->world, client, text);
	snprintf(text, sizeof(text), "%s\r\n", answer);
	worker_fixture_say(&f->world, asked_origin(f), text);
	fake_peer_end(client);
	worker_fixture_settle(&f->world);
	assert_true(fake_peer_got(client).n > 0);
}

void admin_fixture_tells(const char *file, int line, const char *text, const char *const *parts)
{
	for (; *parts != NULL; parts++) {
		if (strstr(text, *parts) != NULL)
			continue;
		fprintf(stderr, "%s:%d: not '%s' in: %s\n", file, line, *parts, text);
		fail();
	}
}
