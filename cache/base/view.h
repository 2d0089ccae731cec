/*
 * Bytes that their owner takes back: a view of the store, or of memory that the next call uses
 * again (HAZARDS X1).
 *
 * The owner counts its generations up when it takes them back; a view carries the generation that
 * it was made in.  Who puts such bytes into an answer compares the two in every build; who reads
 * them has them compared by VIEW_ASSERT() in builds that check more than those for use: sanitized
 * ones and those without optimization.
 */
#ifndef CACHE_BASE_VIEW_H
#define CACHE_BASE_VIEW_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if !defined(CACHE204_CHECKS) && (defined(__SANITIZE_ADDRESS__) || !defined(__OPTIMIZE__))
#define CACHE204_CHECKS 1
#endif

/* Of zeros: bytes that nobody takes back while the view is in use. */
struct view_generation {
	const uint64_t *owners; /* as it is now; lives as long as the owner */
	uint64_t own;
};

static inline struct view_generation view_generation_now(const uint64_t *owners)
{
	return (struct view_generation){owners, *owners};
}

static inline bool view_is_current(const struct view_generation *generation)
{
	return generation->owners == NULL || *generation->owners == generation->own;
}

#ifdef CACHE204_CHECKS
#define VIEW_ASSERT(generation) assert(view_is_current(generation))
#else
#define VIEW_ASSERT(generation) ((void)0)
#endif

#endif
