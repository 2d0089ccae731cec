/* LINKS: proxy/stats */
/* Formats of the access log: whatever the text is, a line of it fits, and is printable where peers fill it. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/stats/accesslog_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The text up to a NUL is the format; all that follows fills each text of a line. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct accesslog_format format;
	static char line[LOG_LINE_LENGTH];
	char *text = strndup((const char *)data, size);
	size_t n = strlen(text), rest = n < size ? n + 1 : size;
	struct slice peer = slice_of((const char *)data + rest, size - rest);
	struct accesslog_entry entry = {
		.wall_ms = INT64_MAX,
		.elapsed_us = INT64_MAX,
		.held_us = INT64_MAX,
		.id = peer,
		.traceparent = peer,
		.client = peer,
		.client_port = UINT16_MAX,
		.method = peer,
		.target = peer,
		.protocol = "HTTP/1.1",
		.status = UINT16_MAX,
		.bytes_in = UINT64_MAX,
		.bytes_out = UINT64_MAX,
		.outcome = OUTCOME_FAILED,
		.failure = FAILURE_RESPONSE_HEAD_TOO_LARGE,
		.fwd = "vary-miss",
		.why = REASON_REQUEST_BAD_CACHE_CONTROL,
		.from_record = true,
		.age_s = INT64_MAX,
		.ttl_s = INT64_MIN,
		.origin = peer,
		.user = peer,
		.referer = peer,
		.user_agent = peer,
		.sample = UINT32_MAX,
	};
	struct diagnostic error;
	bool plain = true;
	char *end;

	for (size_t i = 0; i < n; i++)
		plain &= text[i] >= ' ' && text[i] < 0x7f;
	if (log_format_parse(text, &format.form, &error)) {
		end = accesslog_line(&format, line, &entry);
		assert(end > line && end <= line + sizeof(line) && end[-1] == '\n');
		for (char *at = line; plain && at < end - 1; at++)
			assert(*at >= ' ' && *at < 0x7f);
	} else {
		assert(error.text[0] != '\0');
	}
	free(text);
	return 0;
}
