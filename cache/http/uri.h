/*
 * Request targets, and the normal form of a target URI that keys are made of (RFC 9112 3.2, RFC
 * 9110 4.2, RFC 3986).
 */
#ifndef CACHE_HTTP_URI_H
#define CACHE_HTTP_URI_H

#include <stdint.h>

#include "cache/base/slice.h"

enum http_scheme { SCHEME_HTTP, SCHEME_HTTPS };

/*
 * A parsed absolute-form or authority-form target, as views of the target's bytes.  `host` is a
 * registered name or IPv4 address, or an IPv6 address with its brackets; case as received.
 */
struct http_uri {
	enum http_scheme scheme;
	struct slice host;
	uint16_t port;       /* the scheme's default when absent; never 0 */
	struct slice path;   /* path and query byte for byte as received, "" when empty */
	struct slice normal; /* the whole target if it is in normal form already, else empty */
};

enum http_uri_result {
	URI_OK,
	URI_BAD,        /* malformed, or a host or port that is refused */
	URI_USERINFO,   /* "user@" before the host */
	URI_FRAGMENT,   /* '#' */
	URI_NO_PORT,    /* a host alone */
	URI_BAD_SCHEME, /* well formed, but neither http nor https */
};

enum { URI_HOST_MAX = 255, URI_LABEL_MAX = 63 };

/*
 * absolute-form.  Refused (HAZARDS T3, T4): userinfo, empty host, bad brackets, zone ids, labels
 * over 63, names over 253, '#', controls, SP and DEL anywhere, other bytes that RFC 3986 does not
 * have in the authority (in path and query they stay as they are), port that is not 1-65535 in at
 * most 5 digits (an empty port after the colon too).
 */
enum http_uri_result http_uri_parse_absolute(struct slice target, struct http_uri *ret_uri);

/*
 * authority-form of CONNECT: host ":" port and nothing else.  scheme is SCHEME_HTTPS, path empty.
 */
enum http_uri_result http_uri_parse_authority(struct slice target, struct http_uri *ret_uri);

/* path and query of an origin-form target ("/..."): bytes are checked as above. */
bool http_uri_path_is_valid(struct slice path);

/* A Host value: uri-host [ ":" port ], checked as above.  Empty is invalid here. */
bool http_host_is_valid(struct slice host);

/*
 * Whether some software would read a label as a number: all digits, or 0x followed by any number of
 * hexadecimal digits.
 */
bool http_label_is_number(struct slice label);

uint16_t http_scheme_port(enum http_scheme scheme);

/* The same scheme, host and port (RFC 9110 4.3.1). */
bool http_uri_same_origin(const struct http_uri *a, const struct http_uri *b);

/*
 * Normal form of a host that http_uri_parse_absolute() or http_host_is_valid() took: in lower case,
 * an IPv6 address as RFC 5952 writes it; an IPv4 address within IPv6 stays another host than that
 * one.  At most URI_HOST_MAX bytes; returns the length.
 */
size_t http_host_normal(struct slice host, char *to);

/* Two such hosts are the same: names in any case, addresses in any spelling. */
bool http_host_is_same(struct slice a, struct slice b);

/*
 * Normal form: scheme in lower case, host as http_host_normal() has it, default port dropped, empty path "/", nothing else
 * touched (no %-decoding, no dot segments).  Needs http_uri_normal_max(uri) bytes at most; returns
 * the length written.  Two URIs are the same for the cache when these bytes are.
 */
size_t http_uri_normal_max(const struct http_uri *uri);
size_t http_uri_normal(const struct http_uri *uri, char *to);

/*
 * "host[:port]" for the Host field, host as http_host_normal() has it, default port of the scheme dropped; at most
 * URI_HOST_MAX + 6 bytes.
 */
size_t http_uri_authority(const struct http_uri *uri, char *to);

/* The digits of a port, 5 at most; returns how many. */
size_t http_port_write(uint16_t port, char *to);

/*
 * Resolve a Location or Content-Location reference (absolute, //authority, /path, relative path,
 * ?query) against a base (RFC 3986 5.2, dot segments removed when merging).  Writes the normal form
 * of the result, fragment dropped, into `to` (at most `size` bytes) and its length to *ret_length.
 * False when it is malformed, too long, or not of the same origin (scheme, host, port) as `base`.
 */
bool http_uri_resolve_same_origin(const struct http_uri *base, struct slice reference, char *to,
				  size_t size, size_t *ret_length);

/*
 * Whether a reference, resolved against this URI, is the same URI in normal form.  False also when
 * out of memory.
 */
bool http_uri_refers_to(const struct http_uri *uri, struct slice reference);

#endif
