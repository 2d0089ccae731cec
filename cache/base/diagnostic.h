/*
 * One line of text for the operator: why something failed, or what was found and done.  It names
 * the file, address or option first (CONTRIBUTING, Style).  The caller owns it and begins with "".
 */
#ifndef CACHE_BASE_DIAGNOSTIC_H
#define CACHE_BASE_DIAGNOSTIC_H

#include <stdarg.h>

enum { DIAGNOSTIC_MAX = 512 };

struct diagnostic {
	char text[DIAGNOSTIC_MAX];
};

static inline void diagnostic_clear(struct diagnostic *diagnostic)
{
	diagnostic->text[0] = '\0';
}

/* What does not fit is cut off.  `format` may have the text itself among what it prints. */
void diagnostic_set(struct diagnostic *diagnostic, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* After what is there, separated by "; ". */
void diagnostic_add(struct diagnostic *diagnostic, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
