/* A clock, processes and operators for a master; see master_world.h. */
#include "tests/doubles/master_world.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/store/store.h"
#include "proxy/base/log.h"
#include "proxy/base/monotonic.h"
#include "proxy/base/version.h"
#include "proxy/loop/env.h"
#include "proxy/process/handover.h"
#include "proxy/process/master.h"
#include "proxy/process/master_impl.h"
#include "proxy/process/notify.h"
#include "proxy/process/privileges.h"
#include "proxy/process/takeover.h"
#include "proxy/process/worker.h"
#include "tests/doubles/failing_memory.h"
#include "tests/support/store_fixture.h"

enum {
	FIRST_PID = 101,
	ENDED_MAX = 32,
	HUNG_MAX = 8,
	FDS = 256,
	START_MS = 1000000,
	LINE_MAX_SIZE = 512
};

/* Of a play: a master that turns without end, or does not come back, fails by the play's name. */
enum { TURNS_MAX = 5000, LINES_MAX = 500, ALARM_S = 30 };

/* What can be told to fail. */
enum call { FORK, PIPE, GO, EXECUTE, OPEN, MEMORY, TICKETS, MAP, DROP, WORKER, CALLS };

static const char *const calls[CALLS] = {
	[FORK] = "fork",    [PIPE] = "pipe",     [GO] = "listen",       [EXECUTE] = "execute",
	[OPEN] = "program", [MEMORY] = "memory", [TICKETS] = "tickets", [MAP] = "map",
	[DROP] = "user",    [WORKER] = "worker",
};

static const struct {
	const char *name;
	int number;
} signals[] = {
	{"TERM", SIGTERM}, {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"HUP", SIGHUP},
	{"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"KILL", SIGKILL}, {"SEGV", SIGSEGV},
	{"ABRT", SIGABRT}, {"BUS", SIGBUS},   {"CHLD", SIGCHLD},
};

static struct {
	char directory[64], file[80], store[80], program[80];
	const char *rest; /* of the play */
	FILE *to;
	int64_t now_ms;
	jmp_buf end;
	struct master *master;
	struct generation_source source;
	struct handover before;
	int report[2], told, last_pipe;
	pid_t last;
	struct {
		pid_t pid;
		int status;
	} ended[ENDED_MAX];
	unsigned ended_count;
	pid_t hung[HUNG_MAX];
	unsigned hung_count;
	unsigned turns, lines;
	bool fails[CALLS];
	bool forks, is_worker;
} world;

pid_t __wrap_fork(void);
int __wrap_kill(pid_t pid, int number);
pid_t __wrap_waitpid(pid_t pid, int *ret_status, int options);
int __wrap_poll(struct pollfd *fds, nfds_t count, int ms);
int __wrap_sigtimedwait(const sigset_t *mask, siginfo_t *info, const struct timespec *most);
_Noreturn void __wrap_exit(int status);
int __wrap_pipe2(int *fds, int flags);
int __wrap_open(const char *path, int flags, ...);
int64_t __wrap_monotonic_us(void);
void __wrap_log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void __wrap_log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void __wrap_log_error_lines(const char *what, const char *text);
void __wrap_greeting_warn(const struct generation *generation);
void __wrap_notify_ready(const char *status);
void __wrap_notify_reloading(const char *status);
void __wrap_notify_stopping(const char *status, int64_t within_ms);
void __wrap_privileges_harden(bool debugging);
bool __wrap_privileges_drop(const char *user, struct diagnostic *error);
bool __wrap_generation_go(struct generation *generation, struct diagnostic *error);
bool __wrap_tls_tickets_begin(void);
struct worker_shared *__wrap_worker_shared_map(const struct conf *conf,
					       const struct handover *before);
struct master *__wrap_master_new(struct generation *first, const struct generation_source *source,
				 struct worker_shared *shared, struct handover *before);
const char *__wrap_handover_path(void);
void __wrap_handover_execute(const struct handover *handover, const char *path);
struct worker *__wrap_worker_new(const struct generation *generation,
				 const struct worker_shared *shared, unsigned block,
				 struct listener *listener, struct diagnostic *error);
int __wrap_worker_run(struct worker *worker);
void __wrap_worker_free(struct worker *worker);
pid_t __real_fork(void);
pid_t __real_waitpid(pid_t pid, int *ret_status, int options);
_Noreturn void __real_exit(int status);
int __real_poll(struct pollfd *fds, nfds_t count, int ms);
int __real_sigtimedwait(const sigset_t *mask, siginfo_t *info, const struct timespec *most);
int __real_pipe2(int *fds, int flags);
int __real_open(const char *path, int flags, mode_t mode);
bool __real_generation_go(struct generation *generation, struct diagnostic *error);
bool __real_tls_tickets_begin(void);
struct worker_shared *__real_worker_shared_map(const struct conf *conf,
					       const struct handover *before);
struct master *__real_master_new(struct generation *first, const struct generation_source *source,
				 struct worker_shared *shared, struct handover *before);

/* ---- the transcript ------------------------------------------------------------------------- */

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void count(unsigned *counter, unsigned most, const char *what)
{
	if (++*counter <= most)
		return;
	fprintf(world.to, "stuck: more than %u %s\n", most, what);
	world.rest = "";
	longjmp(world.end, 1);
}

static void count_turn(void)
{
	count(&world.turns, TURNS_MAX, "turns");
}

/* What the one who tries us has been told goes first. */
static void note_report(void)
{
	char text[LINE_MAX_SIZE];
	ssize_t n = world.report[0] < 0 ? 0 : read(world.report[0], text, sizeof(text));

	if (n <= 0)
		return;
	for (ssize_t i = 0; i < n; i++)
		text[i] = text[i] == '\n' ? '~' : text[i];
	fprintf(world.to, "%" PRId64 " reports %.*s\n", world.now_ms, (int)n, text);
}

static void note_args(const char *what, const char *format, va_list args)
{
	count(&world.lines, LINES_MAX, "lines");
	note_report();
	fprintf(world.to, "%" PRId64 " %s", world.now_ms, what);
	vfprintf(world.to, format, args);
	fputc('\n', world.to);
}

static void note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	note_args("", format, args);
	va_end(args);
}

