/* Access rules: which clients may reach which destinations. */
#include "proxy/access/access.h"

#include <stdio.h>
#include <stdlib.h>

#include "cache/http/fields.h"
#include "conf/units.h"
#include "proxy/access/ranges.h"
#include "proxy/access/destinations.h"

/* A network of this machine's addresses, and a port one of our listeners has on them. */
struct endpoint {
	struct network network;
	uint16_t port;
};

/*
 * Verdicts on recent destinations.  The rules are constant, so a verdict never changes; it is
 * needed for every request, hits included, and working it out costs more than the rest of a hit.
 */
enum { MEMO_SLOTS = 64, MEMO_HOST_MAX = 58 };

struct memo {
	uint16_t port;
	uint8_t failure;
	uint8_t length; /* 0: nothing is remembered here */
	char host[MEMO_HOST_MAX];
};

/* A bit each. */
struct ports {
	uint8_t bits[(UINT16_MAX + 1) / 8];
};

struct access {
	struct memo *memo; /* MEMO_SLOTS */
	struct rules *deny;
	struct rules *allow;
	struct network *clients;
	size_t client_count;
	struct network *senders;
	size_t sender_count;
	struct endpoint *own;
	size_t own_count;
	bool is_local_only; /* only this machine may be a client */
	bool dns_private;   /* names that the DNS says are private may be asked for */
	struct ports connect_ports;
	struct ports ports;          /* of all other requests */
	struct ports wildcard_ports; /* of listeners on all addresses of the machine */
	struct slice instance;       /* our name in Via */
	const struct conf_list *methods;
};

static bool add_client(struct access *access, struct network network)
{
	struct network *clients =
		reallocarray(access->clients, access->client_count + 1, sizeof(*clients));

	if (clients == NULL)
		return false;
	access->clients = clients;
	clients[access->client_count++] = network;
	return true;
}

static bool add_own(struct access *access, struct network network, uint16_t port)
{
	struct endpoint *own = reallocarray(access->own, access->own_count + 1, sizeof(*own));

	if (own == NULL)
		return false;
	access->own = own;
	own[access->own_count++] = (struct endpoint){network, port};
	return true;
}

static struct network network_of_text(const char *text)
{
	struct network network = {.family = AF_UNSPEC};

	network_parse(slice_str(text), &network);
	return network;
}

static struct network network_of_one(const union address *address)
{
	return network_of(address, address->any.sa_family == AF_INET ? 32 : 128);
}

/* A wildcard listener has the address: an IPv6 one may take IPv4 connections, too. */
static bool wildcard_has(const union address *wildcard, const union address *address)
{
	return wildcard->any.sa_family == AF_INET6 || address->any.sa_family == AF_INET;
}

static bool add_interface(struct access *access, const union address *listener,
			  const struct interface_address *interface)
{
	const union address *address = &interface->address;
	bool wildcard = address_is_wildcard(listener);
	union address bound = address_unmapped(listener);
	bool listens = wildcard ? wildcard_has(listener, address) : address_equal(&bound, address);

	if (!listens)
		return true;
	if (wildcard && !add_own(access, network_of_one(address), address_port(listener)))
		return false;
	return add_client(access, network_of(address, interface->bits));
}

/*
 * What a listener makes of the machine's addresses; they are own ones, and their networks clients.
 */
static bool add_listener(struct access *access, const union address *listener,
			 const struct access_place *place)
{
	uint16_t port = address_port(listener);

	/* Connecting to 0.0.0.0 or :: reaches this machine. */
	if (!add_own(access, network_of_one(listener), port) ||
	    !add_own(access, network_of_text("0.0.0.0"), port) ||
	    !add_own(access, network_of_text("::"), port))
		return false;
	if (address_is_wildcard(listener))
		access->wildcard_ports.bits[port / 8] |= (uint8_t)(1 << port % 8);
	if (address_is_wildcard(listener) &&
	    (!add_own(access, network_of_text("127.0.0.0/8"), port) ||
	     !add_own(access, network_of_text("::1"), port)))
		return false;
	for (size_t i = 0; i < place->interface_count; i++)
		if (!add_interface(access, listener, &place->interfaces[i]))
			return false;
	return true;
}

static bool add_listeners(struct access *access, const struct access_place *place,
			  struct diagnostic *error)
{
	bool ok = add_client(access, network_of_text("127.0.0.0/8")) &&
		  add_client(access, network_of_text("::1"));

	for (size_t i = 0; ok && i < place->listener_count; i++)
		ok = add_listener(access, &place->listeners[i], place);
	if (!ok)
		diagnostic_set(error, "access: out of memory");
	return ok;
}

/* The option `clients`, in place of what the listeners say. */
static bool set_clients(struct access *access, const struct conf_list *list,
			struct diagnostic *error)
{
	struct network network;
	size_t i;

	if (list->count > 0)
		access->client_count = 0;
	for (i = 0; i < list->count; i++) {
		if (!network_parse(slice_str(list->at[i]), &network)) {
			diagnostic_set(error, "clients: \"%s\" is not a network", list->at[i]);
			return false;
		}
		if (!add_client(access, network)) {
			diagnostic_set(error, "clients: out of memory");
			return false;
		}
	}
	return true;
}

static bool set_senders(struct access *access, const struct conf_list *list,
			struct diagnostic *error)
{
	size_t i;

