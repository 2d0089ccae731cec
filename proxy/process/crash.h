/*
 * When a process crashes, it marks the store, so that the next start checks the whole file before
 * it trusts it: the file may have caused the crash, and would cause it again.  A process killed
 * from outside leaves no doubt, and the next start is quick.
 */
#ifndef PROXY_PROCESS_CRASH_H
#define PROXY_PROCESS_CRASH_H

#include "cache/store/store.h"

/* Set the store of this process; NULL for none. */
void crash_watch(struct store *store);

/* Whether a process that died of this signal has crashed. */
bool crash_is(int number);

#endif
