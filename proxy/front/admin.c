/* The operators' front end: a table of paths. */
#include "proxy/front/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cache/http/fields.h"
#include "proxy/front/admin_page.h"
#include "proxy/front/admin_purge.h"
#include "proxy/loop/env.h"
#include "proxy/stats/report.h"
#include "proxy/stats/store_counts.h"
#include "proxy/base/log.h"
#include "proxy/base/version.h"

static void answer_text(struct exchange *x, const char *content_type, char *text, size_t length)
{
	if (text == NULL) {
		exchange_fail(x, FAILURE_INTERNAL);
		return;
	}
	exchange_answer_local(x, 200, content_type, SLICE(ADMIN_FIELDS), slice_of(text, length));
	free(text);
}

static struct report_input snapshot(const struct env *env, struct stats *sum)
{
	const struct stats_service *service = env->service;
	struct report_input input = {
		.stats = sum,
		.uptime_s = (env->turn->now_us - service->started_us) / 1000000,
		.version = CACHE204_VERSION,
		.workers = atomic_load_explicit(&service->alive, memory_order_relaxed),
	};
	struct stats_store store;

	stats_copies_read(&service->copies, &input.copies);
	store_counts_note(env->counts);
	stats_sum(service->blocks, atomic_load_explicit(&service->used, memory_order_relaxed), sum);
	stats_store_get(sum, &store);
	input.cache = store.cache;
	store_usage(cache_store_of(env->cache), &input.store);
	input.store.evictions = store.evictions;
	input.store.failures = store.failures;
	input.map_used = input.store.bytes_used;
	return input;
}

static void show_stats(struct exchange *x)
{
	struct stats sum;
	struct reload_result reload;
	struct report_input input = snapshot(x->use->env, &sum);
	size_t length = 0;
	char *text;

	if (reload_read(x->use->env->service->reload, &reload))
		input.reload = &reload;
	text = report_json(&input, &length);
	answer_text(x, "application/json", text, length);
}

static void show_metrics(struct exchange *x)
{
	struct stats sum;
	struct report_input input = snapshot(x->use->env, &sum);
	size_t length = 0;
	char *text = report_prometheus(&input, &length);

	answer_text(x, "text/plain; version=0.0.4; charset=utf-8", text, length);
}

static void show_reload(struct exchange *x)
{
	const struct reload *reload = x->use->env->service->reload;
	uint64_t asked = reload_asked(reload);
	struct reload_result result;
	size_t length = 0;
	char *text = NULL;

	if (reload_read(reload, &result))
		text = report_reload(&result, asked, &length);
	answer_text(x, "application/json", text, length);
}

static void show_health(struct exchange *x)
{
	exchange_answer_local(x, x->use->turn->leaving ? 503 : 204, "", SLICE(ADMIN_FIELDS),
			      slice_of("", 0));
}

static void show_index(struct exchange *x)
{
	static const char text[] = "cache204\n/stats    statistics as JSON\n"
				   "/metrics  statistics for Prometheus\n"
				   "/healthz  204 when able to serve\n"
				   "/purge    forgets all by POST; /purge?uri=URI one\n"
				   "/reload   the last one; by POST asks for one\n";

	exchange_answer_local(x, 200, "text/plain; charset=utf-8", SLICE(ADMIN_FIELDS),
			      SLICE(text));
}

/* The answer has the ticket; what comes of it is told by GET. */
static void ask_reload(struct exchange *x)
{
	const struct env *env = x->use->env;
	static const pid_t wanted = 0;
	char text[64], operator[ADDRESS_TEXT_SIZE];

	if (!admin_is_from_own_page(&x->req)) {
		admin_refuse(x, 403, ADMIN_FIELDS,
			     "403 Forbidden\nA page of another origin asked.\n");
		return;
	}
	snprintf(text, sizeof(text), "{\n  \"asked\": %llu\n}\n",
		 (unsigned long long)reload_ask(env->service->reload));
	address_format(&x->peer, operator);
	log_info("reload: asked for by %s", operator);
	if (write(env->to_master, &wanted, sizeof(wanted)) != (ssize_t)sizeof(wanted)) {
		exchange_fail(x, FAILURE_INTERNAL);
		return;
	}
	exchange_answer_local(x, 202, "application/json", SLICE(ADMIN_FIELDS), slice_str(text));
}

