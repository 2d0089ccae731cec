/* When a fault that comes back is due for a line in the log. */
#include "proxy/base/trouble.h"

#include <stdio.h>
#include <string.h>

static struct trouble_kind *find(struct trouble *trouble, const char *text)
{
	struct trouble_kind *kind = trouble->kinds;

	for (unsigned i = 0; i < trouble->kind_count; i++, kind++)
		if (strncmp(kind->text, text, TROUBLE_TEXT - 1) == 0)
			return kind;
	if (trouble->kind_count == TROUBLE_KINDS)
		return kind - 1;
	trouble->kind_count++;
	*kind = (struct trouble_kind){.said_ms = INT64_MIN / 2};
	snprintf(kind->text, sizeof(kind->text), "%s", text);
	return kind;
}

bool trouble_note(struct trouble *trouble, const char *text, uint64_t more, int64_t now_ms,
		  uint64_t *ret_count)
{
	struct trouble_kind *kind;

	if (more == 0)
		return false;
	kind = find(trouble, text);
	kind->count += more;
	trouble->total += more;
	trouble->last_ms = now_ms;
	if (now_ms - kind->said_ms < TROUBLE_AGAIN_MS)
		return false;
	*ret_count = kind->count;
	kind->count = 0;
	kind->said_ms = now_ms;
	return true;
}

bool trouble_is_over(struct trouble *trouble, int64_t now_ms, uint64_t *ret_total)
{
	if (trouble->total == 0 || now_ms - trouble->last_ms < TROUBLE_OVER_MS)
		return false;
	*ret_total = trouble->total;
	*trouble = (struct trouble){.kind_count = 0};
	return true;
}
