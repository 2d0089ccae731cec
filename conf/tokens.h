/* The words, strings and signs of a configuration file, and quotes that are missing.  Pure. */
#ifndef CONF_TOKENS_H
#define CONF_TOKENS_H

#include "cache/base/diagnostic.h"
#include "conf/option.h"

/* Called once for each statement that is wrong, in the order of the file. */
typedef void statement_fault(void *owner, int line, const char *name, const char *why);

/*
 * Why an unquoted value cannot be meant: an invisible space or a curved quote in it, as pasted from
 * a document.  NULL when there is none.
 */
const char *token_odd_character(const char *value, size_t length);

enum token_kind {
	TOKEN_END,
	TOKEN_WORD,
	TOKEN_STRING, /* with its quotes */
	TOKEN_SET,    /* = */
	TOKEN_ADD,    /* += */
	TOKEN_OPEN,
	TOKEN_CLOSE,
	TOKEN_COMMA,
};

struct token {
	enum token_kind kind;
	char *start, *end;
	int line;
};

/* The first token at `at`, in that line of a text as conf_source_read() returns it. */
struct token token_at(char *at, int line);

/* The token behind it, and the line where it ends: a string may have line ends in it. */
struct token token_behind(const struct token *token);
int token_end_line(const struct token *token);

static inline bool token_is_value(const struct token *token)
{
	return token->kind == TOKEN_WORD || token->kind == TOKEN_STRING;
}

static inline bool token_is_sign(const struct token *token)
{
	return token->kind == TOKEN_SET || token->kind == TOKEN_ADD;
}

/* The text of a token, cut where it is too long for any name or message. */
enum { TOKEN_TEXT = 128 };
const char *token_text(const struct token *token, char to[TOKEN_TEXT]);

/*
 * May it stand as a value of the option (NULL for an unknown one), as far as quotes go?  If not,
 * writes why.
 */
bool token_check_value(const struct token *value, const struct option *option,
		       struct diagnostic *why);

#endif
