/*
 * The form of the lines of the access log: "json", "squid", "combined" (that of Apache), or a text with
 * fields as $name or ${name}, of log_fields.def, and $$ for a dollar.  Pure.
 */
#ifndef CONF_LOG_FORMAT_H
#define CONF_LOG_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/base/diagnostic.h"

enum {
	LOG_FORMAT_LENGTH = 1024, /* of the text */
	LOG_FORMAT_PARTS = 64,
	LOG_LINE_LENGTH = 20 * 1024, /* no line is longer */
};

/* The longest texts in a line, in bytes as received; the rest is cut and a mark put in its place. */
enum {
	ID_LENGTH = 128,
	TRACEPARENT_LENGTH = 55,
	CLIENT_LENGTH = 64,
	METHOD_LENGTH = 64,
	TARGET_LENGTH = 2048,
	ORIGIN_LENGTH = 64,
	USER_LENGTH = 64,
	REFERER_LENGTH = 1024,
	AGENT_LENGTH = 256,
	/* and of what is ours */
	WORD_LENGTH = 64,
	NUMBER_LENGTH = 20,
	STAMP_LENGTH = 32,
};

/* The rows of log_fields.def. */
enum log_field {
	LOG_FIELD_NONE,
#define LOG_TEXT(name, when, slice, length, help) LOG_FIELD_##name,
#define LOG_WORD(name, when, word, help) LOG_FIELD_##name,
#define LOG_NUMBER(name, when, number, help) LOG_FIELD_##name,
#define LOG_FLAG(name, when, flag, help) LOG_FIELD_##name,
#define LOG_STAMP(name, when, stamp, help) LOG_FIELD_##name,
#include "conf/log_fields.def"
#undef LOG_TEXT
#undef LOG_WORD
#undef LOG_NUMBER
#undef LOG_FLAG
#undef LOG_STAMP
	LOG_FIELD_COUNT
};

/* A text of ours, and the field that follows it; the last has none. */
struct log_part {
	uint16_t begin, length;
	uint8_t field; /* enum log_field */
};

struct log_format {
	enum { LOG_JSON, LOG_SQUID, LOG_PARTS } kind;
	bool shows_referer;
	unsigned count;
	struct log_part parts[LOG_FORMAT_PARTS];
	char text[LOG_FORMAT_LENGTH];
};

/*
 * False with why in `error`: the place as a number of characters, a name that there is not, or that a
 * line could be longer than LOG_LINE_LENGTH.
 */
bool log_format_parse(const char *text, struct log_format *ret_format, struct diagnostic *error);

#endif
