/* What texts of options may be, one by one: for forms.c.  Pure. */
#ifndef CONF_FORM_TEXTS_H
#define CONF_FORM_TEXTS_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/units.h"

/* Is it of that form (enum form in forms.h)? */
bool text_is_any(const char *text);
bool text_is_token(const char *text);
bool text_is_token_or_nothing(const char *text);
bool text_is_log_format(const char *text);
bool text_is_path(const char *text); /* of a Unix socket */
bool text_is_listen(const char *text);
bool text_is_tls_listen(const char *text);
bool text_is_sender(const char *text);
bool text_is_mode(const char *text);
bool text_is_resolver(const char *text);
bool text_is_network(const char *text);
bool text_is_port(const char *text);
bool text_is_host(const char *text);
bool text_is_destination(const char *text);
bool text_is_parent(const char *text);
bool text_is_gateway(const char *text);
bool text_is_rule_parent(const char *text);
bool text_is_query_name(const char *text);

/*
 * Labels of letters, digits, - and _ (seen in practice).  A last label of digits is a broken
 * address.
 */
bool text_is_name(const char *text, size_t length);

/* user:password; each % begins the escape of a byte that is no control character. */
bool text_is_userinfo(const char *text, size_t length);

/* An address alone, IPv6 with or without brackets; writes it with the port of name servers. */
bool text_add_resolver_port(const char *text, char to[UNITS_HOST + 9]);

/* A value as it is shown in a message: control characters and excess length taken out. */
enum { FORM_SHOWN = 72 };
const char *form_show(const char *value, char to[FORM_SHOWN]);

#endif
