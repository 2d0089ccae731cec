/* Whether the terminal that the program was started at is still there. */
#include "proxy/process/terminal.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

static bool had_terminal;

static bool can_open(void)
{
	int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

void terminal_note(void)
{
	struct sigaction hangup;

	had_terminal =
		sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN && can_open();
}

void terminal_set(bool had_one)
{
	had_terminal = had_one;
}

bool terminal_was_there(void)
{
	return had_terminal;
}

bool terminal_is_gone(void)
{
	return had_terminal && !can_open();
}
