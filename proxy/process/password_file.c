/* The password file, read for proxy/access/credentials.h. */
#include "proxy/process/password_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "conf/source.h"

/* Some file systems do not say how large a file is. */
enum { SLACK = 64 << 10 };

static int64_t processor_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* What is wrong with an open file, or NULL. */
static const char *fault_of(FILE *file, size_t *ret_size)
{
	struct stat status;

	if (fstat(fileno(file), &status) != 0)
		return strerror(errno);
	if (!S_ISREG(status.st_mode))
		return "not a regular file";
	if ((status.st_mode & (S_IROTH | S_IWOTH)) != 0)
		return "everybody may read or write it: chmod o-rw";
	if (status.st_size > PASSWORD_FILE_MAX)
		return "larger than 64MiB";
	*ret_size = (size_t)status.st_size;
	return NULL;
}

/* The text of an open file, for the caller to wipe and free; NULL, and *ret_why says why. */
static char *read_text(FILE *file, size_t *ret_size, const char **ret_why)
{
	char *text;
	size_t size = 0;

	*ret_why = fault_of(file, &size);
	if (*ret_why != NULL)
		return NULL;
	size += SLACK;
	text = malloc(size);
	*ret_size = text != NULL ? fread(text, 1, size, file) : 0;
	if (text != NULL && !ferror(file) && *ret_size < size)
		return text;
	*ret_why = *ret_size == size ? "grows while it is read" : strerror(errno);
	if (text != NULL)
		explicit_bzero(text, *ret_size);
	free(text);
	return NULL;
}

static struct credentials *read_users(FILE *file, const char *path, struct diagnostic *error)
{
	struct credentials_use use = {.processor_us = processor_us};
	struct credentials *credentials = NULL;
	const char *why = NULL;
	char *text;
	size_t size;

	if (getrandom(use.secret, sizeof(use.secret), 0) != sizeof(use.secret)) {
		diagnostic_set(error, "password_file: %s: %s", path, strerror(errno));
		return NULL;
	}
	text = read_text(file, &size, &why);
	if (text == NULL) {
		diagnostic_set(error, "password_file: %s: %s", path, why);
	} else {
		credentials = credentials_new(path, slice_of(text, size), &use, error);
		explicit_bzero(text, size);
	}
	free(text);
	explicit_bzero(&use, sizeof(use));
	return credentials;
}

struct credentials *password_file_load(const char *path, struct diagnostic *error)
{
	FILE *file = conf_source_open(path);
	struct credentials *credentials;

	if (file == NULL) {
		diagnostic_set(error, "password_file: %s: %s", path, strerror(errno));
		return NULL;
	}
	setvbuf(file, NULL, _IONBF, 0); /* no copy of it in a buffer that is not wiped */
	credentials = read_users(file, path, error);
	fclose(file);
	return credentials;
}
