/* LINKS: cache/http */
#include <assert.h>

#include "cache/http/date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first 8 bytes are the clock, the rest is a date.  What it says, we can say, and mean the
 * same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[HTTP_DATE_LENGTH], again[HTTP_DATE_LENGTH];
	int64_t now_s, time_s;

	if (size < sizeof(now_s))
		return 0;
	memcpy(&now_s, data, sizeof(now_s));
	http_date_write(now_s, text);
	time_s = http_date_parse(slice_of(text, sizeof(text)), now_s);
	assert(time_s != HTTP_DATE_INVALID);

	time_s = http_date_parse(slice_of((const char *)data + 8, size - 8), now_s);
	if (time_s == HTTP_DATE_INVALID)
		return 0;
	http_date_write(time_s, text);
	assert(http_date_parse(slice_of(text, sizeof(text)), now_s) == time_s);
	http_date_write(time_s, again);
	assert(memcmp(text, again, sizeof(text)) == 0);
	return 0;
}
