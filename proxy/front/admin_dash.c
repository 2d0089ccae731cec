/* The operators' JSON: parameters, and what it is made of. */
#include "proxy/front/admin_dash.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/base/decimal.h"
#include "cache/http/fields.h"
#include "proxy/base/version.h"
#include "proxy/base/wall_clock.h"
#include "proxy/front/admin_marks.h"
#include "proxy/front/admin_page.h"
#include "proxy/front/admin_params.h"
#include "proxy/loop/env.h"
#include "proxy/stats/dash.h"
#include "proxy/stats/history.h"

enum { NAME_MAX_LENGTH = 255, FAILING_MAX = 16, MINUTE_S = 60, HOUR_S = 3600 };

static const char default_pseudonym[] = "cache204";

struct asked_for {
	unsigned window_s; /* 0 for since the start */
	struct slice mark; /* instead, when not empty */
	enum sketch_sort sort;
	unsigned step_s;
	uint64_t after;
};

static const struct {
	const char *name;
	enum sketch_sort sort;
} sorts[] = {
	{"requests", SKETCH_BY_REQUESTS},     {"asked", SKETCH_BY_ASKED},
	{"bytes", SKETCH_BY_BYTES},           {"failures", SKETCH_BY_FAILURES},
	{"first_byte", SKETCH_BY_FIRST_BYTE},
};

static bool read_sort(struct slice value, enum sketch_sort *ret_sort)
{
	for (size_t i = 0; i < sizeof(sorts) / sizeof(sorts[0]); i++)
		if (slice_eq(value, slice_str(sorts[i].name))) {
			*ret_sort = sorts[i].sort;
			return true;
		}
	return false;
}

static bool read_number(struct slice value, uint64_t *ret_number)
{
	return decimal_read(value, INT64_MAX, ret_number);
}

static bool read_one(struct slice name, struct slice value, struct asked_for *asked)
{
	uint64_t number = 0;

	if (slice_eq(name, SLICE("since"))) {
		asked->mark = value;
		return value.n > 0;
	}
	if (slice_eq(name, SLICE("sort")))
		return read_sort(value, &asked->sort);
	if (!read_number(value, &number))
		return false;
	if (slice_eq(name, SLICE("window"))) {
		asked->window_s = (unsigned)number;
		return number == 0 || number == MINUTE_S || number == HOUR_S;
	}
	if (slice_eq(name, SLICE("step"))) {
		asked->step_s = (unsigned)number;
		return number == 1 || number == 10;
	}
	asked->after = number;
	return slice_eq(name, SLICE("after"));
}

static bool read_parameters(struct admin_params *params, struct asked_for *asked)
{
	struct slice name, value;

	while (admin_params_next(params, &name, &value))
		if (!read_one(name, value, asked))
			return false;
	return !params->bad;
}

/* What the page is of: too large for the stack of a loop. */
struct page {
	struct asked_for asked;
	struct dash dash;
	struct dash_rows rows;
	struct stats sum, minute, hour, between;
	struct sketch_view hosts, urls, failing;
	struct reload_result reload;
	char name[NAME_MAX_LENGTH + 1];
};

/* The operator's name for it, else the machine's. */
static void find_name(const struct conf *conf, char name[NAME_MAX_LENGTH + 1])
{
	const char *chosen = conf->pseudonym;

	if (strncmp(chosen, default_pseudonym, sizeof(default_pseudonym) - 1) != 0) {
		strncpy(name, chosen, NAME_MAX_LENGTH);
		name[NAME_MAX_LENGTH] = '\0';
	} else if (gethostname(name, NAME_MAX_LENGTH) != 0) {
		name[0] = '\0';
	}
	name[NAME_MAX_LENGTH] = '\0';
}

/* The difference to a mark, or to a time ago.  False: the exchange was answered. */
static bool find_between(struct exchange *x, struct page *page)
{
	const struct history *history = x->use->env->service->history;
	int64_t started_ms = x->use->env->service->started_us / 1000;
	struct dash *dash = &page->dash;
	struct history_span minute = {MINUTE_S, dash->now_ms, started_ms, 0};
	struct history_span hour = {HOUR_S, dash->now_ms, started_ms, 0};
	bool is_hour = page->asked.window_s == HOUR_S;

	history_window(history, &page->sum, &minute, &page->minute);
	history_window(history, &page->sum, &hour, &page->hour);
	dash->between = is_hour ? &page->hour : &page->minute;
	dash->window_s = (double)(is_hour ? hour.length_ms : minute.length_ms) / 1000;
	if (page->asked.window_s == 0) {
		dash->between = &page->sum;
		dash->window_s = (double)(dash->now_ms - started_ms) / 1000;
	}
	if (page->asked.mark.n == 0)
		return true;
	dash->between = &page->between;
	return admin_marks_since(x, page->asked.mark, &page->sum, &page->between, &dash->window_s);
}

