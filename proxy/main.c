/* Arguments, configuration, sockets, privileges; then the worker. */
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf.h"
#include "proxy/admin.h"
#include "proxy/forward.h"
#include "proxy/listener.h"
#include "proxy/log.h"
#include "proxy/version.h"
#include "proxy/worker.h"

enum { SETTINGS_MAX = 256, ERROR_MAX = 512, EXIT_USAGE = 2 };

struct arguments {
	const char *file;
	char *settings[SETTINGS_MAX];
	size_t setting_count;
	bool check;
	bool dump;
};

static void usage(FILE *to)
{
	fputs("usage: cache204 [-c FILE] [-o NAME=VALUE]... [-t | -T]\n"
	      "A caching forward proxy for 204 responses.\n\n"
	      "  -c FILE        read the configuration from FILE\n"
	      "  -o NAME=VALUE  set one option over it; any number of times\n"
	      "  -t             check the configuration and exit\n"
	      "  -T             print the options in effect, as a configuration file, and exit\n"
	      "  -h, --help     this text and all options\n"
	      "  -V, --version  the version\n",
	      to);
}

static void help(void)
{
	usage(stdout);
	fputs("\nOptions:\n", stdout);
	conf_help(stdout);
	exit(fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

static void add_setting(struct arguments *arguments, char *setting)
{
	if (arguments->setting_count == SETTINGS_MAX) {
		fprintf(stderr, "cache204: more than %d settings\n", SETTINGS_MAX);
		exit(EXIT_USAGE);
	}
	arguments->settings[arguments->setting_count++] = setting;
}

static void parse_arguments(int argc, char **argv, struct arguments *arguments)
{
	static const struct option options[] = {
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "c:o:tThV", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			arguments->file = optarg;
			break;
		case 'o':
			add_setting(arguments, optarg);
			break;
		case 't':
			arguments->check = true;
			break;
		case 'T':
			arguments->dump = true;
			break;
		case 'h':
			help();
			break;
		case 'V':
			puts("cache204 " CACHE204_VERSION);
			exit(EXIT_SUCCESS);
		default:
			usage(stderr);
			exit(EXIT_USAGE);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "cache204: unexpected argument: %s\n", argv[optind]);
		usage(stderr);
		exit(EXIT_USAGE);
	}
}

/* As many descriptors as the system lets us have: each exchange takes two. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static bool drop_privileges(const char *user)
{
	const struct passwd *entry;

	if (user[0] == '\0')
		return true;
	entry = getpwnam(user);
	if (entry == NULL) {
		log_error("no such user: %s", user);
		return false;
	}
	if (initgroups(user, entry->pw_gid) != 0 || setgid(entry->pw_gid) != 0 ||
	    setuid(entry->pw_uid) != 0) {
		log_error("cannot become %s: %s", user, strerror(errno));
		return false;
	}
	return true;
}

/* What a user pastes to try it: the lines are documented, and read by scripts. */
static void greet(const struct listener *listener)
{
	char text[ADDRESS_TEXT_SIZE];

	for (unsigned i = 0; i < listener->count; i++) {
		address_format_port(&listener->at[i].address, text);
		if (listener->at[i].frontend == &admin_frontend)
			printf("stats: http://%s/stats\n", text);
		else
			printf("export http_proxy=http://%s\n", text);
	}
	puts("cache204 " CACHE204_VERSION " ready");
	fflush(stdout);
}

static bool bind_all(const struct conf *conf, struct listener *listener)
{
	char error[ERROR_MAX];

	if (!listener_bind(listener, &conf->listen, &forward_frontend, error, sizeof(error)) ||
	    !listener_bind(listener, &conf->admin, &admin_frontend, error, sizeof(error))) {
		log_error("%s", error);
		return false;
	}
	return true;
}

static int run(const struct conf *conf)
{
	static struct listener listener;
	char error[ERROR_MAX] = "";
	struct stats *blocks = stats_map(conf->workers);
	struct worker *worker;
	int status;

	if (blocks == NULL) {
		log_error("out of memory");
		return EXIT_FAILURE;
	}
	if (!bind_all(conf, &listener) || !drop_privileges(conf->user))
		return EXIT_FAILURE;
	worker = worker_new(conf, blocks, 0, &listener, error, sizeof(error));
	if (worker == NULL) {
		log_error("%s", error);
		return EXIT_FAILURE;
	}
	greet(&listener);
	status = worker_run(worker);
	worker_free(worker);
	return status;
}

int main(int argc, char **argv)
{
	struct arguments arguments = {0};
	struct conf *conf;
	int status = EXIT_SUCCESS;

	parse_arguments(argc, argv, &arguments);
	conf = conf_load(arguments.file, arguments.settings, arguments.setting_count, stderr);
	if (conf == NULL)
		return EXIT_USAGE;
	if (arguments.dump)
		conf_dump(conf, stdout);
	else if (!arguments.check) {
		signal(SIGPIPE, SIG_IGN);
		umask(077);
		raise_descriptor_limit();
		log_set_level(conf->log_level[0] == 'd'   ? LOG_LEVEL_DEBUG
			      : conf->log_level[0] == 'e' ? LOG_LEVEL_ERROR
							  : LOG_LEVEL_INFO);
		status = run(conf);
	}
	conf_free(conf);
	return status;
}
