/*
 * How long the steps on the way to an origin took, each by itself: the client's slowness is in
 * none.  Those that succeeded are in the histograms of the same names.
 */
#ifndef PROXY_STATS_ORIGIN_TIMES_H
#define PROXY_STATS_ORIGIN_TIMES_H

#include <stdint.h>

/* Of one request, in microseconds; 0 for a step that was not made, else 1 at least. */
struct origin_times {
	uint32_t dns_us;        /* asked of name servers, to their answer */
	uint32_t connect_us;    /* first connect begun, to one established */
	uint32_t tls_us;        /* handshake begun, to its end */
	uint32_t first_byte_us; /* last byte of the request sent, to the first of the final head */
};

/* For a member of it. */
static inline uint32_t origin_time_us(int64_t since_us, int64_t now_us)
{
	int64_t us = now_us - since_us;

	return us < 1 ? 1 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

#endif
