/* Entity tags as the policy reads them (RFC 9110 8.8.3).  Part of the policy: for its own files. */
#ifndef CACHE_POLICY_VALIDATION_H
#define CACHE_POLICY_VALIDATION_H

#include "cache/http/message.h"

/* The entity tag of a response; empty when it is absent, repeated or not one. */
struct slice policy_etag(const struct http_fields *fields);

#endif
