/*
 * Private to the master, whose files these are: master.c, the loop; members.c, the workers;
 * stopping.c, ends; reload.c; upgrade.c; hung.c.
 */
#ifndef PROXY_PROCESS_MASTER_IMPL_H
#define PROXY_PROCESS_MASTER_IMPL_H

#include <signal.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "proxy/process/copier.h"
#include "proxy/process/generation.h"
#include "proxy/process/handover.h"
#include "proxy/process/worker.h"
#include "proxy/stats/reload.h"

enum {
	MASTER_GRACE_MS = 5000, /* for a worker to end, after its own deadline to drain */
	MASTER_HURRY_MS = 4000, /* to end at once: with what was queued stored, and that synced */
};

#define NEVER INT64_MAX

struct member {
	pid_t pid;           /* 0 for none */
	uint64_t generation; /* 0 when this place is free */
	unsigned index;      /* of its sockets in the generation */
	bool ready;          /* it serves */
	bool retired;        /* and accepts no more, of an earlier generation */
	int64_t started_ms;
	int64_t due_ms;    /* when to be started */
	unsigned at_once;  /* deaths in a row soon after the start */
	int64_t turned_ms; /* its loop has, as far as it was looked at */
	uint64_t turns;    /* by then */
	int64_t kill_ms;   /* of one of an earlier generation that is to end; NEVER for not */
	bool hurried;      /* likewise */
};

/* A program that is tried. */
struct trial {
	pid_t pid;        /* 0 for none */
	struct stat look; /* of its file */
	int report;       /* a pipe, see handover.h */
	char text[RELOAD_TEXT_SIZE];
	size_t length;
	int64_t due_ms;
	const char *why; /* it was given up; NULL for not */
};

struct master {
	const struct generation_source *source;
	struct generation *now;
	struct generation *next; /* its workers are being started; NULL for none */
	uint64_t last_number;    /* of all generations whose workers were started */
	int64_t next_ms;   /* when that is given up, and when to go back to the program before */
	int64_t retire_ms; /* for those before to say that they accept no more; NEVER for not */
	int64_t look_ms;   /* for workers that hang; INT64_MAX while none serves */
	bool reload;       /* asked for */
	uint64_t ticket;   /* of the last that was begun */
	bool upgrade;      /* asked for */
	uint64_t upgrade_ticket; /* likewise */
	struct trial trial;
	/* That this one takes over from, until its own workers serve alone; NULL for none. */
	struct handover *before;
	struct worker_shared *shared;
	void (*ready)(const struct conf *conf, const struct listener *first);
	/*
	 * Each has the block of its place in what is shared, but for those from `slots` on: they
	 * are of the program before.
	 */
	struct member *members;
	unsigned count, slots;
	unsigned store_slots;   /* workers that the store has room for */
	unsigned failed_starts; /* in a row, of all */
	int64_t none_since_ms;  /* when the last worker that served ended */
	int signals;
	int started[2]; /* pipe: a worker that serves says so by its process id */
	sigset_t mask_before;
	struct copier copier;
	int64_t now_ms;     /* monotonic, less the time in which this process stood still */
	int64_t still_ms;   /* how much that was */
	int64_t kill_ms;    /* when stopping or replacing: the last deadline */
	int64_t crashed_ms; /* when a worker crashed last */
	unsigned crashes;   /* until then, not far apart */
	bool greeted;
	bool stopping;
	bool hurried;
	bool replacing; /* all, and none is started before all have ended */
	int status;
};

/* Whether another master only looks what would become of this one. */
static inline bool master_is_trial(const struct master *master)
{
	return master->before != NULL && master->before->kind == HANDOVER_TRIAL;
}

/* ---- stopping.c ----------------------------------------------------------------------------- */

/* For workers to end by themselves, when asked to. */
int64_t master_drain_ms(const struct master *master);

/* Drain all workers, and end with them. */
void master_stop(struct master *master, int status);

/* End them at once. */
void master_hurry(struct master *master);

/* Nothing is left to wait for. */
bool master_is_done(const struct master *master);

/* Deadlines of both. */
void master_kill_late(struct master *master);

/*
 * The store's files are not what its path names (store_hold.h): all workers end, and when the last
 * has, others are started.
 */
void master_replace_all(struct master *master);

/* A worker has crashed: when that goes on, the store may be the cause, and all workers are replaced. */
void master_note_crash(struct master *master);
void master_hurry_replaced(struct master *master);
void master_start_all(struct master *master);

/*
 * A start failed.  True when the service cannot go on: a worker that ended by itself before the
 * service was up has said why (`told`), and would say it again.
 */
bool master_give_up(struct master *master, bool told);

/* Whether it would be so with one more. */
bool master_is_last_start(const struct master *master, bool told);

void master_signal_all(const struct master *master, int number);

/* ---- members.c ------------------------------------------------------------------------------ */

/* Start those that are due. */
void master_start_due(struct master *master);

/* What workers say over the pipe. */
void master_note_words(struct master *master);

/* Children that have ended. */
void master_reap(struct master *master);

void master_count_alive(struct master *master);

/* ---- hung.c --------------------------------------------------------------------------------- */

/* Once a second: the first that hangs is killed. */
void master_look_for_hung(struct master *master);

/* All have their time anew. */
void master_turned_all(struct master *master, int64_t now_ms);

/* ---- reload.c ------------------------------------------------------------------------------- */

/* No worker has it. */
void master_free_place(struct member *member);

/*
 * Places for the workers of a generation, the first to be started now and the others at `due_ms`;
 * false when there are too few.
 */
bool master_take_places(struct master *master, const struct generation *generation, int64_t due_ms);

/* Begin the reload that was asked for, when nothing stands in its way. */
void master_begin_reload(struct master *master);

/* A worker of the next generation serves.  With the last of them the others retire. */
void master_take_over(struct master *master);

/* Back to what there was before. */
void master_give_up_next(struct master *master, const char *why);

/* A worker of a generation that is not in effect has ended. */
void master_other_ended(struct master *master, struct member *member, int status);

/* Deadlines of such, and of the reload. */
void master_end_late_others(struct master *master);
void master_finish_reload(struct master *master);

/* Nothing is under way that a reload or an upgrade would have to wait for. */
bool master_may_change(struct master *master);

/* Those before accept no more, as soon as they can. */
void master_retire_older(struct master *master);

/* Operators who asked `to`, with tickets up to this one, are told what is in effect now. */
void master_answer(const struct master *master, struct reload *to, uint64_t ticket, bool ok,
		   const char *text);

/* Tell the service manager what is in effect, after `before`. */
void master_notify_serving(const struct master *master, const char *before);

/* ---- upgrade.c ------------------------------------------------------------------------------ */

/* Begin the upgrade that was asked for, when nothing stands in its way. */
void master_begin_upgrade(struct master *master);

/* The program that is tried: what it says, its deadline, its end (false when it is not `pid`). */
void master_turn_trial(struct master *master);
bool master_trial_ended(struct master *master, pid_t pid, int status);
void master_give_up_trial(struct master *master, const char *why);

/* Workers of the program before; false without memory. */
bool master_adopt(struct master *master, struct handover *before);

/* All of our workers are ready: we take over. */
void master_begin_service(struct master *master);

/* They cannot be: the program before goes on. */
void master_go_back(struct master *master, const char *why);

/* Those before accept no more. */
void master_finish_upgrade(struct master *master);

#endif
