/*
 * The state of this process, for the service manager: sd_notify(3) without its library, one
 * datagram for each state to the socket that NOTIFY_SOCKET names.  Without that variable nothing is
 * sent.
 *
 * To be used by the first process alone: systemd ignores other senders (NotifyAccess=main).  A
 * datagram waits NOTIFY_WAIT_MS at most; one that cannot be sent is an error in the log, and no
 * more.
 */
#ifndef PROXY_PROCESS_NOTIFY_H
#define PROXY_PROCESS_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

enum { NOTIFY_WAIT_MS = 1000 };

/*
 * Take NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment, so that no child
 * speaks for this process.  The watchdog of another process is ignored.  To be called once, at
 * the start.
 */
void notify_init(void);

/*
 * Put them back, for a program that is executed in the place of this one, and take them out again
 * when it was not.  The watchdog has its sign of life, since that program counts from its start.
 */
void notify_hand_over(void);
void notify_take_back(void);

/*
 * In service, also again after notify_reloading().  `status` is one line of text for `systemctl
 * status`, here and below.
 */
void notify_ready(const char *status);

/* A reload began; notify_ready() ends it, however it went. */
void notify_reloading(const char *status);

/* The end takes `within_ms` at most: the manager is to wait so long, whatever its own timeout. */
void notify_stopping(const char *status, int64_t within_ms);

/*
 * Send the watchdog its sign of life, if half of its time has passed since the last.  Milliseconds
 * until this is to be called again, -1 for never.
 */
int notify_watchdog(void);

#endif
