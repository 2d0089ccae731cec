/* LINKS: cache/record */
/*
 * Fuzzes what reads entries and records of the store.
 *
 * The first byte says how the rest is meant.  FUZZ_RAW: an entry.  Otherwise: changes to an entry
 * of three records, each three bytes, an offset (low byte first) and what to XOR there.  FUZZ_MEND:
 * the checksums are made right, as if a foreign program had written the entry.
 */
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "cache/record/entry.h"
#include "tests/support/entry_count.h"
#include "tests/support/messages.h"
#include "tests/support/test_conf.h"

enum { FUZZ_RAW = 1, FUZZ_MEND = 2, ROOM = 256 << 10, VARIANTS = 4 };

#define TARGET "http://example.com/a\n"
#define FRESH "204\nCache-Control: max-age=60\nETag: \"e\"\nVary: Foo\n"

static const struct record_cutoff none_absent;
static const struct slice uri = {"http://example.com/a", 20};
static const struct exchange_times times = {
	784111777000, {.wall_s = 784111777, .steady_ms = 784111777000}, 0, 0, 0};

static _Alignas(8) char base[ROOM], scratch[ROOM], fresh[ROOM];
static size_t base_n, fresh_n;
static struct conf *conf;
static struct message requests[4], not_modified;

static size_t write_record(const char *req, const char *res, char *to)
{
	static struct message request, response;
	struct record_meta meta;
	enum reason why;

	request_of(&request, req);
	response_of(&response, res);
	if (!policy_may_store(&request.req, &response.res, &times, conf, &meta, &why))
		abort();
	return record_write(&request.req, &response.res, &meta, uri, to, ROOM);
}

static void add_to_base(const char *req, const char *res)
{
	static _Alignas(8) char record[ROOM];
	size_t n = write_record(req, res, record);

	memcpy(scratch, base, base_n);
	base_n = entry_put(slice_of(scratch, base_n), uri, slice_of(record, n), VARIANTS, base,
			   ROOM);
	if (base_n == 0)
		abort();
}

static void prepare(void)
{
	conf = test_conf_new();
	conf->preflight_cache = true;
	request_of(&requests[0], "GET " TARGET "Foo: a\n");
	request_of(&requests[1], "HEAD " TARGET "Foo: a, b\n");
	request_of(&requests[2],
		   "OPTIONS " TARGET "Origin: http://o\nAccess-Control-Request-Method: PUT\n");
	request_of(&requests[3], "GET " TARGET);
	response_of(&not_modified, "304\nETag: \"e\"\nX: y\nCache-Control: max-age=9\n");
	add_to_base("GET " TARGET "Foo: a\n", FRESH "Cache-Groups: \"g\", \"h\"\n");
	add_to_base("HEAD " TARGET "Foo: a, b\n",
		    FRESH "Last-Modified: Sun, 06 Nov 1994 08:00:00 GMT\n");
	add_to_base("OPTIONS " TARGET "Origin: http://o\nAccess-Control-Request-Method: PUT\n",
		    "204\nAccess-Control-Max-Age: 60\n");
	fresh_n = write_record("GET " TARGET "Foo: c\n", FRESH, fresh);
}

/* Makes the checksum of each record right, as far as lengths lead from one to the next. */
static void mend(char *entry, size_t n)
{
	struct entry_header header;
	struct record_header record;
	size_t at;

	if (n < sizeof(header))
		return;
	memcpy(&header, entry, sizeof(header));
	if (header.uri_n > n - sizeof(header))
		return;
	at = sizeof(header) + record_pad(header.uri_n);
	while (at <= n && n - at >= sizeof(record)) {
		memcpy(&record, entry + at, sizeof(record));
		if (record.length < sizeof(record) || record.length > n - at)
			return;
		record.checksum = XXH3_64bits(entry + at + sizeof(record.checksum),
					      record.length - sizeof(record.checksum)) ^
				  record_seed(slice_of(entry + sizeof(header), header.uri_n));
		memcpy(entry + at, &record.checksum, sizeof(record.checksum));
		at += record.length;
	}
}

/* Reads every byte, so that a sanitizer sees those outside. */
static void touch(struct slice s)
{
	static volatile unsigned sum;

	for (size_t i = 0; i < s.n; i++)
		sum += (unsigned char)s.p[i];
}

static void use_record(const struct record_view *view, struct slice of)
{
	struct http_field lines[RECORD_FIELDS_MAX];
	struct http_response res = {.fields = {.at = lines, .capacity = RECORD_FIELDS_MAX}};
	struct record_view again;
	enum reason why;
	size_t n;

	touch(view->vary);
	touch(slice_of(view->head_304.p, view->head_304.n + view->head_rest.n));
	touch(view->etag);
	touch(view->last_modified);
	touch(view->bytes);
	record_to_response(view, &res);
	n = record_freshen(view,
			   &(struct record_confirmation){&requests[0].req, &not_modified.res,
							 &times, conf, of},
			   scratch, ROOM, &why);
	if (n > 0 && !record_view(slice_of(scratch, n), of, &again))
		abort();
}

static void use_entry(struct slice entry)
{
	struct cache_key groups[GROUPS_MAX];
	struct record_view view;
	struct slice of;
	unsigned count = entry_count(entry);
	size_t n;

	for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		if (entry_select(entry, uri, &requests[i].req, false, &none_absent, &view) ==
		    ENTRY_SELECTED)
			use_record(&view, uri);
	}
	for (unsigned i = 0; i <= count; i++) {
		if (entry_at(entry, i, &of, &view))
			use_record(&view, of);
	}
	entry_groups(entry, groups);
	n = entry_put(entry, uri, slice_of(fresh, fresh_n), VARIANTS, scratch, ROOM);
	/* What was put is there, whatever it was put to. */
	if (n == 0 ||
	    !entry_at(slice_of(scratch, n), entry_count(slice_of(scratch, n)) - 1, &of, &view) ||
	    !slice_eq(view.bytes, slice_of(fresh, fresh_n)))
		abort();
	entry_tidy(entry, &none_absent, scratch, ROOM);
	if (entry_is_untidy(entry, &none_absent))
		entry_tidy(entry, &none_absent, scratch, ROOM);
	entry_tidy(entry, &(struct record_cutoff){.purged_ms = 784111777000}, scratch, ROOM);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n;
	char *entry;

	if (!conf)
		prepare();
	if (size < 1 || size > ROOM / 2)
		return 0;
	n = data[0] & FUZZ_RAW ? size - 1 : base_n;
	entry = malloc(n + 1); /* just as large, so that a sanitizer sees an overrun */
	if (entry == NULL)
		return 0;
	memcpy(entry, data[0] & FUZZ_RAW ? (const char *)data + 1 : base, n);
	for (size_t i = 1; !(data[0] & FUZZ_RAW) && i + 3 <= size; i += 3)
		entry[(data[i] | (size_t)data[i + 1] << 8) % n] ^= (char)data[i + 2];
	if (data[0] & FUZZ_MEND)
		mend(entry, n);
	use_entry(slice_of(entry, n));
	free(entry);
	return 0;
}
