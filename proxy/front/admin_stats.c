/* Statistics as pages of operators. */
#include "proxy/front/admin_stats.h"

#include "proxy/front/admin_marks.h"
#include "proxy/front/admin_page.h"
#include "proxy/loop/env.h"
#include "proxy/stats/report.h"
#include "proxy/stats/store_counts.h"
#include "proxy/base/version.h"

/* The counts of the store in the input are those of `stats`. */
static struct report_input snapshot(const struct env *env, const struct stats *counted)
{
	const struct stats_service *service = env->service;
	struct report_input input = {
		.stats = counted,
		.uptime_s = (env->turn->now_us - service->started_us) / 1000000,
		.version = CACHE204_VERSION,
		.workers = atomic_load_explicit(&service->alive, memory_order_relaxed),
	};
	struct stats_store store;

	stats_copies_read(&service->copies, &input.copies);
	stats_store_get(counted, &store);
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
	struct reload_result reload;
	struct report_input input;
	struct report_span span;
	size_t length = 0;
	char *text;

	admin_page_sum(x->use->env, &sum);
	if (!admin_marks_span(x, &sum, &span, &between))
		return;
	input = snapshot(x->use->env, span.is_all ? &sum : &between);
	if (!span.is_all)
		input.span = &span;
	if (reload_read(x->use->env->service->reload, &reload))
		input.reload = &reload;
	text = report_json(&input, &length);
	admin_answer_text(x, "application/json", text, length);
}

void admin_metrics(struct exchange *x)
{
	struct stats sum;
	struct report_input input;
	size_t length = 0;
	char *text;

	admin_page_sum(x->use->env, &sum);
	input = snapshot(x->use->env, &sum);
	text = report_prometheus(&input, &length);
	admin_answer_text(x, "text/plain; version=0.0.4; charset=utf-8", text, length);
}
