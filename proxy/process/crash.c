/* Marks the store as doubtful when this process crashes. */
#include "proxy/process/crash.h"

#include <signal.h>

static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

enum { FAULTS = sizeof(faults) / sizeof(faults[0]) };

static struct sigaction before[FAULTS];
static struct store *watched;
static bool installed;

/*
 * Restore the default action: the faulty instruction runs again, and abort() continues.  A signal
 * that another process sent must be raised again.
 */
static void fault_cb(int number, siginfo_t *info, void *context)
{
	(void)context;
	if (watched != NULL)
		store_doubt(watched);
	for (unsigned i = 0; i < FAULTS; i++)
		sigaction(faults[i], &before[i], NULL);
	if (info->si_code <= 0)
		raise(number);
}

bool crash_is(int number)
{
	for (unsigned i = 0; i < FAULTS; i++)
		if (faults[i] == number)
			return true;
	return false;
}

void crash_watch(struct store *store)
{
	struct sigaction action = {.sa_sigaction = fault_cb, .sa_flags = SA_SIGINFO};

	watched = store;
	if (installed || store == NULL)
		return;
	installed = true;
	sigemptyset(&action.sa_mask);
	for (unsigned i = 0; i < FAULTS; i++)
		sigaction(faults[i], &action, &before[i]);
}
