/* What happens to a service beside its traffic; see events.h. */
#include "tests/sim/events.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/front/forward.h"
#include "proxy/process/purger.h"
#include "tests/doubles/failing_memory.h"
#include "tests/doubles/fake_lmdb.h"
#include "tests/doubles/process.h"
#include "tests/doubles/store_memory.h"
#include "tests/oracle/lanes.h"
#include "tests/sim/world.h"
#include "tests/support/test_conf.h"

enum {
	DIRECTORY_SIZE = 64,
	GENERATIONS = 64,
	WORKERS_MAX = 4, /* that serve at one time */
	FAULT_CALLS = 60,
	PURGE_STEPS = 4, /* in a tick */
	RESTART_EACH_WAY = 2,
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char directory[DIRECTORY_SIZE];
static struct conf *confs[GENERATIONS]; /* of reloads; all live to the end */
static unsigned conf_count;
static const struct conf *conf_now;
static unsigned options;
static struct fake_worker *draining[FAKE_WORKERS];
static unsigned draining_count;
static struct purger purgers[FAKE_WORKERS];

/* ---- the world ------------------------------------------------------------------------------ */

static void be(int worker)
{
	process_be(worker);
	if (worker != FAKE_NOBODY)
		fake_lmdb_be((unsigned)worker);
}

static void died(unsigned worker)
{
	fake_lmdb_die(worker);
	process_die((int)worker);
}

static struct purger *purger_of(struct fake_worker *worker)
{
	struct purger *purger = &purgers[worker->index];

	if (purger->cache != worker->cache)
		*purger = (struct purger){.cache = worker->cache};
	purger->turn = &worker->turn;
	purger->leases = worker->env.leases;
	return purger;
}

static void tick(struct fake_worker *worker)
{
	struct purger *purger = purger_of(worker);

	/* the one that was at it ends when another has done the rest */
	for (unsigned i = 0;
	     i < PURGE_STEPS && (cache_purge_is_due(worker->cache) || STATS_GET(purging) > 0); i++)
		if (purger_step(purger) == 0)
			return;
}

static void end(struct fake_worker *worker)
{
	cache_flush(worker->cache);
	purger_stop(purger_of(worker));
	purgers[worker->index].cache = NULL;
}

static const struct fake_world world = {.be = be, .died = died, .tick = tick, .end = end};

static void wait_for_lock(void)
{
	fake_lmdb_wait();
}

static void directory_of(pid_t pid, char to[static DIRECTORY_SIZE])
{
	snprintf(to, DIRECTORY_SIZE, "%s/cache204-sim-%d",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (int)pid);
}

void world_clean(pid_t pid)
{
	char path[DIRECTORY_SIZE];
	const struct dirent *entry;
	DIR *all;

	directory_of(pid, path);
	all = opendir(path);
	if (all == NULL)
		return;
	while ((entry = readdir(all)) != NULL)
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(all), entry->d_name, 0);
	closedir(all);
	rmdir(path);
}

void sim_set(struct conf *conf)
{
	if (directory[0] == '\0') {
		directory_of(getpid(), directory);
		if (mkdir(directory, 0700) != 0)
			abort();
		process_reset();
		process_watch(wait_for_lock);
		fake_worker_world(&world);
		memset(purgers, 0, sizeof(purgers));
		draining_count = conf_count = 0;
	}
	test_conf_set(conf, "store", directory);
	conf->sync_ms = 1000; /* copies are made, when an event says so */
}

void sim_begin(void)
{
	conf_now = schedule_run()->workers[0]->conf;
	options = schedule_run()->world->options;
}

void sim_forget(void)
{
	world_clean(getpid());
	directory[0] = '\0';
	while (conf_count > 0)
		test_conf_free(confs[--conf_count]);
	fake_worker_world(NULL);
	process_watch(NULL);
	process_reset();
}

/* ---- lives ---------------------------------------------------------------------------------- */

static void tell(const char *what, const struct fake_worker *worker)
{
	if (schedule_run()->verbose)
		fprintf(stderr, "  worker %u %s\n", worker->index, what);
}

/* What fails while a worker starts or ends keeps it from that: that is another matter. */
static void calm(void)
{
	store_memory_fail_never();
	fail_memory_never();
}

