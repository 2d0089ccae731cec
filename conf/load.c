/* Makes the options in effect: presets, a file read by libconfuse, settings over it, checks. */
#include "conf/conf.h"

#include <confuse.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cache/base/diagnostic.h"
#include "conf/option.h"
#include "conf/rules.h"
#include "conf/setting.h"
#include "conf/source.h"
#include "conf/statements.h"
#include "conf/units.h"

enum {
	FROM_SETTING = -1,
	ERRORS_MAX = 50, /* further ones are likely of the same cause */
};

/* What is wrong with a statement of the file, kept until libconfuse comes to its line. */
struct fault {
	int line;
	char name[FORM_SHOWN];
	struct diagnostic why;
};

/* One call of conf_load(). */
struct loading {
	struct conf *conf;
	const char *file;
	FILE *errors;
	unsigned error_count;
	int *lines; /* where each option was given: its line, FROM_SETTING, or 0 for not at all */
	struct fault faults[ERRORS_MAX];
	unsigned fault_count, fault_said, faults_more;
};

/* libconfuse hands no pointer of ours to its callbacks. */
static struct loading *loading;

/* One line for an option given at `line`; `name` need not be that of a row. */
__attribute__((format(printf, 4, 5))) static void complain(struct loading *load, int line,
							   const char *name, const char *format,
							   ...)
{
	char shown[FORM_SHOWN];
	va_list arguments;

	if (load->error_count++ >= ERRORS_MAX)
		return;
	if (line == FROM_SETTING)
		fprintf(load->errors, "-o %s: ", form_show(name, shown));
	else
		fprintf(load->errors, "%s:%d: %s: ", load->file, line, form_show(name, shown));
	va_start(arguments, format);
	vfprintf(load->errors, format, arguments);
	va_end(arguments);
	fputc('\n', load->errors);
}

/* Those of statements up to this line. */
static void say_faults(struct loading *load, int line)
{
	while (load->fault_said < load->fault_count &&
	       load->faults[load->fault_said].line <= line) {
		const struct fault *fault = &load->faults[load->fault_said++];

		complain(load, fault->line, fault->name, "%s", fault->why.text);
	}
}

static void keep_fault(void *owner, int line, const char *name, const char *why)
{
	struct loading *load = owner;
	struct fault *fault;

	if (load->fault_count == ERRORS_MAX) {
		load->faults_more++;
		return;
	}
	fault = &load->faults[load->fault_count++];
	fault->line = line;
	form_show(name, fault->name);
	diagnostic_set(&fault->why, "%s", why);
}

static void check_values(struct loading *load, int line, const struct option *option,
			 const char *const *values, size_t count)
{
	struct diagnostic why;

	if (line != FROM_SETTING)
		say_faults(load, line);
	load->lines[option - options] = line;
	for (size_t i = 0; i < count; i++)
		if (!option_check(option, values[i], &why))
			complain(load, line, option->name, "%s", why.text);
}

/*
 * libconfuse found a value of an option, or a member of a list: reported here, where the line is
 * known.
 */
static int value_cb(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	check_values(loading, cfg->line, option_find(opt->name), &value, 1);
	*(const char **)result = value;
	return 0;
}

/* Libconfuse's own errors, of which statements_check() has left none but odd escapes. */
__attribute__((format(printf, 2, 0))) static void error_cb(cfg_t *cfg, const char *format,
							   va_list arguments)
{
	say_faults(loading, cfg->line);
	loading->error_count++;
	fprintf(loading->errors, "%s:%d: ", loading->file, cfg->line);
	vfprintf(loading->errors, format, arguments);
	fputc('\n', loading->errors);
}

static void free_table(cfg_opt_t *table)
{
	for (size_t i = 0; i < option_total; i++)
		free(table[i].def.parsed);
	free(table);
}

