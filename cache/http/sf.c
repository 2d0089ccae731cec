/* Structured fields: a strict reader of dictionaries and lists. */
#include "cache/http/sf.h"

#include "cache/base/ascii.h"
#include "cache/base/decimal.h"
#include "cache/http/fields.h"

enum { INTEGER_DIGITS = 15, DECIMAL_DIGITS = 12, FRACTION_DIGITS = 3 };

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_key_start(char c)
{
	return is_lower(c) || c == '*';
}

static bool is_key_char(char c)
{
	return is_lower(c) || ascii_is_digit(c) || c == '_' || c == '-' || c == '.' || c == '*';
}

static bool is_token_start(char c)
{
	return ascii_is_alpha(c) || c == '*';
}

static bool is_token_char(char c)
{
	return http_is_tchar((unsigned char)c) || c == ':' || c == '/';
}

static bool at(const struct sf_reader *reader, char c)
{
	return reader->p < reader->end && *reader->p == c;
}

static bool take(struct sf_reader *reader, char c)
{
	if (!at(reader, c))
		return false;
	reader->p++;
	return true;
}

static void skip_spaces(struct sf_reader *reader)
{
	while (at(reader, ' '))
		reader->p++;
}

static void skip_ows(struct sf_reader *reader)
{
	while (at(reader, ' ') || at(reader, '\t'))
		reader->p++;
}

static struct slice taken_since(const struct sf_reader *reader, const char *start)
{
	return slice_of(start, (size_t)(reader->p - start));
}

/* Add digits to the value; returns how many there are.  Stops after `max` + 1 of them. */
static int read_digits(struct sf_reader *reader, int max, struct decimal *value)
{
	int count = 0;

	while (reader->p < reader->end && ascii_is_digit(*reader->p) && count <= max) {
		decimal_add(value, *reader->p++, INT64_MAX);
		count++;
	}
	return count;
}

/* RFC 9651 4.2.4 */
static bool read_number(struct sf_reader *reader, struct sf_item *item)
{
	bool negative = take(reader, '-');
	struct decimal value = {0};
	int digits = read_digits(reader, INTEGER_DIGITS, &value);

	if (digits == 0 || digits > INTEGER_DIGITS)
		return false;
	item->type = SF_INTEGER;
	if (take(reader, '.')) {
		int fraction;

		if (digits > DECIMAL_DIGITS)
			return false;
		fraction = read_digits(reader, FRACTION_DIGITS, &value);
		if (fraction == 0 || fraction > FRACTION_DIGITS)
			return false;
		for (; fraction < FRACTION_DIGITS; fraction++)
			decimal_add(&value, '0', INT64_MAX);
		item->type = SF_DECIMAL;
	}
	item->number = negative ? -(int64_t)value.number : (int64_t)value.number;
	return true;
}

/* RFC 9651 4.2.5.  The opening quote is taken, as by all readers of what has delimiters. */
static bool read_string(struct sf_reader *reader, struct sf_item *item)
{
	const char *start = reader->p;

	item->type = SF_STRING;
	while (reader->p < reader->end) {
		char c = *reader->p++;

		if (c == '"') {
			item->text = slice_of(start, (size_t)(reader->p - start) - 1);
			return true;
		}
		if (c < 0x20 || c > 0x7e)
			return false;
		if (c == '\\' && !take(reader, '"') && !take(reader, '\\'))
			return false;
	}
	return false;
}

/* RFC 9651 4.2.6 */
static bool read_token(struct sf_reader *reader, struct sf_item *item)
{
	const char *start = reader->p;

	while (reader->p < reader->end && is_token_char(*reader->p))
		reader->p++;
	item->type = SF_TOKEN;
	item->text = taken_since(reader, start);
	return true;
}

/* RFC 9651 4.2.7: base64; missing padding and non-zero pad bits are accepted. */
static bool read_bytes(struct sf_reader *reader, struct sf_item *item)
{
	const char *start = reader->p;
	size_t data, padding;

	while (reader->p < reader->end &&
	       (ascii_is_alpha(*reader->p) || ascii_is_digit(*reader->p) || *reader->p == '+' ||
		*reader->p == '/'))
		reader->p++;
	data = (size_t)(reader->p - start);
	while (take(reader, '='))
		;
	item->type = SF_BYTES;
	item->text = taken_since(reader, start);
	padding = item->text.n - data;
	if (data % 4 == 1 || (padding > 0 && (padding > 2 || item->text.n % 4 != 0)))
		return false;
	return take(reader, ':');
}

