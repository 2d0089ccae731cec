/* Splits a configuration file into statements, and says what is wrong with those that are. */
#include "conf/statements.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- tokens --------------------------------------------------------------------------------- */

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

struct scan {
	struct token now;  /* not taken yet */
	struct token last; /* taken before it */
	int *lines;
	statement_fault *fault;
	void *owner;
	/* Of the statement that is read. */
	const struct option *option; /* NULL for an unknown one */
	struct token name;
	bool is_wrong;
};

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

static struct token token_at(char *at, int line)
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

/* A string may have line ends in it. */
static int line_behind(const struct token *token)
{
	int line = token->line;

	for (const char *at = token->start; at < token->end; at++)
		line += *at == '\n';
	return line;
}

static struct token token_behind(const struct token *token)
{
	return token_at(token->end, line_behind(token));
}

static void take(struct scan *scan)
{
	scan->last = scan->now;
	scan->now = token_behind(&scan->now);
}

static bool is_value(const struct token *token)
{
	return token->kind == TOKEN_WORD || token->kind == TOKEN_STRING;
}

static bool is_sign(const struct token *token)
{
	return token->kind == TOKEN_SET || token->kind == TOKEN_ADD;
}

/* The text of a token, cut where it is too long for any name or message. */
enum { TEXT_MAX = 128 };

static const char *text_of(const struct token *token, char to[TEXT_MAX])
{
	snprintf(to, TEXT_MAX, "%.*s", (int)(token->end - token->start), token->start);
	return to;
}

static const struct option *option_of(const struct token *word, size_t length)
{
	char name[TEXT_MAX];

	if (length >= sizeof(name))
		return NULL;
	memcpy(name, word->start, length);
	name[length] = '\0';
	return option_find(name);
}

/* NAME = of another statement. */
static bool begins_statement(const struct token *token)
{
	struct token next = token_behind(token);

	return token->kind == TOKEN_WORD && is_sign(&next);
}

static bool begins_known_statement(const struct token *token)
{
	return begins_statement(token) &&
	       option_of(token, (size_t)(token->end - token->start)) != NULL;
}

/* Whether a word could be a name, unlike a value with = in it. */
static bool is_name_like(const struct token *word)
{
	for (const char *at = word->start; at < word->end; at++)
		if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-",
			   *at) == NULL)
			return false;
	return true;
}

/* ---- what is wrong -------------------------------------------------------------------------- */

/* Report only the first error of a statement, since it causes the others. */
__attribute__((format(printf, 3, 4))) static void complain(struct scan *scan, int line,
							   const char *format, ...)
{
	char name[TEXT_MAX];
	struct diagnostic why;
	va_list arguments;

	if (scan->is_wrong)
		return;
	scan->is_wrong = true;
	va_start(arguments, format);
	vsnprintf(why.text, sizeof(why.text), format, arguments);
	va_end(arguments);
	scan->fault(scan->owner, line, text_of(&scan->name, name), why.text);
}

void statement_explain_unknown(const char *name, struct diagnostic *why)
{
	const struct option *nearest = option_nearest(name);
	const char *odd = statement_odd_character(name, strlen(name));

	if (odd != NULL)
		diagnostic_set(why, "no such option; the name has %s in it", odd);
	else if (nearest != NULL)
		diagnostic_set(why, "no such option; did you mean %s?", nearest->name);
	else
		diagnostic_set(why, "no such option; --help lists them");
}

const char *statement_odd_character(const char *value, size_t length)
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

/* "listen: x" and "listen:x"; *ret_option is the one that is meant. */
static bool is_colon(const struct token *name, const struct option **ret_option)
{
	struct token next = token_behind(name);
	size_t length = (size_t)(name->end - name->start);
	const char *colon = memchr(name->start, ':', length);

	if (colon == NULL && next.kind == TOKEN_WORD && *next.start == ':')
		colon = name->end;
	*ret_option = colon != NULL ? option_of(name, (size_t)(colon - name->start)) : NULL;
	return *ret_option != NULL;
}

static void check_name(struct scan *scan)
{
	char name[TEXT_MAX];
	struct diagnostic why;
	const struct option *meant;

	if (scan->is_wrong)
		return;
	if (is_colon(&scan->name, &meant)) {
		scan->name.end = scan->name.start + strlen(meant->name);
		complain(scan, scan->name.line,
			 "no = between name and value, but a colon; use %s = ...", meant->name);
	} else if (scan->option == NULL) {
		statement_explain_unknown(text_of(&scan->name, name), &why);
		complain(scan, scan->name.line, "%s", why.text);
	}
}

