/* Configurations and what is made of them before a fork. */
#include "proxy/process/generation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/access/access.h"
#include "proxy/base/log.h"
#include "proxy/dns/hosts.h"
#include "proxy/front/admin.h"
#include "proxy/front/forward.h"
#include "proxy/front/gateway.h"
#include "proxy/loop/tls.h"
#include "proxy/loop/tls_server.h"
#include "proxy/process/instance.h"
#include "proxy/process/password_file.h"
#include "proxy/process/privileges.h"
#include "proxy/process/tls_files.h"
#include "proxy/stats/accesslog.h"

/* ---- what a start would refuse -------------------------------------------------------------- */

static bool check_access_log(const struct conf *conf, struct diagnostic *error)
{
	return accesslog_check(conf->access_log, error);
}

static bool check_authorities(const struct conf *conf, struct diagnostic *error)
{
	struct tls_context *context = tls_context_new(conf->tls_ca_file, error);

	tls_context_free(context);
	return context != NULL;
}

static bool check_hosts_file(const struct conf *conf, struct diagnostic *error)
{
	struct hosts_file *file =
		conf->hosts_file[0] == '\0' ? NULL : hosts_file_open(conf->hosts_file, error);

	if (file != NULL)
		hosts_file_close(file);
	return file != NULL || conf->hosts_file[0] == '\0';
}

static bool check_rules(const struct conf *conf, struct diagnostic *error)
{
	const struct access_place nowhere = {.listener_count = 0};
	struct access *access = access_new(conf, &nowhere, error);

	access_free(access);
	return access != NULL;
}

bool generation_check_files(const struct conf *conf, FILE *errors)
{
	static bool (*const checks[])(const struct conf *, struct diagnostic *) = {
		check_access_log,
		check_authorities,
		check_hosts_file,
		check_rules,
	};
	struct diagnostic error;
	bool good = true;

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		if (!checks[i](conf, &error)) {
			fprintf(errors, "%s%s\n",
				conf_place(conf, &error) ? "" : "cache204: ", error.text);
			good = false;
		}
	return good;
}

static void close_go(struct generation *generation)
{
	for (unsigned i = 0; i < 2; i++) {
		if (generation->go[i] >= 0)
			close(generation->go[i]);
		generation->go[i] = -1;
	}
}

/* ---- sockets -------------------------------------------------------------------------------- */

/* Of the user that we become, so that a reload can remove and exchange it. */
static struct listener_owner owner_of(const struct conf *conf)
{
	struct listener_owner owner = {conf_mode(conf->listen_mode), (uid_t)-1, (gid_t)-1};

	if (geteuid() == 0)
		privileges_find(conf->user, &owner.uid, &owner.gid);
	return owner;
}

static bool bind_all(const struct conf *conf, struct listener *listener, struct diagnostic *error)
{
	listener->owner = owner_of(conf);
	if (!listener_bind(listener, &conf->listen, "listen", &forward_frontend, error) ||
	    !gateways_bind(conf, listener, error))
		return false;
	listener->owner.mode = conf_mode(conf->admin_mode);
	return listener_bind(listener, &conf->admin, "admin", &admin_frontend, error);
}

static const struct listener *former_set(const struct generation_former *former, unsigned index)
{
	return former != NULL && index < former->set_count ? &former->sets[index] : NULL;
}

/* A set for each worker; what others were accepting from is kept, as connections may wait there. */
static bool open_sets(struct generation *generation, const struct generation_former *former,
		      struct diagnostic *error)
{
	const struct conf *conf = generation->conf;
	unsigned most = conf->workers;
	struct listener *first;

	if (former != NULL && former->set_count > most)
		most = former->set_count;
	diagnostic_set(error, "out of memory");
	generation->sets = calloc(most, sizeof(*generation->sets));
	if (generation->sets == NULL)
		return false;
	first = &generation->sets[0];
	first->former = former_set(former, 0);
	generation->set_count = 1;
	if (!bind_all(conf, first, error))
		return false;
	first->former = NULL;
	for (unsigned i = 1; i < most; i++) {
		struct listener *set = &generation->sets[i];

		generation->set_count++;
		if (i < conf->workers) {
			if (!listener_again(first, former_set(former, i), set, error))
				return false;
		} else if (!listener_keep(first, former_set(former, i), set)) {
			diagnostic_set(error, "cannot keep the sockets of a worker: %s",
				       strerror(errno));
			return false;
		}
	}
	return true;
}

bool generation_sockets(const struct generation *generation, unsigned index,
			struct listener *ret_listener)
{
	*ret_listener = (struct listener){0};
	for (unsigned i = index; i < generation->set_count; i += generation->conf->workers)
		if (!listener_join(ret_listener, &generation->sets[i]))
			return false;
	return true;
}

bool generation_go(struct generation *generation, struct diagnostic *error)
{
	for (unsigned i = 0; i < generation->set_count; i++)
		if (!listener_listen(&generation->sets[i], error))
			return false;
	close_go(generation);
	return true;
}

void generation_close_others(const struct generation *generation, bool is_its,
			     const struct listener *own)
{
	if (generation->go[1] >= 0)
		close(generation->go[1]);
	if (generation->go[0] >= 0 && !is_its)
		close(generation->go[0]);
	for (unsigned i = 0; i < generation->set_count; i++) {
		const struct listener *set = &generation->sets[i];

		for (unsigned j = 0; j < set->count; j++) {
			bool kept = false;

			for (unsigned k = 0; k < own->count && !kept; k++)
				kept = own->at[k].fd == set->at[j].fd;
			if (!kept)
				close(set->at[j].fd);
		}
	}
}

