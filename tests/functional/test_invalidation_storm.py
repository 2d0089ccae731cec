"""Several workers, one store, and an invalidation that was answered: no older answer comes after it,
whatever falls between. The judge knows for each URI the version that the origin had when the last
answered invalidation began; a request sent later must not get an older one."""

import os
import pathlib
import random
import re
import signal
import subprocess
import threading
import time
import urllib.parse

import pytest

from support.http1 import Closed
from support.origin import Origin, respond
from support.proxy import BINARY, ROOT

SECONDS = float(os.environ.get("STORM_SECONDS", "3"))
SEED = int(os.environ.get("STORM_SEED", "0")) or random.randrange(1, 1 << 31)
BROKEN = (OSError, Closed, ValueError)
GROUPS = 4
TOOLS = pathlib.Path(BINARY).parent / "tests" / "tools"


class VersionedOrigin(Origin):
    """/N/NAME has a version, which each unsafe request that concerns it raises: one to itself, or one
    that invalidates its group, N % GROUPS."""

    def __init__(self, count):
        self.versions = [1] * count
        super().__init__()

    def began(self, request):
        n = int(request.target.split("/")[1])
        with self.changed:
            if request.method == "GET":
                return respond(204, *self.fields_of(n)), False
            group = request.target.endswith("/group")
            raised = range(n % GROUPS, len(self.versions), GROUPS) if group else [n]
            for one in raised:
                self.versions[one] += 1
            fields = ["X-Raised: " + ",".join(f"{one}:{self.versions[one]}" for one in raised)]
            if group:
                fields.append(f'Cache-Group-Invalidation: "g{n % GROUPS}"')
            return respond(204, *fields), False

    def change(self, numbers):
        """Raise the versions of these; returns them."""
        with self.changed:
            for n in numbers:
                self.versions[n] += 1
            return [(n, self.versions[n]) for n in numbers]

    def fields_of(self, n):
        version = self.versions[n]
        fields = ["Cache-Control: max-age=600, stale-if-error=600", f'ETag: "{version}"',
                  f"X-Version: {version}", f'Cache-Groups: "g{n % GROUPS}"']
        return fields + (["Vary: X-Kind"] if n % 3 == 0 else [])


class Judge:
    """The least version of each URI that may be answered from now on."""

    def __init__(self, count):
        self.floor = [0] * count
        self.lock = threading.Lock()
        self.stale = []
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


def storm(proxy, origin, judge, rng, unsafe):
    """One client's share of it, until `ending` is set."""
    def run(ending):
        client = None
        while not ending.is_set():
            try:
                client = client or proxy.connect()
                ask(client)
            except BROKEN:
                if client:
                    client.close()
                client = None
        if client:
            client.close()

    def ask(client):
        n, kind = rng.randrange(len(judge.floor)), rng.random()
        if kind < unsafe:
            target = origin.url(f"/{n}/group" if kind < unsafe / 4 else f"/{n}/x")
            answer = client.ask(rng.choice(("POST", "DELETE", "PATCH")), target, "Content-Length: 0")
            if answer.status == 204:
                judge.invalidated([tuple(map(int, pair.split(":"))) for pair in
                                   answer["X-Raised"].split(",")])
            return
        fields = ["Cache-Control: no-cache"] if kind > 0.97 else []
        floor = judge.floor[n]
        answer = client.get(origin.url(f"/{n}/x"), *fields, f"X-Kind: {rng.randrange(2)}")
        if answer.status == 204:
            judge.answered(n, floor, answer)

    return run


def purges(proxy, origin, judge, rng):
    """An operator, who purges what has changed: a URI, what begins so, a group, a host, or all."""
    def run(ending):
        while not ending.wait(0.02):
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
            try:
                answer = proxy.admin("/purge?" + urllib.parse.urlencode(query), "POST")
            except BROKEN:
                continue
            if answer.status in (200, 202):
                judge.invalidated(raised)
                judge.purges += 1
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


def run_all(parts, seconds):
    ending = threading.Event()
    threads = [threading.Thread(target=part, args=(ending,)) for part in parts]
    for thread in threads:
        thread.start()
    ending.wait(seconds)
    ending.set()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def check_tables(proxy):
    """All tables of the store say the same."""
    checked = subprocess.run([TOOLS / "check_store", proxy.store], text=True, capture_output=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    return int(checked.stdout.split()[0])


def ask_all(proxy, origin, judge):
    """One question to each URI, of a worker that is there."""
    for n in range(len(judge.floor)):
        asked(proxy, origin, judge, n)


def asked(proxy, origin, judge, n):
    for _ in range(20):
        try:
            with proxy.connect() as client:
                judge.answered(n, judge.floor[n], client.get(origin.url(f"/{n}/x"), "X-Kind: 0"))
                return
        except BROKEN:
            continue
    raise AssertionError("no answer")


def rage(proxy, origin, clients=6, unsafe=0.1, killing=None, purging=False, seconds=SECONDS):
    """The storm, and after it one question to each URI; returns the judge."""
    judge, rng = Judge(len(origin.versions)), random.Random(SEED)
    parts = [storm(proxy, origin, judge, random.Random(rng.random()), unsafe) for _ in range(clients)]
    if purging:
        parts += [purges(proxy, origin, judge, random.Random(rng.random())) for _ in range(2)]
    if killing:
        parts.append(kill_workers(proxy, random.Random(rng.random()), killing))
    run_all(parts, seconds)
    ask_all(proxy, origin, judge)
    assert not judge.stale, f"seed {SEED}: {len(judge.stale)} of {judge.answers}: {judge.stale[:5]}"
    assert judge.invalidations > 20 and judge.hits > 20
    return judge


@pytest.fixture
def versioned():
    origins = []

    def versioned(count):
        origins.append(VersionedOrigin(count))
        return origins[-1]

    yield versioned
    for origin in origins:
        origin.close()


@pytest.fixture
def troubled(start_proxy, tmp_path):
    """A proxy whose store is in trouble: troubled(delays=8, failures=20), one call in so many."""
    def troubled(*options, delays=0, failures=0, only_while=None):
        if b"__asan_init" in pathlib.Path(BINARY).read_bytes():
            pytest.skip("a library cannot be preloaded before the sanitizer's")
        library = tmp_path / "troubled_store.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library,
                        ROOT / "tests/tools/troubled_store.c"], check=True)
        proxy = start_proxy("workers=3", *options)
        proxy.stop()
        proxy.environment = {"LD_PRELOAD": str(library), "TROUBLE_SEED": str(SEED),
                             "TROUBLE_DELAYS": str(delays), "TROUBLE_FAILURES": str(failures)}
        if only_while:
            proxy.environment["TROUBLE_WHILE"] = str(only_while)
        return proxy.start()
    return troubled


