/* The last URI that each reason held for: slots of shared memory, with checksums. */
#include "proxy/stats/last_uris.h"

#include <stdatomic.h>

#include "proxy/stats/accesslog_mask.h"
#include "proxy/stats/shared_row.h"

enum { WORDS = LAST_URI_MAX / 8, NORMAL_ROOM = URI_HOST_MAX + 32 + LAST_URI_MAX };

/*
 * All accesses are relaxed: the checksum says whether what was read belongs together, in whatever
 * order it became visible.
 */
struct slot {
	_Atomic uint64_t check; /* 0: empty */
	_Atomic uint64_t length;
	_Atomic uint64_t words[WORDS];
};

struct last_uris {
	struct slot at[REASON_COUNT];
};

_Static_assert(sizeof(struct slot) == 512, "a slot has no padding");

static struct last_uris own;
static struct last_uris *shared = &own;

bool last_uris_share(void)
{
	struct last_uris *memory = shared_map(sizeof(*memory));

	if (memory == NULL)
		return false;
	shared = memory;
	return true;
}

struct last_uris *last_uris_all(void)
{
	return shared;
}

/* Words are mixed one after the other, so that their order counts. */
static uint64_t mix(uint64_t sum, uint64_t word)
{
	sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return sum ^ sum >> 29;
}

static uint64_t check_begin(uint64_t length)
{
	return mix(UINT64_C(0x243f6a8885a308d3), length);
}

static void put(struct slot *slot, struct slice text)
{
	uint64_t sum = check_begin(text.n);

	atomic_store_explicit(&slot->length, text.n, memory_order_relaxed);
	for (size_t i = 0; i * 8 < text.n; i++) {
		size_t left = text.n - i * 8;
		uint64_t word = 0;

		if (left >= 8)
			memcpy(&word, text.p + i * 8, 8);
		else
			memcpy(&word, text.p + i * 8, left);
		atomic_store_explicit(&slot->words[i], word, memory_order_relaxed);
		sum = mix(sum, word);
	}
	atomic_store_explicit(&slot->check, sum | 1, memory_order_relaxed);
}

/*
 * In normal form, as far as it fits: a view of the URI, of `room` or of `masked`.  Masked before it
 * is cut, since a password is known by the "@" behind it.
 */
static struct slice kept_form(const struct http_uri *uri, char room[static NORMAL_ROOM],
			      char masked[static LAST_URI_MAX])
{
	struct http_uri cut = *uri;
	struct slice text = uri->normal;

	if (text.n > 0) {
		text = accesslog_mask(text, true, masked, LAST_URI_MAX);
	} else {
		cut.path = accesslog_mask(uri->path, true, masked, LAST_URI_MAX);
		if (cut.path.n > LAST_URI_MAX)
			cut.path.n = LAST_URI_MAX;
		text = slice_of(room, http_uri_normal(&cut, room));
	}
	if (text.n > LAST_URI_MAX)
		text.n = LAST_URI_MAX;
	return text;
}

void last_uris_note(enum reason reason, const struct http_uri *uri)
{
	char room[NORMAL_ROOM], masked[LAST_URI_MAX];

	if (uri->host.n > 0)
		put(&shared->at[reason], kept_form(uri, room, masked));
}

size_t last_uris_read(const struct last_uris *all, enum reason reason, char to[static LAST_URI_MAX])
{
	const struct slot *slot = &all->at[reason];
	uint64_t check = atomic_load_explicit(&slot->check, memory_order_relaxed);
	uint64_t length = atomic_load_explicit(&slot->length, memory_order_relaxed);
	uint64_t sum = check_begin(length);
	uint64_t words[WORDS];

	if (check == 0 || length > LAST_URI_MAX)
		return 0;
	for (size_t i = 0; i * 8 < length; i++) {
		words[i] = atomic_load_explicit(&slot->words[i], memory_order_relaxed);
		sum = mix(sum, words[i]);
	}
	if ((sum | 1) != check)
		return 0;
	memcpy(to, words, length);
	return length;
}

enum reason last_uris_find(const struct last_uris *all, const struct http_uri *uri,
			   enum reason_where where)
{
	char room[NORMAL_ROOM], masked[LAST_URI_MAX], kept[LAST_URI_MAX];
	struct slice wanted = kept_form(uri, room, masked);

	for (enum reason reason = REASON_NONE + 1; reason < REASON_COUNT; reason++) {
		size_t kept_n = reason_is_at(reason, where) ? last_uris_read(all, reason, kept) : 0;

		if (slice_eq(slice_of(kept, kept_n), wanted))
			return reason;
	}
	return REASON_NONE;
}
