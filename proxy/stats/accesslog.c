/*
 * The access log's buffer.
 *
 * When the log is not read, lines stay in the buffer until it is full, then new ones are dropped.
 * On any other error what is in the buffer is dropped, so that a full disk costs one call per
 * buffer and not one per line.  SIGPIPE and SIGXFSZ must be ignored by the program.
 */
#include "proxy/stats/accesslog.h"

#include <assert.h>
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "proxy/stats/accesslog_put.h"
#include "proxy/stats/accesslog_sink.h"
#include "proxy/stats/chance.h"

enum {
	RECORD_LENGTH = ACCESSLOG_SINK_HEAD + LOG_LINE_LENGTH,
	BUFFER_LENGTH = 8 * RECORD_LENGTH,
	PREFIX_LENGTH = 17, /* of ids made here: 16 digits and a dash */
};

static_assert(PREFIX_LENGTH + 16 <= ACCESSLOG_NEW_ID, "an id made here fits");

struct accesslog {
	struct accesslog_sink sink;
	bool stuck;       /* not read; tried again by the next accesslog_flush() */
	int failure;      /* errno of the last write that failed, EAGAIN when not read */
	uint64_t lost;    /* lines, since accesslog_lost() */
	bool mid_line;    /* the last byte written was not the end of a line */
	uint32_t hits;    /* one in so many is taken, 0 for none */
	uint32_t passing; /* that are left out before the next */
	uint64_t random;
	uint64_t ids; /* made */
	char id_prefix[PREFIX_LENGTH];
	struct accesslog_format format;
	struct accesslog_stamp head_stamp;
	size_t used;
	char buffer[BUFFER_LENGTH];
	char path[];
};

bool accesslog_check(const char *path, struct diagnostic *error)
{
	if (path[0] == '\0' || accesslog_sink_may_open(path))
		return true;
	accesslog_describe(path, "cannot be opened", error);
	return false;
}

void accesslog_describe(const char *path, const char *what, struct diagnostic *to)
{
	int error = errno;
	const struct passwd *entry = getpwuid(geteuid());

	diagnostic_set(to, "access_log: %s: %s: %s (as user %s)", path, what, strerror(error),
		       entry == NULL ? "without a name" : entry->pw_name);
}

/* Ids of other workers, and of those before, begin otherwise. */
static bool seed(struct accesslog *log)
{
	uint64_t prefix;
	char *at = log->id_prefix;

	if (getrandom(&prefix, sizeof(prefix), 0) != (ssize_t)sizeof(prefix) ||
	    getrandom(&log->random, sizeof(log->random), 0) != (ssize_t)sizeof(log->random))
		return false;
	log->random |= 1;
	for (int shift = 60; shift >= 0; shift -= 4)
		*at++ = "0123456789abcdef"[prefix >> shift & 15];
	*at = '-';
	return true;
}

struct accesslog *accesslog_open(const char *path, const char *format, uint32_t hits)
{
	struct accesslog *log = malloc(sizeof(*log) + strlen(path) + 1);
	struct diagnostic error;

	if (log == NULL)
		return NULL;
	log->used = 0;
	log->stuck = log->mid_line = false;
	log->failure = 0;
	log->lost = 0;
	log->hits = hits;
	log->passing = 0;
	log->ids = 0;
	log->head_stamp.length = 0;
	strcpy(log->path, path);
	log->format = (struct accesslog_format){.stamps = {{0}}};
	if (!log_format_parse(format, &log->format.form, &error))
		errno = EINVAL;
	else if (seed(log) && accesslog_sink_open(path, &log->sink))
		return log;
	free(log);
	return NULL;
}

bool accesslog_takes_hit(struct accesslog *log)
{
	if (log->hits == 1)
		return true;
	if (log->hits == 0 || log->passing > 0) {
		log->passing -= log->passing > 0;
		STATS_ADD(log_left_out, 1);
		return false;
	}
	log->passing = (uint32_t)chance_skip(&log->random, log->hits);
	return true;
}

uint32_t accesslog_sample(const struct accesslog *log)
{
	return log->hits;
}

bool accesslog_shows_referer(const struct accesslog *log)
{
	return log->format.form.shows_referer;
}

struct slice accesslog_new_id(struct accesslog *log, char room[static ACCESSLOG_NEW_ID])
{
	char *end = append_hex(append_bytes(room, log->id_prefix, PREFIX_LENGTH), ++log->ids);

	return slice_of(room, (size_t)(end - room));
}

