"""Whether what was measured can be true. A row that fails is not a result, and is named with the reason.

A row is one round of one server under one load, as a dict:

    connections  in_flight or rate and mean_us (or p99_us)  seconds  answers  asked
    errors  unexpected  unanswered  fewest  most  server_cpu_s  server_cores  load_busy  wrong_answer

What a row does not have is not looked at. All functions are pure.
"""

LITTLE_TOLERANCE = 0.10   # of the connections
LITTLE_SHORT = 0.20       # at most, where the run is short beside its latency
STARVED = 0.10            # of the average connection's requests
ORIGIN_TOLERANCE = 0.001  # of the requests: a kept connection may end as one is sent, and it is sent again
CPU_TOLERANCE = 1.05      # of the time of the server's cores
SATURATED = 0.95          # of the load's core,
LATE = 0.85               # and of an open loop: beyond, it is late by itself, and latencies are its own
BELOW_FLOOR = 0.80        # of the CPU time of a program that does nothing
RATE_TOLERANCE = 0.05     # of the rate that an open loop was to have
UNDISTURBED = 0.50        # of its requests, at least


def in_flight(row):
    """Requests under way on average, by Little's law; where only a p99 is known, no more than by that."""
    if "in_flight" in row:
        return row["in_flight"]
    latency_us = row.get("mean_us", row.get("p99_us"))
    return None if latency_us is None else row["rate"] * latency_us / 1e6


def little(row):
    """A closed loop has one request (or one write of several) under way on each connection all the time."""
    found = in_flight(row)
    if found is None or "connections" not in row:
        return None
    short = row.get("mean_us", 0) / 1e6 / row.get("seconds", 1)
    tolerance = min(LITTLE_TOLERANCE + short, LITTLE_SHORT)
    wanted = row["connections"]
    if (1 - tolerance) * wanted <= found <= (1 + LITTLE_TOLERANCE) * wanted:
        return None
    return (f"Little's law: throughput x latency is {found:.1f} requests under way, on {wanted} connections "
            f"(tolerance {tolerance:.0%}): most wait elsewhere")


def starvation(row):
    if "fewest" not in row or "connections" not in row:
        return None
    average = row["answers"] / row["connections"]
    if row["fewest"] >= STARVED * average or average < 10:
        return None
    return (f"a connection had {row['fewest']} answers, on average one had {average:.0f}: "
            "not all were served")


def answers(row):
    if row.get("wrong_answer"):
        return f"the answer: {row['wrong_answer']}"
    if row.get("answers") == 0:
        return "nothing was answered"
    if row.get("unexpected"):
        return (f"{row['unexpected']} of {row['answers']} answers have another status "
                f"({row.get('first_unexpected', '')})")
    if row.get("errors"):
        return f"{row['errors']} connections failed"
    if row.get("unanswered"):
        return f"{row['unanswered']} requests were not answered"
    return None


def origin(row, expected):
    """`expected` is `none`, `each` (once each request), or anything else for not looking."""
    asked = row.get("asked")
    if asked is None:
        return None
    if expected == "none" and asked > 0:
        return f"the origin was asked {asked} times in {row['answers']} hits"
    if expected == "each":
        slack = max(ORIGIN_TOLERANCE * row["answers"], 2)
        if not row["answers"] <= asked <= row["answers"] + slack:
            return f"the origin was asked {asked} times in {row['answers']} misses"
    return None


def cpu(row):
    used = row.get("server_cpu_s")
    if used is None:
        return None
    if row.get("strayed"):
        return f"threads left the server's cores: {', '.join(row['strayed'])}"
    if used <= 0:
        return "the server used no CPU time: its processes were not found"
    if used > CPU_TOLERANCE * row["elapsed_s"] * row["server_cores"]:
        return (f"the server used {used:.2f} s of CPU in {row['elapsed_s']:.2f} s on {row['server_cores']} "
                "cores: others were counted, or it left its cores")
    return None


def open_loop(row):
    """At a fixed rate, the load has to be able to send when a request is due."""
    wanted = row.get("wanted_rate")
    if wanted is None:
        return None
    if row["load_busy"] > LATE:
        return f"the load generator is saturated ({row['load_busy']:.0%} of its core)"
    if abs(row["rate"] - wanted) > RATE_TOLERANCE * wanted:
        return f"{row['rate']:.0f} requests/s where {wanted:.0f} were due"
    if row.get("undisturbed", 1) < UNDISTURBED:
        return f"others had its core for {1 - row['undisturbed']:.0%} of the requests"
    return None


def faults(row, expected_origin="any"):
    """All reasons why a row is not a result."""
    found = [answers(row), origin(row, expected_origin), little(row), starvation(row), cpu(row), open_loop(row)]
    return [reason for reason in found if reason]


def below_floor(cpu_us, floor_us):
    """Of medians: nothing that answers is much cheaper than what does nothing but answer."""
    if floor_us and cpu_us < BELOW_FLOOR * floor_us:
        return (f"{cpu_us:.2f} us of CPU is {cpu_us / floor_us:.2f} times the floor of {floor_us:.2f} us: "
                "not all of its processes were counted")
    return None


def bound(row):
    """What keeps the rate from being higher: it compares servers only where that is the server."""
    if row.get("server_busy", 0) > SATURATED * 0.95:
        return "server"
    return "load" if row.get("load_busy", 0) > SATURATED * 0.9 else "neither core"
