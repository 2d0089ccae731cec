/* Access rules compiled from the options, and from where the proxy is. */
#include "proxy/access/access.h"

#include <stdlib.h>

#include "conf/units.h"
#include "proxy/access/compiled.h"

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
		struct network *sender = &access->senders[access->sender_count];

		if (conf_unix_path(list->at[i]) != NULL) {
			access->unix_sends = true;
			continue;
		}
		if (!network_parse(slice_str(list->at[i]), sender)) {
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
	bool local = (place->listener_count > 0 || place->has_unix) && access->sender_count == 0 &&
		     !access->unix_sends;

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
	       add_ports(&access->connect_ports, &conf->connect_ports, "connect_ports", error) &&
	       add_ports(&access->tunnel_http, &conf->tunnel_http, "tunnel_http", error);
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
