/* LINKS: cache tests/doubles/counted_memory.c */
/* The tests of the cache, over the store that the proxy has. */
#define STORE_ON_DISK
#include "tests/unit/cache/test_cache.c"
