/* A simulated service, made from a seed; see world.h. */
#include "tests/sim/world.h"

#include <stdio.h>

#include "tests/doubles/fake_lmdb.h"
#include "tests/oracle/dice.h"
#include "tests/oracle/lanes.h"
#include "tests/sim/events.h"

enum { EVENT_MAX = 96, EVENTS_LEAST = 20, EVENTS_MORE = 70, FAULTS = 60, WEIGHTS = 5 };

/* One that is being made. */
struct maker {
	uint64_t dice;
	unsigned workers;
	char *to; /* room for EVENT_MAX */
};

static unsigned roll(struct maker *maker, unsigned sides)
{
	return dice_roll(&maker->dice, sides);
}

static char pick(struct maker *maker, const char *choices)
{
	return dice_pick(&maker->dice, choices);
}

static char any(struct maker *maker, unsigned sides)
{
	return (char)('0' + roll(maker, sides));
}

/* A worker: mostly of those that there are from the first on. */
static char one(struct maker *maker)
{
	return any(maker, roll(maker, 4) == 0 ? FAKE_WORKERS : maker->workers);
}

#define PUT(...) snprintf(maker->to, EVENT_MAX, __VA_ARGS__)

/* ---- traffic -------------------------------------------------------------------------------- */

/* One of a few URIs, mostly by GET. */
static int ask(struct maker *maker)
{
	return PUT("a%c%c%c%c%c", any(maker, SCHEDULE_CLIENTS), pick(maker, "0000001222347"),
		   pick(maker, "0000122"), pick(maker, "000000013456<=?B"),
		   pick(maker, "00000001"));
}

static int ask_anything(struct maker *maker)
{
	return PUT("%c%c%c%c%c%c", pick(maker, "aaA"), any(maker, SCHEDULE_CLIENTS), any(maker, 10),
		   any(maker, 16), any(maker, 20), any(maker, 10));
}

/* What is fresh, stale at once, private, confirms, fails, invalidates a group, refers elsewhere. */
static int answer(struct maker *maker)
{
	return PUT("r%c%c", pick(maker, "000123"), pick(maker, "000000333344449:=?KLMrrsstu"));
}

static int answer_anything(struct maker *maker)
{
	return PUT("%c%c%c", pick(maker, "rrER"), any(maker, 4), (char)('0' + roll(maker, 71)));
}

static int in_pieces(struct maker *maker)
{
	switch (roll(maker, 4)) {
	case 0:
		return PUT("A%c0%c00 s%c%c T s%c%c", any(maker, 2), any(maker, 2), any(maker, 2),
			   any(maker, 11), any(maker, 2), any(maker, 11));
	case 1:
		return PUT("R0%c w0%c T w0%c S w00", pick(maker, "035678?s"), any(maker, 11),
			   any(maker, 11));
	case 2:
		return PUT("l%c%c%c", any(maker, SCHEDULE_CLIENTS), any(maker, 4), any(maker, 11));
	default:
		return PUT("q%c%c%c", any(maker, 4), any(maker, 4), any(maker, 11));
	}
}

static int line_ends(struct maker *maker)
{
	return roll(maker, 2) == 0 ? PUT("e%c%c", any(maker, SCHEDULE_CLIENTS), any(maker, 3))
				   : PUT("f%c%c", any(maker, 4), any(maker, 3));
}

/*
 * Of one URI, one after the other by two clients with fields of their own, perhaps when time has
 * passed: what the first was answered, and the other may have.
 */
static int pair(struct maker *maker)
{
	char uri = pick(maker, "0012");

	return PUT("a%c%c%c%c0 S r0%c S t%c t%c a%c%c%c%c0 S r0%c S", any(maker, SCHEDULE_CLIENTS),
		   pick(maker, "000001"), uri, pick(maker, "000009<=B?2"),
		   pick(maker, "000123==LMOr<tu"), pick(maker, "000034578"),
		   pick(maker, "00003578"), any(maker, SCHEDULE_CLIENTS), pick(maker, "000001"),
		   uri, pick(maker, "0000003456<=9"), pick(maker, "0344:>N"));
}

