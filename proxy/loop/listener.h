/* Listening sockets: their addresses, bound.  client/acceptor accepts from them. */
#ifndef PROXY_LOOP_LISTENER_H
#define PROXY_LOOP_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/base/diagnostic.h"
#include "conf/conf.h"
#include "proxy/base/address.h"
#include "proxy/loop/listener_file.h"

struct frontend; /* who handles what comes; carried along, and not looked at here */

enum { LISTENERS_MAX = 64 }; /* addresses of a configuration */

struct listener_address {
	union address asked;   /* as configured: its port may be 0 */
	union address address; /* as bound: port 0 was replaced by the one chosen */
	const char *option;    /* that has it, static text: ports chosen here stay with it */
	const struct frontend *frontend;
	int fd;
	char path[CONF_UNIX_PATH]; /* of a Unix socket, "" for none */
	struct listener_file file; /* which it made there */
	unsigned mode;             /* its permissions */
	uint8_t row;    /* that counts what comes by it (stats/listeners.h); 0 unless given one */
	bool is_tls;    /* clients speak TLS to it */
	bool is_passed; /* bound by the service manager: no other socket can join its group */
};

/* As in the configuration, with the port that was chosen. */
enum { LISTENER_NAME_SIZE = CONF_UNIX_PATH + 8 };
void listener_name(const struct listener_address *at, char to[static LISTENER_NAME_SIZE]);

/* Addresses bound before privileges are dropped and workers forked; a set. */
struct listener {
	struct listener_address *at;
	unsigned count; /* more than LISTENERS_MAX when one worker has the sockets of several */
	/*
	 * A set that is in use: sockets of addresses that were asked for there are shared with it,
	 * so that no connection waiting in them is lost; NULL for none.
	 */
	const struct listener *former;
	struct listener_owner owner; /* of the files of Unix sockets that are bound next */
};

/*
 * Bind each "ADDRESS:PORT", "tls:ADDRESS:PORT" or "unix:PATH" of `list`, an option's; sockets are of a group that
 * others may join, one for each worker, and a Unix socket is shared by all.  listener_listen()
 * follows when all else is right, for what waits in a socket that is closed again is lost.  (A Unix
 * socket listens at once, see listener_file.h.)  False with a line in `error`.
 */
bool listener_bind(struct listener *listener, const struct conf_list *list, const char *option,
		   const struct frontend *frontend, struct diagnostic *error);

/*
 * Another set of sockets, on the addresses of `first`: the kernel deals connections out to the
 * sets.  Those that `former` has are shared with it.  False with a line in `error`.
 */
bool listener_again(const struct listener *first, const struct listener *former,
		    struct listener *ret_set, struct diagnostic *error);

/*
 * From here on connections wait in its sockets, and files have their permissions.  False with a
 * line in `error`.
 */
bool listener_listen(const struct listener *listener, struct diagnostic *error);

/*
 * What `former` has of the addresses of `first`, and no more; false without descriptors or memory.
 */
bool listener_keep(const struct listener *first, const struct listener *former,
		   struct listener *ret_set);

/* Add the sockets of a set to another, which owns them then; false without memory. */
bool listener_join(struct listener *to, const struct listener *from);

/*
 * Remove the files of its Unix sockets which `kept` does not have (NULL: of all), before they are
 * closed for good.
 */
void listener_remove_files(const struct listener *listener, const struct listener *kept);

/* Close the sockets of a set, and free it: for those who hold a copy after a fork. */
void listener_close(struct listener *listener);

#endif
