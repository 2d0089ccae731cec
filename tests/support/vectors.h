/*
 * Reading of tests/vectors/: files of blocks, each a title line "# ..." and the lines below it.
 * Lines that begin with "##" are comments, empty ones separate.
 */
#ifndef TESTS_SUPPORT_VECTORS_H
#define TESTS_SUPPORT_VECTORS_H

#include "cache/base/slice.h"

#include <stdint.h>

struct vector {
	char *place; /* FILE:LINE title */
	const char *file;
	unsigned line; /* of the title */
	struct slice title;
	struct slice text; /* the lines below it */
};

/* All blocks of all files that match the pattern, in order; memory that lives as long as the
   process. A file without a block gives one without title.  Returns their number. */
size_t vectors_read(const char *pattern, struct vector **ret_vectors);

/* "RFC 9111 5.2.2.5 MUST NOT: what holds"; levels of RFC 2119, or OWN where the RFC leaves the
 * choice.  A word after the level, "MUST NOT final: ...", tells requirements of a section apart
 * (tests/conformance/requirements.txt). */
bool vectors_title_is_good(struct slice title);

/*
 * Copy a line, NUL-terminated, with dates put in: {now}, {now-10}, {now+5 rfc850}, {now asctime};
 * and runs of a byte: {x*100}.  False when it does not fit or what is in braces is neither.
 */
bool vectors_expand(struct slice line, int64_t now_s, char *to, size_t size);

#endif
