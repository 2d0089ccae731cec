"""One proxy under faults: starts it, gives it a case, and looks afterwards whether all is as it has to be."""

import os
import pathlib
import time

from page import Page
from support.nameserver import NameServer
from support.proxy import FAULT, Proxy
from support.tls import Authority
from support.until import until
from traffic import Clients, Wrong, everything
from world import TlsWorldOrigin, World, WorldOrigin

SETTLED = 4.0  # seconds
QUIET = ("clients", "exchanges", "waiting", "tunnels_open", "writes_waiting", "refusals")


class Names(NameServer):
    """Every name of .test is this machine."""

    def __init__(self):
        super().__init__(self)

    def get(self, name, otherwise):
        return ["127.0.0.1"] if name.endswith(".test") else otherwise


class Bench:
    def __init__(self, directory, workers, *options):
        self.directory = pathlib.Path(directory)
        self.page = Page(self.make("page"))
        self.world = World()
        self.names = Names()
        authority = Authority(self.directory / "ca")
        self.plain = WorldOrigin(self.world)
        self.secure = TlsWorldOrigin(self.world, authority.issue("DNS:origin.test"))
        self.proxy = Proxy(self.directory, f"workers={workers}", "connect_ports=*", "allow_ports=*", "allow=.test,127.0.0.0/8",
                           f"resolvers={self.names.address}", "hosts_file=", "dns_cache=0", "origin_idle_timeout=200ms",
                           "dns_timeout=1s", f"tls_ca_file={authority.file}",
                           *options, start=False)
        self.file = self.make("cache204.conf")
        self.file.write_text("# all is on the command line\n")
        self.proxy.arguments = ["-c", str(self.file)]
        self.proxy.environment = self.page.environment
        self.count = workers
        self.number = 0
        self.stats = None

    def make(self, name):
        self.directory.mkdir(parents=True, exist_ok=True)
        return self.directory / name

    def start(self):
        self.proxy.start()
        self.workers = self.proxy.workers()
        for _ in range(3):
            self.run_case(None)  # what is made once is made
        self.kinds = self.page.names()
        return self

    def close(self):
        self.page.disarm()
        if self.proxy.is_alive():
            self.proxy.stop()
        self.plain.close()
        self.secure.close()
        self.names.close()

    def origins(self):
        named = _Named(self.plain, f"n{self.number}.test")
        return self.plain, named, self.secure

    # ---- a case ----

    def run_case(self, fault):
        """The traffic, with a fault in it; raises Wrong for what is wrong. Returns what clients saw."""
        self.number += 1
        before = self.stats or self.quiet()
        clients = Clients(self.world, self.proxy, patient=fault is None or not fault.all)
        asked = self.world.requests
        if fault is None:
            self.page.count()
        else:
            self.page.arm(fault, self.kinds)
        try:
            everything(clients, self.origins(), str(self.number))
        finally:
            clients.drop()
            self.happened = self.page.happened
            self.page.disarm()
        self.stats = self.quiet()
        self.look(before, self.stats, clients.tally, self.world.requests - asked)
        self.served()
        return clients.tally

    def quiet(self):
        """The statistics when nothing is under way."""
        found = []

        def still():
            stats = self.proxy.stats()
            found[:] = [stats]
            return all(stats["gauges"][name] == 0 for name in QUIET)
        try:
            until(still, "nothing is under way")
        except AssertionError:
            raise Wrong(f"under way for ever: {found[0]['gauges']}") from None
        return found[0]

    def served(self):
        """Who asks next is answered, by each worker after a while."""
        clients = Clients(self.world, self.proxy)
        path = f"/fresh/after{self.number}"
        for _ in range(2):
            clients.ask(clients.question(self.plain, path), again=0)
        clients.drop()
        self.stats = self.quiet()

    def each_serves(self):
        """Every worker takes connections."""
        found = set()
        for _ in range(60 * len(self.workers)):
            with self.proxy.connect() as client:
                client.send(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
                if client.response().status != 204:
                    raise Wrong("OPTIONS * is not answered")
                found.add(self.proxy.worker_of(client))
            if found >= self.workers:
                self.stats = self.quiet()
                return
        raise Wrong(f"of the workers {self.workers} only {found} take connections")

    def look(self, before, after, tally, origin_requests):
        workers = self.proxy.workers()
        if workers != self.workers:
            raise Wrong(f"workers {self.workers} have become {workers}: {self.proxy.errors()[-1500:]}")
        if FAULT.search(self.proxy.errors()):
            raise Wrong(self.proxy.errors()[-6000:])
        equations(before, after, tally, origin_requests)
        once = {name: n for name, n in self.world.unsafe.items() if n > 1}
        if once:
            raise Wrong(f"unsafe requests that came more than once: {once}")
        if self.plain.faults or self.secure.faults:
            raise Wrong(f"malformed requests: {self.plain.faults + self.secure.faults}")

    # ---- what may have leaked ----

    def kept(self):
        """Descriptors and pieces of memory of all processes, when no connection is left."""
        until(lambda: self.quiet()["gauges"]["origins"] == 0, "idle connections are closed")
        self.stats = self.quiet()
        return self.descriptors(), self.page.live

    def descriptors(self):
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in (self.proxy.pid, *self.proxy.workers()))

    def settled(self, before, more=1):
        """What is kept, as soon as it is not so many more than before: a look-up that nobody waits for any
        longer ends some time later."""
        deadline = time.monotonic() + SETTLED
        while True:
            now = self.kept()
            if all(b - a < more for a, b in zip(before, now)) or time.monotonic() > deadline:
                return now
            time.sleep(0.1)

    def leaks(self, fault, times=6):
        """Whether each run of the case keeps something; of what. Libraries may take more once."""
        kept = []
        for _ in range(3):
            before = self.kept()
            for _ in range(times):
                self.run_case(fault)
            after = self.settled(before, times)
            kept = [f"{name}: {b - a} more after {times} times" for name, a, b in
                    zip(("descriptors", "pieces of memory"), before, after) if b - a >= times]
            if not kept:
                break
        return kept


