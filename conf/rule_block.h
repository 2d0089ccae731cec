/*
 * A rule in a configuration file:
 *
 *	rule "name" { match = "tiles.example"  ttl = 1h }
 *
 * Within the braces stand options of rules (rule_options.def) as others do in the file, in one line
 * or several, with a ; between them or without.
 */
#ifndef CONF_RULE_BLOCK_H
#define CONF_RULE_BLOCK_H

#include "conf/tokens.h"

/* Is it the word "rule" of a rule, and not the name of an option? */
bool rule_block_begins(const struct token *word);

/* Does a whole "rule NAME {" begin here, whatever stands before it? */
bool rule_block_follows(const struct token *word);

/*
 * Reads the rule that begins at `word` into conf->rules, and says what is wrong with it.  Returns
 * the first token behind it, or where the next statement seems to begin.
 */
struct token rule_block_read(const struct token *word, struct conf *conf, statement_fault *fault,
			     void *owner);

#endif
