/* From one program to the next in the same process: text in a memory file, and descriptors. */
#include "proxy/process/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/base/decimal.h"
#include "proxy/base/close_fd.h"

#define VARIABLE "CACHE204_HANDOVER"
#define FORM "cache204-handover 1"

enum {
	TEXT_MAX = 4 << 20,
	SETS_MAX = 4096,
	WORKERS_MAX = 65536,
	SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE,
};

static char **program_arguments;
static char program_path[PATH_MAX];

/* ---- which program -------------------------------------------------------------------------- */

/* Whether a path names the program that runs. */
static bool is_this_program(const char *path)
{
	struct stat here, there;

	return stat("/proc/self/exe", &here) == 0 && stat(path, &there) == 0 &&
	       here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

/*
 * What execve(2) was given: a link in it may name a newer version by the time of an upgrade.  Else
 * what the kernel knows the file as.
 */
void handover_note_program(char **argv)
{
	const char *given = (const char *)(uintptr_t)getauxval(AT_EXECFN);
	char here[PATH_MAX];
	ssize_t n;

	program_arguments = argv;
	program_path[0] = '\0';
	if (given != NULL && given[0] == '/' && strlen(given) < sizeof(program_path))
		strcpy(program_path, given);
	else if (given != NULL && getcwd(here, sizeof(here)) != NULL &&
		 strlen(here) + 1 + strlen(given) < sizeof(program_path))
		stpcpy(stpcpy(stpcpy(program_path, here), "/"), given);
	if (program_path[0] != '\0' && is_this_program(program_path))
		return;
	n = readlink("/proc/self/exe", program_path, sizeof(program_path) - 1);
	program_path[n > 0 ? n : 0] = '\0';
}

const char *handover_path(void)
{
	return program_path[0] == '/' ? program_path : NULL;
}

/* ---- lines ---------------------------------------------------------------------------------- */

enum row_type { TEXT, NUMBER, DESCRIPTOR };

/* A line "name value" for each member of one value; those of later versions are not `needed`. */
static const struct row {
	const char *name;
	enum row_type type;
	bool needed;
	size_t at; /* in struct handover: char *, int64_t, int */
} rows[] = {
#define ROW(type, name)                                            \
	{                                                          \
#name, type, true, offsetof(struct handover, name) \
	}
	ROW(NUMBER, kind),
	ROW(TEXT, path),
	ROW(TEXT, version),
	ROW(TEXT, why),
	ROW(TEXT, store),
	ROW(TEXT, user),
	ROW(NUMBER, store_size),
	ROW(NUMBER, slots),
	ROW(NUMBER, generation),
	ROW(NUMBER, had_terminal),
	ROW(NUMBER, failed_for),
	ROW(DESCRIPTOR, lock),
	ROW(DESCRIPTOR, report),
	ROW(DESCRIPTOR, program),
	ROW(DESCRIPTOR, words_in),
	ROW(DESCRIPTOR, words_out),
	ROW(DESCRIPTOR, reload_file),
	ROW(DESCRIPTOR, upgrade_file),
	ROW(NUMBER, reload_asked),
	ROW(NUMBER, upgrade_asked),
	ROW(NUMBER, copier),
	ROW(NUMBER, copied_s),
#undef ROW
	{"tickets", TEXT, false, offsetof(struct handover, tickets)},
	{"finish_ms", NUMBER, false, offsetof(struct handover, finish_ms)},
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static void *member_of(const struct handover *handover, const struct row *row)
{
	return (char *)(uintptr_t)handover + row->at;
}

/* ---- writing -------------------------------------------------------------------------------- */

/* Any text: the ends of its lines are "\\n", and a backslash is "\\\\". */
static void write_value(FILE *to, const char *name, const char *text)
{
	fprintf(to, "%s ", name);
	for (; *text != '\0'; text++) {
		if (*text == '\n' || *text == '\\')
			fputc('\\', to);
		fputc(*text == '\n' ? 'n' : *text, to);
	}
	fputc('\n', to);
}

/* The name is the last, as it may have blanks. */
static void write_sockets(FILE *to, const struct handover *handover)
{
	for (unsigned i = 0; i < handover->set_count; i++) {
		const struct listener *set = &handover->sets[i];

		for (unsigned j = 0; j < set->count; j++) {
			const struct listener_address *at = &set->at[j];
			char asked[ADDRESS_TEXT_SIZE] = "unix:";

			if (at->path[0] == '\0')
				address_format_port(&at->asked, asked);
			fprintf(to, "socket %u %d %d %" PRIu64 " %" PRIu64 " %s %s%s%s\n", i,
				at->fd, at->is_passed, (uint64_t)at->file.device,
				(uint64_t)at->file.number, at->option, at->is_tls ? "tls:" : "",
				asked, at->path);
		}
	}
}

static void write_text(FILE *to, const struct handover *handover)
{
	fprintf(to, FORM "\n");
	for (unsigned i = 0; i < ROWS; i++) {
		const void *member = member_of(handover, &rows[i]);

		switch (rows[i].type) {
		case TEXT:
			if (*(char *const *)member != NULL)
				write_value(to, rows[i].name, *(char *const *)member);
			break;
		case NUMBER:
			fprintf(to, "%s %" PRId64 "\n", rows[i].name, *(const int64_t *)member);
			break;
		case DESCRIPTOR:
			fprintf(to, "%s %d\n", rows[i].name, *(const int *)member);
			break;
		}
	}
	for (unsigned i = 0; i < handover->worker_count; i++)
		fprintf(to, "worker %d %" PRIu64 " %d %d\n", (int)handover->workers[i].pid,
			handover->workers[i].generation, handover->workers[i].ready,
			handover->workers[i].retired);
	write_sockets(to, handover);
	fprintf(to, "end\n");
}

/* A sealed memory file with all of it; -1 with errno. */
static int write_file(const struct handover *handover)
{
	int fd = memfd_create("cache204-handover", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	FILE *to = copy < 0 ? NULL : fdopen(copy, "w");

	if (to == NULL && copy >= 0)
		close(copy);
	if (to != NULL) {
		write_text(to, handover);
		if (fclose(to) == 0 && fcntl(fd, F_ADD_SEALS, SEALS) == 0)
			return fd;
	}
	if (fd >= 0)
		close_keeping_errno(fd);
	return -1;
}

/* ---- executing ------------------------------------------------------------------------------ */

/* Those that the other program finds open; with `inherit` false all as before. */
static void set_inherited(const struct handover *handover, int file, bool inherit)
{
	int flags = inherit ? 0 : FD_CLOEXEC;

	fcntl(file, F_SETFD, flags);
	for (unsigned i = 0; i < ROWS; i++) {
		const int *fd = member_of(handover, &rows[i]);

		if (rows[i].type == DESCRIPTOR && *fd >= 0)
			fcntl(*fd, F_SETFD, flags);
	}
	for (unsigned i = 0; i < handover->set_count; i++)
		for (unsigned j = 0; j < handover->sets[i].count; j++)
			fcntl(handover->sets[i].at[j].fd, F_SETFD, flags);
}

void handover_execute(const struct handover *handover, const char *path)
{
	int file = write_file(handover), error;
	char number[16];

	if (file < 0)
		return;
	snprintf(number, sizeof(number), "%d", file);
	set_inherited(handover, file, true);
	if (setenv(VARIABLE, number, 1) == 0) {
		if (path != NULL)
			execv(path, program_arguments);
		else
			fexecve(handover->program, program_arguments, environ);
	}
	error = errno;
	unsetenv(VARIABLE);
	set_inherited(handover, file, false);
	close(file);
	errno = error;
}

/* ---- reading -------------------------------------------------------------------------------- */

void handover_init(struct handover *handover)
{
	*handover = (struct handover){.finish_ms = HANDOVER_FINISH_MS};
	for (unsigned i = 0; i < ROWS; i++)
		if (rows[i].type == DESCRIPTOR)
			*(int *)member_of(handover, &rows[i]) = -1;
}

const struct listener *handover_first_set(const struct handover *handover)
{
	return handover->set_count > 0 ? &handover->sets[0] : NULL;
}

void handover_remove_files(const struct handover *handover, const struct listener *kept)
{
	if (handover->set_count > 0)
		listener_remove_files(&handover->sets[0], kept);
}

void handover_close_sockets(struct handover *handover)
{
	for (unsigned i = 0; i < handover->set_count; i++)
		listener_close(&handover->sets[i]);
}

/* Keys of tickets may be in it, which are to be forgotten in their time. */
static void forget_text(char *text)
{
	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
}

void handover_free(struct handover *handover)
{
	handover_close_sockets(handover);
	for (unsigned i = 0; i < ROWS; i++)
		if (rows[i].type == TEXT)
			forget_text(*(char **)member_of(handover, &rows[i]));
	free(handover->sets);
	free(handover->workers);
	handover_init(handover);
}

/* A number of any size, as that of a file may have all bits, and the blank behind it. */
static bool take_unsigned(const char **at, uint64_t most, uint64_t *ret_number)
{
	size_t n = strcspn(*at, " ");

	if (!decimal_read(slice_of(*at, n), most, ret_number))
		return false;
	*at += n + ((*at)[n] == ' ');
	return true;
}

static bool take_number(const char **at, int64_t most, int64_t *ret_number)
{
	bool minus = **at == '-';
	const char *digits = *at + minus;
	uint64_t number;

	if (!take_unsigned(&digits, (uint64_t)most, &number))
		return false;
	*at = digits;
	*ret_number = minus ? -(int64_t)number : (int64_t)number;
	return true;
}

/* An open descriptor, which is not inherited any further; or -1. */
static bool take_descriptor(const char **at, int *ret_fd)
{
	int64_t number;

	if (!take_number(at, INT_MAX, &number) || number < -1)
		return false;
	*ret_fd = (int)number;
	return number < 0 || fcntl(*ret_fd, F_SETFD, FD_CLOEXEC) == 0;
}

static bool take_text(const char *rest, char **ret_text)
{
	char *to = malloc(strlen(rest) + 1);

	free(*ret_text);
	*ret_text = to;
	if (to == NULL)
		return false;
	for (; *rest != '\0'; rest++) {
		bool escaped = *rest == '\\' && rest[1] != '\0';

		rest += escaped;
		*to++ = escaped && *rest == 'n' ? '\n' : *rest;
	}
	*to = '\0';
	return true;
}

/* The text of the option that a socket is of, static, and the blank behind it. */
static const char *take_option(const char **at)
{
	static const char *const names[] = {"listen", "gateway", "admin"};
	size_t n = strcspn(*at, " ");
	const char *option = *at;

	*at += n + ((*at)[n] == ' ');
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i]) == n && memcmp(names[i], option, n) == 0)
			return names[i];
	return "";
}

