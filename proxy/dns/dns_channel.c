/* Questions to name servers by c-ares; the only file that includes ares.h. */
#include "proxy/dns/dns_channel.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

/* Later ones have deprecated the calls that took buffers, and take messages instead. */
#define HAS_MESSAGES (ARES_VERSION >= 0x012200)

bool dns_servers_add(struct dns_servers *servers, const union address *address, uint16_t port)
{
	size_t used = strlen(servers->list);
	bool is_v6 = address->any.sa_family == AF_INET6;
	char text[ADDRESS_TEXT_SIZE];

	if (servers->count == DNS_SERVERS_MAX)
		return false;
	address_format(address, text);
	snprintf(servers->list + used, sizeof(servers->list) - used, "%s%s%s%s:%u",
		 used > 0 ? "," : "", is_v6 ? "[" : "", text, is_v6 ? "]" : "", (unsigned)port);
	servers->count++;
	return true;
}

const char *dns_channel_library_init(void)
{
	int status = ares_library_init(ARES_LIB_INIT_ALL);

	return status == ARES_SUCCESS ? NULL : ares_strerror(status);
}

void dns_channel_library_cleanup(void)
{
	ares_library_cleanup();
}

static void socket_state_cb(void *data, ares_socket_t fd, int readable, int writable)
{
	struct dns_channel *channel = data;

	channel->watch(channel->context, fd, readable != 0, writable != 0);
}

/* Below 0, c-ares closes it and goes on as if it could not be opened. */
static int socket_opened_cb(ares_socket_t fd, int type, void *data)
{
	struct dns_channel *channel = data;

	(void)fd;
	(void)type;
	return channel->admit(channel->context) ? 0 : -1;
}

static bool set_servers(struct dns_channel *channel, const struct dns_servers *servers)
{
	int status;

	if (servers->count == 0)
		return true;
	status = ares_set_servers_ports_csv(channel->ares, servers->list);
	if (status != ARES_SUCCESS)
		dns_channel_close(channel);
	return status == ARES_SUCCESS;
}

bool dns_channel_open(struct dns_channel *channel, const struct dns_servers *servers, int try_ms,
		      dns_channel_admit admit, dns_channel_watch watch, void *context)
{
	struct in_addr placeholder = {.s_addr = htonl(INADDR_LOOPBACK)};
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
		.timeout = try_ms,
		.tries = DNS_TRIES,
		.ndots = 1,
		.lookups = (char[]){"b"}, /* name servers only; nsswitch.conf is not read */
		.sock_state_cb = socket_state_cb,
		.sock_state_cb_data = channel,
	};
	/* DOMAINS and SORTLIST: none, rather than those of the host name and resolv.conf. */
	int given = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS |
		    ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB | ARES_OPT_DOMAINS |
		    ARES_OPT_SORTLIST;

#if HAS_MESSAGES
	given |= ARES_OPT_QUERY_CACHE; /* of no seconds: what is kept is for dns_cache.h to say */
#endif
	if (servers->count > 0) {
		/* Without servers here resolv.conf would be read; ports can only be set after. */
		options.servers = &placeholder;
		options.nservers = 1;
		given |= ARES_OPT_SERVERS;
	}
	channel->admit = admit;
	channel->watch = watch;
	channel->context = context;
	if (ares_init_options(&channel->ares, &options, given) != ARES_SUCCESS) {
		channel->ares = NULL;
		return false;
	}
	ares_set_socket_callback(channel->ares, socket_opened_cb, channel);
	return set_servers(channel, servers);
}

void dns_channel_close(struct dns_channel *channel)
{
	if (channel->ares != NULL)
		ares_destroy(channel->ares);
	channel->ares = NULL;
}

static enum dns_status status_of(int ares_status)
{
	switch (ares_status) {
	case ARES_SUCCESS:
	case ARES_ENODATA:
		return DNS_NO_ADDRESS; /* until one is added */
	case ARES_ENOTFOUND:
		return DNS_NO_NAME;
	case ARES_ETIMEOUT:
		return DNS_SERVER_SILENT;
	case ARES_EDESTRUCTION:
	case ARES_ECANCELLED:
		return DNS_PENDING;
	case ARES_ENOMEM:
		return DNS_NOBODY_ASKED;
	default:
		return DNS_SERVER_FAILED;
	}
}

#if HAS_MESSAGES

static int seconds_of(unsigned ttl)
{
	return ttl > INT_MAX ? 0 : (int)ttl; /* RFC 2181 8 */
}

static void add_address(struct dns_part *part, const ares_dns_rr_t *record, int ttl_s)
{
	union address address;

	if (ares_dns_rr_get_type(record) == ARES_REC_TYPE_A)
		address = address_from_bytes(AF_INET, ares_dns_rr_get_addr(record, ARES_RR_A_ADDR));
	else
		address = address_from_bytes(AF_INET6,
					     ares_dns_rr_get_addr6(record, ARES_RR_AAAA_ADDR));
	dns_part_add(part, &address, ttl_s);
}

