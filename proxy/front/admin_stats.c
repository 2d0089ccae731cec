/* Statistics as pages of operators. */
#include "proxy/front/admin_stats.h"

#include "proxy/front/admin_marks.h"
#include "proxy/front/admin_page.h"
#include "proxy/loop/env.h"
#include "proxy/stats/report.h"
#include "proxy/base/version.h"

/* `sum` is of all workers, or of a span of time: the counts of the store are its own. */
static struct report_input snapshot(const struct env *env, const struct stats *sum,
				    struct reload_result *reload)
{
	const struct stats_service *service = env->service;
	struct report_input input = {
		.stats = sum,
		.blocks = service->blocks,
		.block_count = STATS_READ(service->used),
		.listeners = &service->listeners,
		.uptime_s = (env->turn->now_us - service->started_us) / 1000000,
		.started_ms = service->started_ms,
		.version = CACHE204_VERSION,
		.workers = STATS_READ(service->alive),
		.last_uris = last_uris_all(),
	};
	struct stats_store store;

	if (reload_read(service->reload, reload))
		input.reload = reload;
	stats_copies_read(&service->copies, &input.copies);
	stats_store_get(sum, &store);
	input.cache = store.cache;
	store_usage(cache_store_of(env->cache), &input.store);
	input.store.evictions = store.evictions;
	input.store.failures = store.failures;
	input.map_used = input.store.bytes_used;
	return input;
}

void admin_stats(struct exchange *x)
{
	struct stats sum, between;
	struct reload_result reload, upgrade;
	struct report_input input;
	struct report_span span;
	size_t length = 0;
	char *text;

	admin_page_sum(x->use->env, &sum);
	if (!admin_marks_span(x, &sum, &span, &between))
		return;
	input = snapshot(x->use->env, span.is_all ? &sum : &between, &reload);
	if (!span.is_all)
		input.span = &span;
	if (reload_read(x->use->env->service->upgrade, &upgrade))
		input.upgrade = &upgrade;
	text = report_json(&input, &length);
	admin_answer_text(x, "application/json", text, length);
}

void admin_metrics(struct exchange *x)
{
	struct stats sum;
	struct reload_result reload;
	struct report_input input;
	size_t length = 0;
	char *text;

	admin_page_sum(x->use->env, &sum);
	input = snapshot(x->use->env, &sum, &reload);
	text = report_prometheus(&input, &length);
	admin_answer_text(x, "text/plain; version=0.0.4; charset=utf-8", text, length);
}
