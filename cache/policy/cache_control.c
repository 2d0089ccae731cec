/* Cache directives of either side, read from Cache-Control's own grammar or from a dictionary. */
#include "cache/policy/cache_control.h"

#include "cache/base/ascii.h"
#include "cache/base/decimal.h"
#include "cache/http/fields.h"
#include "cache/http/sf.h"

enum kind { FORBIDS, ALLOWS, NAMES, SECONDS, AT_LEAST, UP_TO };

static const struct {
	struct slice name;
	enum kind kind;
	size_t seconds_at; /* offset of its member, for those that have one */
} directives[CC_DIRECTIVE_COUNT] = {
#define DIRECTIVE(id, name, kind) {{name, sizeof(name) - 1}, kind, 0},
#define DIRECTIVE_SECONDS(id, member, name, kind) \
	{{name, sizeof(name) - 1}, kind, offsetof(struct cache_control, member)},
#include "cache/policy/directives.def"
#undef DIRECTIVE
#undef DIRECTIVE_SECONDS
};

_Static_assert(CC_DIRECTIVE_COUNT <= 32,
	       "cache_control.present is a set of directives in one word");

/* A hostile list has many short members: check the length first. */
enum { NAME_MIN = sizeof("public") - 1 };
#define DIRECTIVE(id, name, kind) \
	_Static_assert(sizeof(name) - 1 >= NAME_MIN, "short directive name");
#define DIRECTIVE_SECONDS(id, member, name, kind) DIRECTIVE(id, name, kind)
#include "cache/policy/directives.def"
#undef DIRECTIVE
#undef DIRECTIVE_SECONDS

enum argument_form {
	ARGUMENT_NONE,
	ARGUMENT_QUOTED, /* text is between the quotes, with its backslashes */
	ARGUMENT_OTHER,  /* a token, or something in its place */
};

struct argument {
	enum argument_form form;
	struct slice text;
};

/* CC_DIRECTIVE_COUNT for an unknown directive. */
static unsigned find_directive(struct slice name)
{
	unsigned i = 0;

	if (name.n < NAME_MIN)
		return CC_DIRECTIVE_COUNT;
	for (; i < CC_DIRECTIVE_COUNT; i++) {
		/* Comparing the first letter saves most calls. */
		if (directives[i].name.n == name.n &&
		    directives[i].name.p[0] == (name.p[0] | 0x20) &&
		    slice_ieq(directives[i].name, name))
			break;
	}
	return i;
}

static void clear(struct cache_control *control)
{
	/* The arrays of names, most of the struct, need no more than their counts. */
	memset(control, 0, offsetof(struct cache_control, no_cache));
	control->no_cache.count = 0;
	control->private.count = 0;
}

/*
 * delta-seconds (RFC 9111 1.2.2), from a token or a quoted string alike.  Digit by digit, since a
 * quoted string may have a backslash before each (RFC 9110 5.6.4).
 */
static bool parse_seconds(const struct argument *argument, uint32_t *ret_seconds)
{
	struct slice text = argument->text;
	struct decimal seconds = {0};

	for (size_t i = 0; i < text.n; i++) {
		/* No quoted string ends behind a backslash, see is_quoted_string(). */
		if (argument->form == ARGUMENT_QUOTED && text.p[i] == '\\')
			i++;
		if (!ascii_is_digit(text.p[i]))
			return false;
		decimal_add(&seconds, text.p[i], CC_SECONDS_MAX);
	}
	*ret_seconds = (uint32_t)seconds.number;
	return seconds.digits > 0;
}

static void set_present(struct cache_control *control, unsigned directive)
{
	control->present |= (uint32_t)1 << directive;
}

/* Of several values the stricter one counts, whatever their order. */
static void merge_seconds(struct cache_control *control, unsigned directive, uint32_t seconds)
{
	uint32_t *member = (uint32_t *)((char *)control + directives[directive].seconds_at);
	bool first = !cache_control_has(control, (enum cache_directive)directive);
	bool stricter =
		directives[directive].kind == AT_LEAST ? seconds > *member : seconds < *member;

	if (first || stricter)
		*member = seconds;
	set_present(control, directive);
}

/* A value that cannot be read counts as the strictest. */
static void merge_invalid(struct cache_control *control, unsigned directive)
{
	merge_seconds(control, directive,
		      directives[directive].kind == AT_LEAST ? CC_SECONDS_MAX : 0);
	control->invalid |= (uint32_t)1 << directive;
}