/* The rows as libconfuse wants them: all texts, lists with presets so that += adds to them. */
static cfg_t *new_cfg(void)
{
	cfg_opt_t *table = calloc(option_total + 1, sizeof(*table));
	cfg_t *cfg = NULL;
	bool whole = table != NULL;

	for (size_t i = 0; whole && i < option_total; i++) {
		table[i].name = options[i].name;
		table[i].type = CFGT_STR;
		table[i].parsecb = value_cb;
		if (options[i].type != OPTION_IS_LIST)
			continue;
		table[i].flags = CFGF_LIST;
		whole = asprintf(&table[i].def.parsed, "{%s}", options[i].preset) > 0;
		if (!whole)
			table[i].def.parsed = NULL;
	}
	if (whole)
		cfg = cfg_init(table, CFGF_NONE);
	if (table != NULL)
		free_table(table);
	if (cfg != NULL)
		cfg_set_error_function(cfg, error_cb);
	return cfg;
}

/* What the file gave to one option, into struct conf. */
static bool take_values(struct loading *load, const struct option *option, cfg_opt_t *opt)
{
	size_t count = cfg_opt_size(opt);
	const char **values;
	bool set;

	if (!(opt->flags & CFGF_MODIFIED))
		return true;
	values = calloc(count + 1, sizeof(*values));
	if (values == NULL)
		return false;
	for (size_t i = 0; i < count; i++)
		values[i] = cfg_opt_getnstr(opt, (unsigned)i);
	set = option_set(option, load->conf, values, count);
	if (option->form == FORM_PARENT) /* it may have a password: one copy is enough */
		explicit_bzero(opt->values[0]->string, strlen(values[0]));
	free(values);
	return set;
}

/* False when memory is out; errors of the file are counted. */
static bool load_text(struct loading *load, char *text)
{
	cfg_t *cfg = new_cfg();
	bool set = cfg != NULL;

	statements_check(text, load->lines, load->conf, keep_fault, load);
	if (cfg != NULL && cfg_parse_buf(cfg, text) != CFG_SUCCESS)
		load->error_count += load->error_count + load->fault_count == 0;
	say_faults(load, INT_MAX);
	load->error_count += load->faults_more;
	for (size_t i = 0; set && load->error_count == 0 && i < option_total; i++)
		set = take_values(load, &options[i], cfg_getopt(cfg, options[i].name));
	if (cfg != NULL)
		cfg_free(cfg);
	return set;
}

static bool load_file(struct loading *load)
{
	char *text = conf_source_read(load->file, load->errors);
	bool set = true;

	if (text != NULL) {
		loading = load;
		set = load_text(load, text);
		loading = NULL;
		explicit_bzero(text, strlen(text));
		free(text);
	} else {
		load->error_count++;
	}
	return set;
}

/* Instead of the values that the option has, or behind them. */
static bool set_values(struct loading *load, const struct option *option,
		       const struct setting_values *values, bool adds)
{
	const struct conf_list *old = option_value(option, load->conf);
	const char **all;
	bool set;

	if (!adds)
		return option_set(option, load->conf, values->at, values->count);
	all = calloc(old->count + values->count + 1, sizeof(*all));
	if (all == NULL)
		return false;
	memcpy(all, old->at, old->count * sizeof(*all));
	memcpy(all + old->count, values->at, values->count * sizeof(*all));
	set = option_set(option, load->conf, all, old->count + values->count);
	free(all);
	return set;
}

static bool load_value(struct loading *load, const struct option *option, const char *text,
		       bool adds)
{
	struct setting_values values;
	const char *why;
	unsigned before = load->error_count;
	bool set = setting_values(option, text, &values, &why);

	if (set && why != NULL)
		complain(load, FROM_SETTING, option->name, "%s", why);
	else if (set && adds && option->type != OPTION_IS_LIST)
		complain(load, FROM_SETTING, option->name, "+= is for lists; use =");
	else if (set)
		check_values(load, FROM_SETTING, option, values.at, values.count);
	if (set && load->error_count == before)
		set = set_values(load, option, &values, adds);
	setting_values_free(&values);
	return set;
}

