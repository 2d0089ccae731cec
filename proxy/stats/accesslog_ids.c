/* Ids of requests and traces, as far as they are taken from peers. */
#include "proxy/stats/accesslog_ids.h"

#include "cache/base/ascii.h"

enum { VERSION_END = 2, TRACE_END = 35, PARENT_END = 52, FLAGS_END = 55 };

bool accesslog_id_is_usable(struct slice id)
{
	if (id.n == 0 || id.n > ACCESSLOG_ID_MAX)
		return false;
	for (size_t i = 0; i < id.n; i++) {
		char c = id.p[i];

		if (!ascii_is_digit(c) && !ascii_is_alpha(c) &&
		    (c == '\0' || strchr("-._~+/=:@", c) == NULL))
			return false;
	}
	return true;
}

/* A dash, and lower case hexadecimal digits up to `end`; `ret_some`: not zeros alone. */
static bool has_digits(const char *text, size_t begin, size_t end, bool *ret_some)
{
	*ret_some = false;
	if (begin > 0 && text[begin++] != '-')
		return false;
	for (size_t i = begin; i < end; i++) {
		if (!ascii_is_digit(text[i]) && !(text[i] >= 'a' && text[i] <= 'f'))
			return false;
		*ret_some |= text[i] != '0';
	}
	return true;
}

struct slice accesslog_traceparent(struct slice value)
{
	bool later, trace, parent, flags;

	if (value.n < FLAGS_END || !has_digits(value.p, 0, VERSION_END, &later) ||
	    !has_digits(value.p, VERSION_END, TRACE_END, &trace) ||
	    !has_digits(value.p, TRACE_END, PARENT_END, &parent) ||
	    !has_digits(value.p, PARENT_END, FLAGS_END, &flags) || !trace || !parent ||
	    (value.p[0] == 'f' && value.p[1] == 'f'))
		return slice_of("", 0);
	/* Later versions may have more behind a dash. */
	if (value.n > FLAGS_END && (!later || value.p[FLAGS_END] != '-'))
		return slice_of("", 0);
	return slice_of(value.p, FLAGS_END);
}
