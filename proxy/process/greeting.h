/*
 * What the program prints on standard output once it serves: where it listens, as addresses that a
 * user can paste, and where its store is.  The lines are documented, and read by scripts.
 */
#ifndef PROXY_PROCESS_GREETING_H
#define PROXY_PROCESS_GREETING_H

#include "proxy/loop/listener.h"

/* Ends with a line "cache204 VERSION ready". */
void greeting_print(const struct conf *conf, const struct listener *listener);

/* Whether other machines reach the operators' pages, which ask for no login: a line in the log. */
void greeting_warn_of_admin(const struct listener *listener);

#endif