static struct cache_control_names *names_of(struct cache_control *control, unsigned directive)
{
	return directive == CC_PRIVATE ? &control->private : &control->no_cache;
}

static void set_unqualified(struct cache_control *control, unsigned directive)
{
	set_present(control, directive);
	control->unqualified |= (uint32_t)1 << directive;
	names_of(control, directive)->count = 0;
}

/* The list of a qualified directive; one without usable names counts as unqualified. */
static void merge_names(struct cache_control *control, unsigned directive, struct slice list)
{
	struct cache_control_names *names = names_of(control, directive);
	struct slice name;
	size_t offset = 0;
	bool odd = false;
	bool any = false;

	set_present(control, directive);
	if (cache_control_is_unqualified(control, (enum cache_directive)directive))
		return;
	while (http_list_member(list, &offset, &name, &odd)) {
		/* An escaped name is legal, but not a token, and suspicious. */
		if (!http_is_token(name) || names->count == CC_NAMES_MAX) {
			odd = true;
			break;
		}
		names->at[names->count++] = name;
		any = true;
	}
	if (odd || !any)
		set_unqualified(control, directive);
}

static void merge_directive(struct cache_control *control, unsigned directive,
			    const struct argument *argument)
{
	uint32_t seconds;

	switch (directives[directive].kind) {
	case FORBIDS:
		set_present(control, directive);
		break;
	case ALLOWS:
		if (argument->form == ARGUMENT_NONE)
			set_present(control, directive);
		break;
	case NAMES:
		if (argument->form == ARGUMENT_QUOTED)
			merge_names(control, directive, argument->text);
		else
			set_unqualified(control, directive);
		break;
	case UP_TO:
	case SECONDS:
	case AT_LEAST:
		if (argument->form == ARGUMENT_NONE && directives[directive].kind == UP_TO)
			merge_seconds(control, directive, CC_SECONDS_ANY);
		else if (parse_seconds(argument, &seconds))
			merge_seconds(control, directive, seconds);
		else
			merge_invalid(control, directive);
		break;
	}
}

static bool is_quoted_string(struct slice text)
{
	size_t i = 1;

	if (text.n < 2 || text.p[0] != '"')
		return false;
	while (i < text.n && text.p[i] != '"')
		i += text.p[i] == '\\' ? 2 : 1;
	return i == text.n - 1;
}

/* Accepts more bytes than a token may have, but none that could hide another directive. */
static bool is_plain(struct slice text)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (c == '"' || c == ';' || c == ' ' || c == '\t')
			return false;
	}
	return true;
}

/* What follows a directive's name up to the comma.  False when it is not an argument. */
static bool parse_argument(struct slice text, struct argument *ret_argument)
{
	*ret_argument = (struct argument){ARGUMENT_NONE, text};
	if (text.n == 0)
		return true;
	ret_argument->form = ARGUMENT_OTHER;
	if (text.p[0] != '=')
		return false;
	text.p++;
	text.n--;
	if (is_quoted_string(text)) {
		*ret_argument = (struct argument){ARGUMENT_QUOTED, {text.p + 1, text.n - 2}};
		return true;
	}
	ret_argument->text = text;
	return is_plain(text);
}

/*
 * Known names consist of letters and dashes: the full set of token bytes is checked only for
 * others.
 */
static inline bool is_name_char(char c)
{
	return ascii_is_alpha(c) || c == '-' || http_is_tchar((unsigned char)c);
}

static void parse_member(struct cache_control *control, struct slice member)
{
	struct argument argument;
	unsigned directive;
	size_t n = 0;

	while (n < member.n && is_name_char(member.p[n]))
		n++;
	if (!parse_argument(slice_of(member.p + n, member.n - n), &argument) || n == 0)
		control->broken = true;
	/* A broken member still forbids what it names. */
	directive = find_directive(slice_of(member.p, n));
	if (directive < CC_DIRECTIVE_COUNT)
		merge_directive(control, directive, &argument);
}

static size_t count_commas(struct slice value)
{
	size_t count = 0;

	for (size_t i = 0; i < value.n; i++)
		count += value.p[i] == ',';
	return count;
}

