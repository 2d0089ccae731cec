/* What an origin's connection waits for, and its end. */
#include "proxy/origin/origin_state.h"

#include "proxy/base/cause.h"
#include "proxy/stats/stats.h"

void origin_give_places(struct origin *origin)
{
	budget_give(&origin->at_work);
	budget_give(&origin->spare);
}

/* The one way out. */
void origin_release(struct origin *origin)
{
	if (origin->closed)
		return;
	origin->closed = true;
	origin->events = NULL;
	if (origin->idle.link != NULL)
		pool_remove(origin->host, &origin->idle);
	if (origin->dialer != NULL)
		dialer_cancel(origin->dialer);
	origin->dialer = NULL;
	if (origin->conn != NULL)
		STATS_ADD(origins, -1);
	conn_close(origin->conn);
	origin_give_places(origin);
	pool_leave(origin->use->pool, origin->host);
	scratch_free(&origin->use->turn->in, &origin->in);
	buf_free(&origin->out);
	buf_free(&origin->request);
	buf_free(&origin->connect);
	/* A queued one is freed when its task is run. */
	if (!task_is_queued(&origin->resume))
		turn_free(origin);
}

void origin_fail(struct origin *origin, enum failure failure)
{
	const struct origin_events *events = origin->events;
	void *context = origin->context;

	origin_release(origin);
	if (events != NULL)
		events->failure(context, failure);
	cause_clear();
}

/* A head has a time that its bytes do not push out. */
static int64_t head_left_ms(struct origin *origin)
{
	const struct origins *use = origin->use;
	int64_t left_ms;

	if (origin->head_until_ms == 0)
		origin->head_until_ms = use->turn->now_ms + use->conf->first_byte_timeout_ms;
	left_ms = origin->head_until_ms - use->turn->now_ms;
	return left_ms > 0 ? left_ms : 1;
}

static void set_deadline(struct origin *origin, bool sending)
{
	const struct conf *conf = origin->use->conf;
	int64_t now_ms = origin->use->turn->now_ms;
	bool receiving =
		origin->events != NULL && origin->head_done && !origin->paused && !origin->put_off;

	pace_wait(&origin->send_pace, sending, conf, now_ms);
	pace_wait(&origin->recv_pace, receiving, conf, now_ms);
	if (origin->events == NULL)
		conn_deadline(origin->conn, conf->origin_idle_timeout_ms);
	else if (sending)
		conn_deadline(origin->conn, pace_left_ms(&origin->send_pace, now_ms));
	else if (receiving)
		conn_deadline(origin->conn, pace_left_ms(&origin->recv_pace, now_ms));
	else if (origin->paused || origin->put_off || !origin->request_done)
		conn_deadline(origin->conn, 0); /* the client's deadlines stand */
	else
		conn_deadline(origin->conn, head_left_ms(origin));
}

void origin_settle(struct origin *origin)
{
	bool sending;

	if (origin->closed || origin->conn == NULL)
		return;
	if (!scratch_settle(&origin->use->turn->in, &origin->in)) {
		origin_fail(origin, FAILURE_INTERNAL);
		return;
	}
	sending =
		origin->request_sent < buf_length(&origin->request) || buf_length(&origin->out) > 0;
	conn_watch(origin->conn, !origin->paused && !origin->put_off, sending);
	set_deadline(origin, sending);
}
