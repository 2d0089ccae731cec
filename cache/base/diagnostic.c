/* One line of text for the operator. */
#include "cache/base/diagnostic.h"

#include <stdio.h>
#include <string.h>

void diagnostic_set(struct diagnostic *diagnostic, const char *format, ...)
{
	char text[DIAGNOSTIC_MAX]; /* its own text may be among the arguments */
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	memcpy(diagnostic->text, text, strlen(text) + 1);
}

void diagnostic_add(struct diagnostic *diagnostic, const char *format, ...)
{
	size_t used = strlen(diagnostic->text);
	va_list arguments;

	if (used > 0 && used + 2 < DIAGNOSTIC_MAX) {
		memcpy(diagnostic->text + used, "; ", 3);
		used += 2;
	}
	va_start(arguments, format);
	vsnprintf(diagnostic->text + used, DIAGNOSTIC_MAX - used, format, arguments);
	va_end(arguments);
}
