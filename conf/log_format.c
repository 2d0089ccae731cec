/* Formats of the access log: what their texts mean, and what is wrong with one. */
#include "conf/log_format.h"

#include <string.h>

enum { ESCAPE_LENGTH = 4, MARK_LENGTH = 3 };

/* The most that a field takes in a line. */
static const struct {
	const char *name;
	unsigned most;
} fields[LOG_FIELD_COUNT] = {
#define LOG_TEXT(name, when, slice, length, help) {#name, ESCAPE_LENGTH * (length) + 3},
#define LOG_WORD(name, when, word, help) {#name, WORD_LENGTH},
#define LOG_NUMBER(name, when, number, help) {#name, NUMBER_LENGTH},
#define LOG_FLAG(name, when, flag, help) {#name, sizeof("false")},
#define LOG_STAMP(name, when, stamp, help) {#name, STAMP_LENGTH},
	{"", 0},
#include "conf/log_fields.def"
#undef LOG_TEXT
#undef LOG_WORD
#undef LOG_NUMBER
#undef LOG_FLAG
#undef LOG_STAMP
};

static const char combined[] = "$client - $user [$time_clf] \"$method $target $protocol\" $status "
			       "$bytes_out \"$referer\" \"$user_agent\"";

static unsigned find_field(const char *name, size_t n)
{
	for (unsigned i = LOG_FIELD_NONE + 1; i < LOG_FIELD_COUNT; i++)
		if (strlen(fields[i].name) == n && memcmp(fields[i].name, name, n) == 0)
			return i;
	return LOG_FIELD_NONE;
}

static size_t name_length(const char *text)
{
	return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
}

/* The field at a dollar; moves `at` behind it.  LOG_FIELD_NONE with why in `error`. */
static unsigned read_field(const char **at, struct diagnostic *error)
{
	bool braces = (*at)[1] == '{';
	const char *name = *at + 1 + braces;
	size_t n = name_length(name);
	unsigned field = find_field(name, n);

	if (n == 0)
		diagnostic_set(error, "no name follows the $; write $$ for the sign itself");
	else if (braces && name[n] != '}')
		diagnostic_set(error, "${%.*s has no } at its end", (int)(n < 40 ? n : 40), name);
	else if (field == LOG_FIELD_NONE)
		diagnostic_set(error,
			       "$%.*s is not a field; see access_log_format in "
			       "cache204.conf(5) for those there are",
			       (int)(n < 40 ? n : 40), name);
	else {
		*at = name + n + braces;
		return field;
	}
	return LOG_FIELD_NONE;
}

/* Up to the next field: its text without doubled dollars. */
static void read_text(const char **at, struct log_format *to, size_t *used)
{
	struct log_part *part = &to->parts[to->count];

	part->begin = (uint16_t)*used;
	while (**at != '\0' && (**at != '$' || (*at)[1] == '$')) {
		*at += **at == '$';
		to->text[(*used)++] = *(*at)++;
	}
	part->length = (uint16_t)(*used - part->begin);
}

static bool read_parts(const char *text, struct log_format *to, struct diagnostic *error)
{
	const char *at = text;
	struct diagnostic why;
	size_t used = 0, most = 1;

	for (;;) {
		struct log_part *part = &to->parts[to->count];

		if (to->count == LOG_FORMAT_PARTS) {
			diagnostic_set(error, "more than %d fields", LOG_FORMAT_PARTS - 1);
			return false;
		}
		read_text(&at, to, &used);
		part->field = LOG_FIELD_NONE;
		if (*at != '\0') {
			int place = (int)(at - text) + 1;

			part->field = (uint8_t)read_field(&at, &why);
			if (part->field == LOG_FIELD_NONE) {
				diagnostic_set(error, "character %d: %s", place, why.text);
				return false;
			}
		}
		to->count++;
		to->shows_referer |= part->field == LOG_FIELD_referer;
		most += part->length + fields[part->field].most;
		if (part->field == LOG_FIELD_NONE)
			break;
	}
	if (most <= LOG_LINE_LENGTH)
		return true;
	diagnostic_set(error,
		       "a line could have %zu bytes, of at most %d: leave out long fields that it "
		       "has several times",
		       most, LOG_LINE_LENGTH);
	return false;
}

bool log_format_parse(const char *text, struct log_format *ret_format, struct diagnostic *error)
{
	*ret_format = (struct log_format){.kind = LOG_PARTS};
	if (strcmp(text, "json") == 0) {
		ret_format->kind = LOG_JSON;
		return true;
	}
	if (strcmp(text, "squid") == 0) {
		ret_format->kind = LOG_SQUID;
		return true;
	}
	if (strcmp(text, "combined") == 0)
		text = combined;
	if (strchr(text, '$') == NULL)
		diagnostic_set(error,
			       "not json, squid, combined or a text with fields, as $client");
	else if (strlen(text) > LOG_FORMAT_LENGTH)
		diagnostic_set(error, "longer than %d characters", LOG_FORMAT_LENGTH);
	else
		return read_parts(text, ret_format, error);
	return false;
}
