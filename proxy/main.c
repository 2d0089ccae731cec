/* Arguments, configuration, sockets, privileges; then the worker, or the master of several. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/base/diagnostic.h"
#include "conf/conf.h"
#include "proxy/access/credentials.h"
#include "proxy/base/admin_token.h"
#include "proxy/cli/arguments.h"
#include "proxy/process/greeting.h"
#include "proxy/process/instance.h"
#include "proxy/loop/activation.h"
#include "proxy/loop/listener.h"
#include "proxy/loop/tls_server.h"
#include "proxy/base/log.h"
#include "proxy/process/generation.h"
#include "proxy/process/handover.h"
#include "proxy/process/master.h"
#include "proxy/process/notify.h"
#include "proxy/process/password_file.h"
#include "proxy/process/privileges.h"
#include "proxy/process/store_dir.h"
#include "proxy/process/takeover.h"
#include "proxy/process/tls_files.h"
#include "proxy/process/terminal.h"
#include "proxy/process/worker.h"

/* As many descriptors as the system lets us have: each exchange takes two. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void end_early(int number)
{
	(void)number;
	_exit(EXIT_SUCCESS); /* nothing is open yet that would have to be closed */
}

/*
 * The first process of a container gets no signal that it has no handler for; until the loop has
 * some, these end it as they end others.
 */
static void act_as_first_process(void)
{
	if (getpid() != 1)
		return;
	signal(SIGTERM, end_early);
	signal(SIGINT, end_early);
	signal(SIGQUIT, end_early);
}

/*
 * Until the loop watches for them, and for good those that mean nothing here: a signal that some
 * tool sends out of habit, or to the wrong process, is no reason to die.
 */
static void ignore_signals(void)
{
	static const int numbers[] = {
		SIGPIPE, SIGXFSZ /* a file size limit is an error of write() */,
		SIGUSR1, SIGUSR2,
		SIGALRM, SIGVTALRM,
		SIGPROF, SIGPOLL,
		SIGPWR,  SIGSTKFLT,
		SIGXCPU, SIGHUP,
	};

	terminal_note();
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		signal(numbers[i], SIG_IGN);
	for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
		signal(number, SIG_IGN);
}

/* The store is named before anybody opens it, and made while we may. */
static bool prepare_store(struct conf *conf, struct diagnostic *error)
{
	bool root = geteuid() == 0;

	if (conf->store[0] == '\0') {
		char *path = store_dir_default(root, error);

		if (path == NULL)
			return false;
		free(conf->store);
		conf->store = path;
	}
	return !root || conf->user[0] == '\0' || store_dir_give(conf->store, conf->user, error);
}

static bool check_password_file(const struct conf *conf, struct diagnostic *error)
{
	struct credentials *credentials;

	if (conf->password_file[0] == '\0')
		return true;
	credentials = password_file_load(conf->password_file, error);
	credentials_free(credentials);
	return credentials != NULL;
}

static bool check_certificate(const struct conf *conf, struct diagnostic *error)
{
	struct tls_server *server =
		conf->tls_certificate[0] == '\0' ? NULL : tls_files_load(conf, error);

	tls_server_free(server);
	return server != NULL || conf->tls_certificate[0] == '\0';
}

static bool check_admin_token(const struct conf *conf, struct diagnostic *error)
{
	struct admin_token token;
	bool good = admin_token_read(conf->admin_token_file, &token, error);

	admin_token_forget(&token);
	return good;
}

static bool check_store(const struct conf *conf, struct diagnostic *error)
{
	char *path = conf->store[0] == '\0' ? store_dir_default(geteuid() == 0, error)
					    : strdup(conf->store);
	bool usable = path != NULL && store_dir_check(path, conf->user, error);

	free(path);
	return usable;
}

/* What follows is looked at as the user that the proxy will be. */
static bool check_user(const struct conf *conf, struct diagnostic *error)
{
	return privileges_drop(conf->user, error);
}

