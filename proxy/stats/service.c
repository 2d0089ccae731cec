/* Maps what the workers of a service tell of themselves, and gives each its blocks. */
#include "proxy/stats/service.h"

#include "proxy/stats/events.h"
#include "proxy/stats/history.h"
#include "proxy/stats/in_flight.h"
#include "proxy/stats/marks.h"
#include "proxy/stats/recent_errors.h"
#include "proxy/stats/sketch.h"

bool stats_service_map(struct stats_service *service, unsigned workers)
{
	service->blocks = stats_map(workers);
	service->marks = marks_map();
	service->history = history_map();
	service->events = events_map();
	service->sketch = sketch_map(workers);
	service->errors = recent_errors_map(workers);
	service->in_flight = in_flight_map(workers);
	return service->blocks != NULL && service->marks != NULL && service->history != NULL &&
	       service->events != NULL && service->sketch != NULL && service->errors != NULL &&
	       service->in_flight != NULL;
}

void stats_service_attach(const struct stats_service *service, unsigned index)
{
	stats_attach(&service->blocks[index]);
	sketch_attach(service->sketch, index);
	recent_errors_attach(service->errors, index);
	in_flight_attach(service->in_flight, index);
}

void stats_service_clear(const struct stats_service *service, unsigned index, pid_t pid)
{
	stats_reset_gauges(&service->blocks[index]);
	in_flight_clear(service->in_flight, index);
	history_leave(service->history, pid);
}
