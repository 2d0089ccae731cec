/*
 * The terminal that the program was started at, for what a SIGHUP means: the log is to be opened
 * anew, or the terminal has been closed.
 */
#ifndef PROXY_PROCESS_TERMINAL_H
#define PROXY_PROCESS_TERMINAL_H

#include <stdbool.h>

/*
 * At the start, before any signal is watched for.  A process started with SIGHUP ignored, as by
 * nohup(1), should outlive the terminal, and counts as having none.
 */
void terminal_note(void);

/* For a program that takes over from another in this process, which knew it. */
void terminal_set(bool had_one);
bool terminal_was_there(void);

/* There was one, and it is closed. */
bool terminal_is_gone(void);

#endif
