/* Files of listening Unix sockets. */
#include "proxy/loop/listener_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proxy/base/close_fd.h"

enum {
	LOCK_TRIES = 100, /* for another process that starts at the same time, 1 s in all */
	LOCK_STEP_MS = 10,
};

static int new_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* False with errno when the path does not fit. */
static bool name_of(const char *path, struct sockaddr_un *ret_name)
{
	size_t length = strlen(path);

	*ret_name = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (length >= sizeof(ret_name->sun_path)) {
		errno = ENAMETOOLONG;
		return false;
	}
	memcpy(ret_name->sun_path, path, length + 1);
	return true;
}

/*
 * Of two processes that find a file left behind, the second would remove the one that the first has
 * just made: so they take turns, by a lock on the directory, which ends with the process.  Its
 * descriptor, or -1 with errno.
 */
static int lock_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	char directory[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	int fd;

	snprintf(directory, sizeof(directory), "%.*s",
		 slash == NULL || slash == path ? 1 : (int)(slash - path),
		 slash == NULL ? "." : path);
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0; i++) {
		if ((errno == EWOULDBLOCK || errno == EINTR) && i < LOCK_TRIES) {
			poll(NULL, 0, LOCK_STEP_MS);
			continue;
		}
		close_keeping_errno(fd);
		return -1;
	}
	return fd;
}

/* Why the file that stands in the way has to stay; NULL when its process has died. */
static const char *why_stays(const struct sockaddr_un *name)
{
	struct stat status;
	const char *why = NULL;
	int fd;

	if (lstat(name->sun_path, &status) != 0)
		return errno == ENOENT ? NULL : strerror(errno);
	if (!S_ISSOCK(status.st_mode))
		return "there is a file that is not a socket: remove it, or use another path";
	fd = new_socket();
	if (fd < 0)
		return strerror(errno);
	if (connect(fd, (const struct sockaddr *)name, sizeof(*name)) == 0 || errno == EAGAIN)
		why = "another process listens on it, ss -lxp shows which";
	else if (errno != ECONNREFUSED)
		why = strerror(errno);
	close(fd);
	return why;
}

/* Only the mode says who may connect, whatever the mask of this process is. */
static int bind_with_mode(int fd, const struct sockaddr_un *name, unsigned mode)
{
	mode_t before = umask(0777 & ~mode);
	int bound = bind(fd, (const struct sockaddr *)name, sizeof(*name));

	umask(before);
	return bound;
}

/* Nothing can be connected to it before it listens, so before it is whose it is to be. */
static bool finish(int fd, const char *path, const struct listener_owner *owner, int backlog,
		   struct listener_file *ret_file)
{
	struct stat status;

	if (lstat(path, &status) != 0)
		return false;
	*ret_file = (struct listener_file){status.st_dev, status.st_ino};
	if (lchown(path, owner->uid, owner->gid) == 0 && listen(fd, backlog) == 0)
		return true;
	unlink(path);
	return false;
}

static int bind_locked(const char *path, const struct listener_owner *owner, int backlog,
		       struct listener_file *ret_file, struct diagnostic *error)
{
	struct sockaddr_un name;
	int fd = name_of(path, &name) ? new_socket() : -1;
	const char *why = NULL;

	if (fd >= 0 && bind_with_mode(fd, &name, owner->mode) != 0) {
		why = errno == EADDRINUSE ? why_stays(&name) : strerror(errno);
		if (why == NULL && ((unlink(path) != 0 && errno != ENOENT) ||
				    bind_with_mode(fd, &name, owner->mode) != 0))
			why = strerror(errno);
	} else if (fd < 0) {
		why = strerror(errno);
	}
	if (why == NULL && !finish(fd, path, owner, backlog, ret_file))
		why = strerror(errno);
	if (why == NULL)
		return fd;
	diagnostic_set(error, "%s", why);
	if (fd >= 0)
		close(fd);
	return -1;
}

int listener_file_bind(const char *path, const struct listener_owner *owner, int backlog,
		       struct listener_file *ret_file, struct diagnostic *error)
{
	int lock = lock_directory(path);
	int fd;

	if (lock < 0) {
		diagnostic_set(error, "its directory: %s", strerror(errno));
		return -1;
	}
	fd = bind_locked(path, owner, backlog, ret_file, error);
	close(lock);
	return fd;
}

static bool find(const char *path, const struct listener_file *file, struct stat *ret_status)
{
	return lstat(path, ret_status) == 0 && S_ISSOCK(ret_status->st_mode) &&
	       ret_status->st_dev == file->device && ret_status->st_ino == file->number;
}

bool listener_file_is_there(const char *path, const struct listener_file *file)
{
	struct stat status;

	return find(path, file, &status);
}

bool listener_file_set_mode(const char *path, const struct listener_file *file, unsigned mode)
{
	struct stat status;

	if (!find(path, file, &status) || (status.st_mode & 0777) == mode)
		return true;
	return chmod(path, mode) == 0;
}

void listener_file_remove(const char *path, const struct listener_file *file)
{
	if (listener_file_is_there(path, file))
		unlink(path);
}