/* One is answered, another changes it, perhaps by way of another URI, and a third asks for it. */
static int related(struct maker *maker)
{
	char uri = pick(maker, "01"), fault[8] = "";

	if (roll(maker, 4) == 0) /* of what it does at once with what is stored */
		snprintf(fault, sizeof(fault), "m%c ", any(maker, FAULTS));
	return PUT("a%c0%c00 S r0%c S a%c%c%c00 S %sr0%c S %c a%c0%c00 S",
		   any(maker, SCHEDULE_CLIENTS), uri, pick(maker, "00rrru3O"),
		   any(maker, SCHEDULE_CLIENTS), pick(maker, "223478"), pick(maker, "01"), fault,
		   pick(maker, "0sssttuA"), pick(maker, "TSC"), any(maker, SCHEDULE_CLIENTS), uri);
}

/* Asked of its origin before a purge or a change, answered and perhaps stored after it. */
static int in_flight(struct maker *maker)
{
	char uri = pick(maker, "01"), last = any(maker, SCHEDULE_CLIENTS);

	/* what was there already is removed, or is not, when it comes */
	if (roll(maker, 2) == 0)
		return PUT("a%c0%c00 S P%c%c0 t%c r0%c S t%c a%c0%c00 S",
			   any(maker, SCHEDULE_CLIENTS), uri, one(maker), pick(maker, "01233"),
			   pick(maker, "002345"), pick(maker, "00rr3"), pick(maker, "0025"), last,
			   uri);
	return PUT("a%c0%c00 S a%c%c%c00 S r0%c S t%c r1%c S a%c0%c00 S",
		   any(maker, SCHEDULE_CLIENTS), uri, any(maker, SCHEDULE_CLIENTS),
		   pick(maker, "223478"), pick(maker, "01"), pick(maker, "0stu"),
		   pick(maker, "0025"), pick(maker, "00rr3"), last, uri);
}

/* Several ask for the same at once; the first leaves, or the origin does, or what it says is for one. */
static int together(struct maker *maker)
{
	char uri = pick(maker, "0122"), first = any(maker, SCHEDULE_CLIENTS);
	char before[8] = "", after[8];

	snprintf(after, sizeof(after), "r0%c", pick(maker, "01235:=J"));
	switch (roll(maker, 6)) {
	case 0:
		snprintf(after, sizeof(after), "e%c%c", first, any(maker, 3));
		break;
	case 1:
		snprintf(after, sizeof(after), "f0%c", any(maker, 3));
		break;
	case 2: /* its name is not found, or only after a while */
		snprintf(before, sizeof(before), "n%c%c ", pick(maker, "0344"), any(maker, 4));
		snprintf(after, sizeof(after), "t%c", pick(maker, "2345"));
		uri = '4';
		break;
	case 3:
		snprintf(before, sizeof(before), "c%c ", any(maker, 5));
		snprintf(after, sizeof(after), "t%c c0", pick(maker, "2345"));
		break;
	default:
		break;
	}
	return PUT("%sa%c0%c%c0 a%c%c%c%c0 a%c0%c00 S %s S r0%c S", before, first, uri,
		   pick(maker, "0003"), any(maker, SCHEDULE_CLIENTS), pick(maker, "001"), uri,
		   pick(maker, "000<="), any(maker, SCHEDULE_CLIENTS), uri, after,
		   pick(maker, "0013"));
}

/*
 * A kept connection is used again, by one who was there before it, when its origin has said what
 * nobody asked for, or has answered before all of the request was there.
 */
static int kept(struct maker *maker)
{
	char client = any(maker, SCHEDULE_CLIENTS), host = pick(maker, "0022");

	if (roll(maker, 2) == 0)
		return PUT("a%c0%c10 S r0%c S u0%c a%c0%c10 %c S r0%c S", client, host,
			   pick(maker, "00059"), pick(maker, "0059"), client, host,
			   pick(maker, "TB"), pick(maker, "005"));
	return PUT("A%c3%c0%c s%c%c S E0%c S a%c0%c10 S r0%c s%c0 S", client, host,
		   pick(maker, "456"), client, pick(maker, "678"), pick(maker, "005"),
		   any(maker, SCHEDULE_CLIENTS), host, pick(maker, "005"), client);
}

