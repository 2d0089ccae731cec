/*
 * Queues of objects: rings by index, that begin and end at an anchor.  An object is in one of them at
 * most.  Anchors are numbered behind the objects.
 */
#ifndef BENCH_RATIO_RING_H
#define BENCH_RATIO_RING_H

#include <stdbool.h>
#include <stdlib.h>

#include "bench/ratio/trace.h"

#define RING_NONE UINT32_MAX

struct rings {
	uint32_t *newer, *older;
	uint32_t objects; /* the number of the first anchor */
};

static inline struct rings rings_make(uint32_t objects, unsigned anchors)
{
	struct rings rings = {
		.newer = allocate((size_t)objects + anchors, sizeof(uint32_t), 0xff),
		.older = allocate((size_t)objects + anchors, sizeof(uint32_t), 0xff),
		.objects = objects,
	};

	for (uint32_t anchor = objects; anchor < objects + anchors; anchor++)
		rings.newer[anchor] = rings.older[anchor] = anchor;
	return rings;
}

static inline void rings_free(struct rings *rings)
{
	free(rings->newer);
	free(rings->older);
}

static inline bool ring_has(const struct rings *rings, uint32_t object)
{
	return rings->newer[object] != RING_NONE;
}

static inline void ring_remove(struct rings *rings, uint32_t object)
{
	rings->newer[rings->older[object]] = rings->newer[object];
	rings->older[rings->newer[object]] = rings->older[object];
	rings->newer[object] = RING_NONE;
}

static inline void ring_add_newest(struct rings *rings, unsigned which, uint32_t object)
{
	uint32_t anchor = rings->objects + which, newest = rings->older[anchor];

	rings->newer[object] = anchor;
	rings->older[object] = newest;
	rings->newer[newest] = rings->older[anchor] = object;
}

/* The ring must not be empty. */
static inline uint32_t ring_oldest(const struct rings *rings, unsigned which)
{
	return rings->newer[rings->objects + which];
}

static inline uint32_t ring_take_oldest(struct rings *rings, unsigned which)
{
	uint32_t object = ring_oldest(rings, which);

	ring_remove(rings, object);
	return object;
}

#endif
