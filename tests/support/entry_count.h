/* What tests ask of an entry (cache/record/entry.h). */
#ifndef TESTS_SUPPORT_ENTRY_COUNT_H
#define TESTS_SUPPORT_ENTRY_COUNT_H

#include "cache/base/slice.h"

/* Number of records; 0 for an entry whose lengths do not fit. */
unsigned entry_count(struct slice entry);

#endif
