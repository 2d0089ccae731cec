/* Where the store is when the operator does not say, and making it for another user. */
#include "proxy/store_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char own_name[] = "/cache204";

/* An absolute path from the environment; others are to be ignored (XDG base directories). */
static const char *path_of(const char *variable)
{
	const char *value = getenv(variable);

	return value != NULL && value[0] == '/' ? value : NULL;
}

static const char *home(void)
{
	const char *path = path_of("HOME");
	const struct passwd *entry;

	if (path != NULL)
		return path;
	entry = getpwuid(getuid());
	return entry != NULL && entry->pw_dir[0] == '/' ? entry->pw_dir : NULL;
}

static char *join(const char *a, const char *b, const char *c)
{
	size_t size = strlen(a) + strlen(b) + strlen(c) + 1;
	char *path = malloc(size);

	if (path != NULL)
		snprintf(path, size, "%s%s%s", a, b, c);
	return path;
}

static char *find_default(bool root)
{
	const char *path = path_of("CACHE_DIRECTORY");

	errno = ENOMEM;
	if (path != NULL)
		return strndup(path, strcspn(path, ":"));
	if (root)
		return join("/var/cache", own_name, "");
	path = path_of("XDG_CACHE_HOME");
	if (path != NULL)
		return join(path, own_name, "");
	path = home();
	if (path != NULL) {
		errno = ENOMEM;
		return join(path, "/.cache", own_name);
	}
	errno = ENOENT;
	return NULL;
}

char *store_dir_default(bool root, char *error, size_t error_size)
{
	char *path = find_default(root);

	if (path == NULL)
		snprintf(error, error_size, "%s",
			 errno == ENOMEM
				 ? "out of memory"
				 : "no home directory for the store; give the store option");
	return path;
}

/* What goes wrong here shows when the directory itself is made. */
static void make_parents(const char *path)
{
	char *part = strdup(path);

	if (part == NULL)
		return;
	for (char *slash = part + strspn(part, "/"); (slash = strchr(slash, '/')) != NULL;
	     slash++) {
		if (slash[strspn(slash, "/")] == '\0')
			break; /* slashes at the end */
		*slash = '\0';
		(void)mkdir(part, 0755);
		*slash = '/';
	}
	free(part);
}

/* `fd` is used up. */
static bool is_empty(int fd)
{
	DIR *directory = fdopendir(fd);
	const struct dirent *entry;
	bool empty = true;

	if (directory == NULL) {
		close(fd);
		return false;
	}
	while (empty && (entry = readdir(directory)) != NULL)
		empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	closedir(directory);
	return empty;
}

/* Only what nobody else has a hand in: a mistyped path must not give away a part of the system. */
static bool may_be_given(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_uid == 0 && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0 &&
	       is_empty(fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

bool store_dir_give(const char *path, const char *user, char *error, size_t error_size)
{
	const struct passwd *entry = getpwnam(user);
	mode_t mask;
	bool done;
	int fd;

	if (entry == NULL) {
		snprintf(error, error_size, "no such user: %s", user);
		return false;
	}
	mask = umask(S_IWGRP | S_IWOTH);
	make_parents(path);
	(void)mkdir(path, 0700);
	umask(mask);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	done = fd >= 0 && (!may_be_given(fd) || fchown(fd, entry->pw_uid, entry->pw_gid) == 0);
	if (!done)
		snprintf(error, error_size, "%s: cannot be made for %s: %s", path, user,
			 strerror(errno));
	if (fd >= 0)
		close(fd);
	return done;
}
