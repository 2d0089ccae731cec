/* Rows of the statistics for the addresses of a generation: the first process gives them out. */
#ifndef PROXY_PROCESS_LISTENER_ROWS_H
#define PROXY_PROCESS_LISTENER_ROWS_H

#include "proxy/process/generation.h"
#include "proxy/stats/listeners.h"

/* Before its workers are made.  Operators' addresses have none, as they are no traffic. */
void listener_rows_give(struct generation *generation, struct listener_names *names);

#endif
