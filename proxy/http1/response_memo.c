/* Response heads that were read before: a direct-mapped table of bytes and what they mean. */
#include "proxy/http1/response_memo.h"

#include <stdlib.h>

#include <xxhash.h>

#include "proxy/http1/parse_head.h"

enum {
	SLOTS = 256,
	LINES_MAX = 24, /* of what is kept */
	BYTES_MAX = 1024,
	BEGIN = sizeof("HTTP/1.1 204 No Content\r\nDate: ") - 1,
	DATE_LENGTH = sizeof("Sun, 06 Nov 1994 08:49:37 GMT") - 1,
};

struct known {
	uint64_t hash;   /* of what came last */
	uint32_t length; /* 0: its bytes are not kept */
	uint32_t date;   /* where the value of Date begins; `length` without one */
	bool of_head;    /* the request was HEAD */
	struct http_response res;
	struct http_field lines[LINES_MAX];
	char bytes[BYTES_MAX];
};

struct response_memo {
	struct known slots[SLOTS];
};

struct response_memo *response_memo_new(void)
{
	/* Pages that are never touched take no room. */
	return calloc(1, sizeof(struct response_memo));
}

void response_memo_free(struct response_memo *memo)
{
	free(memo);
}

static bool may_be_kept(struct slice head)
{
	return head.n > BEGIN && head.n <= BYTES_MAX;
}

/* By what is there before a Date as a rule, and the length: it need not be looked for. */
static struct known *slot_of(struct response_memo *memo, struct slice head)
{
	return &memo->slots[XXH3_64bits_withSeed(head.p, BEGIN, head.n) % SLOTS];
}

static bool is_date(struct slice value)
{
	return value.n == DATE_LENGTH && slice_trim(value).n == value.n &&
	       head_value_is_clean(value);
}

/* The same bytes but for the value of Date, which is in the memo then. */
static bool is_again(struct known *known, struct slice head)
{
	size_t behind = known->date + DATE_LENGTH;

	if (memcmp(known->bytes, head.p, head.n) == 0)
		return true;
	if (known->date == known->length || memcmp(known->bytes, head.p, known->date) != 0 ||
	    memcmp(known->bytes + behind, head.p + behind, head.n - behind) != 0 ||
	    !is_date(slice_of(head.p + known->date, DATE_LENGTH)))
		return false;
	memcpy(known->bytes + known->date, head.p + known->date, DATE_LENGTH);
	return true;
}

bool response_memo_recall(struct response_memo *memo, struct slice head, enum http_method method,
			  struct http_response *res)
{
	struct http_fields fields = res->fields;
	struct known *known;

	if (!may_be_kept(head))
		return false;
	known = slot_of(memo, head);
	if (known->length != head.n || known->of_head != (method == METHOD_HEAD) ||
	    known->res.fields.count > fields.capacity || !is_again(known, head))
		return false;
	*res = known->res;
	res->fields.at = fields.at;
	res->fields.capacity = fields.capacity;
	http_fields_move(res->fields.at, &known->res.fields, known->bytes, head.p);
	return true;
}

/* Where the value of its one Date begins, or the end of the head. */
static size_t date_of(struct slice head, const struct http_response *res)
{
	const struct http_field *line = http_fields_first(&res->fields, FIELD_DATE);

	if (line == NULL || http_fields_next(&res->fields, line) != NULL || !is_date(line->value))
		return head.n;
	return (size_t)(line->value.p - head.p);
}

static uint64_t hash_of(struct slice head, size_t date, enum http_method method)
{
	size_t behind = date < head.n ? date + DATE_LENGTH : head.n;

	return XXH3_64bits_withSeed(head.p + behind, head.n - behind,
				    XXH3_64bits(head.p, date) + (method == METHOD_HEAD));
}

void response_memo_note(struct response_memo *memo, struct slice head, enum http_method method,
			const struct http_response *res)
{
	struct known *known;
	uint64_t hash;
	size_t date;

	if (!may_be_kept(head) || res->fields.count > LINES_MAX || res->mended)
		return;
	known = slot_of(memo, head);
	date = date_of(head, res);
	hash = hash_of(head, date, method);
	known->length = 0;
	if (known->hash != hash) {
		known->hash = hash;
		return;
	}
	known->length = (uint32_t)head.n;
	known->date = (uint32_t)date;
	known->of_head = method == METHOD_HEAD;
	memcpy(known->bytes, head.p, head.n);
	known->res = *res;
	known->res.fields.at = known->lines;
	known->res.fields.capacity = res->fields.count;
	http_fields_move(known->lines, &res->fields, head.p, known->bytes);
}