static const char *name_of(int number)
{
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (signals[i].number == number)
			return signals[i].name;
	return number == WORKER_RETIRE ? "RETIRE" : "?";
}

static int number_of(const char *name)
{
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (strcmp(signals[i].name, name) == 0)
			return signals[i].number;
	return atoi(name);
}

void __wrap_log_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	note_args("error: ", format, args);
	va_end(args);
}

void __wrap_log_info(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	note_args("info: ", format, args);
	va_end(args);
}

void __wrap_log_error_lines(const char *what, const char *text)
{
	note("error: %s: %.*s", what, (int)strcspn(text, "\n"), text);
}

void __wrap_greeting_warn(const struct generation *generation)
{
	note("warns of generation %" PRIu64, generation->number);
}

void __wrap_notify_ready(const char *status)
{
	note("notifies ready: %s", status);
}

void __wrap_notify_reloading(const char *status)
{
	note("notifies %s", status);
}

void __wrap_notify_stopping(const char *status, int64_t within_ms)
{
	note("notifies %s within %" PRId64, status, within_ms);
}

/* ---- what happens --------------------------------------------------------------------------- */

static void say(pid_t pid)
{
	if (write(world.master->started[1], &pid, sizeof(pid)) != (ssize_t)sizeof(pid))
		abort();
}

static void end(pid_t pid, int status)
{
	if (world.ended_count == ENDED_MAX)
		abort();
	world.ended[world.ended_count].pid = pid;
	world.ended[world.ended_count++].status = status;
	raise(SIGCHLD);
}

static void show_result(const char *what, const struct reload *of)
{
	struct reload_result result;

	if (!reload_read(of, &result))
		abort();
	note("%s: answered %" PRIu64 ", generation %" PRIu64 ", older %" PRIu64 ", %s%.*s", what,
	     result.answered, result.generation, result.older,
	     result.ok ? "ok" : "not ok: ", (int)strcspn(result.text, "\n"), result.text);
}

static void show(void)
{
	const struct stats_service *service = &world.master->shared->service;

	note("alive %u, blocks used %u, copies made %" PRIu64 " failed %" PRIu64, service->alive,
	     service->used, (uint64_t)STATS_READ(service->copies.made),
	     (uint64_t)STATS_READ(service->copies.failed));
	show_result("reload", service->reload);
	show_result("upgrade", service->upgrade);
}

