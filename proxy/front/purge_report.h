/* Purges as JSON: what each is for, since when, and how many URIs it has found. */
#ifndef PROXY_FRONT_PURGE_REPORT_H
#define PROXY_FRONT_PURGE_REPORT_H

#include "cache/cache.h"
#include "proxy/exchange/exchange.h"

const char *purge_kind_name(enum purge_kind kind);

/* Digits alone; false for anything else, and 0. */
bool purge_id_of(struct slice text, uint64_t *ret_id);

/* Each answers, and ends the exchange. */
void purge_report_one(struct exchange *x, unsigned status, const struct purge *purge);
void purge_report_id(struct exchange *x, uint64_t id);
void purge_report_all(struct exchange *x);

#endif
