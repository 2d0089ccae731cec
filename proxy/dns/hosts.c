/* The hosts file: parsed into a sorted table, and watched for changes. */
#include "proxy/dns/hosts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/base/close_fd.h"
#include "proxy/base/hostname.h"
#include "proxy/base/log.h"

/* One name of a line.  `name` points into hosts->text, so a later place in it is a later line. */
struct host {
	struct slice name;
	union address address;
};

struct hosts {
	struct host *at; /* sorted by name, then by place in the file */
	size_t count;
	size_t capacity;
	char *text; /* all names, in normal form, without separators */
	size_t text_length;
};

struct hosts_file {
	char *path;
	struct hosts *hosts;
	struct stat seen; /* of the file as it was read; zero when there was none */
	int64_t checked_ms;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

/* The next word of *line, which it is cut from; empty at the end. */
static struct slice next_word(struct slice *line)
{
	struct slice word;
	size_t n = 0;

	while (line->n > 0 && is_blank(line->p[0]))
		line->p++, line->n--;
	while (n < line->n && !is_blank(line->p[n]))
		n++;
	word = slice_of(line->p, n);
	line->p += n;
	line->n -= n;
	return word;
}

static bool add_host(struct hosts *hosts, struct slice word, const union address *address)
{
	char name[HOSTNAME_MAX];
	size_t n = hostname_normal(word, name);
	struct host *host;

	if (n == 0)
		return true;
	if (hosts->count == hosts->capacity) {
		size_t capacity = hosts->capacity ? 2 * hosts->capacity : 16;
		struct host *at = reallocarray(hosts->at, capacity, sizeof(*at));

		if (at == NULL)
			return false;
		hosts->at = at;
		hosts->capacity = capacity;
	}
	memcpy(hosts->text + hosts->text_length, name, n);
	host = &hosts->at[hosts->count++];
	host->name = slice_of(hosts->text + hosts->text_length, n);
	host->address = *address;
	hosts->text_length += n;
	return true;
}

static bool parse_line(struct hosts *hosts, struct slice line)
{
	const char *comment = memchr(line.p, '#', line.n);
	union address address;
	struct slice word;

	if (comment != NULL)
		line.n = (size_t)(comment - line.p);
	if (!address_parse(next_word(&line), &address))
		return true;
	while ((word = next_word(&line)).n > 0)
		if (!add_host(hosts, word, &address))
			return false;
	return true;
}

static int compare_names(struct slice a, struct slice b)
{
	int difference = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

	return difference ? difference : (a.n > b.n) - (a.n < b.n);
}

static int compare_hosts(const void *a, const void *b)
{
	const struct host *left = a;
	const struct host *right = b;
	int difference = compare_names(left->name, right->name);

	if (difference)
		return difference;
	return (left->name.p > right->name.p) - (left->name.p < right->name.p);
}

struct hosts *hosts_parse(struct slice text)
{
	struct hosts *hosts = calloc(1, sizeof(*hosts));