/* Hosts and URLs have no marks: of the window that is nearest. */
static bool find_names(const struct env *env, struct page *page)
{
	const struct stats_service *service = env->service;
	unsigned blocks = STATS_READ(service->used);
	struct sketch_query query = {
		.window_s = page->asked.mark.n > 0 ? 0 : page->asked.window_s,
		.sort = page->asked.sort,
		.now_ms = page->dash.now_ms,
	};
	bool ok;

	if (page->asked.mark.n > 0 && page->dash.window_s < 2 * HOUR_S)
		query.window_s = page->dash.window_s < 10 * MINUTE_S ? MINUTE_S : HOUR_S;
	sketch_tick(page->dash.now_ms);
	query.rows = DASH_HOSTS;
	ok = sketch_read(service->sketch, blocks, SKETCH_OF_HOSTS, &query, &page->hosts);
	query.rows = DASH_URLS;
	ok &= sketch_read(service->sketch, blocks, SKETCH_OF_URLS, &query, &page->urls);
	query = (struct sketch_query){.window_s = MINUTE_S,
				      .sort = SKETCH_BY_FAILURES,
				      .rows = FAILING_MAX,
				      .now_ms = page->dash.now_ms};
	ok &= sketch_read(service->sketch, blocks, SKETCH_OF_HOSTS, &query, &page->failing);
	return ok;
}

static void find_service(struct exchange *x, struct page *page)
{
	const struct env *env = x->use->env;
	const struct http_field *host = http_fields_first(&x->req.fields, FIELD_HOST);
	struct store *store = cache_store_of(env->cache);
	struct dash *dash = &page->dash;

	find_name(env->conf, page->name);
	dash->name = page->name;
	dash->version = CACHE204_VERSION;
	dash->admin = host != NULL ? host->value : slice_of("", 0);
	dash->service = env->service;
	dash->leaving = env->turn->leaving;
	dash->workers_wanted = (unsigned)env->conf->workers;
	if (reload_read(env->service->reload, &page->reload))
		dash->reload = &page->reload;
	store_usage(store, &dash->store);
	dash->restored =
		atomic_load_explicit(&store_clock(store)->restored_ms, memory_order_relaxed) != 0;
}

static void answer(struct exchange *x, struct page *page)
{
	struct dash *dash = &page->dash;
	size_t length = 0;
	char *text;

	turn_read_clocks(x->use->env->turn);
	dash->now_ms = x->use->env->turn->now_us / 1000;
	dash->wall_ms = wall_clock_ms();
	dash->sum = &page->sum;
	dash->minute = &page->minute;
	dash->hour = &page->hour;
	dash->hosts = &page->hosts;
	dash->urls = &page->urls;
	dash->failing = &page->failing;
	page->rows = (struct dash_rows){
		.history = x->use->env->service->history,
		.started_us = x->use->env->service->started_us,
		.now_ms = dash->now_ms,
		.wall_ms = dash->wall_ms,
		.step_s = page->asked.step_s,
		.after = page->asked.after,
	};
	dash->rows = &page->rows;
	admin_page_sum(x->use->env, &page->sum);
	find_service(x, page);
	if (!find_between(x, page))
		return;
	if (!find_names(x->use->env, page)) {
		exchange_fail(x, FAILURE_INTERNAL);
		return;
	}
	text = dash_json(dash, &length);
	admin_answer_text(x, "application/json", text, length);
}

void admin_dash(struct exchange *x)
{
	struct page *page = calloc(1, sizeof(*page));
	struct admin_params params;

	if (page == NULL) {
		exchange_fail(x, FAILURE_INTERNAL);
		return;
	}
	page->asked = (struct asked_for){.window_s = MINUTE_S, .step_s = 10};
	if (!admin_read_params(x, &params)) {
		free(page);
		return;
	}
	if (read_parameters(&params, &page->asked))
		answer(x, page);
	else
		admin_refuse(x, 400, ADMIN_FIELDS,
			     "Parameters: window=60, 3600 or 0; since=MARK; sort=requests, asked, "
			     "bytes, failures or first_byte; step=1 or 10; after=NUMBER.\n");
	admin_params_end(&params);
	free(page);
}
