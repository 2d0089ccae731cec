/* The last events of the service, in shared memory. */
#include "proxy/stats/events.h"

#include <stdarg.h>
#include <stdio.h>

#include "proxy/base/wall_clock.h"
#include "proxy/stats/shared_row.h"

struct events {
	_Atomic uint64_t tickets;
	_Atomic uint64_t row[EVENTS_MAX][SHARED_ROW_WORDS(sizeof(struct event))];
};

struct events *events_map(void)
{
	return shared_map(sizeof(struct events));
}

void events_add(struct events *events, enum event_kind kind, const char *format, ...)
{
	struct event event = {.kind = kind, .wall_ms = wall_clock_ms()};
	uint64_t ticket = atomic_fetch_add_explicit(&events->tickets, 1, memory_order_relaxed) + 1;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(event.text, sizeof(event.text), format, arguments);
	va_end(arguments);
	shared_row_write(events->row[ticket % EVENTS_MAX], ticket, &event, sizeof(event));
}

unsigned events_list(const struct events *events, struct event ret_events[EVENTS_MAX])
{
	uint64_t last = atomic_load_explicit(&events->tickets, memory_order_relaxed);
	unsigned count = 0;

	for (uint64_t ticket = last < EVENTS_MAX ? 1 : last - EVENTS_MAX + 1; ticket <= last;
	     ticket++)
		count += shared_row_read(events->row[ticket % EVENTS_MAX], &ret_events[count],
					 sizeof(ret_events[count])) == ticket;
	return count;
}

const char *event_name(enum event_kind kind)
{
	static const char *const names[] = {
		[EVENT_START] = "start",
		[EVENT_RELOAD] = "reload",
		[EVENT_PURGE] = "purge",
		[EVENT_WORKER] = "worker",
	};

	return names[kind];
}
