/* Places of clients, and their ends. */
#include "proxy/client/client_state.h"

void client_free_later(struct client *client)
{
	if (!task_is_queued(&client->resume) && !task_is_queued(&client->push))
		turn_free(client);
}

void client_release(struct client *client)
{
	*client->link = client->next;
	if (client->next != NULL)
		client->next->link = client->link;
	scratch_free(&client->all->turn->in, &client->in);
	scratch_free(&client->all->turn->out, &client->out);
	if (client->sink.inside != NULL)
		turn_free(client->sink.inside);
	client->conn = NULL;
	budget_give(&client->place);
	if (client->refusal == FAILURE_NONE)
		COUNT_TRAFFIC(client, clients, -1);
	else
		COUNT_TRAFFIC(client, refusals, -1);
	client_free_later(client);
}

void client_close(struct client *client)
{
	struct exchange *x = client->exchange;

	if (client->conn == NULL)
		return;
	/* An answer that ends by closing must not look complete (HAZARDS A5). */
	if (buf_length(&client->out) > 0 || (x != NULL && x->status != 0))
		conn_abort(client->conn);
	conn_close(client->conn);
	client->exchange = NULL;
	client_release(client);
	if (x != NULL)
		exchange_abandon(x);
}

void client_abort(struct client *client)
{
	if (client->conn == NULL)
		return;
	conn_abort(client->conn);
	client_close(client);
}

bool client_is_idle(const struct client *client)
{
	return client->exchange == NULL && buf_length(&client->out) == 0 &&
	       buf_length(&client->in) == 0 && !conn_has_event(client->conn);
}

void client_refuse(struct client *client, enum failure refusal)
{
	const struct budgets *budgets = client->all->budgets;

	if (client->refusal != FAILURE_NONE)
		return;
	COUNT_TRAFFIC(client, client_refused, 1);
	budget_give(&client->place);
	if (budget_take(budgets, BUDGET_REFUSALS, 0, budget_holder(&client->peer),
			&client->place) != BUDGET_OK) {
		COUNT_TRAFFIC(client, failure[refusal], 1);
		client_close(client);
		return;
	}
	client->refusal = refusal;
	COUNT_TRAFFIC(client, clients, -1);
	COUNT_TRAFFIC(client, refusals, 1);
	conn_deadline(client->conn, CLIENT_REFUSAL_MS);
}

void client_enter(struct client *client, enum budget_verdict verdict)
{
	if (verdict == BUDGET_FULL)
		client_refuse(client, FAILURE_TOO_MANY_CLIENTS);
	else if (verdict == BUDGET_ONE_FULL)
		client_refuse(client, FAILURE_TOO_MANY_FROM_CLIENT);
}
