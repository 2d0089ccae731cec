"""The traffic of a soak: clients that each do one thing again and again, and a count of what was lost."""

import collections
import os
import re
import subprocess
import threading
import time

from support.origin import respond
from support.rawclient import request_bytes
from support.storm import BROKEN, WAIT, own_question, purge, question
from support.target import open_tunnel

REQUESTS = 300  # on a connection
GRACE = 1.0  # seconds about the kill of a worker, in which what it had is lost
BODY = os.urandom(200_000)
WRK_CLIENTS = 16
WRK_ERRORS = re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")


class Ledger:
    """What was answered, and what was lost: excused where a worker was killed while it was asked."""

    def __init__(self):
        self.lock = threading.Lock()
        self.kills, self.failures = [], []
        self.answered = collections.Counter()
        self.wrong = []

    def killed(self):
        self.kills.append(time.monotonic())

    def lost(self, since, kind, error, count=1):
        with self.lock:
            self.failures.append((since, time.monotonic(), kind, repr(error)[:200], count))

    def count(self, kind, n=1):
        with self.lock:
            self.answered[kind] += n

    def is_excused(self, failure):
        since, until, *_ = failure
        return any(since - GRACE <= kill <= until + GRACE for kill in self.kills)

    def unexcused(self):
        return [failure for failure in self.failures if not self.is_excused(failure)]


def again(proxy, ledger, kind, act, pause):
    """act(client) gives an answer, or None where the connection is used up; until the event."""
    def run(ending):
        client, asked, since = None, 0, time.monotonic()
        while not ending.wait(pause):
            try:
                if client is None:
                    client, asked = proxy.connect(timeout=WAIT), 0
                answer = act(client)
                ledger.count(kind)
                asked += 1
                if answer is None or answer["Connection"] == "close" or asked == REQUESTS:
                    client.close()
                    client = None
            except BROKEN as error:
                ledger.lost(since, kind, error)
                if client is not None:
                    client.close()
                client = None
            since = time.monotonic()
        if client is not None:
            client.close()
    return run


def asks(origin, judge, rng):
    """Requests of each kind that the judge knows: hits, misses, validations, others' logins, unsafe ones."""
    def act(client):
        n, chance = rng.randrange(len(judge.floor)), rng.random()
        if chance < 0.03:
            group = chance < 0.001
            answer = client.ask("POST", origin.url(f"/{n}/{'group' if group else 'x'}"), "Content-Length: 0")
            if answer.status == 204:
                judge.invalidated([tuple(map(int, pair.split(":"))) for pair in answer["X-Raised"].split(",")])
            return answer
        if chance < 0.1:
            return own_question(client, origin, judge, n, f"Basic {rng.randrange(3)}", rng)
        fields = ["Cache-Control: no-cache"] if chance < 0.15 else []
        return question(client, origin, judge, n, str(rng.randrange(2)), *fields)
    return act


def bodies(origin):
    """A body there and another back."""
    origin.on("/body", respond(200, body=BODY))

    def act(client):
        answer = client.ask("POST", origin.url("/body"), body=BODY)
        assert (answer.status, answer.body == BODY) == (200, True) or not answer.complete, answer
        return answer if answer.complete else None
    return act


def slow(url, ending):
    """A head in three parts, with a second between."""
    def act(client):
        data = request_bytes("GET", url)
        for part in (data[:10], data[10:30]):
            client.send(part)
            ending.wait(1)
        client.send(data[30:])
        answer = client.response()
        assert answer.status == 204, answer
        return answer
    return act


def tunnels(target):
    """What is echoed through a tunnel."""
    def act(client):
        open_tunnel(client, target.authority)
        client.send(BODY[:60_000])
        assert client.stream.exactly(60_000) == BODY[:60_000]
        return None
    return act


class Probe:
    """Times hits, one after the other; take() gives those since the last time, in ms."""

    def __init__(self, url):
        self.url, self.times = url, []

    def act(self, client):
        began = time.monotonic()
        answer = client.get(self.url)
        self.times.append((time.monotonic() - began) * 1000)
        assert answer.status == 204, answer
        return answer

    def take(self):
        taken, self.times = sorted(self.times), []
        return taken


class Stale:
    """Asks for what is fresh for a second and then validated in the background, by one worker at a time: the
    answer is never much older, but for LEASE seconds after a worker was killed that may have been at it."""

    LEASE, LATE = 30, 12

    def __init__(self, url, ledger):
        self.url, self.ledger, self.old = url, ledger, []

    def act(self, client):
        answer = client.get(self.url)
        assert answer.status == 204, answer
        age = int(answer["Age"] or 0)
        if age > self.LATE:
            self.old.append((time.monotonic(), age))
        return answer

    def wrong(self):
        kills = self.ledger.kills
        return [f"it was {age} s old, and nobody validated it" for now, age in self.old
                if not any(now - self.LEASE - self.LATE < kill < now for kill in kills)]


def purges(proxy, origin, judge, rng, every):
    def run(ending):
        while not ending.wait(every):
            try:
                purge(proxy, origin, judge, rng)
            except BROKEN:
                continue  # the operator's worker was killed: nothing was confirmed
    return run


def wrk(proxy, ledger, script, origin, seconds, every):
    """As much as it takes, for a while, again and again."""
    def run(ending):
        while not ending.wait(every):
            since = time.monotonic()
            ran = subprocess.run(["wrk", "-t1", f"-c{WRK_CLIENTS}", f"-d{seconds}s", "-s", script, proxy.url, "--",
                                  origin], text=True, capture_output=True)
            done = re.search(r"(\d+) requests in", ran.stdout)
            assert ran.returncode == 0 and done, ran.stdout + ran.stderr
            ledger.count("wrk", int(done[1]))
            bad = re.search(r"Non-2xx or 3xx responses: (\d+)", ran.stdout)
            if bad:
                ledger.wrong.append(f"wrk: {bad[0]}")
            errors = WRK_ERRORS.search(ran.stdout)
            if errors:
                ledger.lost(since, "wrk", errors[0], sum(map(int, errors.groups())))
    return run
