/*
 * explicit_bzero() of the whole program: it clears, and counts what had a secret.  Whoever links this has it,
 * in a hardened build as well.
 */
#ifndef TESTS_DOUBLES_CLEARED_MEMORY_H
#define TESTS_DOUBLES_CLEARED_MEMORY_H

/* Counts from now on, from 0, those that have `secret` in them; NULL for none. */
void cleared_count(const char *secret);

/* How many blocks with it were cleared since then, or since the last call. */
unsigned cleared_so_far(void);

#endif
