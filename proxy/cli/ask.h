/*
 * One question to the running proxy, on the admin address of its configuration.
 */
#ifndef PROXY_CLI_ASK_H
#define PROXY_CLI_ASK_H

#include "cache/base/diagnostic.h"
#include "conf/conf.h"
#include "proxy/base/address.h"
#include "proxy/base/buf.h"

enum {
	ASK_TIMEOUT_MS = 10000,  /* one question, from connecting to the end of the answer */
	ASK_ANSWER_MAX = 1 << 20 /* bytes, head and content */
};

/* An answer, whole; ask_free() releases it, also after a failure. */
struct answer {
	unsigned status;
	struct slice content; /* a view of `bytes` */
	struct buf bytes;
};

/*
 * The first admin address of the configuration that a connection can be made to.  False with a line
 * in `error` when there is none.
 */
bool ask_find(const struct conf *conf, union address *ret_address, struct diagnostic *error);

/*
 * Send a request without content, and wait for the answer.  False with a line in `error` when none
 * came that is whole, within ASK_TIMEOUT_MS.
 */
bool ask(const union address *address, const char *method, const char *path,
	 struct answer *ret_answer, struct diagnostic *error);

void ask_free(struct answer *answer);

#endif