/* What the configuration had: an address, tls: and one, or unix: and a path. */
static bool read_name(const char *name, struct listener_address *to)
{
	const char *path = conf_unix_path(name);
	socklen_t length = sizeof(to->address);
	char host[46];
	uint16_t port;

	if (path != NULL) {
		to->address = to->asked = address_unix();
		return snprintf(to->path, sizeof(to->path), "%s", path) < (int)sizeof(to->path);
	}
	to->is_tls = conf_is_tls(name);
	if (!conf_split_address(conf_behind_tls(name), host, &port) ||
	    !address_parse(slice_str(host), &to->asked))
		return false;
	address_set_port(&to->asked, port);
	return getsockname(to->fd, &to->address.any, &length) == 0;
}

static struct listener *find_set(struct handover *handover, unsigned number)
{
	struct listener *sets;

	if (number < handover->set_count)
		return &handover->sets[number];
	sets = reallocarray(handover->sets, (size_t)number + 1, sizeof(*sets));
	if (sets == NULL)
		return NULL;
	handover->sets = sets;
	while (handover->set_count <= number)
		sets[handover->set_count++] = (struct listener){0};
	return &sets[number];
}

static bool read_socket(struct handover *handover, const char *rest)
{
	struct listener one = {.at = &(struct listener_address){.fd = -1}, .count = 1};
	struct listener_address *at = one.at;
	uint64_t device, file;
	int64_t number, passed;
	struct listener *set;

	if (!take_number(&rest, SETS_MAX, &number) || number < 0 ||
	    !take_descriptor(&rest, &at->fd) || !take_number(&rest, 1, &passed) ||
	    !take_unsigned(&rest, UINT64_MAX, &device) || !take_unsigned(&rest, UINT64_MAX, &file))
		return false;
	at->is_passed = passed != 0;
	at->file = (struct listener_file){(dev_t)device, (ino_t)file};
	at->option = take_option(&rest);
	if (!read_name(rest, at))
		return false;
	set = find_set(handover, (unsigned)number);
	return set != NULL && listener_join(set, &one);
}

