/* Lines of the access log by a format, and their times. */
#include "proxy/stats/accesslog_format.h"

#include <assert.h>
#include <time.h>

#include "proxy/stats/accesslog_entry.h"
#include "proxy/stats/accesslog_put.h"

/* ---- times ---------------------------------------------------------------------------------- */

static void make_stamp(struct accesslog_stamp *stamp, time_t second, bool is_clf)
{
	size_t size = sizeof(stamp->text);
	struct tm tm;

	stamp->length = 0;
	stamp->second = second;
	if (gmtime_r(&second, &tm) != NULL)
		stamp->length = is_clf ? strftime(stamp->text, size, "%d/%b/%Y:%H:%M:%S +0000", &tm)
				       : strftime(stamp->text, size, "%Y-%m-%dT%H:%M:%S", &tm);
}

/* The part up to the second. */
static char *put_stamp(struct accesslog_stamp *stamp, char *at, int64_t ms, bool is_clf)
{
	if (stamp->length == 0 || stamp->second != ms / 1000)
		make_stamp(stamp, ms / 1000, is_clf);
	return append_bytes(at, stamp->text, stamp->length);
}

static inline char *put_ms(char *at, int64_t ms)
{
	*at++ = '.';
	return append_3_digits(at, (unsigned)(ms % 1000));
}

static char *put_seconds(struct accesslog_stamp *stamp, char *at, int64_t ms)
{
	if (stamp->length == 0 || stamp->second != ms / 1000) {
		stamp->second = ms / 1000;
		stamp->length = (size_t)(append_signed(stamp->text, ms / 1000) - stamp->text);
	}
	return append_bytes(at, stamp->text, stamp->length);
}

char *accesslog_put_time(struct accesslog_stamps *stamps, enum accesslog_clock clock, char *at,
			 int64_t wall_ms)
{
	int64_t ms = (int64_t)not_negative(wall_ms);

	switch (clock) {
	case CLOCK_iso:
		return APPEND(put_ms(put_stamp(&stamps->iso, at, ms, false), ms), "Z");
	case CLOCK_clf:
		return put_stamp(&stamps->clf, at, ms, true);
	case CLOCK_seconds:
		break;
	}
	return put_ms(put_seconds(&stamps->seconds, at, ms), ms);
}

/* ---- lines ---------------------------------------------------------------------------------- */

static char *append_hex_escape(char *at, unsigned char c)
{
	static const char digits[] = "0123456789abcdef";

	at = APPEND(at, "\\x");
	*at++ = digits[c >> 4];
	*at++ = digits[c & 15];
	return at;
}

/* Formats have no quotes around a user, whose name may have blanks: a column stays one. */
static char *put_text(char *at, struct slice text, size_t length, bool is_user)
{
	at = append_text(at, cut(text, length), is_user ? ' ' + 1 : ' ', append_hex_escape);
	return text.n > length ? APPEND(at, "...") : at;
}

static char *put_word(char *at, const char *word)
{
	assert(strlen(word) < WORD_LENGTH);
	return append_word(at, word);
}

#define ALWAYS true
#define IF(condition) (condition)
#define IN_FORMATS(condition) (condition)
#define IS_USER(name) (LOG_FIELD_##name == LOG_FIELD_user)

/* NULL when there is nothing to tell. */
static char *put_field(struct accesslog_format *format, unsigned field, char *at,
		       const struct accesslog_entry *entry)
{
	switch ((enum log_field)field) {
#define LOG_TEXT(name, when, slice, length, help) \
	case LOG_FIELD_##name:                    \
		return (when) && (slice).n > 0 ? put_text(at, slice, length, IS_USER(name)) : NULL;
#define LOG_WORD(name, when, word, help) \
	case LOG_FIELD_##name:           \
		return (when) ? put_word(at, word) : NULL;
#define LOG_NUMBER(name, when, number, help) \
	case LOG_FIELD_##name:               \
		return (when) ? append_number(at, number) : NULL;
#define LOG_FLAG(name, when, flag, help) \
	case LOG_FIELD_##name:           \
		return (when) ? put_word(at, (flag) ? "true" : "false") : NULL;
#define LOG_STAMP(name, when, stamp, help)                                             \
	case LOG_FIELD_##name:                                                         \
		return (when) ? accesslog_put_time(&format->stamps, CLOCK_##stamp, at, \
						   entry->wall_ms)                     \
			      : NULL;
#include "conf/log_fields.def"
#undef LOG_TEXT
#undef LOG_WORD
#undef LOG_NUMBER
#undef LOG_FLAG
#undef LOG_STAMP
	case LOG_FIELD_NONE:
	case LOG_FIELD_COUNT:
		break;
	}
	return NULL;
}

char *accesslog_format_line(struct accesslog_format *format, char *at,
			    const struct accesslog_entry *entry)
{
	for (unsigned i = 0; i < format->form.count; i++) {
		const struct log_part *part = &format->form.parts[i];
		char *end;

		at = append_bytes(at, format->form.text + part->begin, part->length);
		if (part->field == LOG_FIELD_NONE)
			break;
		end = put_field(format, part->field, at, entry);
		at = end != NULL ? end : APPEND(at, "-");
	}
	return at;
}