static void lose_line(struct accesslog *log)
{
	STATS_ADD(log_dropped, 1);
	log->lost++;
}

/* Give up what is in the buffer.  A line that is half in the file is ended there, later. */
static void drop(struct accesslog *log)
{
	size_t i =
		log->used > 0 && log->buffer[0] == '\n'; /* an end of line lost is no line lost */
	for (; i < log->used; i++)
		if (log->buffer[i] == '\n')
			lose_line(log);
	log->used = 0;
	if (log->mid_line)
		log->buffer[log->used++] = '\n';
}

/* Who listened at the socket has gone, and may be back: once in a flush. */
static bool connect_again(struct accesslog *log, int error, bool *tried)
{
	struct accesslog_sink sink;

	if (*tried || !accesslog_sink_is_lost(&log->sink, error))
		return false;
	*tried = true;
	if (!accesslog_sink_open(log->path, &sink))
		return false;
	close(log->sink.fd);
	log->sink = sink;
	return true;
}

/* What did not go out waits, or is lost with the rest, or alone.  Bytes that are done with. */
static size_t note_failure(struct accesslog *log, size_t n, int error)
{
	log->failure = error;
	if (accesslog_sink_has_datagrams(&log->sink) && error == EMSGSIZE) {
		lose_line(log);
		return n;
	}
	if (error == EAGAIN || error == ENOBUFS || accesslog_sink_is_lost(&log->sink, error))
		log->stuck = true;
	return 0;
}

void accesslog_flush(struct accesslog *log)
{
	bool tried = false, failed = false;
	size_t done = 0;

	log->stuck = false;
	while (done < log->used && !log->stuck && !failed) {
		const char *from = log->buffer + done;
		size_t piece = accesslog_sink_piece(&log->sink, from, log->used - done), gone;
		ssize_t n = accesslog_sink_write(&log->sink, from, piece);
		int error = n == 0 ? EAGAIN : errno;

		if (n > 0) {
			done += (size_t)n;
			log->mid_line = from[n - 1] != '\n';
		} else if (error != EINTR && !connect_again(log, error, &tried)) {
			gone = note_failure(log, piece, error);
			failed = gone == 0 && !log->stuck;
			done += gone;
		}
	}
	log->used -= done;
	memmove(log->buffer, log->buffer + done, log->used);
	if (failed)
		drop(log);
}

static bool has_room(const struct accesslog *log)
{
	return BUFFER_LENGTH - log->used >= RECORD_LENGTH;
}

/* An error of this side or the origin's, a refusal, or all is well. */
static enum accesslog_priority priority_of(const struct accesslog_entry *entry)
{
	if (entry->failure == FAILURE_NONE || entry->failure == FAILURE_CLIENT_GONE)
		return PRIORITY_INFO;
	return entry->status / 100 == 4 ? PRIORITY_NOTICE : PRIORITY_WARNING;
}

void accesslog_write(struct accesslog *log, struct accesslog_entry *entry)
{
	char *at;

	if (!has_room(log) && !log->stuck)
		accesslog_flush(log);
	if (!has_room(log)) {
		lose_line(log);
		return;
	}
	at = log->buffer + log->used;
	if (accesslog_sink_has_datagrams(&log->sink))
		at = accesslog_sink_put_head(&log->sink, &log->head_stamp, at, priority_of(entry),
					     entry->wall_ms);
	at = accesslog_line(&log->format, at, entry);
	log->used = (size_t)(at - log->buffer);
}

bool accesslog_reopen(struct accesslog *log)
{
	struct accesslog_sink sink;

	accesslog_flush(log);
	if (strcmp(log->path, "-") == 0)
		return true;
	if (!accesslog_sink_open(log->path, &sink))
		return false;
	if (!accesslog_sink_has_datagrams(&sink)) {
		drop(log);
		log->used = 0;
	}
	close(log->sink.fd);
	log->sink = sink;
	log->mid_line = false;
	log->stuck = false;
	return true;
}

uint64_t accesslog_lost(struct accesslog *log, const char **ret_why)
{
	uint64_t lost = log->lost;

	*ret_why = log->failure == EAGAIN ? "what reads it is too slow" : strerror(log->failure);
	log->lost = 0;
	return lost;
}

void accesslog_finish(struct accesslog *log)
{
	accesslog_flush(log);
	drop(log);
}

void accesslog_close(struct accesslog *log)
{
	if (log == NULL)
		return;
	accesslog_finish(log);
	close(log->sink.fd);
	free(log);
}
