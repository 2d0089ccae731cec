/*
 * The operator's page: one HTML document, which loads nothing from elsewhere.
 *
 * Its parts are files of this room, joined by the assembler: head.html, page.css in <style>, body.html,
 * and the scripts in one <script>.  The policy allows that style and that script by their hashes, and
 * nothing else (CSP 3; HAZARDS M4).
 */
#ifndef PROXY_PAGE_PAGE_H
#define PROXY_PAGE_PAGE_H

#include <stdbool.h>

#include "cache/base/slice.h"

/*
 * The document, in UTF-8, and the value of its Content-Security-Policy: made at the first call, and
 * kept for as long as the process lives.  False when there is no memory, or the library has no
 * SHA-256.
 */
bool page_get(struct slice *ret_document, const char **ret_policy);

#endif
