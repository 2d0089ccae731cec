/*
 * What the system, a library or the bytes themselves said about a failure, for the line in the log.
 *
 * A failure is found deep down and handed up as an enum (failures.def), by calls that end with the
 * exchanges that fail.  Whoever finds it sets the cause before it calls up, and clears it when that
 * call returns: so it is there for all who fail by it, and for nobody else.  One text in a process.
 * It has no bytes of a peer but those that were escaped, and no credentials (HAZARDS M3).
 */
#ifndef PROXY_BASE_CAUSE_H
#define PROXY_BASE_CAUSE_H

void cause_set(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cause_clear(void);

/* "" when none is known. */
const char *cause_text(void);

#endif
