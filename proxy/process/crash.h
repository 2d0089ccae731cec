/*
 * When a process crashes, it marks the store, so that the next start checks the whole file before
 * it trusts it: the file may have caused the crash, and would cause it again.  A process killed
 * from outside, by SIGKILL or SIGTERM, leaves no doubt, and the next start is quick.  SIGABRT from
 * outside counts, as a service manager or an operator sends it to one that hangs, and it may be the
 * file that it hangs in.
 */
#ifndef PROXY_PROCESS_CRASH_H
#define PROXY_PROCESS_CRASH_H

#include "cache/store/store.h"

/* Set the store of this process; NULL for none. */
void crash_watch(struct store *store);

/* Whether a process that died of this signal has crashed. */
bool crash_is(int number);

#endif
