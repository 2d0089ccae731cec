/* LINKS: proxy/front tests/doubles/fake_conn.c tests/doubles/fake_worker.c tests/doubles/fake_resolver.c tests/doubles/store_memory.c tests/doubles/failing_memory.c -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
/*
 * Whole exchanges: what happens, and when, is the input (schedule.h).  Whatever that is, all must
 * be closed in the end, and nobody may have got what was not meant for him.  With FUZZ_VERBOSE set,
 * what happens is told.
 */
#include <stdint.h>
#include <stdlib.h>

#include "tests/oracle/schedule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	schedule_play(slice_of((const char *)data, size), NULL, getenv("FUZZ_VERBOSE") != NULL);
	return 0;
}
