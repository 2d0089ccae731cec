"""A worker that hangs is replaced; a machine that stood still has none that hangs."""

import contextlib
import os
import signal
import time

import pytest

from support.origin import respond
from support.processes import is_running
from support.until import until

pytestmark = pytest.mark.one_worker("each test says how many there are")


@contextlib.contextmanager
def stopped(*pids):
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(pids):
            if is_running(pid):
                os.kill(pid, signal.SIGCONT)


def test_a_hung_worker_is_replaced_and_no_other(start_proxy, origin):
    proxy = start_proxy("workers=3", "watchdog_timeout=1s")
    origin.default = respond(204)
    hung, *others = sorted(proxy.workers())
    with stopped(hung):
        until(lambda: f"worker {hung} hangs" in proxy.errors(), "it is noticed")
        until(lambda: hung not in proxy.workers() and len(proxy.workers()) == 3, "it is replaced")
    assert set(others) < proxy.workers()
    assert proxy.errors().count(" hangs: ") == 1
    for n in range(12):
        with proxy.connect() as client:
            assert client.get(origin.url(f"/{n}")).status == 204


def test_all_hung_are_replaced_one_after_the_other(start_proxy):
    proxy = start_proxy("workers=2", "watchdog_timeout=500ms")
    before = proxy.workers()
    with stopped(*before):
        until(lambda: proxy.errors().count(" hangs: ") == 2, "both are noticed")
        until(lambda: not before & proxy.workers() and len(proxy.workers()) == 2, "both are replaced")


def test_a_standstill_of_all_kills_none(start_proxy, origin):
    proxy = start_proxy("workers=2", "watchdog_timeout=1s")
    origin.default = respond(204)
    before = proxy.workers()
    with stopped(proxy.pid, *before):
        time.sleep(2.5)  # nothing happens meanwhile that could be waited for
    with proxy.connect() as client:
        assert client.get(origin.url()).status == 204
    turns = proxy.stats()["counters"]["turns"]
    until(lambda: proxy.stats()["counters"]["turns"] > turns + 8, "a second of turns goes by")
    assert proxy.workers() == before and " hangs: " not in proxy.errors()


def test_off(start_proxy):
    proxy = start_proxy("workers=2", "watchdog_timeout=0")
    hung = min(proxy.workers())
    with stopped(hung):
        time.sleep(1.5)  # nothing happens that could be waited for
    assert hung in proxy.workers() and " hangs: " not in proxy.errors()


def test_one_of_a_retired_generation_is_not_replaced(start_proxy, origin):
    proxy = start_proxy("watchdog_timeout=500ms", "keepalive_timeout=1h")
    old = proxy.worker
    with proxy.connect() as client:
        client.get(origin.url())
        os.kill(proxy.pid, signal.SIGHUP)
        until(lambda: "generation 2 serves" in proxy.errors(), "the reload")
        with stopped(old):
            until(lambda: f"worker {old} hangs" in proxy.errors(), "it is noticed")
            until(lambda: old not in proxy.workers(), "it is killed")
    assert len(proxy.workers()) == 1
    assert proxy.stats()["reload"]["older_generations"] == 0


def test_health_says_so_before_the_drain(start_proxy, origin):
    """And clients are served on meanwhile, new ones as well."""
    proxy = start_proxy("workers=2", "drain_delay=1s")
    origin.default = respond(204)
    assert proxy.admin("/healthz").status == 204
    proxy.terminate()
    until(lambda: proxy.admin("/healthz").status == 503, "it says so")
    with proxy.connect() as client:
        assert client.get(origin.url()).status == 204
    proxy.wait()
