/* What was mended in a response head. */
#include "proxy/http1/mend_fault.h"

#include <stdio.h>

#include "cache/http/fields.h"
#include "proxy/http1/parse_head.h"

/* A head while it is read line by line. */
struct reading {
	unsigned line;
	bool has_length;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Of a field line without its end; NULL when it is right. */
static const char *field_fault(struct reading *reading, struct slice line)
{
	const char *colon = memchr(line.p, ':', line.n);
	struct slice name, value;
	enum http_field_id id;

	if (is_blank(line.p[0]))
		return "goes on with the value of the line before it";
	if (colon == NULL)
		return "no colon";
	name = slice_of(line.p, (size_t)(colon - line.p));
	value = slice_trim(slice_of(colon + 1, line.n - name.n - 1));
	if (name.n > 0 && is_blank(name.p[name.n - 1]))
		return "white space before the colon";
	if (!head_value_is_clean(value))
		return "a control byte in the value";
	id = http_field_lookup(name);
	if (id == FIELD_CONTENT_LENGTH && (reading->has_length || memchr(value.p, ',', value.n)))
		return "Content-Length again";
	reading->has_length |= id == FIELD_CONTENT_LENGTH;
	if (id == FIELD_TRANSFER_ENCODING && slice_ieq(value, SLICE("identity")))
		return "a Transfer-Encoding of identity, which there is not";
	return NULL;
}

/* "HTTP/1.1 799": three digits, and more than there are classes of. */
static bool is_odd_status(struct slice line)
{
	return line.n > 9 && line.p[9] >= '6' && line.p[9] <= '9';
}

const char *mend_fault(struct slice head, char to[static MEND_FAULT_SIZE])
{
	struct reading reading = {0};
	const char *fault = NULL;

	to[0] = '\0';
	while (fault == NULL && head.n > 0) {
		const char *lf = memchr(head.p, '\n', head.n);
		size_t n = lf != NULL ? (size_t)(lf - head.p) : head.n;
		bool has_cr = n > 0 && head.p[n - 1] == '\r';
		struct slice line = slice_of(head.p, n - has_cr);

		reading.line++;
		if (lf != NULL && !has_cr)
			fault = "ends in LF without CR";
		else if (line.n == 0)
			break;
		else if (reading.line == 1)
			fault = is_odd_status(line) ? "a status of 600 or more" : NULL;
		else
			fault = field_fault(&reading, line);
		n += lf != NULL;
		head = slice_of(head.p + n, head.n - n);
	}
	if (fault != NULL)
		snprintf(to, MEND_FAULT_SIZE, "line %u: %s", reading.line, fault);
	return to;
}
