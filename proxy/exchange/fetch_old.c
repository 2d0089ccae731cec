/* The fetches that have lasted long, for operators. */
#include "proxy/exchange/fetch.h"
#include "proxy/exchange/fetch_state.h"
#include "proxy/exchange/shown.h"
#include "proxy/stats/in_flight.h"

static enum in_flight_phase phase_of(const struct fetch *fetch)
{
	const struct origin *origin = fetch->origin;

	if (origin->conn == NULL)
		return IN_FLIGHT_CONNECT;
	return origin->head_done ? IN_FLIGHT_CONTENT : IN_FLIGHT_FIRST_BYTE;
}

static void describe(const struct fetch *fetch, struct in_flight_row *row)
{
	char room[SHOWN_URI_MAX];
	struct slice uri = shown_uri(&fetch->leader->req.uri, room);
	size_t n = uri.n < IN_FLIGHT_URI_MAX ? uri.n : IN_FLIGHT_URI_MAX;

	*row = (struct in_flight_row){
		.since_ms = fetch->started_ms,
		.phase = phase_of(fetch),
		.waiters = fetch->waiter_count,
	};
	memcpy(row->uri, uri.p, n); /* the rest is 0 */
}

void fetches_note_old(const struct fetches *fetches)
{
	int64_t before_ms = fetches->use.turn->now_ms - IN_FLIGHT_MS;
	struct in_flight_row rows[IN_FLIGHT_MAX];
	unsigned count = 0;

	for (const struct fetch *fetch = fetches->oldest;
	     fetch != NULL && fetch->started_ms <= before_ms && count < IN_FLIGHT_MAX;
	     fetch = fetch->newer)
		if (fetch->leader != NULL)
			describe(fetch, &rows[count++]);
	in_flight_note(rows, count);
}
