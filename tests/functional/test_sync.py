"""Copies of the store for after a power failure: made beside the work, taken whole, never trusted unasked."""

import os
import re
import shutil
import subprocess
import time

import pytest

from support import power
from support.origin import respond
from support.processes import until_ended
from support.until import until

RECORD = ["Cache-Control: max-age=600, stale-while-revalidate=600, stale-if-error=600", "X-A: b"]
TAGGED = [*RECORD, 'ETag: "a"']


def hit(proxy, origin, path="/", *fields):
    with proxy.connect() as client:
        return client.get(origin.url(path), *fields)


def store_both(proxy, origin):
    """A record with a validator and one without, in the store."""
    origin.default = respond(204, *TAGGED)
    origin.on("/tagged", respond(204, *TAGGED))
    origin.on("/plain", respond(204, *RECORD))
    for path in ("/tagged", "/plain"):
        until_hit(proxy, origin, path)


def until_hit(proxy, origin, path):
    """At once with one worker; what one stores, another has a little later."""
    until(lambda: hit(proxy, origin, path).hit, f"{path} is a hit")


def copies(proxy):
    return proxy.stats()["store"]["copies"]


def copied(proxy, *paths):
    """Until these are in the copy."""
    copy = proxy.store / "data.mdb.copy"
    paths = paths or ("/tagged", "/plain")
    until(lambda: copy.exists() and all(path.encode() in copy.read_bytes() for path in paths),
          f"{paths} are copied", timeout=15)


def power_fails(proxy, *spoil):
    """All processes are gone."""
    proxy.kill9()
    power.power_fails(proxy.store, *spoil)


def processes(proxy):
    """Those of the service beside its workers, which have loops: what makes a copy. The least of
    niceness does not tell them when the tests themselves have it."""
    return {pid for pid in proxy.workers() if not has_loop(pid)}