/* A setting that names no option, or gives no value. */
static void complain_setting(struct loading *load, char *name, bool has_value)
{
	size_t length = strcspn(name, ": \t");
	char behind = name[length];
	struct diagnostic why;
	const struct option *option;

	name[length] = '\0';
	option = option_find(name);
	if (behind != '\0' && option != NULL) {
		complain(load, FROM_SETTING, name, "no = between name and value; use -o %s=...",
			 name);
		return;
	}
	name[length] = behind;
	if (!has_value) {
		complain(load, FROM_SETTING, name, "no value; use -o name=value");
		return;
	}
	if (strncmp(name, "rule", 4) == 0 && strspn(name + 4, " \t\"'") > 0)
		name[4] = '\0';
	statement_explain_unknown(name, &why);
	complain(load, FROM_SETTING, name, "%s", why.text);
}

/* One -o name=value. */
static bool load_setting(struct loading *load, const char *setting)
{
	size_t length;
	bool adds, set = true;
	const char *value, *start = setting_split(setting, &length, &adds, &value);
	char *name = strndup(start, length);
	const struct option *option = name != NULL ? option_find(name) : NULL;

	if (option != NULL && value != NULL)
		set = load_value(load, option, value, adds);
	else if (name != NULL)
		complain_setting(load, name, value != NULL);
	free(name);
	return set && name != NULL;
}

/* Of two conflicting options, the one that was given last. */
static const struct option *culprit(const struct loading *load, const char *a, const char *b)
{
	const struct option *first = option_find(a), *second = option_find(b);
	int line_a = load->lines[first - options], line_b = load->lines[second - options];

	if (line_a == FROM_SETTING || line_b == FROM_SETTING)
		return line_a == FROM_SETTING ? first : second;
	return line_a > line_b ? first : second;
}

__attribute__((format(printf, 4, 5))) static void complain_of_both(struct loading *load,
								   const char *a, const char *b,
								   const char *format, ...)
{
	const struct option *option = culprit(load, a, b);
	struct diagnostic why;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why.text, sizeof(why.text), format, arguments);
	va_end(arguments);
	complain(load, load->lines[option - options], option->name, "%s", why.text);
}

/* An address to listen on, of one of three options. */
struct listening {
	const char *option;
	char text[sizeof(((struct conf_gateway *)NULL)->listen)];
	char host[UNITS_HOST];
	uint16_t port;
};

static struct listening listening_of(const struct conf *conf, size_t i)
{
	const struct conf_list *lists[] = {&conf->listen, &conf->gateway, &conf->admin};
	static const char *const names[] = {"listen", "gateway", "admin"};
	struct listening listening = {.host = ""};
	struct conf_gateway gateway;
	size_t list = 0;

	while (i >= lists[list]->count)
		i -= lists[list++]->count;
	listening.option = names[list];
	snprintf(listening.text, sizeof(listening.text), "%s", lists[list]->at[i]);
	if (lists[list] == &conf->gateway && conf_split_gateway(lists[list]->at[i], &gateway))
		snprintf(listening.text, sizeof(listening.text), "%s", gateway.listen);
	units_parse_address(conf_behind_tls(listening.text), listening.host, &listening.port);
	return listening; /* of a Unix socket: without host and port */
}

static bool is_wildcard(const struct listening *one)
{
	return strcmp(one->host, "0.0.0.0") == 0 || strcmp(one->host, "::") == 0;
}

/* An address of all is one of its own family alone. */
static bool is_within(const struct listening *one, const struct listening *all)
{
	return is_wildcard(all) &&
	       (strchr(one->host, ':') == NULL) == (strchr(all->host, ':') == NULL);
}

/* Of a Unix socket. */
static bool is_same_file(const struct listening *a, const struct listening *b)
{
	return conf_unix_path(a->text) != NULL && strcmp(a->text, b->text) == 0;
}

