/* Files of tls_certificate, tls_key and tls_client_ca, read for proxy/loop/tls_server.h. */
#ifndef PROXY_PROCESS_TLS_FILES_H
#define PROXY_PROCESS_TLS_FILES_H

#include "cache/base/diagnostic.h"
#include "conf/conf.h"

struct tls_server;

/* NULL with a line in `error`, which begins with the option at fault. */
struct tls_server *tls_files_load(const struct conf *conf, struct diagnostic *error);

#endif
