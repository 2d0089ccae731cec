/* The operator's page as an answer. */
#include "proxy/front/admin_dashboard.h"

#include <stdio.h>
#include <string.h>

#include "cache/http/fields.h"
#include "proxy/front/admin_page.h"
#include "proxy/page/page.h"

/* One member of Accept, without its parameters. */
static bool is_html(struct slice range)
{
	const char *parameters = memchr(range.p, ';', range.n);

	if (parameters != NULL)
		range.n = (size_t)(parameters - range.p);
	return slice_ieq(slice_trim(range), SLICE("text/html"));
}

bool admin_wants_dashboard(const struct http_request *req)
{
	const struct http_field *field = http_fields_named(&req->fields, SLICE("Accept"));
	struct slice rest = field != NULL ? field->value : slice_of("", 0);

	while (rest.n > 0) {
		const char *comma = memchr(rest.p, ',', rest.n);
		size_t n = comma != NULL ? (size_t)(comma - rest.p) : rest.n;

		if (is_html(slice_of(rest.p, n)))
			return true;
		n += comma != NULL;
		rest = slice_of(rest.p + n, rest.n - n);
	}
	return false;
}

void admin_dashboard(struct exchange *x)
{
	struct slice document;
	const char *policy;
	char fields[1024];

	if (!page_get(&document, &policy)) {
		exchange_fail(x, FAILURE_INTERNAL);
		return;
	}
	snprintf(fields, sizeof(fields),
		 "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
		 "Vary: Accept\r\nContent-Security-Policy: %s\r\n",
		 policy);
	exchange_answer_local(x, 200, "text/html; charset=utf-8", slice_str(fields), document);
}
