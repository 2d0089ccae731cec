/* The table of known fields, and walks over field lines and their lists. */
#include "cache/http/fields.h"

enum {
	KNOWN_NAME_MAX = 40, /* longer names are unknown */
	SLOT_COUNT = 256,    /* so sparse that a probe nearly always ends where it starts */
	NOMINATED_MAX = 64,  /* unknown fields that Connection may name */
	VARY_MEMBERS_MAX = 4 * HTTP_VARY_NAMES_MAX, /* of Vary, repetitions included */
};

static const struct {
	struct slice name;
	uint8_t flags;
} known[FIELD_ID_COUNT] = {
#define FIELD(id, name, flags) [FIELD_##id] = {{name, sizeof(name) - 1}, flags},
#include "cache/http/fields.def"
#undef FIELD
};

static const uint64_t hop_fields = 0
#define FIELD(id, name, flags) | (uint64_t)(((flags)&HOP) != 0) << FIELD_##id
#include "cache/http/fields.def"
#undef FIELD
	;
static const uint64_t kept_fields = 0
#define FIELD(id, name, flags) | (uint64_t)(((flags)&KEEP) != 0) << FIELD_##id
#include "cache/http/fields.def"
#undef FIELD
	;

_Static_assert(FIELD_ID_COUNT <= 64, "http_fields.present is a set of fields in one word");
#define FIELD(id, name, flags) \
	_Static_assert(sizeof(name) - 1 <= KNOWN_NAME_MAX, "long field name");
#include "cache/http/fields.def"
#undef FIELD

/*
 * The known names by hash.  A byte c matches byte i of a known name, ignoring case, when (c |
 * fold[i]) == lower[i]: fold has the case bit where the name has a letter.  So eight bytes are
 * compared at a time, exactly.
 */
static struct {
	uint8_t slots[SLOT_COUNT]; /* enum http_field_id, FIELD_OTHER when free */
	char lower[FIELD_ID_COUNT][KNOWN_NAME_MAX];
	char fold[FIELD_ID_COUNT][KNOWN_NAME_MAX];
} table;

static inline unsigned slot_of(struct slice name)
{
	unsigned first = (unsigned char)name.p[0] | 0x20u;
	unsigned middle = (unsigned char)name.p[name.n / 2] | 0x20u;
	unsigned last = (unsigned char)name.p[name.n - 1] | 0x20u;

	return ((unsigned)name.n + first + middle + 32 * last) % SLOT_COUNT;
}

/* Filled before main(), since C cannot compute hashes at compile time; constant after that. */
__attribute__((constructor)) static void table_fill(void)
{
	for (unsigned id = FIELD_OTHER + 1; id < FIELD_ID_COUNT; id++) {
		struct slice name = known[id].name;
		unsigned slot = slot_of(name);

		while (table.slots[slot] != FIELD_OTHER)
			slot = (slot + 1) % SLOT_COUNT;
		table.slots[slot] = (uint8_t)id;
		for (size_t i = 0; i < name.n; i++) {
			bool letter = (name.p[i] | 0x20) >= 'a' && (name.p[i] | 0x20) <= 'z';

			table.fold[id][i] = letter ? 0x20 : 0;
			table.lower[id][i] = (char)(name.p[i] | table.fold[id][i]);
		}
	}
}

static inline bool word_is(const char *p, const char *lower, const char *fold)
{
	uint64_t word, wanted, mask;

	memcpy(&word, p, sizeof(word));
	memcpy(&wanted, lower, sizeof(wanted));
	memcpy(&mask, fold, sizeof(mask));
	return (word | mask) == wanted;
}

static inline bool is_known_as(struct slice name, unsigned id)
{
	const char *lower = table.lower[id];
	const char *fold = table.fold[id];
	size_t i = 0;

	if (name.n != known[id].name.n)
		return false;
	if (name.n < sizeof(uint64_t)) {
		for (; i < name.n; i++) {
			if ((name.p[i] | fold[i]) != lower[i])
				return false;
		}
		return true;
	}
	for (; i + sizeof(uint64_t) <= name.n; i += sizeof(uint64_t)) {
		if (!word_is(name.p + i, lower + i, fold + i))
			return false;
	}
	/* The last word overlaps the one before. */
	i = name.n - sizeof(uint64_t);
	return word_is(name.p + i, lower + i, fold + i);
}

enum http_field_id http_field_lookup(struct slice name)
{
	unsigned slot;

	if (name.n == 0 || name.n > KNOWN_NAME_MAX)
		return FIELD_OTHER;
	slot = slot_of(name);
	while (table.slots[slot] != FIELD_OTHER) {
		if (is_known_as(name, table.slots[slot]))
			return (enum http_field_id)table.slots[slot];
		slot = (slot + 1) % SLOT_COUNT;
	}
	return FIELD_OTHER;
}

struct slice http_field_name(enum http_field_id id)
{
	return known[id].name;
}

