/* What is read of JSON, by jansson. */
#include "proxy/cli/json.h"

#include <jansson.h>
#include <stdlib.h>

struct json {
	json_t *root;
};

struct json *json_read(struct slice text)
{
	struct json *json = malloc(sizeof(*json));

	if (json == NULL)
		return NULL;
	json->root = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(json->root))
		return json;
	json_free(json);
	return NULL;
}

void json_free(struct json *json)
{
	if (json == NULL)
		return;
	json_decref(json->root);
	free(json);
}

bool json_number(const struct json *json, const char *name, uint64_t *ret_number)
{
	const json_t *value = json_object_get(json->root, name);

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return false;
	*ret_number = (uint64_t)json_integer_value(value);
	return true;
}

bool json_switch(const struct json *json, const char *name, bool *ret_on)
{
	const json_t *value = json_object_get(json->root, name);

	if (!json_is_boolean(value))
		return false;
	*ret_on = json_is_true(value);
	return true;
}

const char *json_text(const struct json *json, const char *name)
{
	return json_string_value(json_object_get(json->root, name));
}
