/*
 * Members of the JSON object that an answer of the proxy is.
 */
#ifndef PROXY_CLI_JSON_H
#define PROXY_CLI_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/base/slice.h"

struct json;

/* NULL when the text is no object, or memory is out; json_free() releases it. */
struct json *json_read(struct slice text);
void json_free(struct json *json);

/* False when there is no member of that name and kind; numbers are 0 or more. */
bool json_number(const struct json *json, const char *name, uint64_t *ret_number);
bool json_switch(const struct json *json, const char *name, bool *ret_on);

/* NULL likewise; lives as long as `json`. */
const char *json_text(const struct json *json, const char *name);

#endif
