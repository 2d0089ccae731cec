"""However much one peer sends at once, the others have their turns between (HAZARDS X4).

Nothing is timed: the proxy is stopped while all of it is sent, so that it is at hand at once, and
what the proxy counts and logs tells in which order it was done.
"""

import contextlib
import json
import os
import signal
import threading

import pytest

from support.http1 import Closed
from support.nameserver import NameServer
from support.origin import respond
from support.rawclient import Client
from support.until import WAIT, until_waiting

pytestmark = pytest.mark.one_worker("what has a share is the turn of one worker")

FRESH = "Cache-Control: max-age=60"
CROWD = 8


@contextlib.contextmanager
def stopped(proxy):
    os.kill(proxy.worker, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(proxy.worker, signal.SIGCONT)


def short(url):
    return f"GET {url} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


def used_up(proxy):
    return proxy.stats()["counters"]["shares_used_up"]


def crowded(proxy, stack):
    """Others, half of them connected before the one in the middle."""
    return [stack.enter_context(proxy.connect()) for _ in range(CROWD // 2)]


def logged(proxy):
    proxy.stop()
    return [json.loads(line)["target"] for line in proxy.log_lines()]


def test_others_are_answered_between_requests_sent_ahead(start_proxy, origin):
    proxy = start_proxy()
    origin.default = respond(204, FRESH)
    with contextlib.ExitStack() as stack:
        others = crowded(proxy, stack)
        greedy = stack.enter_context(proxy.connect())
        others += crowded(proxy, stack)
        for client, path in [(greedy, "/greedy")] + [(other, "/other") for other in others]:
            client.get(origin.url(path))
        with stopped(proxy):
            greedy.send(short(origin.url("/greedy")) * 1000)
            for other in others:
                other.send(short(origin.url("/other")))
        assert all(other.response().hit for other in others)
        assert all(greedy.response().hit for _ in range(1000))
        assert used_up(proxy) >= 1000 // 64 - 1
    log = logged(proxy)[1 + CROWD:]
    assert log.count(origin.url("/greedy")) == 1000
    # all were at hand in the first turn, and one client has no more than 64 answers of it
    assert origin.url("/other") not in log[CROWD + 200:]


def test_operators_take_turns_as_well(proxy, origin):
    origin.default = respond(204, FRESH)
    with contextlib.ExitStack() as stack:
        others = crowded(proxy, stack)
        greedy = stack.enter_context(Client(proxy.admin_port))
        others += crowded(proxy, stack)
        for other in others:
            other.get(origin.url("/other"))
        before = proxy.stats()["outcomes"]["hit"]
        with stopped(proxy):
            greedy.send(b"GET /stats HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200)
            for other in others:
                other.send(short(origin.url("/other")))
        told = [json.loads(greedy.response().body) for _ in range(200)]
        assert all(other.response().hit for other in others)
    assert len({answer["counters"]["turns"] for answer in told}) >= 200 // 64
    assert all(answer["outcomes"]["hit"] == before + CROWD for answer in told[100:])


def test_a_crowd_that_waited_for_one_answer_goes_on_in_turns(start_proxy, origin):
    proxy = start_proxy()
    go, gone = threading.Event(), threading.Event()
    origin.default = respond(204, FRESH)
    origin.on("/one", [go, respond(204, FRESH), lambda _: gone.set()])
    with contextlib.ExitStack() as stack:
        others = crowded(proxy, stack)
        crowd = [stack.enter_context(proxy.connect()) for _ in range(300)]
        others += crowded(proxy, stack)
        for other in others:
            other.get(origin.url("/other"))
        for client in crowd:
            client.send(short(origin.url("/one")))
        until_waiting(proxy, 300)
        with stopped(proxy):
            go.set()
            assert gone.wait(WAIT)
            for other in others:
                other.send(short(origin.url("/other")))
        assert all(other.response().hit for other in others)
        assert all(client.response().status == 204 for client in crowd)
    log = logged(proxy)[CROWD:]
    assert log.count(origin.url("/one")) == 300
    assert origin.url("/other") not in log[CROWD + 200:]
    assert len(origin.requests) == 2


def test_sixteen_requests_ahead_are_one_turn(proxy, client, origin):
    origin.default = respond(204, FRESH)
    client.get(origin.url())
    before = used_up(proxy)
    client.send(short(origin.url()) * 16)
    assert all(client.response().hit for _ in range(16))
    assert used_up(proxy) == before


def test_requests_ahead_of_a_client_that_sends_no_more(proxy, client, origin):
    """The last of them is answered as well, and the connection closed after it."""
    origin.default = respond(204, FRESH)
    client.get(origin.url())
    with stopped(proxy):
        client.send(short(origin.url()) * 500)
        client.half_close()
    assert all(client.response().hit for _ in range(500))
    assert client.end() == "fin"


def test_tiny_chunks_of_an_origin(proxy, client, origin):
    body = b"".join(b"1\r\n%c\r\n" % (65 + i % 26) for i in range(5000)) + b"0\r\n\r\n"
    origin.on("/tiny", [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body])
    before = used_up(proxy)
    answer = client.get(origin.url("/tiny"))
    assert (answer.complete, len(answer.body)) == (True, 5000)
    assert used_up(proxy) > before
    assert client.get(origin.url()).status


def test_tiny_chunks_of_a_client(proxy, client, origin):
    body = b"".join(b"1\r\n%c\r\n" % (65 + i % 26) for i in range(5000)) + b"0\r\n\r\n"
    origin.on("/post", respond(201))
    before = used_up(proxy)
    head = f"POST {origin.url('/post')} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    client.send(head.encode() + body + short(origin.url("/after")))
    assert client.response("POST").status == 201
    assert len(origin.requests[0].body) == 5000
    assert client.response().status
    assert used_up(proxy) > before


def test_a_connection_that_leaves_while_it_waits(proxy, origin):
    origin.default = respond(204, FRESH)
    for _ in range(5):
        with proxy.connect() as client:
            client.get(origin.url())
            with stopped(proxy):
                client.send(short(origin.url()) * 1000)
            client.reset()
    assert proxy.admin("/healthz").status == 204


def test_what_waits_for_its_turn_does_not_outlive_the_proxy(start_proxy, origin):
    proxy = start_proxy()
    origin.default = respond(204, FRESH)
    with proxy.connect() as client:
        client.get(origin.url())
        with stopped(proxy):
            client.send(short(origin.url()) * 1000)
        assert client.response().hit
        proxy.terminate()
        with contextlib.suppress(Closed):
            while True:
                assert client.response().hit
    proxy.wait()


class SlowNames(NameServer):
    """Answers when it is told to."""

    def __init__(self, answers):
        self.go = threading.Event()
        super().__init__(answers)

    def answer(self, query):
        assert self.go.wait(WAIT)
        return super().answer(query)


def test_a_crowd_that_waited_for_one_name_goes_on_in_turns(start_proxy, origin):
    names = SlowNames({"slow.test": ["127.0.0.1"]})
    proxy = start_proxy(f"resolvers={names.address}", "allow=slow.test,127.0.0.0/8")
    origin.default = respond(200, body=b"it")
    with contextlib.ExitStack() as stack:
        stack.callback(names.close)
        crowd = [stack.enter_context(proxy.connect()) for _ in range(300)]
        for i, client in enumerate(crowd):
            client.send(short(f"http://slow.test:{origin.port}/{i}"))
        until_waiting(proxy, 300)
        before = used_up(proxy)
        names.go.set()
        assert all(client.response().body == b"it" for client in crowd)
        assert used_up(proxy) > before
