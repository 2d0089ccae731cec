/*
 * A library to be preloaded: there is no chance. What has a random seed, as the keys of the store
 * and tables by name, is then the same in each run, and so is what it costs.
 */
#include <string.h>
#include <sys/random.h>

ssize_t getrandom(void *to, size_t size, unsigned flags)
{
	(void)flags;
	memset(to, 0, size);
	return (ssize_t)size;
}
