/* Host names: normal form and domains. */
#include "proxy/base/hostname.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name_byte(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
}

/* All digits, or 0x and hexadecimal digits, maybe none: the forms inet_aton() and browsers read. */
static bool is_number(const char *label, size_t n)
{
	bool hex = n >= 2 && label[0] == '0' && label[1] == 'x';
	size_t i;

	for (i = hex ? 2 : 0; i < n; i++)
		if (!is_digit(label[i]) && !(hex && label[i] >= 'a' && label[i] <= 'f'))
			return false;
	return true;
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

		to[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
		if (c == '.') {
			if (i == label)
				return 0;
			label = i + 1;
		} else if (!is_name_byte(to[i]) || i - label >= HOSTNAME_LABEL_MAX) {
			return 0;
		}
	}
	if (host.n == label || is_number(to + label, host.n - label))
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
