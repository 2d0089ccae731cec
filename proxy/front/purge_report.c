/* Tells operators of purges. */
#include "proxy/front/purge_report.h"

#include <stdlib.h>

#include "cache/base/decimal.h"
#include "proxy/base/json_writer.h"
#include "proxy/front/admin_page.h"
#include "proxy/loop/env.h"

enum {
	REPORT_MAX = 512 << 10, /* PURGE_SLOTS texts, six bytes for each of theirs at worst */
	ID_DIGITS_MAX = 18,
};

const char *purge_kind_name(enum purge_kind kind)
{
	static const char *const names[] = {
		[PURGE_ALL] = "all",   [PURGE_URI] = "uri",     [PURGE_PREFIX] = "prefix",
		[PURGE_HOST] = "host", [PURGE_GROUP] = "group",
	};

	return names[kind];
}

bool purge_id_of(struct slice text, uint64_t *ret_id)
{
	return text.n <= ID_DIGITS_MAX && decimal_read(text, UINT64_MAX, ret_id) && *ret_id != 0;
}

static void put_purge(struct json_writer *out, const struct purge *purge)
{
	json_put_object(out, NULL);
	json_put_number(out, "id", purge->id);
	json_put_words(out, "kind", purge_kind_name(purge->kind));
	if (purge->kind != PURGE_ALL)
		json_put_text(out, purge_kind_name(purge->kind),
			      purge->kind == PURGE_GROUP ? purge_group_name(purge)
							 : purge_text(purge));
	if (purge->kind == PURGE_GROUP)
		json_put_text(out, "origin", purge_group_origin(purge));
	if (purge->port != 0)
		json_put_number(out, "port", purge->port);
	json_put_bool(out, "soft", purge->soft);
	json_put_words(out, "state", purge->pending ? "pending" : "finished");
	json_put_number(out, "uris", purge->found);
	json_put_signed(out, "began_s", purge->began_s);
	if (!purge->pending)
		json_put_signed(out, "ended_s", purge->ended_s);
	json_put_end(out);
}

void purge_report_one(struct exchange *x, unsigned status, const struct purge *purge)
{
	struct json_writer out;

	json_writer_begin(&out, JSON_COMPACT, REPORT_MAX);
	put_purge(&out, purge);
	admin_answer_json(x, status, &out);
}

/* How many there are, in memory that the caller frees; NULL without memory. */
static struct purge *list(struct exchange *x, unsigned *ret_count)
{
	struct purge *purges = malloc(PURGE_SLOTS * sizeof(*purges));

	if (purges != NULL)
		*ret_count = cache_purges(x->use->env->cache, purges, PURGE_SLOTS);
	else
		exchange_fail(x, FAILURE_INTERNAL);
	return purges;
}

/* One that was forgotten has ended, and its count is not known any more. */
static void report_forgotten(struct exchange *x, uint64_t id)
{
	struct json_writer out;

	json_writer_begin(&out, JSON_COMPACT, REPORT_MAX);
	json_put_object(&out, NULL);
	json_put_number(&out, "id", id);
	json_put_words(&out, "state", "forgotten");
	json_put_end(&out);
	admin_answer_json(x, 200, &out);
}

void purge_report_id(struct exchange *x, uint64_t id)
{
	unsigned count = 0, i = 0;
	struct purge *purges = list(x, &count);

	if (purges == NULL)
		return;
	while (i < count && purges[i].id != id)
		i++;
	if (i < count)
		purge_report_one(x, 200, &purges[i]);
	else if (id <= cache_purge_last_id(x->use->env->cache))
		report_forgotten(x, id);
	else
		admin_refuse(x, 404, ADMIN_FIELDS, "There was no purge of that id.\n");
	free(purges);
}

void purge_report_all(struct exchange *x)
{
	unsigned count = 0, i = 0;
	struct purge *purges = list(x, &count);
	struct json_writer out;

	if (purges == NULL)
		return;
	json_writer_begin(&out, JSON_LINES, REPORT_MAX);
	json_put_object(&out, NULL);
	json_put_number(&out, "pending_max", PURGE_PENDING_MAX);
	json_put_array(&out, "pending");
	for (; i < count && purges[i].pending; i++)
		put_purge(&out, &purges[i]);
	json_put_end(&out);
	json_put_array(&out, "finished");
	for (; i < count; i++)
		put_purge(&out, &purges[i]);
	json_put_end(&out);
	json_put_end(&out);
	admin_answer_json(x, 200, &out);
	free(purges);
}
