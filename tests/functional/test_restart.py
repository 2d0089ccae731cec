"""The store outlives the process: a hit before is a hit after, with its age right."""

import os
import signal
import struct
import time

import pytest

from support.origin import respond
from support.processes import until_ended
from support.proxy import run
from support.until import settle, until

RECORD = ["Cache-Control: max-age=600", "Age: 50", 'ETag: "a"', "X-A: b", "Vary: X"]


def hit(proxy, origin, *fields):
    with proxy.connect() as client:
        return client.get(origin.url(), *fields)


@pytest.mark.parametrize("end", ["stop", "kill9"])
def test_hit_after_a_restart(start_proxy, origin, end):
    proxy = start_proxy()
    origin.default = respond(204, *RECORD)
    hit(proxy, origin, "X: 1")
    before = hit(proxy, origin, "X: 1")
    assert before.hit
    taken = time.time()
    getattr(proxy, end)()
    proxy.start()
    after = hit(proxy, origin, "X: 1")
    assert after.hit
    assert before.age <= after.age <= before.age + (time.time() - taken) + 1
    assert before.age >= 50
    for name in ("Date", "ETag", "X-A", "Cache-Control", "Vary"):
        assert after[name] == before[name]
    assert hit(proxy, origin, "X: 1", 'If-None-Match: "a"').status == 304
    assert hit(proxy, origin, "X: 2").fwd == "vary-miss"
    assert len(origin.requests) == 2


def test_age_counts_while_the_proxy_is_down(start_proxy, origin):
    proxy = start_proxy()
    origin.default = respond(204, "Cache-Control: max-age=600")
    hit(proxy, origin)
    born = time.time()
    proxy.stop()
    while time.time() - born < 1.1:
        time.sleep(0.05)
    proxy.start()
    answer = hit(proxy, origin)
    assert answer.hit and answer.age >= 1


@pytest.mark.parametrize("end", ["stop", "kill9"])
def test_invalidation_outlives_a_restart(start_proxy, origin, end):
    proxy = start_proxy()
    origin.default = respond(204, "Cache-Control: max-age=600")
    hit(proxy, origin)
    assert hit(proxy, origin).hit
    with proxy.connect() as client:
        client.ask("DELETE", origin.url())
    getattr(proxy, end)()
    proxy.start()
    assert not hit(proxy, origin).hit


def test_stop_writes_what_was_waiting(start_proxy, origin):
    """SIGTERM at once after the answer: the record is there afterwards."""
    proxy = start_proxy("store_interval=1s")
    origin.default = respond(204, "Cache-Control: max-age=600")
    hit(proxy, origin)
    proxy.restart()
    assert hit(proxy, origin).hit


def test_killed_again_and_again(start_proxy, origin):
    proxy = start_proxy()
    origin.default = respond(204, "Cache-Control: max-age=600")
    for n in range(5):
        with proxy.connect() as client:
            client.send(b"".join(
                f"GET {origin.url(f'/{n}/{i}')} HTTP/1.1\r\nHost: a\r\n\r\n".encode() for i in range(50)))
            client.response()
        proxy.kill9()
        proxy.start()
    with proxy.connect() as client:
        for n in range(5):
            for i in range(50):
                assert client.get(origin.url(f"/{n}/{i}")).status == 204


def test_two_proxies_do_not_share_a_store(start_proxy, origin):
    """A second one on the same store fails at once and harms nothing."""
    proxy = start_proxy()
    origin.default = respond(204, "Cache-Control: max-age=600")
    hit(proxy, origin)
    second = run("-o", "listen=127.0.0.1:0", "-o", "admin=127.0.0.1:0", "-o", f"store={proxy.store}",
                 "-o", "store_size=16MiB")
    assert second.returncode not in (0, None) and second.returncode > 0
    assert second.stderr
    assert hit(proxy, origin).hit


DAMAGES = {
    "truncated": lambda data: data[:5000],
    "one page short": lambda data: data[:-4096],
    "empty": lambda data: b"",
    "zeroed": lambda data: bytes(len(data)),
    "first page zeroed": lambda data: bytes(4096) + data[4096:],
    "later pages garbled": lambda data: data[:8192] + b"\xa5" * (len(data) - 8192),
    "garbled": lambda data: bytes(range(251)) * (len(data) // 251),
    "text": lambda data: b"This is no database.\n" * 1000,
}


@pytest.mark.parametrize("end", ["stop", "kill9"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_store_is_never_served(start_proxy, origin, damage, end):
    """A clear message and a fresh store: no crash, no wrong answer."""
    proxy = start_proxy()
    origin.default = respond(204, "Cache-Control: max-age=600", "X-A: b")
    hit(proxy, origin)
    getattr(proxy, end)()
    for file in proxy.store.rglob("*.mdb"):
        settle(file)
        file.write_bytes(DAMAGES[damage](file.read_bytes()))
    proxy.start()
    for _ in range(2):
        answer = hit(proxy, origin)
        assert (answer.status, answer["X-A"]) == (204, "b")
    assert answer.hit


def is_doubted(proxy):
    """Whether the next start is to read the whole file; see cache/store/note.h."""
    return struct.unpack_from("=II", (proxy.store / "noted").read_bytes(), 64)[1] == 1


@pytest.mark.one_worker("the process that is hit is the one with the store")
@pytest.mark.parametrize("fault", [signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGKILL])
def test_a_fault_of_its_own_is_not_trusted(start_proxy, origin, fault):
    """The file may have been the cause, and would be again; not so when it was killed."""
    proxy = start_proxy()
    origin.default = respond(204, "Cache-Control: max-age=600")
    hit(proxy, origin)
    assert hit(proxy, origin).hit
    worker = proxy.worker
    os.kill(proxy.pid, signal.SIGSTOP)  # it would start another
    os.kill(worker, fault)
    until_ended([worker])
    proxy.error_log.unlink()  # a sanitizer tells of the signal
    assert is_doubted(proxy) == (fault != signal.SIGKILL)
    proxy.kill()
    proxy.start()
    assert not is_doubted(proxy)
    assert hit(proxy, origin).hit


@pytest.mark.one_worker("it says with how many itself")
@pytest.mark.parametrize("workers", [1, 3])
def test_a_store_whose_workers_crash_again_and_again_is_begun_anew(start_proxy, origin, workers):
    """Although no check finds a fault with it. With several workers it is looked at by all new ones."""
    proxy = start_proxy(f"workers={workers}")
    origin.default = respond(204, "Cache-Control: max-age=600")
    last = 3 if workers == 1 else 4
    for crash in range(1, last + 1):
        hit(proxy, origin)
        until(lambda: hit(proxy, origin).hit, "it is stored")
        before = sorted(proxy.workers())
        gone = set(before if crash % 2 == 0 else before[:1])
        os.kill(before[0], signal.SIGABRT)
        until(lambda: not gone & set(proxy.workers()) and len(proxy.workers()) == workers, "others are there")
        assert gone == set(before) or set(before) - gone <= set(proxy.workers())
        answer = hit(proxy, origin)
        assert answer.status == 204 and answer.hit == (crash < last), proxy.errors()
    assert proxy.errors().count("processes that use it die again and again; set aside as data.mdb.damaged") == 1
    until(lambda: hit(proxy, origin).hit, "it is stored anew")
