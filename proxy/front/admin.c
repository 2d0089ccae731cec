/* The operators' front end: a table of paths. */
#include "proxy/front/admin.h"

#include <stdio.h>
#include <string.h>

#include "cache/http/fields.h"
#include "proxy/front/admin_dash.h"
#include "proxy/front/admin_dashboard.h"
#include "proxy/front/admin_entries.h"
#include "proxy/front/admin_explain.h"
#include "proxy/front/admin_marks.h"
#include "proxy/front/admin_page.h"
#include "proxy/front/admin_purge.h"
#include "proxy/front/admin_reload.h"
#include "proxy/front/admin_stats.h"
#include "proxy/base/admin_token.h"
#include "proxy/base/version.h"
#include "proxy/loop/env.h"

static void show_health(struct exchange *x)
{
	exchange_answer_local(x, x->use->turn->leaving ? 503 : 204, "", SLICE(ADMIN_FIELDS),
			      slice_of("", 0));
}

static void show_index(struct exchange *x);

/* What a page does, and for which Host. */
enum page_use { READS, CHANGES };
enum page_host { OURS, ANY };

static const struct page {
	const char *path;
	void (*answer)(struct exchange *x);
	enum page_use use;
	enum page_host host;
	const char *help;
} pages[] = {
#define PAGE(path, answer, use, host, help) {path, answer, use, host, help},
#include "proxy/front/admin_pages.def"
#undef PAGE
};

enum { PAGES = sizeof(pages) / sizeof(pages[0]) };

static void show_index(struct exchange *x)
{
	char text[64 + 96 * PAGES];
	size_t n = (size_t)snprintf(text, sizeof(text), "cache204 %s\n", CACHE204_VERSION);

	if (admin_wants_dashboard(&x->req)) {
		admin_dashboard(x);
		return;
	}
	for (size_t i = 0; i < PAGES && n < sizeof(text); i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%-5s %-12s %s\n",
				      pages[i].use == CHANGES ? "POST" : "GET", pages[i].path,
				      pages[i].help);
	exchange_answer_local(x, 200, "text/plain; charset=utf-8",
			      SLICE(ADMIN_FIELDS "Vary: Accept\r\n"), slice_str(text));
}

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

static bool is_allowed(enum page_use use, enum http_method method)
{
	if (use == CHANGES)
		return method == METHOD_POST;
	return method == METHOD_GET || method == METHOD_HEAD;
}

/* A peer with a loopback address, or of a Unix socket, is on this machine, wherever it connected to. */
static bool may_change(const struct exchange *x)
{
	return x->use->env->admin_token->length > 0 || address_is_loopback(&x->peer);
}

/* Pages for any Host tell nothing, and need no token. */
static bool has_token(const struct exchange *x)
{
	const struct http_fields *fields = &x->req.fields;
	const struct admin_token *token = x->use->env->admin_token;
	const struct http_field *field = http_fields_first(fields, FIELD_AUTHORIZATION);

	return token->length == 0 || (field != NULL && http_fields_next(fields, field) == NULL &&
				      admin_token_is(token, field->value));
}

/* RFC 6750 3. */
static void ask_for_token(struct exchange *x)
{
	const struct http_field *field = http_fields_first(&x->req.fields, FIELD_AUTHORIZATION);

	admin_refuse(x, 401,
		     field == NULL ? ADMIN_FIELDS "WWW-Authenticate: Bearer realm=\"cache204\"\r\n"
				   : ADMIN_FIELDS "WWW-Authenticate: Bearer realm=\"cache204\", "
						  "error=\"invalid_token\"\r\n",
		     field == NULL
			     ? "401 Unauthorized\nThis needs the token of the option "
			       "admin_token_file, as in: Authorization: Bearer TOKEN\n"
			     : "401 Unauthorized\nThe Authorization of the request is not Bearer "
			       "with the token of the option admin_token_file.\n");
}

