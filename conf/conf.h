/*
 * The options in effect: plain data, constant once a worker has started.
 *
 * conf_load() makes one from defaults, an optional file and settings over it; conf_free() releases
 * it. Errors are lines of text "place: message", where place is FILE:LINE or `-o name`.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A list of strings; `at` has `count` entries, owned by the struct conf. */
struct conf_list {
	char **at;
	size_t count;
};

struct conf_rule;
struct conf_rules;

/* The words of choices.def. */
enum conf_choice {
#define CHOICE(id, option, word) CONF_##id,
#include "conf/choices.def"
#undef CHOICE
	CONF_CHOICE_COUNT
};

/* One member per row of options.def, named as the option; durations in ms, sizes in bytes. */
struct conf {
#define OPTION_LIST(name, preset, form, help) struct conf_list name;
#define OPTION_STRING(name, preset, form, help) char *name;
#define OPTION_CHOICE(name, preset, help) enum conf_choice name;
#define OPTION_BOOL(name, preset, help) bool name;
#define OPTION_COUNT(name, preset, min, max, help) uint32_t name;
#define OPTION_SIZE(name, preset, min, max, help) uint64_t name;
#define OPTION_DURATION(name, preset, min, max, help) int64_t name##_ms;
#include "conf/options.def"
#undef OPTION_LIST
#undef OPTION_STRING
#undef OPTION_CHOICE
#undef OPTION_BOOL
#undef OPTION_COUNT
#undef OPTION_SIZE
#undef OPTION_DURATION
	/* Where options were given, for conf_place(): the file, and a line of it for each option. */
	char *file;
	int *lines;
	/* No option: our name in Via of requests, see instance.h; NULL for the pseudonym. */
	char *instance;
	/* For some hosts and paths (rules.h); NULL for none. */
	struct conf_rules *rules;
	/* The rule under which the options are so; NULL in those of the whole. */
	const struct conf_rule *rule;
};

/*
 * Workers of several configurations may be at work at once (proxy/process/master.h).  What they
 * share is mapped at the start, with room for so many of each configuration to come.
 */
enum { CONF_GENERATIONS_MAX = 5, CONF_WORKERS_ROOM = 8 };

/* Workers that there is room for, of all generations and of one that is being started. */
static inline unsigned conf_worker_slots(const struct conf *conf)
{
	unsigned most = conf->workers > CONF_WORKERS_ROOM ? conf->workers : CONF_WORKERS_ROOM;

	return (CONF_GENERATIONS_MAX + 1) * most;
}

static inline const char *conf_instance(const struct conf *conf)
{
	return conf->instance != NULL ? conf->instance : conf->pseudonym;
}

/* A choice as the operator writes it. */
const char *conf_choice_word(enum conf_choice choice);

/* Find the choice of an option by its word; false when the option has no such choice. */
bool conf_choice_find(const char *option, const char *word, enum conf_choice *ret_choice);

/* The i-th choice of an option; false past the last. */
bool conf_choice_at(const char *option, unsigned i, enum conf_choice *ret_choice);

/*
 * Defaults, then `file` (NULL for none), then `settings` ("name=value", in order).  On failure
 * returns NULL and has written one line per error to `errors`; all errors of a file that parses are
 * reported.
 */
struct conf *conf_load(const char *file, char *const *settings, size_t setting_count, FILE *errors);

/*
 * Put before a message about an option, "name: what", where that was given: "FILE:LINE: " or "-o ".
 * False when that is not known, and the message stays as it is.
 */
struct diagnostic;
bool conf_place(const struct conf *conf, struct diagnostic *message);

/* All defaults; never fails but for memory.  For tests. */
struct conf *conf_defaults(void);

/* Texts are overwritten before their memory goes: one may have a password. */
void conf_free(struct conf *conf);

/* A configuration file that has the same effect, each option with its help as a comment. */
void conf_dump(const struct conf *conf, FILE *to);

/* A line or two per option: name, unit and bounds, default, help; for --help. */
void conf_help(FILE *to);

/*
 * Split "ADDRESS:PORT" or "[v6]:port": a numeric address and a port 0-65535.  Returns false for any
 * other text.  `ret_host` needs 46 bytes.
 */
bool conf_split_address(const char *text, char *ret_host, uint16_t *ret_port);

/*
 * A member of `listen` or `gateway` may begin with "tls:": clients speak TLS to it.  What follows
 * that, or all of another text.
 */
const char *conf_behind_tls(const char *text);
bool conf_is_tls(const char *text);

/* Does any address of either have it? */
bool conf_has_tls(const struct conf *conf);

/*
 * The path in "unix:PATH", a member of `listen` or `admin`; NULL for an address.  With its end it
 * takes at most CONF_UNIX_PATH bytes (unix(7)).
 */
enum { CONF_UNIX_PATH = 108 };
const char *conf_unix_path(const char *text);

/* A member of `gateway`, "ADDRESS:PORT=ORIGIN" or "unix:PATH=ORIGIN@unix:PATH", taken apart. */
struct conf_gateway {
	char listen[5 + CONF_UNIX_PATH]; /* as a member of `listen` */
	char origin[312];                /* http://host[:port], or https */
	char socket[CONF_UNIX_PATH]; /* path that leads to the origin; "" to connect to its host */
};

/* False when a part is missing or too long; what the parts are is not looked at. */
bool conf_split_gateway(const char *text, struct conf_gateway *ret_gateway);

/* A text of the form MODE as permissions. */
unsigned conf_mode(const char *text);

#endif
