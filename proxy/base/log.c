/* Lines for the operator on stderr: escaped, limited per call site, and never waited for. */
#include "proxy/base/log.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/wall_clock.h"

enum {
	TEXT_LENGTH = 1000, /* of a line as formatted, longer ones are cut */
	HEAD_LENGTH = 64,   /* the time, "cache204: error: ", the end of the line, and some */
	LINE_LENGTH = HEAD_LENGTH + 4 * TEXT_LENGTH, /* as written, all escaped */
	LINES_A_SECOND = 10,
	SITES = 64,
	PREFIX_LENGTH = 32,
};

static_assert(LINE_LENGTH <= PIPE_BUF, "a pipe that can be written takes a line whole");

/* A call site is known by its format, a literal of its own. */
struct site {
	const char *format;
	enum log_level level;
	int64_t second; /* of the lines counted here */
	unsigned lines;
	unsigned left_out;
};

static struct site sites[SITES];
static enum log_level least_level = LOG_LEVEL_INFO;

static const struct {
	const char *name;
	char priority; /* of syslog(3), for the journal */
} levels[] = {
	[LOG_LEVEL_ERROR] = {"error", '3'},
	[LOG_LEVEL_WARNING] = {"warning", '4'},
	[LOG_LEVEL_INFO] = {"info", '6'},
	[LOG_LEVEL_DEBUG] = {"debug", '7'},
};

/* Systemd tells the socket's device and inode, so that a redirected stderr is not taken for it. */
static bool is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat status;
	return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device &&
	       status.st_ino == inode;
}

/* The journal gets the level, and adds the time itself; anything else gets the time. */
static void write_prefix(enum log_level level, char prefix[PREFIX_LENGTH])
{
	time_t now = (time_t)(wall_clock_ms() / 1000);
	struct tm parts;
	if (is_journal())
		snprintf(prefix, PREFIX_LENGTH, "<%c>", levels[level].priority);
	else /* which has room for the year of any count of ms */
		strftime(prefix, PREFIX_LENGTH, "%Y-%m-%dT%H:%M:%SZ ", gmtime_r(&now, &parts));
}

static char *escape(char *at, unsigned char c)
{
	static const char hex_digits[] = "0123456789abcdef";
	*at++ = '\\';
	*at++ = 'x';
	*at++ = hex_digits[c >> 4];
	*at++ = hex_digits[c & 15];
	return at;
}

const char *log_quote(const char *bytes, size_t n, char *to, size_t size)
{
	char *at = to, *end = to + size - sizeof("\\xff...\"");
	assert(size >= LOG_QUOTE_MIN);
	*at++ = '"';
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)bytes[i];
		if (at > end) {
			memcpy(at, "...", 3);
			at += 3;
			break;
		}
		if (c >= ' ' && c < 0x7f && c != '"' && c != '\\')
			*at++ = (char)c;
		else
			at = escape(at, c);
	}
	*at++ = '"';
	*at = '\0';
	return to;
}

/* False when writing to stderr would block, or it is closed. */
static bool write_line(enum log_level level, const char *text)
{
	char line[LINE_LENGTH], prefix[PREFIX_LENGTH];
	write_prefix(level, prefix);
	int head = snprintf(line, sizeof(line), "%scache204: %s: ", prefix, levels[level].name);
	char *at = line + head;
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (c >= ' ' && c < 0x7f)
			*at++ = (char)c;
		else
			at = escape(at, c);
	}
	*at++ = '\n';

	struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
	return poll(&ready, 1, 0) == 1 && write(STDERR_FILENO, line, (size_t)(at - line)) > 0;
}

/* Lines omitted in earlier seconds are reported with the next line of any call site. */
static void tell_left_out(int64_t second)
{
	char text[TEXT_LENGTH];
	for (struct site *site = sites; site < sites + SITES; site++) {
		if (site->left_out == 0 || site->second == second)
			continue;
		snprintf(text, sizeof(text), "%u more lines left out like: %s", site->left_out,
			 site->format);
		if (write_line(site->level, text))
			site->left_out = 0;
	}
}

/*
 * The site's place, or a free one; with none free in this second sites share and are limited
 * together.
 */
static struct site *find_site(const char *format, int64_t second)
{
	uintptr_t start = (uintptr_t)format / sizeof(void *);
	struct site *site = NULL;
	for (unsigned i = 0; i < SITES; i++) {
		site = &sites[(start + i) % SITES];
		if (site->second == second && site->format == format)
			return site;
		if (site->second != second && site->left_out == 0) {
			*site = (struct site){.format = format, .second = second};
			return site;
		}
	}
	return site;
}

static void log_line(enum log_level level, const char *format, va_list arguments)
{
	if (level > least_level)
		return;
	int error = errno;
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	tell_left_out(now.tv_sec);

	struct site *site = find_site(format, now.tv_sec);
	site->level = level;
	char text[TEXT_LENGTH];
	int length = vsnprintf(text, sizeof(text), format, arguments);
	if (length >= TEXT_LENGTH)
		memcpy(text + TEXT_LENGTH - sizeof("..."), "...", sizeof("..."));
	if (site->lines < LINES_A_SECOND && write_line(level, text))
		site->lines++;
	else
		site->left_out++;
	errno = error;
}

void log_set_level(enum log_level level)
{
	least_level = level;
}

const char *log_signal_name(int number)
{
	switch (number) {
	case SIGTERM:
		return "SIGTERM";
	case SIGINT:
		return "SIGINT";
	case SIGQUIT:
		return "SIGQUIT";
	case SIGHUP:
		return "SIGHUP, the terminal is closed";
	default:
		return strsignal(number);
	}
}

bool log_has(enum log_level level)
{
	return level <= least_level;
}

#define LOG(level)                          \
	va_list arguments;                  \
	va_start(arguments, format);        \
	log_line(level, format, arguments); \
	va_end(arguments)

void log_error(const char *format, ...)
{
	LOG(LOG_LEVEL_ERROR);
}

void log_warning(const char *format, ...)
{
	LOG(LOG_LEVEL_WARNING);
}

void log_info(const char *format, ...)
{
	LOG(LOG_LEVEL_INFO);
}

void log_debug(const char *format, ...)
{
	LOG(LOG_LEVEL_DEBUG);
}

void log_error_lines(const char *what, const char *text)
{
	for (const char *line = text; *line != '\0'; line += strspn(line, "\n")) {
		size_t length = strcspn(line, "\n");

		if (length > 0)
			log_error("%s: %.*s", what, (int)length, line);
		line += length;
	}
}
