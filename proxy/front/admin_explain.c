/* GET and POST /explain. */
#include "proxy/front/admin_explain.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/log.h"
#include "proxy/exchange/probe.h"
#include "proxy/front/admin_page.h"
#include "proxy/front/explain_fetch.h"
#include "proxy/front/explain_json.h"
#include "proxy/front/question.h"

/* An exchange that waits for an origin. */
struct inquiry {
	struct exchange *x;
	struct question *question;
	struct probe *probe;
};

/* The question of the exchange's target; NULL, and the exchange was answered. */
static struct question *read_question(struct exchange *x)
{
	struct diagnostic error, line;
	struct admin_params params;
	struct question *question;

	if (!admin_read_params(x, &params))
		return NULL;
	question = question_read(&params, x->use->conf, &error);
	admin_params_end(&params);
	if (question != NULL)
		return question;
	if (error.text[0] == '\0') {
		exchange_fail(x, FAILURE_INTERNAL);
		return NULL;
	}
	diagnostic_set(&line, "%s\n", error.text);
	admin_refuse(x, 400, ADMIN_FIELDS, line.text);
	return NULL;
}

/* The explanation, with what the origin answered if it was asked. */
static void answer(struct exchange *x, const struct question *question,
		   const struct probe_answer *answer)
{
	struct explained explained;
	struct json_writer out;
	struct lint lint;
	bool answered = answer != NULL && answer->res != NULL;

	explain(x->use->env, &question->req, &explained);
	if (answered) {
		explain_lint(&question->req, answer, x->use->conf, &lint);
		explain_answered(&explained, answer->res, &lint);
	}
	json_writer_begin(&out, JSON_LINES, EXPLAIN_JSON_MAX);
	json_put_object(&out, NULL);
	explain_put(&out, &explained);
	if (answer != NULL)
		explain_put_fetch(&out, answer, answered ? &lint : NULL, explained.options,
				  explained.now.wall_s * 1000);
	else
		json_put_null(&out, "fetch");
	json_put_end(&out);
	admin_answer_json(x, 200, &out);
}

void admin_explain(struct exchange *x)
{
	struct question *question = read_question(x);

	if (question == NULL)
		return;
	if (question->fetch)
		admin_refuse(x, 405, ADMIN_FIELDS "Allow: POST\r\n",
			     "fetch=1 asks the origin: send it by POST.\n");
	else
		answer(x, question, NULL);
	question_free(question);
}

/* ---- with a fetch --------------------------------------------------------------------------- */

static void end_inquiry(struct inquiry *inquiry)
{
	inquiry->x->inquiry = NULL;
	question_free(inquiry->question);
	free(inquiry);
}

static void on_done(void *context, const struct probe_answer *probed)
{
	struct inquiry *inquiry = context;
	struct exchange *x = inquiry->x;

	x->inquiry = NULL;
	answer(x, inquiry->question, probed);
	question_free(inquiry->question);
	free(inquiry);
}

void admin_explain_leave(struct exchange *x)
{
	probe_cancel(x->inquiry->probe);
	end_inquiry(x->inquiry);
}

static void announce(const struct exchange *x, const struct question *question)
{
	const struct slice uri = question->req.target;
	char operator[ADDRESS_TEXT_SIZE], quoted[512];

	address_format(&x->peer, operator);
	log_info("explain: the origin of %s is asked for %s",
		 log_quote(uri.p, uri.n, quoted, sizeof(quoted)), operator);
}

/* It waits from here on, or was answered. */
static void start(struct exchange *x, struct question *question, bool chosen)
{
	struct inquiry *inquiry = malloc(sizeof(*inquiry));
	struct probe_question asked = {&question->req, chosen, exchange_holder(x), on_done, NULL};
	union address nowhere = {.any.sa_family = AF_UNSPEC};
	struct probe_answer none = {.origin = &nowhere, .failure = FAILURE_INTERNAL};

	if (inquiry != NULL && exchange_park(x)) {
		announce(x, question);
		*inquiry = (struct inquiry){.x = x, .question = question};
		asked.context = inquiry;
		inquiry->probe = probe_start(x->use->env->fetches, &asked, &none.failure);
		if (inquiry->probe != NULL) {
			x->inquiry = inquiry;
			return;
		}
	}
	free(inquiry);
	answer(x, question, &none);
	question_free(question);
}

/* What may be asked without changing anything at the origin, and without more than a head. */
static const char *refusal_of(const struct question *question)
{
	const struct http_request *req = &question->req;

	if (!question->fetch)
		return "POST asks the origin: say so with fetch=1, or use GET.\n";
	if (!http_method_is_safe(req->method) || req->body != BODY_NONE || req->upgrade)
		return "With fetch=1 the method may be GET, HEAD or another safe one, without "
		       "content or Upgrade: others could change something at the origin.\n";
	return NULL;
}

void admin_explain_fetch(struct exchange *x)
{
	struct question *question = read_question(x);
	struct explained explained;
	const char *refusal;

	if (question == NULL)
		return;
	refusal = refusal_of(question);
	if (refusal != NULL) {
		admin_refuse(x, 400, ADMIN_FIELDS, refusal);
		question_free(question);
		return;
	}
	explain(x->use->env, &question->req, &explained);
	if (explained.verdict != EXPLAIN_REFUSED && explained.verdict != EXPLAIN_LOCAL) {
		start(x, question, explained.chosen);
		return;
	}
	answer(x, question, NULL);
	question_free(question);
}
