/* Copies of message heads into memory of their own. */
#include "cache/http/message.h"

/* Where the next bytes of a copy go: after the field array, without alignment. */
struct tail {
	char *p;
};

static struct slice copy_slice(struct tail *tail, struct slice from)
{
	char *to = tail->p;

	if (from.n > 0)
		memcpy(to, from.p, from.n);
	tail->p += from.n;
	return slice_of(to, from.n);
}

static bool is_within(struct slice part, struct slice whole)
{
	uintptr_t part_at = (uintptr_t)part.p;
	uintptr_t whole_at = (uintptr_t)whole.p;

	return part_at >= whole_at && part.n <= whole.n && part_at - whole_at <= whole.n - part.n;
}

/* A slice within `from` becomes the same slice of its copy; any other is copied separately. */
static struct slice copy_part(struct tail *tail, struct slice part, struct slice from,
			      struct slice to)
{
	if (!is_within(part, from))
		return copy_slice(tail, part);
	return slice_of(to.p + (part.p - from.p), part.n);
}

static size_t part_size(struct slice part, struct slice whole)
{
	return is_within(part, whole) ? 0 : part.n;
}

static size_t fields_copy_size(const struct http_fields *fields)
{
	size_t size = fields->count * sizeof(*fields->at);

	for (uint32_t i = 0; i < fields->count; i++)
		size += fields->at[i].name.n + fields->at[i].value.n;
	return size;
}

/* The array goes to the start of `memory`, the bytes of the lines after it; `to` has all else. */
static struct tail fields_copy(struct http_fields *to, const struct http_fields *from, void *memory)
{
	struct tail tail;

	to->at = memory;
	to->capacity = from->count;
	tail.p = (char *)(to->at + from->count);
	for (uint32_t i = 0; i < from->count; i++) {
		to->at[i] = from->at[i];
		to->at[i].name = copy_slice(&tail, from->at[i].name);
		to->at[i].value = copy_slice(&tail, from->at[i].value);
	}
	return tail;
}

size_t http_request_copy_size(const struct http_request *from)
{
	return fields_copy_size(&from->fields) + from->method_name.n + from->target.n +
	       part_size(from->uri.host, from->target) + part_size(from->uri.path, from->target) +
	       part_size(from->uri.normal, from->target);
}

void http_request_copy(struct http_request *to, const struct http_request *from, void *memory)
{
	struct tail tail;

	*to = *from;
	tail = fields_copy(&to->fields, &from->fields, memory);
	to->method_name = copy_slice(&tail, from->method_name);
	to->target = copy_slice(&tail, from->target);
	to->uri.host = copy_part(&tail, from->uri.host, from->target, to->target);
	to->uri.path = copy_part(&tail, from->uri.path, from->target, to->target);
	to->uri.normal = copy_part(&tail, from->uri.normal, from->target, to->target);
}
