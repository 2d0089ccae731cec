/* Whether a variable no_proxy keeps requests for this machine away from the proxy. */
#include "proxy/process/no_proxy.h"

#include "proxy/base/address.h"

static const char separators[] = ", \t";

/* Without a port, and without the brackets of an IPv6 address. */
static struct slice host_of(struct slice member)
{
	const char *colon = memchr(member.p, ':', member.n);
	const char *end = memchr(member.p, ']', member.n);

	if (member.p[0] == '[' && end != NULL)
		return slice_of(member.p + 1, (size_t)(end - member.p) - 1);
	if (colon != NULL && memrchr(member.p, ':', member.n) == colon)
		return slice_of(member.p, (size_t)(colon - member.p));
	return member;
}

static bool is_loopback(struct slice host)
{
	union address v4, v6;
	struct network network;

	if (slice_ieq(host, SLICE("*")) || slice_ieq(host, SLICE("localhost")) ||
	    slice_ieq(host, SLICE(".localhost")))
		return true;
	return network_parse(host, &network) && address_parse(SLICE("127.0.0.1"), &v4) &&
	       address_parse(SLICE("::1"), &v6) &&
	       (network_has(&network, &v4) || network_has(&network, &v6));
}

struct slice no_proxy_loopback(const char *list)
{
	while (*(list += strspn(list, separators)) != '\0') {
		size_t length = strcspn(list, separators);
		struct slice host = host_of(slice_of(list, length));

		if (is_loopback(host))
			return host;
		list += length;
	}
	return slice_of("", 0);
}
