"""Requests that come without waiting: answered in order, each with its own answer."""

import os
import select
import signal
import threading

import pytest

from support.origin import respond
from support.rawclient import request_bytes


def test_answers_come_in_order(client, origin):
    n = 20
    for i in range(n):
        origin.on(f"/{i}", respond(200, body=b"answer %d" % i))
    client.send(b"".join(request_bytes("GET", origin.url(f"/{i}")) for i in range(n)))
    assert [client.response().body for _ in range(n)] == [b"answer %d" % i for i in range(n)]


def test_slow_first_answer_stays_first(client, origin):
    go = threading.Event()
    origin.on("/slow", [go, respond(200, body=b"slow")])
    origin.on("/hit", respond(204, "Cache-Control: max-age=60"))
    client.get(origin.url("/hit"))
    client.send(request_bytes("GET", origin.url("/slow")) + request_bytes("GET", origin.url("/hit")))
    origin.wait_requests(2)
    assert client.is_open()
    go.set()
    assert client.response().body == b"slow"
    assert client.response().hit


def test_hits_misses_heads_and_bodies_mixed(client, origin):
    origin.on("/hit", respond(204, "Cache-Control: max-age=60", 'ETag: "a"'))
    client.get(origin.url("/hit"))
    origin.on("/200", respond(200, body=b"two hundred"))
    origin.on("/post", respond(201, body=b"created"))
    sequence = [
        ("GET", "/hit", (), None, 204, b""), ("GET", "/200", (), None, 200, b"two hundred"),
        ("HEAD", "/200", (), None, 200, b""), ("POST", "/post", (), b"body", 201, b"created"),
        ("GET", "/hit", ('If-None-Match: "a"',), None, 304, b""),
        ("HEAD", "/hit", (), None, 204, b""), ("GET", "/200", (), None, 200, b"two hundred"),
    ] * 3
    client.send(b"".join(request_bytes(m, origin.url(p), *f, body=b) for m, p, f, b, _, _ in sequence))
    answers = [client.response(method) for method, *_ in sequence]
    assert [(a.status, a.body) for a in answers] == [(s, b) for *_, s, b in sequence]


@pytest.mark.parametrize("step", [1, 7, 64])
def test_pipeline_in_small_pieces(client, origin, step):
    origin.on("/a", respond(204, "Cache-Control: max-age=60"))
    client.get(origin.url("/a"))
    data = request_bytes("GET", origin.url("/a")) * 5
    for at in range(0, len(data), step):
        client.send(data[at:at + step])
    assert [client.response().hit for _ in range(5)] == [True] * 5


def test_bad_request_does_not_take_the_good_ones_answers(client, origin):
    origin.on("/a", respond(200, body=b"a"))
    client.send(request_bytes("GET", origin.url("/a")) * 2
                + f"GET {origin.url('/bad')} HTTP/1.1\r\nHost : x\r\n\r\n".encode()
                + request_bytes("GET", origin.url("/after")))
    assert [client.response().body for _ in range(2)] == [b"a", b"a"]
    assert client.response().status == 400
    client.end()
    assert origin.lines == ["GET /a HTTP/1.1"] * 2


@pytest.mark.parametrize("line", ["Connection: close", "connection: CLOSE", "Connection: foo, Close ,bar"])
def test_nothing_is_read_after_close(client, origin, line):
    client.send(request_bytes("GET", origin.url("/a"), line) + request_bytes("GET", origin.url("/b")))
    answer = client.response()
    assert answer.status == 204
    assert "close" in answer.fields.members("Connection")
    client.end()
    assert origin.lines == ["GET /a HTTP/1.1"]


def test_close_on_the_second_connection_line(client, origin):
    client.send(request_bytes("GET", origin.url("/a"), "Connection: keep-alive", "Connection: close")
                + request_bytes("GET", origin.url("/b")))
    client.response()
    client.end()
    assert origin.lines == ["GET /a HTTP/1.1"]


def test_empty_lines_before_a_request(client, origin):
    client.send(b"\r\n" + request_bytes("GET", origin.url("/a")) + b"\r\n\r\n"
                + request_bytes("GET", origin.url("/b")))
    assert [client.response().status for _ in range(2)] == [204, 204]


def test_endless_pipeline_is_not_read_ahead_without_bound(client, origin):
    """While the first answer waits, only so many bytes of the following requests are taken."""
    go = threading.Event()
    origin.on("/slow", [go, respond(204)])
    client.request("GET", origin.url("/slow"))
    origin.wait_requests(1)
    one = request_bytes("GET", origin.url("/n"), "X-Pad: " + "x" * 4000)
    client.sock.setblocking(False)
    sent = 0
    while sent < 64 * 1024 * 1024:  # more than socket buffers hold
        try:
            sent += client.sock.send(one * 16)
        except BlockingIOError:
            if not select.select([], [client.sock], [], 0.3)[1]:
                break
    assert sent < 48 * 1024 * 1024
    assert len(origin.requests) < 1000
    go.set()


def test_the_last_of_many_answers_is_whole_however_slowly_they_are_taken(proxy, origin):
    """What closes the connection is sent with its last bytes: also where the socket took them in parts."""
    origin.on("/a", respond(204, "Cache-Control: max-age=60", "X-Long: " + "x" * 4000))
    ask = request_bytes("GET", origin.url("/a"))
    n = 100
    with proxy.connect(receive_buffer=4096) as client:
        client.get(origin.url("/a"))
        client.send(ask * (n - 1) + request_bytes("GET", origin.url("/a"), "Connection: close"))
        assert all(client.response().hit for _ in range(n))
        assert client.end() == "fin"


@pytest.mark.one_worker("it is stopped")
@pytest.mark.parametrize("answered_first", [False, True], ids=["bytes", "answer"])
def test_bytes_against_its_own_word_do_not_cost_a_client_its_last_answer(proxy, origin, answered_first):
    """They come in the turn of the answer, and closing with them unread is an RST: not before the answer."""
    go, gone = threading.Event(), threading.Event()
    origin.on("/last", [go, respond(204, "X-A: b"), lambda _: gone.set()])

    def answer():
        go.set()
        assert gone.wait(5)

    with proxy.connect() as client:
        client.request("GET", origin.url("/last"), "Connection: close")
        origin.wait_requests(1)
        steps = [answer, lambda: client.send(b"\r\n")]
        os.kill(proxy.worker, signal.SIGSTOP)
        try:
            for step in steps if answered_first else reversed(steps):
                step()
        finally:
            os.kill(proxy.worker, signal.SIGCONT)
        last = client.response()
        assert (last.status, last["X-A"]) == (204, "b")
