/* LINKS: proxy/cli tests/doubles/failing_memory.c -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc -Wl,--wrap=monotonic_us,--wrap=poll */
/*
 * Commands as they are typed, by the blocks of tests/vectors/cli: what is asked of an admin address, all
 * that is printed, and the exit status.
 *
 *     # title
 *     $ stats --last 60s         the command line; '...' is one word; "> /dev/full" is output without room
 *     < 200 {"requests": 1}      what the admin address answers, see scripted_admin.h
 *     > GET /stats?last=60s      what it was asked
 *     | cache204 ...             a line of standard output, and
 *     ! cache204: stats: ...     of standard error
 *     = 0                        the exit status
 *
 * DIR is a directory, with the socket of that address and a token: "-o admin=unix:DIR/admin" is added, unless there is
 * the word "-", which is left out.  COMMANDS_WRITE=1 writes what follows the answers into the files, as it is now.  No command sleeps:
 * poll() for no descriptor moves the clock, and nothing else does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/monotonic.h"
#include "proxy/cli/arguments.h"
#include "tests/doubles/failing_memory.h"
#include "tests/support/captured.h"
#include "tests/support/heads.h"
#include "tests/support/scripted_admin.h"
#include "tests/support/vectors.h"

enum { WORDS_MAX = 400, LINE_SIZE = 16 * 1024 };

static struct vector *vectors;
static size_t vector_count;
static char directory[] = "/tmp/commands.XXXXXX";

/* ---- the clock ------------------------------------------------------------------------------ */

static int64_t now_us = 1000000;

int64_t __wrap_monotonic_us(void);
int __real_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms);

int64_t __wrap_monotonic_us(void)
{
	return now_us;
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	if (count > 0)
		return __real_poll(fds, count, timeout_ms);
	now_us += INT64_C(1000) * timeout_ms;
	return 0;
}

/* ---- running -------------------------------------------------------------------------------- */

/* The path of a file there, until the next call. */
static const char *at_directory(const char *name)
{
	static char path[sizeof(directory) + 16];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

/* A command line as a vector of words. */
struct words {
	char text[LINE_SIZE];
	char *at[WORDS_MAX + 1];
	int count;
	bool full;
};

/* A copy, in which one text stands in place of another. */
static void replace(const char *from, const char *old, const char *new, char *to, size_t size)
{
	const char *at;

	*to = '\0';
	for (; (at = strstr(from, old)) != NULL; from = at + strlen(old)) {
		size_t n = strlen(to);

		snprintf(to + n, size - n, "%.*s%s", (int)(at - from), from, new);
	}
	snprintf(to + strlen(to), size - strlen(to), "%s", from);
}

/* Of blanks and quotes as in a shell; runs are written out. */
static void split(const char *line, struct words *words)
{
	static char expanded[LINE_SIZE];
	char *text = words->text;
	bool has_admin = true;

	if (!vectors_expand(slice_str(line), 0, expanded, LINE_SIZE))
		fail_msg("%s", line);
	strcat(expanded, " -o admin=unix:DIR/admin");
	replace(expanded, "DIR", directory, text, LINE_SIZE);
	words->full = strstr(text, " > /dev/full") != NULL;
	if (words->full)
		memcpy(strstr(text, " > /dev/full"), "            ", 12);
	words->at[0] = (char *)(uintptr_t) "cache204";
	words->count = 1;
	while (text != NULL && *text != '\0') {
		const char *end = *text == '\'' ? "'" : " ";
		char *word = text + (*text == '\'');

		text = word;
		strsep(&text, end);
		text += text != NULL && end[0] == '\'' && *text == ' ';
		assert_true(words->count + 2 < WORDS_MAX);
		if (strcmp(word, "-") == 0)
			has_admin = false;
		else if (word[0] != '\0' || end[0] == '\'')
			words->at[words->count++] = word;
	}
	words->count -= has_admin ? 0 : 2;
	words->at[words->count] = NULL;
}

/* With so many pieces of memory before one is refused; *ret_refused says whether one was. */
static int run(struct words *words, size_t memory, struct captured *captured, bool *ret_refused)
{
	struct arguments arguments;
	int status;

	captured_begin(captured, words->full);
	fail_memory(memory, false);
	if (arguments_parse(words->count, words->at, &arguments, &status))
		status = arguments.command->run(&arguments);
	*ret_refused = fail_memory_never();
	captured_end(captured);
	return status;
}

/* ---- comparing ------------------------------------------------------------------------------ */

/* Lines, each behind a mark. */
static void put_lines(FILE *to, char mark, const char *text)
{
	static char shown[64 * LINE_SIZE];
	char *rest = shown;

	replace(text, directory, "DIR", shown, sizeof(shown));
	while (*rest != '\0') {
		size_t n = strcspn(rest, "\n");

		fprintf(to, "%c%s%.*s\n", mark, n > 0 ? " " : "", (int)n, rest);
		rest += n + (rest[n] == '\n');
		if (*rest == '\0' && rest[-1] != '\n')
			fprintf(to, "%c (no end of line)\n", mark);
	}
}

/* What a vector has: `expected` is what comes behind the answers. */
struct block {
	char command[LINE_SIZE];
	struct slice script;
	struct slice expected;
};

static void read_block(const struct vector *vector, struct block *ret_block)
{
	struct slice rest = vector->text, line, from = rest;

	memset(ret_block, 0, sizeof(*ret_block));
	while (heads_take_line(&rest, &line)) {
		if (line.n > 2 && line.p[0] == '$')
			snprintf(ret_block->command, LINE_SIZE, "%.*s", (int)line.n - 2,
				 line.p + 2);
		else if (line.n == 0 || line.p[0] != '<')
			break;
		else if (ret_block->script.n == 0)
			ret_block->script.p = line.p;
		if (line.p[0] == '<')
			ret_block->script.n = (size_t)(rest.p - ret_block->script.p);
		from = rest;
	}
	while (from.n > 0 && from.p[from.n - 1] == '\n')
		from.n--;
	ret_block->expected = from;
}

/* What came of it; for the caller to free. */
static char *play(const struct block *block)
{
	static struct words words;
	struct scripted_admin *admin;
	struct captured captured;
	char *asked, *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);
	bool refused;
	int status;

	split(block->command, &words);
	admin = scripted_admin_begin(at_directory("admin"), block->script);
	status = run(&words, SIZE_MAX, &captured, &refused);
	asked = scripted_admin_end(admin);
	fputs(asked, to);
	put_lines(to, '|', captured.out);
	put_lines(to, '!', captured.err);
	fprintf(to, "= %d", status);
	fclose(to);
	captured_free(&captured);
	free(asked);
	return text;
}

