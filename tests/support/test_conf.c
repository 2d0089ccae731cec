/* Options for tests of rules: options.def expanded to defaults and a setter. */
#include "tests/support/test_conf.h"

#include <stdlib.h>
#include <string.h>

#include "conf/rules.h"
#include "conf/statements.h"
#include "conf/units.h"

#define B 1
#define KiB 1024
#define MiB (1024 * KiB)
#define GiB ((uint64_t)1024 * MiB)

static void list_free(struct conf_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->at[i]);
	free(list->at);
	*list = (struct conf_list){0};
}

static void list_set(struct conf_list *list, const char *text)
{
	char *copy = strdup(text), *rest = copy, *entry;

	list_free(list);
	while (copy != NULL && (entry = strsep(&rest, ","))) {
		entry += strspn(entry, " ");
		if (!*entry)
			continue;
		list->at = reallocarray(list->at, list->count + 1, sizeof(*list->at));
		if (!list->at || !(list->at[list->count++] = strdup(entry)))
			abort();
	}
	free(copy);
}

static void string_set(char **member, const char *text)
{
	free(*member);
	*member = strdup(text);
}

struct conf *test_conf_new(void)
{
	struct conf *conf = calloc(1, sizeof(*conf));

	if (conf == NULL)
		abort();
#define OPTION_ADDRESSES(name, preset, help) list_set(&conf->name, preset);
#define OPTION_LIST(name, preset, form, help) list_set(&conf->name, preset);
#define OPTION_STRING(name, preset, form, help) string_set(&conf->name, preset);
#define OPTION_CHOICE(name, preset, help) conf->name = CONF_##preset;
#define OPTION_BOOL(name, preset, help) conf->name = preset;
#define OPTION_COUNT(name, preset, min, max, help) conf->name = preset;
#define OPTION_SIZE(name, preset, min, max, help) conf->name = preset;
#define OPTION_DURATION(name, preset, min, max, help) conf->name##_ms = preset;
#include "conf/options.def"
#undef OPTION_ADDRESSES
#undef OPTION_LIST
#undef OPTION_STRING
#undef OPTION_CHOICE
#undef OPTION_BOOL
#undef OPTION_COUNT
#undef OPTION_SIZE
#undef OPTION_DURATION
	return conf;
}

void test_conf_free(struct conf *conf)
{
#define OPTION_ADDRESSES(name, preset, help) list_free(&conf->name);
#define OPTION_LIST(name, preset, form, help) list_free(&conf->name);
#define OPTION_STRING(name, preset, form, help) free(conf->name);
#define OPTION_CHOICE(name, preset, help)
#define OPTION_BOOL(name, preset, help)
#define OPTION_COUNT(name, preset, min, max, help)
#define OPTION_SIZE(name, preset, min, max, help)
#define OPTION_DURATION(name, preset, min, max, help)
#include "conf/options.def"
#undef OPTION_ADDRESSES
#undef OPTION_LIST
#undef OPTION_STRING
#undef OPTION_CHOICE
#undef OPTION_BOOL
#undef OPTION_COUNT
#undef OPTION_SIZE
#undef OPTION_DURATION
	conf_rules_free(conf->rules);
	free(conf->instance);
	free(conf);
}

static void note_fault(void *owner, int line, const char *name, const char *why)
{
	fprintf(stderr, "rule: %d: %s: %s\n", line, name, why);
	*(bool *)owner = false;
}

bool test_conf_set_all(struct conf *conf, const char *text)
{
	char copy[512];
	char *rest = copy, *value;
	bool good = strlen(text) < sizeof(copy);

	snprintf(copy, sizeof(copy), "%s", text);
	while (good && rest != NULL && *rest != '\0') {
		char *name = strsep(&rest, ";");

		value = strchr(name, '=');
		if (value != NULL)
			*value++ = '\0';
		good = value != NULL && test_conf_set(conf, name, value);
	}
	return good;
}

bool test_conf_rules(struct conf *conf, const char *text)
{
	int *lines = calloc(option_total, sizeof(*lines));
	char *copy = strdup(text);
	bool ok = true;

	if (lines == NULL || copy == NULL)
		abort();
	statements_check(copy, lines, conf, note_fault, &ok);
	if (!conf_rules_finish(conf, note_fault, &ok))
		abort();
	free(copy);
	free(lines);
	return ok;
}

bool test_conf_set(struct conf *conf, const char *name, const char *text)
{
	int64_t number;

#define IS(option) (strcmp(name, #option) == 0)
#define OPTION_ADDRESSES(option, preset, help) \
	if (IS(option))                        \
		return list_set(&conf->option, text), true;
#define OPTION_LIST(option, preset, form, help) OPTION_ADDRESSES(option, preset, help)
#define OPTION_STRING(option, preset, form, help) \
	if (IS(option))                           \
		return string_set(&conf->option, text), true;
#define OPTION_CHOICE(option, preset, help) \
	if (IS(option))                     \
		return conf_choice_find(name, text, &conf->option);
#define OPTION_BOOL(option, preset, help) \
	if (IS(option))                   \
		return units_parse_switch(text, &conf->option);
#define OPTION_COUNT(option, preset, min, max, help) \
	if (IS(option))                              \
		return units_parse_count(text, &number) && (conf->option = (uint32_t)number, true);
#define OPTION_SIZE(option, preset, min, max, help) \
	if (IS(option))                             \
		return units_parse_size(text, &number) && (conf->option = (uint64_t)number, true);
#define OPTION_DURATION(option, preset, min, max, help) \
	if (IS(option))                                 \
		return units_parse_duration(text, &conf->option##_ms);
#include "conf/options.def"
#undef OPTION_ADDRESSES
#undef OPTION_LIST
#undef OPTION_STRING
#undef OPTION_CHOICE
#undef OPTION_BOOL
#undef OPTION_COUNT
#undef OPTION_SIZE
#undef OPTION_DURATION
#undef IS
	return false;
}

char *test_conf_dump(const struct conf *conf)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);

	conf_dump(conf, to);
	fclose(to);
	return text;
}