/* The addresses of the name asked for, or of what it is an alias of, no longer than the alias. */
static void add_addresses(struct dns_part *part, const ares_dns_record_t *message)
{
	size_t count = ares_dns_record_rr_cnt(message, ARES_SECTION_ANSWER);
	ares_dns_rec_type_t asked;
	int alias_ttl_s = INT_MAX;
	const char *name;

	if (ares_dns_record_query_get(message, 0, &name, &asked, NULL) != ARES_SUCCESS)
		return;
	for (size_t i = 0; i < count; i++) {
		const ares_dns_rr_t *record =
			ares_dns_record_rr_get_const(message, ARES_SECTION_ANSWER, i);
		ares_dns_rec_type_t type = ares_dns_rr_get_type(record);
		int ttl_s = seconds_of(ares_dns_rr_get_ttl(record));

		if (ares_dns_rr_get_class(record) != ARES_CLASS_IN ||
		    strcasecmp(ares_dns_rr_get_name(record), name) != 0)
			continue;
		if (ttl_s > alias_ttl_s)
			ttl_s = alias_ttl_s;
		if (type == ARES_REC_TYPE_CNAME) {
			name = ares_dns_rr_get_str(record, ARES_RR_CNAME_CNAME);
			alias_ttl_s = ttl_s;
		} else if (type == asked) {
			add_address(part, record, ttl_s);
		}
	}
}

static void answer_cb(void *data, ares_status_t status, size_t timeouts,
		      const ares_dns_record_t *message)
{
	struct dns_part *part = data;

	(void)timeouts;
	part->status = status_of((int)status);
	if (status == ARES_SUCCESS)
		add_addresses(part, message);
}

void dns_channel_ask(struct dns_channel *channel, const char *name, struct dns_part *v6,
		     struct dns_part *v4)
{
	ares_query_dnsrec(channel->ares, name, ARES_CLASS_IN, ARES_REC_TYPE_AAAA, answer_cb, v6,
			  NULL);
	ares_query_dnsrec(channel->ares, name, ARES_CLASS_IN, ARES_REC_TYPE_A, answer_cb, v4, NULL);
}

/* Has the name server ended this connection, and nothing is left to read? */
static bool is_ended(int fd)
{
	int type = 0;
	socklen_t length = sizeof(type);
	char byte;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_STREAM &&
	       recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/*
 * In one call, which also closes what has ended.  It leaves a connection open that ended within a
 * message, and that would be readable until the next try: it is not watched until then.
 */
void dns_channel_io(struct dns_channel *channel, const struct pollfd *sockets, unsigned count)
{
	ares_fd_events_t events[DNS_SOCKETS_MAX] = {0};
	size_t n = 0;

	assert(count <= DNS_SOCKETS_MAX);
	for (unsigned i = 0; i < count; i++) {
		if (sockets[i].fd < 0 || sockets[i].revents == 0)
			continue;
		events[n++] = (ares_fd_events_t){
			.fd = sockets[i].fd,
			.events = (sockets[i].revents & ~POLLOUT ? ARES_FD_EVENT_READ : 0u) |
				  (sockets[i].revents & ~POLLIN ? ARES_FD_EVENT_WRITE : 0u),
		};
	}
	ares_process_fds(channel->ares, events, n, ARES_PROCESS_FLAG_NONE);
	for (size_t i = 0; i < n; i++)
		if (is_ended(events[i].fd))
			channel->watch(channel->context, events[i].fd, false, false);
}

void dns_channel_retry(struct dns_channel *channel)
{
	ares_process_fds(channel->ares, NULL, 0, ARES_PROCESS_FLAG_NONE);
}

#else

static void a_cb(void *data, int status, int timeouts, unsigned char *reply, int length)
{
	struct dns_part *part = data;
	struct ares_addrttl found[ADDRESSES_MAX];
	int count = ADDRESSES_MAX;
	int i;

	(void)timeouts;
	if (status == ARES_SUCCESS)
		status = ares_parse_a_reply(reply, length, NULL, found, &count);
	part->status = status_of(status);
	for (i = 0; status == ARES_SUCCESS && i < count; i++) {
		union address address = address_from_bytes(AF_INET, &found[i].ipaddr);

		dns_part_add(part, &address, found[i].ttl);
	}
}

static void aaaa_cb(void *data, int status, int timeouts, unsigned char *reply, int length)
{
	struct dns_part *part = data;
	struct ares_addr6ttl found[ADDRESSES_MAX];
	int count = ADDRESSES_MAX;
	int i;

	(void)timeouts;
	if (status == ARES_SUCCESS)
		status = ares_parse_aaaa_reply(reply, length, NULL, found, &count);
	part->status = status_of(status);
	for (i = 0; status == ARES_SUCCESS && i < count; i++) {
		union address address = address_from_bytes(AF_INET6, &found[i].ip6addr);

		dns_part_add(part, &address, found[i].ttl);
	}
}

void dns_channel_ask(struct dns_channel *channel, const char *name, struct dns_part *v6,
		     struct dns_part *v4)
{
	ares_query(channel->ares, name, ns_c_in, ns_t_aaaa, aaaa_cb, v6);
	ares_query(channel->ares, name, ns_c_in, ns_t_a, a_cb, v4);
}

void dns_channel_io(struct dns_channel *channel, const struct pollfd *sockets, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		int fd = sockets[i].fd, what = sockets[i].revents;

		if (fd >= 0 && what != 0)
			ares_process_fd(channel->ares, what & ~POLLOUT ? fd : ARES_SOCKET_BAD,
					what & ~POLLIN ? fd : ARES_SOCKET_BAD);
	}
}

void dns_channel_retry(struct dns_channel *channel)
{
	ares_process_fd(channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

#endif

int64_t dns_channel_retry_ms(const struct dns_channel *channel)
{
	struct timeval room;
	struct timeval *retry = ares_timeout(channel->ares, NULL, &room);

	return retry != NULL ? (int64_t)retry->tv_sec * 1000 + retry->tv_usec / 1000 + 1 : -1;
}
