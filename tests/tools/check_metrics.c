/* LINKS: proxy/stats */
/*
 * Usage: check_metrics metrics|stats
 *
 * What a proxy tells that has done nothing yet: the names that scripts/check-metrics.py compares
 * with the manual.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/stats/report.h"

int main(int argc, char **argv)
{
	static struct stats nothing;
	static struct listener_names addresses;
	static const struct reload_result reload = {.generation = 1, .ok = true};
	const struct report_input input = {
		.stats = &nothing,
		.blocks = &nothing,
		.block_count = 1,
		.listeners = &addresses,
		.version = "0",
		.reload = &reload,
	};
	size_t length;
	char *text;

	if (argc != 2)
		return 2;
	text = strcmp(argv[1], "stats") == 0 ? report_json(&input, &length)
					     : report_prometheus(&input, &length);
	if (text == NULL)
		return 1;
	fputs(text, stdout);
	free(text);
	return 0;
}
