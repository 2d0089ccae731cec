/*
 * Accept-Language (RFC 9110 12.5.4): one spelling for all that mean the same, so that requests
 * which differ in order, case or white space select the same response (RFC 9111 4.1), and which
 * language is wanted most.
 *
 * Pure; bounded work.
 */
#ifndef CACHE_RECORD_ACCEPT_LANGUAGE_H
#define CACHE_RECORD_ACCEPT_LANGUAGE_H

#include "cache/base/slice.h"

enum { LANGUAGE_VALUE_MAX = 512, LANGUAGE_RANGES_MAX = 32 };

/*
 * The ranges in lower case and in order, with weights as short as can be: "en, DE;q=0.50" becomes
 * "de;q=0.5,en".  Returns the length, at most LANGUAGE_VALUE_MAX; SIZE_MAX when the value is longer
 * than that, has too many ranges or is no list of them: then it means only itself.
 */
size_t language_normal(struct slice value, char to[LANGUAGE_VALUE_MAX]);

/*
 * The language that the value puts above all others; none when "*" or an equal makes it doubtful.
 */
bool language_first(struct slice value, struct slice *ret_language);

#endif