unsigned http_field_flags(enum http_field_id id)
{
	return known[id].flags;
}

bool http_is_token(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!http_is_tchar((unsigned char)s.p[i]))
			return false;
	}
	return s.n > 0;
}

bool http_fields_add(struct http_fields *fields, struct slice name, struct slice value)
{
	enum http_field_id id;

	if (fields->count >= fields->capacity)
		return false;
	id = http_field_lookup(name);
	fields->at[fields->count++] = (struct http_field){name, value, (uint8_t)id, false};
	if (id == FIELD_OTHER)
		return true;
	fields->repeated |= fields->present & (uint64_t)1 << id;
	fields->present |= (uint64_t)1 << id;
	return true;
}

void http_fields_move(struct http_field *to, const struct http_fields *from, const char *bytes,
		      const char *copy)
{
	for (uint32_t i = 0; i < from->count; i++) {
		to[i] = from->at[i];
		to[i].name = slice_moved(from->at[i].name, bytes, copy);
		to[i].value = slice_moved(from->at[i].value, bytes, copy);
	}
}

static const struct http_field *first_from(const struct http_fields *fields, uint32_t i,
					   enum http_field_id id)
{
	for (; i < fields->count; i++) {
		if (fields->at[i].id == id)
			return &fields->at[i];
	}
	return NULL;
}

const struct http_field *http_fields_first(const struct http_fields *fields, enum http_field_id id)
{
	if (!http_has_field(fields, id))
		return NULL;
	return first_from(fields, 0, id);
}

const struct http_field *http_fields_next(const struct http_fields *fields,
					  const struct http_field *prev)
{
	if (!http_may_be_repeated(fields, (enum http_field_id)prev->id))
		return NULL;
	return first_from(fields, (uint32_t)(prev - fields->at) + 1, (enum http_field_id)prev->id);
}

unsigned http_fields_lines(const struct http_fields *fields, enum http_field_id id)
{
	const struct http_field *line = http_fields_first(fields, id);
	unsigned count = 0;

	for (; line != NULL; line = http_fields_next(fields, line))
		count++;
	return count;
}

const struct http_field *http_fields_unknown(const struct http_fields *fields, uint32_t i,
					     struct slice name)
{
	for (; i < fields->count; i++) {
		const struct http_field *line = &fields->at[i];

		if (line->id == FIELD_OTHER && !line->nominated && slice_ieq(line->name, name))
			return line;
	}
	return NULL;
}

const struct http_field *http_fields_named(const struct http_fields *fields, struct slice name)
{
	enum http_field_id id = http_field_lookup(name);

	if (id != FIELD_OTHER)
		return http_fields_first(fields, id);
	return http_fields_unknown(fields, 0, name);
}

uint32_t http_name_hash(struct slice name)
{
	uint64_t hash = name.n, word = 0;
	size_t i = 0;

	/* Bit 0x20 is the case of letters; a few other bytes look alike as well. */
	for (; i + sizeof(word) <= name.n; i += sizeof(word)) {
		memcpy(&word, name.p + i, sizeof(word));
		hash = (hash ^ (word | 0x2020202020202020)) * 0x9e3779b97f4a7c15;
		hash ^= hash >> 32;
	}
	word = 0;
	if (i < name.n)
		memcpy(&word, name.p + i, name.n - i);
	hash = (hash ^ (word | 0x2020202020202020)) * 0x9e3779b97f4a7c15;
	return (uint32_t)(hash >> 32) | 1;
}

/* Unknown names, and their hashes. */
struct nominated {
	uint32_t hashes[NOMINATED_MAX];
	struct slice names[NOMINATED_MAX];
	unsigned count;
};

static bool is_nominated(const struct nominated *nominated, struct slice name)
{
	uint32_t hash = http_name_hash(name);

	for (unsigned i = 0; i < nominated->count; i++) {
		if (nominated->hashes[i] == hash && slice_ieq(nominated->names[i], name))
			return true;
	}
	return false;
}

static void nominate_others(struct http_fields *fields, const struct nominated *nominated)
{
	for (uint32_t i = 0; i < fields->count; i++) {
		if (fields->at[i].id == FIELD_OTHER && is_nominated(nominated, fields->at[i].name))
			fields->at[i].nominated = true;
	}
}

/*
 * Mark a line as belonging to the connection.  Unless we have to read it there, it becomes unknown,
 * so that no rule and no key depends on a field that the next server does not see.
 */
static void nominate(struct http_field *line)
{
	line->nominated = true;
	if (!(known[line->id].flags & HOP))
		line->id = FIELD_OTHER;
}

/*
 * The next option of Connection.  Options are tokens: a quote gets no special meaning, because the
 * next server may read what we took as quoted as an option.
 */
