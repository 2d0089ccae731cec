/* The terminal as a page of its own. */
#include "proxy/cli/screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "proxy/base/monotonic.h"

enum { ESCAPE = 27, DELETE = 127, BACKSPACE = 8, ERASE_LINE = 21, ESCAPE_MS = 30 };

/* Another page, no cursor, no wrapping (xterm's private modes); and back. */
static const char enter[] = "\033[?1049h\033[?25l\033[?7l\033[2J";
static const char leave[] = "\033[0m\033[?7h\033[?25h\033[?1049l";

static struct termios before;
static volatile sig_atomic_t is_on, resized, stopped;
static int wake[2] = {-1, -1}; /* a handler writes, screen_wait() reads */

static void write_all(const char *text, size_t n)
{
	while (n > 0) {
		ssize_t written = write(STDOUT_FILENO, text, n);

		if (written < 0 && errno != EINTR)
			return;
		if (written > 0) {
			text += written;
			n -= (size_t)written;
		}
	}
}

static void write_text(const char *text)
{
	write_all(text, strlen(text));
}

static void turn_on(void)
{
	struct termios raw = before;

	/* signals by keys stay: they end or stop even while an answer is awaited */
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	write_all(enter, sizeof(enter) - 1);
	is_on = true;
}

/* Safe in a handler of signals: tcsetattr() and write() are (POSIX 2.4.3). */
static void turn_off(void)
{
	if (!is_on)
		return;
	is_on = false;
	write_all(leave, sizeof(leave) - 1);
	tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

static void end_by(int number)
{
	turn_off();
	signal(number, SIG_DFL);
	raise(number);
}

static void note(int number)
{
	int saved = errno;

	if (number == SIGTSTP)
		stopped = true;
	else
		resized = true;
	(void)!write(wake[1], "", 1);
	errno = saved;
}

static void handle(int number, void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};

	/* SA_NODEFER, so that raise() in end_by() ends at once */
	if (handler == end_by)
		action.sa_flags |= SA_NODEFER;
	sigemptyset(&action.sa_mask);
	sigaction(number, &action, NULL);
}

bool screen_begin(void)
{
	static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGABRT, SIGSEGV, SIGBUS};

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) ||
	    tcgetattr(STDIN_FILENO, &before) != 0 || (wake[0] < 0 && pipe(wake) != 0))
		return false;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		handle(ends[i], end_by);
	handle(SIGWINCH, note);
	handle(SIGTSTP, note);
	atexit(turn_off);
	turn_on();
	return true;
}

void screen_end(void)
{
	turn_off();
}

struct screen_size screen_size(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
		return (struct screen_size){80, 24};
	return (struct screen_size){size.ws_col, size.ws_row};
}

/* The shell has the terminal meanwhile, as it was. */
static void stop(void)
{
	stopped = false;
	turn_off();
	kill(0, SIGSTOP);
	turn_on();
	resized = true;
}

/* -1 when the terminal is gone. */
static int read_key(void)
{
	unsigned char key;
	ssize_t n;

	do
		n = read(STDIN_FILENO, &key, 1);
	while (n < 0 && errno == EINTR);
	return n == 1 ? key : -1;
}

/* -1 when none comes at once. */
static int read_next(void)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

	return poll(&input, 1, ESCAPE_MS) > 0 ? read_key() : -1;
}

/* What follows Escape when a key sends several bytes, as arrows do (ECMA-48 5.4).  False for Escape alone. */
static bool skip_sequence(void)
{
	int key = read_next();
	bool is_sequence = key >= 0;

	if (key == 'O')
		read_next();
	else if (key == '[')
		do
			key = read_next();
		while (key >= 0 && (key < '@' || key > '~'));
	return is_sequence;
}

enum screen_event screen_wait(int64_t until_us, char *ret_key)
{
	struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
			       {.fd = wake[0], .events = POLLIN}};

	for (;;) {
		int64_t left_us = until_us - monotonic_us();
		int ready = poll(fds, 2, left_us > 0 ? (int)(left_us / 1000) + 1 : 0), key;
		char drained[64];

		if (ready > 0 && fds[1].revents != 0)
			(void)!read(wake[0], drained, sizeof(drained));
		if (stopped)
			stop();
		if (resized) {
			resized = false;
			return SCREEN_RESIZED;
		}
		if (ready == 0)
			return SCREEN_TIME;
		if (ready < 0 || fds[0].revents == 0)
			continue;
		key = read_key();
		if (key < 0)
			return SCREEN_CLOSED;
		if (key == ESCAPE && skip_sequence())
			continue;
		*ret_key = (char)key;
		return SCREEN_KEY;
	}
}

/* ---- a line --------------------------------------------------------------------------------- */

static void show_line(const char *prompt, const char *line, unsigned n)
{
	unsigned columns = screen_size().columns, used = (unsigned)strlen(prompt) + 1;
	unsigned room = columns > used ? columns - used : 0;

	write_text("\r\033[0m\033[K");
	write_text(prompt);
	if (n > room)
		line += n - room; /* its end is what is typed at */
	write_text(line);
}

bool screen_read_line(const char *prompt, char *line, unsigned size)
{
	unsigned n = 0;
	int key;

	line[0] = '\0';
	write_text("\033[?25h");
	do {
		show_line(prompt, line, n);
		key = read_key();
		if (key == ESCAPE && skip_sequence())
			key = 0;
		if (key >= ' ' && key < DELETE && n + 1 < size)
			line[n++] = (char)key;
		else if ((key == DELETE || key == BACKSPACE) && n > 0)
			n--;
		else if (key == ERASE_LINE)
			n = 0;
		line[n] = '\0';
	} while (key >= 0 && key != ESCAPE && key != '\n' && key != '\r');
	write_text("\033[?25l");
	return (key == '\n' || key == '\r') && n > 0;
}
