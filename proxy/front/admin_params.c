/* The parameters in the target of an operator's page. */
#include "proxy/front/admin_params.h"

#include <stdlib.h>
#include <string.h>

#include "cache/base/ascii.h"

bool admin_params_begin(struct admin_params *params, struct slice target)
{
	const char *query = memchr(target.p, '?', target.n);
	size_t before = query != NULL ? (size_t)(query - target.p) + 1 : target.n;

	*params = (struct admin_params){.rest = slice_of(target.p + before, target.n - before)};
	params->memory = params->at = malloc(params->rest.n + 1);
	return params->memory != NULL;
}

void admin_params_end(struct admin_params *params)
{
	free(params->memory);
	*params = (struct admin_params){0};
}

/* The byte that begins at `encoded`, and how many characters it has; -1 for none. */
static int decode_byte(struct slice encoded, size_t *ret_n)
{
	int high, low;

	*ret_n = 1;
	if (encoded.p[0] != '%')
		return encoded.p[0] == '+' ? ' ' : (unsigned char)encoded.p[0];
	if (encoded.n < 3)
		return -1;
	*ret_n = 3;
	high = ascii_hex(encoded.p[1]);
	low = ascii_hex(encoded.p[2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static struct slice decode(struct admin_params *params, struct slice encoded)
{
	char *begin = params->at;
	size_t n;

	for (; encoded.n > 0; encoded = slice_of(encoded.p + n, encoded.n - n)) {
		int byte = decode_byte(encoded, &n);

		if (byte < 0) {
			params->bad = true;
			break;
		}
		*params->at++ = (char)byte;
	}
	return slice_of(begin, (size_t)(params->at - begin));
}

static bool begins_with(struct slice s, struct slice prefix)
{
	return s.n >= prefix.n && memcmp(s.p, prefix.p, prefix.n) == 0;
}

static bool is_uri_as_it_is(struct slice s)
{
	return begins_with(s, SLICE("http://")) || begins_with(s, SLICE("https://"));
}

/* What stands before any of `ends`, or all, taken from the rest. */
static struct slice cut(struct slice *rest, const char *ends)
{
	size_t n = 0;
	struct slice taken;

	while (n < rest->n && strchr(ends, rest->p[n]) == NULL)
		n++;
	taken = slice_of(rest->p, n);
	*rest = slice_of(rest->p + n, rest->n - n);
	return taken;
}

static void skip(struct slice *rest)
{
	*rest = slice_of(rest->p + 1, rest->n - 1);
}

bool admin_params_next(struct admin_params *params, struct slice *ret_name, struct slice *ret_value)
{
	struct slice *rest = &params->rest;

	*ret_value = slice_of("", 0);
	if (params->bad || rest->n == 0)
		return false;
	*ret_name = decode(params, cut(rest, "=&"));
	if (rest->n > 0 && rest->p[0] == '=') {
		skip(rest);
		*ret_value =
			is_uri_as_it_is(*rest) ? cut(rest, "") : decode(params, cut(rest, "&"));
	}
	if (rest->n > 0)
		skip(rest);
	return !params->bad;
}
