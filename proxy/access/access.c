/* Access rules: which clients may reach which destinations. */
#include "proxy/access/access.h"

#include "cache/http/fields.h"
#include "proxy/access/compiled.h"
#include "proxy/access/ranges.h"

bool access_is_local_only(const struct access *access)
{
	return access->is_local_only;
}

static bool any_has(const struct network *networks, size_t count, const union address *address)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (network_has(&networks[i], address))
			return true;
	return false;
}

bool access_client(const struct access *access, const union address *peer)
{
	return peer->any.sa_family == AF_UNIX ||
	       any_has(access->clients, access->client_count, peer);
}

bool access_sender(const struct access *access, const union address *peer)
{
	if (peer->any.sa_family == AF_UNIX)
		return access->unix_sends;
	return any_has(access->senders, access->sender_count, peer);
}

/*
 * The received-by of a Via member: [ protocol-name "/" ] version RWS received-by [ RWS comment ].
 */
static struct slice received_by(struct slice member)
{
	size_t n = 0;

	while (member.n > 0 && member.p[0] != ' ' && member.p[0] != '\t')
		member.p++, member.n--;
	member = slice_trim(member);
	while (n < member.n && member.p[n] != ' ' && member.p[n] != '\t')
		n++;
	return slice_of(member.p, n);
}

/*
 * Cut at each comma, those in comments too: a comment with a quote that is never closed must not
 * hide what follows it.
 */
static bool line_has_been_here(const struct access *access, struct slice value)
{
	while (value.n > 0) {
		const char *comma = memchr(value.p, ',', value.n);
		size_t n = comma != NULL ? (size_t)(comma - value.p) : value.n;

		if (slice_ieq(received_by(slice_trim(slice_of(value.p, n))), access->instance))
			return true;
		n += comma != NULL ? 1 : 0;
		value = slice_of(value.p + n, value.n - n);
	}
	return false;
}

static bool has_been_here(const struct access *access, const struct http_request *req)
{
	const struct http_field *line = http_fields_first(&req->fields, FIELD_VIA);

	for (; line != NULL; line = http_fields_next(&req->fields, line))
		if (line_has_been_here(access, line->value))
			return true;
	return false;
}

bool access_is_loop(const struct access *access, const struct http_request *req)
{
	return http_has_field(&req->fields, FIELD_VIA) && has_been_here(access, req);
}

/* What the rules say of a destination before its name is looked up. */
static enum failure judge_destination(const struct access *access, const struct http_uri *uri)
{
	union address address;

	if (address_parse(uri->host, &address)) {
		address_set_port(&address, uri->port);
		return access_address(access, uri->host, FROM_HERE, &address);
	}
	if (rules_have_name(access->deny, uri->host) && !rules_have_name(access->allow, uri->host))
		return FAILURE_DENIED_DESTINATION;
	return FAILURE_NONE;
}

static enum failure judge_tunnel(const struct access *access, const struct http_uri *uri)
{
	return ports_have(&access->connect_ports, uri->port) ? judge_destination(access, uri)
							     : FAILURE_DENIED_TUNNEL;
}

static enum failure judge_plain(const struct access *access, const struct http_uri *uri)
{
	return ports_have(&access->ports, uri->port) ? judge_destination(access, uri)
						     : FAILURE_DENIED_PORT;
}

bool access_reads_tunnel(const struct access *access, const struct http_uri *uri)
{
	return ports_have(&access->tunnel_http, uri->port);
}

/* Hash the port and both ends of the name: the middle rarely differs between hosts. */
static struct memo *memo_slot(const struct access *access, const struct http_uri *uri)
{
	uint64_t first = 0, last = 0;

	if (uri->host.n >= sizeof(uint64_t)) {
		memcpy(&first, uri->host.p, sizeof(first));
		memcpy(&last, uri->host.p + uri->host.n - sizeof(last), sizeof(last));
	} else {
		memcpy(&first, uri->host.p, uri->host.n);
	}
	first = (first ^ (last << 7 | last >> 57) ^ uri->port) * UINT64_C(0x9e3779b97f4a7c15);
	return &access->memo[(first >> 32) % MEMO_SLOTS];
}