	access->senders = calloc(list->count + 1, sizeof(*access->senders));
	if (access->senders == NULL) {
		diagnostic_set(error, "proxy_protocol_from: out of memory");
		return false;
	}
	for (i = 0; i < list->count; i++) {
		if (!network_parse(slice_str(list->at[i]), &access->senders[i])) {
			diagnostic_set(error, "proxy_protocol_from: \"%s\" is not a network",
				       list->at[i]);
			return false;
		}
		access->sender_count++;
	}
	return true;
}

/* Add the option's ports. */
static bool add_ports(struct ports *ports, const struct conf_list *list, const char *option,
		      struct diagnostic *error)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		uint16_t first, last;

		if (!units_parse_ports(list->at[i], &first, &last)) {
			diagnostic_set(error, "%s: \"%s\" is not a port", option, list->at[i]);
			return false;
		}
		for (uint32_t port = first; port <= last; port++)
			ports->bits[port / 8] |= (uint8_t)(1 << port % 8);
	}
	return true;
}

static bool is_loopback_only(const struct network *network)
{
	union address first = address_from_bytes(network->family, network->bytes);

	return network->bits >= (network->family == AF_INET ? 8 : 128) &&
	       address_is_loopback(&first);
}

/*
 * Whether all who may be clients are on this machine.  That does not follow from the addresses
 * bound: a load balancer on this machine, and whatever else forwards to loopback, has clients
 * elsewhere.  It follows from the networks of `clients`; where that option is empty, they are made
 * of the interfaces of the listening addresses, which may get wider with them.
 */
static bool serves_this_machine_only(const struct access *access, const struct conf *conf,
				     const struct access_place *place)
{
	bool local = place->listener_count > 0 && access->sender_count == 0;

	for (size_t i = 0; i < access->client_count; i++)
		local = local && is_loopback_only(&access->clients[i]);
	for (size_t i = 0; conf->clients.count == 0 && i < place->listener_count; i++)
		local = local && address_is_loopback(&place->listeners[i]);
	return local;
}

static bool set_ports(struct access *access, const struct conf *conf, struct diagnostic *error)
{
	static const uint16_t others[] = {
#define PORT(number, whose) number,
#include "proxy/access/ports.def"
#undef PORT
	};
	struct ports *ports = &access->ports;

	memset(ports->bits, 0xff, sizeof(ports->bits));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		ports->bits[others[i] / 8] &= (uint8_t) ~(1 << others[i] % 8);
	return add_ports(ports, &conf->allow_ports, "allow_ports", error) &&
	       add_ports(&access->connect_ports, &conf->connect_ports, "connect_ports", error);
}

struct access *access_new(const struct conf *conf, const struct access_place *place,
			  struct diagnostic *error)
{
	struct access *access = calloc(1, sizeof(*access));

	if (access != NULL)
		access->memo = calloc(MEMO_SLOTS, sizeof(*access->memo));
	if (access == NULL || access->memo == NULL) {
		free(access);
		diagnostic_set(error, "access: out of memory");
		return NULL;
	}
	access->dns_private = conf->dns_private != CONF_DNS_PRIVATE_REFUSE;
	access->methods = &conf->methods;
	access->instance = slice_str(conf_instance(conf));
	if (!add_listeners(access, place, error) || !set_clients(access, &conf->clients, error) ||
	    !set_senders(access, &conf->proxy_protocol_from, error) ||
	    !set_ports(access, conf, error))
		goto fail;
	access->is_local_only = serves_this_machine_only(access, conf, place);
	access->deny = rules_new(&conf->deny, "deny", error);
	if (access->deny == NULL)
		goto fail;
	access->allow = rules_new(&conf->allow, "allow", error);
	if (access->allow == NULL)
		goto fail;
	return access;
fail:
	access_free(access);
	return NULL;
}

void access_free(struct access *access)
{
	if (access == NULL)
		return;
	rules_free(access->deny);
	rules_free(access->allow);
	free(access->clients);
	free(access->senders);
	free(access->own);
	free(access->memo);
	free(access);
}

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

static bool ports_have(const struct ports *ports, uint16_t port)
{
	return ports->bits[port / 8] >> port % 8 & 1;
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

/* Which rule it was: one of the operator's, or what is refused unless `allow` has it. */
static enum failure why_denied(const struct access *access, struct slice host,
			       const union address *address)
{
	union address embedded[RANGE_EMBEDDED_MAX];
	unsigned count = range_embedded(address, embedded);
	bool by_rule =
		rules_have_name(access->deny, host) || rules_have_address(access->deny, address);

	for (unsigned i = 0; i < count; i++)
		by_rule = by_rule || rules_have_address(access->deny, &embedded[i]);
	if (by_rule)
		return FAILURE_DENIED_DESTINATION;
	return range_kind(address) == RANGE_NEVER ? FAILURE_DENIED_RESERVED
						  : FAILURE_DENIED_PRIVATE;
}

enum failure access_address(const struct access *access, struct slice host,
			    enum address_source source, const union address *address)
{
	union address embedded[RANGE_EMBEDDED_MAX];
	unsigned count = range_embedded(address, embedded);
	bool is_denied = rules_have_name(access->deny, host) ||
			 rules_have_address(access->deny, address) ||
			 is_refused_by_default(access, source, address);
	unsigned i;

	if (is_own(access, address))
		return FAILURE_OWN_ADDRESS;
	for (i = 0; i < count; i++) {
		if (is_own(access, &embedded[i]))
			return FAILURE_OWN_ADDRESS;
		is_denied = is_denied || rules_have_address(access->deny, &embedded[i]);
	}
	if (!is_denied || rules_have_name(access->allow, host) ||
	    rules_have_address(access->allow, address))
		return FAILURE_NONE;
	return why_denied(access, host, address);
}
