/*
 * Who may log in: names and crypt(3) hashes, and the Basic credentials of requests held against them
 * (RFC 9110 11.7.1, RFC 7617).  No I/O: proxy/process/password_file.h reads the file.
 *
 * A crypt(3) hash is slow on purpose, and the loop waits for it.  So the last right password of
 * each user is remembered for CREDENTIALS_MEMORY_MS as a fast hash under a random secret, wrong
 * ones for CREDENTIALS_WRONG_MS, and verifying takes no more than a tenth of the processor's time:
 * what comes beyond that is TOO_MANY_LOGINS, but for those who are remembered, and waits its turn
 * (logins.h).  Names that do not exist cost as much as those that do.
 *
 * Passwords are wiped as soon as they were looked at.
 */
#ifndef PROXY_ACCESS_CREDENTIALS_H
#define PROXY_ACCESS_CREDENTIALS_H

#include "cache/base/diagnostic.h"
#include "cache/http/message.h"
#include "proxy/base/failure.h"

enum {
	CREDENTIALS_MEMORY_MS = 10 * 60 * 1000,
	CREDENTIALS_WRONG_MS = 10 * 1000,
	CREDENTIALS_TEXT_MAX = 256, /* of name and password together */
	CREDENTIALS_SECRET_SIZE = 192,
};

struct credentials;

/* What credentials need and do not read by themselves. */
struct credentials_use {
	unsigned char secret[CREDENTIALS_SECRET_SIZE]; /* random bytes */
	int64_t (*processor_us)(void);                 /* time of the processor used so far */
};

/*
 * The users of a password file: lines "name:hash", the hash of a method that is still good ($5$, $6$, $y$);
 * empty lines and those that begin with # say nothing.  NULL with a line "FILE:LINE: what" or
 * "FILE: what" in `error`, where FILE is `path`.  Keeps none of what it is given.
 */
struct credentials *credentials_new(const char *path, struct slice text,
				    const struct credentials_use *use, struct diagnostic *error);

/* Hashes are wiped. */
void credentials_free(struct credentials *credentials);

/*
 * Does the request have the credentials of a user?  FAILURE_NONE with the name in *ret_user, valid
 * as long as `credentials`; AUTH_REQUIRED when it has none that can be read; AUTH_FAILED when the
 * name or the password is wrong; or TOO_MANY_LOGINS when that is not known yet and there is no time
 * to work it out, or the caller does not want it done (`may_work`).  `now_ms` is monotonic.
 */
enum failure credentials_check(struct credentials *credentials, const struct http_request *req,
			       int64_t now_ms, bool may_work, struct slice *ret_user);

/* Milliseconds until there is time to work something out; 0 for now. */
int64_t credentials_busy_ms(const struct credentials *credentials, int64_t now_ms);

/* A number for the user that the request claims to be of, whether there is one or not. */
uint64_t credentials_claimed(const struct http_request *req);

/* The user name that the request claims, for the log: its length, 0 when it has none. */
size_t credentials_name(const struct http_request *req, char to[static CREDENTIALS_TEXT_MAX]);

/* The hash that is worked out for a name that is no user's; for tests. */
const char *credentials_stand_in(const struct credentials *credentials, struct slice name);

#endif
