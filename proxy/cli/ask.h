/*
 * One question to the running proxy, on the admin address of its configuration.
 */
#ifndef PROXY_CLI_ASK_H
#define PROXY_CLI_ASK_H

#include "cache/base/diagnostic.h"
#include "conf/conf.h"
#include "proxy/base/admin_token.h"
#include "proxy/base/buf.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/place.h"

enum {
	ASK_TIMEOUT_MS = 10000,  /* one question, from connecting to the end of the answer */
	ASK_ANSWER_MAX = 3 << 20 /* bytes, head and content */
};

/* An answer, whole; ask_free() releases it, also after a failure. */
struct answer {
	unsigned status;
	struct slice content; /* a view of `bytes` */
	struct buf bytes;
};

/* Whom to ask, and the token to show; ask_end() overwrites that. */
struct asked {
	struct place place;
	struct admin_token token;
	int64_t timeout_ms; /* of one question: set to ASK_TIMEOUT_MS by ask_find() */
};

/*
 * The first admin address of the configuration that a connection can be made to.  False with a line
 * in `error` when there is none, or the token cannot be read.
 */
bool ask_find(const struct conf *conf, struct asked *ret_asked, struct diagnostic *error);

/*
 * The configuration of a command line, for ask_find(): NULL with what is wrong in it on standard
 * error, and a line in `error`.
 */
struct conf *ask_conf(const struct arguments *arguments, struct diagnostic *error);

/* Both, for commands that need no more of it. */
bool ask_begin(const struct arguments *arguments, struct asked *ret_asked,
	       struct diagnostic *error);

void ask_end(struct asked *asked);

/*
 * Send a request without content, and wait for the answer.  False with a line in `error` when none
 * came that is whole, within its time.
 */
bool ask(const struct asked *asked, const char *method, const char *path, struct answer *ret_answer,
	 struct diagnostic *error);

void ask_free(struct answer *answer);

/* What the proxy has to say against a question: the first line, or the one behind "403 Forbidden". */
struct slice ask_reason(const struct answer *answer);

#endif
