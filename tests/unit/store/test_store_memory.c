/* LINKS: tests/support/store_memory.c tests/support/store_fixture.c */
/* The store in memory keeps the contract of cache/store.h, like the store on disk. */
#define STORE_NAME "store in memory"
#include "tests/unit/test_store.c"