static void write_file(const char *path, const char *text)
{
	FILE *to = fopen(path, "w");

	for (; *text != '\0'; text++)
		fputc(*text == ';' ? '\n' : *text, to);
	fputc('\n', to);
	fclose(to);
}

static void touch(const char *what)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
	struct stat look;
	char path[128];

	snprintf(path, sizeof(path), "%s.old", world.store);
	if (strcmp(what, "program") == 0) {
		unlink(world.program);
		write_file(world.program, "another");
	} else if (strcmp(what, "seconds") == 0 || strcmp(what, "nanoseconds") == 0) {
		if (stat(world.program, &look) != 0)
			abort();
		times[1] = look.st_mtim;
		times[1].tv_sec += what[0] == 's';
		times[1].tv_nsec ^= what[0] == 'n';
		utimensat(AT_FDCWD, world.program, times, 0);
	} else if (strcmp(what, "nothing") == 0) {
		unlink(world.program);
	} else if (rename(world.store, path) != 0 || mkdir(world.store, 0700) != 0) {
		abort();
	}
}

static void say_report(const char *text)
{
	for (; *text != '\0'; text++)
		if (write(world.told, *text == '~' ? "\n" : text, 1) != 1)
			abort();
}

static void set_failing(const char *what, bool fails)
{
	for (unsigned i = 0; i < CALLS; i++)
		if (strcmp(calls[i], what) == 0)
			world.fails[i] = fails;
	if (fails && strncmp(what, "memory ", 7) == 0)
		fail_memory((size_t)atoi(what + 7), false);
	else if (world.fails[MEMORY])
		fail_memory(0, true);
	else
		fail_memory_never();
}

static void ask(bool reload)
{
	struct stats_service *service = &world.master->shared->service;

	reload_ask(reload ? service->reload : service->upgrade);
	say(reload ? (pid_t)ENV_ASKS_RELOAD : (pid_t)ENV_ASKS_UPGRADE);
}

/* Of a process. */
static bool happen_to(const char *verb, const char *rest)
{
	char *more;
	pid_t pid = (pid_t)strtol(rest, &more, 10);

	if (strcmp(verb, "ends") == 0)
		end(pid, atoi(more) << 8);
	else if (strcmp(verb, "dies") == 0)
		end(pid, number_of(more + strspn(more, " ")));
	else if (strcmp(verb, "lost") == 0)
		say(-pid);
	else if (strcmp(verb, "hangs") == 0)
		world.hung[world.hung_count++ % HUNG_MAX] = pid;
	else if (strcmp(verb, "serves") != 0)
		return false;
	else
		for (; pid != 0; pid = (pid_t)strtol(more, &more, 10))
			say(pid);
	return true;
}

static void happen(char *words)
{
	char *rest = words + strcspn(words, " ");

	if (*rest == ' ')
		*rest++ = '\0';
	if (happen_to(words, rest) || strcmp(words, "waits") == 0)
		return;
	if (strcmp(words, "forks") == 0) {
		world.forks = true;
		return;
	}
	if (strcmp(words, "signal") == 0)
		raise(number_of(rest));
	else if (strcmp(words, "asks") == 0)
		ask(strcmp(rest, "reload") == 0);
	else if (strcmp(words, "file") == 0)
		write_file(world.file, rest);
	else if (strcmp(words, "fails") == 0 || strcmp(words, "works") == 0)
		set_failing(rest, words[0] == 'f');
	else if (strcmp(words, "sleeps") == 0)
		world.now_ms += atoi(rest);
	else if (strcmp(words, "says") == 0)
		say_report(rest);
	else if (strcmp(words, "touches") == 0)
		touch(rest);
	else if (strcmp(words, "shows") == 0)
		show();
	else
		abort();
}

static bool take_line(char *to, size_t size)
{
	size_t n = strcspn(world.rest, "\n");

	if (n == 0)
		return false;
	if (n >= size)
		abort();
	memcpy(to, world.rest, n);
	to[n] = '\0';
	world.rest += n + (world.rest[n] == '\n');
	return true;
}

