/* JSON texts in tests, looked at by paths: what stands at "member.2.member", as text. */
#ifndef TESTS_SUPPORT_JSON_AT_H
#define TESTS_SUPPORT_JSON_AT_H

#include <stddef.h>

/* A text of so many bytes, which this frees.  NULL, another length, or a key given twice fails the test. */
void json_at_begin(char *text, size_t length);

/* Compact, of six significant digits, until the next call; the test fails where there is nothing. */
const char *json_at(const char *path);

/* Members or elements there. */
size_t json_at_count(const char *path);

void json_at_end(void);

#endif
