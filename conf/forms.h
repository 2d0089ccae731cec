/* What a text or a member of a list may be: the forms named by the rows of options.def. */
#ifndef CONF_FORMS_H
#define CONF_FORMS_H

#include <stdbool.h>
#include <stddef.h>

#include "cache/base/diagnostic.h"
#include "conf/form_texts.h"

enum form {
	FORM_ANY,   /* any text without control characters */
	FORM_TOKEN, /* a token of RFC 9110 5.6.2 */
	FORM_TOKEN_OR_NOTHING,
	FORM_LOG_FORMAT,  /* of the access log, log_format.h */
	FORM_LISTEN,      /* ADDRESS:PORT or unix:/path */
	FORM_TLS_LISTEN,  /* likewise, or tls:ADDRESS:PORT */
	FORM_MODE,        /* permissions of a file, 3 octal digits, or 4 of which the first is 0 */
	FORM_RESOLVER,    /* ADDRESS or ADDRESS:PORT, port 53 without one */
	FORM_HOST,        /* a host name */
	FORM_NETWORK,     /* ADDRESS or ADDRESS/BITS, no bit set beyond BITS */
	FORM_SENDER,      /* a network, or unix: */
	FORM_PORT,        /* 1 to 65535, FIRST-LAST of these, or * */
	FORM_DESTINATION, /* a host name, a .domain or a network */
	FORM_PARENT,      /* http://[user:password@]host:port, or nothing */
	FORM_GATEWAY,     /* TLS_LISTEN=http://host[:port][@unix:/path], or https */
	FORM_PATTERN,     /* of a rule, pattern.h */
	FORM_RULE_PARENT, /* as FORM_PARENT, or none */
	FORM_QUERY_NAME,  /* of a parameter, * at its end for all that begin so */
};

/*
 * Is it of that form?  If not, writes why, and what would be right, to `why`, without what may be a
 * password.  Pure.
 */
bool form_check(enum form form, const char *value, struct diagnostic *why);

/*
 * A value that passed form_check() as all others read it: a name server with its port, a URL of an
 * origin without the slash at its end.  NULL when memory is out, else for the caller to free.
 */
char *form_normal(enum form form, const char *value);

/* The form in a few words for --help, as "list of ..."; "" for any text. */
const char *form_name(enum form form);

#endif
