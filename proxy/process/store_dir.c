/* Where the store is when the operator does not say, and making it for another user. */
#include "proxy/process/store_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/store/file_system.h"

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

char *store_dir_default(bool root, struct diagnostic *error)
{
	char *path = find_default(root);

	if (path == NULL)
		diagnostic_set(error, "%s",
			       errno == ENOMEM
				       ? "out of memory"
				       : "no home directory for the store; give the store option");
	return path;
}

/*
 * The directory with its parents.  Returns 0, or why the first that is missing could not be made.
 */
static int make_all(const char *path)
{
	char *part = strdup(path);
	int why = 0;

	if (part == NULL)
		return ENOMEM;
	for (char *slash = part + strspn(part, "/"); (slash = strchr(slash, '/')) != NULL;
	     slash++) {
		if (slash[strspn(slash, "/")] == '\0')
			break; /* slashes at the end */
		*slash = '\0';
		if (mkdir(part, 0755) != 0 && errno != EEXIST && errno != EISDIR && why == 0)
			why = errno;
		*slash = '/';
	}
	free(part);
	if (mkdir(path, 0700) != 0 && errno != EEXIST && why == 0)
		why = errno;
	return why;
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

/*
 * Only a directory that no other user has changed: a mistyped path must not give away a part of the
 * system.
 */
static bool may_be_given(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_uid == 0 && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0 &&
	       is_empty(fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

bool store_dir_give(const char *path, const char *user, struct diagnostic *error)
{
	const struct passwd *entry = getpwnam(user);
	mode_t mask;
	bool done;
	int fd, why;

	if (entry == NULL) {
		diagnostic_set(error, "user: %s: no such user on this system", user);
		return false;
	}
	mask = umask(S_IWGRP | S_IWOTH);
	why = make_all(path);
	umask(mask);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	done = fd >= 0 && (!may_be_given(fd) || fchown(fd, entry->pw_uid, entry->pw_gid) == 0);
	if (!done)
		diagnostic_set(error, "store: %s: cannot be made for user %s: %s", path, user,
			       strerror(fd < 0 && errno == ENOENT && why != 0 ? why : errno));
	if (fd >= 0)
		close(fd);
	return done;
}

/* The first of the path's parents that exists must let us make the next one. */
static bool can_be_made(const char *path)
{
	char *part = strdup(path);
	bool can = false;

	for (size_t n = part == NULL ? 0 : strlen(part); n > 0; n--) {
		if (n > 1 && part[n - 1] != '/' && path[n] != '/' && path[n] != '\0')
			continue; /* in the middle of a name */
		part[n] = '\0';
		can = eaccess(part, W_OK | X_OK) == 0;
		if (can || errno != ENOENT)
			break;
	}
	if (part != NULL && !can && errno == ENOENT && part[0] != '/')
		can = eaccess(".", W_OK | X_OK) == 0;
	free(part);
	return can;
}

/*
 * The directory, or the first of its parents that is there, where it would be made, is on a file
 * system that a store can be on.
 */
static bool check_file_system(const char *path, struct diagnostic *error)
{
	char *part = strdup(path), *slash;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool fits = true;

	while (fd < 0 && part != NULL && (slash = strrchr(part, '/')) != NULL && slash != part) {
		*slash = '\0';
		fd = open(part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (fd < 0)
		fd = open(path[0] == '/' ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		fits = file_system_check(fd, path, error) != FILE_SYSTEM_NETWORK;
		close(fd);
	}
	free(part);
	return fits;
}

/* Root may not be asked what another user could do: by owner and mode, as access(2) would. */
static bool user_may_write(const struct stat *st, const char *user)
{
	const struct passwd *entry = getpwnam(user);

	if (entry == NULL || entry->pw_uid == 0 || st->st_uid == entry->pw_uid)
		return true; /* an unknown user is reported elsewhere */
	if (st->st_gid == entry->pw_gid)
		return (st->st_mode & S_IWGRP) != 0;
	return (st->st_mode & S_IWOTH) != 0;
}

bool store_dir_check(const char *path, const char *user, struct diagnostic *error)
{
	bool other = user[0] != '\0' && geteuid() == 0;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	bool usable;

	if (fd < 0) {
		usable = errno == ENOENT && can_be_made(path);
	} else if (other && fstat(fd, &st) == 0) {
		usable = may_be_given(fd) || user_may_write(&st, user);
		errno = EACCES;
	} else {
		usable = eaccess(path, W_OK | X_OK) == 0;
	}
	if (!usable)
		diagnostic_set(error, "store: %s: cannot be made or written%s%s: %s", path,
			       other ? " by user " : "", other ? user : "", strerror(errno));
	if (fd >= 0)
		close(fd);
	return usable && check_file_system(path, error);
}
