/* What an origin answered to an operator's question. */
#include "proxy/front/explain_fetch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/policy/lint.h"
#include "cache/record/record.h"
#include "proxy/base/cause.h"
#include "proxy/http1/mend_fault.h"

enum { SUMMARY = 512, OK_TEXT = 256 };

/* Whether a record of it fits: the last of the rules for storing, which needs the bytes. */
static bool fits(const struct http_request *req, const struct http_response *res,
		 const struct record_meta *meta, const struct conf *conf)
{
	size_t uri_n = http_uri_normal_max(&req->uri), room = (uri_n + 7) & ~(size_t)7;
	char *memory = malloc(room + conf->record_size);
	size_t n;

	if (memory == NULL)
		return false;
	n = record_write(req, res, meta, slice_of(memory, http_uri_normal(&req->uri, memory)),
			 memory + room, conf->record_size);
	free(memory);
	return n > 0;
}

/* "Asked 192.0.2.33:80 once, 204 in 11.4 ms". */
static size_t say_asked(const struct probe_answer *answer, char to[static SUMMARY])
{
	char address[ADDRESS_TEXT_SIZE] = "";
	int n;

	if (answer->origin->any.sa_family != AF_UNSPEC)
		address_format_port(answer->origin, address);
	n = snprintf(to, SUMMARY, "Asked %s once", address[0] != '\0' ? address : "for it");
	if (answer->res != NULL)
		n += snprintf(to + n, SUMMARY - (size_t)n, ", %u in %.1f ms", answer->res->status,
			      (double)answer->elapsed_us / 1000);
	return (size_t)n;
}

static void say_failure(const struct probe_answer *answer, char to[static SUMMARY])
{
	size_t n = say_asked(answer, to);
	bool caused = cause_text()[0] != '\0';

	snprintf(to + n, SUMMARY - n, ", and there was no answer (%s%s%s): %s",
		 failure_name(answer->failure), caused ? ": " : "", cause_text(),
		 failure_sentence(answer->failure));
}

static void say_answer(const struct probe_answer *answer, const struct lint *lint,
		       const struct conf *conf, char to[static SUMMARY])
{
	size_t n = say_asked(answer, to);

	if (!lint->stored)
		snprintf(to + n, SUMMARY - n,
			 ". Such an answer is not stored (%s):", reason_token(lint->why));
	else if (policy_lifetime_s(&lint->meta, conf) > 0)
		snprintf(to + n, SUMMARY - n, ". Such an answer is stored, for %" PRId64 " s:",
			 policy_lifetime_s(&lint->meta, conf));
	else
		snprintf(to + n, SUMMARY - n,
			 ". Such an answer is stored, and each request has it confirmed:");
}

static void put_finding(struct json_writer *out, const struct lint *lint, enum lint_id id,
			struct slice detail)
{
	const struct lint_row *row = lint_row(id);
	char text[512];

	snprintf(text, sizeof(text), "%s (%s)", row->text, row->section);
	json_put_object(out, NULL);
	json_put_words(out, "level", row->level == LINT_BARS ? "x" : "!");
	json_put_words(out, "name", row->name);
	json_put_words(out, "text", text);
	if (detail.n > 0)
		json_put_string(out, "detail", detail);
	else
		json_put_null(out, "detail");
	json_put_end(out);
	(void)lint;
}

static void put_findings(struct json_writer *out, const struct probe_answer *answer,
			 const struct lint *lint)
{
	char fault[MEND_FAULT_SIZE];

	json_put_array(out, "findings");
	for (enum lint_level level = LINT_BARS; level <= LINT_WARNS; level++)
		for (enum lint_id id = 0; id < LINT_COUNT; id++)
			if (lint_has(lint, id) && lint_row(id)->level == level)
				put_finding(out, lint, id,
					    id == LINT_MENDED
						    ? slice_str(mend_fault(answer->raw, fault))
						    : lint->details[id]);
	json_put_end(out);
}

/* What is all right, in one line; null for a status of which nothing was looked at. */
static void put_ok(struct json_writer *out, const struct lint *lint)
{
	char text[OK_TEXT] = "";
	size_t n = 0;

	for (enum lint_group group = 0; group < LINT_GROUP_COUNT; group++)
		if (!lint_has_group(lint, group) && n < sizeof(text))
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n > 0 ? ", " : "",
					      lint_group_text(group));
	json_put_words(out, "ok", lint_has(lint, LINT_STATUS) ? NULL : text);
}

static void put_head(struct json_writer *out, struct slice raw)
{
	json_put_array(out, "head");
	while (raw.n > 0) {
		const char *lf = memchr(raw.p, '\n', raw.n);
		size_t n = lf != NULL ? (size_t)(lf - raw.p) : raw.n;
		size_t shown = n > 0 && raw.p[n - 1] == '\r' ? n - 1 : n;

		if (shown > 0)
			json_put_text(out, NULL, slice_of(raw.p, shown));
		n += lf != NULL;
		raw = slice_of(raw.p + n, raw.n - n);
	}
	json_put_end(out);
}

static void put_answer(struct json_writer *out, const struct http_request *req,
		       const struct probe_answer *answer, const struct conf *conf)
{
	char summary[SUMMARY];
	struct lint lint;

	lint_response(req, answer->res, answer->times, conf, &lint);
	if (lint.stored && !fits(req, answer->res, &lint.meta, conf)) {
		lint.stored = false;
		lint.why = REASON_TOO_LARGE;
		lint.found |= (uint64_t)1 << LINT_NOT_STORED;
		lint.details[LINT_NOT_STORED] = slice_str(reason_meaning(lint.why));
	}
	say_answer(answer, &lint, conf, summary);
	json_put_words(out, "summary", summary);
	json_put_number(out, "status", answer->res->status);
	json_put_bool(out, "stored", lint.stored);
	json_put_words(out, "reason", lint.stored ? NULL : reason_token(lint.why));
	json_put_words(out, "do", lint.stored ? NULL : reason_advice(lint.why));
	if (lint.stored)
		json_put_signed(out, "lifetime_s", policy_lifetime_s(&lint.meta, conf));
	else
		json_put_null(out, "lifetime_s");
	put_findings(out, answer, &lint);
	put_ok(out, &lint);
	put_head(out, answer->raw);
}

void explain_put_fetch(struct json_writer *out, const struct http_request *req,
		       const struct probe_answer *answer, const struct conf *conf)
{
	char address[ADDRESS_TEXT_SIZE], summary[SUMMARY];
	bool reached = answer->origin->any.sa_family != AF_UNSPEC;

	json_put_object(out, "fetch");
	if (reached)
		address_format_port(answer->origin, address);
	json_put_words(out, "origin", reached ? address : NULL);
	json_put_signed(out, "us", answer->elapsed_us);
	json_put_words(out, "failure", answer->res == NULL ? failure_name(answer->failure) : NULL);
	if (answer->res != NULL) {
		put_answer(out, req, answer, conf);
	} else {
		say_failure(answer, summary);
		json_put_words(out, "summary", summary);
	}
	json_put_end(out);
}
