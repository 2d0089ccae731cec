/*
 * A program that was executed in the place of another: it starts as a reload does, with the sockets
 * of the one before, whose workers serve until its own are ready.  When it cannot, the one before
 * is executed again, and goes on in the same way; when that cannot either, the workers go on all
 * the same, and it is tried again every second.
 */
#ifndef PROXY_PROCESS_TAKEOVER_H
#define PROXY_PROCESS_TAKEOVER_H

#include "proxy/process/generation.h"
#include "proxy/process/handover.h"

/* The program's life.  Returns the exit status. */
int takeover_run(struct handover *before, const struct generation_source *source);

/* To the one who tries this program. */
void takeover_report(const struct handover *before, const char *text);

/* Go back, with lines on why.  Does not return. */
_Noreturn void takeover_fail(struct handover *before, const char *why);

#endif
