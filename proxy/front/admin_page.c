/* Answers of the operators' pages. */
#include "proxy/front/admin_page.h"

void admin_refuse(struct exchange *x, unsigned status, const char *fields, const char *text)
{
	exchange_answer_local(x, status, "text/plain; charset=utf-8", slice_str(fields),
			      slice_str(text));
}
