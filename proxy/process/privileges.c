/* Giving up what is not needed once the sockets are bound. */
#include "proxy/process/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* Already who we are to be, with nothing to go back to. */
static bool is_already(const struct passwd *entry)
{
	uid_t real, effective, saved;

	return entry->pw_uid != 0 && getresuid(&real, &effective, &saved) == 0 &&
	       real == entry->pw_uid && effective == entry->pw_uid && saved == entry->pw_uid;
}

bool privileges_drop(const char *user, struct diagnostic *error)
{
	const struct passwd *entry;

	if (user[0] == '\0')
		return true;
	errno = 0;
	entry = getpwnam(user);
	if (entry == NULL) {
		diagnostic_set(error, "user: %s: no such user on this system", user);
		return false;
	}
	if (is_already(entry))
		return true;
	if (initgroups(user, entry->pw_gid) != 0 ||
	    setresgid(entry->pw_gid, entry->pw_gid, entry->pw_gid) != 0 ||
	    setresuid(entry->pw_uid, entry->pw_uid, entry->pw_uid) != 0) {
		diagnostic_set(error, "user: cannot become %s: %s%s", user, strerror(errno),
			       geteuid() == 0 ? "" : "; start as root, or without the option");
		return false;
	}
	if (entry->pw_uid != 0 && setuid(0) == 0) {
		diagnostic_set(error, "user: cannot become %s for good", user);
		return false;
	}
	return true;
}

bool privileges_find(const char *user, uid_t *ret_uid, gid_t *ret_gid)
{
	const struct passwd *entry = user[0] != '\0' ? getpwnam(user) : NULL;

	if (entry == NULL)
		return false;
	*ret_uid = entry->pw_uid;
	*ret_gid = entry->pw_gid;
	return true;
}

void privileges_harden(bool debugging)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	/* To become another user switched it off already. */
	prctl(PR_SET_DUMPABLE, debugging, 0, 0, 0);
	if (!debugging)
		setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
}
