/* The password file, read for proxy/access/credentials.h. */
#include "proxy/process/password_file.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "proxy/process/secret_file.h"

static int64_t processor_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

struct credentials *password_file_load(const char *path, struct diagnostic *error)
{
	struct credentials_use use = {.processor_us = processor_us};
	struct credentials *credentials = NULL;
	struct diagnostic why;
	size_t size = 0;
	char *text = secret_file_read(path, PASSWORD_FILE_MAX, true, &size, &why);

	if (text != NULL && getrandom(use.secret, sizeof(use.secret), 0) == sizeof(use.secret))
		credentials = credentials_new(path, slice_of(text, size), &use, error);
	else
		diagnostic_set(error, "password_file: %s: %s", path,
			       text == NULL ? why.text : strerror(errno));
	secret_file_free(text, size);
	explicit_bzero(&use, sizeof(use));
	return credentials;
}
