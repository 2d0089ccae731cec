/*
 * Reloads by operators: POST /reload has the master read the configuration anew, and answers 202 with a
 * ticket; GET /reload says which tickets are done, and what came of the last.  The same of /upgrade, which
 * exchanges the program.
 */
#ifndef PROXY_FRONT_ADMIN_RELOAD_H
#define PROXY_FRONT_ADMIN_RELOAD_H

#include "proxy/exchange/exchange.h"

void admin_reload_show(struct exchange *x);
void admin_reload_ask(struct exchange *x);
void admin_upgrade_show(struct exchange *x);
void admin_upgrade_ask(struct exchange *x);

#endif
