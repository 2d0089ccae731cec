/* The rows of options.def as a table, and the value of one option. */
#include "conf/option.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "conf/nearest.h"
#include "conf/rule.h"
#include "conf/units.h"

#define KiB ((int64_t)1 << 10)
#define MiB ((int64_t)1 << 20)
#define GiB ((int64_t)1 << 30)

/* clang-format off */
#define ROW(option, kind, member, ...) \
	{.name = #option, .type = OPTION_IS_##kind, .offset = offsetof(struct OWNER, member), __VA_ARGS__},
#define NUMBER(option, kind, member, preset, least, most, text) \
	ROW(option, kind, member, .number = preset, .min = least, .max = most, .help = text)

#define OWNER conf
const struct option options[] = {
#define OPTION_LIST(name, text, of, about) \
	ROW(name, LIST, name, .form = FORM_##of, .preset = text, .help = about)
#define OPTION_STRING(name, text, of, about) \
	ROW(name, STRING, name, .form = FORM_##of, .preset = text, .help = about)
#define OPTION_CHOICE(name, id, about) ROW(name, CHOICE, name, .number = CONF_##id, .help = about)
#define OPTION_BOOL(name, on, about) ROW(name, BOOL, name, .number = on, .help = about)
#define OPTION_COUNT(name, preset, min, max, help) NUMBER(name, COUNT, name, preset, min, max, help)
#define OPTION_SIZE(name, preset, min, max, help) NUMBER(name, SIZE, name, preset, min, max, help)
#define OPTION_DURATION(name, preset, min, max, help) \
	NUMBER(name, DURATION, name##_ms, preset, min, max, help)
#include "conf/options.def"
};

#undef OWNER
#define OWNER conf_rule
const struct option rule_options[] = {
#include "conf/rule_options.def"
};
/* clang-format on */

const size_t option_total = sizeof(options) / sizeof(*options);
const size_t rule_option_total = sizeof(rule_options) / sizeof(*rule_options);

static const struct option *find(const struct option *rows, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	return NULL;
}

static const struct option *nearest_of(const struct option *rows, size_t count, const char *name)
{
	struct nearest nearest = nearest_to(name);
	const struct option *found = NULL;

	for (size_t i = 0; i < count; i++)
		if (nearest_is(&nearest, rows[i].name))
			found = &rows[i];
	return found;
}

const struct option *option_find(const char *name)
{
	return find(options, option_total, name);
}

const struct option *option_nearest(const char *name)
{
	return nearest_of(options, option_total, name);
}

const struct option *rule_option_find(const char *name)
{
	return find(rule_options, rule_option_total, name);
}

const struct option *rule_option_nearest(const char *name)
{
	return nearest_of(rule_options, rule_option_total, name);
}

void option_write_choices(const struct option *option, char to[OPTION_CHOICES])
{
	enum conf_choice choice;
	size_t n = 0;

	*to = '\0';
	for (unsigned i = 0; conf_choice_at(option->name, i, &choice) && n < OPTION_CHOICES; i++)
		n += (size_t)snprintf(to + n, OPTION_CHOICES - n, "%s%s", i > 0 ? "|" : "",
				      conf_choice_word(choice));
}

static bool check_choice(const struct option *option, const char *value, struct diagnostic *why)
{
	char shown[FORM_SHOWN], choices[OPTION_CHOICES];
	enum conf_choice choice;

	if (conf_choice_find(option->name, value, &choice))
		return true;
	option_write_choices(option, choices);
	diagnostic_set(why, "%s is not a choice; use one of %s", form_show(value, shown), choices);
	return false;
}

/* Text to the number of a switch, choice, count, size or duration. */
static bool parse_number(const struct option *option, const char *value, int64_t *ret)
{
	enum conf_choice choice;
	bool on;

	switch (option->type) {
	case OPTION_IS_BOOL:
		if (!units_parse_switch(value, &on))
			return false;
		*ret = on;
		return true;
	case OPTION_IS_CHOICE:
		if (!conf_choice_find(option->name, value, &choice))
			return false;
		*ret = choice;
		return true;
	case OPTION_IS_SIZE:
		return units_parse_size(value, ret);
	case OPTION_IS_DURATION:
		return units_parse_duration(value, ret);
	default:
		return units_parse_count(value, ret);
	}
}

static bool check_number(const struct option *option, const char *value, struct diagnostic *why)
{
	static const char *const kinds[] = {
		[OPTION_IS_BOOL] = "a switch; use on or off",
		[OPTION_IS_COUNT] = "a number; use digits",
		[OPTION_IS_SIZE] = "a size; use B, KiB, MiB or GiB",
		[OPTION_IS_DURATION] = "a duration; use ms, s, m, h or d",
	};
	char shown[FORM_SHOWN], min[UNITS_TEXT], max[UNITS_TEXT], meant[UNITS_TEXT];
	int64_t number;

	if (!parse_number(option, value, &number)) {
		if ((option->type == OPTION_IS_SIZE && units_guess_size(value, meant)) ||
		    (option->type == OPTION_IS_DURATION && units_guess_duration(value, meant)))
			diagnostic_set(why, "%s is not %.*s; use %s", form_show(value, shown),
				       (int)strcspn(kinds[option->type], ";"), kinds[option->type],
				       meant);
		else
			diagnostic_set(why, "%s is not %s", form_show(value, shown),
				       kinds[option->type]);
		return false;
	}
	if (option->type == OPTION_IS_BOOL || (number >= option->min && number <= option->max))
		return true;
	option_write_number(option, option->min, min);
	option_write_number(option, option->max, max);
	diagnostic_set(why, "%s is out of bounds; use %s to %s", form_show(value, shown), min, max);
	return false;
}

bool option_check(const struct option *option, const char *value, struct diagnostic *why)
{
	switch (option->type) {
	case OPTION_IS_LIST:
	case OPTION_IS_STRING:
		return form_check(option->form, value, why);
	case OPTION_IS_CHOICE:
		return check_choice(option, value, why);
	default:
		return check_number(option, value, why);
	}
}

/* A text may be, or have, a password: nothing of it is left behind. */
static void free_text(char *text)
{
	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
}

static void free_list(struct conf_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->at[i]);
	free(list->at);
}

static bool set_list(struct conf_list *list, enum form form, const char *const *values,
		     size_t count)
{
	struct conf_list fresh = {.at = calloc(count + 1, sizeof(*fresh.at))};

	if (fresh.at == NULL)
		return false;
	for (; fresh.count < count; fresh.count++) {
		fresh.at[fresh.count] = form_normal(form, values[fresh.count]);
		if (fresh.at[fresh.count] == NULL) {
			free_list(&fresh);
			return false;
		}
	}
	free_list(list);
	*list = fresh;
	return true;
}

static bool set_string(char **string, enum form form, const char *value)
{
	char *fresh = form_normal(form, value);

	if (fresh == NULL)
		return false;
	free_text(*string);
	*string = fresh;
	return true;
}

/* Its member, to set. */
static void *option_member(const struct option *option, void *owner)
{
	return (char *)owner + option->offset;
}

void option_set_number(const struct option *option, void *owner, int64_t number)
{
	void *member = option_member(option, owner);

	if (option->type == OPTION_IS_BOOL)
		*(bool *)member = number != 0;
	else if (option->type == OPTION_IS_CHOICE)
		*(enum conf_choice *)member = (enum conf_choice)number;
	else if (option->type == OPTION_IS_COUNT)
		*(uint32_t *)member = (uint32_t)number;
	else if (option->type == OPTION_IS_SIZE)
		*(uint64_t *)member = (uint64_t)number;
	else
		*(int64_t *)member = number;
}

bool option_set(const struct option *option, void *owner, const char *const *values, size_t count)
{
	int64_t number;

	if (option->type == OPTION_IS_LIST)
		return set_list(option_member(option, owner), option->form, values, count);
	if (option->type == OPTION_IS_STRING)
		return set_string(option_member(option, owner), option->form, values[0]);
	if (parse_number(option, values[0], &number))
		option_set_number(option, owner, number);
	return true;
}

void option_release(const struct option *option, void *owner)
{
	if (option->type == OPTION_IS_LIST)
		free_list(option_member(option, owner));
	else if (option->type == OPTION_IS_STRING)
		free_text(*(char **)option_member(option, owner));
}

const void *option_value(const struct option *option, const void *owner)
{
	return (const char *)owner + option->offset;
}

int64_t option_number(const struct option *option, const void *owner)
{
	const void *value = option_value(option, owner);

	if (option->type == OPTION_IS_BOOL)
		return *(const bool *)value;
	if (option->type == OPTION_IS_CHOICE)
		return *(const enum conf_choice *)value;
	if (option->type == OPTION_IS_COUNT)
		return *(const uint32_t *)value;
	if (option->type == OPTION_IS_SIZE)
		return (int64_t) * (const uint64_t *)value;
	return *(const int64_t *)value;
}

void option_write_number(const struct option *option, int64_t number, char *to)
{
	if (option->type == OPTION_IS_BOOL)
		strcpy(to, number ? "on" : "off");
	else if (option->type == OPTION_IS_CHOICE)
		snprintf(to, UNITS_TEXT, "%s", conf_choice_word((enum conf_choice)number));
	else if (option->type == OPTION_IS_SIZE)
		units_write_size(number, to);
	else if (option->type == OPTION_IS_DURATION)
		units_write_duration(number, to);
	else
		snprintf(to, UNITS_TEXT, "%" PRId64, number);
}
