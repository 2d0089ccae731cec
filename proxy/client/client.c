/* Clients: how they begin, and the end of all. */
#include "proxy/client/client.h"

#include <stdlib.h>

#include "proxy/client/behind.h"
#include "proxy/client/client_events.h"
#include "proxy/client/client_requests.h"
#include "proxy/client/client_sink.h"
#include "proxy/client/handshake.h"

static struct client *client_begin(struct clients *clients, const struct accepted *accepted,
				   const struct conn_events *events)
{
	struct client *client = malloc(sizeof(*client));
	struct conn *conn = conn_new(accepted->fd, events, client);

	if (client == NULL || conn == NULL) {
		STATS_ADD(client_refused, 1);
		conn_close(conn);
		free(client);
		return NULL;
	}
	*client = (struct client){
		.sink = {.kind = &client_sink},
		.magic = CLIENT_MAGIC,
		.all = clients,
		.listener = accepted->listener,
		.is_tls = accepted->is_tls,
		.frontend = accepted->frontend,
		.conn = conn,
		.peer = accepted->peer,
		.next = clients->first,
		.link = &clients->first,
		.resume = {.run = client_go_on, .owner = client},
		.push = {.run = client_send_out, .owner = client},
	};
	if (clients->first != NULL)
		clients->first->link = &client->next;
	clients->first = client;
	COUNT_TRAFFIC(client, clients, 1);
	conn_watch(conn, true, false);
	conn_deadline(conn, clients->conf->head_timeout_ms);
	return client;
}

/* Its first request is there as a rule, or is so soon that the loop's event comes in this turn. */
static void read_now(const struct client *client)
{
	if (client->conn != NULL)
		conn_read_now(client->conn);
}

/* Operators have places of their own, that clients cannot take. */
static enum budget budget_of(const struct frontend *frontend)
{
	return frontend->is_reserved ? BUDGET_OPERATORS : BUDGET_CLIENTS;
}

void client_new(struct clients *clients, const struct accepted *accepted, enum failure refusal)
{
	struct client *client = client_begin(
		clients, accepted, accepted->is_tls ? &client_hello_events : &client_events);

	if (client != NULL && client->is_tls)
		client_expect_hello(client);
	if (client != NULL && refusal != FAILURE_NONE)
		client_refuse(client, refusal);
	else if (client != NULL)
		client_enter(client, budget_take(clients->budgets, budget_of(accepted->frontend), 0,
						 budget_holder(&accepted->peer), &client->place));
	if (client != NULL)
		read_now(client);
}

void client_new_behind(struct clients *clients, const struct accepted *accepted,
		       enum failure refusal)
{
	struct client *client = client_begin(clients, accepted, &client_behind_events);

	if (client != NULL && refusal != FAILURE_NONE)
		client_refuse(client, refusal);
	else if (client != NULL) /* the PROXY header is to name whose place it is */
		client_enter(client,
			     budget_take(clients->budgets, BUDGET_CLIENTS, 0, 0, &client->place));
	if (client != NULL)
		read_now(client);
}

void clients_drain(struct clients *clients)
{
	struct client *client, *next;

	clients->ending = true;
	for (client = clients->first; client != NULL; client = next) {
		next = client->next;
		/* A head that has begun is still served. */
		if (client_is_idle(client))
			client_close(client);
	}
}

void clients_close(struct clients *clients)
{
	struct client *client, *next;

	for (client = clients->first; client != NULL; client = next) {
		next = client->next;
		client_close(client);
	}
}
