/*
 * Cache directives of either side: Cache-Control (RFC 9111 5.2), Pragma, which has the same
 * grammar, and targeted fields (RFC 9213).  Pure; linear in the bytes of the field.
 *
 * Ambiguous directives get the stricter reading, and the result never depends on the order of
 * directives or lines (RULES 2, HAZARDS C1 and C3).
 */
#ifndef CACHE_POLICY_CACHE_CONTROL_H
#define CACHE_POLICY_CACHE_CONTROL_H

#include <stdint.h>

#include "cache/http/message.h"

enum cache_directive {
#define DIRECTIVE(id, name, kind) CC_##id,
#define DIRECTIVE_SECONDS(id, member, name, kind) CC_##id,
#include "cache/policy/directives.def"
#undef DIRECTIVE
#undef DIRECTIVE_SECONDS
	CC_DIRECTIVE_COUNT
};

/* The largest value of an argument (RFC 9111 1.2.2), and max-stale without an argument. */
#define CC_SECONDS_MAX ((uint32_t)1 << 31)
#define CC_SECONDS_ANY UINT32_MAX

enum {
	CC_NAMES_MAX = 16,
	CC_BYTES_MAX = 2048, /* of all lines; more is hostile */
	CC_COMMAS_MAX = 128, /* the same of commas: two bytes may be a directive */
};

/* Field names of qualified `no-cache` or `private`, as written: compare with slice_ieq(). */
struct cache_control_names {
	struct slice at[CC_NAMES_MAX];
	uint32_t count;
};

/*
 * The names are views of the field values that were parsed; nothing is owned.  Members with seconds
 * are 0 unless their directive is present.  Of a names array only the first `count` are
 * initialized.
 */
struct cache_control {
	uint32_t present; /* bit (1 << enum cache_directive) */
	uint32_t invalid; /* seconds that could not be read: missing, negative, 1.5, '60', 60x */
	uint32_t unqualified; /* no-cache and private that hold for the whole response */

	/*
	 * Not a list of directives: a quoted string not closed, ';' for ',', junk beside a name or
	 * an argument.  What could be read is still set, but the meaning is lost: do not store.
	 */
	bool broken;

	uint32_t max_age;
	uint32_t s_maxage;
	uint32_t min_fresh;
	uint32_t max_stale; /* or CC_SECONDS_ANY */
	uint32_t stale_while_revalidate;
	uint32_t stale_if_error;

	/*
	 * Empty when the directive is unqualified anywhere.  More than CC_NAMES_MAX names, an empty
	 * or malformed list, and an argument without quotes count as unqualified.
	 */
	struct cache_control_names no_cache;
	struct cache_control_names private;
};

/* Whether its lines have more than CC_BYTES_MAX or CC_COMMAS_MAX together. */
bool cache_control_is_too_long(const struct http_fields *fields, enum http_field_id id);

/*
 * All lines of a field: FIELD_CACHE_CONTROL, or FIELD_PRAGMA for its no-cache.  An absent field
 * gives no directives.  One that is too long counts as broken and is not read, except for
 * only-if-cached: this bounds the work, as a message is parsed for its directives more than once.
 * Always writes *ret_control.
 */
void cache_control_parse(const struct http_fields *fields, enum http_field_id id,
			 struct cache_control *ret_control);

/*
 * A targeted field, by name since the operator chooses them.  False when it is absent, empty or not
 * a valid dictionary: it is then ignored (RFC 9213 2.1), and *ret_control has no directives.  A
 * member whose value has the wrong type for its directive is ignored; of several with one key the
 * last counts (RFC 9651 3.2).  `broken` is never set.
 */
bool cache_control_from_sf(const struct http_fields *fields, struct slice name,
			   struct cache_control *ret_control);

/* The directive of this name, in any case; CC_DIRECTIVE_COUNT for none that is known. */
enum cache_directive cache_control_directive(struct slice name);

/* Whether a directive occurs, qualified or not. */
static inline bool cache_control_has(const struct cache_control *control,
				     enum cache_directive directive)
{
	return (control->present >> directive) & 1;
}

/* As if it did not occur; a member with its seconds stays as it is. */
static inline void cache_control_forget(struct cache_control *control,
					enum cache_directive directive)
{
	control->present &= ~(1U << directive);
}

/* Whether CC_NO_CACHE or CC_PRIVATE holds for the whole response. */
static inline bool cache_control_is_unqualified(const struct cache_control *control,
						enum cache_directive directive)
{
	return (control->unqualified >> directive) & 1;
}

/* Whether a qualified `no-cache` or `private` names the field (any case). */
bool cache_control_names_field(const struct cache_control_names *names, struct slice field);

#endif