static void refuse_plainly(struct exchange *x, unsigned status, const char *fields, const char *why)
{
	char text[256];

	snprintf(text, sizeof(text), "%u %s\n%s\n", status, compose_reason_phrase(status), why);
	admin_refuse(x, status, fields, text);
}

/* A path may have a row that reads and one that changes (RFC 9110 15.5.6). */
static void refuse_method(struct exchange *x, const struct page *page)
{
	bool reads = false, changes = false;

	for (size_t i = 0; i < PAGES; i++)
		if (strcmp(pages[i].path, page->path) == 0) {
			reads |= pages[i].use == READS;
			changes |= pages[i].use == CHANGES;
		}
	if (reads && changes)
		refuse_plainly(x, 405, ADMIN_FIELDS "Allow: GET, HEAD, POST\r\n",
			       "This page is read by GET or HEAD, and changes "
			       "something by POST.");
	else if (changes)
		refuse_plainly(x, 405, ADMIN_FIELDS "Allow: POST\r\n",
			       "This page changes something, by POST alone.");
	else
		refuse_plainly(x, 405, ADMIN_FIELDS "Allow: GET, HEAD\r\n",
			       "This page is read, by GET or HEAD.");
}

static void turn_page(struct exchange *x, const struct page *page)
{
	if (!is_allowed(page->use, x->req.method))
		refuse_method(x, page);
	else if (page->use == CHANGES && !may_change(x))
		admin_refuse(x, 403, ADMIN_FIELDS,
			     "403 Forbidden\nFrom other machines nothing can be changed without "
			     "a token: see the option admin_token_file, or ask on 127.0.0.1 or a "
			     "Unix socket.\n");
	else if (page->use == CHANGES && !admin_is_from_own_page(&x->req))
		admin_refuse(x, 403, ADMIN_FIELDS,
			     "403 Forbidden\nThe request was sent by a web page of another "
			     "origin (its Origin or Sec-Fetch-Site says so).\n");
	else
		page->answer(x);
}

static bool is_path(const char *pattern, struct slice path)
{
	size_t n = strlen(pattern);

	if (n > 0 && pattern[n - 1] == '*')
		return path.n >= n && memcmp(path.p, pattern, n - 1) == 0;
	return slice_eq(path, slice_str(pattern));
}

/* A path may have two rows: one that is read, and one that changes something. */
static const struct page *page_of(const struct http_request *req)
{
	const struct page *found = NULL;

	for (size_t i = 0; i < PAGES; i++)
		if (is_path(pages[i].path, path_of(req)) &&
		    (found == NULL || is_allowed(pages[i].use, req->method)))
			found = &pages[i];
	return found;
}

/*
 * The operator's page asks for the token by itself: it has to be there first, and tells nothing
 * without; nor does the list of pages.
 */
static bool tells_nothing(const struct page *page)
{
	return page != NULL && (page->host == ANY || page->answer == show_index);
}

static void admin_handle(struct exchange *x)
{
	const struct page *page;

	if (x->req.form != TARGET_ORIGIN) {
		admin_refuse(
			x, 421, ADMIN_FIELDS,
			"421 Misdirected Request\nThis address has pages of the proxy, as /stats, "
			"and is no proxy itself: see the option listen.");
		return;
	}
	page = page_of(&x->req);
	if ((page == NULL || page->host != ANY) && !host_is_ours(x->use->conf, &x->req))
		admin_refuse(x, 403, ADMIN_FIELDS,
			     "403 Forbidden\nThe Host of the request is not a numeric address, "
			     "localhost or a name of the option admin_hosts: add the name there. "
			     "Others are refused, so that no web page can read this under a name "
			     "of its own.\n");
	else if (!tells_nothing(page) && !has_token(x))
		ask_for_token(x);
	else if (page != NULL)
		turn_page(x, page);
	else
		admin_refuse(
			x, 404, ADMIN_FIELDS,
			"404 Not Found\nThere is no such page: GET / lists those there are.\n");
}

/* No page takes content, and none is passed on: there is nothing to feed or resume. */
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
	if (x->inquiry != NULL)
		admin_explain_leave(x);
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
