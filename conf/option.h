/*
 * The rows of options.def as data, and one option of a struct conf: check, set, look up.
 *
 * Shared by the files of conf/, and for names to complete; all others read the members of struct
 * conf.
 */
#ifndef CONF_OPTION_H
#define CONF_OPTION_H

#include "cache/base/diagnostic.h"
#include "conf/conf.h"
#include "conf/forms.h"

enum option_type {
	OPTION_IS_LIST, /* struct conf_list; each member has the row's form */
	OPTION_IS_STRING,
	OPTION_IS_CHOICE,
	OPTION_IS_BOOL,
	OPTION_IS_COUNT,
	OPTION_IS_SIZE,
	OPTION_IS_DURATION,
};

struct option {
	const char *name;
	enum option_type type;
	enum form form;     /* of a string or of the members of a list */
	size_t offset;      /* of its member in struct conf, or struct conf_rule */
	const char *preset; /* of a list or string */
	int64_t number;     /* preset of the others, 0 or 1 for a switch, an enum conf_choice */
	int64_t min, max;   /* of a count, size or duration */
	const char *help;
};

extern const struct option options[];
extern const size_t option_total;

/* What a rule may say: the rows of rule_options.def, members of struct conf_rule (rules.h). */
extern const struct option rule_options[];
extern const size_t rule_option_total;

/* Find an option by name, or NULL. option_nearest() allows for a typing error or two. */
const struct option *option_find(const char *name);
const struct option *option_nearest(const char *name);
const struct option *rule_option_find(const char *name);
const struct option *rule_option_nearest(const char *name);

/* May this be its value, or a member of its list?  If not, writes why and what would be right. */
bool option_check(const struct option *option, const char *value, struct diagnostic *why);

/*
 * In what follows `owner` is the struct conf, or the struct conf_rule, that the option is of.
 *
 * Give it values that passed option_check(): any number for a list, else one.  False when memory is
 * out, and then the old value stands.
 */
bool option_set(const struct option *option, void *owner, const char *const *values, size_t count);

/* The same of a switch, count, size or duration that is within its bounds. */
void option_set_number(const struct option *option, void *owner, int64_t number);

/* Frees what its member owns. */
void option_release(const struct option *option, void *owner);

/* Its member: to read, or as a number when it is no list and no string. */
const void *option_value(const struct option *option, const void *owner);
int64_t option_number(const struct option *option, const void *owner);

/* The words of a choice, "a|b". */
enum { OPTION_CHOICES = 64 };
void option_write_choices(const struct option *option, char to[OPTION_CHOICES]);

/* Such a number as the operator writes it; `to` has UNITS_TEXT bytes (units.h). */
void option_write_number(const struct option *option, int64_t number, char *to);

#endif
