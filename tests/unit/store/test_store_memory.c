/* LINKS: cache/base tests/doubles/store_memory.c */
/* The store in memory keeps the contract of cache/store/store.h, like the store on disk. */
#define STORE_NAME "store in memory"
#include "tests/unit/store/test_store.c"