static void start_again(struct fake_worker *worker, const struct conf *conf)
{
	calm();
	fake_worker_again(worker, conf);
	schedule_tell_names(worker);
	tell("starts", worker);
}

static void start_dead(void)
{
	struct run *run = schedule_run();

	for (unsigned i = 0; i < run->serving_count; i++)
		if (!run->serving[i]->alive)
			start_again(run->serving[i], conf_now);
}

static void end_worker(struct fake_worker *worker)
{
	tell("ends", worker);
	lane_finish(worker->index);
	fake_conn_cut(worker->index);
	calm();
	fake_worker_end(worker);
}

static bool has_serving(void)
{
	const struct run *run = schedule_run();

	for (unsigned i = 0; i < run->serving_count; i++)
		if (run->serving[i]->alive)
			return true;
	return false;
}

static void is_killed(void)
{
	struct fake_worker *worker = schedule_worker();

	if (worker == NULL)
		return;
	tell(lane_is_stopped(worker->index) ? "is killed in the midst" : "is killed", worker);
	fake_worker_kill(worker);
	if (!has_serving())
		start_dead();
}

static void is_replaced(void)
{
	struct run *run = schedule_run();
	struct fake_worker *worker = run->serving[schedule_choose(run->serving_count)];

	if (!worker->alive)
		start_again(worker, conf_now);
}

static void kill_all(void)
{
	struct run *run = schedule_run();

	for (unsigned i = 0; i < run->worker_count; i++)
		if (run->workers[i]->alive)
			fake_worker_kill(run->workers[i]);
	draining_count = 0;
}

static void all_are_killed(void)
{
	kill_all();
	start_dead();
}

static void all_restart(void)
{
	struct run *run = schedule_run();

	for (unsigned i = 0; i < run->worker_count; i++)
		if (run->workers[i]->alive)
			end_worker(run->workers[i]);
	draining_count = 0;
	start_dead();
}

/* ---- disk and power ------------------------------------------------------------------------- */

static void copy_is_made(void)
{
	struct diagnostic notice;

	calm();
	(void)cache_copy(conf_now, 784111777 + fake_conn_now_ms() / 1000, &notice);
}

static void disk_fails(void)
{
	unsigned n = schedule_choose(FAULT_CALLS);

	store_memory_fail(n / 2, n % 2 ? STORE_FULL : STORE_FAILED);
}

static void path_of(const char *name, char path[static 128])
{
	snprintf(path, 128, "%s/%s", directory, name);
}