def has_loop(pid):
    try:
        return any(os.readlink(f"/proc/{pid}/fd/{fd}") == "anon_inode:[eventpoll]"
                   for fd in os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return True  # ended meanwhile


def two_workers(proxy):
    found = proxy.workers() - processes(proxy)
    return found if len(found) == 2 else None


@pytest.mark.parametrize("workers", [1, 2])
def test_what_was_copied_is_validated_and_used(start_proxy, origin, workers):
    proxy = start_proxy("sync=1s", f"workers={workers}")
    store_both(proxy, origin)
    copied(proxy)
    power_fails(proxy)
    origin.on("/tagged", respond(304, *TAGGED))
    proxy.start()
    assert re.search(r"the system went down while it was in use; its copy of \S+ \S+ UTC takes its place",
                     proxy.errors())
    before = len(origin.requests)
    answer = hit(proxy, origin, "/tagged")
    assert (answer.status, answer.fwd, answer.cache_status["fwd-status"]) == (204, "stale", 304)
    assert answer["X-A"] == "b"
    assert origin.requests[before].fields.all("If-None-Match") == ['"a"']
    answer = hit(proxy, origin, "/plain")
    assert (answer.status, answer.fwd, answer.stored) == (204, "stale", True)
    assert not origin.requests[before + 1].fields.all("If-None-Match")
    for path in ("/tagged", "/plain"):
        until_hit(proxy, origin, path)
    count = len(origin.requests)
    assert count == before + 2 or workers > 1
    proxy.restart()
    for path in ("/tagged", "/plain"):
        assert hit(proxy, origin, path).hit
    assert len(origin.requests) == count


def test_an_invalidation_that_was_lost_harms_no_request(start_proxy, origin):
    proxy = start_proxy("sync=1s")
    store_both(proxy, origin)
    copied(proxy)
    with proxy.connect() as client:
        client.ask("DELETE", origin.url("/tagged"))
    power_fails(proxy)
    origin.on("/tagged", respond(404))
    proxy.start()
    assert hit(proxy, origin, "/tagged").status == 404


@pytest.mark.parametrize("fields", [["Cache-Control: max-stale"], []])
def test_nothing_of_it_is_served_stale(start_proxy, origin, fields):
    """Neither while it is validated nor when the origin fails."""
    proxy = start_proxy("sync=1s", "stale_if_error=1h")
    store_both(proxy, origin)
    copied(proxy)
    power_fails(proxy)
    origin.on("/tagged", respond(503))
    proxy.start()
    assert hit(proxy, origin, "/tagged", *fields).status == 503
    assert hit(proxy, origin, "/tagged", "Cache-Control: only-if-cached").status == 504
    origin.on("/tagged", respond(304, *TAGGED))
    assert hit(proxy, origin, "/tagged").fwd == "stale"
    assert hit(proxy, origin, "/tagged").hit


TORN = {
    "half": lambda data: data[:len(data) // 2],
    "without its end": lambda data: data[:-1],
    "empty": lambda data: b"",
    "garbled": lambda data: data[:8192] + b"\xa5" * (len(data) - 8192 - 4096) + data[-4096:],
}


@pytest.mark.parametrize("tear", TORN)
def test_a_torn_copy_is_not_used(start_proxy, origin, tear):
    proxy = start_proxy("sync=1s")
    store_both(proxy, origin)
    copied(proxy)
    power_fails(proxy)
    copy = proxy.store / "data.mdb.copy"
    copy.write_bytes(TORN[tear](copy.read_bytes()))
    proxy.start()
    assert "begun anew" in proxy.errors()
    assert hit(proxy, origin, "/tagged").fwd == "uri-miss"
    assert hit(proxy, origin, "/tagged").hit


def test_without_the_option_it_begins_anew(start_proxy, origin):
    proxy = start_proxy()
    store_both(proxy, origin)
    power_fails(proxy, lambda data: data)
    proxy.start()
    assert "begun anew" in proxy.errors()
    assert hit(proxy, origin, "/tagged").fwd == "uri-miss"


@pytest.mark.long
def test_only_what_changed_is_copied(start_proxy, origin):
    proxy = start_proxy("sync=1s")
    store_both(proxy, origin)
    copied(proxy)
    until(lambda: copies(proxy) > 0, "it is counted")
    first = proxy.stats()["store"]
    assert first["copies_failed"] == 0 and abs(first["copied_at"] - time.time()) < 60
    quiet = time.monotonic() + 2.5
    until(lambda: time.monotonic() > quiet, "time passes", timeout=10)
    assert copies(proxy) == first["copies"]
    hit(proxy, origin, "/more")
    copied(proxy, "/more")
    until(lambda: copies(proxy) == first["copies"] + 1, "it is counted")
    assert not (proxy.store / "data.mdb.copy.new").exists()


def test_a_clean_restart_uses_the_store_itself(start_proxy, origin):
    proxy = start_proxy("sync=1s")
    store_both(proxy, origin)
    copied(proxy)
    hit(proxy, origin, "/more")
    proxy.restart()
    for path in ("/tagged", "/plain", "/more"):
        assert hit(proxy, origin, path).hit


@pytest.mark.long
def test_failures_are_logged_once_and_counted(start_proxy, origin):
    """Here the name of the unfinished copy is taken by a directory."""
    proxy = start_proxy("sync=1s")
    obstacle = proxy.store / "data.mdb.copy.new"
    obstacle.mkdir()
    store_both(proxy, origin)
    until(lambda: proxy.stats()["store"]["copies_failed"] >= 2, "two failures", timeout=15)
    assert proxy.errors().count("no copy of the store") == 1
    assert hit(proxy, origin, "/tagged").hit
    assert f"the next try is in 1 s: {proxy.store}/data.mdb.copy: cannot be made: Is a directory" in proxy.errors()
    obstacle.rmdir()
    copied(proxy)
    until(lambda: f"a copy of the store was made again: {proxy.store}" in proxy.errors(), "its end is told")


@pytest.mark.parametrize("end", ["stop", "kill9"])
def test_nothing_is_left_behind(start_proxy, origin, end):
    """Stopped in the middle of a copy, which cannot go on while the lock for it is held."""
    proxy = start_proxy("sync=1s")
    store_both(proxy, origin)
    with opening_locked(proxy):
        copier = until(lambda: processes(proxy), "a copy is being made", timeout=15)
        until(lambda: all(os.getpriority(os.PRIO_PROCESS, pid) == 19 for pid in copier), "it gives way")
        if end == "kill9":
            proxy.kill9()
        else:
            proxy.terminate()
        until_ended(copier)
    if end == "stop":
        proxy.wait()
    (proxy.store / "data.mdb.copy.new").write_bytes(b"unfinished")
    proxy.start()
    assert not (proxy.store / "data.mdb.copy.new").exists()
    assert hit(proxy, origin, "/tagged").hit


class opening_locked:
    """Holds the lock of those who open or close the store (cache/store/files.h)."""

    F_OFD_SETLKW, F_WRLCK = 38, 1

    def __init__(self, proxy):
        self.path = proxy.store / "lock"

    def __enter__(self):
        import fcntl
        import struct
        self.fd = os.open(self.path, os.O_RDWR)
        fcntl.fcntl(self.fd, self.F_OFD_SETLKW, struct.pack("=hhxxxxqqixxxx", self.F_WRLCK, 0, 1, 1, 0))

    def __exit__(self, *_):
        os.close(self.fd)


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("strace"), reason="no strace")
def test_workers_never_wait_for_the_disk(start_proxy, origin, tmp_path):
    """While copies are made, no worker syncs anything; who makes them does."""
    proxy = start_proxy("sync=1s", "workers=2")
    origin.default = respond(204, *TAGGED)
    hit(proxy, origin, "/first")
    copied(proxy, "/first")
    # who makes a copy comes, and ends, at any moment
    workers = until(lambda: two_workers(proxy), "two children are workers")
    trace = tmp_path / "trace"
    tracer = subprocess.Popen(["strace", "-f", "-y", "-o", str(trace), "-e",
                               "trace=fsync,fdatasync,sync,syncfs,msync,sync_file_range",
                               "-p", str(proxy.pid), *[a for pid in workers for a in ("-p", str(pid))]],
                              stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(3):
            assert "attached" in tracer.stderr.readline()
        for n in range(200):
            hit(proxy, origin, f"/{n}")
        copied(proxy, "/199")
    finally:
        tracer.terminate()
        tracer.wait()
    calls = [line.split()[0:2] for line in trace.read_text().splitlines() if "(" in line.split()[1]]
    assert {int(pid) for pid, _ in calls} & workers == set()
    assert any(call.startswith("fsync") and "data.mdb.copy" in call for _, call in calls)