/* The next that happens until then, if something does; the play's end is the end. */
static bool go_on(int64_t until_ms)
{
	const char *here = world.rest;
	char line[LINE_MAX_SIZE], *words;

	do {
		here = world.rest;
		if (!take_line(line, sizeof(line)))
			longjmp(world.end, 1);
		words = strstr(line, " > ");
	} while (words == NULL); /* what is expected */
	if (atoll(line) > until_ms) {
		world.rest = here;
		world.now_ms = until_ms;
		return false;
	}
	if (atoll(line) > world.now_ms)
		world.now_ms = atoll(line);
	note("> %s", words + 3);
	happen(words + 3);
	return true;
}

/* ---- the system ----------------------------------------------------------------------------- */

static void turn_workers(void)
{
	const struct master *master = world.master;

	for (unsigned i = 0; i < master->slots; i++) {
		bool hangs = false;

		for (unsigned j = 0; j < world.hung_count && j < HUNG_MAX; j++)
			hangs |= world.hung[j] == master->members[i].pid;
		if (!hangs)
			STATS_BUMP(master->shared->service.blocks[i].turns, 1);
	}
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int ms)
{
	if (world.master == NULL || count != 3)
		return __real_poll(fds, count, ms);
	count_turn();
	turn_workers();
	return go_on(ms < 0 ? INT64_MAX : world.now_ms + ms);
}

int __wrap_sigtimedwait(const sigset_t *mask, siginfo_t *info, const struct timespec *most)
{
	static const struct timespec at_once;
	int64_t until_ms = world.now_ms + most->tv_sec * 1000;
	int number;

	count_turn();
	do
		number = __real_sigtimedwait(mask, info, &at_once);
	while (number < 0 && go_on(until_ms));
	return number;
}

int64_t __wrap_monotonic_us(void)
{
	return (START_MS + world.now_ms) * 1000;
}

pid_t __wrap_fork(void)
{
	pid_t child;
	int status;

	if (world.fails[FORK]) {
		errno = EAGAIN;
		return -1;
	}
	if (world.told >= 0)
		close(world.told);
	world.told = world.last_pipe < 0 ? -1 : dup(world.last_pipe);
	world.last = world.last < FIRST_PID ? FIRST_PID : world.last + 1;
	note("starts %d", (int)world.last);
	if (!world.forks)
		return world.last;
	fflush(world.to);
	child = __real_fork();
	world.is_worker = child == 0;
	if (child == 0)
		return 0;
	if (__real_waitpid(child, &status, 0) != child)
		abort();
	return world.last;
}

int __wrap_kill(pid_t pid, int number)
{
	note("sends %s to %d", name_of(number), (int)pid);
	return 0;
}

pid_t __wrap_waitpid(pid_t pid, int *ret_status, int options)
{
	(void)options;
	if (world.ended_count == 0)
		return 0;
	pid = world.ended[0].pid;
	if (ret_status != NULL)
		*ret_status = world.ended[0].status;
	memmove(&world.ended[0], &world.ended[1], sizeof(world.ended) - sizeof(world.ended[0]));
	world.ended_count--;
	return pid;
}

/* Sockets that connections wait in. */
static unsigned count_listening(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < FDS; fd++) {
		struct sockaddr_storage address;
		socklen_t size = sizeof(address);

		count += getsockname(fd, (struct sockaddr *)&address, &size) == 0 &&
			 address.ss_family == AF_INET;
	}
	return count;
}

_Noreturn void __wrap_exit(int status)
{
	note("exits with %d%s", status,
	     !world.is_worker && count_listening() > 0 ? ", connections still wait" : "");
	if (world.is_worker)
		__real_exit(status);
	longjmp(world.end, 1);
}

int __wrap_pipe2(int *fds, int flags)
{
	int result;

	errno = EMFILE;
	result = world.fails[PIPE] ? -1 : __real_pipe2(fds, flags);
	if (result == 0)
		world.last_pipe = fds[1];
	return result;
}

int __wrap_open(const char *path, int flags, ...)
{
	va_list more;
	mode_t mode = 0;

	va_start(more, flags);
	if (flags & O_CREAT)
		mode = (mode_t)va_arg(more, int);
	va_end(more);
	if (world.fails[OPEN] && strcmp(path, "/proc/self/exe") == 0) {
		errno = ENOENT;
		return -1;
	}
	return __real_open(path, flags, mode);
}

