/* The rows of failures.def. */
#include "proxy/base/failure.h"

#include <assert.h>

struct failure_row {
	const char *name;
	const char *token;
	const char *options;
	const char *sentence;
	unsigned status;
};

static const struct failure_row failure_rows[FAILURE_COUNT] = {
	[FAILURE_NONE] = {"none", "", "", "", 0},
#define FAILURE(id, name, status, token, options, sentence) \
	[FAILURE_##id] = {name, token, options, sentence, status},
#include "proxy/base/failures.def"
#undef FAILURE
};

static const struct failure_row *failure_row(enum failure failure)
{
	assert(failure < FAILURE_COUNT);
	return &failure_rows[failure];
}

const char *failure_name(enum failure failure)
{
	return failure_row(failure)->name;
}

unsigned failure_status(enum failure failure)
{
	return failure_row(failure)->status;
}

bool failure_is_error(enum failure failure)
{
	switch (failure) {
	case FAILURE_RESPONSE_CUT:
	case FAILURE_RESPONSE_BODY_TIMEOUT:
		return true;
	case FAILURE_ONLY_IF_CACHED:
	case FAILURE_UNSUPPORTED_CODING:
	case FAILURE_UNSUPPORTED_VERSION:
	case FAILURE_LOOP:
	case FAILURE_OWN_ADDRESS:
		return false;
	default:
		return failure_status(failure) >= 500;
	}
}

const char *failure_token(enum failure failure)
{
	return failure_row(failure)->token;
}

const char *failure_options(enum failure failure)
{
	return failure_row(failure)->options;
}

const char *failure_sentence(enum failure failure)
{
	return failure_row(failure)->sentence;
}
