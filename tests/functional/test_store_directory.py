"""The store's files are removed or exchanged while the service runs: there is one store to all of it."""

import contextlib
import os
import shutil
import signal
import threading

import pytest

from support.http1 import Closed
from support.origin import respond
from support.proxy import Proxy, run
from support.until import until

FRESH = "Cache-Control: max-age=600"
FILES = ["lock", "data.mdb", "lock.mdb", "visited", "clock", "noted", "invalidations"]


def remove_directory(store):
    shutil.rmtree(store)


def move_directory(store):
    store.rename(store.with_name("moved"))


def exchange_directory(store):
    move_directory(store)
    store.mkdir()


def copy_in_its_place(store):
    """The same bytes in other files."""
    move_directory(store)
    shutil.copytree(store.with_name("moved"), store)


def remove_content(store):
    for file in store.iterdir():
        file.unlink()


def remove_file(name):
    def remove(store):
        (store / name).unlink()
    remove.__name__ = f"remove_{name}"
    return remove


WAYS = [remove_directory, move_directory, exchange_directory, copy_in_its_place, remove_content,
        *map(remove_file, FILES)]


def ask(proxy, method, url):
    """Whoever is on the way out may close a connection instead."""
    while True:
        try:
            with proxy.connect() as client:
                return client.ask(method, url)
        except (Closed, ConnectionResetError, BrokenPipeError):
            continue


def begun_anew(proxy, times=1):
    until(lambda: proxy.errors().count("files were removed or exchanged, ") >= times, "it is noticed")


def is_one_store(proxy, origin, count):
    """An invalidation by any worker is seen by each: connections reach them all by and by."""
    for n in range(count):
        url = origin.url(f"/{n}")
        until(lambda: all(ask(proxy, "GET", url).hit for _ in range(6)), "a hit at all")
        assert ask(proxy, "POST", url).status == 204
        for _ in range(6):
            with proxy.connect() as client:
                assert client.ask("GET", url, "Cache-Control: only-if-cached").status == 504


def second_service(proxy):
    result = run("-o", "listen=127.0.0.1:0", "-o", "admin=127.0.0.1:0", "-o", f"store={proxy.store}",
                 "-o", "store_size=16MiB")
    assert result.returncode == 1, result
    return result.stderr


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.long), 3])
@pytest.mark.parametrize("way", WAYS)
def test_all_begin_with_what_is_there_now(start_proxy, origin, way, workers):
    proxy = start_proxy(f"workers={workers}")
    origin.default = respond(204, FRESH)
    ask(proxy, "GET", origin.url("/old"))
    before = proxy.workers()
    way(proxy.store)
    begun_anew(proxy)
    until(lambda: len(proxy.workers() - before) == workers, "replaced")
    until(lambda: proxy.stats()["workers"] == workers, "all serve")
    is_one_store(proxy, origin, 3 * workers)
    assert "another service uses this store" in second_service(proxy)
    ask(proxy, "GET", origin.url("/kept"))
    proxy.restart()
    assert ask(proxy, "GET", origin.url("/kept")).hit
    assert proxy.errors().count("files were removed or exchanged, ") == 1


@pytest.mark.parametrize("way", [remove_directory, *map(remove_file, FILES)])
def test_a_worker_that_is_replaced_opens_no_second_store(start_proxy, origin, way):
    """The next one comes at once, before anybody has looked."""
    proxy = start_proxy("workers=3")
    origin.default = respond(204, FRESH)
    before = proxy.workers()
    way(proxy.store)
    os.kill(min(before), signal.SIGKILL)
    begun_anew(proxy)
    until(lambda: len(proxy.workers() - before) == 3, "replaced")
    until(lambda: proxy.stats()["workers"] == 3, "all serve")
    is_one_store(proxy, origin, 6)


def test_all_workers_die_at_once(start_proxy, origin):
    proxy = start_proxy("workers=3")
    origin.default = respond(204, FRESH)
    before = proxy.workers()
    with Stopped(proxy):
        remove_directory(proxy.store)
        for pid in before:
            os.kill(pid, signal.SIGKILL)
    until(lambda: len(proxy.workers() - before) == 3, "replaced")
    until(lambda: proxy.stats()["workers"] == 3, "all serve")
    is_one_store(proxy, origin, 6)


@pytest.mark.parametrize("workers", [1, 3])
def test_again_and_again(start_proxy, origin, workers):
    proxy = start_proxy(f"workers={workers}", "sync=1s")
    origin.default = respond(204, FRESH)
    for n in range(3):
        remove_directory(proxy.store)
        begun_anew(proxy, n + 1)
    until(lambda: proxy.stats()["workers"] == workers, "all serve")
    is_one_store(proxy, origin, workers)


def test_requests_end_before_workers_are_replaced(start_proxy, origin):
    proxy = start_proxy("workers=2")
    go = threading.Event()
    origin.default = [go, respond(204, "X-A: b")]
    with proxy.connect() as client:
        client.request("GET", origin.url())
        origin.wait_requests(1)
        remove_directory(proxy.store)
        begun_anew(proxy)
        go.set()
        assert client.response()["X-A"] == "b"


def test_counts_go_on(start_proxy, origin):
    proxy = start_proxy()
    origin.default = respond(204, FRESH)
    assert ask(proxy, "GET", origin.url()).stored
    until(lambda: proxy.stats()["store"]["stored"] == 1, "stored")
    remove_directory(proxy.store)
    begun_anew(proxy)
    until(lambda: ask(proxy, "GET", origin.url()).stored, "a worker of the new store is asked")
    until(lambda: proxy.stats()["store"]["stored"] == 2, "stored")


class Stopped:
    """A service that cannot look, as if the second were always quicker."""

    def __init__(self, proxy):
        self.master, self.workers = proxy.pid, proxy.workers()

    def __enter__(self):
        for pid in (self.master, *self.workers):
            os.kill(pid, signal.SIGSTOP)

    def __exit__(self, *_):
        os.kill(self.master, signal.SIGCONT)
        for pid in self.workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("workers", [1, 2])
def test_second_service_where_only_the_lock_was_removed(start_proxy, workers):
    proxy = start_proxy(f"workers={workers}")
    with Stopped(proxy):
        (proxy.store / "lock").unlink()
        assert "its lock was removed while another service uses this store" in second_service(proxy)


@pytest.mark.parametrize("workers", [1, 2])
def test_second_service_is_quicker(start_proxy, origin, tmp_path, workers):
    """The first goes on with what it has, and says so; it takes the directory when that is free."""
    proxy = start_proxy(f"workers={workers}")
    origin.default = respond(204, FRESH)
    ask(proxy, "GET", origin.url())
    until(lambda: proxy.stats()["store"]["entries"] == 1, "stored")
    with Stopped(proxy):
        remove_directory(proxy.store)
        second = Proxy(tmp_path / "second", f"store={proxy.store}")
    try:
        until(lambda: "another service uses this store" in proxy.errors(), "it is noticed")
        assert ask(proxy, "GET", origin.url()).hit
        assert not ask(second, "GET", origin.url()).hit
    finally:
        second.stop()
    begun_anew(proxy)
    is_one_store(proxy, origin, workers)
    assert proxy.errors().count("another service uses this store") == 1
