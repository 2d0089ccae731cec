/* What an origin answered to an operator's question. */
#include "proxy/front/explain_fetch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache/record/record.h"
#include "proxy/base/cause.h"
#include "proxy/front/explain_checks.h"
#include "proxy/front/explain_json.h"
#include "proxy/http1/mend_fault.h"

enum { SUMMARY = 512, TEXT = 512, DETAIL_MAX = 200 };

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
			struct slice raw)
{
	const struct lint_row *row = lint_row(id);
	char text[TEXT], fault[MEND_FAULT_SIZE];
	struct slice detail = lint->details[id];

	if (id == LINT_MENDED)
		detail = slice_str(mend_fault(raw, fault));
	if (detail.n > DETAIL_MAX)
		detail.n = DETAIL_MAX;
	snprintf(text, sizeof(text), "%s (%s)%s%.*s", row->text, row->section,
		 detail.n > 0 ? ": " : "", SLICE_ARG(detail));
	explain_put_check(out, row->level == LINT_BARS ? "no" : "warn", row->name, text);
}

/* What is wrong first, then what is all right; of another status than 204 nothing more is said. */
static void put_lint(struct json_writer *out, const struct lint *lint, struct slice raw)
{
	json_put_array(out, "lint");
	for (enum lint_level level = LINT_BARS; level <= LINT_WARNS; level++)
		for (enum lint_id id = 0; id < LINT_COUNT; id++)
			if (lint_has(lint, id) && lint_row(id)->level == level)
				put_finding(out, lint, id, raw);
	for (enum lint_group group = 0; group < LINT_GROUP_COUNT; group++)
		if (!lint_has_group(lint, group) && !lint_has(lint, LINT_STATUS))
			explain_put_check(out, "ok", lint_group_text(group), "nothing is wrong");
	json_put_end(out);
}

static void put_answer(struct json_writer *out, const struct probe_answer *answer,
		       const struct lint *lint, const struct conf *conf)
{
	char summary[SUMMARY];

	say_answer(answer, lint, conf, summary);
	json_put_words(out, "summary", summary);
	json_put_number(out, "status", answer->res->status);
	json_put_bool(out, "stored", lint->stored);
	if (lint->stored)
		json_put_signed(out, "lifetime_s", policy_lifetime_s(&lint->meta, conf));
	else
		json_put_null(out, "lifetime_s");
	put_lint(out, lint, answer->raw);
	explain_put_head(out, SLICE(""), answer->raw);
}

/* Nothing came, and that is what is wrong. */
static void put_failure(struct json_writer *out, const struct probe_answer *answer)
{
	char summary[SUMMARY];

	say_failure(answer, summary);
	json_put_words(out, "summary", summary);
	json_put_array(out, "lint");
	explain_put_check(out, "no", failure_name(answer->failure), summary);
	json_put_end(out);
}

void explain_lint(const struct http_request *req, const struct probe_answer *answer,
		  const struct conf *conf, struct lint *ret_lint)
{
	lint_response(req, answer->res, answer->times, conf, ret_lint);
	if (!ret_lint->stored || fits(req, answer->res, &ret_lint->meta, conf))
		return;
	ret_lint->stored = false;
	ret_lint->why = REASON_TOO_LARGE;
	ret_lint->found |= (uint64_t)1 << LINT_NOT_STORED;
	ret_lint->details[LINT_NOT_STORED] = slice_str(reason_meaning(REASON_TOO_LARGE));
}

void explain_put_fetch(struct json_writer *out, const struct probe_answer *answer,
		       const struct lint *lint, const struct conf *conf, int64_t now_ms)
{
	char address[ADDRESS_TEXT_SIZE];
	bool reached = answer->origin->any.sa_family != AF_UNSPEC;

	json_put_object(out, "fetch");
	if (reached)
		address_format_port(answer->origin, address);
	json_put_signed(out, "ms", now_ms);
	json_put_signed(out, "took_us", answer->elapsed_us);
	json_put_words(out, "origin", reached ? address : NULL);
	json_put_words(out, "failure", lint == NULL ? failure_name(answer->failure) : NULL);
	if (lint != NULL)
		put_answer(out, answer, lint, conf);
	else
		put_failure(out, answer);
	json_put_end(out);
}
