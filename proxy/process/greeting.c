/* The first lines on standard output, for users and scripts. */
#include "proxy/process/greeting.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/base/diagnostic.h"
#include "conf/conf.h"
#include "conf/units.h"
#include "proxy/access/ranges.h"
#include "proxy/base/log.h"
#include "proxy/base/version.h"
#include "proxy/base/wall_clock.h"
#include "proxy/front/admin.h"
#include "proxy/front/forward.h"
#include "proxy/front/gateway.h"
#include "proxy/loop/tls_server.h"
#include "proxy/process/generation.h"
#include "proxy/process/interfaces.h"
#include "proxy/process/no_proxy.h"
#include "proxy/process/open_proxy.h"
#include "proxy/stats/notices.h"

/* An address of a wildcard listener that other machines may know; false when there is none. */
static bool find_outer(const union address *bound, union address *ret_outer)
{
	struct diagnostic error;
	size_t count;
	struct interface_address *interfaces = interfaces_read(&count, &error);
	bool found = false;

	for (size_t i = 0; interfaces != NULL && i < count && !found; i++) {
		*ret_outer = interfaces[i].address;
		/* Not link-local ones, which need a zone. */
		found = interfaces[i].is_up && ret_outer->any.sa_family == bound->any.sa_family &&
			!address_is_loopback(ret_outer) && range_kind(ret_outer) != RANGE_NEVER;
		address_set_port(ret_outer, address_port(bound));
	}
	free(interfaces);
	return found;
}

#define KiB ((uint64_t)1 << 10)
#define MiB ((uint64_t)1 << 20)

static void print_outer(const union address *bound)
{
	char text[ADDRESS_TEXT_SIZE];
	union address outer;

	if (!address_is_wildcard(bound) || !find_outer(bound, &outer))
		return;
	address_format_port(&outer, text);
	printf("# from other machines: http://%s\n", text);
}

/* A command that works when pasted, whatever the path has. */
static void print_curl(const char *path)
{
	fputs("curl --unix-socket '", stdout);
	for (; *path != '\0'; path++) {
		if (*path == '\'')
			fputs("'\\'", stdout);
		putchar(*path);
	}
	fputs("' ", stdout);
}

/* A proxy is asked in absolute form, which curl makes of what it is given alone. */
static void print_file(const struct listener_address *listening)
{
	const char *origin = gateway_origin(listening->frontend);

	fputs(listening->frontend == &admin_frontend ? "stats: "
	      : origin != NULL                       ? "gateway: "
						     : "proxy: ",
	      stdout);
	print_curl(listening->path);
	if (listening->frontend == &admin_frontend)
		puts("http://localhost/stats");
	else if (origin != NULL)
		printf("http://localhost/ -> %s\n", origin);
	else
		puts("--request-target http://example.com/ http://example.com/");
}

static void print_listener(const struct listener_address *listening)
{
	union address here = address_reached_here(&listening->address);
	char text[ADDRESS_TEXT_SIZE];

	if (listening->path[0] != '\0') {
		print_file(listening);
		return;
	}
	address_format_port(&here, text);
	if (listening->frontend == &admin_frontend)
		printf("stats: http://%s/stats\n", text);
	else if (gateway_origin(listening->frontend) != NULL)
		printf("gateway: %s://%s -> %s\n", listening->is_tls ? "https" : "http", text,
		       gateway_origin(listening->frontend));
	else if (listening->is_tls)
		printf("proxy: https://%s\n# by a name that its certificate has: export "
		       "http_proxy=https://NAME:%u HTTP_PROXY=https://NAME:%u\n",
		       text, address_port(&here), address_port(&here));
	else
		printf("export http_proxy=http://%s HTTP_PROXY=http://%s\n", text, text);
	print_outer(&listening->address);
}

/* Warn: with this environment, requests for this machine bypass the proxy silently. */
static void warn_of_no_proxy(const char *variable)
{
	const char *value = getenv(variable);
	struct slice host = no_proxy_loopback(value == NULL ? "" : value);

	if (host.n > 0)
		printf("# warning: %s has %.*s here: clients with the same do not use the proxy "
		       "for this machine; unset it to try\n",
		       variable, host.n > 64 ? 64 : (int)host.n, host.p);
}

static void print_store(const struct conf *conf)
{
	char used[UNITS_TEXT], most[UNITS_TEXT];
	uint64_t uris, bytes;

	notices_get_store(&uris, &bytes);
	/* no unit has 5 digits */
	bytes &= bytes < 10 * MiB ? ~(KiB - 1) : ~(MiB - 1);
	units_write_size((int64_t)bytes, used);
	units_write_size((int64_t)conf->store_size, most);
	printf("store: %s\n# it holds %" PRIu64 " URI%s in %s, and may grow to %s\n", conf->store,
	       uris, uris == 1 ? "" : "s", used, most);
}

/* The first address of the proxy that http_proxy can name; NULL for none. */
static const struct listener_address *find_proxy(const struct listener *listener)
{
	for (unsigned i = 0; i < listener->count; i++)
		if (listener->at[i].frontend == &forward_frontend &&
		    listener->at[i].path[0] == '\0')
			return &listener->at[i];
	return NULL;
}