/* ---- time and schedules --------------------------------------------------------------------- */

static int go(struct maker *maker)
{
	return PUT("%c", pick(maker, "SSSSTTB"));
}

static int time_passes(struct maker *maker)
{
	return PUT("t%c", pick(maker, "0012233344456789"));
}

static int stops(struct maker *maker)
{
	return PUT("i%c%c", one(maker), any(maker, 60));
}

static int goes_on(struct maker *maker)
{
	return PUT("g%c%c", one(maker), roll(maker, 2) ? '0' : any(maker, 30));
}

/* ---- purges --------------------------------------------------------------------------------- */

static int purge(struct maker *maker)
{
	if (roll(maker, 3) == 0)
		return PUT("V%c%c", one(maker), any(maker, 4));
	return PUT("P%c%c%c", one(maker), pick(maker, "01112223334567"), pick(maker, "0001"));
}

/* Stopped while it writes or looks; another invalidates or purges, and who was told asks it. */
static int crossing(struct maker *maker)
{
	char first = any(maker, maker->workers), other = any(maker, maker->workers);
	char uri = pick(maker, "01");

	if (roll(maker, 2) == 0)
		return PUT("a%c0%c00 S r%c0 i%c%c T P%c%c0 a%c0%c00 %c%c0 S", first, uri,
			   pick(maker, "00000rrr"), first, any(maker, 60), other,
			   pick(maker, "1223567"), other, uri, pick(maker, "gggk"), first);
	return PUT("a%c0%c00 a%c0%c00 i%c%c S a%c2%c00 S r%c0 S a%c0%c00 %c%c0 S", first,
		   pick(maker, "01"), first, uri, first, any(maker, 60), other, uri,
		   pick(maker, "01"), other, uri, pick(maker, "gggk"), first);
}

/* ---- lives ---------------------------------------------------------------------------------- */

static int dies(struct maker *maker)
{
	return roll(maker, 3) == 0 ? PUT("v%c", any(maker, 8))
				   : PUT("i%c%c T k%c", one(maker), any(maker, 60), one(maker));
}

static int reload(struct maker *maker)
{
	char client = any(maker, SCHEDULE_CLIENTS);

	if (roll(maker, 3) > 0)
		return PUT("L%c%c", any(maker, 4), any(maker, 8));
	/* the next request is there when an answer is under way */
	return PUT("a%c0%c00 S R0%c w0%c S a%c0%c00 S L%c%c w00 S r00 S", client, any(maker, 2),
		   pick(maker, "567?"), pick(maker, "5678"), client, any(maker, 2), any(maker, 4),
		   any(maker, 8));
}

static int restart(struct maker *maker)
{
	return PUT("%c", pick(maker, "XXQ"));
}

static int copy(struct maker *maker)
{
	return PUT("C");
}

static int power(struct maker *maker)
{
	return roll(maker, 2) == 0 ? PUT("C") : PUT("O%c", any(maker, 16));
}

/* ---- troubles ------------------------------------------------------------------------------- */

static int disk(struct maker *maker)
{
	return PUT("m%c", any(maker, FAULTS));
}

static int network(struct maker *maker)
{
	switch (roll(maker, 5)) {
	case 0:
		return PUT("c%c", pick(maker, "00001234"));
	case 1:
		return PUT("d%c%c", any(maker, 4), any(maker, 5));
	case 2:
		return PUT("n%c%c", any(maker, 5), any(maker, 4));
	case 3:
		return PUT("z%c", any(maker, 3));
	default:
		return PUT("c0");
	}
}

static int calls(struct maker *maker)
{
	return PUT("%c%c", pick(maker, "FH"), any(maker, 64));
}

