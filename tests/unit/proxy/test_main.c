/* LINKS: proxy/cli -Wl,@tests/unit/proxy/test_main.wraps */
/*
 * A start, step by step: in which order its steps are, what is said and freed when one fails, what -t looks
 * at, and what is done about signals and limits.  Each step is a double, which notes its name and may fail.
 */
int proxy_main(int argc, char **argv);

#define main proxy_main
#include "proxy/main.c"
#undef main

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/wait.h>

#include "tests/support/captured.h"

enum { STATUS_OF_RUN = 7, STATUS_OF_TAKEOVER = 9 };

/* ---- steps ---------------------------------------------------------------------------------- */

static struct {
	char done[256];
	const char *failing; /* NULL for none */
	bool silent;         /* what fails is no error: there is nothing */
	char said[256];      /* to the log */
	uid_t user;
	pid_t pid;
	struct rlimit limit, set;
	bool is_set;
	mode_t mask;       /* while it runs */
	struct conf *conf; /* of the generation */
} start;

static char memory[16]; /* what steps give out; nothing looks inside */

static bool step(const char *name)
{
	size_t n = strlen(start.done);

	assert_true(n + strlen(name) + 2 < sizeof(start.done));
	snprintf(start.done + n, sizeof(start.done) - n, n == 0 ? "%s" : " %s", name);
	return start.failing == NULL || strcmp(start.failing, name) != 0;
}

static bool step_says(const char *name, struct diagnostic *error)
{
	bool good = step(name);

	if (!good)
		diagnostic_set(error, "%s: failed", name);
	return good;
}

#define STEP(type, name, parameters, result) \
	type __wrap_##name parameters;       \
	type __wrap_##name parameters        \
	{                                    \
		return result;               \
	}
#define NOTE(name, parameters, text)   \
	void __wrap_##name parameters; \
	void __wrap_##name parameters  \
	{                              \
		step(text);            \
	}
#define UNUSED __attribute__((unused))

STEP(char *, store_dir_default, (bool root, struct diagnostic *error),
     step_says(root ? "place_of_root" : "place", error) ? strdup("/nowhere/store") : NULL)
STEP(bool, store_dir_give,
     (UNUSED const char *path, UNUSED const char *user, struct diagnostic *error),
     step_says("give", error))
STEP(bool, store_dir_check,
     (UNUSED const char *path, UNUSED const char *user, struct diagnostic *error),
     step_says("store", error))
STEP(bool, activation_init, (struct diagnostic * error), step_says("sockets", error))
STEP(bool, activation_all_taken, (struct diagnostic * error), step_says("taken", error))
STEP(bool, privileges_drop, (UNUSED const char *user, struct diagnostic *error),
     step_says("user", error))
STEP(bool, store_hold_take,
     (UNUSED struct store_hold * hold, UNUSED const char *path, struct diagnostic *error),
     step_says("hold", error))
STEP(bool, master_begin, (UNUSED struct master * master, struct diagnostic *error),
     step_says("begin", error))
STEP(bool, generation_check_files, (UNUSED const struct conf *conf, UNUSED FILE *errors),
     step("files"))
STEP(struct credentials *, password_file_load, (UNUSED const char *path, struct diagnostic *error),
     step_says("password_file", error) ? (void *)memory : NULL)
STEP(struct tls_server *, tls_files_load,
     (UNUSED const struct conf *conf, struct diagnostic *error),
     step_says("tls_certificate", error) ? (void *)memory : NULL)
STEP(bool, admin_token_read,
     (UNUSED const char *path, UNUSED struct admin_token *token, struct diagnostic *error),
     step_says("token", error))
STEP(char *, instance_name, (UNUSED const struct conf *conf), step("name") ? strdup("name") : NULL)
STEP(struct master *, master_new,
     (UNUSED struct generation * first, UNUSED const struct generation_source *source,
      UNUSED struct worker_shared *shared, UNUSED struct handover *before),
     step("master") ? (void *)memory : NULL)
STEP(int, takeover_run,
     (UNUSED struct handover * before, UNUSED const struct generation_source *source),
     step("takeover") ? STATUS_OF_TAKEOVER : 0)
STEP(uid_t, geteuid, (void), start.user)
STEP(pid_t, getpid, (void), start.pid)
NOTE(admin_token_forget, (UNUSED struct admin_token * token), "forget")
NOTE(terminal_note, (void), "terminal")
NOTE(notify_init, (void), "notify")
NOTE(greeting_warn, (UNUSED const struct generation *first), "warn")
NOTE(generation_set_log_level, (UNUSED const struct conf *conf), "level")

/* Options belong to the generation from then on, which ends with its master. */
struct generation *__wrap_generation_first(struct conf *conf, struct diagnostic *error);

struct generation *__wrap_generation_first(struct conf *conf, struct diagnostic *error)
{
	bool good = step_says("generation", error);