/* No address may be listened on twice; port 0 is any free one. */
static void check_addresses(struct loading *load)
{
	const struct conf *conf = load->conf;
	size_t total = conf->listen.count + conf->gateway.count + conf->admin.count;

	for (size_t i = 0; i < total; i++) {
		struct listening one = listening_of(conf, i);

		for (size_t j = 0; j < i; j++) {
			struct listening other = listening_of(conf, j);
			bool same_port = one.port != 0 && one.port == other.port;

			if (is_same_file(&one, &other) ||
			    (same_port && strcmp(one.host, other.host) == 0))
				complain_of_both(load, other.option, one.option,
						 "%s is listened on twice", one.text);
			else if (same_port && (is_within(&one, &other) || is_within(&other, &one)))
				complain_of_both(load, other.option, one.option,
						 "%s is listened on twice, for %s has it too",
						 is_wildcard(&one) ? other.text : one.text,
						 is_wildcard(&one) ? one.text : other.text);
		}
	}
}

/* A gateway that leads to a socket of ours would show operators' pages, or go in circles. */
static void check_origin_sockets(struct loading *load)
{
	const struct conf *conf = load->conf;
	size_t total = conf->listen.count + conf->gateway.count + conf->admin.count;

	for (size_t i = 0; i < conf->gateway.count; i++) {
		struct conf_gateway gateway;

		if (!conf_split_gateway(conf->gateway.at[i], &gateway) || !gateway.socket[0])
			continue;
		for (size_t j = 0; j < i; j++) {
			struct conf_gateway other;

			if (conf_split_gateway(conf->gateway.at[j], &other) && other.socket[0] &&
			    strcmp(other.origin, gateway.origin) == 0 &&
			    strcmp(other.socket, gateway.socket) != 0)
				complain_of_both(load, "gateway", "gateway",
						 "%s is at unix:%s and at unix:%s: one origin has "
						 "one socket",
						 gateway.origin, other.socket, gateway.socket);
		}
		for (size_t j = 0; j < total; j++) {
			struct listening ours = listening_of(conf, j);
			const char *path = conf_unix_path(ours.text);

			if (path != NULL && strcmp(path, gateway.socket) == 0)
				complain_of_both(load, ours.option, "gateway",
						 "%s cannot be an origin, as %s listens on it",
						 ours.text, ours.option);
		}
	}
}

static bool has_port(const struct conf_list *list, unsigned port)
{
	uint16_t first, last;

	for (size_t i = 0; i < list->count; i++)
		if (units_parse_ports(list->at[i], &first, &last) && port >= first && port <= last)
			return true;
	return false;
}

/* A tunnel that CONNECT may not ask for is none that could be read. */
static void check_tunnel_http(struct loading *load)
{
	const struct conf_list *list = &load->conf->tunnel_http;
	uint16_t first, last;

	for (size_t i = 0; i < list->count; i++) {
		if (!units_parse_ports(list->at[i], &first, &last))
			continue;
		for (unsigned port = first; port <= last; port++)
			if (!has_port(&load->conf->connect_ports, port)) {
				complain_of_both(load, "connect_ports", "tunnel_http",
						 "port %u is not in connect_ports; add it there",
						 port);
				break;
			}
	}
}

static void complain_of_rule(void *owner, int line, const char *name, const char *why)
{
	struct loading *load = owner;
	char shown[FORM_SHOWN];

	if (load->error_count++ < ERRORS_MAX)
		fprintf(load->errors, "%s:%d: rule \"%s\": %s\n", load->file, line,
			form_show(name, shown), why);
}

