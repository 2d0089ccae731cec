/* JSON texts in tests, looked at by paths. */
#include "tests/support/json_at.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *root;
static char *dumped;

void json_at_begin(char *text, size_t length)
{
	json_at_end();
	assert_non_null(text);
	assert_int_equal(length, strlen(text));
	root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	assert_non_null(root);
}

static const json_t *value_at(const char *path)
{
	const json_t *value = root;
	char part[64];
	int n;

	for (; *path != '\0'; path += n + (path[n] == '.')) {
		n = (int)strcspn(path, ".");
		snprintf(part, sizeof(part), "%.*s", n, path);
		value = json_is_array(value) ? json_array_get(value, (size_t)atoi(part))
					     : json_object_get(value, part);
		if (value == NULL)
			fail_msg("no %s", part);
	}
	return value;
}

const char *json_at(const char *path)
{
	free(dumped);
	dumped =
		json_dumps(value_at(path), JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6));
	assert_non_null(dumped);
	return dumped;
}

size_t json_at_count(const char *path)
{
	const json_t *value = value_at(path);

	return json_is_array(value) ? json_array_size(value) : json_object_size(value);
}

void json_at_end(void)
{
	json_decref(root);
	root = NULL;
	free(dumped);
	dumped = NULL;
}
