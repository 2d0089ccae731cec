/* The cause of the failure that is being handed up. */
#include "proxy/base/cause.h"

#include <stdarg.h>
#include <stdio.h>

enum { CAUSE_SIZE = 192 };

static char text[CAUSE_SIZE];

void cause_set(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
}

void cause_clear(void)
{
	text[0] = '\0';
}

const char *cause_text(void)
{
	return text;
}
