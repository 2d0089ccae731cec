/* The service's hold on its store: its lock, and a directory that is removed or exchanged. */
#include "proxy/process/store_hold.h"

#include <errno.h>
#include <unistd.h>

#include "cache/cache.h"
#include "cache/store/file_system.h"
#include "proxy/base/log.h"
#include "proxy/loop/turn.h"

bool store_hold_take(struct store_hold *hold, const char *directory, struct diagnostic *error)
{
	struct diagnostic notice;

	*hold = (struct store_hold){.lock = store_lock(directory, error)};
	if (hold->lock >= 0 &&
	    file_system_check(hold->lock, directory, &notice) == FILE_SYSTEM_UNKNOWN)
		log_info("%s", notice.text);
	return hold->lock >= 0;
}

bool store_hold_again(struct store_hold *hold, const char *directory)
{
	struct diagnostic error;
	int lock;

	if (store_lock_in_place(directory, hold->lock)) {
		hold->told = false;
		return true;
	}
	lock = store_lock(directory, &error);
	if (lock < 0) {
		if (!hold->told)
			log_error("store: %s: files were removed or exchanged; what was open is "
				  "used until its end, because what is there now cannot be: %s",
				  directory, error.text);
		hold->told = true;
		return false;
	}
	close(hold->lock);
	*hold = (struct store_hold){.lock = lock};
	return true;
}

void store_watch_look(struct store_watch *watch)
{
	pid_t told = -getpid(); /* sent again in a second, if the pipe is full */

	if (watch->turn->draining || store_in_place(cache_store_of(watch->cache)))
		return;
	if (write(watch->to_master, &told, sizeof(told)) != (ssize_t)sizeof(told))
		log_debug("cannot tell the first process that files of the store are gone: %s",
			  strerror(errno));
}
