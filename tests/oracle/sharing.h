/*
 * Which answer may be given to whom: the rules once more, read simply, for the requests and answers
 * that schedules are made of (schedule.c).  Pure.  "First" is the request that an answer was given
 * to, "other" one that it was given to as well.
 */
#ifndef TESTS_ORACLE_SHARING_H
#define TESTS_ORACLE_SHARING_H

#include "tests/oracle/witness.h"

/*
 * NULL, or what speaks against it.  `status` is what the other one got, with `fields`; `age_s` is
 * how old the answer was when the other one asked, or more.
 */
const char *sharing_fault(const struct asked *first, const struct answered *answered,
			  const struct asked *other, unsigned status, int64_t age_s);

/* NULL, or which field of what somebody got is not as the origin gave it; `shared`: to another. */
const char *sharing_fields_fault(const struct answered *answered, const struct http_fields *fields,
				 bool shared);

/* Does the answer to `unsafe` invalidate what `first` was answered? */
bool sharing_clears(const struct asked *unsafe, const struct answered *answered,
		    const struct asked *first, const struct answered *answered_first);

/* May it invalidate anything? */
bool sharing_may_clear(const struct asked *unsafe, const struct answered *answered);

/* Does a purge concern what `first` was answered? */
bool sharing_purges(const struct purged *purged, const struct asked *first,
		    const struct answered *answered);

/* A directive that means nothing and names the answer, since a 304 has not all fields. */
#define SHARING_NAME "answer="

/* Is it there, in lines "Name: value\r\n"? */
bool sharing_has(const char *lines, const char *text);

/* The value of such a line, empty when there is none. */
struct slice sharing_value(const char *lines, const char *name);

#endif