/* ---- the program ---------------------------------------------------------------------------- */

void __wrap_privileges_harden(bool debugging)
{
	(void)debugging; /* the test stays as it is */
}

static bool is_blocked(int number)
{
	sigset_t mask;

	return sigprocmask(SIG_BLOCK, NULL, &mask) == 0 && sigismember(&mask, number) == 1;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

struct worker *__wrap_worker_new(const struct generation *generation,
				 const struct worker_shared *shared, unsigned block,
				 struct listener *listener, struct diagnostic *error)
{
	const struct master *master = world.master;

	(void)shared;
	note("worker in block %u of generation %" PRIu64
	     " has sockets: %u of %u open, signals %d, words %d%d, waits %d",
	     block, generation->number, listener->count, count_listening(),
	     is_open(master->signals), is_open(master->started[0]), is_open(master->started[1]),
	     generation->go[0] >= 0 && is_open(generation->go[0]));
	diagnostic_set(error, "worker: it cannot");
	return world.fails[WORKER] ? NULL : (struct worker *)&world;
}

int __wrap_worker_run(struct worker *worker)
{
	(void)worker;
	note("worker runs, SIGTERM is %sblocked", is_blocked(SIGTERM) ? "" : "not ");
	return 7;
}

void __wrap_worker_free(struct worker *worker)
{
	note("worker is freed%s", worker == NULL ? ", without one" : "");
}

bool __wrap_privileges_drop(const char *user, struct diagnostic *error)
{
	diagnostic_set(error, "user: %s: cannot become it", user);
	return !world.fails[DROP];
}

bool __wrap_generation_go(struct generation *generation, struct diagnostic *error)
{
	if (!world.fails[GO])
		return __real_generation_go(generation, error);
	diagnostic_set(error, "cannot listen");
	return false;
}

bool __wrap_tls_tickets_begin(void)
{
	errno = EIO;
	return !world.fails[TICKETS] && __real_tls_tickets_begin();
}

struct worker_shared *__wrap_worker_shared_map(const struct conf *conf,
					       const struct handover *before)
{
	errno = ENOMEM;
	return world.fails[MAP] ? NULL : __real_worker_shared_map(conf, before);
}

struct master *__wrap_master_new(struct generation *first, const struct generation_source *source,
				 struct worker_shared *shared, struct handover *before)
{
	world.master = __real_master_new(first, source, shared, before);
	return world.master;
}

const char *__wrap_handover_path(void)
{
	return world.program;
}

static void note_workers(const struct handover *handover)
{
	for (unsigned i = 0; i < handover->worker_count; i++)
		note("with worker %d of generation %" PRIu64 "%s%s", (int)handover->workers[i].pid,
		     handover->workers[i].generation, handover->workers[i].ready ? ", ready" : "",
		     handover->workers[i].retired ? ", retired" : "");
}

void __wrap_handover_execute(const struct handover *handover, const char *path)
{
	static const char *const kinds[] = {"trial", "start", "back"};

	note("executes %s for a %s, version %s, why %s, generation %" PRId64 ", slots %" PRId64
	     ", store %s %" PRId64 ", user '%s'",
	     path != NULL ? path : "the one before", kinds[handover->kind], handover->version,
	     handover->why, handover->generation, handover->slots, handover->store,
	     handover->store_size, handover->user);
	note("with sets %u, asked %" PRId64 " %" PRId64 ", copier %" PRId64 " of %" PRId64
	     ", terminal %" PRId64 ", descriptors %d%d%d%d%d%d%d, keys %s, to finish %" PRId64,
	     handover->set_count, handover->reload_asked, handover->upgrade_asked, handover->copier,
	     handover->copied_s, handover->had_terminal, handover->lock >= 0,
	     handover->program >= 0, handover->words_in >= 0, handover->words_out >= 0,
	     handover->reload_file >= 0, handover->upgrade_file >= 0, handover->report >= 0,
	     handover->tickets != NULL && strlen(handover->tickets) > 0 ? "yes" : "no",
	     handover->finish_ms);
	if (handover->failed_for != 0)
		note("with failure %" PRId64, handover->failed_for);
	note_workers(handover);
	if (!world.fails[EXECUTE])
		longjmp(world.end, 1);
	errno = ENOEXEC;
}

/* ---- a play --------------------------------------------------------------------------------- */

static void ready(const struct conf *conf, const struct listener *first)
{
	note("greets, workers: %u, addresses: %u", conf->workers, first->count);
}

static struct conf *load(void)
{
	struct conf *conf = conf_load(world.source.file, world.source.settings,
				      world.source.setting_count, stderr);

	if (conf == NULL)
		abort();
	return conf;
}

static struct generation *first_generation(void)
{
	struct diagnostic error;
	struct generation *first = generation_first(load(), &error);

	if (first == NULL) {
		fprintf(stderr, "%s\n", error.text);
		abort();
	}
	return first;
}

static void run_first(void)
{
	struct generation *first = first_generation();
	struct worker_shared *shared = worker_shared_map(first->conf, NULL);
	struct diagnostic error;
	int status;

	if (shared == NULL || !store_hold_take(&shared->hold, world.store, &error))
		abort();
	master_new(first, &world.source, shared, NULL);
	if (!master_begin(world.master, &error)) {
		note("does not begin: %s", error.text);
		return;
	}
	status = master_run(world.master, ready);
	note("returns %d", status);
	master_free(world.master);
}

static void read_workers(struct handover *before, const char *list)
{
	for (; *list != '\0' && *list != ' '; list += *list == ',') {
		struct handover_worker *one;
		char *end;

		before->workers = reallocarray(before->workers, before->worker_count + 1,
					       sizeof(*before->workers));
		one = &before->workers[before->worker_count++];
		one->pid = (pid_t)strtol(list, &end, 10);
		one->generation = strtoull(end + 1, &end, 10);
		one->ready = strtol(end + 1, &end, 10) != 0;
		one->retired = strtol(end + 1, &end, 10) != 0;
		list = end;
		world.last = one->pid;
	}
}

static int64_t value_of(const char *words, const char *name, int64_t preset)
{
	const char *at = strstr(words, name);

	return at == NULL ? preset : atoll(at + strlen(name));
}

/* What a program before would hand over: the sockets of such a configuration. */
static void make_before(const char *words)
{
	struct generation *first = first_generation();
	struct handover *before = &world.before;
	const char *workers = strstr(words, "workers="), *store = strstr(words, "store=");
	struct diagnostic error;
	int pipe[2];

	handover_init(before);
	before->kind = value_of(words, "kind=", HANDOVER_START);
	before->path = strdup(world.program);
	before->version = strdup("1.0");
	before->why = strdup("it was so");
	before->user = strdup("");
	before->store = strdup(store == NULL ? world.store : "/another");
	before->store_size = (int64_t)first->conf->store_size;
	before->slots = conf_worker_slots(first->conf);
	before->generation = value_of(words, "generation=", 1);
	before->upgrade_asked = value_of(words, "asked=", 0);
	before->failed_for = value_of(words, "failed=", 0);
	before->copier = value_of(words, "copier=", 0);
	before->copied_s = value_of(words, "copied=", 0);
	before->finish_ms = value_of(words, "finish=", before->finish_ms);
	before->lock = store_lock(world.store, &error);
	if (workers != NULL)
		read_workers(before, workers + strlen("workers="));
	if (before->kind == HANDOVER_TRIAL) {
		if (__real_pipe2(world.report, O_CLOEXEC | O_NONBLOCK) != 0)
			abort();
		before->report = world.report[1];
	} else {
		if (__real_pipe2(pipe, O_CLOEXEC | O_NONBLOCK) != 0)
			abort();
		before->words_in = pipe[0];
		before->words_out = pipe[1];
		before->program = __real_open("/dev/null", O_CLOEXEC, 0);
		reload_map(&before->reload_file);
		reload_map(&before->upgrade_file);
	}
	before->sets = first->sets;
	before->set_count = first->set_count;
	first->sets = NULL;
	first->set_count = 0;
	generation_free(first, NULL);
}

/* Lines "with" and "after", and what fails or is in the file from the start; true for "after". */
static bool begin(void)
{
	char options[LINE_MAX_SIZE] = "", line[LINE_MAX_SIZE] = "";
	const char *here = world.rest;
	bool after = false;

	for (; take_line(line, sizeof(line)); here = world.rest) {
		if (strncmp(line, "0 > f", 5) == 0) { /* fails, file, forks */
			note("%s", line + 2);
			happen(line + 4);
			continue;
		}
		if (strncmp(line, "with ", 5) == 0) {
			strcat(strcat(options, line + 5), ";");
			write_file(world.file, options);
		} else if (strncmp(line, "after ", 6) == 0) {
			make_before(line);
			after = true;
		} else {
			break;
		}
		fprintf(world.to, "%s\n", line);
	}
	world.rest = here;
	return after;
}

static void replace(char **text, const char *what, const char *by)
{
	char *at, *more;

	while ((at = strstr(*text, what)) != NULL) {
		*at = '\0';
		if (asprintf(&more, "%s%s%s", *text, by, at + strlen(what)) < 0)
			abort();
		free(*text);
		*text = more;
	}
}

/* This file may have been compiled when the working copy had another commit: the release is the same. */
static void replace_version(char **text)
{
	static const char compiled[] = CACHE204_VERSION;
	char *at, *version;

	while ((at = memmem(*text, strlen(*text), compiled, strcspn(compiled, "+"))) != NULL) {
		version = strndup(at, strcspn(at, " ,\n"));
		replace(text, version, "VERSION");
		free(version);
	}
}

static void run(void)
{
	static char *settings[] = {NULL, "listen=127.0.0.1:0", "admin="};
	static char store[128];

	snprintf(store, sizeof(store), "store=%s", world.store);
	settings[0] = store;
	world.source = (struct generation_source){world.file, settings, 3};
	if (begin())
		note("returns %d", takeover_run(&world.before, &world.source));
	else
		run_first();
}

static void play_all(void)
{
	char line[LINE_MAX_SIZE];

	if (setjmp(world.end) == 0)
		run();
	note_report();
	/* what would have happened later stays in the transcript */
	while (take_line(line, sizeof(line)))
		if (strstr(line, " > ") != NULL)
			fprintf(world.to, "%s\n", line);
	fclose(world.to);
}

/* Of a process of its own: it leaves no signal, descriptor or memory to the next, however it ends. */
static _Noreturn void play_here(int to, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(ALARM_S); /* not blocked by masters */
	if (getppid() != parent || (world.to = fdopen(to, "w")) == NULL)
		abort();
	setvbuf(world.to, NULL, _IOLBF, 0);
	world.told = world.last_pipe = world.report[0] = world.report[1] = -1;
	write_file(world.program, "one");
	if (mkdir(world.store, 0700) != 0)
		abort();
	play_all();
	fail_memory_never();
	__real_exit(EXIT_SUCCESS);
}

/* All that it writes, and how it ended when that was not well. */
static char *take_transcript(int from, pid_t pid)
{
	char *text = NULL, chunk[PIPE_BUF];
	size_t size;
	FILE *to = open_memstream(&text, &size);
	ssize_t n;
	int status;

	while ((n = read(from, chunk, sizeof(chunk))) > 0)
		fwrite(chunk, 1, (size_t)n, to);
	close(from);
	if (__real_waitpid(pid, &status, 0) != pid)
		abort();
	if (WIFSIGNALED(status))
		fprintf(to, "stuck: died of signal %d\n", WTERMSIG(status));
	else if (WEXITSTATUS(status) != EXIT_SUCCESS)
		fprintf(to, "stuck: ended with %d\n", WEXITSTATUS(status));
	fclose(to);
	return text;
}

char *master_world_play(struct slice play)
{
	char *words = strndup(play.p, play.n), *text;
	pid_t parent = getpid(), pid;
	int fds[2];

	memset(&world, 0, sizeof(world));
	world.rest = words;
	directory_make(world.directory, sizeof(world.directory));
	snprintf(world.file, sizeof(world.file), "%s/conf", world.directory);
	snprintf(world.store, sizeof(world.store), "%s/store", world.directory);
	snprintf(world.program, sizeof(world.program), "%s/program", world.directory);
	if (__real_pipe2(fds, O_CLOEXEC) != 0)
		abort();
	fflush(NULL);
	pid = __real_fork();
	if (pid == 0)
		play_here(fds[1], parent);
	close(fds[1]);
	text = take_transcript(fds[0], pid);
	replace(&text, world.directory, "DIR");
	replace_version(&text);
	directory_remove(world.directory);
	free(words);
	return text;
}
