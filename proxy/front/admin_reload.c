/* Reloads and upgrades by operators. */
#include "proxy/front/admin_reload.h"

#include <stdio.h>
#include <unistd.h>

#include "proxy/front/admin_page.h"
#include "proxy/loop/env.h"
#include "proxy/stats/report.h"
#include "proxy/base/log.h"

static void show(struct exchange *x, const struct reload *reload)
{
	uint64_t asked = reload_asked(reload);
	struct reload_result result;
	size_t length = 0;
	char *text = NULL;

	if (reload_read(reload, &result))
		text = report_reload(&result, asked, &length);
	admin_answer_text(x, "application/json", text, length);
}

/* The answer has the ticket; its result is for GET. */
static void ask(struct exchange *x, const char *what, struct reload *reload, pid_t wanted)
{
	const struct env *env = x->use->env;
	char text[64], operator[ADDRESS_TEXT_SIZE];

	snprintf(text, sizeof(text), "{\n  \"asked\": %llu\n}\n",
		 (unsigned long long)reload_ask(reload));
	address_format(&x->peer, operator);
	log_info("%s: asked for by %s", what, operator);
	if (write(env->to_master, &wanted, sizeof(wanted)) != (ssize_t)sizeof(wanted)) {
		exchange_fail(x, FAILURE_INTERNAL);
		return;
	}
	exchange_answer_local(x, 202, "application/json", SLICE(ADMIN_FIELDS), slice_str(text));
}

void admin_reload_show(struct exchange *x)
{
	show(x, x->use->env->service->reload);
}

void admin_reload_ask(struct exchange *x)
{
	ask(x, "reload", x->use->env->service->reload, ENV_ASKS_RELOAD);
}

void admin_upgrade_show(struct exchange *x)
{
	show(x, x->use->env->service->upgrade);
}

void admin_upgrade_ask(struct exchange *x)
{
	ask(x, "upgrade", x->use->env->service->upgrade, ENV_ASKS_UPGRADE);
}
