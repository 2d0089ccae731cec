/*
 * Reads a configuration file and takes the comments out before libconfuse sees it: that does not
 * take a comment inside a list, and counts a line too many for each C comment.
 */
#include "conf/source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIFO_MS = 1000 };

#define UTF8_MARK "\xef\xbb\xbf"

/* Editors of some systems write two bytes a character, and say so in the first two at best. */
static const char *unreadable(const char *text, size_t length)
{
	if (length > CONF_SOURCE_MAX)
		return "larger than 1MiB";
	if (length >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0))
		return "is in UTF-16; save it as UTF-8";
	if (memchr(text, '\0', length) != NULL)
		return "has a NUL byte; save it as text in UTF-8";
	return NULL;
}

static bool has_come(int fd)
{
	struct pollfd one = {.fd = fd, .events = POLLIN};
	struct stat status;

	if (fstat(fd, &status) != 0)
		return false;
	if (!S_ISFIFO(status.st_mode) || poll(&one, 1, FIFO_MS) > 0)
		return true;
	errno = ETIMEDOUT;
	return false;
}

FILE *conf_source_open(const char *path)
{
	/* opening a FIFO without a writer would wait for one */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	FILE *file = NULL;
	int error;

	if (fd < 0)
		return NULL;
	if (has_come(fd) && fcntl(fd, F_SETFL, 0) == 0)
		file = fdopen(fd, "r");
	if (file != NULL)
		return file;
	error = errno;
	close(fd);
	errno = error;
	return NULL;
}

static char *read_text(const char *path, FILE *errors)
{
	FILE *file = conf_source_open(path);
	char *text = malloc(CONF_SOURCE_MAX + 1);
	size_t length = 0;
	const char *why = NULL;

	if (file == NULL || text == NULL)
		why = strerror(errno);
	if (why == NULL) {
		errno = 0;
		length = fread(text, 1, CONF_SOURCE_MAX + 1, file);
		why = ferror(file) ? strerror(errno) : unreadable(text, length);
	}
	if (file != NULL)
		fclose(file);
	if (why != NULL) {
		fprintf(errors, "%s: %s\n", path, why);
		free(text);
		return NULL;
	}
	text[length] = '\0';
	return text;
}

/*
 * A line may end in LF, CRLF or CR, and begin with a byte order mark, also one that is not the
 * first where files were joined.
 */
static void make_plain(char *text)
{
	bool begins = true;

	for (char *at = text; *at; at++) {
		if (begins && strncmp(at, UTF8_MARK, strlen(UTF8_MARK)) == 0)
			memset(at, ' ', strlen(UTF8_MARK));
		if (*at == '\r')
			*at = at[1] == '\n' ? ' ' : '\n';
		begins = *at == '\n';
	}
}

/* What begins here, named by the character that ends it. */
enum span {
	SPAN_NONE,
	SPAN_DOUBLE = '"',
	SPAN_SINGLE = '\'',
	SPAN_LINE = '\n',
	SPAN_COMMENT = '*'
};

/* Inside a word nothing begins but a string, which is refused later. */
static enum span span_at(const char *at, char before)
{
	bool in_word = strchr(" \t\n={},()\"'", before) == NULL;

	if (*at == '"' || *at == '\'')
		return *at == '"' ? SPAN_DOUBLE : SPAN_SINGLE;
	if (!in_word && (*at == '#' || (at[0] == '/' && at[1] == '/')))
		return SPAN_LINE;
	if (!in_word && at[0] == '/' && at[1] == '*')
		return SPAN_COMMENT;
	return SPAN_NONE;
}

/* First character behind the string or comment at `at`; NULL when it does not end. */
static const char *span_end(const char *at, enum span span)
{
	if (span == SPAN_LINE)
		return strchrnul(at, '\n');
	if (span == SPAN_COMMENT) {
		const char *end = strstr(at + 2, "*/");

		return end != NULL ? end + 2 : NULL;
	}
	for (at++; *at && *at != (char)span; at++)
		if (*at == '\\' && at[1])
			at++;
	return *at ? at + 1 : NULL;
}

static void blank(char *from, const char *to)
{
	for (; from < to; from++)
		if (*from != '\n')
			*from = ' ';
}

/* Returns what is wrong with the text, in line *ret_line, or NULL. */
static const char *blank_comments(char *text, unsigned *ret_line)
{
	*ret_line = 1;
	for (char *at = text; *at;) {
		enum span span = span_at(at, at > text ? at[-1] : '\n');
		const char *end = span == SPAN_NONE ? at + 1 : span_end(at, span);

		if (end == NULL)
			return span == SPAN_COMMENT ? "a comment does not end"
						    : "a string does not end";
		if (span == SPAN_LINE || span == SPAN_COMMENT)
			blank(at, end);
		for (; at < end; at++)
			*ret_line += *at == '\n';
	}
	return NULL;
}

char *conf_source_read(const char *path, FILE *errors)
{
	char *text = read_text(path, errors);
	const char *why;
	unsigned line;

	if (text == NULL)
		return NULL;
	make_plain(text);
	why = blank_comments(text, &line);
	if (why != NULL) {
		fprintf(errors, "%s:%u: %s\n", path, line, why);
		explicit_bzero(text, strlen(text));
		free(text);
		return NULL;
	}
	return text;
}
