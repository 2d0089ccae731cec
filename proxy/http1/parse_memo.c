/* Requests that were read before: two direct-mapped tables of bytes and what they mean. */
#include "proxy/http1/parse_memo.h"

#include <stdlib.h>

#include <xxhash.h>

enum {
	SLOTS = 256,    /* as many as a hint can tell apart */
	LINES_MAX = 24, /* of what is kept */
	BYTES_MAX = 1024,
	HOST_MAX = 104,
};

/* Of a block, the members of `req` that fields tell; of a head, all. */
struct known {
	uint64_t hash;   /* of what came last */
	uint32_t length; /* 0: its bytes are not kept */
	struct http_request req;
	struct http_field lines[LINES_MAX];
	char bytes[BYTES_MAX];
};

/* An origin whose rule does not depend on the path. */
struct ruled {
	const struct conf_rule *rule;
	size_t host_n; /* 0: none */
	uint16_t port;
	uint8_t scheme;
	char host[HOST_MAX];
};

struct parse_memo {
	struct ruled ruled;
	uint64_t asked; /* hash of the last recall */
	struct known blocks[SLOTS];
	struct known heads[SLOTS];
};

struct parse_memo *parse_memo_new(void)
{
	/* Pages that are never touched take no room. */
	return calloc(1, sizeof(struct parse_memo));
}

void parse_memo_free(struct parse_memo *memo)
{
	free(memo);
}

static bool begins_with(struct slice bytes, const struct known *known)
{
	return known->length > 0 && bytes.n >= known->length &&
	       memcmp(bytes.p, known->bytes, known->length) == 0;
}

bool parse_memo_again(const struct parse_memo *memo, struct parse_hints hints, struct slice bytes,
		      struct http_request *req, size_t *ret_length)
{
	const struct known *known = &memo->heads[hints.head];

	if (!begins_with(bytes, known))
		return false;
	*req = known->req;
	*ret_length = known->length;
	return true;
}

/* What the field lines tell, beside themselves. */
static void take_fields(struct http_request *to, const struct http_request *from)
{
	to->fields = from->fields;
	to->keep_alive = from->keep_alive;
	to->asks_keep_alive = from->asks_keep_alive;
	to->expect_continue = from->expect_continue;
	to->upgrade = from->upgrade;
	to->body = from->body;
	to->content_length = from->content_length;
}

/* Field lines mean the same in a request with this method, form and version only. */
static bool is_of(const struct known *block, const struct http_request *req)
{
	return block->req.method == req->method && block->req.form == req->form &&
	       block->req.version_minor == req->version_minor;
}

/* It holds one empty line, its last: bytes that begin with it are a block that ends there. */
bool parse_memo_block_again(struct parse_memo *memo, struct parse_hints hints, struct slice bytes,
			    struct http_request *req, size_t *ret_length)
{
	const struct known *known = &memo->blocks[hints.block];

	if (!begins_with(bytes, known) || !is_of(known, req))
		return false;
	memo->asked = known->hash;
	take_fields(req, &known->req);
	*ret_length = known->length;
	return true;
}

bool parse_memo_recall(struct parse_memo *memo, struct parse_hints *hints, struct slice block,
		       struct http_request *req)
{
	const struct known *known;

	memo->asked = XXH3_64bits(block.p, block.n) +
		      (req->method * 4u + (unsigned)req->form) * 2u + req->version_minor;
	hints->block = memo->asked % SLOTS;
	known = &memo->blocks[hints->block];
	if (known->hash != memo->asked || known->length != block.n || !is_of(known, req) ||
	    memcmp(known->bytes, block.p, block.n) != 0)
		return false;
	take_fields(req, &known->req);
	return true;
}

/* True when these bytes came before and are not kept yet; they are now, and *ret_known is where. */
static bool keep(struct known *slot, uint64_t hash, struct slice bytes,
		 const struct http_request *req)
{
	if (bytes.n > BYTES_MAX || req->fields.count > LINES_MAX)
		return false;
	if (slot->hash != hash) {
		slot->hash = hash;
		slot->length = 0;
		return false;
	}
	if (slot->length > 0)
		return false;
	slot->length = (uint32_t)bytes.n;
	memcpy(slot->bytes, bytes.p, bytes.n);
	slot->req = *req;
	slot->req.fields.at = slot->lines;
	slot->req.fields.capacity = req->fields.count;
	return true;
}

void parse_memo_note_block(struct parse_memo *memo, struct slice block,
			   const struct http_request *req)
{
	struct known *known = &memo->blocks[memo->asked % SLOTS];

	if (keep(known, memo->asked, block, req))
		http_fields_move(known->lines, &req->fields, block.p, known->bytes);
}

void parse_memo_note_head(struct parse_memo *memo, struct parse_hints *hints, struct slice head,
			  size_t fields_at, const struct http_request *req)
{
	const struct known *block = &memo->blocks[memo->asked % SLOTS];
	uint64_t hash = XXH3_64bits(head.p, fields_at) ^ memo->asked; /* of the block */
	struct known *known = &memo->heads[hash % SLOTS];

	hints->head = hash % SLOTS;
	if (!keep(known, hash, head, req))
		return;
	http_fields_move(known->lines, &req->fields, block->bytes, known->bytes + fields_at);
	known->req.method_name = slice_moved(req->method_name, head.p, known->bytes);
	known->req.target = slice_moved(req->target, head.p, known->bytes);
	known->req.uri.host = slice_moved(req->uri.host, head.p, known->bytes);
	known->req.uri.path = slice_moved(req->uri.path, head.p, known->bytes);
	known->req.uri.normal = slice_moved(req->uri.normal, head.p, known->bytes);
}

bool parse_memo_rule(const struct parse_memo *memo, const struct http_uri *uri,
		     const struct conf_rule **ret_rule)
{
	const struct ruled *ruled = &memo->ruled;

	if (ruled->host_n != uri->host.n || ruled->port != uri->port ||
	    ruled->scheme != (uint8_t)uri->scheme || ruled->host_n == 0 ||
	    memcmp(ruled->host, uri->host.p, ruled->host_n) != 0)
		return false;
	*ret_rule = ruled->rule;
	return true;
}

void parse_memo_note_rule(struct parse_memo *memo, const struct http_uri *uri,
			  const struct conf_rule *rule)
{
	struct ruled *ruled = &memo->ruled;

	if (uri->host.n > HOST_MAX)
		return;
	ruled->rule = rule;
	ruled->port = uri->port;
	ruled->scheme = (uint8_t)uri->scheme;
	ruled->host_n = uri->host.n;
	memcpy(ruled->host, uri->host.p, uri->host.n);
}
