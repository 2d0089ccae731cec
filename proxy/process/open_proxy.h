/*
 * Whether a list of clients is everyone: then a proxy without logins is an open one, which others
 * find and use as their own.  Pure.
 */
#ifndef PROXY_PROCESS_OPEN_PROXY_H
#define PROXY_PROCESS_OPEN_PROXY_H

#include "conf/conf.h"

/*
 * The first network of the option `clients` that is wider than any one owner's, private ones left
 * out: more than an IPv4 /8 or an IPv6 /16.  NULL when there is none.
 */
const char *open_proxy_clients(const struct conf_list *clients);

#endif
