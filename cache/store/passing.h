/*
 * Errors of a call that may not come the next time, and say nothing of the file that it was for: what could not
 * be read because of one is not damaged, nor missing, and is kept.
 */
#ifndef CACHE_STORE_PASSING_H
#define CACHE_STORE_PASSING_H

#include <errno.h>
#include <stdbool.h>

static inline bool store_error_passes(int error)
{
	return error == EIO || error == ENOMEM || error == EMFILE || error == ENFILE ||
	       error == EAGAIN || error == EINTR;
}

#endif
