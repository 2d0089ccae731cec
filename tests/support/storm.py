"""Requests, invalidations, purges and kills at once, and a judge that knows what may be answered.

Each answer names its version, its target and whom it is for. The judge knows for each URI the version that
the origin had when the last confirmed invalidation or purge began: a request sent later must not get an
older one, nor one of another URI, another variant or another client.
"""

import os
import pathlib
import re
import signal
import subprocess
import threading
import urllib.parse

from support.http1 import Closed
from support.origin import Connection, Origin, respond
from support.proxy import BINARY

BROKEN = (OSError, Closed)
GROUPS = 4
USERS = 3
WAIT = 15.0  # seconds until an answer that should have come counts as a failure
TOOLS = pathlib.Path(BINARY).parent / "tests" / "tools"


class Forgetting(Connection):
    """Keeps nothing of what it was asked: there is much."""

    def serve_one(self):
        super().serve_one()
        del self.stream.raw[:self.stream.taken]
        self.stream.taken = 0


class VersionedOrigin(Origin):
    """/N/NAME has a version, which each unsafe request that concerns it raises: one to itself, or one
    that invalidates its group, N % GROUPS. /N/mine is private, /N/login shared by those without a login."""

    connection_type = Forgetting

    def __init__(self, count):
        self.versions = [1] * count
        super().__init__()

    def began(self, request):
        n = int(request.target.split("/")[1])
        with self.changed:
            if request.method == "GET":
                return respond(204, *self.fields_of(n, request)), False
            group = request.target.endswith("/group")
            raised = range(n % GROUPS, len(self.versions), GROUPS) if group else [n]
            for one in raised:
                self.versions[one] += 1
            fields = ["X-Raised: " + ",".join(f"{one}:{self.versions[one]}" for one in raised)]
            if group:
                fields.append(f'Cache-Group-Invalidation: "g{n % GROUPS}"')
            return respond(204, *fields), False

    def completed(self, request):
        """As above."""

    def change(self, numbers):
        """Raise the versions of these; returns them."""
        with self.changed:
            for n in numbers:
                self.versions[n] += 1
            return [(n, self.versions[n]) for n in numbers]

    def fields_of(self, n, request):
        self.heads.clear()
        version, kind = self.versions[n], request.fields.get("X-Kind")
        user = request.fields.get("X-User") or request.fields.get("Authorization") or "-"
        private = "private, " if request.target.endswith("/mine") else ""
        fields = [f"Cache-Control: {private}max-age=600, stale-if-error=600", f'ETag: "{version}"',
                  f"X-Version: {version}", f'Cache-Groups: "g{n % GROUPS}"',
                  f"X-Target: {request.target}", f"X-For: {user}"]
        return fields + (["Vary: X-Kind", f"X-Kind-Was: {kind}"] if n % 3 == 0 else [])


class Judge:
    """The least version of each URI that may be answered from now on, and what was wrong."""

    def __init__(self, count):
        self.floor = [0] * count
        self.lock = threading.Lock()
        self.stale, self.foreign = [], []
        self.answers = self.invalidations = self.hits = self.purges = 0

    def invalidated(self, versions):
        with self.lock:
            self.invalidations += 1
            for n, version in versions:
                self.floor[n] = max(self.floor[n], version)

    def answered(self, n, floor, answer):
        version = int(answer["X-Version"])
        with self.lock:
            self.answers += 1
            self.hits += answer.hit
            if version < floor:
                self.stale.append((n, version, floor, str(answer["Cache-Status"])))

    def is_for(self, answer, target, users, kind):
        """It has to be of this target, for one of these users, and of this variant if of any."""
        if answer["X-Target"] != target or answer["X-For"] not in users or answer["X-Kind-Was"] not in (None, kind):
            with self.lock:
                self.foreign.append((target, users, kind, list(answer.fields)))

    def wrong(self):
        return self.stale[:5] + self.foreign[:5]


def question(client, origin, judge, n, kind, *fields):
    """One request for /N/x, judged."""
    floor = judge.floor[n]
    answer = client.get(origin.url(f"/{n}/x"), *fields, f"X-Kind: {kind}")
    if answer.status == 204:
        judge.answered(n, floor, answer)
        judge.is_for(answer, f"/{n}/x", ("-",), kind)
    return answer


