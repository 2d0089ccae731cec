/* A unique name of this installation: a pseudonym with a random part, kept beside the store. */
#include "proxy/process/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "proxy/base/log.h"

enum { DIGITS = 12, PATH_SIZE = 4096 + 16 };

/* The preset of options.def, which an operator may write as well. */
#define PRESET "cache204"

static const char hex[] = "0123456789abcdef";

static bool read_digits(const char *path, char to[static DIGITS + 1])
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char text[DIGITS + 2];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

	if (fd >= 0)
		close(fd);
	if (n != DIGITS + 1 || text[DIGITS] != '\n')
		return false;
	text[DIGITS] = '\0';
	memcpy(to, text, DIGITS + 1);
	return strspn(to, hex) == DIGITS;
}

static void write_digits(const char *path, const char *digits)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
		      0600);

	if (fd < 0 || dprintf(fd, "%s\n", digits) != DIGITS + 1)
		log_info("%s: cannot be written, so the name in Via changes with each start: %s",
			 path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

/* 48 random bits: two installations hardly ever have the same.  It need not be secret. */
static void make_digits(char to[static DIGITS + 1])
{
	unsigned char bytes[DIGITS] = {0};

	if (getrandom(bytes, sizeof(bytes), GRND_NONBLOCK) != (ssize_t)sizeof(bytes))
		log_error("no random bytes for the name in Via, loops may be seen where there are "
			  "none: %s",
			  strerror(errno));
	for (size_t i = 0; i < DIGITS; i++)
		to[i] = hex[bytes[i] % 16];
	to[DIGITS] = '\0';
}

char *instance_name(const struct conf *conf)
{
	char digits[DIGITS + 1], path[PATH_SIZE];
	char *name;

	if (strcmp(conf->pseudonym, PRESET) != 0)
		return strdup(conf->pseudonym);
	snprintf(path, sizeof(path), "%s/instance", conf->store);
	if (!read_digits(path, digits)) {
		make_digits(digits);
		write_digits(path, digits);
	}
	name = malloc(sizeof(PRESET) + 1 + DIGITS);
	if (name != NULL)
		snprintf(name, sizeof(PRESET) + 1 + DIGITS, PRESET "-%s", digits);
	return name;
}
