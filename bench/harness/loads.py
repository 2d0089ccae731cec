"""The loads: what is asked, of whom, and what has to be true of the answers."""

import dataclasses

from harness.servers import Profile

MIB = 1 << 20


@dataclasses.dataclass(frozen=True)
class Load:
    name: str
    title: str
    path: str = "/hit"
    profile: Profile = Profile()
    kind: str = "closed"          # closed, wrk, transfer, idle, start, paced, rate, writes, purge
    origin: str = "none"          # how often it may be asked: none, each, any
    status: int = 204
    options: dict = dataclasses.field(default_factory=dict)  # of bench/closed.c
    keys: int = 0
    needs: frozenset = frozenset()  # abilities
    floor: str = ""
    unit: str = "request"
    # More entrants beside the servers: profiles whose rows are set against the same server's without them.
    beside: tuple = ()
    share: float = 0.0            # of the capacity, for paced
    killed: bool = False          # before a start
    asked_for: bool = False       # only when LOADS has it
    quick: bool = False
    why: str = ""


def needs(*abilities):
    return frozenset(abilities)


CONDITION = 'If-None-Match: "bench"'
MANY = (("5,000,000 records", Profile(store="5000000")),)
LOG, TWO, FOUR = Profile(log=True), Profile(workers=2), Profile(workers=4)

LOADS = [
    Load("hit", "hit", floor="limit", quick=True),
    Load("hit_304", "304 hit", status=304, options={"field": CONDITION},
         why="those that answer a matching condition with the stored 204 have no row"),
    Load("hit_wrk", "hit, by wrk", kind="wrk", floor="limit",
         why="the same load by another program: its ratios have to be those of the first row"),
    Load("hit_pipelined", "hit, 16 pipelined", profile=Profile("pipelined"), options={"depth": 16},
         floor="limit", quick=True),
    Load("hit_close", "hit on a connection of its own", profile=Profile("close"), options={"kind": "close"},
         floor="limit", quick=True),
    Load("miss", "miss", path="/miss/", profile=Profile("miss"), origin="each", options={"from": "next"},
         floor="relay", quick=True, why="each for another URI, answered with no-store"),
    Load("miss_stored", "miss that is stored", path="/hit/", profile=Profile("miss"), origin="each",
         options={"from": "next"}, floor="relay", why="each for another URI, fresh for an hour"),
    Load("miss_tls", "miss to a kept, verified https origin", path="/miss/", profile=Profile("miss", tls_origin=True),
         origin="each", options={"from": "next"}, needs=needs("tls_origin")),
    Load("body", "200 of 1 KiB, passed through", path="/body/", profile=Profile("miss"), origin="each", status=200,
         options={"from": "next"}, floor="relay"),
    Load("keys_1k", "hits of 1,000 URIs", path="/hit/", keys=1000, profile=Profile("keys")),
    Load("keys_100k", "hits of 100,000 URIs", path="/hit/", keys=100000, profile=Profile("keys")),
    Load("zipf_100k", "hits of 100,000 URIs by Zipf's law", path="/hit/", keys=100000,
         profile=Profile("keys"), options={"zipf": 0.99}),
    Load("herd", "herd: 64 ask for one cold URI", path="/herd/", profile=Profile("herd"), origin="any",
         options={"from": "next", "same": "connections", "together": 1}, needs=needs("herd"),
         why="all ask at once, and again when all have their answers; the origin takes 10 ms; asked once for each URI "
             "it has 0.0156 of the requests"),
    Load("tunnel_setup", "CONNECT, one small exchange, closed", path="/miss", profile=Profile("connect"),
         origin="each", options={"kind": "tunnel"}, needs=needs("connect"), floor="relay", quick=True),
    Load("tunnel_transfer", "CONNECT, 256 MiB", path="/large", profile=Profile("connect"), kind="transfer",
         origin="any", status=200, needs=needs("connect"), unit="MiB"),
    Load("transfer", "200 of 256 MiB, passed through", path="/large", profile=Profile("miss"), kind="transfer",
         origin="any", status=200, unit="MiB"),
    Load("hit_log", "hit with the access log on", beside=(("log", LOG),), needs=needs("log")),
    Load("hit_workers", "hit, by number of workers", beside=(("2 workers", TWO), ("4 workers", FOUR)),
         needs=needs("workers"), why="on the server's cores, which the machine's description tells"),
    Load("hit_tls", "hit, TLS to the client", profile=Profile(tls_clients=True), needs=needs("tls_clients")),
    Load("latency_20", "hits at 20 % of capacity", path="/hit/", kind="paced", keys=1, share=0.2, unit=""),
    Load("latency_50", "hits at 50 % of capacity", path="/hit/", kind="paced", keys=1, share=0.5, unit=""),
    Load("latency_80", "hits at 80 % of capacity", path="/hit/", kind="paced", keys=1, share=0.8, unit=""),
    Load("writes", "hits beside 2,000 stores a second", path="/hit/", kind="writes", keys=1000,
         profile=Profile("keys"), origin="any", unit="",
         why="latency of 2,000 hits a second, of 1,000 URIs, at a fixed rate"),
    Load("idle", "idle connections", kind="idle", unit="connection",
         why="growth of memory (PSS without files) from none to all of them, which have asked once"),
    Load("writes_full", "hits beside 2,000 stores a second, each of which evicts", path="/hit/", kind="writes",
         keys=1000, profile=Profile("keys", store="full"), origin="any", unit="", asked_for=True,
         why="as `writes`, of cache204 alone, on a store that bench/fill.c filled"),
    Load("random_5m", "hits of 5,000,000 URIs, 16 pipelined", path="/hit/",
         options={"depth": 16}, profile=Profile("pipelined", store="1000"),
         beside=(("5,000,000 records", Profile("pipelined", store="5000000")),), asked_for=True,
         why="of cache204 alone, on stores that bench/fill.c made"),
    Load("start_5m", "start with 5,000,000 records", path="/hit/", kind="start", unit="start",
         profile=Profile(store="1000"), beside=MANY, asked_for=True,
         why="from the start of the program to its first hit, after it was stopped; its files are in the page cache"),
    Load("start_5m_killed", "start with 5,000,000 records after a kill -9", path="/hit/", kind="start", unit="start",
         profile=Profile(store="1000"), beside=MANY, asked_for=True, killed=True),
    Load("rate_5m", "hits beside 5,000,000 records", path="/hit/", kind="rate", keys=10,
         profile=Profile(store="5000000"), unit="", asked_for=True,
         why="latency of 2,000 hits a second, of 10 URIs, at a fixed rate: what `purge_5m` is set against"),
    Load("purge_5m", "hits while 5,000,000 records are purged", path="/hit/", kind="purge", keys=10, origin="any",
         profile=Profile(store="5000000"), unit="", asked_for=True,
         why="the same while all that is stored is purged and removed"),
]


