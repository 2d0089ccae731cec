/* Lines of the access log by a format of the operator's, and the times in lines.  Pure. */
#ifndef PROXY_STATS_ACCESSLOG_FORMAT_H
#define PROXY_STATS_ACCESSLOG_FORMAT_H

#include "conf/log_format.h"

/* The part of a time that lasts a second, as text. */
struct accesslog_stamp {
	int64_t second;
	size_t length; /* 0 before the first */
	char text[STAMP_LENGTH];
};

struct accesslog_stamps {
	struct accesslog_stamp iso, clf, seconds;
};

/* Zero but for the form to begin. */
struct accesslog_format {
	struct log_format form;
	struct accesslog_stamps stamps;
};

struct accesslog_entry;

/* A line of the kind LOG_PARTS, without its end. */
char *accesslog_format_line(struct accesslog_format *format, char *at,
			    const struct accesslog_entry *entry);

/* A time, as rows of log_fields.def name them. */
enum accesslog_clock { CLOCK_iso, CLOCK_clf, CLOCK_seconds };
char *accesslog_put_time(struct accesslog_stamps *stamps, enum accesslog_clock clock, char *at,
			 int64_t wall_ms);

#endif
