/* What a worker takes of the machine. */
#include "proxy/stats/process.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "proxy/base/wall_clock.h"

enum {
	LOOK_MS = 1000,
	FDS_PER_MS = 1, /* a thousand descriptors are counted in a millisecond, once a second */
};

static uint64_t microseconds(const struct timeval *time)
{
	return (uint64_t)time->tv_sec * 1000000 + (uint64_t)time->tv_usec;
}

static void look_cpu(struct process_watch *watch)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) == 0)
		STATS_WRITE(watch->to->cpu_us, watch->cpu_before_us +
						       microseconds(&usage.ru_utime) +
						       microseconds(&usage.ru_stime));
}

/* Pages of the address space and of those the resident ones, the first two numbers. */
static void look_memory(struct process_watch *watch)
{
	long long all, resident, page = sysconf(_SC_PAGESIZE);
	char text[128];
	ssize_t n = watch->statm < 0 ? -1 : pread(watch->statm, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return;
	text[n] = '\0';
	if (sscanf(text, "%lld %lld", &all, &resident) != 2)
		return;
	STATS_WRITE(watch->to->virtual, all * page);
	STATS_WRITE(watch->to->rss, resident * page);
}

/* By what stands in the directory: those of numbers. */
static int64_t read_fds(int directory)
{
	_Alignas(struct dirent64) char block[4096];
	int64_t count = 0;
	ssize_t n;

	if (lseek(directory, 0, SEEK_SET) != 0)
		return 0;
	while ((n = getdents64(directory, block, sizeof(block))) > 0) {
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *entry = (const void *)(block + at);

			count += isdigit((unsigned char)entry->d_name[0]) != 0;
			at += entry->d_reclen;
		}
	}
	return count;
}

/* Since Linux 6.2 the size of the directory is their number, before it is 0. */
static int64_t count_fds(int directory)
{
	struct stat status;

	if (fstat(directory, &status) == 0 && status.st_size > 0)
		return status.st_size;
	return read_fds(directory);
}

static void look_fds(struct process_watch *watch, int64_t now_ms)
{
	struct rlimit limit;
	int64_t count;

	if (now_ms < watch->look_ms || watch->fd_directory < 0)
		return;
	count = count_fds(watch->fd_directory);
	watch->look_ms = now_ms + (count > LOOK_MS ? count * FDS_PER_MS : LOOK_MS);
	STATS_WRITE(watch->to->fds, count);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		STATS_WRITE(watch->to->fds_max,
			    limit.rlim_cur < INT64_MAX ? (int64_t)limit.rlim_cur : INT64_MAX);
}

void process_watch_begin(struct process_watch *watch, struct process_stats *to)
{
	*watch = (struct process_watch){
		.to = to,
		.cpu_before_us = STATS_READ(to->cpu_us),
		.statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC),
		.fd_directory = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.look_ms = INT64_MIN,
	};
	STATS_WRITE(to->started_ms, (uint64_t)wall_clock_ms());
	STATS_WRITE(to->pid, getpid());
	process_watch_look(watch, 0);
}

void process_watch_look(struct process_watch *watch, int64_t now_ms)
{
	look_cpu(watch);
	look_memory(watch);
	look_fds(watch, now_ms);
}

void process_watch_end(struct process_watch *watch)
{
	look_cpu(watch);
	if (watch->statm >= 0)
		close(watch->statm);
	if (watch->fd_directory >= 0)
		close(watch->fd_directory);
}

void process_stats_reset(struct process_stats *process)
{
	STATS_WRITE(process->pid, 0);
	STATS_WRITE(process->rss, 0);
	STATS_WRITE(process->virtual, 0);
	STATS_WRITE(process->fds, 0);
	STATS_WRITE(process->fds_max, 0);
}
