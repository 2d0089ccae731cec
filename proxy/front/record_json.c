/* Records as JSON. */
#include "proxy/front/record_json.h"

static const char *kind_text(const struct record_view *record)
{
	switch ((enum record_kind)record_meta(record)->kind) {
	case RECORD_GET:
		return "GET and HEAD";
	case RECORD_HEAD:
		return "HEAD";
	case RECORD_PREFLIGHT:
		return "the same preflight";
	}
	return NULL;
}

void record_put_answers(struct json_writer *out, const struct record_view *record)
{
	json_put_words(out, "answers", kind_text(record));
}

struct slice record_shown_value(const struct vary_item *item)
{
	static const char *const names[] = {"authorization", "cookie", "proxy-authorization"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (item->present && slice_eq(item->name, slice_str(names[i])))
			return SLICE("***");
	return item->value;
}

void record_put_vary(struct json_writer *out, const struct record_view *record)
{
	struct slice block = record_vary(record);
	struct vary_item item;

	json_put_array(out, "vary");
	while (vary_take(&block, &item)) {
		json_put_object(out, NULL);
		json_put_string(out, "name", item.name);
		if (item.present)
			json_put_string(out, "value", record_shown_value(&item));
		else
			json_put_null(out, "value");
		json_put_end(out);
	}
	json_put_end(out);
}
