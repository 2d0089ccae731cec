/* A worker without a loop and one client of it; see worker_fixture.h. */
#include "tests/support/worker_fixture.h"

static struct worker_fixture *opened;

static void assert_none(const char *fault)
{
	if (fault != NULL)
		fail_msg("%s", fault);
}

/* What happens by itself has happened, and between two turns all is as it has to be. */
static void assert_settled(bool settled)
{
	assert_true(settled);
	assert_none(fake_worker_fault(opened->worker));
}

void worker_fixture_open(struct worker_fixture *f, const struct frontend *frontend,
			 const char *options)
{
	*f = (struct worker_fixture){.conf = test_conf_new()};
	assert_true(test_conf_set_all(f->conf, options));
	f->worker = fake_worker_new(f->conf);
	f->client = fake_worker_accept(f->worker, frontend, FAKE_LISTEN, FAILURE_NONE);
	opened = f;
}

int worker_fixture_close(void **state)
{
	const char *leftover;

	(void)state;
	if (opened == NULL)
		return 0;
	fake_worker_end(opened->worker);
	leftover = fake_worker_leftover(opened->worker);
	fake_worker_free(opened->worker);
	test_conf_free(opened->conf);
	opened = NULL;
	assert_none(leftover);
	return 0;
}

void worker_fixture_settle(struct worker_fixture *f)
{
	assert_settled(fake_worker_settle(f->worker));
}

void worker_fixture_say(struct worker_fixture *f, struct fake_peer *peer, const char *text)
{
	fake_peer_say(peer, slice_str(text));
	worker_fixture_settle(f);
}

void worker_fixture_pass(struct worker_fixture *f, int64_t ms)
{
	assert_settled(fake_worker_pass(f->worker, ms));
}

void worker_fixture_take_all(struct worker_fixture *f)
{
	f->client->room = SIZE_MAX;
	worker_fixture_settle(f);
}

const char *worker_fixture_got(struct worker_fixture *f, struct fake_peer *peer)
{
	struct fake_bytes *got = &peer->got;
	size_t n = got->n - got->done;

	assert_true(n < sizeof(f->text));
	if (n > 0)
		memcpy(f->text, got->p + got->done, n);
	f->text[n] = '\0';
	got->done = got->n;
	return f->text;
}
