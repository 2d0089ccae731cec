/* Splits the text of a configuration file into tokens, and looks at the quotes of values. */
#include "conf/tokens.h"

#include <stdio.h>
#include <string.h>

static char *string_end(char *at)
{
	char quote = *at;

	for (at++; *at && *at != quote; at++)
		if (*at == '\\' && at[1])
			at++;
	return *at ? at + 1 : at;
}

/* As libconfuse ends a word, but for characters that it would drop or take for a string. */
static char *word_end(char *at)
{
	while (*at && strchr(" \t\n={},\"'", *at) == NULL && !(at[0] == '+' && at[1] == '='))
		at++;
	return at;
}

struct token token_at(char *at, int line)
{
	struct token token = {.line = line};

	for (; *at && strchr(" \t\n", *at) != NULL; at++)
		token.line += *at == '\n';
	token.start = at;
	token.end = at + (*at != '\0');
	if (*at == '"' || *at == '\'') {
		token.kind = TOKEN_STRING;
		token.end = string_end(at);
	} else if (*at == '=') {
		token.kind = TOKEN_SET;
	} else if (at[0] == '+' && at[1] == '=') {
		token.kind = TOKEN_ADD;
		token.end = at + 2;
	} else if (*at == '{') {
		token.kind = TOKEN_OPEN;
	} else if (*at == '}') {
		token.kind = TOKEN_CLOSE;
	} else if (*at == ',') {
		token.kind = TOKEN_COMMA;
	} else if (*at) {
		token.kind = TOKEN_WORD;
		token.end = word_end(at);
	}
	return token;
}

int token_end_line(const struct token *token)
{
	int line = token->line;

	for (const char *at = token->start; at < token->end; at++)
		line += *at == '\n';
	return line;
}

struct token token_behind(const struct token *token)
{
	return token_at(token->end, token_end_line(token));
}

const char *token_text(const struct token *token, char to[TOKEN_TEXT])
{
	snprintf(to, TOKEN_TEXT, "%.*s", (int)(token->end - token->start), token->start);
	return to;
}

const char *token_odd_character(const char *value, size_t length)
{
	static const struct {
		const char *bytes, *name;
		bool anywhere; /* not only at the start */
	} odd[] = {
		{"\xc2\xa0", "a no-break space (U+00A0)", true},
		{"\xe2\x80\x8b", "a zero-width space (U+200B)", true},
		{"\xef\xbb\xbf", "a byte order mark (U+FEFF)", true},
		{"\xe2\x80\x98", "a curved quote (U+2018)", false},
		{"\xe2\x80\x99", "a curved quote (U+2019)", false},
		{"\xe2\x80\x9c", "a curved quote (U+201C)", false},
		{"\xe2\x80\x9d", "a curved quote (U+201D)", false},
	};

	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		const char *at = memmem(value, length, odd[i].bytes, strlen(odd[i].bytes));

		if (at != NULL && (at == value || odd[i].anywhere))
			return odd[i].name;
	}
	return NULL;
}

/* Up to three octal digits, or x and up to two hexadecimal ones: do they make 0? */
static bool is_nul_escape(const char *at)
{
	bool hex = *at == 'x';
	size_t most = hex ? 2 : 3, zeros = strspn(at + hex, "0");
	char next = at[hex + zeros];

	if (zeros == 0)
		return false;
	return zeros >= most || strchr(hex ? "123456789abcdefABCDEF" : "1234567", next) == NULL;
}

/* A NUL in a double-quoted string would end it early. */
static bool has_nul_escape(const struct token *string)
{
	for (const char *at = string->start + 1; at < string->end - 1; at++)
		if (*at == '\\' && is_nul_escape(++at))
			return true;
	return false;
}

static bool check_string(const struct token *string, struct diagnostic *why)
{
	if (*string->start != '"')
		return true;
	if (memmem(string->start, (size_t)(string->end - string->start), "${", 2) != NULL)
		diagnostic_set(why, "${ needs single quotes; no variables are put in");
	else if (has_nul_escape(string))
		diagnostic_set(why, "a NUL character ends the text; leave it out");
	else
		return true;
	return false;
}

/* What is in an unquoted word that libconfuse drops, or that ends or continues a line elsewhere. */
static bool check_word(const struct token *word, const struct option *option,
		       struct diagnostic *why)
{
	size_t length = (size_t)(word->end - word->start);
	char text[TOKEN_TEXT], shown[FORM_SHOWN];
	const char *odd = token_odd_character(word->start, length);
	const char *sign = NULL;

	form_show(token_text(word, text), shown);
	for (const char *at = word->start; sign == NULL && at < word->end; at++)
		if (strchr("*+()#", *at) != NULL)
			sign = at;
	if (word->end[-1] == '$' && *word->end == '{')
		diagnostic_set(why, "${ needs single quotes; no variables are put in");
	else if (word->end[-1] == ';')
		diagnostic_set(why, "no ; belongs at the end of a line");
	else if (word->end[-1] == '\\')
		diagnostic_set(why, "no line goes on in the next one by a backslash; a value "
				    "with one at its end needs quotes");
	else if (*word->start == '[' && (word->end[-1] == ']' || length == 1) &&
		 memchr(word->start, ':', length) == NULL)
		diagnostic_set(why, "a list stands in braces: {a, b}");
	else if (odd != NULL)
		diagnostic_set(why, "the value has %s in it", odd);
	else if (sign != NULL && option != NULL && option->form == FORM_PARENT)
		diagnostic_set(why, "a value with %c in it needs quotes", *sign);
	else if (sign != NULL)
		diagnostic_set(why, "%s needs quotes, for the %c in it", shown, *sign);
	else
		return true;
	return false;
}

bool token_check_value(const struct token *value, const struct option *option,
		       struct diagnostic *why)
{
	if (value->kind == TOKEN_STRING)
		return check_string(value, why);
	return check_word(value, option, why);
}
