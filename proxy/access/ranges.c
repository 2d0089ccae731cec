/* What kind of place an address is. */
#include "proxy/access/ranges.h"

#include <stdlib.h>

/* The kinds of ranges.def. */
enum row_kind {
	NEVER,
	PRIVATE,
	EMBEDS_NAT64,
	EMBEDS_NAT64_LOCAL,
	EMBEDS_TEREDO,
	EMBEDS_6TO4,
};

static const struct {
	struct slice text;
	enum row_kind kind;
} rows[] = {
#define RANGE(network, kind, why) {{network, sizeof(network) - 1}, kind},
#include "proxy/access/ranges.def"
#undef RANGE
};

enum { ROW_COUNT = sizeof(rows) / sizeof(rows[0]) };

static struct network networks[ROW_COUNT];

/* Filled before main(), so that the table can be text; constant after. */
__attribute__((constructor)) static void networks_fill(void)
{
	unsigned i;

	for (i = 0; i < ROW_COUNT; i++)
		if (!network_parse(rows[i].text, &networks[i]))
			abort(); /* a slip in ranges.def: no program that links it starts */
}

/* The first row that has the address, or ROW_COUNT. */
static unsigned row_of(const union address *address)
{
	unsigned i;

	for (i = 0; i < ROW_COUNT; i++)
		if (network_has(&networks[i], address))
			break;
	return i;
}

/*
 * Where the four IPv4 bytes are in the 16 of an address with the prefix of RFC 6052 2.2: the ninth
 * byte is left out.
 */
static const uint8_t nat64_places[RANGE_EMBEDDED_MAX][4] = {
	{6, 7, 9, 10},    /* of 48 bits */
	{7, 9, 10, 11},   /* of 56 bits */
	{9, 10, 11, 12},  /* of 64 bits */
	{12, 13, 14, 15}, /* of 96 bits */
};

/*
 * All readings but those in 0.0.0.0/8, which are what the wrong ones of an ordinary address give.
 */
static unsigned read_local_nat64(const uint8_t *bytes, union address *ret_embedded)
{
	unsigned count = 0;
	unsigned i;

	for (i = 0; i < RANGE_EMBEDDED_MAX; i++) {
		const uint8_t *place = nat64_places[i];
		uint8_t v4[4] = {bytes[place[0]], bytes[place[1]], bytes[place[2]],
				 bytes[place[3]]};

		if (v4[0] != 0)
			ret_embedded[count++] = address_from_bytes(AF_INET, v4);
	}
	return count;
}

/* The server's address is plain, the client's has all bits inverted (RFC 4380 4). */
static unsigned read_teredo(const uint8_t *bytes, union address *ret_embedded)
{
	uint8_t client[4] = {(uint8_t)~bytes[12], (uint8_t)~bytes[13], (uint8_t)~bytes[14],
			     (uint8_t)~bytes[15]};

	ret_embedded[0] = address_from_bytes(AF_INET, bytes + 4);
	ret_embedded[1] = address_from_bytes(AF_INET, client);
	return 2;
}

static unsigned read_embedded(const union address *address, unsigned row,
			      union address *ret_embedded)
{
	const uint8_t *bytes = address_bytes(address);

	if (row == ROW_COUNT)
		return 0;
	switch (rows[row].kind) {
	case EMBEDS_NAT64:
		ret_embedded[0] = address_from_bytes(AF_INET, bytes + 12);
		return 1;
	case EMBEDS_NAT64_LOCAL:
		return read_local_nat64(bytes, ret_embedded);
	case EMBEDS_TEREDO:
		return read_teredo(bytes, ret_embedded);
	case EMBEDS_6TO4:
		ret_embedded[0] = address_from_bytes(AF_INET, bytes + 2);
		return 1;
	case NEVER:
	case PRIVATE:
		break;
	}
	return 0;
}

unsigned range_embedded(const union address *address,
			union address ret_embedded[static RANGE_EMBEDDED_MAX])
{
	unsigned count = read_embedded(address, row_of(address), ret_embedded);
	unsigned i;

	for (i = 0; i < count; i++)
		address_set_port(&ret_embedded[i], address_port(address));
	return count;
}

/* RANGE_PUBLIC when it stands for public addresses only, and at least one. */
static enum range_kind kind_of_embedded(const union address *address, unsigned row)
{
	union address embedded[RANGE_EMBEDDED_MAX];
	unsigned count = read_embedded(address, row, embedded);
	unsigned i;

	for (i = 0; i < count; i++)
		if (row_of(&embedded[i]) != ROW_COUNT)
			return RANGE_NEVER;
	return count > 0 ? RANGE_PUBLIC : RANGE_NEVER;
}

enum range_kind range_kind(const union address *address)
{
	union address plain = address_unmapped(address);
	unsigned row = row_of(&plain);

	if (row == ROW_COUNT) {
		/* Of IPv6 only 2000::/3 is given out (RFC 4291 2.4). */
		if (plain.any.sa_family == AF_INET6 && address_bytes(&plain)[0] >> 5 != 1)
			return RANGE_NEVER;
		return RANGE_PUBLIC;
	}
	if (rows[row].kind == NEVER)
		return RANGE_NEVER;
	if (rows[row].kind == PRIVATE)
		return RANGE_PRIVATE;
	return kind_of_embedded(&plain, row);
}