def test_nothing_older_is_answered(start_proxy, versioned):
    proxy = start_proxy("workers=3")
    rage(proxy, versioned(300), unsafe=0.2)
    proxy.stop()
    assert check_tables(proxy) > 100


def test_few_uris_that_change_all_the_time(start_proxy, versioned):
    proxy = start_proxy("workers=3", "store_interval=0")
    rage(proxy, versioned(3), unsafe=0.3)
    proxy.stop()
    check_tables(proxy)


def test_with_evictions_copies_and_killed_workers(start_proxy, versioned):
    """kill -9 of a worker at any moment, the store full, and copies of it being made."""
    proxy = start_proxy("workers=3", "store_size=1MiB", "sync=1s")
    rage(proxy, versioned(3000), killing=0.2)
    assert proxy.stats()["store"]["evictions"] > 0
    proxy.stop()
    assert check_tables(proxy) > 100


def test_with_delays_between_any_two_calls(troubled, versioned):
    proxy = troubled(delays=16)
    rage(proxy, versioned(30), unsafe=0.3)
    proxy.stop()
    check_tables(proxy)


@pytest.mark.parametrize("killing", [None, 0.3])
@pytest.mark.long
def test_purges_by_pattern(start_proxy, versioned, killing):
    proxy = start_proxy("workers=3")
    judge = rage(proxy, versioned(300), unsafe=0.05, killing=killing, purging=True)
    assert judge.purges > 3
    proxy.stop()
    check_tables(proxy)


@pytest.mark.long
def test_purges_with_delays_between_any_two_calls(troubled, versioned):
    proxy = troubled(delays=16)
    judge = rage(proxy, versioned(30), unsafe=0.1, purging=True)
    assert judge.purges > 5
    proxy.stop()
    check_tables(proxy)


def test_with_writes_that_fail(troubled, versioned, tmp_path):
    proxy = troubled(failures=4, only_while=tmp_path / "trouble")
    (tmp_path / "trouble").touch()
    rage(proxy, versioned(100), unsafe=0.2)
    assert proxy.stats()["store"]["failures"] > 0
    # once for each kind of error in a minute, by each worker
    told = re.findall(rf"the store fails: {re.escape(str(proxy.store))}: (\w.*) \(\d+ times\); nothing new", proxy.errors())
    assert told and max(map(told.count, told)) <= 3 * 2
    (tmp_path / "trouble").unlink()
    proxy.stop()
    check_tables(proxy)


def test_marks_survive_all_processes(troubled, versioned, tmp_path):
    """Each write fails from some moment on, the unsafe requests are answered, and all is killed."""
    origin, judge = versioned(50), Judge(50)
    proxy = troubled(failures=1, only_while=tmp_path / "trouble")
    ask_all(proxy, origin, judge)
    until(lambda: proxy.stats()["store"]["entries"] == 50, "not in the store")
    (tmp_path / "trouble").touch()
    with proxy.connect() as client:
        for n in range(50):
            answer = client.get(origin.url(f"/{n}/x"), "X-Kind: 0")
            assert answer.hit, f"{n}: {answer['Cache-Status']}\n{proxy.errors()}"
            answer = client.ask("POST", origin.url(f"/{n}/x"), "Content-Length: 0")
            judge.invalidated([tuple(map(int, answer["X-Raised"].split(":")))])
    for worker in proxy.workers():
        os.kill(worker, signal.SIGSTOP)
    workers = proxy.workers()
    proxy.kill9()
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    (tmp_path / "trouble").unlink()
    proxy.start()
    ask_all(proxy, origin, judge)
    assert not judge.stale, judge.stale[:5]
    proxy.stop()
    check_tables(proxy)


def until(condition, what, timeout=10):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def test_others_keep_their_records(start_proxy, versioned):
    """Marks stand by full key: thousands of them cost no other URI its hit."""
    proxy = start_proxy("workers=3")
    origin, judge = versioned(4000), Judge(4000)
    with proxy.connect() as client:
        for n in range(1000):
            judge.answered(n, 0, client.get(origin.url(f"/{n}/x"), "X-Kind: 0"))
        until(lambda: proxy.stats()["store"]["entries"] == 1000, "not in the store")
        for n in range(1000, 4000):
            client.ask("POST", origin.url(f"/{n}/x"), "Content-Length: 0")
            assert client.get(origin.url(f"/{n % 1000}/x"), "X-Kind: 0").hit
