/*
 * Questions to name servers, as c-ares asks them: the only place that calls it, and that knows one
 * of its versions from another.
 *
 * A channel asks for the addresses of one name.  Its owner watches its sockets and waits for its
 * retries; answers are written down in `struct dns_part`, and nothing else is called from inside
 * c-ares but `admit` and `watch`.  So the owner acts, and may free the channel, when a call below
 * has returned.
 */
#ifndef PROXY_DNS_DNS_CHANNEL_H
#define PROXY_DNS_DNS_CHANNEL_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/address.h"
#include "proxy/dns/dns_answer.h"

enum {
	DNS_SERVERS_MAX = 8,
	DNS_SOCKETS_MAX = 2 * DNS_SERVERS_MAX, /* of one channel: UDP and TCP */
	/*
	 * One more than dns_timeout has room for: c-ares gives up after its own deadline, which it
	 * lets pass without a look, and ours comes before.
	 */
	DNS_TRIES = 4,
};

struct ares_channeldata;

/* Name servers with their ports; none: those of resolv.conf as it is when a channel is opened. */
struct dns_servers {
	unsigned count;
	char list[DNS_SERVERS_MAX * (ADDRESS_TEXT_SIZE + sizeof("[]:65535,"))];
};

/* False when there is no room for one more. */
bool dns_servers_add(struct dns_servers *servers, const union address *address, uint16_t port);

/* Socket `fd` was opened, closes (neither flag), or waits for something else. */
typedef void (*dns_channel_watch)(void *context, int fd, bool readable, bool writable);

/*
 * One more socket was opened.  False: there are enough, it closes again without a call of `watch`.
 */
typedef bool (*dns_channel_admit)(void *context);

/* Embedded in its owner and not moved while open; all zero when it is not. */
struct dns_channel {
	struct ares_channeldata *ares;
	dns_channel_admit admit;
	dns_channel_watch watch;
	void *context;
};

/*
 * Once a process and user, before any channel.  NULL, or what is wrong; then there is nothing to
 * clean up.
 */
const char *dns_channel_library_init(void);
void dns_channel_library_cleanup(void);

/* The first try takes `try_ms`, each other one twice the one before.  False: out of memory. */
bool dns_channel_open(struct dns_channel *channel, const struct dns_servers *servers, int try_ms,
		      dns_channel_admit admit, dns_channel_watch watch, void *context);

/* Sockets are closed (`watch` is called); the parts asked for stay as they are. */
void dns_channel_close(struct dns_channel *channel);

/*
 * Ask for both families of `name`.  The parts are DNS_PENDING, and outlive the channel.  Either may
 * have its answer when this returns; so may both when no socket could be had.
 */
void dns_channel_ask(struct dns_channel *channel, const char *name, struct dns_part *v6,
		     struct dns_part *v4);

/*
 * What poll() said of the sockets; those that it said nothing of are passed over.  All are read
 * before anything that is due is asked again: the next one may have the answer.
 */
void dns_channel_io(struct dns_channel *channel, const struct pollfd *sockets, unsigned count);

/* Time for retries, if any are due.  Milliseconds to the next one, or -1 for none. */
void dns_channel_retry(struct dns_channel *channel);
int64_t dns_channel_retry_ms(const struct dns_channel *channel);

#endif
