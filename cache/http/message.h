/*
 * HTTP messages as the rules see them: a request or a response head, as views of the bytes it came
 * in.
 *
 * Nothing here owns memory.  A message is valid as long as the buffer it was parsed from and the
 * field array it was given; http_request_copy() copies a request to memory of its own.
 */
#ifndef CACHE_HTTP_MESSAGE_H
#define CACHE_HTTP_MESSAGE_H

#include "cache/http/fields.h"
#include "cache/http/uri.h"

/*
 * The methods of cache/http/methods.def.  METHOD_OTHER is any other token: forwarded, never stored,
 * and not known to be safe, so it invalidates (RFC 9111 4.4).
 */
enum http_method {
#define METHOD(id, name, safe, idempotent) METHOD_##id,
#include "cache/http/methods.def"
#undef METHOD
	METHOD_OTHER,
};

/* How the length of a body is given (RFC 9112 6.3). */
enum http_body {
	BODY_NONE,
	BODY_LENGTH, /* content_length bytes, more than 0 */
	BODY_CHUNKED,
	BODY_UNTIL_CLOSE, /* responses only */
};

/* Which of the four forms the request target has (RFC 9112 3.2). */
enum http_target {
	TARGET_ABSOLUTE,
	TARGET_ORIGIN,
	TARGET_AUTHORITY, /* CONNECT */
	TARGET_ASTERISK,  /* OPTIONS */
};

struct conf_rule;

struct http_request {
	enum http_method method;
	enum http_target form;
	struct slice method_name;
	struct slice target; /* as received */
	bool target_read;    /* `target` was parsed into `form` and `uri`; else arbitrary bytes */
	/*
	 * An HTTP/1.0 client asked for its connection to be kept, which an origin may grant but a
	 * proxy must not (RFC 9112 9.3); `keep_alive` is false then.
	 */
	bool asks_keep_alive;
	struct http_uri uri; /* of absolute-form and authority-form; of origin-form only the path */
	uint8_t version_minor;
	bool keep_alive; /* the client allows another request on the connection */
	bool expect_continue;
	bool upgrade; /* asks for another protocol, and that is passed on (RFC 9110 7.8) */
	enum http_body body;
	uint64_t content_length; /* with BODY_LENGTH */
	struct http_fields fields;
	const struct conf_rule *rule; /* that decides for `uri` (policy/rule.h); NULL for none */
};

struct http_response {
	uint16_t status;
	uint8_t version_minor;
	bool keep_alive;
	bool framing_trouble; /* a 204 that announced a body (RULES: repaired, not stored) */
	bool mended;          /* broke the grammar: passed on corrected, not stored */
	enum http_body body;
	uint64_t content_length;
	struct http_fields fields;
};

/* Whether the method is known to be safe (RFC 9110 9.2.1). */
static inline bool http_method_is_safe(enum http_method method)
{
	static const bool safe_methods[] = {
#define METHOD(id, name, safe, idempotent) [METHOD_##id] = (safe),
#include "cache/http/methods.def"
#undef METHOD
		[METHOD_OTHER] = false,
	};

	return safe_methods[method];
}

/* Known to be idempotent: a lost connection may be retried (RFC 9110 9.2.2). */
static inline bool http_method_is_idempotent(enum http_method method)
{
	static const bool idempotent_methods[] = {
#define METHOD(id, name, safe, idempotent) [METHOD_##id] = (idempotent),
#include "cache/http/methods.def"
#undef METHOD
		[METHOD_OTHER] = false,
	};

	return idempotent_methods[method];
}

/*
 * Bytes that a copy of a request needs, and the copy: everything it points to is copied into
 * `memory` (aligned for struct http_field), and *to is a message that depends on `memory` alone.
 */
size_t http_request_copy_size(const struct http_request *from);
void http_request_copy(struct http_request *to, const struct http_request *from, void *memory);

#endif
