/* Names known without asking a name server. */
#include "proxy/dns/known_names.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/dns/dns_cache.h"
#include "proxy/base/hostname.h"
#include "proxy/dns/hosts.h"

struct known_names {
	struct hosts_file *hosts; /* NULL when there is to be none */
	struct dns_cache *kept;
};

struct known_names *known_names_new(const struct conf *conf, struct diagnostic *error)
{
	struct known_names *known = calloc(1, sizeof(*known));

	if (known != NULL)
		known->kept = dns_cache_new(conf->dns_cache);
	if (known == NULL || known->kept == NULL) {
		diagnostic_set(error, "resolvers: out of memory");
		free(known);
		return NULL;
	}
	if (conf->hosts_file[0] != '\0') {
		known->hosts = hosts_file_open(conf->hosts_file, error);
		if (known->hosts == NULL) {
			known_names_free(known);
			return NULL;
		}
	}
	return known;
}

void known_names_free(struct known_names *known)
{
	if (known == NULL)
		return;
	hosts_file_close(known->hosts);
	dns_cache_free(known->kept);
	free(known);
}

static void set_loopback(struct addresses *ret_found)
{
	union address v6 = address_from_bytes(AF_INET6, &in6addr_loopback);
	union address v4 = address_from_bytes(AF_INET, &(struct in_addr){htonl(INADDR_LOOPBACK)});

	addresses_interleave(ret_found, &v6, 1, &v4, 1);
}

static bool find_fixed(struct slice name, enum failure *ret_failure, struct addresses *ret_found)
{
	*ret_found = (struct addresses){.source = FROM_HERE};
	if (hostname_is_within(name, SLICE("localhost"))) {
		*ret_failure = FAILURE_NONE;
		set_loopback(ret_found);
		return true;
	}
	*ret_failure = FAILURE_DNS_ERROR;
	ret_found->why_none = "names in .invalid and .onion are not looked up";
	return hostname_is_within(name, SLICE("invalid")) ||
	       hostname_is_within(name, SLICE("onion"));
}

bool known_names_find(struct known_names *known, struct slice name, int64_t now_ms,
		      enum failure *ret_failure, struct addresses *ret_found)
{
	if (known->hosts != NULL &&
	    hosts_find(hosts_file_current(known->hosts, now_ms), name, ret_found)) {
		*ret_failure = FAILURE_NONE;
		return true;
	}
	return find_fixed(name, ret_failure, ret_found) ||
	       dns_cache_find(known->kept, name, now_ms, ret_failure, ret_found);
}

void known_names_keep(struct known_names *known, struct slice name, int64_t until_ms,
		      enum failure failure, const struct addresses *found)
{
	dns_cache_put(known->kept, name, until_ms, failure, found);
}
