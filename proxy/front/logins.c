/* A fair queue for passwords that wait to be verified. */
#include "proxy/front/logins.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

#include "proxy/access/credentials.h"

struct login {
	struct login *prev, *next; /* in the order they came */
	struct logins *logins;
	struct exchange *x;
	budget_id holder;
	budget_id name; /* of the user it claims to be */
	struct holding place;
	int64_t until_ms;
	uint64_t address_turn; /* when one of its address was verified last, or the first came */
	uint64_t name_turn;    /* the same of its address and name */
};

struct logins {
	const struct turn *turn;
	const struct budgets *budgets;
	struct credentials *credentials;
	void (*done)(struct exchange *x, enum failure failure);
	struct login *waiting;
	uint64_t turns; /* of verifying */
};

struct logins *logins_new(const struct turn *turn, const struct budgets *budgets,
			  struct credentials *credentials,
			  void (*done)(struct exchange *x, enum failure failure))
{
	struct logins *logins = calloc(1, sizeof(*logins));

	if (logins != NULL)
		*logins = (struct logins){turn, budgets, credentials, .done = done};
	return logins;
}

static void login_free(struct login *login)
{
	struct logins *logins = login->logins;

	DL_DELETE(logins->waiting, login);
	budget_give(&login->place);
	login->x->login = NULL;
	free(login);
}

void logins_free(struct logins *logins)
{
	if (logins == NULL)
		return;
	while (logins->waiting != NULL)
		login_free(logins->waiting);
	free(logins);
}

void logins_leave(struct login *login)
{
	login_free(login);
}

static bool same_address(const struct login *a, const struct login *b)
{
	return a->holder == b->holder;
}

/* Its place in the turns is that of those who wait for the same already. */
static void set_turns(struct logins *logins, struct login *login)
{
	struct login *other;

	login->address_turn = login->name_turn = logins->turns;
	DL_FOREACH(logins->waiting, other)
	{
		if (other == login || !same_address(login, other))
			continue;
		login->address_turn = other->address_turn;
		if (other->name == login->name)
			login->name_turn = other->name_turn;
	}
}

/* One was verified: it is the turn of other addresses, and of other names of this one. */
static void end_turn(struct logins *logins, const struct login *login)
{
	struct login *other;

	logins->turns++;
	DL_FOREACH(logins->waiting, other)
	{
		if (!same_address(login, other))
			continue;
		other->address_turn = logins->turns;
		if (other->name == login->name)
			other->name_turn = logins->turns;
	}
}

/* Whose turn it is: of the address that waits longest, of its names that which does, the oldest. */
static struct login *choose(const struct logins *logins)
{
	struct login *best = logins->waiting, *login;

	DL_FOREACH(logins->waiting, login)
	{
		if (login->address_turn < best->address_turn ||
		    (same_address(login, best) && login->name_turn < best->name_turn))
			best = login;
	}
	return best;
}

bool logins_wait(const struct logins *logins)
{
	return logins->waiting != NULL;
}

static bool wait_for_turn(struct logins *logins, struct exchange *x)
{
	struct login *login = calloc(1, sizeof(*login));
	budget_id holder = exchange_holder(x);

	if (login == NULL || !exchange_park(x) ||
	    budget_take(logins->budgets, BUDGET_LOGINS, 0, holder, &login->place) != BUDGET_OK) {
		free(login);
		return false;
	}
	login->logins = logins;
	login->x = x;
	login->holder = holder;
	login->name = credentials_claimed(&x->req);
	login->until_ms = logins->turn->now_ms + LOGINS_WAIT_MS;
	DL_APPEND(logins->waiting, login);
	set_turns(logins, login);
	x->login = login;
	return true;
}

enum failure logins_check(struct logins *logins, struct exchange *x, bool *ret_waits)
{
	/* Keep the order: do not overtake logins that wait. */
	enum failure failure = credentials_check(logins->credentials, &x->req, logins->turn->now_ms,
						 logins->waiting == NULL, &x->user);

	*ret_waits = failure == FAILURE_TOO_MANY_LOGINS && wait_for_turn(logins, x);
	return failure;
}

static void finish(struct login *login, enum failure failure)
{
	void (*done)(struct exchange * x, enum failure failure) = login->logins->done;
	struct exchange *x = login->x;

	login_free(login);
	done(x, failure);
}

/* The oldest stand first. */
static void refuse_late(struct logins *logins)
{
	while (logins->waiting != NULL && logins->waiting->until_ms <= logins->turn->now_ms)
		finish(logins->waiting, FAILURE_TOO_MANY_LOGINS);
}

/* When the next can be verified, or the oldest is late. */
static int64_t due_ms(const struct logins *logins)
{
	int64_t work_ms = credentials_busy_ms(logins->credentials, logins->turn->now_ms);
	int64_t late_ms;

	if (logins->waiting == NULL)
		return -1;
	late_ms = logins->waiting->until_ms - logins->turn->now_ms;
	return work_ms < late_ms ? work_ms : late_ms;
}

int64_t logins_turn(struct logins *logins)
{
	struct login *login;
	enum failure failure;

	refuse_late(logins);
	login = choose(logins);
	if (login == NULL)
		return -1;
	failure = credentials_check(logins->credentials, &login->x->req, logins->turn->now_ms, true,
				    &login->x->user);
	if (failure != FAILURE_TOO_MANY_LOGINS) {
		end_turn(logins, login);
		finish(login, failure);
	}
	return due_ms(logins);
}
