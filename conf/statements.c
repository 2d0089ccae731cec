/* Splits a configuration file into statements, and says what is wrong with those that are. */
#include "conf/statements.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "conf/rule_block.h"

/* ---- tokens --------------------------------------------------------------------------------- */

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

static void take(struct scan *scan)
{
	scan->last = scan->now;
	scan->now = token_behind(&scan->now);
}

static const struct option *option_of(const struct token *word, size_t length)
{
	char name[TOKEN_TEXT];

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

	return token->kind == TOKEN_WORD && token_is_sign(&next);
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
	char name[TOKEN_TEXT];
	struct diagnostic why;
	va_list arguments;

	if (scan->is_wrong)
		return;
	scan->is_wrong = true;
	va_start(arguments, format);
	vsnprintf(why.text, sizeof(why.text), format, arguments);
	va_end(arguments);
	scan->fault(scan->owner, line, token_text(&scan->name, name), why.text);
}

void statement_explain_unknown(const char *name, struct diagnostic *why)
{
	const struct option *nearest = option_nearest(name);
	const char *odd = token_odd_character(name, strlen(name));

	if (odd != NULL)
		diagnostic_set(why, "no such option; the name has %s in it", odd);
	else if (strcmp(name, "rule") == 0)
		diagnostic_set(why, "a rule stands in a file, as rule \"name\" { match = "
				    "\"example.com\" ... }; -o is for plain options");
	else if (rule_option_find(name) != NULL)
		diagnostic_set(why, "no such option but in a rule: rule \"name\" { match = ... }");
	else if (nearest != NULL)
		diagnostic_set(why, "no such option; did you mean %s?", nearest->name);
	else
		diagnostic_set(why, "no such option; --help lists them");
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
	char name[TOKEN_TEXT];
	struct diagnostic why;
	const struct option *meant;

	if (scan->is_wrong)
		return;
	if (is_colon(&scan->name, &meant)) {
		scan->name.end = scan->name.start + strlen(meant->name);
		complain(scan, scan->name.line,
			 "no = between name and value, but a colon; use %s = ...", meant->name);
	} else if (scan->option == NULL) {
		statement_explain_unknown(token_text(&scan->name, name), &why);
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

static void check_value(struct scan *scan, const struct token *value)
{
	struct diagnostic why;

	if (!token_check_value(value, scan->option, &why))
		complain(scan, value->line, "%s", why.text);
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
	int line = token_end_line(&scan->last), depth = 0;

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

	return begins_known_statement(now) || (begins_statement(now) && is_name_like(now) &&
					       now->line > token_end_line(&scan->last));
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
	} else if (token_is_sign(&scan->now))
		complain(scan, scan->now.line, "a value with = in it needs quotes");
	else if (scan->now.kind == TOKEN_COMMA && (last == TOKEN_COMMA || last == TOKEN_OPEN))
		complain(scan, scan->now.line, "an empty member; there is a comma too many");
	else if (token_is_value(&scan->now) && (last == TOKEN_WORD || last == TOKEN_STRING))
		complain(scan, scan->now.line, "no comma between two members of a list");
	else if (token_is_value(&scan->now))
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

	if (scan->now.line > token_end_line(&scan->last) || scan->now.kind == TOKEN_END ||
	    scan->now.kind == TOKEN_CLOSE || begins_statement(&scan->now) ||
	    rule_block_follows(&scan->now))
		return;
	if (*scan->now.start == ';')
		complain(scan, scan->now.line, "no ; belongs at the end of a line");
	else if (token_is_sign(&scan->now))
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
	} else if (token_is_sign(&scan->now)) {
		complain(scan, scan->now.line, "one = is enough");
		skip_line(scan);
	} else if (!token_is_value(&scan->now) || is_next_name(scan)) {
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
	if (!token_is_sign(&scan->now)) {
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

	if (scan->now.kind == TOKEN_STRING && (token_is_sign(&next) || *next.start == ':')) {
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

void statements_check(char *text, int *lines, struct conf *conf, statement_fault *fault,
		      void *owner)
{
	struct scan scan = {
		.now = token_at(text, 1), .lines = lines, .fault = fault, .owner = owner};

	while (scan.now.kind != TOKEN_END) {
		char *start = scan.now.start;

		if (rule_block_begins(&scan.now)) {
			scan.now = rule_block_read(&scan.now, conf, fault, owner);
			blank(start, scan.now.start);
			continue;
		}
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
