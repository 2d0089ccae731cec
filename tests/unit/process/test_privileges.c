/* LINKS: proxy/process -Wl,--wrap=getpwnam,--wrap=getresuid,--wrap=initgroups,--wrap=setresgid,--wrap=setresuid,--wrap=setuid,--wrap=geteuid,--wrap=prctl,--wrap=setrlimit */
/* Which calls make another user of this process, in which order, and what is said when one fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proxy/process/privileges.h"

/* The first that fails, by its name; what setuid(0) may do; who this process is. */
static const char *fails;
static bool goes_back;
static uid_t real, effective, saved;
static char calls[512];
static struct diagnostic error;

static struct passwd *find(const char *name)
{
	static struct passwd someone = {.pw_name = "someone", .pw_uid = 33, .pw_gid = 44},
			     root = {.pw_name = "root"};

	return strcmp(name, "someone") == 0 ? &someone : strcmp(name, "root") == 0 ? &root : NULL;
}

static int called(const char *name, long first, long second, long third)
{
	size_t n = strlen(calls);

	snprintf(calls + n, sizeof(calls) - n, "%s %ld %ld %ld\n", name, first, second, third);
	errno = EPERM;
	return fails != NULL && strcmp(fails, name) == 0 ? -1 : 0;
}

struct passwd *__wrap_getpwnam(const char *name);
int __wrap_getresuid(uid_t *ret_real, uid_t *ret_effective, uid_t *ret_saved);
int __wrap_initgroups(const char *user, gid_t group);
int __wrap_setresgid(gid_t r, gid_t e, gid_t s);
int __wrap_setresuid(uid_t r, uid_t e, uid_t s);
int __wrap_setuid(uid_t user);
uid_t __wrap_geteuid(void);
int __wrap_prctl(int option, unsigned long one, unsigned long two, unsigned long three,
		 unsigned long four);
int __wrap_setrlimit(int resource, const struct rlimit *limit);

struct passwd *__wrap_getpwnam(const char *name)
{
	return find(name);
}

int __wrap_getresuid(uid_t *ret_real, uid_t *ret_effective, uid_t *ret_saved)
{
	*ret_real = real;
	*ret_effective = effective;
	*ret_saved = saved;
	return fails != NULL && strcmp(fails, "getresuid") == 0 ? -1 : 0;
}

int __wrap_initgroups(const char *user, gid_t group)
{
	assert_non_null(find(user));
	return called("initgroups", group, 0, 0);
}

int __wrap_setresgid(gid_t r, gid_t e, gid_t s)
{
	return called("setresgid", r, e, s);
}

int __wrap_setresuid(uid_t r, uid_t e, uid_t s)
{
	return called("setresuid", r, e, s);
}

int __wrap_setuid(uid_t user)
{
	called("setuid", user, 0, 0);
	return goes_back ? 0 : -1;
}

uid_t __wrap_geteuid(void)
{
	return effective;
}

int __wrap_prctl(int option, unsigned long one, unsigned long two, unsigned long three,
		 unsigned long four)
{
	assert_int_equal(two + three + four, 0);
	return called(option == PR_SET_NO_NEW_PRIVS ? "no new privileges"
		      : option == PR_SET_DUMPABLE   ? "dumpable"
						    : "another",
		      (long)one, 0, 0);
}

int __wrap_setrlimit(int resource, const struct rlimit *limit)
{
	assert_int_equal(resource, RLIMIT_CORE);
	return called("core", (long)limit->rlim_cur, (long)limit->rlim_max, 0);
}

static void be(uid_t a, uid_t b, uid_t c)
{
	real = a;
	effective = b;
	saved = c;
	fails = NULL;
	goes_back = false;
	calls[0] = '\0';
	diagnostic_set(&error, "%s", "");
}

#define BECOMES                \
	"initgroups 44 0 0\n"  \
	"setresgid 44 44 44\n" \
	"setresuid 33 33 33\n" \
	"setuid 0 0 0\n"

static void root_becomes_the_user_for_good(void **state)
{
	(void)state;
	be(0, 0, 0);
	assert_true(privileges_drop("someone", &error));
	assert_string_equal(calls, BECOMES);
	be(0, 0, 0);
	goes_back = true;
	assert_false(privileges_drop("someone", &error));
	assert_string_equal(error.text, "user: cannot become someone for good");
	assert_string_equal(calls, BECOMES);
	be(0, 0, 0); /* nothing to go back from */
	goes_back = true;
	assert_true(privileges_drop("root", &error));
	assert_string_equal(calls, "initgroups 0 0 0\nsetresgid 0 0 0\nsetresuid 0 0 0\n");
}

static void nothing_is_called_without_need(void **state)
{
	(void)state;
	be(0, 0, 0);
	assert_true(privileges_drop("", &error));
	assert_string_equal(calls, "");
	assert_false(privileges_drop("nemo", &error));
	assert_string_equal(error.text, "user: nemo: no such user on this system");
	assert_string_equal(calls, "");
	be(33, 33, 33);
	assert_true(privileges_drop("someone", &error));
	assert_string_equal(calls, "");
}

/* One of the three numbers is another's, or they are not known: that is not yet the user. */
static void who_could_go_back_is_not_the_user_yet(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		be(i == 0 ? 0 : 33, i == 1 ? 0 : 33, i == 2 ? 0 : 33);
		fails = i == 3 ? "getresuid" : NULL;
		assert_true(privileges_drop("someone", &error));
		assert_string_equal(calls, BECOMES);
	}
}

static void each_call_may_fail(void **state)
{
	static const struct {
		const char *name, *calls;
	} rows[] = {
		{"initgroups", "initgroups 44 0 0\n"},
		{"setresgid", "initgroups 44 0 0\nsetresgid 44 44 44\n"},
		{"setresuid", "initgroups 44 0 0\nsetresgid 44 44 44\nsetresuid 33 33 33\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		be(0, 0, 0);
		fails = rows[i].name;
		assert_false(privileges_drop("someone", &error));
		assert_string_equal(error.text,
				    "user: cannot become someone: Operation not permitted");
		assert_string_equal(calls, rows[i].calls);
		be(1000, 1000, 1000);
		fails = rows[i].name;
		assert_false(privileges_drop("someone", &error));
		assert_string_equal(error.text,
				    "user: cannot become someone: Operation not permitted; start "
				    "as root, or without the option");
	}
}

static void a_name_has_its_numbers(void **state)
{
	uid_t user = 7;
	gid_t group = 8;

	(void)state;
	assert_false(privileges_find("", &user, &group));
	assert_false(privileges_find("nemo", &user, &group));
	assert_int_equal(user, 7);
	assert_int_equal(group, 8);
	assert_true(privileges_find("someone", &user, &group));
	assert_int_equal(user, 33);
	assert_int_equal(group, 44);
}

static void nobody_looks_inside_unless_debugging(void **state)
{
	(void)state;
	be(33, 33, 33);
	privileges_harden(false);
	assert_string_equal(calls, "no new privileges 1 0 0\ndumpable 0 0 0\ncore 0 0 0\n");
	be(33, 33, 33);
	privileges_harden(true);
	assert_string_equal(calls, "no new privileges 1 0 0\ndumpable 1 0 0\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_becomes_the_user_for_good),
		cmocka_unit_test(nothing_is_called_without_need),
		cmocka_unit_test(who_could_go_back_is_not_the_user_yet),
		cmocka_unit_test(each_call_may_fail),
		cmocka_unit_test(a_name_has_its_numbers),
		cmocka_unit_test(nobody_looks_inside_unless_debugging),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
