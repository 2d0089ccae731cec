/* Reads the rules of a configuration file, and says what is wrong with them. */
#include "conf/rule_block.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "conf/rules.h"
#include "conf/setting.h"

/* One rule that is read. */
struct block {
	struct token now;
	int line; /* where it begins */
	struct conf_rule *rule;
	statement_fault *fault;
	void *owner;
	/* Of the option that is read. */
	struct token name;
	const struct option *option; /* NULL for an unknown one */
};

static bool is_word(const struct token *token, const char *word)
{
	size_t length = strlen(word);

	return token->kind == TOKEN_WORD && (size_t)(token->end - token->start) == length &&
	       memcmp(token->start, word, length) == 0;
}

bool rule_block_begins(const struct token *word)
{
	struct token next = token_behind(word);

	return is_word(word, "rule") && !token_is_sign(&next);
}

bool rule_block_follows(const struct token *word)
{
	struct token name, brace;

	if (!is_word(word, "rule"))
		return false;
	name = token_behind(word);
	brace = token_behind(&name);
	return token_is_value(&name) && brace.kind == TOKEN_OPEN;
}

/* Of the rule, with `name` NULL, or of an option in it. */
__attribute__((format(printf, 4, 5))) static void complain(const struct block *block, int line,
							   const struct token *name,
							   const char *format, ...)
{
	char text[TOKEN_TEXT];
	struct diagnostic why;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why.text, sizeof(why.text), format, arguments);
	va_end(arguments);
	block->fault(block->owner, line, name != NULL ? token_text(name, text) : "rule", why.text);
}

static void take(struct block *block)
{
	block->now = token_behind(&block->now);
}

/* Behind that line, or to the brace that ends the rule. */
static void skip_line(struct block *block, int line)
{
	while (block->now.kind != TOKEN_END && block->now.kind != TOKEN_CLOSE &&
	       block->now.line == line)
		take(block);
}

/* ---- values --------------------------------------------------------------------------------- */

/* Sets the option to the text between two tokens. */
static void set_value(struct block *block, const struct token *first, const char *end)
{
	const struct option *option = block->option;
	uint32_t bit = 1U << (option - rule_options);
	struct setting_values values;
	struct diagnostic why;
	const char *fault = NULL;
	bool right;
	char *text = strndup(first->start, (size_t)(end - first->start));
	bool ok = text != NULL && setting_values(option, text, &values, &fault);

	if (!ok) {
		complain(block, first->line, &block->name, "out of memory");
		if (text != NULL)
			setting_values_free(&values);
		free(text);
		return;
	}
	if (fault != NULL)
		complain(block, first->line, &block->name, "%s", fault);
	else if (block->rule->given & bit)
		complain(block, first->line, &block->name,
			 "set in this rule already; remove one of the two");
	right = fault == NULL;
	for (size_t i = 0; fault == NULL && i < values.count; i++)
		if (!option_check(option, values.at[i], &why)) {
			complain(block, first->line, &block->name, "%s", why.text);
			right = false;
		}
	if (right && !option_set(option, block->rule, values.at, values.count))
		complain(block, first->line, &block->name, "out of memory");
	block->rule->given |= bit;
	setting_values_free(&values);
	explicit_bzero(text, strlen(text));
	free(text);
}

/* A word or a string.  False when it cannot be read; that was said. */
static bool check_text(struct block *block, struct token *value)
{
	struct token next;
	struct diagnostic why;
	char *end = memchr(value->start, ';', (size_t)(value->end - value->start));

	/* "off;" */
	if (value->kind == TOKEN_WORD && end != NULL && end > value->start)
		value->end = end;
	next = token_behind(value);
	if (!token_check_value(value, block->option, &why))
		complain(block, value->line, &block->name, "%s", why.text);
	else if (token_is_sign(&next) && next.start == value->end)
		complain(block, value->line, &block->name, "a value with = in it needs quotes");
	else
		return true;
	return false;
}

static void read_text(struct block *block)
{
	struct token value = block->now;
	bool ok = check_text(block, &value);

	if (ok && block->option != NULL)
		set_value(block, &value, value.end);
	block->now = token_behind(&value);
	if (!ok)
		skip_line(block, token_end_line(&value));
}

/* What stands there is behind the list: its brace is missing. */
static bool is_list_open(const struct block *block)
{
	struct token next = token_behind(&block->now);

	return block->now.kind == TOKEN_END || rule_block_follows(&block->now) ||
	       (block->now.kind == TOKEN_WORD && token_is_sign(&next));
}

/* One token of a list.  False when it is wrong; that was said. */
static bool check_member(struct block *block)
{
	struct token next = token_behind(&block->now);

	if (block->now.kind == TOKEN_OPEN) {
		complain(block, block->now.line, &block->name, "braces within braces");
		return false;
	}
	if (token_is_value(&block->now) && token_is_value(&next)) {
		complain(block, block->now.line, &block->name,
			 "no comma between two members of a list");
		return false;
	}
	return !token_is_value(&block->now) || check_text(block, &block->now);
}

