/* Makes a failing world shorter, while it fails; see shrink.h. */
#include "tests/sim/shrink.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WORDS_MAX = 2000, TRY_S = 2, ALL_S = 60 };

/* Where each word of a text begins, the first not counted: it says which service it is. */
struct words {
	struct slice at[WORDS_MAX];
	unsigned count;
};

void shrink_quiet(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (null < 0 || dup2(null, STDERR_FILENO) < 0)
		abort();
	close(null);
}

/* The last line of what came, without what names this run. */
static void last_line(char *text, char to[static SHRINK_WHAT_MAX])
{
	size_t n = strlen(text);
	const char *line;

	while (n > 0 && text[n - 1] == '\n')
		text[--n] = '\0';
	line = strrchr(text, '\n');
	snprintf(to, SHRINK_WHAT_MAX, "%s", line != NULL ? line + 1 : text);
}

/* Does it fail, and with which last line? */
static bool fails(struct slice text, char ret_what[static SHRINK_WHAT_MAX])
{
	static char said[1 << 16];
	size_t n = 0;
	ssize_t got;
	int pipe[2], status;
	pid_t pid;

	fflush(NULL);
	if (pipe2(pipe, O_CLOEXEC) != 0 || (pid = fork()) < 0)
		abort();
	if (pid == 0) {
		struct world_told told;

		if (dup2(pipe[1], STDERR_FILENO) < 0)
			abort();
		alarm(TRY_S);
		world_play(text, false, &told);
		exit(EXIT_SUCCESS);
	}
	close(pipe[1]);
	while ((got = read(pipe[0], said + n, sizeof(said) - 1 - n)) > 0) {
		n += (size_t)got;
		if (n > sizeof(said) / 2) {
			memmove(said, said + n / 2, n - n / 2);
			n -= n / 2;
		}
	}
	said[n] = '\0';
	close(pipe[0]);
	if (waitpid(pid, &status, 0) != pid)
		abort();
	world_clean(pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS)
		return false;
	last_line(said, ret_what);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		snprintf(ret_what, SHRINK_WHAT_MAX, "it does not end");
	return true;
}

static void split(struct slice text, struct words *words)
{
	words->count = 0;
	for (size_t i = 0; i < text.n && words->count < WORDS_MAX;) {
		size_t start = i;

		while (i < text.n && text.p[i] != ' ')
			i++;
		if (i > start)
			words->at[words->count++] = slice_of(text.p + start, i - start);
		while (i < text.n && text.p[i] == ' ')
			i++;
	}
}

/* All but `count` words from `from` on. */
static struct slice without(const struct words *words, unsigned from, unsigned count, char *to)
{
	size_t n = 0;

	for (unsigned i = 0; i < words->count; i++) {
		if (i >= from && i < from + count)
			continue;
		if (n > 0)
			to[n++] = ' ';
		memcpy(to + n, words->at[i].p, words->at[i].n);
		n += words->at[i].n;
	}
	return slice_of(to, n);
}

static bool fails_so(struct slice text, char ret_what[static SHRINK_WHAT_MAX])
{
	if (fails(text, ret_what))
		return true;
	snprintf(ret_what, SHRINK_WHAT_MAX, "by itself it does not: what was before it counts");
	return false;
}

struct slice shrink_not(struct slice text, char ret_what[static SHRINK_WHAT_MAX])
{
	(void)fails_so(text, ret_what);
	return text;
}

/* Halves first, then less and less, until no word can be left out. */
struct slice shrink(struct slice text, char room[static WORLD_TEXT_MAX],
		    char ret_what[static SHRINK_WHAT_MAX])
{
	static char attempt[WORLD_TEXT_MAX], what[SHRINK_WHAT_MAX];
	static struct words words;
	struct slice least = slice_of(room, text.n);
	time_t until = time(NULL) + ALL_S;

	memcpy(room, text.p, text.n);
	if (!fails_so(least, ret_what))
		return least;
	split(least, &words);
	for (unsigned part = words.count / 2; part > 0 && time(NULL) < until;) {
		bool shorter = false;

		for (unsigned from = 1; from < words.count && time(NULL) < until;) {
			struct slice fewer = without(&words, from, part, attempt);

			if (fails(fewer, what) && strcmp(what, ret_what) == 0) {
				memcpy(room, fewer.p, fewer.n);
				least.n = fewer.n;
				split(least, &words);
				shorter = true;
			} else {
				from += part;
			}
		}
		if (!shorter || part > 1)
			part = part > 1 ? part / 2 : 0;
	}
	return least;
}
