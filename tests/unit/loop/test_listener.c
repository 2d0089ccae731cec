/* LINKS: proxy/loop tests/doubles/failing_calls.c -Wl,@tests/doubles/failing_calls.wraps */
/* Sets of listening sockets: what is bound, shared, kept and closed, and what is said when a call of the system fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/loop/listener.h"
#include "tests/doubles/failing_calls.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- sets ----------------------------------------------------------------------------------- */

static char directory[] = "/tmp/cache204-unit-XXXXXX";
static char path[64], unix_text[80];
static struct diagnostic error;

static bool bind_one(struct listener *set, const char *text, const char *option)
{
	char *at[] = {(char *)(uintptr_t)text};
	struct conf_list list = {at, 1};

	error.text[0] = '\0';
	return listener_bind(set, &list, option, NULL, &error);
}

static struct listener set_after(const struct listener *former)
{
	return (struct listener){.former = former, .owner = {0600, (uid_t)-1, (gid_t)-1}};
}

static struct listener set_of(const char *text, const struct listener *former)
{
	struct listener set = set_after(former);

	if (!bind_one(&set, text, "listen"))
		fail_msg("%s", error.text);
	return set;
}

static ino_t socket_of(const struct listener *set, unsigned index)
{
	struct stat status;

	assert_true(index < set->count);
	assert_int_equal(fstat(set->at[index].fd, &status), 0);
	return status.st_ino;
}

static const char *name_at(const struct listener *set, unsigned index)
{
	static char text[LISTENER_NAME_SIZE];

	assert_true(index < set->count);
	listener_name(&set->at[index], text);
	return text;
}

static int option(const struct listener *set, unsigned index, int level, int name)
{
	int value = -1;
	socklen_t size = sizeof(value);

	assert_true(index < set->count);
	assert_int_equal(getsockopt(set->at[index].fd, level, name, &value, &size), 0);
	return value;
}

static int descriptors(void)
{
	int fd = dup(STDIN_FILENO);

	close(fd);
	return fd; /* the lowest that is free */
}

/* ---- binding -------------------------------------------------------------------------------- */

