/*
 * The statements of a configuration file: name = value, name = {value, value}, name += {value}, and
 * rules (rule_block.h).
 *
 * They are checked before libconfuse reads them, because it stops at the first that it does not
 * understand, misreads some, and lets a second one replace the first.
 */
#ifndef CONF_STATEMENTS_H
#define CONF_STATEMENTS_H

#include "cache/base/diagnostic.h"
#include "conf/option.h"
#include "conf/tokens.h"

/*
 * Looks at `text` as conf_source_read() returns it, and blanks out the statements that are wrong,
 * so that libconfuse takes what is left; and the rules, which go to conf->rules.  lines[i] becomes the line of the last statement of
 * options[i]; it must be 0 before.  Values are looked at only as far as quotes go.
 */
void statements_check(char *text, int *lines, struct conf *conf, statement_fault *fault,
		      void *owner);

/* Why there is no option of this name, and which may be meant. */
void statement_explain_unknown(const char *name, struct diagnostic *why);

#endif
