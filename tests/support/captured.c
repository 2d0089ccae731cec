/* Standard output and error as files without names. */
#include "tests/support/captured.h"

#include <stdlib.h>
#include <unistd.h>

static FILE *const *streams(unsigned i)
{
	return i == 0 ? &stdout : &stderr;
}

void captured_begin(struct captured *captured, bool full)
{
	for (unsigned i = 0; i < 2; i++) {
		fflush(*streams(i));
		captured->saved[i] = dup(fileno(*streams(i)));
		captured->files[i] = i == 0 && full ? fopen("/dev/full", "w+") : tmpfile();
		if (captured->files[i] == NULL ||
		    dup2(fileno(captured->files[i]), fileno(*streams(i))) < 0)
			abort();
	}
}

/* All of it, and closes it.  A device has no length: nothing. */
static char *read_all(FILE *file)
{
	long length;
	char *text;

	fseek(file, 0, SEEK_END);
	length = ftell(file);
	text = calloc(1, (size_t)length + 1);
	rewind(file);
	if (text == NULL || fread(text, 1, (size_t)length, file) != (size_t)length)
		abort();
	fclose(file);
	return text;
}

void captured_end(struct captured *captured)
{
	char **texts[] = {&captured->out, &captured->err};

	for (unsigned i = 0; i < 2; i++) {
		fflush(*streams(i));
		dup2(captured->saved[i], fileno(*streams(i)));
		close(captured->saved[i]);
		clearerr(*streams(i));
		*texts[i] = read_all(captured->files[i]);
	}
}

void captured_free(struct captured *captured)
{
	free(captured->out);
	free(captured->err);
}
