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

/*
 * The same of a head that was refused: where it is wrong, from parse_fault.h.  It has nothing that a peer sent,
 * and tells nothing of our network: so clients may see it, and other causes not.
 */
void cause_set_fault(const char *fault);

/* Of the cause at hand, "" when it is not such a one. */
const char *cause_fault(void);

/* "" when none is known. */
const char *cause_text(void);

#endif
