/* A resolver that answers as a test says. */
#include "tests/doubles/fake_resolver.h"

#include <assert.h>
#include <stdio.h>

#include "cache/base/diagnostic.h"
#include "tests/doubles/sure_memory.h"

enum { FAKE_HOSTS = 64 };

struct fake_host {
	char name[256];
	enum failure failure;
	struct addresses addresses;
	int64_t delay_ms;
};

struct resolver_query {
	struct resolver_query *next; /* in the order of `due_ms` */
	struct resolver *resolver;
	resolver_done done;
	void *context;
	int64_t due_ms; /* INT64_MAX for never */
	enum failure failure;
	struct addresses addresses;
};

struct resolver {
	struct fake_host hosts[FAKE_HOSTS];
	unsigned host_count;
	struct resolver_query *queries;
	int64_t now_ms;
	unsigned asked;
};

struct resolver *resolver_new(void *loop, const struct conf *conf, const struct budgets *budgets,
			      struct diagnostic *error)
{
	(void)loop;
	(void)budgets;
	(void)conf;
	(void)error;
	return sure_memory(NULL, 1, sizeof(struct resolver));
}

static void query_remove(struct resolver_query *query)
{
	struct resolver_query **at = &query->resolver->queries;

	while (*at != query)
		at = &(*at)->next;
	*at = query->next;
	free(query);
}

void resolver_free(struct resolver *resolver)
{
	if (resolver == NULL)
		return;
	while (resolver->queries != NULL)
		query_remove(resolver->queries);
	free(resolver);
}

static struct fake_host *find_host(struct resolver *resolver, struct slice name)
{
	unsigned i;

	for (i = 0; i < resolver->host_count; i++)
		if (slice_ieq(slice_str(resolver->hosts[i].name), name))
			return &resolver->hosts[i];
	return NULL;
}

static struct fake_host *set_host(struct resolver *resolver, const char *name, int64_t delay_ms)
{
	struct fake_host *host = find_host(resolver, slice_str(name));

	if (host == NULL) {
		assert(resolver->host_count < FAKE_HOSTS);
		host = &resolver->hosts[resolver->host_count++];
	}
	memset(host, 0, sizeof(*host));
	snprintf(host->name, sizeof(host->name), "%s", name);
	host->delay_ms = delay_ms;
	return host;
}

void fake_resolver_tell(struct resolver *resolver, const char *name, const char *addresses,
			int64_t delay_ms)
{
	struct fake_host *host = set_host(resolver, name, delay_ms);
	size_t n;

	for (; *addresses; addresses += n + strspn(addresses + n, " ")) {
		n = strcspn(addresses, " ");
		assert(host->addresses.count < ADDRESSES_MAX);
		if (!address_parse(slice_of(addresses, n),
				   &host->addresses.at[host->addresses.count++]))
			abort();
	}
	assert(host->addresses.count > 0);
}

void fake_resolver_fail(struct resolver *resolver, const char *name, enum failure failure,
			int64_t delay_ms)
{
	assert(failure != FAILURE_NONE);
	set_host(resolver, name, delay_ms)->failure = failure;
}

/* After those that are due at the same time. */
static struct resolver_query *query_add(struct resolver *resolver, const struct fake_host *host,
					resolver_done done, void *context)
{
	struct resolver_query *query = sure_memory(NULL, 1, sizeof(*query));
	struct resolver_query **at = &resolver->queries;

	query->resolver = resolver;
	query->done = done;
	query->context = context;
	query->failure = host->failure;
	query->addresses = host->addresses;
	query->due_ms = host->delay_ms == FAKE_RESOLVER_NEVER ? INT64_MAX
							      : resolver->now_ms + host->delay_ms;
	while (*at && (*at)->due_ms <= query->due_ms)
		at = &(*at)->next;
	query->next = *at;
	*at = query;
	return query;
}

struct resolver_query *resolver_start(struct resolver *resolver, struct slice name,
				      budget_id holder, resolver_done done, void *context)
{
	struct addresses found = {.count = 0};
	enum failure failure = FAILURE_DNS_ERROR;
	const struct fake_host *host = find_host(resolver, name);

	(void)holder;
	resolver->asked++;
	if (host != NULL && host->delay_ms != 0)
		return query_add(resolver, host, done, context);
	if (host != NULL) {
		failure = host->failure;
		found = host->addresses;
	} else if (address_parse(name, &found.at[0])) {
		failure = FAILURE_NONE;
		found.source = FROM_HERE;
		found.count = 1;
	}
	done(context, failure, &found);
	return NULL;
}

void resolver_cancel(struct resolver_query *query)
{
	query_remove(query);
}

void fake_resolver_advance(struct resolver *resolver, int64_t ms)
{
	int64_t until_ms = resolver->now_ms + ms;

	while (resolver->queries != NULL && resolver->queries->due_ms <= until_ms) {
		struct resolver_query query = *resolver->queries;

		resolver->now_ms = query.due_ms;
		query_remove(resolver->queries);
		query.done(query.context, query.failure, &query.addresses);
	}
	resolver->now_ms = until_ms;
}

unsigned fake_resolver_asked(const struct resolver *resolver)
{
	return resolver->asked;
}

unsigned fake_resolver_waiting(const struct resolver *resolver)
{
	const struct resolver_query *query;
	unsigned count = 0;

	for (query = resolver->queries; query; query = query->next)
		count++;
	return count;
}
