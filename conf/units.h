/*
 * Values as an operator writes them: numbers, sizes, durations, switches, addresses, networks.
 *
 * Pure, no allocation.  A parser takes the whole text, without space around it; for a malformed
 * text it returns false and does not set *ret.  A number too large for any bound saturates at
 * UNITS_MAX, so that the check of bounds refuses it.
 */
#ifndef CONF_UNITS_H
#define CONF_UNITS_H

#include <stdbool.h>
#include <stdint.h>

#define UNITS_MAX INT64_MAX
enum { UNITS_TEXT = 32, UNITS_HOST = 46 };

/* Decimal digits. */
bool units_parse_count(const char *text, int64_t *ret);

/* Bytes: a number, then B, KiB, MiB, GiB or nothing, with or without a space between. */
bool units_parse_size(const char *text, int64_t *ret);

/* Milliseconds: a number, then ms, s, m, h or d; 0 needs no unit. */
bool units_parse_duration(const char *text, int64_t *ret);

/*
 * Suggest the right spelling for a malformed size or duration with a unit in another spelling
 * ("16MB", "5 sec").  False when there is none.  `to` has UNITS_TEXT bytes.
 */
bool units_guess_size(const char *text, char *to);
bool units_guess_duration(const char *text, char *to);

/* on|off, yes|no, true|false, any case. */
bool units_parse_switch(const char *text, bool *ret);

/* The exact value in the largest unit that needs no fraction; `to` has UNITS_TEXT bytes. */
void units_write_size(int64_t bytes, char *to);
void units_write_duration(int64_t ms, char *to);

/*
 * ADDRESS:PORT with a numeric IPv4 address, or [ADDRESS]:PORT with an IPv6 one, and a port from 0
 * to 65535.  `ret_host` has UNITS_HOST bytes and gets the address without brackets in its normal
 * form.
 */
bool units_parse_address(const char *text, char *ret_host, uint16_t *ret_port);

/* A port from 1 to 65535, or FIRST-LAST of them, or * for all. */
bool units_parse_ports(const char *text, uint16_t *ret_first, uint16_t *ret_last);

/* ADDRESS or ADDRESS/BITS.  The address is in network order; 4 bytes of it count for AF_INET. */
struct units_network {
	int family;
	unsigned bits;
	uint8_t address[16];
};

bool units_parse_network(const char *text, struct units_network *ret);

/* Clears the bits beyond `bits`; true when one of them was set. */
bool units_network_mask(struct units_network *network);

#endif
