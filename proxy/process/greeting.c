/* The first lines on standard output, for users and scripts. */
#include "proxy/process/greeting.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>

#include "conf/conf.h"
#include "proxy/access/ranges.h"
#include "proxy/base/log.h"
#include "proxy/base/version.h"
#include "proxy/front/admin.h"
#include "proxy/front/gateway.h"
#include "proxy/process/no_proxy.h"

/* An address of a wildcard listener that other machines may know; false when there is none. */
static bool find_outer(const union address *bound, union address *ret_outer)
{
	struct ifaddrs *interfaces = NULL;
	bool found = false;

	if (getifaddrs(&interfaces) != 0)
		return false;
	for (const struct ifaddrs *i = interfaces; i != NULL && !found; i = i->ifa_next) {
		if (i->ifa_addr == NULL || i->ifa_addr->sa_family != bound->any.sa_family ||
		    (i->ifa_flags & IFF_UP) == 0)
			continue;
		memcpy(ret_outer, i->ifa_addr, address_length(bound));
		/* Not link-local ones, which need a zone. */
		found = !address_is_loopback(ret_outer) && range_kind(ret_outer) != RANGE_NEVER;
		address_set_port(ret_outer, address_port(bound));
	}
	freeifaddrs(interfaces);
	return found;
}

static void print_outer(const union address *bound)
{
	char text[ADDRESS_TEXT_SIZE];
	union address outer;

	if (!address_is_wildcard(bound) || !find_outer(bound, &outer))
		return;
	address_format_port(&outer, text);
	printf("# from other machines: http://%s\n", text);
}

static void print_listener(const struct listener_address *listening)
{
	union address here = address_reached_here(&listening->address);
	char text[ADDRESS_TEXT_SIZE];

	address_format_port(&here, text);
	if (listening->frontend == &admin_frontend)
		printf("stats: http://%s/stats\n", text);
	else if (gateway_origin(listening->frontend) != NULL)
		printf("gateway: http://%s -> %s\n", text, gateway_origin(listening->frontend));
	else
		printf("export http_proxy=http://%s HTTP_PROXY=http://%s\n", text, text);
	print_outer(&listening->address);
}

/* Warn: with this environment, requests for this machine bypass the proxy silently. */
static void warn_of_no_proxy(const char *variable)
{
	const char *value = getenv(variable);
	struct slice host = no_proxy_loopback(value == NULL ? "" : value);

	if (host.n > 0)
		printf("# warning: %s has %.*s here: clients with the same do not use the proxy "
		       "for this machine; unset it to try\n",
		       variable, host.n > 64 ? 64 : (int)host.n, host.p);
}

/* Some programs read one spelling of the variable alone, without a word about the other. */
void greeting_print(const struct conf *conf, const struct listener *listener)
{
	for (unsigned i = 0; i < listener->count; i++)
		print_listener(&listener->at[i]);
	puts("# both spellings: curl ignores HTTP_PROXY, some programs ignore http_proxy");
	warn_of_no_proxy("no_proxy");
	warn_of_no_proxy("NO_PROXY");
	printf("store: %s\n", conf->store);
	puts("cache204 " CACHE204_VERSION " ready");
	fflush(stdout);
}

void greeting_warn_of_admin(const struct listener *listener)
{
	for (unsigned i = 0; i < listener->count; i++) {
		const struct listener_address *at = &listener->at[i];
		char text[ADDRESS_TEXT_SIZE];

		if (at->frontend != &admin_frontend || address_is_loopback(&at->address))
			continue;
		address_format_port(&at->address, text);
		log_error("admin: other machines may reach %s, and ask for no login: who does sees "
			  "the statistics and can empty the store; keep it behind a firewall, or "
			  "to 127.0.0.1",
			  text);
	}
}