static int clock(struct maker *maker)
{
	return PUT("j%c", any(maker, 12));
}

/* What may happen, and how often it does when a world has it. */
static const struct {
	int (*make)(struct maker *maker);
	unsigned weight;
	bool always;
} kinds[] = {
	/* clang-format off */
	{ask, 12, true},
	{answer, 12, true},
	{go, 10, true},
	{time_passes, 4, true},
	{ask_anything, 2, false},
	{answer_anything, 3, false},
	{pair, 5, false},
	{related, 4, false},
	{in_flight, 3, false},
	{together, 3, false},
	{kept, 3, false},
	{in_pieces, 2, false},
	{line_ends, 2, false},
	{stops, 8, false},
	{goes_on, 4, false},
	{purge, 3, false},
	{crossing, 4, false},
	{dies, 4, false},
	{reload, 2, false},
	{restart, 2, false},
	{copy, 1, false},
	{power, 2, false},
	{disk, 3, false},
	{network, 2, false},
	{calls, 1, false},
	{clock, 2, false},
	/* clang-format on */
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* Each world has some of it only: what is everywhere hides what comes of one thing alone. */
struct slice world_of(uint64_t seed, char text[static WORLD_TEXT_MAX])
{
	struct maker maker = {.dice = dice_of(seed)};
	unsigned weights[KINDS], sum = 0, events;
	size_t n = 0;

	maker.workers = 1 + roll(&maker, 4);
	for (unsigned i = 0; i < KINDS; i++) {
		weights[i] = kinds[i].always || roll(&maker, 3) == 0 ? kinds[i].weight : 0;
		if (weights[i] > 0 && roll(&maker, WEIGHTS) == 0)
			weights[i] *= 3;
		sum += weights[i];
	}
	events = EVENTS_LEAST + roll(&maker, EVENTS_MORE);
	n = (size_t)snprintf(text, WORLD_TEXT_MAX, "%u%c", maker.workers,
			     pick(&maker, "0000222446613577@8"));
	for (unsigned i = 0; i < events; i++) {
		unsigned at = roll(&maker, sum), kind = 0;

		while (at >= weights[kind])
			at -= weights[kind++];
		text[n++] = ' ';
		maker.to = text + n;
		n += (size_t)kinds[kind].make(&maker);
	}
	return slice_of(text, n);
}

/* ---- playing -------------------------------------------------------------------------------- */

static struct world_told told;

static void add(uint64_t *trace, struct slice bytes)
{
	for (size_t i = 0; i < bytes.n; i++)
		*trace = (*trace ^ (unsigned char)bytes.p[i]) * UINT64_C(1099511628211);
	*trace = (*trace ^ bytes.n) * UINT64_C(1099511628211);
}

static void judged(void)
{
	const struct fake_peer *peer;

	told = (struct world_told){.trace = fake_lmdb_trace() ^ lanes_stops(),
				   .time_ms = fake_conn_now_ms()};
	for (unsigned i = 0; (peer = fake_peer_at(i)) != NULL; i++) {
		add(&told.trace, slice_of(peer->said.p, peer->said.n));
		add(&told.trace, fake_peer_got(peer));
		told.requests += peer->address.any.sa_family == AF_UNSPEC;
	}
}

void world_play(struct slice text, bool verbose, struct world_told *ret_told)
{
	const struct schedule_world world = {
		.events = sim_events,
		.workers = text.n > 0 && text.p[0] >= '1' && text.p[0] <= '4'
				   ? (unsigned)(text.p[0] - '0')
				   : 1,
		.options = text.n > 1 ? (unsigned)(text.p[1] - '0') % 16 : 0,
		.set = sim_set,
		.begin = sim_begin,
		.after = sim_after,
		.quiet = sim_quiet,
		.end = sim_end,
		.judged = judged,
	};
	size_t head = text.n < 2 ? text.n : 2;

	schedule_play_world(slice_of(text.p + head, text.n - head), &world, verbose);
	sim_forget();
	*ret_told = told;
}
