"""Which calls go wrong in which way, and how one case or all of them are run."""

import os
import random
import shlex

from page import Fault
from support.proxy import BINARY
from traffic import Wrong

SEED = int(os.environ.get("SEED") or 1)
ROUNDS = os.environ.get("ROUNDS")  # how many cases of each test, "all" for every one there is
CASE = os.environ.get("CASE")      # one alone: scenario/workers/fault

# What each kind of call may come to. What no system does is left out: it says nothing.
ENDS = {
    "accept": "EMFILE ENOMEM ECONNABORTED EAGAIN EINTR EPERM late",
    "connect": "ECONNREFUSED EADDRNOTAVAIL ENETUNREACH ETIMEDOUT ENOMEM late",
    "socket": "EMFILE ENOBUFS",
    "setsockopt": "ENOMEM",
    "getsockopt": "ENOBUFS",
    "recv": "ECONNRESET ETIMEDOUT EINTR EAGAIN short late",
    "send": "EPIPE ECONNRESET ENOBUFS EINTR EAGAIN short late",
    "read": "EIO EINTR EAGAIN short late",
    "write": "ENOSPC EIO EINTR EAGAIN short late",
    "pread": "EIO short late",
    "pwrite": "ENOSPC EIO EINTR short late",
    "splice": "EPIPE ECONNRESET EINVAL EINTR EAGAIN short",
    "pipe": "EMFILE",
    "epoll_ctl": "ENOMEM ENOSPC",
    "epoll_wait": "EINTR",
    "poll": "ENOMEM EINTR",
    "open": "EMFILE EACCES EIO",
    "mmap": "ENOMEM",
    "memory": "ENOMEM",
    "fork": "EAGAIN ENOMEM",
    "random": "EAGAIN short",
    "memfd": "EMFILE",
    "truncate": "ENOSPC EIO",
    "allocate": "ENOSPC EINTR",
    "sync": "EIO",
    "flock": "EWOULDBLOCK ENOLCK",
    "rename": "ENOSPC EIO",
    "unlink": "EIO",
    "thread": "EAGAIN",
    "signalfd": "EMFILE",
    "bind": "EADDRINUSE",
    "listen": "EADDRINUSE",
    "mdb_env_open": "EIO",
    "mdb_txn_begin": "ENOMEM READERS_FULL MAP_RESIZED",
    "mdb_txn_renew": "BAD_RSLOT READERS_FULL",
    "mdb_txn_commit": "EIO ENOSPC after:EIO late",
    "mdb_dbi_open": "DBS_FULL",
    "mdb_get": "CORRUPTED PAGE_NOTFOUND",
    "mdb_put": "MAP_FULL TXN_FULL EIO",
    "mdb_del": "EIO MAP_FULL",
    "mdb_cursor_open": "ENOMEM",
    "mdb_cursor_get": "CORRUPTED",
    "mdb_reader_check": "EIO",
    "mdb_stat": "EINVAL",
    "mdb_env_sync": "EIO",
    "mdb_env_copy": "EIO",
}

# Where the trouble may last: all calls from the n-th on.
LASTING = ("connect", "socket", "pwrite", "write", "pipe", "splice", "open", "memory", "mmap", "random", "mdb_txn_begin",
           "mdb_txn_renew", "mdb_txn_commit", "mdb_get", "mdb_put", "mdb_del", "mdb_cursor_open", "mdb_cursor_get")


NOISE = 4  # pieces of memory that LMDB and the like may take once


def every(counts):
    """All cases of a scenario that makes so many calls of each kind."""
    for kind, count in counts.items():
        for nth in range(1, count + 1):
            for what in ENDS[kind].split():
                yield Fault(kind, nth, what)
                if kind in LASTING and what not in ("late", "short", "EINTR", "EAGAIN") and nth % 4 == 1:
                    yield Fault(kind, nth, what, all=True)


def sample(cases, seed, count):
    """So many of them, of each kind and end as many as of the others."""
    chance = random.Random(seed)
    groups = {}
    for case in cases:
        groups.setdefault((case.kind, case.what, case.all), []).append(case)
    for group in groups.values():
        chance.shuffle(group)
    found = []
    while len(found) < count and groups:
        for key in chance.sample(list(groups), len(groups)):
            found.append(groups[key].pop())
            if not groups[key]:
                del groups[key]
    return found[:count]


def again(workers, fault, scenario="traffic"):
    sanitized = "" if BINARY.endswith("build/cache204") else f"CACHE204_BIN={shlex.quote(BINARY)} "
    return f'{sanitized}make faults CASE="{scenario}/{workers}/{fault}"'


def text_of(error):
    """Its begin and its end, where a log's last lines are."""
    text = str(error) if isinstance(error, Wrong) else repr(error)
    return text if len(text) < 4000 else f"{text[:1000]} ... {text[-3000:]}"


def told(failure):
    print(failure, flush=True)
    return failure


class Sweep:
    """Runs cases one after another on one proxy; a new one takes its place when something is wrong with it."""

    TOGETHER = 20  # cases between looks at what is kept
    MOST = 12      # failures until it ends

    def __init__(self, start, workers):
        self.start, self.workers = start, workers
        self.bench, self.failures, self.group, self.before = None, [], [], None
        self.done = self.happened = 0

    def run(self, cases):
        for fault in cases:
            if len(self.failures) >= self.MOST:
                break
            self.one(fault)
        self.look()
        if self.bench:
            self.end(self.bench.close)
        return self.failures

    def one(self, fault):
        if self.bench is None:
            self.bench = self.start()
            self.before = self.bench.kept()
        try:
            self.group.append(fault)
            self.bench.run_case(fault)
            self.done += 1
            self.happened += self.bench.happened > 0
        except Exception as error:  # whatever it is, the next case wants another proxy
            self.fail(fault, error)
            return
        if len(self.group) >= self.TOGETHER:
            self.look()

    def fail(self, fault, error):
        where = self.bench.page.where() if self.bench.page.happened else "it did not happen"
        self.failures.append(told(f"{again(self.workers, fault)}\n    {text_of(error)}\n    in {where}"))
        self.group = []
        self.end(self.bench.proxy.kill)
        self.end(self.bench.close)
        self.bench = None

    def end(self, act):
        try:
            act()
        except Exception as error:
            self.failures.append(f"at the end of it: {error!r}"[:3000])

    def look(self):
        """Whether one of the last cases keeps what it took; then which."""
        if self.bench is None or not self.group:
            return
        cases, self.group = self.group, []
        try:
            self.bench.each_serves()
            after = self.bench.settled(self.before)
            if after[0] > self.before[0] or after[1] > self.before[1] + NOISE:
                self.find(cases)
                after = self.bench.kept()
            self.before = after
        except Exception as error:
            self.fail(cases[-1], Wrong(f"after {', '.join(map(str, cases))}: {error}"))

    def find(self, cases):
        for fault in cases:
            leaks = self.bench.leaks(fault)
            if leaks:
                self.failures.append(told(f"{again(self.workers, fault)}\n    keeps {', '.join(leaks)}\n"
                          f"    in {self.bench.page.where()}"))
