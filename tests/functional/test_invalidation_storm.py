"""Several workers, one store, and an invalidation that was answered: no older answer comes after it,
whatever falls between. The judge knows for each URI the version that the origin had when the last
answered invalidation began; a request sent later must not get an older one."""

import os
import random
import re
import signal

import pytest

from support.storm import Judge, VersionedOrigin, ask_all, check_tables, kill_workers, purges, run_all, storm
from support.until import until

SECONDS = float(os.environ.get("STORM_SECONDS", "3"))
SEED = int(os.environ.get("STORM_SEED", "0")) or random.randrange(1, 1 << 31)


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
    assert not judge.wrong(), f"seed {SEED}: {len(judge.stale)} of {judge.answers}: {judge.wrong()}"
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
def troubled(start_proxy, troubled_store):
    """A proxy whose store is in trouble: troubled(delays=8, failures=20), one call in so many."""
    def troubled(*options, delays=0, failures=0, only_while=None):
        proxy = start_proxy("workers=3", *options)
        proxy.stop()
        proxy.environment = {"LD_PRELOAD": str(troubled_store), "TROUBLE_SEED": str(SEED),
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


@pytest.mark.long
def test_few_uris_that_change_all_the_time(start_proxy, versioned):
    proxy = start_proxy("workers=3", "store_interval=0")
    rage(proxy, versioned(3), unsafe=0.3)
    proxy.stop()
    check_tables(proxy)


@pytest.mark.long
def test_with_evictions_copies_and_killed_workers(start_proxy, versioned):
    """kill -9 of a worker at any moment, the store full, and copies of it being made."""
    proxy = start_proxy("workers=3", "store_size=1MiB", "sync=1s")
    rage(proxy, versioned(3000), killing=0.2)
    assert proxy.stats()["store"]["evictions"] > 0
    proxy.stop()
    assert check_tables(proxy) > 100


@pytest.mark.long
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


@pytest.mark.long
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
    until(lambda: proxy.stats()["store"]["entries"] == 50, "all are in the store", 10)
    (tmp_path / "trouble").touch()
    with proxy.connect() as client:
        for n in range(50):
            answer = client.get(origin.url(f"/{n}/x"), "X-Kind: 0")
            assert answer.hit, f"{n}: {answer['Cache-Status']}\n{proxy.errors()}"
            answer = client.ask("POST", origin.url(f"/{n}/x"), "Content-Length: 0")
            judge.invalidated([tuple(map(int, answer["X-Raised"].split(":")))])
    for worker in proxy.workers():
        os.kill(worker, signal.SIGSTOP)
    proxy.kill9()
    (tmp_path / "trouble").unlink()
    proxy.start()
    ask_all(proxy, origin, judge)
    assert not judge.wrong(), judge.wrong()
    proxy.stop()
    check_tables(proxy)


def test_others_keep_their_records(start_proxy, versioned):
    """Marks stand by full key: thousands of them cost no other URI its hit."""
    proxy = start_proxy("workers=3")
    origin, judge = versioned(4000), Judge(4000)
    with proxy.connect() as client:
        for n in range(1000):
            judge.answered(n, 0, client.get(origin.url(f"/{n}/x"), "X-Kind: 0"))
        until(lambda: proxy.stats()["store"]["entries"] == 1000, "all are in the store", 10)
        for n in range(1000, 4000):
            client.ask("POST", origin.url(f"/{n}/x"), "Content-Length: 0")
            assert client.get(origin.url(f"/{n % 1000}/x"), "X-Kind: 0").hit