	if (hosts == NULL)
		return NULL;
	hosts->text = malloc(text.n + 1); /* names never grow */
	if (hosts->text == NULL)
		goto fail;
	while (text.n > 0) {
		const char *end = memchr(text.p, '\n', text.n);
		size_t n = end != NULL ? (size_t)(end - text.p) : text.n;

		if (!parse_line(hosts, slice_of(text.p, n)))
			goto fail;
		n += end != NULL ? 1 : 0;
		text = slice_of(text.p + n, text.n - n);
	}
	if (hosts->count > 0)
		qsort(hosts->at, hosts->count, sizeof(*hosts->at), compare_hosts);
	return hosts;
fail:
	hosts_free(hosts);
	return NULL;
}

void hosts_free(struct hosts *hosts)
{
	if (hosts == NULL)
		return;
	free(hosts->at);
	free(hosts->text);
	free(hosts);
}

/* The place of the first entry that is not before `name`. */
static size_t first_of(const struct hosts *hosts, struct slice name)
{
	size_t low = 0;
	size_t high = hosts->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_names(hosts->at[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool hosts_find(const struct hosts *hosts, struct slice name, struct addresses *ret_found)
{
	union address v6[ADDRESSES_MAX];
	union address v4[ADDRESSES_MAX];
	unsigned v6_count = 0;
	unsigned v4_count = 0;
	size_t i;

	for (i = first_of(hosts, name); i < hosts->count; i++) {
		const struct host *host = &hosts->at[i];

		if (!slice_eq(host->name, name))
			break;
		if (host->address.any.sa_family == AF_INET6 && v6_count < ADDRESSES_MAX)
			v6[v6_count++] = host->address;
		else if (host->address.any.sa_family == AF_INET && v4_count < ADDRESSES_MAX)
			v4[v4_count++] = host->address;
	}
	if (v6_count + v4_count == 0)
		return false;
	*ret_found = (struct addresses){.source = FROM_HERE};
	addresses_interleave(ret_found, v6, v6_count, v4, v4_count);
	return true;
}

/* The bytes of an open file, at most HOSTS_SIZE_MAX.  False with errno set. */
static bool read_all(int fd, char *to, size_t *ret_length)
{
	size_t length = 0;
	ssize_t n;

	while ((n = read(fd, to + length, HOSTS_SIZE_MAX + 1 - length)) > 0)
		length += (size_t)n;
	if (length > HOSTS_SIZE_MAX)
		errno = EFBIG;
	if (n < 0 || length > HOSTS_SIZE_MAX)
		return false;
	*ret_length = length;
	return true;
}

/* Parse the file at `fd`.  NULL with errno set. */
static struct hosts *read_hosts(int fd, struct stat *ret_seen)
{
	struct hosts *hosts = NULL;
	size_t length;
	char *text;

	if (fstat(fd, ret_seen) < 0)
		return NULL;
	if (!S_ISREG(ret_seen->st_mode)) {
		errno = EINVAL;
		return NULL;
	}
	text = malloc(HOSTS_SIZE_MAX + 1);
	if (text == NULL)
		return NULL;
	if (read_all(fd, text, &length)) {
		hosts = hosts_parse(slice_of(text, length));
		if (hosts == NULL)
			errno = ENOMEM;
	}
	free(text);
	return hosts;
}

/* As read_hosts() for a path; no file is an empty one.  O_NONBLOCK is for a FIFO in its place. */
static struct hosts *load(const char *path, struct stat *ret_seen)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct hosts *hosts;

	if (fd < 0) {
		if (errno != ENOENT)
			return NULL;
		memset(ret_seen, 0, sizeof(*ret_seen));
		return hosts_parse(slice_of(NULL, 0));
	}
	hosts = read_hosts(fd, ret_seen);
	close_keeping_errno(fd);
	return hosts;
}

static const char *why(int error)
{
	return error == EINVAL ? "not a regular file" : strerror(error);
}

struct hosts_file *hosts_file_open(const char *path, struct diagnostic *error)
{
	struct hosts_file *file = calloc(1, sizeof(*file));

	if (file != NULL) {
		file->checked_ms = INT64_MIN;
		file->path = strdup(path);
		if (file->path != NULL)
			file->hosts = load(path, &file->seen);
		if (file->hosts != NULL)
			return file;
	}
	diagnostic_set(error, "hosts_file: %s: %s", path, why(errno));
	hosts_file_close(file);
	return NULL;
}

void hosts_file_close(struct hosts_file *file)
{
	if (file == NULL)
		return;
	hosts_free(file->hosts);
	free(file->path);
	free(file);
}

static bool is_same_state(const struct stat *a, const struct stat *b)
{
	/* Ctime, not mtime: it also tells a chmod, and a copy that brought its old mtime along. */
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

const struct hosts *hosts_file_current(struct hosts_file *file, int64_t now_ms)
{
	struct hosts *hosts;
	struct stat state;

	if (file->checked_ms != INT64_MIN && now_ms - file->checked_ms < HOSTS_CHECK_MS)
		return file->hosts;
	file->checked_ms = now_ms;
	memset(&state, 0, sizeof(state));
	if (stat(file->path, &state) < 0 && errno != ENOENT)
		return file->hosts;
	if (is_same_state(&state, &file->seen))
		return file->hosts;
	file->seen = state; /* an unreadable state is tried once, not each second */
	hosts = load(file->path, &state);
	if (hosts == NULL)
		log_error("hosts_file: %s: cannot be read, its earlier content stays in effect: %s",
			  file->path, why(errno));
	if (hosts != NULL) {
		hosts_free(file->hosts);
		file->hosts = hosts;
		file->seen = state;
	}
	return file->hosts;
}
