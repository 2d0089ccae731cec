/*
 * What happened to the service as a whole, for charts: purges, reloads, starts, workers that died.
 * The last EVENTS_MAX, in memory shared over fork(), added by any process and read by any.
 */
#ifndef PROXY_STATS_EVENTS_H
#define PROXY_STATS_EVENTS_H

#include <stdint.h>

enum { EVENTS_MAX = 32, EVENT_TEXT_MAX = 255 };

enum event_kind { EVENT_START, EVENT_RELOAD, EVENT_PURGE, EVENT_WORKER };

struct event {
	enum event_kind kind;
	int64_t wall_ms;
	char text[EVENT_TEXT_MAX + 1];
};

struct events;

/* NULL on failure.  Lives as long as the process, and those forked from it. */
struct events *events_map(void);

/* Now; what is too long is cut.  Readers escape what peers may have put into it. */
void events_add(struct events *events, enum event_kind kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* All that are kept, the oldest first; how many. */
unsigned events_list(const struct events *events, struct event ret_events[EVENTS_MAX]);

const char *event_name(enum event_kind kind);

#endif