/* It came up anew: so says the first digit of the id that it has since. */
static void change_boot(void)
{
	char path[128], text[256], *boot;
	ssize_t n;
	int fd;

	path_of("state", path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	n = fd < 0 ? 0 : pread(fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	boot = strstr(text, "boot ");
	if (boot != NULL) {
		boot[5] = boot[5] == 'x' ? 'y' : 'x';
		if (pwrite(fd, text, (size_t)n, 0) != n)
			abort();
	}
	if (fd >= 0)
		close(fd);
}

static void power_fails(void)
{
	static const char *const names[] = {"clock", "noted", "invalidations", "visited"};
	unsigned how = schedule_choose(1 << COUNT(names));
	char path[128];

	kill_all();
	fake_lmdb_lose();
	for (unsigned i = 0; i < COUNT(names); i++) {
		path_of(names[i], path);
		if (how & 1U << i)
			process_lose(path);
	}
	change_boot();
	start_dead();
}

static void clock_is_set(void)
{
	static const int64_t by_s[] = {1, -1, 2, -2, 10, -10, 70, -70, 3600, -3600, 86400, -86400};

	fake_wall_jump(by_s[schedule_choose(COUNT(by_s))] * 1000);
}

/* ---- reloads -------------------------------------------------------------------------------- */

/* A place that nobody has, if need be that of one that has drained for too long. */
static struct fake_worker *place(const struct conf *conf)
{
	struct run *run = schedule_run();
	struct fake_worker *worker;

	for (unsigned i = 0; i < run->worker_count; i++)
		if (!run->workers[i]->alive) {
			start_again(run->workers[i], conf);
			return run->workers[i];
		}
	if (run->worker_count < FAKE_WORKERS) {
		worker = fake_worker_join(run->workers[0]);
		run->workers[run->worker_count++] = worker;
		fake_worker_end(worker);
	} else {
		worker = draining[0];
		end_worker(worker);
		draining_count--;
		memmove(draining, draining + 1, draining_count * sizeof(draining[0]));
	}
	start_again(worker, conf);
	return worker;
}

static struct conf *other_options(unsigned choice)
{
	/* whether there is little room, a parent and a change of protocol stays as it was */
	struct conf *conf = schedule_conf((options & ~2U) | (choice & 2U));

	sim_set(conf);
	if (choice & 1)
		conf->store_interval_ms = 0;
	if (choice & 4)
		test_conf_set(conf, "max_ttl", "30s");
	return conf;
}

/* The new ones are there before the old ones drain. */
static void others_take_over(void)
{
	struct run *run = schedule_run();
	unsigned count = 1 + schedule_choose(WORKERS_MAX), choice = schedule_choose(8);
	struct fake_worker *now[WORKERS_MAX];

	if (conf_count == GENERATIONS)
		return;
	for (unsigned i = 0; i < run->worker_count; i++)
		lane_finish(i);
	conf_now = confs[conf_count++] = other_options(choice);
	calm();
	for (unsigned i = 0; i < count; i++)
		now[i] = place(conf_now);
	for (unsigned i = 0; i < run->serving_count; i++) {
		if (!run->serving[i]->alive || run->serving[i]->conf == conf_now)
			continue;
		fake_worker_retire(run->serving[i]);
		tell("retires", run->serving[i]);
		draining[draining_count++] = run->serving[i];
	}
	memcpy(run->serving, now, count * sizeof(now[0]));
	run->serving_count = count;
}

/* Those that have drained end. */
void sim_after(void)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < draining_count; i++) {
		struct fake_worker *worker = draining[i];

		if (!worker->alive)
			continue;
		if (!lane_is_stopped(worker->index) && fake_worker_is_unused(worker))
			end_worker(worker);
		else
			draining[kept++] = worker;
	}
	draining_count = kept;
}

/* ---- the end -------------------------------------------------------------------------------- */

void sim_quiet(void)
{
	start_dead();
}

static void settle(void)
{
	if (!fake_worker_settle(schedule_run()->workers[0]))
		schedule_require("the loop goes on and on");
}

/* Whoever comes next is served: by each worker, and by an origin. */
static void serve(struct fake_worker *worker)
{
	struct witness *witness = schedule_run()->witness;
	struct asked asked = {.method = "GET",
			      .host = "a.test",
			      .path = "/1",
			      .fields = "Cache-Control: no-cache\r\n",
			      .version = 1};
	struct answered answered = {.status = 204, .fields = "", .version = 1};
	const struct asked *outstanding;
	struct fake_peer *client =
		fake_worker_accept(worker, &forward_frontend, "127.0.0.1", FAILURE_NONE);
	struct fake_peer *peer;
	struct slice bytes;
	bool own;

	asked.by = client;
	bytes = witness_ask(witness, &asked);
	if (bytes.n == 0)
		return; /* its names are used up */
	fake_peer_say(client, bytes);
	settle();
	for (unsigned i = 0; (peer = fake_peer_connected(i)) != NULL; i++)
		if (peer->conn != NULL && witness_outstanding(witness, peer, false, &outstanding)) {
			bytes = witness_answer(witness, peer, &answered);
			fake_peer_say(peer, bytes);
			witness_said(witness, peer);
		}
	settle();
	if (witness_status(witness, client, 0, &own) != 204 || own)
		schedule_require("whoever came when all was over was not served");
	fake_peer_leave(client); /* there may be few places */
	settle();
}

void sim_end(void)
{
	struct run *run = schedule_run();

	sim_after();
	fake_conn_connects(0);
	fake_conn_secures(FAILURE_NONE);
	for (unsigned i = 0; i < run->serving_count; i++)
		serve(run->serving[i]);
}

const struct schedule_event sim_events[] = {
	{'k', is_killed, "is killed"},
	{'v', is_replaced, "is replaced"},
	{'X', all_are_killed, "all are killed"},
	{'Q', all_restart, "all restart"},
	{'O', power_fails, "power fails"},
	{'L', others_take_over, "others take over"},
	{'C', copy_is_made, "copy"},
	{'m', disk_fails, "disk fails"},
	{'j', clock_is_set, "clock is set"},
	{0, NULL, NULL},
};
