/*
 * What the system, a library or the bytes themselves said about a failure, for the line in the log.
 *
 * A failure is detected in a lower layer and passed up as an enum (failures.def) through callbacks,
 * to the exchanges that fail.  The code that detects it sets the cause before the callback, and
 * clears it afterwards: so the cause is available to all exchanges that fail from it, and to no
 * others.  There is one text per process.  Bytes of a peer in it are escaped, and it has no
 * credentials (HAZARDS M3).
 */
#ifndef PROXY_BASE_CAUSE_H
#define PROXY_BASE_CAUSE_H

void cause_set(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cause_clear(void);

/* "" when none is known. */
const char *cause_text(void);

#endif
