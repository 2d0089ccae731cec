/* What the operator has chosen to see in `cache204 top`, and how it stands with the proxy. */
#ifndef PROXY_CLI_TOP_STATE_H
#define PROXY_CLI_TOP_STATE_H

#include <stdbool.h>

/* What the lower part lists. */
enum top_list { TOP_HOSTS, TOP_URLS, TOP_WHY, TOP_ERRORS };

struct top_state {
	unsigned window_s; /* 60, 3600, or 0 since the start */
	enum top_list list;
	const char *order;   /* of hosts and URLs */
	bool is_paused;      /* by the operator */
	const char *trouble; /* why there is no newer answer; NULL when there is */
	const char *message; /* what became of a key; NULL for nothing */
	bool has_keys;       /* somebody can press them: else their row is left out */
};

enum { TOP_WIDE = 120 }; /* columns of the wide form, at least */

#endif
