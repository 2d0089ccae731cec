/*
 * What operators are told of a play (script.h): each number that has changed since the last look, by its
 * name, and the lines of the access log.  What is compared with is the whole of it, so a number that a
 * test does not name has not changed.
 *
 * One play at a time, in a process with one worker.
 */
#ifndef TESTS_ORACLE_NUMBERS_H
#define TESTS_ORACLE_NUMBERS_H

#include <stdbool.h>

#include "cache/base/slice.h"
#include "proxy/stats/accesslog.h"

/* From here on; the log in that format, of all hits.  numbers_end() closes it, if there is one. */
struct accesslog *numbers_begin(const char *log_format);
void numbers_end(void);

/*
 * "NAME=N" for each number that is not what it was, in the order of the tables, with spaces between: counters
 * and gauges by name, "failure.NAME", "answer.STATUS.OUTCOME", "reason.TOKEN", "listener.NAME", "repaired.HOST:PORT" and so on; of
 * a histogram "NAME=COUNT/SUM_US"; gauges as they are, all others as what was added.
 */
struct slice numbers_counted(void);

/*
 * What the hosts and then the URLs have come to, all that is not 0, "HOST requests=N here=N ...", and
 * the last errors, "error FAILURE=N status=N URL: DETAIL"; all from the beginning on.
 */
struct slice numbers_shown(void);

/* The lines that were logged since, with spaces between. */
struct slice numbers_logged(void);

/* Who has compared what numbers_counted() or numbers_logged() returned. */
void numbers_prove(void);

/* The first row of counters.def, histograms.def, outcomes.def or log_fields.def that no text that was
   compared had, but for those that `is_elsewhere` knows; NULL for none. */
const char *numbers_unproved(bool (*is_elsewhere)(const char *name));

#endif