def own_question(client, origin, judge, n, user, rng):
    """One request for what is a client's own, or for what its login may keep from others."""
    mine = rng.random() < 0.5
    target, field = (f"/{n}/mine", "X-User") if mine else (f"/{n}/login", "Authorization")
    user = user if mine or rng.random() < 0.5 else None
    answer = client.get(origin.url(target), "X-Kind: 0", *([f"{field}: {user}"] if user else []))
    if answer.status == 204:
        judge.is_for(answer, target, (user,) if mine else (user, "-") if user else ("-",), "0")
    return answer


def storm(proxy, origin, judge, rng, unsafe):
    """One client's share of it, until `ending` is set."""
    def run(ending):
        client = None
        while not ending.is_set():
            try:
                client = client or proxy.connect(timeout=WAIT)
                ask(client)
            except BROKEN:
                if client:
                    client.close()
                client = None
        if client:
            client.close()

    def ask(client):
        n, chance = rng.randrange(len(judge.floor)), rng.random()
        if chance < unsafe:
            target = origin.url(f"/{n}/group" if chance < unsafe / 4 else f"/{n}/x")
            answer = client.ask(rng.choice(("POST", "DELETE", "PATCH")), target, "Content-Length: 0")
            if answer.status == 204:
                judge.invalidated([tuple(map(int, pair.split(":"))) for pair in
                                   answer["X-Raised"].split(",")])
        elif chance > 0.95:
            own_question(client, origin, judge, n, f"Basic {rng.randrange(USERS)}", rng)
        else:
            fields = ["Cache-Control: no-cache"] if chance > 0.92 else []
            question(client, origin, judge, n, str(rng.randrange(2)), *fields)

    return run


def purge(proxy, origin, judge, rng):
    """One purge of what has changed: a URI, what begins so, a group, a host, or all."""
    n, count, kind = rng.randrange(len(judge.floor)), len(judge.floor), rng.randrange(10)
    if kind < 4:
        numbers, query = [n], {"prefix": origin.url(f"/{n}/")}
    elif kind < 6:
        numbers, query = [n], {"uri": origin.url(f"/{n}/x")}
    elif kind < 8:
        numbers, query = range(n % GROUPS, count, GROUPS), {"group": f"g{n % GROUPS}", "uri": origin.url("/")}
    elif kind < 9:
        numbers, query = range(count), {"host": origin.authority}
    else:
        numbers, query = range(count), {"all": "1"}
    raised = origin.change(numbers)
    answer = proxy.admin("/purge?" + urllib.parse.urlencode(query), "POST")
    if answer.status in (200, 202):
        judge.invalidated(raised)
        judge.purges += 1


def purges(proxy, origin, judge, rng, every=0.02):
    """An operator who purges again and again."""
    def run(ending):
        while not ending.wait(every):
            try:
                purge(proxy, origin, judge, rng)
            except BROKEN:
                continue
    return run


def kill_workers(proxy, rng, every):
    def run(ending):
        while not ending.wait(every * rng.random() * 2):
            workers = sorted(proxy.workers())
            if workers:
                try:
                    os.kill(rng.choice(workers), signal.SIGKILL)
                except ProcessLookupError:
                    pass
    return run


class Threads:
    """Runs parts, each a function of an event, until end(); what one of them raised is raised there."""

    def __init__(self, parts=()):
        self.ending, self.errors, self.threads = threading.Event(), [], []
        self.start(parts)

    def start(self, parts):
        started = [threading.Thread(target=self.run, args=(part,), daemon=True) for part in parts]
        self.threads += started
        for thread in started:
            thread.start()

    def run(self, part):
        try:
            part(self.ending)
        except BaseException as error:
            self.errors.append(error)

    def end(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive(), "a client does not end"
        if self.errors:
            raise self.errors[0]


def run_all(parts, seconds):
    threads = Threads(parts)
    threads.ending.wait(seconds)
    threads.end()


def check_store(proxy, *arguments):
    """All tables of the store say the same: what was found, by name."""
    checked = subprocess.run([TOOLS / "check_store", proxy.store, *arguments], text=True, capture_output=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    return {name: int(number) for number, name in re.findall(r"(\d+) (\w+)", checked.stdout)}


def check_tables(proxy):
    """The number of entries of a store that no process has open."""
    return check_store(proxy, "dead")["entries"]


def ask_all(proxy, origin, judge, numbers=None):
    """One question to each URI, of a worker that is there."""
    for n in range(len(judge.floor)) if numbers is None else numbers:
        asked(proxy, origin, judge, n)


def asked(proxy, origin, judge, n):
    for _ in range(20):
        try:
            with proxy.connect(timeout=WAIT) as client:
                question(client, origin, judge, n, "0")
                return
        except BROKEN:
            continue
    raise AssertionError("no answer")
