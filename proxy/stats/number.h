/*
 * Adding to a number that other processes read.
 *
 * It has one writer, so an addition is a load and a store, STATS_BUMP(): `+=` on an atomic is a
 * locked instruction, `make check` looks for it.  All accesses are relaxed, as none says anything
 * about another.
 */
#ifndef PROXY_STATS_NUMBER_H
#define PROXY_STATS_NUMBER_H

#include <stdatomic.h>
#include <stdint.h>

#if defined(__x86_64__)
/* What the other branch says, as one instruction where compilers make three of it. */
#define STATS_BUMP(number, n)                                                      \
	do {                                                                       \
		_Static_assert(sizeof(number) == 8, "what addq adds to");          \
		__asm__("addq %1, %0" : "+m"(number) : "er"((int64_t)(n)) : "cc"); \
	} while (0)
#else
#define STATS_BUMP(number, n)                                                              \
	atomic_store_explicit(&(number),                                                   \
			      atomic_load_explicit(&(number), memory_order_relaxed) + (n), \
			      memory_order_relaxed)
#endif

/* Each number is read once and whole, while its owner may be counting. */
#define STATS_READ(number) atomic_load_explicit(&(number), memory_order_relaxed)
#define STATS_WRITE(number, value) atomic_store_explicit(&(number), (value), memory_order_relaxed)

#endif