	start.conf = good ? conf : NULL;
	return good ? (void *)memory : NULL;
}

void __real_conf_free(struct conf *conf);
void __wrap_master_free(struct master *master);

void __wrap_master_free(struct master *master)
{
	assert_ptr_equal(master, memory);
	step("free");
	__real_conf_free(start.conf);
}

struct worker_shared *__wrap_worker_shared_map(const struct conf *conf,
					       const struct handover *before);

struct worker_shared *__wrap_worker_shared_map(const struct conf *conf,
					       const struct handover *before)
{
	static struct worker_shared shared;

	assert_null(before);
	assert_int_equal(conf->workers, 2);
	errno = ENOMEM;
	return step("map") ? &shared : NULL;
}

bool __wrap_handover_take(struct handover *ret_handover, struct diagnostic *error);

bool __wrap_handover_take(struct handover *ret_handover, struct diagnostic *error)
{
	(void)ret_handover;
	error->text[0] = '\0';
	if (start.failing == NULL || strcmp(start.failing, "handover") != 0)
		return false;
	if (start.silent)
		return true;
	diagnostic_set(error, "handover: failed");
	return false;
}

void __wrap_generation_free(struct generation *generation, const struct listener *kept);

void __wrap_generation_free(struct generation *generation, const struct listener *kept)
{
	assert_null(kept);
	if (generation == NULL)
		return;
	step("free_generation");
	__real_conf_free(start.conf);
}

void __wrap_credentials_free(struct credentials *credentials);

void __wrap_credentials_free(struct credentials *credentials)
{
	if (credentials != NULL)
		step("free_credentials");
}

void __wrap_tls_server_free(struct tls_server *server);

void __wrap_tls_server_free(struct tls_server *server)
{
	if (server != NULL)
		step("free_tls");
}

void __wrap_conf_free(struct conf *conf);

void __wrap_conf_free(struct conf *conf)
{
	step("free_conf");
	__real_conf_free(conf);
}

void __wrap_privileges_harden(bool debugging);

void __wrap_privileges_harden(bool debugging)
{
	step(debugging ? "harden_not" : "harden");
}

int __wrap_master_run(struct master *master,
		      void (*ready)(const struct conf *conf, const struct listener *first));

int __wrap_master_run(struct master *master,
		      void (*ready)(const struct conf *conf, const struct listener *first))
{
	assert_ptr_equal(master, memory);
	assert_ptr_equal(ready, greeting_print);
	start.mask = umask(077);
	step("run");
	return STATUS_OF_RUN;
}

void __wrap_log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

void __wrap_log_error(const char *format, ...)
{
	size_t n = strlen(start.said);
	va_list parts;

	va_start(parts, format);
	vsnprintf(start.said + n, sizeof(start.said) - n, format, parts);
	va_end(parts);
}

int __wrap_getrlimit(int which, struct rlimit *limit);

int __wrap_getrlimit(int which, struct rlimit *limit)
{
	assert_int_equal(which, RLIMIT_NOFILE);
	*limit = start.limit;
	return start.failing != NULL && strcmp(start.failing, "limit") == 0 ? -1 : 0;
}

int __wrap_setrlimit(int which, const struct rlimit *limit);

int __wrap_setrlimit(int which, const struct rlimit *limit)
{
	assert_int_equal(which, RLIMIT_NOFILE);
	start.set = *limit;
	start.is_set = true;
	return 0;
}

/* ---- starts --------------------------------------------------------------------------------- */

static int setup(void **state)
{
	(void)state;
	memset(&start, 0, sizeof(start));
	start.user = 1000;
	start.pid = 1234;
	start.limit = (struct rlimit){.rlim_cur = 10, .rlim_max = 20};
	return 0;
}

/* The program with such arguments, of which the last is NULL. */
static int run_program(char *const *arguments)
{
	enum { ARGUMENTS_MAX = 10 };
	char *argv[ARGUMENTS_MAX] = {"cache204"};
	mode_t mask = umask(022);
	int argc = 1, status;

	start.done[0] = start.said[0] = '\0';
	for (; *arguments != NULL; arguments++) {
		argv[argc++] = *arguments;
		assert_true(argc < ARGUMENTS_MAX);
	}
	status = proxy_main(argc, argv);
	umask(mask);
	return status;
}

#define RUN(...) run_program((char *const[]){__VA_ARGS__, NULL})
#define START(...) RUN("-o", "workers=2", __VA_ARGS__)

static void expect(int status, int expected, const char *done, const char *said)
{
	assert_string_equal(start.done, done);
	assert_string_equal(start.said, said);
	assert_int_equal(status, expected);
}

