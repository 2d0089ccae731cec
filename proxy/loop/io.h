/* What comes of moving bytes without waiting: over a socket (conn.h), or TLS on it (tls.h). */
#ifndef PROXY_LOOP_IO_H
#define PROXY_LOOP_IO_H

#include <stdint.h>
#include <sys/uio.h>

#include "cache/base/slice.h"

enum io {
	IO_OK,
	IO_AGAIN, /* nothing now: watch, and wait for the event */
	IO_END,   /* the peer sent FIN */
	IO_ERROR, /* errno */
};

/* Bytes to send: iovec has no const, but sending changes nothing. */
static inline struct iovec iovec_of(struct slice bytes)
{
	return (struct iovec){.iov_base = (void *)(uintptr_t)bytes.p, .iov_len = bytes.n};
}

#endif