/* RFC 9651 4.2.8 */
static bool read_boolean(struct sf_reader *reader, struct sf_item *item)
{
	item->type = SF_BOOLEAN;
	item->number = at(reader, '1');
	return take(reader, '1') || take(reader, '0');
}

/* RFC 9651 4.2.9 */
static bool read_date(struct sf_reader *reader, struct sf_item *item)
{
	if (!read_number(reader, item) || item->type != SF_INTEGER)
		return false;
	item->type = SF_DATE;
	return true;
}

/* What a display string decodes to has to be UTF-8 (RFC 3629); one byte more of it. */
struct utf8 {
	unsigned more;    /* continuation bytes still due */
	unsigned char lo; /* bounds of the next one */
	unsigned char hi;
};

static bool utf8_next(struct utf8 *utf8, unsigned char c)
{
	if (utf8->more > 0) {
		if (c < utf8->lo || c > utf8->hi)
			return false;
		utf8->more--;
	} else if (c >= 0xf0 && c <= 0xf4) {
		/* Neither overlong nor beyond U+10FFFF. */
		*utf8 = (struct utf8){3, c == 0xf0 ? 0x90 : 0x80, c == 0xf4 ? 0x8f : 0xbf};
		return true;
	} else if (c >= 0xe0 && c <= 0xef) {
		/* Neither overlong nor a surrogate. */
		*utf8 = (struct utf8){2, c == 0xe0 ? 0xa0 : 0x80, c == 0xed ? 0x9f : 0xbf};
		return true;
	} else if (c >= 0xc2 && c <= 0xdf) {
		utf8->more = 1;
	} else if (c >= 0x80) {
		return false;
	}
	utf8->lo = 0x80;
	utf8->hi = 0xbf;
	return true;
}

/* Two lower case hexadecimal digits. */
static bool read_hex(struct sf_reader *reader, unsigned char *ret_byte)
{
	unsigned value = 0;

	for (int i = 0; i < 2; i++, reader->p++) {
		if (reader->p == reader->end)
			return false;
		if (ascii_is_digit(*reader->p))
			value = value * 16 + (unsigned)(*reader->p - '0');
		else if (*reader->p >= 'a' && *reader->p <= 'f')
			value = value * 16 + (unsigned)(*reader->p - 'a' + 10);
		else
			return false;
	}
	*ret_byte = (unsigned char)value;
	return true;
}

/* RFC 9651 4.2.10, after the percent sign */
static bool read_display_string(struct sf_reader *reader, struct sf_item *item)
{
	struct utf8 utf8 = {0};
	const char *start;

	if (!take(reader, '"'))
		return false;
	item->type = SF_DISPLAY_STRING;
	start = reader->p;
	while (reader->p < reader->end) {
		unsigned char c = (unsigned char)*reader->p++;

		if (c == '"') {
			item->text = slice_of(start, (size_t)(reader->p - start) - 1);
			return utf8.more == 0;
		}
		if (c < 0x20 || c > 0x7e)
			return false;
		if (c == '%' && !read_hex(reader, &c))
			return false;
		if (!utf8_next(&utf8, c))
			return false;
	}
	return false;
}

/* RFC 9651 4.2.3.1: the first byte tells the type. */
static bool read_bare_item(struct sf_reader *reader, struct sf_item *item)
{
	*item = (struct sf_item){.number = 0};
	if (reader->p == reader->end)
		return false;
	if (*reader->p == '-' || ascii_is_digit(*reader->p))
		return read_number(reader, item);
	if (is_token_start(*reader->p))
		return read_token(reader, item);
	if (take(reader, '"'))
		return read_string(reader, item);
	if (take(reader, ':'))
		return read_bytes(reader, item);
	if (take(reader, '?'))
		return read_boolean(reader, item);
	if (take(reader, '@'))
		return read_date(reader, item);
	if (take(reader, '%'))
		return read_display_string(reader, item);
	return false;
}

/* RFC 9651 4.2.3.3 */
static bool read_key(struct sf_reader *reader, struct slice *ret_key)
{
	const char *start = reader->p;

	if (reader->p == reader->end || !is_key_start(*reader->p))
		return false;
	while (reader->p < reader->end && is_key_char(*reader->p))
		reader->p++;
	*ret_key = taken_since(reader, start);
	return true;
}

/* RFC 9651 4.2.3.2 */
static bool skip_parameters(struct sf_reader *reader)
{
	struct slice key;
	struct sf_item value;

	while (take(reader, ';')) {
		skip_spaces(reader);
		if (!read_key(reader, &key))
			return false;
		if (take(reader, '=') && !read_bare_item(reader, &value))
			return false;
	}
	return true;
}

