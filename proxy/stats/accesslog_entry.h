/* What the access log has of an exchange. */
#ifndef PROXY_STATS_ACCESSLOG_ENTRY_H
#define PROXY_STATS_ACCESSLOG_ENTRY_H

#include "cache/http/message.h"
#include "proxy/stats/origin_times.h"
#include "proxy/stats/stats.h"

/* What a line has of an exchange.  Slices are copied by the call. */
struct accesslog_entry {
	int64_t wall_ms;    /* when it ended, since the epoch */
	int64_t elapsed_us; /* from the request head read to the end of the answer, but for: */
	int64_t held_us;    /* the client did not take what there was; 0 for never */
	struct slice id;    /* of the request, empty for none */
	struct slice traceparent; /* that is valid, or empty */
	struct slice client;      /* numeric address */
	uint16_t client_port;
	struct slice method;
	struct slice target;     /* as received; empty when none was read */
	struct slice origin_uri; /* goes before a path: of the origin that a gateway stands for */
	bool in_tunnel;          /* the request came in a tunnel that is read as HTTP */
	bool target_read;        /* it was understood; otherwise its authority is masked */
	const char *protocol;    /* "HTTP/1.1"; NULL when no version was read */
	uint16_t status;         /* 0 when none was sent */
	uint64_t
		bytes_in; /* of the request, head and body as received; when refused, all that came */
	uint64_t bytes_out; /* of the answer, head and body as sent */
	enum outcome outcome;
	enum failure failure;
	const char *fwd; /* value of Cache-Status, NULL for none */
	enum reason why; /* not stored, or not reused */
	bool stored;
	bool from_record;          /* a stored response was answered: */
	int64_t age_s;             /* its Age */
	int64_t ttl_s;             /* lifetime left, negative when stale */
	struct slice origin;       /* numeric address and port asked, empty when none */
	struct origin_times times; /* on the way to it; all 0 for none */
	struct slice user;         /* who logged in, empty for none */
	struct slice referer;
	struct slice user_agent;
	uint32_t sample; /* this hit stands for so many; 0 or 1 when each is logged */
};

static inline uint64_t not_negative(int64_t number)
{
	return number < 0 ? 0 : (uint64_t)number;
}

#endif
