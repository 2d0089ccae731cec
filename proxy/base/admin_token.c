/* The token of the admin pages: its file, and what a request shows. */
#include "proxy/base/admin_token.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "conf/source.h"

/* b64token of RFC 6750 2.1. */
static bool is_token(const char *text, size_t length)
{
	static const char signs[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/";
	size_t n = strspn(text, signs);

	return n > 0 && n + strspn(text + n, "=") == length;
}

/* What is wrong with a file that was opened; NULL for nothing. */
static const char *look_at(FILE *file)
{
	struct stat status;

	if (fstat(fileno(file), &status) != 0)
		return strerror(errno);
	if (!S_ISREG(status.st_mode))
		return "not a regular file";
	if (status.st_mode & (S_IRWXO | S_IWGRP))
		return "other users may read or write it: chmod 600, or 640 for a group";
	return NULL;
}

/* What is wrong with the file, or NULL. */
static const char *read_file(FILE *file, struct admin_token *to)
{
	char line[ADMIN_TOKEN_MAX + 3]; /* with its end */
	size_t n = fread(line, 1, sizeof(line), file), length;
	const char *wrong = ferror(file) ? strerror(errno) : NULL;

	line[n < sizeof(line) ? n : n - 1] = '\0';
	length = strcspn(line, "\r\n");
	if (wrong == NULL && length > ADMIN_TOKEN_MAX)
		wrong = "the token is longer than 512 characters";
	else if (wrong == NULL && length + strspn(line + length, "\r\n") != n)
		wrong = "more than one line, or a NUL";
	line[length] = '\0';
	if (wrong == NULL && !is_token(line, length))
		wrong = "not a token: letters, digits and -._~+/, and = at its end";
	else if (wrong == NULL && length < ADMIN_TOKEN_MIN)
		wrong = "shorter than 16 characters: openssl rand -hex 32 makes a good one";
	if (wrong == NULL) {
		to->length = length;
		memcpy(to->text, line, length + 1);
	}
	explicit_bzero(line, sizeof(line));
	return wrong;
}

bool admin_token_read(const char *path, struct admin_token *ret_token, struct diagnostic *error)
{
	const char *wrong;
	FILE *file;

	*ret_token = (struct admin_token){.length = 0};
	if (path[0] == '\0')
		return true;
	file = conf_source_open(path);
	if (file != NULL)
		setvbuf(file, NULL, _IONBF, 0); /* no copy of it stays in a buffer */
	wrong = file == NULL ? strerror(errno) : look_at(file);
	if (wrong == NULL)
		wrong = read_file(file, ret_token);
	if (file != NULL)
		fclose(file);
	if (wrong != NULL)
		diagnostic_set(error, "admin_token_file: %s: %s", path, wrong);
	return wrong == NULL;
}

bool admin_token_is(const struct admin_token *token, struct slice authorization)
{
	static const struct slice scheme = {.p = "Bearer ", .n = 7};
	volatile unsigned char difference;
	struct slice shown;

	if (authorization.n < scheme.n || !slice_ieq(slice_of(authorization.p, scheme.n), scheme))
		return false;
	shown = slice_trim(slice_of(authorization.p + scheme.n, authorization.n - scheme.n));
	/* The time depends on what was shown alone. */
	difference = token->length != shown.n;
	for (size_t i = 0; i < shown.n; i++)
		difference |= (unsigned char)(shown.p[i] ^ token->text[i % (token->length + 1)]);
	return difference == 0 && token->length > 0;
}

void admin_token_forget(struct admin_token *token)
{
	explicit_bzero(token, sizeof(*token));
}