static enum failure remembered_destination(const struct access *access, const struct http_uri *uri)
{
	struct memo *memo;

	if (uri->host.n > MEMO_HOST_MAX)
		return judge_plain(access, uri);
	memo = memo_slot(access, uri);
	if (memo->length == uri->host.n && memo->port == uri->port &&
	    memcmp(memo->host, uri->host.p, uri->host.n) == 0)
		return (enum failure)memo->failure;
	memo->failure = (uint8_t)judge_plain(access, uri);
	memo->port = uri->port;
	memo->length = (uint8_t)uri->host.n;
	memcpy(memo->host, uri->host.p, uri->host.n);
	return (enum failure)memo->failure;
}

bool access_method(const struct access *access, struct slice method)
{
	if (access->methods->count == 0)
		return true;
	for (size_t i = 0; i < access->methods->count; i++)
		if (slice_eq(method, slice_str(access->methods->at[i])))
			return true;
	return false;
}

enum failure access_request(const struct access *access, const struct http_request *req)
{
	if (!access_method(access, req->method_name))
		return FAILURE_DENIED_METHOD;
	if (access_is_loop(access, req))
		return FAILURE_LOOP;
	if (req->uri.host.n == 0)
		return FAILURE_NONE; /* of a form without authority: refused elsewhere */
	if (req->method == METHOD_CONNECT)
		return judge_tunnel(access, &req->uri);
	return remembered_destination(access, &req->uri);
}

static bool is_own(const struct access *access, const union address *address)
{
	size_t i;

	for (i = 0; i < access->own_count; i++)
		if (access->own[i].port == address_port(address) &&
		    network_has(&access->own[i].network, address))
			return true;
	return false;
}

bool access_has_wildcard_port(const struct access *access, uint16_t port)
{
	return ports_have(&access->wildcard_ports, port);
}

bool access_is_wildcard_own(const struct access *access, const union address *local,
			    const union address *peer)
{
	union address here = address_unmapped(local), there = address_unmapped(peer);

	return address_equal(&here, &there) &&
	       ports_have(&access->wildcard_ports, address_port(peer));
}

static bool is_refused_by_default(const struct access *access, enum address_source source,
				  const union address *address)
{
	switch (range_kind(address)) {
	case RANGE_PUBLIC:
		return false;
	case RANGE_PRIVATE:
		if (!access->is_local_only)
			return true;
		break;
	case RANGE_NEVER:
		return true;
	}
	/* A page's own name, pointed here or at a neighbour once the page is loaded (rebinding). */
	return source == FROM_NAME_SERVERS &&
	       (address_is_loopback(address) || !access->dns_private);
}

enum failure access_chosen(const struct access *access, const union address *address)
{
	union address embedded[RANGE_EMBEDDED_MAX];
	unsigned count = range_embedded(address, embedded);
	unsigned i;

	for (i = 0; i < count; i++)
		if (is_own(access, &embedded[i]))
			return FAILURE_OWN_ADDRESS;
	return is_own(access, address) ? FAILURE_OWN_ADDRESS : FAILURE_NONE;
}

static bool is_denied_by_rule(const struct access *access, struct slice host,
			      const union address *address)
{
	union address embedded[RANGE_EMBEDDED_MAX];
	unsigned count = range_embedded(address, embedded);

	for (unsigned i = 0; i < count; i++)
		if (rules_have_address(access->deny, &embedded[i]))
			return true;
	return rules_have_name(access->deny, host) || rules_have_address(access->deny, address);
}

enum failure access_address(const struct access *access, struct slice host,
			    enum address_source source, const union address *address)
{
	bool by_rule = is_denied_by_rule(access, host, address);

	if (access_chosen(access, address) != FAILURE_NONE)
		return FAILURE_OWN_ADDRESS;
	if (!by_rule && !is_refused_by_default(access, source, address))
		return FAILURE_NONE;
	if (rules_have_name(access->allow, host) || rules_have_address(access->allow, address))
		return FAILURE_NONE;
	if (by_rule)
		return FAILURE_DENIED_DESTINATION;
	return range_kind(address) == RANGE_NEVER ? FAILURE_DENIED_RESERVED
						  : FAILURE_DENIED_PRIVATE;
}