/* RFC 9651 4.2.1.2, after the opening parenthesis.  They do not nest. */
static bool read_inner_list(struct sf_reader *reader, struct sf_item *item)
{
	const char *start = reader->p;
	struct sf_item inner;

	for (;;) {
		skip_spaces(reader);
		if (take(reader, ')'))
			break;
		if (!read_bare_item(reader, &inner) || !skip_parameters(reader))
			return false;
		if (!at(reader, ' ') && !at(reader, ')'))
			return false;
	}
	*item = (struct sf_item){.type = SF_INNER_LIST};
	item->text = slice_of(start, (size_t)(reader->p - start) - 1);
	return true;
}

static bool read_item_or_inner_list(struct sf_reader *reader, struct sf_item *item)
{
	if (take(reader, '('))
		return read_inner_list(reader, item);
	return read_bare_item(reader, item);
}

static const struct http_field *line_after(const struct sf_reader *reader,
					   const struct http_field *line)
{
	const struct http_fields *fields = reader->fields;

	if (line->id != FIELD_OTHER)
		return http_fields_next(fields, line);
	return http_fields_unknown(fields, (uint32_t)(line - fields->at) + 1, reader->name);
}

struct sf_reader sf_reader_of(const struct http_fields *fields, struct slice name)
{
	struct sf_reader reader = {
		.fields = fields,
		.line = http_fields_named(fields, name),
		.name = name,
	};

	reader.joined = reader.line != NULL && line_after(&reader, reader.line) != NULL;
	return reader;
}

static enum sf_result fail(struct sf_reader *reader)
{
	reader->invalid = true;
	return SF_INVALID;
}

static void begin_line(struct sf_reader *reader)
{
	struct slice value = reader->line->value;

	reader->p = value.n > 0 ? value.p : "";
	reader->end = reader->p + value.n;
	skip_spaces(reader);
}

/* Go to the next member: past the comma, or to the next line, which acts as a comma. */
static enum sf_result next_start(struct sf_reader *reader)
{
	if (reader->invalid)
		return SF_INVALID;
	if (reader->line == NULL)
		return SF_END;
	if (!reader->started) {
		reader->started = true;
		begin_line(reader);
		if (reader->p == reader->end && !reader->joined) {
			reader->line = NULL;
			return SF_END;
		}
	} else {
		skip_ows(reader);
		if (reader->p < reader->end) {
			if (!take(reader, ','))
				return fail(reader);
			skip_ows(reader);
		} else {
			reader->line = line_after(reader, reader->line);
			if (reader->line == NULL)
				return SF_END;
			begin_line(reader);
		}
	}
	/* Nothing after a comma, and an empty line among others, is an error to who reads a member. */
	return SF_MEMBER;
}

enum sf_result sf_next_member(struct sf_reader *reader, struct slice *ret_key,
			      struct sf_item *ret_item)
{
	enum sf_result result = next_start(reader);
	struct sf_item item = {.type = SF_BOOLEAN, .number = 1};
	struct slice key;

	if (result != SF_MEMBER)
		return result;
	if (!read_key(reader, &key))
		return fail(reader);
	if (take(reader, '=') && !read_item_or_inner_list(reader, &item))
		return fail(reader);
	if (!skip_parameters(reader))
		return fail(reader);
	*ret_key = key;
	*ret_item = item;
	return SF_MEMBER;
}

enum sf_result sf_next_item(struct sf_reader *reader, struct sf_item *ret_item)
{
	enum sf_result result = next_start(reader);
	struct sf_item item;

	if (result != SF_MEMBER)
		return result;
	if (!read_item_or_inner_list(reader, &item) || !skip_parameters(reader))
		return fail(reader);
	*ret_item = item;
	return SF_MEMBER;
}

bool sf_read_strings(const struct http_fields *fields, struct slice name, struct slice *to,
		     size_t max, size_t *ret_count)
{
	struct sf_reader reader = sf_reader_of(fields, name);
	enum sf_result result;
	struct sf_item item;
	size_t count = 0;

	*ret_count = 0;
	while ((result = sf_next_item(&reader, &item)) == SF_MEMBER) {
		if (item.type != SF_STRING)
			return false;
		if (count < max)
			to[count] = item.text;
		count++;
	}
	if (result == SF_INVALID)
		return false;
	*ret_count = count;
	return true;
}
