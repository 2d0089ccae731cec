/*
 * What the program prints on standard output once it serves: where it listens, as addresses that a
 * user can paste, where its store is and what it holds, and how to try it.  The lines are
 * documented, and read by scripts.
 */
#ifndef PROXY_PROCESS_GREETING_H
#define PROXY_PROCESS_GREETING_H

#include "proxy/loop/listener.h"

/* Ends with a line "cache204 VERSION ready". */
void greeting_print(const struct conf *conf, const struct listener *listener);

/*
 * Whether other machines reach the operators' pages, which ask for no token, whether everyone may
 * use the proxy and other machines reach it, whether passwords come to it in the clear, and what is
 * wrong with the certificate: lines in the log, whenever a configuration takes effect.
 */
struct generation;
void greeting_warn(const struct generation *generation);

#endif
