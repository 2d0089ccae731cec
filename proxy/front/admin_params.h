/*
 * The parameters in the target of an operator's page: /page?name=value&name=value.
 *
 * Names and values are encoded as forms are: "+" is a space, %XX a byte (URL Standard 5.1).  A URI may
 * also stand as it is, from "http://" or "https://" to the end of the target: so it can be pasted, and has
 * to be the last.
 */
#ifndef PROXY_FRONT_ADMIN_PARAMS_H
#define PROXY_FRONT_ADMIN_PARAMS_H

#include <stdbool.h>

#include "cache/base/slice.h"

struct admin_params {
	struct slice rest; /* what has not been read; points into the target */
	char *memory;      /* for decoded bytes: as many as are encoded */
	char *at;          /* what of it is free */
	bool bad;          /* a parameter could not be decoded */
};

/*
 * Begin with the target of a request, which must stay as it is until admin_params_end().  False: there is no
 * memory, and nothing to end.
 */
bool admin_params_begin(struct admin_params *params, struct slice target);

/*
 * The next parameter; false when there is none, or the target is bad.  Name and value live until
 * admin_params_end().  A parameter without "=" has an empty value.
 */
bool admin_params_next(struct admin_params *params, struct slice *ret_name,
		       struct slice *ret_value);

void admin_params_end(struct admin_params *params);

#endif