def chosen(names, quick):
    """The loads that a run has, in the order of the table; unknown names are an error of the caller."""
    known = {load.name for load in LOADS}
    wrong = set(names) - known
    if wrong:
        raise ValueError(f"no load {', '.join(sorted(wrong))}; there are {', '.join(load.name for load in LOADS)}")
    if names:
        return [load for load in LOADS if load.name in names]
    return [load for load in LOADS if not load.asked_for and (load.quick or not quick)]


@dataclasses.dataclass(frozen=True)
class Entrant:
    """A server in one load: the label of its row, and the label that its ratio is to."""
    server: object
    label: str
    profile: Profile
    base: str


def entrants(load, servers):
    found = []
    for server in servers:
        if server.is_floor:
            if server.name == load.floor:
                found.append(Entrant(server, server.name, load.profile, "cache204"))
            continue
        if load.profile.store and server.name != "cache204":
            continue
        if not load.needs <= server.can:
            continue
        found.append(Entrant(server, server.name, load.profile, "cache204"))
        for words, profile in load.beside:
            found.append(Entrant(server, f"{server.name}, {words}", profile, server.name))
    return found


def left_out(load, servers):
    """Names of the servers that do not have what the load needs."""
    if load.profile.store:
        return []
    return [server.name for server in servers if not server.is_floor and not load.needs <= server.can]
