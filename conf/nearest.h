/*
 * The name that was probably meant by one that does not exist, for messages.  Pure, no allocation.
 */
#ifndef CONF_NEAREST_H
#define CONF_NEAREST_H

#include <stdbool.h>
#include <stddef.h>

/* A search through a list of names. */
struct nearest {
	const char *name; /* as written */
	size_t least;     /* edits that the next one has to need fewer of */
};

/* A third of its letters may be wrong; for a name of 64 letters or more nothing is near. */
struct nearest nearest_to(const char *name);

/* Whether `candidate` is nearer than all before. */
bool nearest_is(struct nearest *nearest, const char *candidate);

#endif
