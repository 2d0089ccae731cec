/* Values as an operator writes them, to plain numbers and back. */
#include "conf/units.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cache/base/decimal.h"

struct unit {
	const char *name;
	int64_t factor;
};

/* Largest first, for writing. */
static const struct unit size_units[] = {
	{"GiB", (int64_t)1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {NULL, 0},
};
static const struct unit duration_units[] = {
	{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0},
};

/* Digits at the start of `text`; the rest of it, or NULL when there is none. */
static const char *parse_digits(const char *text, int64_t *ret)
{
	struct decimal number = decimal_take(slice_str(text), UNITS_MAX);

	if (number.digits == 0)
		return NULL;
	*ret = (int64_t)number.number;
	return text + number.digits;
}

static bool parse_with_unit(const char *text, const struct unit *units, int64_t *ret)
{
	int64_t number;
	const char *rest = parse_digits(text, &number);

	if (rest == NULL)
		return false;
	if (*rest == ' ')
		rest++;
	for (const struct unit *unit = units; unit->name != NULL; unit++) {
		if (strcmp(rest, unit->name) != 0)
			continue;
		if (__builtin_mul_overflow(number, unit->factor, ret))
			*ret = UNITS_MAX;
		return true;
	}
	return false;
}

static void write_with_unit(int64_t number, const struct unit *units, char *to)
{
	const struct unit *unit = units;

	while (unit[1].name != NULL && (number % unit->factor != 0 || number < unit->factor))
		unit++;
	if (number == 0)
		snprintf(to, UNITS_TEXT, "0");
	else
		snprintf(to, UNITS_TEXT, "%" PRId64 "%s", number / unit->factor, unit->name);
}

bool units_parse_count(const char *text, int64_t *ret)
{
	int64_t number;
	const char *rest = parse_digits(text, &number);

	if (rest == NULL || *rest)
		return false;
	*ret = number;
	return true;
}

bool units_parse_size(const char *text, int64_t *ret)
{
	return units_parse_count(text, ret) || parse_with_unit(text, size_units, ret);
}

bool units_parse_duration(const char *text, int64_t *ret)
{
	int64_t number;

	if (units_parse_count(text, &number) && number == 0) {
		*ret = 0;
		return true;
	}
	return parse_with_unit(text, duration_units, ret);
}

/* Spellings seen elsewhere, in any case, as a set with spaces around each. */
struct spelling {
	const char *names, *unit;
};

static bool guess(const char *text, const struct spelling *spellings, char *to)
{
	int64_t number;
	const char *rest = parse_digits(text, &number);
	char name[16];

	if (rest == NULL || number == UNITS_MAX)
		return false;
	rest += strspn(rest, " ");
	if (snprintf(name, sizeof(name), " %s ", rest) >= (int)sizeof(name))
		return false;
	for (; spellings->names != NULL; spellings++)
		if (strcasestr(spellings->names, name) != NULL)
			return snprintf(to, UNITS_TEXT, "%" PRId64 "%s", number, spellings->unit) <
			       UNITS_TEXT;
	return false;
}

bool units_guess_size(const char *text, char *to)
{
	static const struct spelling spellings[] = {
		{" b byte bytes ", "B"},
		{" k kb kib kilobytes ", "KiB"},
		{" m mb mib megabytes ", "MiB"},
		{" g gb gib gigabytes ", "GiB"},
		{NULL, NULL},
	};

	return guess(text, spellings, to);
}

bool units_guess_duration(const char *text, char *to)
{
	static const struct spelling spellings[] = {
		{" ms msec msecs millisecond milliseconds ", "ms"},
		{" s sec secs second seconds ", "s"},
		{" m min mins minute minutes ", "m"},
		{" h hr hrs hour hours ", "h"},
		{" d day days ", "d"},
		{NULL, NULL},
	};

	return guess(text, spellings, to);
}

bool units_parse_ports(const char *text, uint16_t *ret_first, uint16_t *ret_last)
{
	int64_t first = 0, last;
	const char *rest = parse_digits(text, &first);

	if (strcmp(text, "*") == 0) {
		*ret_first = 1;
		*ret_last = UINT16_MAX;
		return true;
	}
	last = first;
	if (rest != NULL && *rest == '-')
		rest = rest[1] == '0' ? NULL : parse_digits(rest + 1, &last);
	if (rest == NULL || *rest || *text == '0' || last < first || last > UINT16_MAX)
		return false;
	*ret_first = (uint16_t)first;
	*ret_last = (uint16_t)last;
	return true;
}

bool units_parse_switch(const char *text, bool *ret)
{
	static const char *const on[] = {"on", "yes", "true"}, *const off[] = {"off", "no",
									       "false"};

	for (size_t i = 0; i < sizeof(on) / sizeof(*on); i++) {
		bool is_on = strcasecmp(text, on[i]) == 0;

		if (is_on || strcasecmp(text, off[i]) == 0) {
			*ret = is_on;
			return true;
		}
	}
	return false;
}

void units_write_size(int64_t bytes, char *to)
{
	write_with_unit(bytes, size_units, to);
}

void units_write_duration(int64_t ms, char *to)
{
	write_with_unit(ms, duration_units, to);
}

/* A numeric address of `length` bytes; writes its network form and returns the family, or 0. */
static int parse_host(const char *text, size_t length, bool bracketed, uint8_t address[16])
{
	char host[UNITS_HOST];

	if (length >= sizeof(host))
		return 0;
	memcpy(host, text, length);
	host[length] = '\0';
	if (!bracketed && inet_pton(AF_INET, host, address) == 1)
		return AF_INET;
	return inet_pton(AF_INET6, host, address) == 1 ? AF_INET6 : 0;
}

bool units_parse_address(const char *text, char *ret_host, uint16_t *ret_port)
{
	const char *colon = strrchr(text, ':');
	bool bracketed = *text == '[';
	uint8_t address[16];
	int64_t port;
	int family;

	if (colon == NULL || strlen(colon + 1) > 5 || !units_parse_count(colon + 1, &port) ||
	    port > UINT16_MAX)
		return false;
	if (bracketed && (colon < text + 2 || colon[-1] != ']'))
		return false;
	if (bracketed)
		family = parse_host(text + 1, (size_t)(colon - text) - 2, true, address);
	else
		family = parse_host(text, (size_t)(colon - text), false, address);
	if (family == 0 || bracketed != (family == AF_INET6))
		return false;
	inet_ntop(family, address, ret_host, UNITS_HOST);
	*ret_port = (uint16_t)port;
	return true;
}

bool units_parse_network(const char *text, struct units_network *ret)
{
	const char *slash = strchrnul(text, '/');
	struct units_network network = {0};
	int64_t bits;

	network.family = parse_host(text, (size_t)(slash - text), false, network.address);
	if (network.family == 0)
		return false;
	network.bits = network.family == AF_INET ? 32 : 128;
	if (*slash) {
		if (!units_parse_count(slash + 1, &bits) || bits > network.bits)
			return false;
		network.bits = (unsigned)bits;
	}
	*ret = network;
	return true;
}

bool units_network_mask(struct units_network *network)
{
	bool masked = false;

	for (unsigned i = network->bits; i < (network->family == AF_INET ? 32 : 128); i++) {
		uint8_t bit = (uint8_t)(0x80 >> i % 8);

		masked |= network->address[i / 8] & bit;
		network->address[i / 8] &= (uint8_t)~bit;
	}
	return masked;
}
