/* Reads files of test cases written as blocks of text. */
#include "tests/support/vectors.h"

#include <glob.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cache/http/date.h"
#include "tests/support/heads.h"

struct vector_list {
	struct vector *at;
	size_t count;
};

#define TITLE                                                                                      \
	"^(RFC [0-9]+|Fetch|RULES) [0-9.]+ (MUST|MUST NOT|SHOULD|SHOULD NOT|MAY|OWN)( [a-z-]+)?: " \
	"."

static struct slice read_whole(const char *path)
{
	FILE *file = fopen(path, "rb");
	char *bytes = NULL;
	size_t size = 0;

	if (file == NULL || getdelim(&bytes, &size, EOF, file) < 0) {
		perror(path);
		exit(1);
	}
	fclose(file);
	return slice_str(bytes);
}

static struct vector *add_vector(struct vector_list *list, const char *file, unsigned line,
				 struct slice title)
{
	struct vector *vector;

	list->at = reallocarray(list->at, list->count + 1, sizeof(*list->at));
	if (!list->at)
		abort();
	vector = &list->at[list->count++];
	*vector = (struct vector){.file = file, .line = line, .title = title};
	if (asprintf(&vector->place, "%s:%u %.*s", file, line, SLICE_ARG(title)) < 0)
		abort();
	return vector;
}

static bool begins_with(struct slice line, const char *start)
{
	return line.n >= strlen(start) && memcmp(line.p, start, strlen(start)) == 0;
}

static void read_file(struct vector_list *list, const char *path)
{
	struct slice rest = read_whole(path);
	size_t before = list->count;
	struct slice line;

	for (unsigned number = 1; heads_take_line(&rest, &line); number++) {
		struct vector *last = list->count > before ? &list->at[list->count - 1] : NULL;

		if (begins_with(line, "# "))
			add_vector(list, path, number, slice_of(line.p + 2, line.n - 2))->text =
				slice_of(rest.p, 0);
		else if (last != NULL)
			last->text.n = (size_t)(rest.p - last->text.p);
	}
	if (list->count == before)
		add_vector(list, path, 1, SLICE(""));
}

size_t vectors_read(const char *pattern, struct vector **ret_vectors)
{
	struct vector_list list = {0};
	static glob_t paths; /* the vectors point to its names */

	if (glob(pattern, 0, NULL, &paths) == 0) {
		for (size_t i = 0; i < paths.gl_pathc; i++)
			read_file(&list, paths.gl_pathv[i]);
	}
	*ret_vectors = list.at;
	return list.count;
}

static bool write_date(time_t time_s, const char *form, char *to, size_t size)
{
	struct tm tm;
	size_t n;

	gmtime_r(&time_s, &tm);
	if (strcmp(form, "asctime") == 0)
		return strftime(to, size, "%a %b %e %H:%M:%S %Y", &tm) > 0;
	if (strcmp(form, "rfc850") == 0) {
		n = strftime(to, size, "%A, %d-%b-", &tm);
		n += (size_t)snprintf(to + n, size - n, "%02d ", tm.tm_year % 100);
		return n < size && strftime(to + n, size - n, "%H:%M:%S GMT", &tm) > 0;
	}
	if (form[0] || size <= HTTP_DATE_LENGTH)
		return false;
	http_date_write(time_s, to);
	to[HTTP_DATE_LENGTH] = '\0';
	return true;
}

bool vectors_title_is_good(struct slice title)
{
	char text[256];
	regex_t pattern;
	bool good;

	snprintf(text, sizeof(text), "%.*s", SLICE_ARG(title));
	if (regcomp(&pattern, TITLE, REG_EXTENDED | REG_NOSUB) != 0)
		abort();
	good = regexec(&pattern, text, 0, NULL, 0) == 0;
	regfree(&pattern);
	return good;
}

/* "now", an offset, a form; up to the closing brace.  Returns the bytes read, 0 when it is no date.
 */
static size_t expand_date(struct slice text, int64_t now_s, char *to, size_t size)
{
	long long offset = 0;
	char form[16] = "";
	char copy[64];
	time_t time_s;
	size_t n = 0;

	while (n < text.n && n < sizeof(copy) - 1 && text.p[n] != '}')
		n++;
	snprintf(copy, sizeof(copy), "%.*s", (int)n, text.p);
	if (n == text.n || strncmp(copy, "now", 3) != 0)
		return 0;
	if (copy[3] == ' ')
		sscanf(copy + 3, " %15s", form);
	else
		sscanf(copy + 3, "%lld %15s", &offset, form);
	time_s = now_s + offset;
	return write_date(time_s, form, to, size) ? n + 1 : 0;
}

/* "{x*100}": the byte before the star, so many times.  Returns as expand_date(). */
static size_t expand_run(struct slice text, char *to, size_t size)
{
	unsigned count = 0;
	size_t n = 2;

	if (text.n < 4 || text.p[1] != '*')
		return 0;
	for (; n < text.n && text.p[n] >= '0' && text.p[n] <= '9' && count < size; n++)
		count = count * 10 + (unsigned)(text.p[n] - '0');
	if (n == text.n || text.p[n] != '}' || count >= size)
		return 0;
	memset(to, text.p[0], count);
	to[count] = '\0';
	return n + 1;
}

bool vectors_expand(struct slice line, int64_t now_s, char *to, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < line.n;) {
		if (line.p[i] == '{') {
			struct slice rest = slice_of(line.p + i + 1, line.n - i - 1);
			size_t read = expand_date(rest, now_s, to + used, size - used);

			if (read == 0)
				read = expand_run(rest, to + used, size - used);
			if (read == 0)
				return false;
			used += strlen(to + used);
			i += 1 + read;
		} else {
			if (used + 1 >= size)
				return false;
			to[used++] = line.p[i++];
		}
	}
	to[used] = '\0';
	return true;
}
