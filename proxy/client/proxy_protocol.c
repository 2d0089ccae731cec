/* The PROXY protocol's header, versions 1 and 2. */
#include "proxy/client/proxy_protocol.h"

#include "cache/base/decimal.h"

/* ---- version 1: "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443" CRLF ----------------------------- */

static const struct slice v1_start = {"PROXY ", 6};

/* Up to the next space, which is taken too, or the end. */
static struct slice take_word(struct slice *line)
{
	const char *space = memchr(line->p, ' ', line->n);
	struct slice word = slice_of(line->p, space != NULL ? (size_t)(space - line->p) : line->n);
	size_t taken = word.n + (space != NULL ? 1 : 0);

	*line = slice_of(line->p + taken, line->n - taken);
	return word;
}

/* 0 to 65535 in decimal, without leading zeros. */
static bool read_port(struct slice word, uint16_t *ret_port)
{
	uint64_t port;

	if (word.n > 5 || (word.n > 1 && word.p[0] == '0') ||
	    !decimal_read(word, UINT16_MAX, &port))
		return false;
	*ret_port = (uint16_t)port;
	return true;
}

static bool read_address(struct slice word, sa_family_t family, union address *ret_address)
{
	return word.n > 0 && word.p[0] != '[' && address_parse(word, ret_address) &&
	       ret_address->any.sa_family == family;
}

/* What follows the name of the family: two addresses, two ports, and no space too many. */
static bool read_v1_addresses(struct slice line, sa_family_t family, union address *ret_source)
{
	union address target;
	uint16_t port, target_port;

	if (!read_address(take_word(&line), family, ret_source) ||
	    !read_address(take_word(&line), family, &target) ||
	    !read_port(take_word(&line), &port) || !read_port(line, &target_port))
		return false;
	address_set_port(ret_source, port);
	return true;
}

static bool read_v1_line(struct slice line, struct proxy_header *ret_header)
{
	struct slice family;

	*ret_header = (struct proxy_header){.local = false};
	line = slice_of(line.p + v1_start.n, line.n - v1_start.n);
	family = take_word(&line);
	if (slice_eq(family, SLICE("UNKNOWN")))
		return true; /* the rest of the line says nothing */
	if (slice_eq(family, SLICE("TCP4")))
		return read_v1_addresses(line, AF_INET, &ret_header->source);
	return slice_eq(family, SLICE("TCP6")) &&
	       read_v1_addresses(line, AF_INET6, &ret_header->source);
}

static enum proxy_header_result parse_v1(struct slice bytes, struct proxy_header *ret_header,
					 size_t *ret_length)
{
	size_t most = bytes.n < PROXY_HEADER_V1_MAX ? bytes.n : PROXY_HEADER_V1_MAX;
	const char *cr = memchr(bytes.p, '\r', most);
	struct slice line;

	if (cr == NULL) {
		/* A bare LF will not become right by what follows. */
		if (most == PROXY_HEADER_V1_MAX || memchr(bytes.p, '\n', most) != NULL)
			return PROXY_HEADER_BAD;
		return PROXY_HEADER_MORE;
	}
	line = slice_of(bytes.p, (size_t)(cr - bytes.p));
	if (line.n + 2 > PROXY_HEADER_V1_MAX || memchr(line.p, '\n', line.n) != NULL)
		return PROXY_HEADER_BAD;
	if (bytes.n < line.n + 2)
		return PROXY_HEADER_MORE;
	if (cr[1] != '\n' || line.n < v1_start.n || !read_v1_line(line, ret_header))
		return PROXY_HEADER_BAD;
	*ret_length = line.n + 2;
	return PROXY_HEADER_DONE;
}

/* ---- version 2: signature, command, family, length, addresses, TLVs ------------------------- */

static const struct slice v2_signature = {"\r\n\r\n\0\r\nQUIT\n", 12};