static void an_address_of_each_kind(void **state)
{
	struct listener set = set_after(NULL);

	(void)state;
	assert_true(bind_one(&set, "127.0.0.1:0", "listen"));
	assert_true(bind_one(&set, "[::1]:0", "listen"));
	assert_true(bind_one(&set, "tls:127.0.0.1:0", "listen"));
	assert_true(bind_one(&set, unix_text, "admin"));
	assert_int_equal(set.count, 4);
	assert_true(address_port(&set.at[0].address) > 0 && address_port(&set.at[0].asked) == 0);
	assert_int_equal(strncmp(name_at(&set, 0), "127.0.0.1:", 10), 0);
	assert_int_equal(strncmp(name_at(&set, 1), "[::1]:", 6), 0);
	assert_string_equal(name_at(&set, 3), unix_text);
	assert_true(set.at[2].is_tls && !set.at[0].is_tls && !set.at[3].is_tls);
	assert_string_equal(set.at[3].option, "admin");
	assert_int_equal(set.at[3].address.any.sa_family, AF_UNIX);
	assert_int_equal(set.at[3].asked.any.sa_family, AF_UNIX);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(option(&set, i, IPPROTO_TCP, TCP_NODELAY), 1);
		assert_int_equal(option(&set, i, SOL_SOCKET, SO_REUSEADDR), 1);
		assert_int_equal(option(&set, i, SOL_SOCKET, SO_REUSEPORT), 1);
	}
	for (unsigned i = 0; i < 4; i++) {
		assert_true(fcntl(set.at[i].fd, F_GETFL) & O_NONBLOCK);
		assert_true(fcntl(set.at[i].fd, F_GETFD) & FD_CLOEXEC);
	}
	assert_int_equal(option(&set, 1, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	assert_true(listener_listen(&set, &error));
	listener_remove_files(&set, NULL);
	assert_int_not_equal(access(path, F_OK), 0);
	listener_close(&set);
	assert_null(set.at);
}

static void what_cannot_be_bound_says_why(void **state)
{
	static const struct {
		const char *call;
		unsigned skip;
		int error;
		const char *text, *why;
	} cases[] = {
		{"bind", 0, EADDRINUSE, "127.0.0.1:0",
		 "Address already in use: another process has it, ss -ltnp shows which"},
		{"bind", 1, EADDRINUSE, "127.0.0.1:0", /* of the group, when the address was free */
		 "Address already in use: another process has it, ss -ltnp shows which"},
		{"bind", 0, EADDRNOTAVAIL, "127.0.0.1:0",
		 "Cannot assign requested address: no interface of this machine has that address; "
		 "one "
		 "without IPv4 has [::1]"},
		{"socket", 0, EAFNOSUPPORT, "[::1]:0",
		 "Address family not supported by protocol: this machine has IPv4 or IPv6 alone, "
		 "as in "
		 "127.0.0.1 or [::1]"},
		{"bind", 0, EACCES, "127.0.0.1:0",
		 "Permission denied: ports below 1024 need CAP_NET_BIND_SERVICE, or root and the "
		 "option "
		 "user"},
		{"socket", 1, EMFILE, "127.0.0.1:0", "Too many open files"},
		{"reallocarray", 0, ENOMEM, "127.0.0.1:0", "Cannot allocate memory"},
		{NULL, 0, 0, "127.0.0.1", "Invalid argument"},
		{NULL, 0, 0, "localhost:80", "Invalid argument"},
		{NULL, 0, 0, "[1.2]:80", "Invalid argument"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct listener set = set_after(NULL);
		char expected[256];
		int before = descriptors();

		fail_calls(cases[i].call, cases[i].skip, 1, cases[i].error);
		assert_false(bind_one(&set, cases[i].text, "listen"));
		assert_int_equal(fail_calls_never(), cases[i].call != NULL);
		snprintf(expected, sizeof(expected), "cannot listen on %s: %s", cases[i].text,
			 cases[i].why);
		assert_string_equal(error.text, expected);
		assert_int_equal(set.count, 0);
		listener_close(&set);
		assert_int_equal(descriptors(), before);
	}
}

static void a_unix_socket_that_cannot_be_made_says_why(void **state)
{
	static const struct {
		const char *call;
		int error;
		const char *why;
	} cases[] = {
		{"socket", EMFILE, "Too many open files"},
		{"bind", ENOSPC, "No space left on device"},
		{"listen", ENOBUFS, "No buffer space available"},
		{"reallocarray", ENOMEM, "Cannot allocate memory"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct listener set = set_after(NULL);
		char expected[256];

		fail_calls(cases[i].call, 0, 1, cases[i].error);
		assert_false(bind_one(&set, unix_text, "listen"));
		snprintf(expected, sizeof(expected), "cannot listen on %s: %s", unix_text,
			 cases[i].why);
		assert_string_equal(error.text, expected);
		assert_int_not_equal(access(path, F_OK), 0); /* nothing is left */
		listener_close(&set);
	}
}

static void as_many_as_there_is_room_for(void **state)
{
	struct listener set = set_after(NULL);

	(void)state;
	for (unsigned i = 0; i < LISTENERS_MAX; i++)
		assert_true(bind_one(&set, "127.0.0.1:0", "listen"));
	assert_false(bind_one(&set, "127.0.0.1:0", "listen"));
	assert_string_equal(error.text, "more than 64 listening addresses");
	assert_int_equal(set.count, LISTENERS_MAX);
	listener_close(&set);
}

/* ---- listening ------------------------------------------------------------------------------ */

static void what_cannot_listen_says_why(void **state)
{
	struct listener set = set_of("127.0.0.1:0", NULL);
	char expected[256];

	(void)state;
	fail_calls("listen", 0, 1, EADDRINUSE);
	assert_false(listener_listen(&set, &error));
	snprintf(expected, sizeof(expected),
		 "cannot listen on %s: Address already in use: another process has it, ss -ltnp "
		 "shows "
		 "which",
		 name_at(&set, 0));
	assert_string_equal(error.text, expected);
	assert_true(listener_listen(&set, &error));
	listener_close(&set);
}

/* Its mode has changed since the options were read, and cannot be set. */
static void a_file_whose_mode_cannot_be_set_says_why(void **state)
{
	struct listener set = set_of(unix_text, NULL);
	struct stat status;
	char expected[256];

	(void)state;
	set.at[0].mode = 0666;
	fail_calls("chmod", 0, 1, EPERM);
	assert_false(listener_listen(&set, &error));
	snprintf(expected, sizeof(expected), "cannot listen on %s: Operation not permitted",
		 unix_text);
	assert_string_equal(error.text, expected);
	assert_true(listener_listen(&set, &error));
	assert_int_equal(lstat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0666);
	listener_remove_files(&set, NULL);
	listener_close(&set);
}

/* Its file is not ours to look at, nor to remove. */
static void a_socket_that_was_passed_keeps_its_file(void **state)
{
	struct listener set = set_of(unix_text, NULL), next;
	struct stat status;

	(void)state;
	set.at[0].is_passed = true;
	set.at[0].mode = 0666;
	assert_true(listener_listen(&set, &error));
	assert_int_equal(lstat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	next = set_of(unix_text, &set);
	assert_true(next.at[0].is_passed);
	listener_remove_files(&next, NULL);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(unlink(path), 0);
	listener_close(&next);
	next = set_of(unix_text, &set); /* as long as we have it, another may not take its place */
	assert_int_equal(socket_of(&next, 0), socket_of(&set, 0));
	assert_int_not_equal(access(path, F_OK), 0);
	listener_close(&next);
	listener_close(&set);
}

/* ---- a set after another -------------------------------------------------------------------- */

/* What waits in a socket is not lost when its address goes on. */
static void sockets_of_the_same_address_are_shared(void **state)
{
	struct listener first = set_of("127.0.0.1:0", NULL), next;
	char text[LISTENER_NAME_SIZE];

	(void)state;
	snprintf(text, sizeof(text), "%s", name_at(&first, 0));
	first.at[0].asked = first.at[0].address; /* as if its port had been asked for */
	next = set_of(text, &first);
	assert_int_equal(socket_of(&next, 0), socket_of(&first, 0));
	assert_true(next.at[0].fd != first.at[0].fd);
	listener_close(&next);
	fail_calls("F_DUPFD_CLOEXEC", 0, 1, EMFILE);
	next = set_after(&first);
	assert_false(bind_one(&next, text, "listen"));
	assert_true(strstr(error.text, ": Too many open files") != NULL);
	listener_close(&next);
	listener_close(&first);
}

static void ports_that_were_chosen_stay_with_their_option(void **state)
{
	struct listener first = set_after(NULL), next = set_after(&first);

	(void)state;
	assert_true(bind_one(&first, "127.0.0.1:0", "listen"));
	assert_true(bind_one(&first, "tls:127.0.0.1:0", "listen"));
	assert_true(bind_one(&first, "127.0.0.1:0", "admin"));
	assert_true(bind_one(&next, "127.0.0.1:0", "admin"));
	assert_true(bind_one(&next, "tls:127.0.0.1:0", "listen"));
	assert_true(bind_one(&next, "127.0.0.1:0", "listen"));
	assert_true(bind_one(&next, "127.0.0.1:0", "listen")); /* one more than there were */
	assert_int_equal(socket_of(&next, 0), socket_of(&first, 2));
	assert_int_equal(socket_of(&next, 1), socket_of(&first, 1));
	assert_int_equal(socket_of(&next, 2), socket_of(&first, 0));
	for (unsigned i = 0; i < 3; i++)
		assert_true(socket_of(&next, 3) != socket_of(&first, i));
	listener_close(&next);
	listener_close(&first);
}

static void all_addresses_after_one_of_them(void **state)
{
	struct listener first = set_of("127.0.0.1:0", NULL), next, none;
	char text[32];

	(void)state;
	snprintf(text, sizeof(text), "0.0.0.0:%u", address_port(&first.at[0].address));
	assert_true(listener_listen(&first, &error)); /* which is in the way of all others */
	next = set_of(text, &first);
	assert_int_equal(next.count, 2);
	assert_string_equal(name_at(&next, 0), text);
	assert_int_equal(socket_of(&next, 1), socket_of(&first, 0));
	assert_int_equal(address_port(&next.at[1].asked), address_port(&first.at[0].address));
	listener_close(&next);
	first.at[0].asked = first.at[0].address;   /* as if its port had been asked for */
	next = set_of(name_at(&first, 0), &first); /* both, of which one is there already */
	assert_true(bind_one(&next, text, "listen"));
	assert_int_equal(next.count, 2);
	none = set_of(text, &next); /* and both again */
	assert_int_equal(none.count, 2);
	assert_int_equal(socket_of(&none, 0), socket_of(&next, 1));
	assert_int_equal(socket_of(&none, 1), socket_of(&first, 0));
	listener_close(&none);
	listener_close(&next);
	fail_calls("F_DUPFD_CLOEXEC", 0, 1, EMFILE);
	none = set_after(&first);
	assert_false(bind_one(&none, text, "listen"));
	assert_int_equal(none.count, 1);
	listener_close(&none);
	fail_calls("reallocarray", 1, 1, ENOMEM);
	none = set_after(&first);
	assert_false(bind_one(&none, text, "listen"));
	assert_int_equal(none.count, 1);
	listener_close(&none);
	listener_close(&first);
}

/* It serves what those of all addresses serve now. */
static void one_of_them_is_as_all_addresses_are(void **state)
{
	struct listener first = set_of("127.0.0.1:0", NULL), next = set_after(&first);
	const struct frontend *frontend = (const struct frontend *)&first; /* any */
	char text[32], *at[] = {text};
	struct conf_list list = {at, 1};

	(void)state;
	snprintf(text, sizeof(text), "tls:0.0.0.0:%u", address_port(&first.at[0].address));
	assert_true(listener_bind(&next, &list, "gateway", frontend, &error));
	assert_int_equal(next.count, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_string_equal(next.at[i].option, "gateway");
		assert_true(next.at[i].is_tls);
		assert_ptr_equal(next.at[i].frontend, frontend);
	}
	assert_int_equal(socket_of(&next, 1), socket_of(&first, 0));
	listener_close(&next);
	listener_close(&first);
}

/* However many it could join: the group is another's. */
static void what_another_service_has_is_not_joined(void **state)
{
	struct listener others = set_of("127.0.0.1:0", NULL);
	struct listener ours = set_of("127.0.0.1:0", NULL), next = set_after(&ours);
	char text[LISTENER_NAME_SIZE];

	(void)state;
	assert_true(listener_listen(&others, &error));
	snprintf(text, sizeof(text), "%s", name_at(&others, 0));
	assert_false(bind_one(&next, text, "listen"));
	assert_true(strstr(error.text, "another process has it") != NULL);
	snprintf(text, sizeof(text), "0.0.0.0:%u", address_port(&others.at[0].address));
	assert_false(bind_one(&next, text, "listen"));
	assert_true(strstr(error.text, "another process has it") != NULL);
	assert_int_equal(next.count, 0);
	listener_close(&next);
	listener_close(&ours);
	listener_close(&others);
}

static void a_unix_socket_whose_file_is_gone_is_made_anew(void **state)
{
	struct listener first = set_of(unix_text, NULL), next;

	(void)state;
	next = set_of(unix_text, &first);
	assert_int_equal(socket_of(&next, 0), socket_of(&first, 0));
	listener_close(&next);
	fail_calls("F_DUPFD_CLOEXEC", 0, 1, EMFILE);
	next = set_after(&first);
	assert_false(bind_one(&next, unix_text, "listen"));
	assert_true(strstr(error.text, ": Too many open files") != NULL);
	listener_close(&next);
	fail_calls("reallocarray", 0, 1, ENOMEM);
	next = set_after(&first);
	assert_false(bind_one(&next, unix_text, "listen"));
	assert_true(strstr(error.text, ": Cannot allocate memory") != NULL);
	assert_int_equal(access(path, F_OK), 0); /* which the first one has */
	listener_close(&next);
	assert_int_equal(unlink(path), 0);
	next = set_of(unix_text, &first);
	assert_true(socket_of(&next, 0) != socket_of(&first, 0));
	listener_remove_files(&first, &next); /* it is not of the first */
	assert_int_equal(access(path, F_OK), 0);
	listener_remove_files(&next, NULL);
	assert_int_not_equal(access(path, F_OK), 0);
	listener_close(&next);
	listener_close(&first);
}

/* ---- descriptors ---------------------------------------------------------------------------- */

/* As where standard input was closed: 0 is a descriptor as any other. */
static void the_first_descriptor_is_one(void **state)
{
	struct listener first = set_of("127.0.0.1:0", NULL), next, again, kept;
	int input = dup(STDIN_FILENO);
	char text[LISTENER_NAME_SIZE];

	(void)state;
	first.at[0].asked = first.at[0].address;
	snprintf(text, sizeof(text), "%s", name_at(&first, 0));
	close(STDIN_FILENO);
	next = set_of(text, &first);
	assert_int_equal(next.at[0].fd, 0);
	listener_close(&next);
	assert_true(listener_keep(&first, &first, &kept));
	assert_int_equal(kept.at[0].fd, 0);
	listener_close(&kept);
	assert_true(listener_again(&first, &first, &again, &error));
	assert_int_equal(again.at[0].fd, 0);
	assert_int_equal(socket_of(&again, 0), socket_of(&first, 0));
	listener_close(&again);
	assert_true(listener_again(&first, NULL, &again, &error));
	assert_int_equal(again.at[0].fd, 0);
	assert_true(socket_of(&again, 0) != socket_of(&first, 0));
	listener_close(&again);
	listener_close(&first);
	assert_int_equal(dup2(input, STDIN_FILENO), STDIN_FILENO);
	close(STDIN_FILENO);
	first = set_of("127.0.0.1:0", NULL);
	assert_true(first.at[0].fd > 0); /* 0 was of the one that looked whether it is free */
	assert_int_equal(fcntl(STDIN_FILENO, F_GETFD), -1);
	listener_close(&first);
	assert_int_equal(dup2(input, STDIN_FILENO), STDIN_FILENO);
	first = set_of(unix_text, NULL);
	close(STDIN_FILENO);
	next = set_of(unix_text, &first);
	assert_int_equal(next.count, 1);
	assert_int_equal(next.at[0].fd, 0);
	listener_close(&next);
	assert_int_equal(dup2(input, STDIN_FILENO), STDIN_FILENO);
	close(input);
	listener_remove_files(&first, NULL);
	listener_close(&first);
}

/* ---- a set for each worker ------------------------------------------------------------------ */

static void a_set_for_each_worker(void **state)
{
	struct listener first = set_after(NULL), again, third;

	(void)state;
	assert_true(bind_one(&first, "127.0.0.1:0", "listen"));
	assert_true(bind_one(&first, unix_text, "listen"));
	assert_true(listener_again(&first, NULL, &again, &error));
	assert_int_equal(again.count, 2);
	assert_true(socket_of(&again, 0) != socket_of(&first, 0)); /* another of the group */
	assert_true(listener_listen(&first, &error));
	assert_true(listener_listen(&again, &error));
	assert_int_equal(socket_of(&again, 1), socket_of(&first, 1));
	assert_true(listener_again(&first, &again, &third, &error));
	assert_int_equal(socket_of(&third, 0), socket_of(&again, 0));
	listener_close(&third);
	listener_close(&again);
	/* one that was passed is of no group */
	first.at[0].is_passed = true;
	assert_true(listener_again(&first, NULL, &again, &error));
	assert_int_equal(socket_of(&again, 0), socket_of(&first, 0));
	first.at[0].is_passed = false;
	listener_close(&again);
	/* a group of another user is shared, not joined */
	for (unsigned i = 0; i < 2; i++) {
		fail_calls("bind", 0, 1, i == 0 ? EADDRINUSE : EACCES);
		assert_true(listener_again(&first, NULL, &again, &error));
		assert_int_equal(socket_of(&again, 0), socket_of(&first, 0));
		listener_close(&again);
	}
	listener_remove_files(&first, NULL);
	listener_close(&first);
}

static void a_set_that_cannot_be_had_says_why(void **state)
{
	static const struct {
		const char *call;
		unsigned skip;
		int error;
	} cases[] = {{"socket", 0, EMFILE}, {"bind", 0, ENOBUFS}, {"reallocarray", 0, ENOMEM}};
	struct listener first = set_of("127.0.0.1:0", NULL), again;
	char expected[256];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		fail_calls(cases[i].call, cases[i].skip, 1, cases[i].error);
		assert_false(listener_again(&first, NULL, &again, &error));
		snprintf(expected, sizeof(expected), "cannot listen on %s once for each worker: %s",
			 name_at(&first, 0), strerror(cases[i].error));
		assert_string_equal(error.text, expected);
		listener_close(&again);
	}
	listener_close(&first);
}

static void what_is_kept_and_joined(void **state)
{
	struct listener first = set_of("127.0.0.1:0", NULL), other = set_of("127.0.0.1:0", NULL),
			kept, all = {.count = 0};

	(void)state;
	assert_true(listener_keep(&first, &first, &kept));
	assert_int_equal(socket_of(&kept, 0), socket_of(&first, 0));
	listener_close(&kept);
	assert_true(listener_keep(&first, &other, &kept));
	assert_int_equal(kept.count, 0);
	listener_close(&kept);
	assert_true(bind_one(&first, "127.0.0.1:0", "listen"));
	other.at[0].address = first.at[1].address; /* it has the second of them alone */
	assert_true(listener_keep(&first, &other, &kept));
	assert_int_equal(kept.count, 1);
	assert_int_equal(socket_of(&kept, 0), socket_of(&other, 0));
	listener_close(&kept);
	close(first.at[--first.count].fd);
	fail_calls("F_DUPFD_CLOEXEC", 0, 1, EMFILE);
	assert_false(listener_keep(&first, &first, &kept));
	listener_close(&kept);
	fail_calls("reallocarray", 0, 1, ENOMEM);
	assert_false(listener_keep(&first, &first, &kept));
	listener_close(&kept);
	assert_true(listener_join(&all, &first));
	assert_true(listener_join(&all, &other));
	assert_int_equal(all.count, 2);
	assert_int_equal(all.at[1].fd, other.at[0].fd);
	fail_calls("reallocarray", 0, 1, ENOMEM);
	assert_false(listener_join(&kept, &all));
	assert_int_equal(errno, ENOMEM);
	assert_int_equal(fcntl(all.at[0].fd, F_GETFD), -1); /* closed, as it has no owner */
	all.at[0].fd = dup(all.at[1].fd);
	free(first.at);
	free(other.at);
	listener_close(&all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_of_each_kind),
		cmocka_unit_test(what_cannot_be_bound_says_why),
		cmocka_unit_test(a_unix_socket_that_cannot_be_made_says_why),
		cmocka_unit_test(as_many_as_there_is_room_for),
		cmocka_unit_test(what_cannot_listen_says_why),
		cmocka_unit_test(a_file_whose_mode_cannot_be_set_says_why),
		cmocka_unit_test(a_socket_that_was_passed_keeps_its_file),
		cmocka_unit_test(sockets_of_the_same_address_are_shared),
		cmocka_unit_test(ports_that_were_chosen_stay_with_their_option),
		cmocka_unit_test(all_addresses_after_one_of_them),
		cmocka_unit_test(one_of_them_is_as_all_addresses_are),
		cmocka_unit_test(what_another_service_has_is_not_joined),
		cmocka_unit_test(a_unix_socket_whose_file_is_gone_is_made_anew),
		cmocka_unit_test(a_set_for_each_worker),
		cmocka_unit_test(a_set_that_cannot_be_had_says_why),
		cmocka_unit_test(what_is_kept_and_joined),
		cmocka_unit_test(the_first_descriptor_is_one),
	};
	int failed;

	if (mkdtemp(directory) == NULL)
		return 1;
	snprintf(path, sizeof(path), "%s/socket", directory);
	snprintf(unix_text, sizeof(unix_text), "unix:%s", path);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(directory);
	return failed;
}