/* Report that `now` stands in the place of the sign. */
static void complain_no_sign(struct scan *scan)
{
	int line = scan->name.line;

	if (*scan->name.start == ';')
		complain(scan, line, "no ; belongs at the end of a line");
	else if (*scan->name.start == '[')
		complain(scan, line, "there are no sections; use name = value");
	else if (scan->now.kind == TOKEN_OPEN && scan->option == NULL)
		complain(scan, line, "no such option, and there are no sections; use name = value");
	else if (scan->option != NULL && scan->now.kind != TOKEN_END && *scan->now.start != ':')
		complain(scan, line, "no = between name and value; use %s = ...",
			 scan->option->name);
	else if (scan->option != NULL && scan->now.kind == TOKEN_END)
		complain(scan, line, "no value");
	check_name(scan);
}

/* A second statement would replace what the first one said. */
static void check_repeated(struct scan *scan)
{
	int *line = scan->option != NULL ? &scan->lines[scan->option - options] : NULL;
	bool adds = scan->now.kind == TOKEN_ADD;

	if (line == NULL)
		return;
	if (adds && scan->option->type != OPTION_IS_LIST)
		complain(scan, scan->name.line, "+= is for lists; use =");
	else if (*line && !adds && scan->option->type == OPTION_IS_LIST)
		complain(scan, scan->name.line,
			 "set in line %d already; use += to add to that, or one list for both",
			 *line);
	else if (*line && !adds)
		complain(scan, scan->name.line, "set in line %d already; remove one of the two",
			 *line);
	else
		*line = scan->name.line;
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

static void check_string(struct scan *scan, const struct token *string)
{
	if (*string->start != '"')
		return;
	if (memmem(string->start, (size_t)(string->end - string->start), "${", 2) != NULL)
		complain(scan, string->line, "${ needs single quotes; no variables are put in");
	else if (has_nul_escape(string))
		complain(scan, string->line, "a NUL character ends the text; leave it out");
}

/* What is in an unquoted word that libconfuse drops, or that ends or continues a line elsewhere. */
static void check_word(struct scan *scan, const struct token *word)
{
	size_t length = (size_t)(word->end - word->start);
	char text[TEXT_MAX], shown[FORM_SHOWN];
	const char *odd = statement_odd_character(word->start, length);
	const char *sign = NULL;

	form_show(text_of(word, text), shown);
	for (const char *at = word->start; sign == NULL && at < word->end; at++)
		if (strchr("*+()#", *at) != NULL)
			sign = at;
	if (word->end[-1] == '$' && *word->end == '{')
		complain(scan, word->line, "${ needs single quotes; no variables are put in");
	else if (word->end[-1] == ';')
		complain(scan, word->line, "no ; belongs at the end of a line");
	else if (word->end[-1] == '\\')
		complain(scan, word->line,
			 "no line goes on in the next one by a backslash; a value "
			 "with one at its end needs quotes");
	else if (*word->start == '[' && (word->end[-1] == ']' || length == 1) &&
		 memchr(word->start, ':', length) == NULL)
		complain(scan, word->line, "a list stands in braces: {a, b}");
	else if (odd != NULL)
		complain(scan, word->line, "the value has %s in it", odd);
	else if (sign != NULL && scan->option != NULL && scan->option->form == FORM_PARENT)
		complain(scan, word->line, "a value with %c in it needs quotes", *sign);
	else if (sign != NULL)
		complain(scan, word->line, "%s needs quotes, for the %c in it", shown, *sign);
}

static void check_value(struct scan *scan, const struct token *value)
{
	if (value->kind == TOKEN_STRING)
		check_string(scan, value);
	else
		check_word(scan, value);
}

static const char *no_value(const struct option *option)
{
	if (option != NULL && option->type == OPTION_IS_LIST)
		return "no value; use {} for an empty list";
	if (option != NULL && option->type == OPTION_IS_STRING)
		return "no value; use \"\" for an empty text";
	return "no value";
}

/* ---- statements ----------------------------------------------------------------------------- */

/* Goes to the first token of a later line that is in no braces, or begins a known statement. */
static void skip_line(struct scan *scan)
{
	int line = line_behind(&scan->last), depth = 0;

	while (scan->now.kind != TOKEN_END) {
		const struct token *now = &scan->now;

		if (now->line > line && (depth == 0 || begins_known_statement(now)))
			return;
		if (now->kind == TOKEN_OPEN)
			depth++;
		else if (now->kind == TOKEN_CLOSE && depth > 0 && --depth == 0)
			line = now->line;
		take(scan);
	}
}

/* NAME of the next statement, not a value: the last one was left empty, or its brace open. */
static bool is_next_name(const struct scan *scan)
{
	const struct token *now = &scan->now;

	return begins_known_statement(now) ||
	       (begins_statement(now) && is_name_like(now) && now->line > line_behind(&scan->last));
}

/* One more token within braces.  False when the list does not go on behind it. */
static bool take_member(struct scan *scan, int open_line)
{
	enum token_kind last = scan->last.kind;

	if (scan->now.kind == TOKEN_END || is_next_name(scan)) {
		complain(scan, open_line, "a { without its }");
		return false;
	}
	if (scan->now.kind == TOKEN_CLOSE) {
		take(scan);
		return false;
	}
	if (scan->now.kind == TOKEN_OPEN) {
		complain(scan, scan->now.line, "braces within braces");
		while (scan->now.kind != TOKEN_CLOSE && scan->now.kind != TOKEN_END)
			take(scan);
	} else if (is_sign(&scan->now))
		complain(scan, scan->now.line, "a value with = in it needs quotes");
	else if (scan->now.kind == TOKEN_COMMA && (last == TOKEN_COMMA || last == TOKEN_OPEN))
		complain(scan, scan->now.line, "an empty member; there is a comma too many");
	else if (is_value(&scan->now) && (last == TOKEN_WORD || last == TOKEN_STRING))
		complain(scan, scan->now.line, "no comma between two members of a list");
	else if (is_value(&scan->now))
		check_value(scan, &scan->now);
	if (scan->now.kind != TOKEN_END)
		take(scan);
	return true;
}

static void take_list(struct scan *scan)
{
	int line = scan->now.line;

	if (scan->option != NULL && scan->option->type != OPTION_IS_LIST)
		complain(scan, line, "no list; braces are for lists");
	take(scan);
	while (take_member(scan, line))
		;
}

/* Behind a value: the end of the line, or another statement. */
static void check_behind(struct scan *scan)
{
	bool is_list = scan->option != NULL && scan->option->type == OPTION_IS_LIST;

	if (scan->now.line > line_behind(&scan->last) || scan->now.kind == TOKEN_END ||
	    scan->now.kind == TOKEN_CLOSE || begins_statement(&scan->now))
		return;
	if (*scan->now.start == ';')
		complain(scan, scan->now.line, "no ; belongs at the end of a line");
	else if (is_sign(&scan->now))
		complain(scan, scan->now.line, "a value with = in it needs quotes");
	else if (is_list && scan->last.kind == TOKEN_WORD && *scan->last.start == '[')
		complain(scan, scan->now.line, "a list stands in braces: {a, b}");
	else if (is_list)
		complain(scan, scan->now.line,
			 "more than one value; a list stands in braces, with commas: {a, b}");
	else
		complain(scan, scan->now.line,
			 "more than one value; a value with a space in it "
			 "needs quotes");
	skip_line(scan);
}

static void take_values(struct scan *scan)
{
	if (scan->now.kind == TOKEN_OPEN) {
		take_list(scan);
	} else if (is_sign(&scan->now)) {
		complain(scan, scan->now.line, "one = is enough");
		skip_line(scan);
	} else if (!is_value(&scan->now) || is_next_name(scan)) {
		complain(scan, scan->last.line, "%s", no_value(scan->option));
		if (!is_next_name(scan))
			skip_line(scan);
	} else {
		check_value(scan, &scan->now);
		take(scan);
		check_behind(scan);
	}
}

static void take_named(struct scan *scan)
{
	scan->option = option_of(&scan->name, (size_t)(scan->name.end - scan->name.start));
	take(scan);
	if (!is_sign(&scan->now)) {
		complain_no_sign(scan);
		skip_line(scan);
		return;
	}
	check_name(scan);
	check_repeated(scan);
	take(scan);
	take_values(scan);
}

static void take_nameless(struct scan *scan)
{
	struct token next = token_behind(&scan->now);

	if (scan->now.kind == TOKEN_STRING && (is_sign(&next) || *next.start == ':')) {
		complain(scan, scan->now.line, "a name stands without quotes; use name = value");
	} else if (scan->now.kind == TOKEN_STRING) {
		scan->name.end = scan->name.start + 1; /* it may be a password */
		complain(scan, scan->now.line, "a value where a name belongs");
	} else if (scan->now.kind == TOKEN_CLOSE) {
		complain(scan, scan->now.line, "a } without its {");
	} else {
		complain(scan, scan->now.line, "no name stands before it; use name = value");
	}
	take(scan);
	skip_line(scan);
}

static void blank(char *from, const char *to)
{
	for (; from < to; from++)
		if (*from != '\n')
			*from = ' ';
}

void statements_check(char *text, int *lines, statement_fault *fault, void *owner)
{
	struct scan scan = {
		.now = token_at(text, 1), .lines = lines, .fault = fault, .owner = owner};

	while (scan.now.kind != TOKEN_END) {
		char *start = scan.now.start;

		scan.is_wrong = false;
		scan.option = NULL;
		scan.name = scan.now;
		if (scan.now.kind == TOKEN_WORD)
			take_named(&scan);
		else
			take_nameless(&scan);
		if (scan.is_wrong)
			blank(start, scan.now.start);
	}
}
