/* The cause of the failure that is being handed up. */
#include "proxy/base/cause.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

enum { CAUSE_SIZE = 192 };

static char text[CAUSE_SIZE];
static bool is_fault;

void cause_set(const char *format, ...)
{
	va_list arguments;

	is_fault = false;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
}

void cause_set_fault(const char *fault)
{
	snprintf(text, sizeof(text), "%s", fault);
	is_fault = true;
}

const char *cause_fault(void)
{
	return is_fault ? text : "";
}

void cause_clear(void)
{
	is_fault = false;
	text[0] = '\0';
}

const char *cause_text(void)
{
	return text;
}