enum {
	V2_HEAD = 16,
	V2_LOCAL = 0x20,
	V2_PROXY = 0x21,
	V2_UNSPEC = 0x00,
	V2_TCP4 = 0x11,
	V2_TCP6 = 0x21,
	V2_UNIX_STREAM = 0x31,
	TLV_HEAD = 3, /* type, length */
};

static size_t read_16(const unsigned char *p)
{
	return (size_t)p[0] << 8 | p[1];
}

/* Type, length, value until the end: whatever they say, they fit. */
static bool tlvs_fit(const unsigned char *p, size_t n)
{
	while (n > 0) {
		size_t length;

		if (n < TLV_HEAD)
			return false;
		length = TLV_HEAD + read_16(p + 1);
		if (length > n)
			return false;
		p += length;
		n -= length;
	}
	return true;
}

/* Bytes of addresses and ports of a family over a stream; false for any other. */
static bool v2_addresses_size(unsigned family, size_t *ret_size)
{
	switch (family) {
	case V2_UNSPEC:
		*ret_size = 0;
		return true;
	case V2_TCP4:
		*ret_size = 2 * 4 + 2 * 2;
		return true;
	case V2_TCP6:
		*ret_size = 2 * 16 + 2 * 2;
		return true;
	case V2_UNIX_STREAM:
		*ret_size = 2 * 108;
		return true;
	default:
		return false;
	}
}

static bool read_v2_block(unsigned family, const unsigned char *p, size_t n,
			  struct proxy_header *ret_header)
{
	size_t size;

	if (!v2_addresses_size(family, &size) || n < size)
		return false;
	if (family == V2_TCP4) {
		ret_header->source = address_from_bytes(AF_INET, p);
		address_set_port(&ret_header->source, (uint16_t)read_16(p + 8));
	} else if (family == V2_TCP6) {
		ret_header->source = address_from_bytes(AF_INET6, p);
		address_set_port(&ret_header->source, (uint16_t)read_16(p + 32));
	}
	/* After an unknown family it is unknown what follows. */
	return family == V2_UNSPEC || tlvs_fit(p + size, n - size);
}

static enum proxy_header_result parse_v2(struct slice bytes, struct proxy_header *ret_header,
					 size_t *ret_length)
{
	const unsigned char *p = (const unsigned char *)bytes.p;
	size_t length;

	/* Each byte is judged when it comes. */
	if (bytes.n > 12 && p[12] != V2_LOCAL && p[12] != V2_PROXY)
		return PROXY_HEADER_BAD;
	if (bytes.n < V2_HEAD)
		return PROXY_HEADER_MORE;
	length = V2_HEAD + read_16(p + 14);
	if (length > PROXY_HEADER_MAX)
		return PROXY_HEADER_BAD;
	if (bytes.n < length)
		return PROXY_HEADER_MORE;
	*ret_header = (struct proxy_header){.local = p[12] == V2_LOCAL};
	/* Of a local connection the rest is to be ignored. */
	if (!ret_header->local && !read_v2_block(p[13], p + V2_HEAD, length - V2_HEAD, ret_header))
		return PROXY_HEADER_BAD;
	*ret_length = length;
	return PROXY_HEADER_DONE;
}

/* ---- either --------------------------------------------------------------------------------- */

static bool begins(struct slice bytes, struct slice with)
{
	size_t n = bytes.n < with.n ? bytes.n : with.n;

	return memcmp(bytes.p, with.p, n) == 0;
}

enum proxy_header_result proxy_header_parse(struct slice bytes, struct proxy_header *ret_header,
					    size_t *ret_length)
{
	if (bytes.n == 0)
		return PROXY_HEADER_MORE;
	if (begins(bytes, v1_start))
		return parse_v1(bytes, ret_header, ret_length);
	if (!begins(bytes, v2_signature))
		return PROXY_HEADER_BAD;
	return bytes.n < v2_signature.n ? PROXY_HEADER_MORE
					: parse_v2(bytes, ret_header, ret_length);
}
