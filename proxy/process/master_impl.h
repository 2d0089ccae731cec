/* Private to the master: shared by master.c and reload.c only. */
#ifndef PROXY_PROCESS_MASTER_IMPL_H
#define PROXY_PROCESS_MASTER_IMPL_H

#include <signal.h>
#include <sys/types.h>

#include "proxy/process/copier.h"
#include "proxy/process/generation.h"
#include "proxy/process/worker.h"

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

struct master {
	const struct generation_source *source;
	struct generation *now;
	struct generation *next; /* its workers are being started; NULL for none */
	int64_t next_ms;         /* when that is given up */
	int64_t retire_ms; /* for those before to say that they accept no more; NEVER for not */
	int64_t look_ms;   /* for workers that hang; INT64_MAX while none serves */
	bool reload;       /* asked for */
	uint64_t ticket;   /* of the last that was begun */
	struct worker_shared *shared;
	void (*ready)(const struct conf *conf, const struct listener *first);
	struct member *members; /* each has the block of its place in what is shared */
	unsigned count;
	unsigned failed_starts; /* in a row, of all */
	int signals;
	int started[2]; /* pipe: a worker that serves says so by its process id */
	sigset_t mask_before;
	struct copier copier;
	int64_t now_ms;   /* monotonic, less the time in which this process stood still */
	int64_t still_ms; /* how much that was */
	int64_t kill_ms;  /* when stopping or replacing: the last deadline */
	bool greeted;
	bool stopping;
	bool hurried;
	bool replacing; /* all, and none is started before all have ended */
	int status;
};

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

/* Tell the service manager what is in effect, after `before`. */
void master_notify_serving(const struct master *master, const char *before);

void master_signal_all(const struct master *master, int number);
void master_count_alive(struct master *master);

#endif
