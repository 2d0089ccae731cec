/*
 * The selecting fields of a variant (RFC 9111 4.1), as a block of bytes that is compared record by
 * record within the entry of a URI.
 */
#ifndef CACHE_RECORD_VARY_H
#define CACHE_RECORD_VARY_H

#include "cache/http/message.h"
#include "cache/record/accept_language.h"

/* Requests with up to so many lines are searched by hashes, larger ones name by name. */
enum { VARY_LINES_MAX = 512 };

/*
 * The selecting fields as a block of bytes: for each name that Vary lists, in the order of
 * http_vary_names(), the name in lower case and the request's value as it is sent on, or its
 * absence.  Values are the lines joined with ", ", with normalised white space around commas
 * (outside of quoted strings), and Accept-Language in its normal form (accept_language.h).  So two
 * requests select the same response when their blocks are equal.  Returns the length; 0 without
 * Vary; SIZE_MAX when it does not fit or http_vary_names() fails: no request matches such a
 * response.
 */
size_t vary_write(const struct http_fields *response, const struct http_request *req, char *to,
		  size_t size);

/* One name of a block, and the value of the request that it was made from. */
struct vary_item {
	struct slice name; /* in lower case */
	struct slice value;
	bool present; /* else the request did not have the field */
};

/* Take the first item off a block; false at its end, or when it is damaged. */
bool vary_take(struct slice *block, struct vary_item *ret_item);

/* A hash of the names in a block: equal for blocks of the same names. 0 for an empty block. */
uint64_t vary_names_hash(struct slice block);

/* Whether a block has that name, in any case. */
bool vary_has_name(struct slice block, struct slice name);

/* Whether a block has every name that another has. */
bool vary_covers(struct slice block, struct slice other);

/* Whether two blocks of the same names differ in the value of Accept-Language at most. */
bool vary_differs_in_language(struct slice a, struct slice b);

/*
 * A request that is compared with blocks: what was computed for one block is kept for the next.
 * Lives as long as the request.
 */
struct vary_request {
	const struct http_fields *fields;
	unsigned searches; /* for names not in fields.def */
	bool is_tagged;
	bool is_language_known;
	size_t language_n; /* SIZE_MAX: absent or malformed */
	char language[LANGUAGE_VALUE_MAX];
	uint32_t tags[VARY_LINES_MAX]; /* hashes of such names; 0 for others */
};

void vary_request_begin(struct vary_request *asked, const struct http_request *req);

/*
 * The block of this request for the names in `block`: it matches all blocks equal to it.  Returns
 * `block` itself when a quick comparison shows that they are equal, else writes to `to`.  False
 * when it does not fit, or `block` is malformed.
 */
bool vary_select(struct slice block, struct vary_request *asked, char *to, size_t size,
		 struct slice *ret_selected);

/*
 * A quick comparison: whether all values are byte for byte as in the block.  May miss equal ones.
 */
bool vary_is_as_sent(struct slice block, const struct http_request *req);

/* The language that the request wants most, if there is one (language_first()). */
bool vary_wanted_language(struct vary_request *asked, struct slice *ret_language);

/*
 * The selecting block of a preflight: origin, method, headers (lower case, sorted, each once),
 * private network.  It is a prefix of no other such block.  SIZE_MAX when it does not fit, or has
 * more than 128 headers.
 */
size_t vary_write_preflight(const struct http_request *req, char *to, size_t size);

#endif
