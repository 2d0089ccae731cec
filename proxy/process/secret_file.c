/* Reads files that may hold secrets: no copy is left where it is not wiped. */
#include "proxy/process/secret_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "conf/source.h"

/* Some file systems do not say how large a file is. */
enum { SLACK = 64 << 10 };

static bool refuse(struct diagnostic *ret_why, const char *why)
{
	diagnostic_set(ret_why, "%s", why);
	return false;
}

static bool look_at(FILE *file, size_t most, bool is_secret, size_t *ret_size,
		    struct diagnostic *ret_why)
{
	struct stat status;

	if (fstat(fileno(file), &status) != 0)
		return refuse(ret_why, strerror(errno));
	if (!S_ISREG(status.st_mode))
		return refuse(ret_why, "not a regular file");
	if (is_secret && (status.st_mode & (S_IROTH | S_IWOTH)) != 0)
		return refuse(ret_why, "everybody may read or write it: chmod o-rw");
	if (status.st_size > (off_t)most) {
		diagnostic_set(ret_why, "larger than %zuMiB", most >> 20);
		return false;
	}
	*ret_size = (size_t)status.st_size;
	return true;
}

static char *read_text(FILE *file, size_t size, size_t *ret_size, struct diagnostic *ret_why)
{
	char *text;

	size += SLACK;
	text = malloc(size);
	*ret_size = text != NULL ? fread(text, 1, size, file) : 0;
	if (text != NULL && !ferror(file) && *ret_size < size)
		return text;
	refuse(ret_why, *ret_size == size ? "grows while it is read" : strerror(errno));
	secret_file_free(text, *ret_size);
	return NULL;
}

char *secret_file_read(const char *path, size_t most, bool is_secret, size_t *ret_size,
		       struct diagnostic *ret_why)
{
	FILE *file = conf_source_open(path);
	char *text = NULL;
	size_t size;

	if (file == NULL) {
		refuse(ret_why, strerror(errno));
		return NULL;
	}
	setvbuf(file, NULL, _IONBF, 0); /* no copy of it in a buffer that is not wiped */
	if (look_at(file, most, is_secret, &size, ret_why))
		text = read_text(file, size, ret_size, ret_why);
	fclose(file);
	return text;
}

void secret_file_free(char *text, size_t size)
{
	if (text != NULL)
		explicit_bzero(text, size);
	free(text);
}
