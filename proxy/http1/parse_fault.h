/*
 * Where a head that was refused is wrong: "line 3, byte 8: 0x00 in a value", for the log.
 *
 * The parser (parse.h) decides, as fast as it can, and does not say where; this looks again, once
 * it has failed.  The text has positions, single bytes in hexadecimal and names of our own, never
 * what a peer sent: that may be a password (HAZARDS M3).  Pure.
 */
#ifndef PROXY_HTTP1_PARSE_FAULT_H
#define PROXY_HTTP1_PARSE_FAULT_H

#include "cache/base/slice.h"
#include "proxy/base/failure.h"

enum { PARSE_FAULT_SIZE = 128 };

/*
 * `bytes` begin with the head as far as it came, and parse_request() failed on it with `failure`.
 * "" when its lines are right one by one.  Bytes and lines count from 1, empty lines before the
 * head do not.  Returns `to`.
 */
const char *parse_fault_request(struct slice bytes, enum failure failure,
				char to[static PARSE_FAULT_SIZE]);

/* The same of a response; what is mended (mend.h) is no fault. */
const char *parse_fault_response(struct slice bytes, char to[static PARSE_FAULT_SIZE]);

#endif