bool cache_control_is_too_long(const struct http_fields *fields, enum http_field_id id)
{
	const struct http_field *line, *first = http_fields_first(fields, id);
	size_t bytes = 0, commas = 0;

	for (line = first; line != NULL; line = http_fields_next(fields, line))
		bytes += line->value.n;
	if (bytes <= CC_COMMAS_MAX || bytes > CC_BYTES_MAX)
		return bytes > CC_BYTES_MAX;
	for (line = first; line != NULL; line = http_fields_next(fields, line))
		commas += count_commas(line->value);
	return commas > CC_COMMAS_MAX;
}

static bool mentions(struct slice value, struct slice name)
{
	for (size_t i = 0; i + name.n <= value.n; i++) {
		if ((value.p[i] | 0x20) == name.p[0] &&
		    slice_ieq(slice_of(value.p + i, name.n), name))
			return true;
	}
	return false;
}

/*
 * When a request's directives are not read, asking the origin and storing nothing satisfies all of
 * them except only-if-cached, so that is searched for anywhere, even within a longer word.
 */
static void set_unread(const struct http_fields *fields, enum http_field_id id,
		       struct cache_control *control)
{
	const struct http_field *line;

	control->broken = true;
	for (line = http_fields_first(fields, id); line != NULL;
	     line = http_fields_next(fields, line)) {
		if (mentions(line->value, directives[CC_ONLY_IF_CACHED].name))
			set_present(control, CC_ONLY_IF_CACHED);
	}
}

void cache_control_parse(const struct http_fields *fields, enum http_field_id id,
			 struct cache_control *ret_control)
{
	struct http_list list;
	struct slice member;

	clear(ret_control);
	if (!http_has_field(fields, id))
		return;
	if (cache_control_is_too_long(fields, id)) {
		set_unread(fields, id, ret_control);
		return;
	}
	list = http_list_of(fields, id);
	while (http_list_next(&list, &member))
		parse_member(ret_control, member);
	if (list.broken)
		ret_control->broken = true;
}

/* As if the directive had not been seen: a later member of the same key replaces it. */
static void forget(struct cache_control *control, unsigned directive)
{
	uint32_t others = ~((uint32_t)1 << directive);

	control->present &= others;
	control->invalid &= others;
	control->unqualified &= others;
	if (directives[directive].kind == NAMES)
		names_of(control, directive)->count = 0;
	else if (directives[directive].kind >= SECONDS)
		*(uint32_t *)((char *)control + directives[directive].seconds_at) = 0;
}

static void merge_integer(struct cache_control *control, unsigned directive, int64_t number)
{
	if (number < 0)
		merge_invalid(control, directive);
	else
		merge_seconds(control, directive,
			      number < CC_SECONDS_MAX ? (uint32_t)number : CC_SECONDS_MAX);
}

/* RFC 9213 2.1: values of another type than the directive's are not consumed. */
static void set_from_item(struct cache_control *control, unsigned directive,
			  const struct sf_item *item)
{
	bool is_true = item->type == SF_BOOLEAN && item->number == 1;

	forget(control, directive);
	switch (directives[directive].kind) {
	case FORBIDS:
	case ALLOWS:
		if (is_true)
			set_present(control, directive);
		break;
	case NAMES:
		if (is_true)
			set_unqualified(control, directive);
		else if (item->type == SF_STRING)
			merge_names(control, directive, item->text);
		break;
	case UP_TO:
	case SECONDS:
	case AT_LEAST:
		if (item->type == SF_INTEGER)
			merge_integer(control, directive, item->number);
		else if (is_true && directives[directive].kind == UP_TO)
			merge_seconds(control, directive, CC_SECONDS_ANY);
		break;
	}
}

bool cache_control_from_sf(const struct http_fields *fields, struct slice name,
			   struct cache_control *ret_control)
{
	struct sf_reader reader = sf_reader_of(fields, name);
	enum sf_result result;
	struct sf_item item;
	struct slice key;
	bool any = false;

	clear(ret_control);
	while ((result = sf_next_member(&reader, &key, &item)) == SF_MEMBER) {
		unsigned directive = find_directive(key);

		if (directive < CC_DIRECTIVE_COUNT)
			set_from_item(ret_control, directive, &item);
		any = true;
	}
	if (result == SF_END && any)
		return true;
	clear(ret_control);
	return false;
}

enum cache_directive cache_control_directive(struct slice name)
{
	return (enum cache_directive)find_directive(name);
}

bool cache_control_names_field(const struct cache_control_names *names, struct slice field)
{
	for (uint32_t i = 0; i < names->count; i++) {
		if (slice_ieq(names->at[i], field))
			return true;
	}
	return false;
}
