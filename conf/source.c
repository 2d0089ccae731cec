/*
 * Reads a configuration file and takes the comments out before libconfuse sees it: that does not
 * take a comment inside a list, and counts a line too many for each C comment.
 */
#include "conf/source.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static char *read_text(const char *path, FILE *errors)
{
	FILE *file = fopen(path, "re");
	char *text = malloc(CONF_SOURCE_MAX + 1);
	size_t length = 0;
	const char *why = NULL;

	if (!file || !text)
		why = strerror(errno);
	if (!why) {
		errno = 0;
		length = fread(text, 1, CONF_SOURCE_MAX + 1, file);
		if (ferror(file))
			why = strerror(errno);
		else if (length > CONF_SOURCE_MAX)
			why = "larger than 1MiB";
		else if (memchr(text, '\0', length))
			why = "has a NUL byte";
	}
	if (file)
		fclose(file);
	if (why) {
		fprintf(errors, "%s: %s\n", path, why);
		free(text);
		return NULL;
	}
	text[length] = '\0';
	return text;
}

/* What begins here, named by the character that ends it. */
enum span {
	SPAN_NONE,
	SPAN_DOUBLE = '"',
	SPAN_SINGLE = '\'',
	SPAN_LINE = '\n',
	SPAN_COMMENT = '*'
};

static enum span span_at(const char *at, char before)
{
	bool in_word = !strchr(" \t\r\n={},", before);

	if (*at == '"' || *at == '\'')
		return *at == '"' ? SPAN_DOUBLE : SPAN_SINGLE;
	if (*at == '#' || (at[0] == '/' && at[1] == '/' && !in_word))
		return SPAN_LINE;
	if (at[0] == '/' && at[1] == '*' && !in_word)
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

		return end ? end + 2 : NULL;
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

/*
 * What libconfuse would take in a way that nobody means: it drops a bare * or +, puts environment
 * variables in, and may never return from a string that stands where a name does.
 */
static const char *find_trap(const char *at, const char *end, enum span span, char before)
{
	if ((span == SPAN_DOUBLE || span == SPAN_SINGLE) && !strchr("={,", before))
		return "a value where none belongs";
	if (span == SPAN_NONE && (*at == '*' || (*at == '+' && at[1] != '=')))
		return "* and + need quotes";
	if ((span == SPAN_NONE || span == SPAN_DOUBLE) &&
	    memmem(at, (size_t)(end - at) + 1, "${", 2))
		return "${ needs single quotes; no variables are put in";
	return NULL;
}

/* Blanks out comments; returns what is wrong with the text, in line *ret_line, or NULL. */
static const char *blank_comments(char *text, unsigned *ret_line)
{
	char before = '\n'; /* the last character that was neither space nor comment */
	const char *trap;

	*ret_line = 1;
	for (char *at = text; *at;) {
		enum span span = span_at(at, at > text ? at[-1] : '\n');
		const char *end = span == SPAN_NONE ? at + 1 : span_end(at, span);

		if (!end)
			return span == SPAN_COMMENT ? "a comment does not end"
						    : "a string does not end";
		trap = find_trap(at, end, span, before);
		if (trap)
			return trap;
		if (span == SPAN_LINE || span == SPAN_COMMENT)
			blank(at, end);
		else if (!strchr(" \t\r\n", *at))
			before = *at;
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

	if (!text)
		return NULL;
	why = blank_comments(text, &line);
	if (why) {
		fprintf(errors, "%s:%u: %s\n", path, line, why);
		free(text);
		return NULL;
	}
	return text;
}

int conf_source_line(const char *text, const char *name)
{
	int line = 1, found = 0;
	size_t length = strlen(name);

	while (*text) {
		enum span span = span_at(text, '\n');
		size_t word = strcspn(text, " \t\r\n+={},\"'");
		const char *end = text + (word ? word : 1);

		if (span != SPAN_NONE)
			end = span_end(text, span);
		if (word == length && memcmp(text, name, length) == 0 &&
		    end[strspn(end, " \t\r\n+")] == '=')
			found = line;
		for (; text < end; text++)
			line += *text == '\n';
	}
	return found;
}
