/*
 * Borrowed bytes: a view of the store, or of memory that the next call reuses (HAZARDS X1).
 *
 * The owner counts a generation up when it takes the bytes back; a view has the generation that it
 * was made in.  Code that puts such bytes into an answer compares the two in every build.  Code
 * that only reads them uses VIEW_ASSERT(), which compares in sanitized builds and those without
 * optimization.
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

/* All zero for bytes that stay valid as long as the view is used. */
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