static const struct page {
	const char *path;
	void (*answer)(struct exchange *x);
	bool changes;  /* something: by POST, and nothing else is allowed */
	bool any_host; /* it tells nothing, and load balancers ask under names of their own */
} pages[] = {
	{"/", show_index, false, false},          {"/stats", show_stats, false, false},
	{"/metrics", show_metrics, false, false}, {"/healthz", show_health, false, true},
	{"/purge", admin_purge, true, false},     {"/reload", ask_reload, true, false},
	{"/reload", show_reload, false, false},
};

static bool is_named(const struct conf_list *names, struct slice host)
{
	if (host.n > 0 && host.p[host.n - 1] == '.')
		host.n--;
	for (size_t i = 0; i < names->count; i++)
		if (slice_ieq(host, slice_str(names->at[i])))
			return true;
	return slice_ieq(host, SLICE("localhost"));
}

/*
 * Host without port is a numeric address, localhost or one of admin_hosts: nothing a rebound name
 * can be.
 */
static bool host_is_ours(const struct conf *conf, const struct http_request *req)
{
	const struct http_field *field = http_fields_first(&req->fields, FIELD_HOST);
	union address address;
	struct slice host;
	const char *colon;

	if (field == NULL)
		return req->version_minor == 0;
	host = field->value;
	colon = memrchr(host.p, ':', host.n);
	if (colon != NULL && memchr(colon, ']', host.n - (size_t)(colon - host.p)) == NULL)
		host.n = (size_t)(colon - host.p);
	return is_named(&conf->admin_hosts, host) || address_parse(host, &address);
}

static struct slice path_of(const struct http_request *req)
{
	struct slice path = req->uri.path;
	const char *query = memchr(path.p, '?', path.n);

	if (query != NULL)
		path.n = (size_t)(query - path.p);
	return path;
}

static void answer_error(struct exchange *x, unsigned status, const char *fields)
{
	admin_refuse(x, status, fields, compose_reason_phrase(status));
}

static void turn_page(struct exchange *x, const struct page *page)
{
	bool reads = x->req.method == METHOD_GET || x->req.method == METHOD_HEAD;

	if (page->changes ? x->req.method == METHOD_POST : reads)
		page->answer(x);
	else
		answer_error(x, 405,
			     page->changes ? ADMIN_FIELDS "Allow: POST\r\n"
					   : ADMIN_FIELDS "Allow: GET, HEAD\r\n");
}

/* A path may have two: one that is read, and one that changes something. */
static const struct page *page_of(const struct http_request *req)
{
	const struct page *found = NULL;

	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		if (slice_eq(path_of(req), slice_str(pages[i].path)) &&
		    (found == NULL || pages[i].changes == (req->method == METHOD_POST)))
			found = &pages[i];
	return found;
}

static void admin_handle(struct exchange *x)
{
	const struct page *page;

	if (x->req.form != TARGET_ORIGIN) {
		answer_error(x, 421, ADMIN_FIELDS);
		return;
	}
	page = page_of(&x->req);
	if ((page == NULL || !page->any_host) && !host_is_ours(x->use->conf, &x->req))
		admin_refuse(x, 403, ADMIN_FIELDS,
			     "403 Forbidden\nThe Host of the request is not a numeric address, "
			     "localhost or a name of the option admin_hosts: add the name there. "
			     "Others are refused, so that no web page can read this under a name "
			     "of its own.\n");
	else if (page != NULL)
		turn_page(x, page);
	else
		answer_error(x, 404, ADMIN_FIELDS);
}

/* Every answer is made before handle() returns: there is nothing to feed, resume or cancel. */
static bool admin_body(struct exchange *x, struct slice content)
{
	(void)x;
	(void)content;
	return true;
}

static void admin_nothing(struct exchange *x)
{
	(void)x;
}

static bool admin_cancel(struct exchange *x)
{
	(void)x;
	return false;
}

const struct frontend admin_frontend = {
	.name = "admin",
	.is_reserved = true,
	.is_origin = true,
	.handle = admin_handle,
	.body = admin_body,
	.body_end = admin_nothing,
	.again = admin_nothing,
	.drained = admin_nothing,
	.cancel = admin_cancel,
};
