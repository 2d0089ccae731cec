/* GET /explain. */
#include "proxy/front/admin_explain.h"

#include <stdio.h>

#include "proxy/front/admin_page.h"
#include "proxy/front/explain_json.h"
#include "proxy/front/question.h"

/* The question of the exchange's target; NULL, and the exchange was answered. */
static struct question *read_question(struct exchange *x)
{
	char error[QUESTION_ERROR], text[QUESTION_ERROR + 2];
	struct admin_params params;
	struct question *question;

	admin_params_begin(&params, x->req.uri.path);
	question = question_read(&params, x->use->conf, error);
	admin_params_end(&params);
	if (question != NULL)
		return question;
	snprintf(text, sizeof(text), "%s\n", error);
	admin_refuse(x, 400, ADMIN_FIELDS, text);
	return NULL;
}

void admin_explain(struct exchange *x)
{
	struct question *question = read_question(x);
	struct explained explained;
	struct json_writer out;
	size_t length = 0;
	char *text;

	if (question == NULL)
		return;
	if (question->fetch) {
		question_free(question);
		admin_refuse(x, 405, ADMIN_FIELDS "Allow: POST\r\n",
			     "fetch=1 asks the origin: send it by POST.\n");
		return;
	}
	explain(x->use->env, &question->req, &explained);
	json_writer_begin(&out, JSON_LINES, EXPLAIN_JSON_MAX);
	json_put_object(&out, NULL);
	explain_put(&out, &explained);
	json_put_end(&out);
	text = json_writer_take(&out, &length);
	question_free(question);
	admin_answer_text(x, "application/json", text, length);
}
