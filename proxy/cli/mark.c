/* `cache204 mark`: give this moment a name, for numbers since then. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/cli/commands.h"
#include "proxy/cli/mark_name.h"
#include "proxy/cli/shown.h"

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool mark_name_is_good(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > MARK_NAME || !is_letter(name[0]))
		return false;
	for (size_t i = 1; i < n; i++)
		if (!is_letter(name[i]) && strchr("0123456789._-", name[i]) == NULL)
			return false;
	return true;
}

bool mark_set(const struct asked *asked, const char *name, const char *note,
	      struct diagnostic *error)
{
	char path[64 + 3 * 80 + MARK_NAME];
	struct answer answer;
	int n;
	bool ok;

	if (!mark_name_is_good(name)) {
		diagnostic_set(error,
			       "%.40s: a name begins with a letter, and has up to %d letters, "
			       "digits, dots, dashes and underscores",
			       name, MARK_NAME);
		return false;
	}
	n = snprintf(path, sizeof(path), "/marks/%s%s", name, note != NULL ? "?note=" : "");
	for (; note != NULL && *note != '\0' && (size_t)n + 4 < sizeof(path); note++)
		n += snprintf(path + n, sizeof(path) - (size_t)n, "%%%02x", (unsigned char)*note);
	ok = ask(asked, "POST", path, &answer, error);
	if (ok && (answer.status < 200 || answer.status > 299)) {
		struct slice line = ask_reason(&answer);

		if (answer.status == 404)
			diagnostic_set(error,
				       "the proxy that runs there knows no marks: it is older");
		else
			diagnostic_set(error, "the proxy answers %u: %.*s", answer.status,
				       (int)(line.n < 300 ? line.n : 300), line.p);
		ok = false;
	}
	ask_free(&answer);
	return ok;
}

static int complain(const char *text)
{
	return shown_complain("mark", text);
}

int run_mark(const struct arguments *arguments)
{
	struct diagnostic error;
	struct asked asked;
	bool ok;

	if (arguments->operand_count < 1 || arguments->operand_count > 2)
		return complain("give one name, and a note if you like");
	if (!mark_name_is_good(arguments->operands[0]))
		return complain("a name begins with a letter, and has up to 32 letters, digits, "
				"dots, dashes and underscores");
	ok = ask_begin(arguments, &asked, &error) &&
	     mark_set(&asked, arguments->operands[0],
		      arguments->operand_count > 1 ? arguments->operands[1] : NULL, &error);
	ask_end(&asked);
	return ok ? EXIT_SUCCESS : complain(error.text);
}