/*
 * What -t looks at beside the configuration itself: whatever a start would refuse, but that an
 * address or the store is in use, for -t is to be asked of a running proxy's file, too.
 */
static int check_files(const struct conf *conf)
{
	static bool (*const checks[])(const struct conf *, struct diagnostic *) = {
		check_password_file, check_admin_token, check_certificate, check_store, check_user,
	};
	struct diagnostic error;
	int status = EXIT_SUCCESS;

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		if (!checks[i](conf, &error)) {
			fprintf(stderr, "%s%s\n",
				conf_place(conf, &error) ? "" : "cache204: ", error.text);
			status = EXIT_USAGE;
		}
	if (!generation_check_files(conf, stderr))
		status = EXIT_USAGE;
	if (status == EXIT_SUCCESS)
		fputs("cache204: configuration ok\n", stderr);
	return status;
}

/* The store is ours, and what is kept in it of ourselves is known, before anybody opens it. */
static bool take_store(struct conf *conf, struct worker_shared *shared, struct diagnostic *error)
{
	if (!store_hold_take(&shared->hold, conf->store, error))
		return false;
	conf->instance = instance_name(conf);
	if (conf->instance == NULL)
		diagnostic_set(error, "out of memory");
	return conf->instance != NULL;
}

/* Takes `conf` over. */
static int run(struct conf *conf, const struct generation_source *source)
{
	struct diagnostic error;
	struct worker_shared *shared = worker_shared_map(conf, NULL);
	struct generation *first = NULL;
	struct master *master;
	int status = EXIT_FAILURE;

	diagnostic_set(&error, "cannot map memory for %u workers: %s", conf->workers,
		       strerror(errno));
	if (shared == NULL || !prepare_store(conf, &error) || !activation_init(&error) ||
	    (first = generation_first(conf, &error)) == NULL || !activation_all_taken(&error) ||
	    !privileges_drop(conf->user, &error) || !take_store(conf, shared, &error)) {
		log_error("%s", error.text);
		if (first == NULL)
			conf_free(conf);
		generation_free(first, NULL);
		return status;
	}
	greeting_warn(first);
	privileges_harden(conf->log_level == CONF_LOG_LEVEL_DEBUG);
	master = master_new(first, source, shared, NULL);
	if (master == NULL) {
		log_error("out of memory");
		generation_free(first, NULL);
		return status;
	}
	if (!master_begin(master, &error)) {
		log_error("%s", error.text);
		master_free(master);
		return status;
	}
	status = master_run(master, greeting_print);
	master_free(master);
	return status;
}

/*
 * In the place of another program: signals are as that left them, blocked and, those that mean
 * nothing, ignored, so that none is lost.
 */
static int take_over(struct handover *before, const struct generation_source *source)
{
	notify_init();
	raise_descriptor_limit();
	return takeover_run(before, source);
}

int main(int argc, char **argv)
{
	struct arguments arguments;
	struct generation_source source;
	struct handover before;
	struct diagnostic error;
	struct conf *conf;
	int status = EXIT_SUCCESS;

	handover_note_program(argv);
	act_as_first_process();
	if (!arguments_parse(argc, argv, &arguments, &status))
		return status;
	if (arguments.command != NULL)
		return arguments.command->run(&arguments);
	source = (struct generation_source){arguments.file, arguments.settings,
					    arguments.setting_count};
	if (handover_take(&before, &error))
		return take_over(&before, &source);
	if (error.text[0] != '\0') {
		log_error("%s", error.text);
		return EXIT_FAILURE;
	}
	conf = conf_load(source.file, source.settings, source.setting_count, stderr);
	if (conf == NULL)
		return EXIT_USAGE;
	if (arguments_have(&arguments, FLAG_DUMP))
		conf_dump(conf, stdout);
	else if (arguments_have(&arguments, FLAG_CHECK))
		status = check_files(conf);
	else {
		ignore_signals();
		notify_init();
		umask(077);
		raise_descriptor_limit();
		generation_set_log_level(conf);
		return run(conf, &source);
	}
	conf_free(conf);
	return status;
}