static bool connection_next(struct http_list *list, struct slice *ret_option)
{
	while (list->line != NULL) {
		struct slice value = list->line->value;
		size_t start = list->offset, end = start;

		while (end < value.n && value.p[end] != ',')
			end++;
		list->offset = end + 1;
		*ret_option = slice_trim(slice_of(value.p + start, end - start));
		if (end >= value.n) {
			list->line = http_fields_next(list->fields, list->line);
			list->offset = 0;
		}
		if (ret_option->n > 0)
			return true;
	}
	return false;
}

/*
 * Known fields are collected in a set, others by their hashes.  A message that nominates more than
 * NOMINATED_MAX unknown fields, which only an attacker sends, loses all its unknown fields instead:
 * otherwise the work would be the number of options times that of lines.
 */
void http_fields_nominate(struct http_fields *fields)
{
	struct http_list list = http_list_of(fields, FIELD_CONNECTION);
	struct nominated others;
	struct slice option;
	uint64_t nominated = 0;

	others.count = 0;
	while (connection_next(&list, &option)) {
		enum http_field_id id = http_field_lookup(option);

		if (id != FIELD_OTHER) {
			nominated |= (uint64_t)1 << id & ~kept_fields;
		} else if (others.count < NOMINATED_MAX) {
			others.hashes[others.count] = http_name_hash(option);
			others.names[others.count++] = option;
		} else {
			nominated |= (uint64_t)1 << FIELD_OTHER;
		}
	}
	if (others.count > 0)
		nominate_others(fields, &others);
	if (nominated == 0)
		return;
	for (uint32_t i = 0; i < fields->count; i++) {
		if ((nominated >> fields->at[i].id) & 1)
			nominate(&fields->at[i]);
	}
	fields->present &= ~nominated | hop_fields;
}

bool http_field_is_hop(const struct http_field *field)
{
	return field->nominated || (known[field->id].flags & (HOP | FRAMING));
}

struct http_list http_list_of(const struct http_fields *fields, enum http_field_id id)
{
	return (struct http_list){fields, http_fields_first(fields, id), 0, false};
}

bool http_list_next(struct http_list *list, struct slice *ret_member)
{
	while (list->line != NULL) {
		if (http_list_member(list->line->value, &list->offset, ret_member, &list->broken))
			return true;
		list->line = http_fields_next(list->fields, list->line);
		list->offset = 0;
	}
	return false;
}

bool http_connection_has(const struct http_fields *fields, struct slice option)
{
	struct http_list list = http_list_of(fields, FIELD_CONNECTION);
	struct slice found;

	while (connection_next(&list, &found)) {
		if (slice_ieq(found, option))
			return true;
	}
	return false;
}

/*
 * The end of a quoted string that starts at `i`: past its closing quote, or n + 1 when it has none.
 */
static size_t quoted_end(struct slice value, size_t i)
{
	for (i++; i < value.n; i++) {
		if (value.p[i] == '"')
			return i + 1;
		if (value.p[i] == '\\')
			i++;
	}
	return value.n + 1;
}

bool http_list_member(struct slice value, size_t *offset, struct slice *ret_member,
		      bool *ret_broken)
{
	size_t i = *offset;
	size_t start;

	while (i < value.n && (value.p[i] == ',' || value.p[i] == ' ' || value.p[i] == '\t'))
		i++;
	start = i;
	while (i < value.n && value.p[i] != ',') {
		if (value.p[i] == '"')
			i = quoted_end(value, i);
		else
			i++;
	}
	if (i > value.n) {
		*ret_broken = true;
		i = value.n;
	}
	*offset = i;
	if (i == start)
		return false;
	*ret_member = slice_trim(slice_of(value.p + start, i - start));
	return true;
}

int http_name_compare(struct slice a, struct slice b)
{
	if (a.n != b.n)
		return a.n < b.n ? -1 : 1;
	return strncasecmp(a.p, b.p, a.n);
}

bool http_vary_names(const struct http_fields *fields, struct slice names[HTTP_VARY_NAMES_MAX],
		     unsigned *ret_count)
{
	struct http_list list = http_list_of(fields, FIELD_VARY);
	unsigned count = 0, members = 0;
	struct slice name;

	while (http_list_next(&list, &name)) {
		unsigned i = count;
		int order = 1;

		if (members++ == VARY_MEMBERS_MAX || !http_is_token(name) ||
		    slice_eq(name, SLICE("*")))
			return false;
		while (i > 0 && (order = http_name_compare(name, names[i - 1])) < 0)
			i--;
		if (i > 0 && order == 0)
			continue;
		if (count == HTTP_VARY_NAMES_MAX)
			return false;
		memmove(names + i + 1, names + i, (count++ - i) * sizeof(*names));
		names[i] = name;
	}
	*ret_count = count;
	return !list.broken;
}

bool http_list_has(const struct http_fields *fields, enum http_field_id id, struct slice member)
{
	struct http_list list = http_list_of(fields, id);
	struct slice found;

	while (http_list_next(&list, &found)) {
		if (slice_ieq(found, member))
			return true;
	}
	return false;
}
