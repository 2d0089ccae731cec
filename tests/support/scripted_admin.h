/*
 * A process that listens as an admin address does, on a Unix socket, and answers in order what a script
 * says: for commands that ask a running proxy.
 *
 * A script is lines, one an answer to a connection; "<*" in place of "<" is every answer from there on:
 *
 *     < 200 CONTENT      with its length
 *     < raw TEXT         just that: \r, \n, and {x*100} for a run of a byte
 *     < close            the connection is closed without an answer
 *     < never            nothing is said, until the other side closes
 *
 * Without a line that is left, connections are closed without an answer.
 */
#ifndef TESTS_SUPPORT_SCRIPTED_ADMIN_H
#define TESTS_SUPPORT_SCRIPTED_ADMIN_H

#include "cache/base/slice.h"

struct scripted_admin;

/* `script` outlives it. */
struct scripted_admin *scripted_admin_begin(const char *path, struct slice script);

/*
 * What was asked: a line "> METHOD TARGET" each, " and a token" behind it with one; several that are
 * the same are one, with " (N times)".  For the caller to free.  The process is ended.
 */
char *scripted_admin_end(struct scripted_admin *admin);

#endif
