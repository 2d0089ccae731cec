/* The layout of a value in the data table: head, group keys, value, padding. */
#include "cache/store/value.h"

#include <stdint.h>

size_t store_value_size(size_t value_size, size_t group_count)
{
	return (sizeof(struct store_value_head) + group_count * sizeof(struct cache_key) +
		value_size + 7) &
	       ~(size_t)7;
}

void store_value_write(char *to, struct store_value_head head, const struct cache_key *groups,
		       struct slice value)
{
	size_t group_size = head.group_count * sizeof(*groups);

	head.padding = (uint8_t)(-value.n & 7);
	head.zero = 0;
	memcpy(to, &head, sizeof(head));
	to += sizeof(head);
	if (group_size > 0)
		memcpy(to, groups, group_size);
	to += group_size;
	if (value.n > 0)
		memcpy(to, value.p, value.n);
	memset(to + value.n, 0, head.padding);
}

bool store_value_view(const void *bytes, size_t size, struct store_value *ret_value)
{
	const char *p = bytes;
	size_t group_size;

	if (size < sizeof(ret_value->head) || size % 8 != 0 || (uintptr_t)p % 8 != 0)
		return false;
	memcpy(&ret_value->head, p, sizeof(ret_value->head));
	group_size = ret_value->head.group_count * sizeof(struct cache_key);
	size -= sizeof(ret_value->head);
	if (ret_value->head.zero != 0 || ret_value->head.padding > 7 ||
	    group_size + ret_value->head.padding > size)
		return false;
	ret_value->groups = (const void *)(p + sizeof(ret_value->head));
	ret_value->value = slice_of(p + sizeof(ret_value->head) + group_size,
				    size - group_size - ret_value->head.padding);
	return true;
}