static bool read_worker(struct handover *handover, const char *rest)
{
	struct handover_worker *workers;
	int64_t pid, generation, ready, retired;

	if (handover->worker_count == WORKERS_MAX || !take_number(&rest, INT_MAX, &pid) ||
	    !take_number(&rest, INT64_MAX, &generation) || !take_number(&rest, 1, &ready) ||
	    !take_number(&rest, 1, &retired) || pid <= 1)
		return false;
	workers = reallocarray(handover->workers, handover->worker_count + 1, sizeof(*workers));
	if (workers == NULL)
		return false;
	handover->workers = workers;
	workers[handover->worker_count++] = (struct handover_worker){
		(pid_t)pid, (uint64_t)generation, ready != 0, retired != 0};
	return true;
}

static bool read_row(struct handover *handover, const struct row *row, const char *rest)
{
	void *member = member_of(handover, row);

	switch (row->type) {
	case TEXT:
		return take_text(rest, member);
	case NUMBER:
		return take_number(&rest, INT64_MAX, member);
	default:
		return take_descriptor(&rest, member);
	}
}

/* What it has of the rows is added to *seen. */
static bool read_line(struct handover *handover, char *line, uint64_t *seen)
{
	char *rest = line + strcspn(line, " ");

	if (*rest == ' ')
		*rest++ = '\0';
	if (strcmp(line, "worker") == 0)
		return read_worker(handover, rest);
	if (strcmp(line, "socket") == 0)
		return read_socket(handover, rest);
	for (unsigned i = 0; i < ROWS; i++) {
		if (strcmp(line, rows[i].name) != 0)
			continue;
		*seen |= UINT64_C(1) << i;
		return read_row(handover, &rows[i], rest);
	}
	return true;
}

