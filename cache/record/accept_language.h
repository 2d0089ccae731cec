/*
 * Accept-Language (RFC 9110 12.5.4): a normal form, so that requests which differ only in order,
 * case or white space select the same response (RFC 9111 4.1); and the preferred language.
 *
 * Pure; bounded work.
 */
#ifndef CACHE_RECORD_ACCEPT_LANGUAGE_H
#define CACHE_RECORD_ACCEPT_LANGUAGE_H

#include "cache/base/slice.h"

enum { LANGUAGE_VALUE_MAX = 512, LANGUAGE_RANGES_MAX = 32 };

/*
 * The normal form: ranges in lower case, sorted, with the shortest weights: "en, DE;q=0.50" becomes
 * "de;q=0.5,en".  Returns the length, at most LANGUAGE_VALUE_MAX; SIZE_MAX when the value is longer
 * than that, has too many ranges or is malformed: then it matches only itself.
 */
size_t language_normal(struct slice value, char to[LANGUAGE_VALUE_MAX]);

/* The one language with the highest weight; false when "*" or another language has the same. */
bool language_first(struct slice value, struct slice *ret_language);

#endif
