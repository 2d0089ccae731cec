/* Closing a descriptor after a failure whose errno is still to be told. */
#ifndef PROXY_BASE_CLOSE_FD_H
#define PROXY_BASE_CLOSE_FD_H

#include <errno.h>
#include <unistd.h>

static inline void close_keeping_errno(int fd)
{
	int error = errno;

	close(fd);
	errno = error;
}

#endif
