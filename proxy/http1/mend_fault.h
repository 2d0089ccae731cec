/*
 * What was mended in a response head (mend.h), for those who build the server: "line 3: white space
 * before the colon".  The mending itself does not say; this looks again.  Pure.
 */
#ifndef PROXY_HTTP1_MEND_FAULT_H
#define PROXY_HTTP1_MEND_FAULT_H

#include "cache/base/slice.h"

enum { MEND_FAULT_SIZE = 96 };

/*
 * The first thing in a whole head, as it came, that is not by the grammar; "" when nothing is.  Lines
 * count from 1, the status line.  Returns `to`.
 */
const char *mend_fault(struct slice head, char to[static MEND_FAULT_SIZE]);

#endif