static void read_list(struct block *block)
{
	struct token open = block->now;
	bool ok = true;

	if (block->option != NULL && block->option->type != OPTION_IS_LIST) {
		complain(block, open.line, &block->name, "no list; braces are for lists");
		ok = false;
	}
	for (take(block); block->now.kind != TOKEN_CLOSE && !is_list_open(block); take(block))
		if (ok)
			ok = check_member(block);
	if (block->now.kind != TOKEN_CLOSE) {
		complain(block, open.line, &block->name, "a { without its }");
		return;
	}
	if (ok && block->option != NULL)
		set_value(block, &open, block->now.end);
	take(block);
}

/* ---- options -------------------------------------------------------------------------------- */

static void explain_unknown(struct block *block)
{
	char name[TOKEN_TEXT];
	const struct option *nearest;

	token_text(&block->name, name);
	nearest = rule_option_nearest(name);
	if (option_find(name) != NULL)
		complain(block, block->name.line, &block->name,
			 "no option of rules; it stands outside of them, for all requests");
	else if (nearest != NULL)
		complain(block, block->name.line, &block->name,
			 "no such option of rules; did you mean %s?", nearest->name);
	else
		complain(block, block->name.line, &block->name,
			 "no such option of rules; cache204.conf(5) lists them under RULES");
}

static void read_option(struct block *block)
{
	char name[TOKEN_TEXT];

	block->name = block->now;
	block->option = rule_option_find(token_text(&block->name, name));
	take(block);
	if (block->option == NULL)
		explain_unknown(block);
	if (block->now.kind != TOKEN_SET) {
		if (block->option != NULL)
			complain(block, block->name.line, &block->name,
				 block->now.kind == TOKEN_ADD
					 ? "+= is for lists outside of rules; use ="
					 : "no = between name and value; use %s = ...",
				 block->option->name);
		skip_line(block, block->name.line);
		return;
	}
	take(block);
	if (block->now.kind == TOKEN_OPEN) {
		read_list(block);
	} else if (token_is_value(&block->now)) {
		read_text(block);
	} else {
		complain(block, block->name.line, &block->name, "no value");
		skip_line(block, block->name.line);
	}
}

/* Behind its { to its }. */
static void read_inside(struct block *block)
{
	while (block->now.kind != TOKEN_CLOSE) {
		if (block->now.kind == TOKEN_END || rule_block_follows(&block->now)) {
			complain(block, block->line, NULL, "a { without its }");
			return;
		}
		if (block->now.kind == TOKEN_WORD && *block->now.start == ';') {
			/* several, and before a name without a space */
			block->now = token_at(block->now.start + strspn(block->now.start, ";"),
					      block->now.line);
		} else if (block->now.kind == TOKEN_WORD) {
			read_option(block);
		} else {
			complain(block, block->now.line, NULL,
				 "name = value belongs there, as match = \"example.com\"");
			skip_line(block, block->now.line);
		}
	}
	take(block);
}

/* ---- the rule ------------------------------------------------------------------------------- */

/* The name without its quotes; false when it is none, which was said. */
static bool read_name(struct block *block, char to[static RULE_NAME_MAX + 1])
{
	const struct token *now = &block->now;
	bool quoted = now->kind == TOKEN_STRING;
	size_t n = (size_t)(now->end - now->start) - (quoted ? 2 : 0);

	if (!token_is_value(now)) {
		complain(block, block->line, NULL,
			 "no name; use rule \"name\" { match = \"example.com\" ... }");
		return false;
	}
	if (n == 0 || n > RULE_NAME_MAX) {
		complain(block, now->line, NULL, "its name has 1 to %d bytes", RULE_NAME_MAX);
		return false;
	}
	memcpy(to, now->start + quoted, n);
	to[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)to[i] < ' ' || to[i] == 0x7f ||
		    strchr("\\\"'$", to[i]) != NULL) {
			complain(block, now->line, NULL,
				 "its name has a control character, quote, backslash or $ in it");
			return false;
		}
	return true;
}

/* Over braces to the one that matches. */
static void skip_block(struct block *block)
{
	int depth = 0;

	for (; block->now.kind != TOKEN_END && !(depth == 0 && rule_block_follows(&block->now));
	     take(block)) {
		depth += (block->now.kind == TOKEN_OPEN) - (block->now.kind == TOKEN_CLOSE);
		if (depth <= 0 && block->now.kind == TOKEN_CLOSE) {
			take(block);
			return;
		}
	}
}

struct token rule_block_read(const struct token *word, struct conf *conf, statement_fault *fault,
			     void *owner)
{
	struct block block = {
		.now = token_behind(word), .line = word->line, .fault = fault, .owner = owner};
	char name[RULE_NAME_MAX + 1];

	if (!read_name(&block, name)) {
		skip_block(&block);
		return block.now;
	}
	take(&block);
	if (block.now.kind != TOKEN_OPEN) {
		complain(&block, block.line, NULL, "no { behind its name");
		skip_line(&block, block.line);
		return block.now;
	}
	if (conf->rules != NULL && conf->rules->count == RULES_MAX) {
		complain(&block, block.line, NULL, "more than %d rules", RULES_MAX);
		skip_block(&block);
		return block.now;
	}
	block.rule = conf_rules_add(conf, name, block.line);
	if (block.rule == NULL) {
		complain(&block, block.line, NULL, "out of memory");
		skip_block(&block);
		return block.now;
	}
	take(&block);
	read_inside(&block);
	return block.now;
}