void generation_close(struct generation *generation, const struct listener *kept)
{
	if (generation->set_count > 0) {
		listener_remove_files(&generation->sets[0], kept);
		gateways_free(&generation->sets[0]);
	}
	for (unsigned i = 0; i < generation->set_count; i++)
		listener_close(&generation->sets[i]);
}

void generation_set_log_level(const struct conf *conf)
{
	log_set_level(conf->log_level == CONF_LOG_LEVEL_DEBUG   ? LOG_LEVEL_DEBUG
		      : conf->log_level == CONF_LOG_LEVEL_ERROR ? LOG_LEVEL_WARNING
								: LOG_LEVEL_INFO);
}

/* ---- life ----------------------------------------------------------------------------------- */

static bool load_secrets(struct generation *generation, struct diagnostic *error)
{
	const char *file = generation->conf->password_file;

	if (!admin_token_read(generation->conf->admin_token_file, &generation->token, error))
		return false;
	if (file[0] == '\0')
		return true;
	generation->credentials = password_file_load(file, error);
	return generation->credentials != NULL;
}

static bool load_tls(struct generation *generation, struct diagnostic *error)
{
	if (!conf_has_tls(generation->conf))
		return true;
	generation->tls = tls_files_load(generation->conf, error);
	return generation->tls != NULL;
}

void generation_free(struct generation *generation, const struct listener *kept)
{
	if (generation == NULL)
		return;
	close_go(generation);
	generation_close(generation, kept);
	free(generation->sets);
	credentials_free(generation->credentials);
	tls_server_free(generation->tls);
	admin_token_forget(&generation->token);
	conf_free(generation->conf);
	free(generation);
}

struct generation *generation_first(struct conf *conf, struct diagnostic *error)
{
	struct generation *generation = calloc(1, sizeof(*generation));

	diagnostic_set(error, "out of memory");
	if (generation == NULL)
		return NULL;
	*generation = (struct generation){.number = 1, .conf = conf, .go = {-1, -1}};
	if (load_secrets(generation, error) && load_tls(generation, error) &&
	    open_sets(generation, NULL, error) && generation_go(generation, error))
		return generation;
	conf_place(conf, error);
	generation->conf = NULL;
	generation_free(generation, NULL);
	return NULL;
}

struct generation_former generation_as_former(const struct generation *now, unsigned slots)
{
	return (struct generation_former){
		.number = now->number,
		.store = now->conf->store,
		.user = now->conf->user,
		.store_size = now->conf->store_size,
		.slots = slots,
		.sets = now->sets,
		.set_count = now->set_count,
	};
}

/* What is bound to the process, and all of its workers. */
static bool may_follow(const struct generation_former *former, const struct conf *next,
		       FILE *errors)
{
	bool good = true;

	if (strcmp(former->store, next->store) != 0) {
		fprintf(errors, "store: %s: a service that runs cannot leave %s: restart\n",
			next->store, former->store);
		good = false;
	}
	if (former->store_size != next->store_size) {
		fprintf(errors, "store_size: a service that runs cannot change it: restart\n");
		good = false;
	}
	if (strcmp(former->user, next->user) != 0) {
		fprintf(errors, "user: %s: a service that runs cannot change it: restart\n",
			next->user);
		good = false;
	}
	if (conf_worker_slots(next) > former->slots) {
		fprintf(errors, "workers: a service that runs has no room for so many: restart\n");
		good = false;
	}
	return good;
}

/* The store by default is that of the user that we were at the start. */
static bool complete(const struct generation_former *former, struct generation *next)
{
	struct conf *conf = next->conf;

	if (conf->store[0] == '\0') {
		free(conf->store);
		conf->store = strdup(former->store);
	}
	if (conf->store == NULL)
		return false;
	conf->instance = instance_name(conf);
	return conf->instance != NULL;
}

/* Read, checked and bound, or what is wrong on `errors`. */
static bool prepare_next(struct generation *next, const struct generation_former *former,
			 const struct generation_source *source, FILE *errors)
{
	struct diagnostic error;

	next->conf = conf_load(source->file, source->settings, source->setting_count, errors);
	if (next->conf == NULL)
		return false;
	if (!complete(former, next)) {
		fprintf(errors, "out of memory\n");
		return false;
	}
	if (!may_follow(former, next->conf, errors) || !generation_check_files(next->conf, errors))
		return false;
	if (pipe2(next->go, O_CLOEXEC) != 0) {
		fprintf(errors, "cannot make a pipe: %s\n", strerror(errno));
		return false;
	}
	if (load_secrets(next, &error) && load_tls(next, &error) && open_sets(next, former, &error))
		return true;
	conf_place(next->conf, &error);
	fprintf(errors, "%s\n", error.text);
	return false;
}

struct generation *generation_next(const struct generation_former *former,
				   const struct generation_source *source, FILE *errors)
{
	struct generation *next = calloc(1, sizeof(*next));

	if (next == NULL) {
		fprintf(errors, "out of memory\n");
		return NULL;
	}
	*next = (struct generation){.number = former->number + 1, .go = {-1, -1}};
	if (prepare_next(next, former, source, errors))
		return next;
	generation_free(next, former_set(former, 0));
	return NULL;
}
