/*
 * A process that dies of a fault of its own tells the store, so that the next start reads the whole
 * file before it trusts it: the fault may have been the file's, and would come again.  One that is
 * killed from outside leaves nothing to doubt, and the next start is quick.
 */
#ifndef PROXY_PROCESS_CRASH_H
#define PROXY_PROCESS_CRASH_H

#include "cache/store/store.h"

/* The store of this process, from now until it is told NULL. */
void crash_watch(struct store *store);

#endif
