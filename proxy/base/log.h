/*
 * All messages to the operator except the access log: one line each on stderr, "cache204: level:
 * text", with journald's <N> prefix when stderr is the journal, otherwise with the time (UTC) in
 * front.  Control characters are escaped.  Repeated lines of one call site are limited to 10 a
 * second, and the number left out is logged.
 */
#ifndef PROXY_BASE_LOG_H
#define PROXY_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_set_level(enum log_level level);
bool log_has(enum log_level level);
/* "SIGTERM", for a line; a static text. */
const char *log_signal_name(int number);

/*
 * `n` bytes that a peer sent, for a line: in quotes, and escaped so that they can neither end the
 * quotes nor pass for anything else.  What does not fit into `to` is cut, with "..." for it.
 */
enum { LOG_QUOTE_MIN = 12 };
const char *log_quote(const char *bytes, size_t n, char *to, size_t size);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* All works as configured, and may not be what is wanted. */
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* An error for each line of a text, after "what: ". */
void log_error_lines(const char *what, const char *text);

#endif