/* What speaks TLS needs a certificate, and a certificate its key. */
static void check_tls(struct loading *load)
{
	const struct conf *conf = load->conf;
	bool has_certificate = conf->tls_certificate[0] != '\0';

	if (has_certificate != (conf->tls_key[0] != '\0'))
		complain_of_both(load, "tls_certificate", "tls_key",
				 "tls_certificate and tls_key go together: %s is empty",
				 has_certificate ? "tls_key" : "tls_certificate");
	else if (conf_has_tls(conf) && !has_certificate)
		complain_of_both(load, "listen", "gateway",
				 "an address with tls: needs tls_certificate and tls_key");
	if (conf->tls_client_ca[0] != '\0' && !has_certificate)
		complain_of_both(load, "tls_client_ca", "tls_client_ca",
				 "is for addresses with tls:, and there is no tls_certificate");
}

/* Checks that involve several options. */
static void check_together(struct loading *load)
{
	const struct conf *conf = load->conf;
	char head[UNITS_TEXT], uri[UNITS_TEXT];

	if (conf->listen.count == 0)
		complain_of_both(load, "listen", "listen", "give at least one address");
	if (conf->head_size < conf->uri_length) {
		units_write_size((int64_t)conf->head_size, head);
		units_write_size((int64_t)conf->uri_length, uri);
		complain_of_both(load, "head_size", "uri_length",
				 "a head_size of %s cannot hold a uri_length of %s", head, uri);
	}
	check_addresses(load);
	check_origin_sockets(load);
	check_tunnel_http(load);
	check_tls(load);
}

static bool load_all(struct loading *load, char *const *settings, size_t setting_count)
{
	if (load->conf == NULL || load->lines == NULL || (load->file != NULL && !load_file(load)))
		return false;
	for (size_t i = 0; i < setting_count; i++)
		if (!load_setting(load, settings[i]))
			return false;
	if (load->error_count > 0)
		return true;
	check_together(load);
	return conf_rules_finish(load->conf, complain_of_rule, load);
}

struct conf *conf_load(const char *file, char *const *settings, size_t setting_count, FILE *errors)
{
	struct loading load = {
		.conf = conf_defaults(),
		.file = file,
		.errors = errors,
		.lines = calloc(option_total, sizeof(*load.lines)),
	};

	if (!load_all(&load, settings, setting_count)) {
		fprintf(errors, "%s: out of memory\n", file != NULL ? file : "-o");
		load.error_count++;
	}
	if (load.error_count > ERRORS_MAX)
		fprintf(errors, "%s: %u errors more\n", file != NULL ? file : "-o",
			load.error_count - ERRORS_MAX);
	if (load.conf != NULL) {
		load.conf->file = file != NULL ? strdup(file) : NULL;
		load.conf->lines = load.lines;
	}
	if (load.error_count == 0)
		return load.conf;
	if (load.conf == NULL)
		free(load.lines);
	conf_free(load.conf);
	return NULL;
}

bool conf_place(const struct conf *conf, struct diagnostic *message)
{
	char name[FORM_SHOWN];
	size_t length = strcspn(message->text, ":");
	const struct option *option;
	int line;

	snprintf(name, sizeof(name), "%.*s", (int)length, message->text);
	option = option_find(name);
	line = option != NULL && conf->lines != NULL ? conf->lines[option - options] : 0;
	if (line == FROM_SETTING)
		diagnostic_set(message, "-o %s", message->text);
	else if (line > 0 && conf->file != NULL)
		diagnostic_set(message, "%s:%d: %s", conf->file, line, message->text);
	return line != 0;
}

struct conf *conf_defaults(void)
{
	struct conf *conf = calloc(1, sizeof(*conf));

	if (conf != NULL && !setting_presets(conf)) {
		conf_free(conf);
		return NULL;
	}
	return conf;
}

void conf_free(struct conf *conf)
{
	for (size_t i = 0; conf != NULL && i < option_total; i++)
		option_release(&options[i], conf);
	if (conf != NULL) {
		free(conf->instance);
		conf_rules_free(conf->rules);
		free(conf->file);
		free(conf->lines);
	}
	free(conf);
}