/* A command that works as it stands, whatever no_proxy has. */
static void print_trial(const struct listener *listener)
{
	const struct listener_address *proxy = find_proxy(listener);
	char text[ADDRESS_TEXT_SIZE];
	union address here;

	if (proxy == NULL)
		return;
	here = address_reached_here(&proxy->address);
	address_format_port(&here, text);
	if (proxy->is_tls) /* the certificate names it, and not by this address as a rule */
		snprintf(text, sizeof(text), "NAME:%u", address_port(&here));
	printf("# try: curl --noproxy '' -x %s://%s -i http://example.com/\n"
	       "# other programs: cache204 env\n",
	       proxy->is_tls ? "https" : "http", text);
}

/* Some programs read one spelling of the variable alone, without a word about the other. */
void greeting_print(const struct conf *conf, const struct listener *listener)
{
	for (unsigned i = 0; i < listener->count; i++)
		print_listener(&listener->at[i]);
	if (find_proxy(listener) != NULL)
		puts("# both spellings: curl ignores HTTP_PROXY, some programs ignore http_proxy");
	warn_of_no_proxy("no_proxy");
	warn_of_no_proxy("NO_PROXY");
	print_store(conf);
	print_trial(listener);
	puts("cache204 " CACHE204_VERSION " ready");
	fflush(stdout);
}

/* Whether an address is of this front end, and other machines reach it. */
static bool is_reached(const struct listener_address *at, const struct frontend *frontend,
		       char ret_text[ADDRESS_TEXT_SIZE])
{
	if (at->frontend != frontend || address_is_loopback(&at->address))
		return false;
	address_format_port(&at->address, ret_text);
	return true;
}

static void warn_of_admin(const struct conf *conf, const struct listener *listener)
{
	char text[ADDRESS_TEXT_SIZE];

	for (unsigned i = 0; i < listener->count && conf->admin_token_file[0] == '\0'; i++)
		if (is_reached(&listener->at[i], &admin_frontend, text))
			log_warning("admin: other machines may reach %s, which asks for no token: "
				    "they may read the statistics, and change nothing (403 for "
				    "POST); give it an admin_token_file, or keep it to 127.0.0.1 "
				    "or a Unix socket",
				    text);
}

static void warn_of_open_proxy(const struct conf *conf, const struct listener *listener)
{
	const char *everyone = open_proxy_clients(&conf->clients);
	char text[ADDRESS_TEXT_SIZE];

	if (everyone == NULL || conf->password_file[0] != '\0')
		return;
	for (unsigned i = 0; i < listener->count; i++)
		if (is_reached(&listener->at[i], &forward_frontend, text))
			log_warning("listen: an open proxy: whoever reaches %s may use it, as "
				    "clients has %s and there is no password_file; name your "
				    "networks in clients, or give it a password_file",
				    text, everyone);
}

/* Basic credentials are as good as in the clear (RFC 7617 4). */
static void warn_of_passwords(const struct conf *conf, const struct listener *listener)
{
	char text[ADDRESS_TEXT_SIZE];

	if (conf->password_file[0] == '\0')
		return;
	for (unsigned i = 0; i < listener->count; i++)
		if (!listener->at[i].is_tls &&
		    is_reached(&listener->at[i], &forward_frontend, text))
			log_warning(
				"listen: passwords come to %s in the clear, for all on the way to "
				"read: let clients speak TLS, with listen = tls:%s, "
				"tls_certificate and tls_key",
				text, text);
}

static void warn_of_certificate(const struct conf *conf, const struct tls_server *server)
{
	int64_t now_s = wall_clock_ms() / 1000;

	if (server == NULL)
		return;
	if (tls_server_ends_s(server) <= now_s)
		log_error(
			"tls_certificate: %s: has expired: clients that look refuse it; put a new "
			"one there, and reload",
			conf->tls_certificate);
	else if (tls_server_begins_s(server) > now_s)
		log_error("tls_certificate: %s: is not valid yet, by this machine's clock",
			  conf->tls_certificate);
}

/* What was read before the user changed has to be read again. */
static void warn_of_files(const struct conf *conf)
{
	const struct {
		const char *option, *path;
	} files[] = {
		{"tls_certificate", conf->tls_certificate},
		{"tls_key", conf->tls_key},
		{"tls_client_ca", conf->tls_client_ca},
		{"password_file", conf->password_file},
		{"admin_token_file", conf->admin_token_file},
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (files[i].path[0] != '\0' && access(files[i].path, R_OK) != 0)
			log_error("%s: %s: was read at the start, and cannot be read by the user "
				  "that the service is now: a reload or an upgrade will be refused "
				  "(%s); let a group of that user read it",
				  files[i].option, files[i].path, strerror(errno));
}

void greeting_warn(const struct generation *generation)
{
	const struct conf *conf = generation->conf;
	const struct listener *listener = &generation->sets[0];

	warn_of_admin(conf, listener);
	warn_of_open_proxy(conf, listener);
	warn_of_passwords(conf, listener);
	warn_of_certificate(conf, generation->tls);
	warn_of_files(conf);
}
