/* What is read of JSON, by jansson. */
#include "proxy/cli/json.h"

#include <jansson.h>

static const json_t *value_of(const struct json *json)
{
	return (const json_t *)json;
}

static const json_t *member(const struct json *json, const char *name)
{
	return json_object_get(value_of(json), name);
}

struct json *json_read(struct slice text)
{
	json_t *root = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);

	if (json_is_object(root))
		return (struct json *)root;
	json_decref(root);
	return NULL;
}

void json_free(struct json *json)
{
	json_decref((json_t *)json);
}

const struct json *json_get(const struct json *json, const char *name)
{
	return (const struct json *)member(json, name);
}

size_t json_count(const struct json *json)
{
	return json_array_size(value_of(json));
}

const struct json *json_element(const struct json *json, size_t index)
{
	return (const struct json *)json_array_get(value_of(json), index);
}

const struct json *json_member(const struct json *json, size_t index, const char **ret_name)
{
	json_t *object = (json_t *)(uintptr_t)json; /* jansson's iterators want it so */
	void *at = json_object_iter(object);

	while (at != NULL && index-- > 0)
		at = json_object_iter_next(object, at);
	if (at == NULL)
		return NULL;
	*ret_name = json_object_iter_key(at);
	return (const struct json *)json_object_iter_value(at);
}

bool json_number(const struct json *json, const char *name, uint64_t *ret_number)
{
	const json_t *value = member(json, name);

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return false;
	*ret_number = (uint64_t)json_integer_value(value);
	return true;
}

bool json_float(const struct json *json, const char *name, double *ret_number)
{
	const json_t *value = member(json, name);

	if (!json_is_number(value) || json_number_value(value) < 0)
		return false;
	*ret_number = json_number_value(value);
	return true;
}

double json_float_at(const struct json *json, size_t index)
{
	const json_t *value = json_array_get(value_of(json), index);

	return json_is_number(value) && json_number_value(value) >= 0 ? json_number_value(value)
								      : -1;
}

bool json_switch(const struct json *json, const char *name, bool *ret_on)
{
	const json_t *value = member(json, name);

	if (!json_is_boolean(value))
		return false;
	*ret_on = json_is_true(value);
	return true;
}

const char *json_text(const struct json *json, const char *name)
{
	return json_string_value(member(json, name));
}

const char *json_as_text(const struct json *json)
{
	return json_string_value(value_of(json));
}
