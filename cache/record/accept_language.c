/* The normal form of Accept-Language, and the preferred language. */
#include "cache/record/accept_language.h"

#include <stdint.h>

#include "cache/base/ascii.h"
#include "cache/http/fields.h"

enum { WEIGHT_ONE = 1000 };

struct range {
	struct slice tag;
	unsigned weight; /* in thousandths */
};

static bool is_tag(struct slice s)
{
	if (slice_eq(s, SLICE("*")))
		return true;
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_is_alpha(s.p[i]) && !ascii_is_digit(s.p[i]) && s.p[i] != '-')
			return false;
	}
	return s.n > 0;
}

/* qvalue (RFC 9110 12.4.2): 0 or 1, and up to three digits behind the point. */
static bool parse_weight(struct slice s, unsigned *ret_weight)
{
	unsigned weight, unit = WEIGHT_ONE;

	if (s.n == 0 || s.n > 5 || (s.p[0] != '0' && s.p[0] != '1') || (s.n > 1 && s.p[1] != '.'))
		return false;
	weight = s.p[0] == '1' ? WEIGHT_ONE : 0;
	for (size_t i = 2; i < s.n; i++) {
		if (!ascii_is_digit(s.p[i]))
			return false;
		unit /= 10;
		weight += (unsigned)(s.p[i] - '0') * unit;
	}
	*ret_weight = weight;
	return weight <= WEIGHT_ONE;
}

static bool parse_range(struct slice member, struct range *ret_range)
{
	const char *semicolon = memchr(member.p, ';', member.n);
	struct slice tag = member, parameter;

	ret_range->weight = WEIGHT_ONE;
	if (semicolon != NULL) {
		tag.n = (size_t)(semicolon - member.p);
		parameter = slice_trim(slice_of(semicolon + 1, member.n - tag.n - 1));
		if (parameter.n < 3 || (parameter.p[0] | 0x20) != 'q' || parameter.p[1] != '=' ||
		    !parse_weight(slice_of(parameter.p + 2, parameter.n - 2), &ret_range->weight))
			return false;
	}
	ret_range->tag = slice_trim(tag);
	return is_tag(ret_range->tag);
}

static bool comes_before(const struct range *a, const struct range *b)
{
	size_t n = a->tag.n < b->tag.n ? a->tag.n : b->tag.n;
	int order = strncasecmp(a->tag.p, b->tag.p, n);

	if (order != 0)
		return order < 0;
	return a->tag.n != b->tag.n ? a->tag.n < b->tag.n : a->weight < b->weight;
}

/* The ranges, sorted; SIZE_MAX when there are too many or one is malformed. */
static size_t parse_ranges(struct slice value, struct range ranges[LANGUAGE_RANGES_MAX])
{
	struct slice member;
	size_t offset = 0, count = 0, i;
	bool broken = false;

	while (http_list_member(value, &offset, &member, &broken)) {
		struct range range;

		if (count == LANGUAGE_RANGES_MAX || !parse_range(member, &range))
			return SIZE_MAX;
		for (i = count++; i > 0 && comes_before(&range, &ranges[i - 1]); i--)
			ranges[i] = ranges[i - 1];
		ranges[i] = range;
	}
	return broken ? SIZE_MAX : count;
}

static size_t put_range(const struct range *range, char *to)
{
	unsigned weight = range->weight;
	size_t n = range->tag.n;

	ascii_write_lower(range->tag, to);
	if (weight == WEIGHT_ONE)
		return n;
	memcpy(to + n, ";q=0", 4);
	n += 4;
	if (weight > 0)
		to[n++] = '.';
	for (unsigned unit = WEIGHT_ONE / 10; weight > 0; weight %= unit, unit /= 10)
		to[n++] = (char)('0' + weight / unit);
	return n;
}

size_t language_normal(struct slice value, char to[LANGUAGE_VALUE_MAX])
{
	struct range ranges[LANGUAGE_RANGES_MAX];
	size_t count = value.n <= LANGUAGE_VALUE_MAX ? parse_ranges(value, ranges) : SIZE_MAX;
	size_t n = 0;

	if (count == SIZE_MAX)
		return SIZE_MAX;
	/* The normal form of a range or separator is never longer than the original. */
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			to[n++] = ',';
		n += put_range(&ranges[i], to + n);
	}
	return n;
}

bool language_first(struct slice value, struct slice *ret_language)
{
	struct range ranges[LANGUAGE_RANGES_MAX];
	size_t count = value.n <= LANGUAGE_VALUE_MAX ? parse_ranges(value, ranges) : SIZE_MAX;
	const struct range *first = ranges;

	if (count == SIZE_MAX || count == 0)
		return false;
	for (size_t i = 1; i < count; i++) {
		if (ranges[i].weight > first->weight)
			first = &ranges[i];
	}
	for (size_t i = 0; i < count; i++) {
		if (&ranges[i] != first &&
		    (ranges[i].weight == first->weight || slice_ieq(ranges[i].tag, first->tag)))
			return false;
	}
	*ret_language = first->tag;
	return first->weight > 0 && !slice_eq(first->tag, SLICE("*"));
}
