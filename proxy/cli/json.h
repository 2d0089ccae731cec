/*
 * Values of the JSON object that an answer of the proxy is.
 *
 * A member of a value that is NULL, or of another kind, is NULL: so a path may be followed without
 * a check at each step, and an answer of another version is read as far as it goes.
 */
#ifndef PROXY_CLI_JSON_H
#define PROXY_CLI_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/base/slice.h"

/* A value of any kind; those within an object live as long as it does. */
struct json;

/* NULL when the text is no object, or memory is out; json_free() releases it. */
struct json *json_read(struct slice text);
void json_free(struct json *json);

/* A member of an object, and one of an array of json_count() values. */
const struct json *json_get(const struct json *json, const char *name);
size_t json_count(const struct json *json);
const struct json *json_element(const struct json *json, size_t index);

/* A member by its place, and its name; NULL behind the last. */
const struct json *json_member(const struct json *json, size_t index, const char **ret_name);

/* False when there is no member of that name and kind; numbers are 0 or more. */
bool json_number(const struct json *json, const char *name, uint64_t *ret_number);
bool json_float(const struct json *json, const char *name, double *ret_number);
bool json_switch(const struct json *json, const char *name, bool *ret_on);

/* An element of an array of numbers; -1 when there is none of 0 or more. */
double json_float_at(const struct json *json, size_t index);

/* NULL likewise; lives as long as `json`, and ends where the text has a NUL. */
const char *json_text(const struct json *json, const char *name);

/* Of a value itself: NULL when it is no string. */
const char *json_as_text(const struct json *json);

#endif