static void each_step_of_a_start(void **state)
{
	(void)state;
	expect(START(NULL), STATUS_OF_RUN,
	       "terminal notify level map place sockets generation taken user hold name warn "
	       "harden master "
	       "begin "
	       "run free",
	       "");
	expect(START("-o", "log_level=debug"), STATUS_OF_RUN,
	       "terminal notify level map place sockets generation taken user hold name warn "
	       "harden_not "
	       "master "
	       "begin run free",
	       "");
}

static void a_step_that_fails_ends_the_start(void **state)
{
	static const struct {
		const char *step, *done, *said;
	} rows[] = {
		{"map", "map free_conf", "cannot map memory for 2 workers: Cannot allocate memory"},
		{"sockets", "map place sockets free_conf", "sockets: failed"},
		{"generation", "map place sockets generation free_conf", "generation: failed"},
		{"taken", "map place sockets generation taken free_generation", "taken: failed"},
		{"user", "map place sockets generation taken user free_generation", "user: failed"},
		{"hold", "map place sockets generation taken user hold free_generation",
		 "hold: failed"},
		{"name", "map place sockets generation taken user hold name free_generation",
		 "out of memory"},
		{"master",
		 "map place sockets generation taken user hold name warn harden master "
		 "free_generation",
		 "out of memory"},
		{"begin",
		 "map place sockets generation taken user hold name warn harden master begin free",
		 "begin: failed"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char done[256];

		start.failing = rows[i].step;
		snprintf(done, sizeof(done), "terminal notify level %s", rows[i].done);
		expect(START(NULL), EXIT_FAILURE, done, rows[i].said);
	}
}

/* Made for the user while we are root; where nothing says where it is, the directory is known first. */
static void root_gives_the_store_to_its_user(void **state)
{
	(void)state;
	start.user = 0;
	start.failing = "give";
	expect(START("-o", "user=daemon"), EXIT_FAILURE,
	       "terminal notify level map place_of_root give free_conf", "give: failed");
	expect(START("-o", "user="), STATUS_OF_RUN,
	       "terminal notify level map place_of_root sockets generation taken user hold name "
	       "warn harden "
	       "master "
	       "begin "
	       "run free",
	       "");
	start.user = 1000;
	expect(START("-o", "user=daemon"), STATUS_OF_RUN,
	       "terminal notify level map place sockets generation taken user hold name warn "
	       "harden master "
	       "begin "
	       "run free",
	       "");
	start.failing = "place";
	expect(START(NULL), EXIT_FAILURE, "terminal notify level map place free_conf",
	       "place: failed");
	expect(START("-o", "store=/elsewhere"), STATUS_OF_RUN,
	       "terminal notify level map sockets generation taken user hold name warn harden "
	       "master begin "
	       "run free",
	       "");
}

static void in_the_place_of_another_program(void **state)
{
	(void)state;
	start.failing = "handover";
	expect(START(NULL), EXIT_FAILURE, "", "handover: failed");
	start.silent = true;
	expect(START(NULL), STATUS_OF_TAKEOVER, "notify takeover", "");
	assert_true(start.is_set);
}

/* ---- what does not start it ----------------------------------------------------------------- */

/* What standard output and standard error have, until the next. */
static const char *out, *err;

static int captured_run(char *const *arguments)
{
	static struct captured captured;
	int status;

	if (out != NULL)
		captured_free(&captured);
	captured_begin(&captured, false);
	status = run_program(arguments);
	fflush(NULL);
	captured_end(&captured);
	out = captured.out;
	err = captured.err;
	return status;
}

#define CAPTURED(...) captured_run((char *const[]){"-o", "workers=2", __VA_ARGS__, NULL})
#define COMMAND(...) captured_run((char *const[]){__VA_ARGS__, NULL})

static void what_is_wrong_with_options_is_said(void **state)
{
	(void)state;
	expect(CAPTURED("-o", "nothing=1"), EXIT_USAGE, "", "");
	assert_true(strstr(err, "nothing") != NULL);
	expect(CAPTURED("--nothing"), EXIT_USAGE, "", "");
	expect(COMMAND("--version"), EXIT_SUCCESS, "", "");
	assert_true(strstr(out, "cache204 ") != NULL);
}

static void a_command_is_run_in_its_place(void **state)
{
	(void)state;
	expect(COMMAND("completion", "bash"), EXIT_SUCCESS, "", "");
	assert_true(strstr(out, "cache204") != NULL);
	expect(COMMAND("get"), EXIT_USAGE, "", "");
}

static void options_may_be_shown(void **state)
{
	(void)state;
	expect(CAPTURED("-T"), EXIT_SUCCESS, "free_conf", "");
	assert_true(strstr(out, "workers = 2") != NULL);
	assert_string_equal(err, "");
}

static void a_check_looks_at_what_a_start_would_refuse(void **state)
{
	static const struct {
		const char *failing, *said;
	} rows[] = {
		{NULL, "cache204: configuration ok\n"},
		{"password_file", "-o password_file: failed\n"},
		{"token", "cache204: token: failed\n"},
		{"store", "cache204: store: failed\n"},
		{"user", "cache204: user: failed\n"},
		{"files", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		start.failing = rows[i].failing;
		assert_int_equal(CAPTURED("-t", "-o", "password_file=/nowhere"),
				 i == 0 ? EXIT_SUCCESS : EXIT_USAGE);
		assert_string_equal(err, rows[i].said);
		assert_string_equal(
			start.done,
			i == 1 ? "password_file token forget place store user files free_conf"
			       : "password_file free_credentials token forget place store "
				 "user files free_conf");
	}
}

static void a_check_of_a_certificate_and_of_the_stores_place(void **state)
{
	(void)state;
	expect(CAPTURED("-t", "-o", "tls_certificate=/nowhere", "-o", "tls_key=/nowhere"),
	       EXIT_SUCCESS,
	       "token forget tls_certificate free_tls place store user files free_conf", "");
	start.failing = "tls_certificate";
	expect(CAPTURED("-t", "-o", "tls_certificate=/nowhere", "-o", "tls_key=/nowhere"),
	       EXIT_USAGE, "token forget tls_certificate place store user files free_conf", "");
	assert_string_equal(err, "-o tls_certificate: failed\n");
	start.failing = NULL;
	start.failing = "place";
	expect(CAPTURED("-t"), EXIT_USAGE, "token forget place user files free_conf", "");
	start.user = 0;
	expect(CAPTURED("-t"), EXIT_SUCCESS,
	       "token forget place_of_root store user files free_conf", "");
	expect(CAPTURED("-t", "-o", "store=/elsewhere"), EXIT_SUCCESS,
	       "token forget store user files free_conf", "");
}

/* ---- the process ---------------------------------------------------------------------------- */

static void as_many_descriptors_as_there_may_be(void **state)
{
	(void)state;
	START(NULL);
	assert_true(start.is_set);
	assert_int_equal(start.set.rlim_cur, 20);
	assert_int_equal(start.set.rlim_max, 20);
	start.is_set = false;
	start.failing = "limit";
	START(NULL);
	assert_false(start.is_set);
	start.failing = NULL;
	start.limit.rlim_cur = 20;
	START(NULL);
	assert_false(start.is_set);
}

static void (*handler_of(int number))(int)
{
	struct sigaction action;

	assert_int_equal(sigaction(number, NULL, &action), 0);
	return action.sa_handler;
}

static void signals_that_mean_nothing_are_ignored(void **state)
{
	static const int ignored[] = {SIGPIPE, SIGXFSZ, SIGUSR1, SIGUSR2,   SIGALRM, SIGVTALRM,
				      SIGPROF, SIGPOLL, SIGPWR,  SIGSTKFLT, SIGXCPU, SIGHUP};

	(void)state;
	for (int number = 1; number <= SIGRTMAX; number++)
		signal(number, SIG_DFL);
	START(NULL);
	for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++) {
		assert_ptr_equal(handler_of(ignored[i]), SIG_IGN);
		signal(ignored[i], SIG_DFL);
	}
	for (int number = SIGRTMIN; number <= SIGRTMAX; number++) {
		assert_ptr_equal(handler_of(number), SIG_IGN);
		signal(number, SIG_DFL);
	}
	assert_ptr_equal(handler_of(SIGTERM), SIG_DFL);
	assert_ptr_equal(handler_of(SIGCHLD), SIG_DFL);
}

static void files_are_for_its_user_alone(void **state)
{
	(void)state;
	START(NULL);
	assert_int_equal(start.mask, 077);
}

/* The first process of a container ends by these, which it would not without handlers. */
static void the_first_process_can_be_ended(void **state)
{
	static const int ends[] = {SIGTERM, SIGINT, SIGQUIT};

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		int status;

		if (fork() == 0) {
			start.pid = 1;
			start.failing = "map";
			START(NULL);
			raise(ends[i]);
			_exit(99);
		}
		assert_true(wait(&status) > 0);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), EXIT_SUCCESS);
	}
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		assert_ptr_equal(handler_of(ends[i]), SIG_DFL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		TEST(each_step_of_a_start),
		TEST(a_step_that_fails_ends_the_start),
		TEST(root_gives_the_store_to_its_user),
		TEST(in_the_place_of_another_program),
		TEST(what_is_wrong_with_options_is_said),
		TEST(a_command_is_run_in_its_place),
		TEST(options_may_be_shown),
		TEST(a_check_looks_at_what_a_start_would_refuse),
		TEST(a_check_of_a_certificate_and_of_the_stores_place),
		TEST(as_many_descriptors_as_there_may_be),
		TEST(signals_that_mean_nothing_are_ignored),
		TEST(files_are_for_its_user_alone),
		TEST(the_first_process_can_be_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
