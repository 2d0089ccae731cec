/* Copies of bytes that end where readable memory ends: a read beyond the last byte ends the program, with no sanitizer. */
#ifndef TESTS_SUPPORT_GUARDED_H
#define TESTS_SUPPORT_GUARDED_H

#include "cache/http/message.h"

/* A copy, valid until guarded_end(); of nothing, a pointer that must not be read. */
struct slice guarded(struct slice bytes);
struct slice guarded_str(const char *text);

/* The lines, their names and their values become guarded copies. */
void guarded_fields(struct http_fields *fields);

/* Ends all copies; their memory is taken again. */
void guarded_end(void);

#endif
