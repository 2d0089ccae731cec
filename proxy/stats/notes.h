/*
 * What an operator should know first, as sentences: rows of notes.def, made of the statistics.  Pure.
 */
#ifndef PROXY_STATS_NOTES_H
#define PROXY_STATS_NOTES_H

#include "proxy/stats/events.h"
#include "proxy/stats/recent_errors.h"
#include "proxy/stats/reload.h"
#include "proxy/stats/sketch.h"

struct stats;

enum note_id {
#define NOTE(id, name, level, alert, sentence, advice) NOTE_##id,
#include "proxy/stats/notes.def"
#undef NOTE
	NOTE_COUNT
};

enum note_level { NOTE_BAD, NOTE_WARN, NOTE_INFO };

enum { NOTES_MAX = 16, NOTE_TEXT_MAX = 400, NOTE_HOSTS_MAX = 4 };

struct note {
	enum note_id id;
	char text[NOTE_TEXT_MAX];
	const char *advice;
	int64_t since_ms;               /* wall clock; 0 when that is not known */
	char uri[RECENT_URI_MAX + 1];   /* to be explained; "" for none */
	char host[RECENT_HOST_MAX + 1]; /* "" for none */
};

struct notes_input {
	int64_t now_ms, wall_ms;           /* monotonic, and the same moment since the epoch */
	const struct stats *minute, *hour; /* what was counted in the last */
	const struct sketch_view *hosts;   /* of the last minute, most failures first */
	const struct recent_error *errors; /* the latest first */
	unsigned error_count;
	const struct event *events; /* the oldest first */
	unsigned event_count;
	const struct reload_result *reload; /* NULL when it is not known */
	unsigned workers_alive, workers_wanted;
	bool leaving;
};

/* The worst first; how many. */
unsigned notes_find(const struct notes_input *input, struct note ret_notes[NOTES_MAX]);

const char *note_name(enum note_id id);
const char *note_level_name(enum note_id id); /* "bad", "warn", "info" */

/* The latest error of a host whose name may be cut, as in the rows of a sketch; NULL for none. */
const struct recent_error *note_error_of(const struct notes_input *input, const char *host);

/* What a failing origin does, as a word for programs: "refused", "timeout". */
const char *note_failure_state(enum failure failure);

#endif