static void test_block(void **state)
{
	const struct vector *vector = *state;
	struct block block;
	char *text;

	read_block(vector, &block);
	text = play(&block);
	if (!slice_eq(block.expected, slice_str(text)))
		fail_msg("%s: what came of it:\n%s", vector->place, text);
	free(text);
}

/* ---- without memory ------------------------------------------------------------------------- */

/* A piece of memory less each time: it says so and fails, or does without, and never dies. */
static void test_without_memory(void **state)
{
	const struct vector *vector = *state;
	static struct words words;
	struct block block;
	bool refused = true;

	read_block(vector, &block);
	for (size_t n = 0; refused; n++) {
		struct scripted_admin *admin =
			scripted_admin_begin(at_directory("admin"), block.script);
		struct captured captured;
		int status;

		split(block.command, &words);
		fail_memory(n, false);
		status = run(&words, n, &captured, &refused);
		free(scripted_admin_end(admin));
		if (refused && status == EXIT_USAGE && strstr(captured.err, "memory") == NULL)
			fail_msg("%s: without memory %zu: fails, and says %s", vector->place, n,
				 captured.err);
		captured_free(&captured);
	}
}

/* ---- writing -------------------------------------------------------------------------------- */

static void write_block(FILE *to, const struct vector *vector)
{
	struct block block;
	char *text;

	read_block(vector, &block);
	text = play(&block);
	fprintf(to, "# %.*s\n", SLICE_ARG(vector->title));
	fprintf(to, "$ %s\n", block.command);
	fprintf(to, "%.*s%s\n\n", SLICE_ARG(block.script), text);
	free(text);
}

static void write_files(void)
{
	FILE *to = NULL;

	for (size_t i = 0; i < vector_count; i++) {
		if (i == 0 || strcmp(vectors[i].file, vectors[i - 1].file) != 0) {
			if (to != NULL)
				fclose(to);
			to = fopen(vectors[i].file, "w");
			if (to == NULL)
				abort();
		}
		write_block(to, &vectors[i]);
	}
	if (to != NULL)
		fclose(to);
}

static void write_token(void)
{
	int fd = open(at_directory("token"), O_WRONLY | O_CREAT, 0600);

	if (fd < 0 || write(fd, "0123456789abcdef\n", 17) != 17)
		abort();
	close(fd);
}

int main(int argc, char **argv)
{
	struct CMUnitTest *tests;
	size_t count = 0;
	int failed = 0;

	setenv("TZ", "UTC", 1);
	setenv("COLUMNS", "80", 1);
	if (mkdtemp(directory) == NULL)
		abort();
	write_token();
	vector_count = vectors_read(argc > 1 ? argv[1] : "tests/vectors/cli/*.txt", &vectors);
	if (getenv("COMMANDS_WRITE") != NULL) {
		write_files();
	} else {
		tests = calloc(2 * vector_count, sizeof(*tests));
		for (size_t i = 0; i < vector_count; i++) {
			tests[count++] = (struct CMUnitTest){vectors[i].place, test_block, NULL,
							     NULL, &vectors[i]};
			if (i == 0 || strcmp(vectors[i].file, vectors[i - 1].file) != 0)
				tests[count++] =
					(struct CMUnitTest){"without memory", test_without_memory,
							    NULL, NULL, &vectors[i]};
		}
		failed = _cmocka_run_group_tests("commands", tests, count, NULL, NULL);
		free(tests);
	}
	unlink(at_directory("admin"));
	unlink(at_directory("token"));
	rmdir(directory);
	return failed;
}