/* NULL, or the line that is wrong or missing. */
static const char *read_text(struct handover *handover, char *text)
{
	uint64_t seen = 0;
	char *rest = NULL, *line = strtok_r(text, "\n", &rest);

	if (line == NULL || strcmp(line, FORM) != 0)
		return "its form is of another version: restart instead";
	while ((line = strtok_r(NULL, "\n", &rest)) != NULL) {
		if (strcmp(line, "end") == 0)
			break;
		if (!read_line(handover, line, &seen))
			return line;
	}
	for (unsigned i = 0; i < ROWS; i++)
		if (rows[i].needed && (seen >> i & 1) == 0)
			return rows[i].name;
	if (handover->kind < HANDOVER_TRIAL || handover->kind > HANDOVER_BACK || handover->lock < 0)
		return "kind or lock";
	return line == NULL ? "end" : NULL;
}

/* All of a sealed memory file; NULL with errno. */
static char *read_file(int fd, size_t *ret_size)
{
	struct stat status;
	char *text;
	ssize_t n;

	if (fstat(fd, &status) != 0 || fcntl(fd, F_GET_SEALS) != SEALS || status.st_size > TEXT_MAX)
		return NULL;
	text = calloc(1, (size_t)status.st_size + 1);
	if (text == NULL)
		return NULL;
	n = pread(fd, text, (size_t)status.st_size, 0);
	*ret_size = (size_t)status.st_size;
	if (n == status.st_size)
		return text;
	free(text);
	return NULL;
}

bool handover_take(struct handover *ret_handover, struct diagnostic *error)
{
	const char *at = getenv(VARIABLE), *wrong;
	int fd = -1;
	size_t size;
	char *text;

	handover_init(ret_handover);
	diagnostic_clear(error);
	if (at == NULL)
		return false;
	diagnostic_set(error, VARIABLE ": names no handover");
	text = take_descriptor(&at, &fd) ? read_file(fd, &size) : NULL;
	unsetenv(VARIABLE);
	if (text == NULL)
		return false;
	close(fd);
	wrong = read_text(ret_handover, text);
	if (wrong != NULL)
		diagnostic_set(error, "handover: cannot be read: %s", wrong);
	explicit_bzero(text, size);
	free(text);
	if (wrong != NULL) {
		handover_free(ret_handover);
		return false;
	}
	diagnostic_clear(error);
	snprintf(program_path, sizeof(program_path), "%s", ret_handover->path);
	/* executed by a descriptor, the name would be that of the descriptor */
	prctl(PR_SET_NAME, program_invocation_short_name);
	return true;
}
