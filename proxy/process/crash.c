/* A process that dies of a fault of its own tells the store. */
#include "proxy/process/crash.h"

#include <signal.h>

static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

enum { FAULTS = sizeof(faults) / sizeof(faults[0]) };

static struct sigaction before[FAULTS];
static struct store *watched;
static bool installed;

/*
 * What was to be done without us is done next: the faulty instruction runs again, and abort() goes
 * on.  What another process sent has to be sent again.
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
