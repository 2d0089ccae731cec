/* Field lines that were read before: a direct-mapped table of blocks and what they mean. */
#include "proxy/parse_memo.h"

#include <stdlib.h>

#include <xxhash.h>

enum {
	SLOTS = 256,
	LINES_MAX = 24, /* of a block that is kept */
	BYTES_MAX = 1024,
};

struct known {
	uint64_t hash; /* the block that came last; kept are its bytes when `length` is not 0 */
	uint32_t length;
	uint8_t method;
	uint8_t version_minor;
	bool keep_alive, expect_continue, upgrade;
	enum http_body body;
	uint64_t content_length;
	struct http_fields fields;
	struct http_field lines[LINES_MAX];
	char bytes[BYTES_MAX];
};

struct parse_memo {
	uint64_t asked; /* hash of the block of the last recall */
	struct known slots[SLOTS];
};

struct parse_memo *parse_memo_new(void)
{
	/* pages that are never touched take no room */
	return calloc(1, sizeof(struct parse_memo));
}

void parse_memo_free(struct parse_memo *memo)
{
	free(memo);
}

static struct known *slot_of(struct parse_memo *memo)
{
	return &memo->slots[memo->asked % SLOTS];
}

bool parse_memo_recall(struct parse_memo *memo, struct slice block, struct http_request *req)
{
	const struct known *known;

	memo->asked = XXH3_64bits(block.p, block.n) + req->method * 2u + req->version_minor;
	known = slot_of(memo);
	if (known->hash != memo->asked || known->length != block.n ||
	    known->method != req->method || known->version_minor != req->version_minor ||
	    memcmp(known->bytes, block.p, block.n) != 0)
		return false;
	req->fields = known->fields;
	req->keep_alive = known->keep_alive;
	req->expect_continue = known->expect_continue;
	req->upgrade = known->upgrade;
	req->body = known->body;
	req->content_length = known->content_length;
	return true;
}

/* The same part of the copy. */
static struct slice moved(struct slice part, struct slice block, const char *copy)
{
	return slice_of(copy + (part.p - block.p), part.n);
}

static void keep(struct known *known, struct slice block, const struct http_request *req)
{
	known->length = (uint32_t)block.n;
	known->method = (uint8_t)req->method;
	known->version_minor = req->version_minor;
	known->keep_alive = req->keep_alive;
	known->expect_continue = req->expect_continue;
	known->upgrade = req->upgrade;
	known->body = req->body;
	known->content_length = req->content_length;
	known->fields = req->fields;
	known->fields.at = known->lines;
	known->fields.capacity = req->fields.count;
	memcpy(known->bytes, block.p, block.n);
	for (uint32_t i = 0; i < req->fields.count; i++) {
		known->lines[i] = req->fields.at[i];
		known->lines[i].name = moved(known->lines[i].name, block, known->bytes);
		known->lines[i].value = moved(known->lines[i].value, block, known->bytes);
	}
}

void parse_memo_note(struct parse_memo *memo, struct slice block, const struct http_request *req)
{
	struct known *known = slot_of(memo);

	if (block.n > BYTES_MAX || req->fields.count > LINES_MAX)
		return;
	if (known->hash == memo->asked) {
		keep(known, block, req);
		return;
	}
	known->hash = memo->asked;
	known->length = 0;
}