class _Named:
    """The same origin by a name that was not asked for before."""

    def __init__(self, origin, name):
        self.origin, self.authority = origin, f"{name}:{origin.port}"

    def url(self, path):
        return f"http://{self.authority}{path}"


def difference(before, after):
    return {name: after[name] - before.get(name, 0) for name in after}


def equations(before, after, tally, origin_requests):
    """What holds by definition, of the requests of one case."""
    counters = difference(before["counters"], after["counters"])
    answers, outcomes = (difference(before[name], after[name]) for name in ("answers", "outcomes"))
    sums = {name: sum(difference(before[name], after[name]).values()) for name in ("asked", "not_stored", "stale")}
    requests, failures = counters["requests"], len(tally.failed)
    by_status = sum(n for row in after["responses"].values() for name, n in row.items() if name != "background") - \
        sum(n for row in before["responses"].values() for name, n in row.items() if name != "background")
    hits = outcomes["hit"] + outcomes["hit_304"] + outcomes["stale"]
    claims = {
        "requests = answers": requests == sum(answers.values()),
        "requests = outcomes": requests == sum(outcomes.values()) - outcomes["background"],
        "requests = responses": requests == by_status,
        "asked = confirmed + fetched": sums["asked"] == answers["confirmed"] + answers["fetched"],
        "stored + not stored = fetched": sums["not_stored"] + counters["answers_stored"] +
        counters["answers_not_storable"] == answers["fetched"],
        "stale = reasons": sums["stale"] == answers["stale"],
        "answered <= requests <= sent": tally.answered <= requests <= tally.sent,
        "requests = answered + failed": requests - tally.answered <= failures + tally.left,
        "hits seen = hits": tally.hits <= hits <= tally.hits + failures,
        "origin requests": abs(counters["origin_requests"] + tally.direct - origin_requests) <= failures,
    }
    wrong = [name for name, holds in claims.items() if not holds]
    if wrong:
        raise Wrong(f"{wrong}: {tally} {origin_requests=} counters={counters} answers={answers} outcomes={outcomes} "
                    f"{sums=} {by_status=}")
