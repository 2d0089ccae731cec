/* Host names: normal form and domains. */
#include "proxy/base/hostname.h"

#include "cache/base/ascii.h"
#include "cache/http/uri.h"

static bool is_name_byte(char c)
{
	return ascii_is_digit(c) || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
}

size_t hostname_normal(struct slice host, char to[static HOSTNAME_MAX])
{
	size_t label = 0; /* where it starts */
	size_t i;

	if (host.n > 0 && host.p[host.n - 1] == '.')
		host.n--;
	if (host.n == 0 || host.n > HOSTNAME_MAX)
		return 0;
	for (i = 0; i < host.n; i++) {
		char c = host.p[i];

		to[i] = ascii_lower(c);
		if (c == '.') {
			if (i == label)
				return 0;
			label = i + 1;
		} else if (!is_name_byte(to[i]) || i - label >= HOSTNAME_LABEL_MAX) {
			return 0;
		}
	}
	if (host.n == label || http_label_is_number(slice_of(to + label, host.n - label)))
		return 0;
	return host.n;
}

bool hostname_is_within(struct slice name, struct slice domain)
{
	struct slice end;

	if (name.n < domain.n)
		return false;
	end = slice_of(name.p + (name.n - domain.n), domain.n);
	return slice_eq(end, domain) && (name.n == domain.n || end.p[-1] == '.');
}
